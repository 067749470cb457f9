package session_test

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"snap/collect"
	_ "snap/collect/aws"
	"snap/collect/aws/session"
	"snap/fixtures/fakeaws"
	"snap/store"
	"snap/store/kind"
)

// TestMain is also the credential_process of a profile: it asks the fake AWS.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "credentials" {
		r, err := http.Get(os.Args[2])
		if err == nil {
			_, err = io.Copy(os.Stdout, r.Body)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// everyWay writes profiles that get the credentials of the three accounts by a
// role, by SSO and by a process.
func everyWay(t *testing.T, aws *fakeaws.Server) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	config := fmt.Sprintf(`[default]
region = us-east-1
[profile role]
role_arn = arn:aws:iam::111111111111:role/audit
source_profile = default
[profile sso]
sso_session = corp
sso_account_id = 222222222222
sso_role_name = audit
[sso-session corp]
sso_start_url = https://corp.example.com/start
sso_region = us-east-1
[profile process]
credential_process = "%s" credentials %s/_fake/credentials?account=333333333333
`, self, aws.URL)
	name := sha1.Sum([]byte("corp"))
	cache := filepath.Join(home, ".aws", "sso", "cache")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	token := fmt.Sprintf(`{"accessToken": "logged-in", "expiresAt": %q, "region": "us-east-1", "startUrl": "https://corp.example.com/start"}`,
		time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	for path, text := range map[string]string{
		filepath.Join(home, "config"):                             config,
		filepath.Join(home, "credentials"):                        "[default]\naws_access_key_id = KEY\naws_secret_access_key = secret\n",
		filepath.Join(cache, hex.EncodeToString(name[:])+".json"): token,
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for key, value := range map[string]string{
		"HOME": home, "AWS_CONFIG_FILE": filepath.Join(home, "config"), "AWS_SHARED_CREDENTIALS_FILE": filepath.Join(home, "credentials"),
		"AWS_ENDPOINT_URL": aws.URL, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_PROFILE": "", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "", "AWS_REGION": "", "AWS_DEFAULT_REGION": "",
	} {
		t.Setenv(key, value)
	}
}

// listed collects IAM, with its reports of many pages, and returns the data
// files' hashes.
func listed(t *testing.T, s session.Settings) []string {
	t.Helper()
	estate, err := session.Discover(t.Context(), session.Options{AllProfiles: true, Regions: []string{"us-east-1"}, Syncs: []string{"iam"}, Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	if len(estate.Accounts) != 3 {
		t.Fatalf("accounts %+v, unresolved %+v; want three", estate.Accounts, estate.Unresolved)
	}
	w, err := store.Create(filepath.Join(t.TempDir(), "snap"), store.Manifest{Program: "test", Started: time.Unix(1700000000, 0), Syncs: estate.Syncs(), Accounts: estate.Accounts})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	tasks := estate.Tasks()
	var tables []*kind.Table
	for _, task := range tasks {
		tables = append(tables, task.Tables...)
	}
	err = collect.Run(t.Context(), w, tasks, collect.Options{Ended: func(id store.CellID, o store.Outcome, _ int64) {
		if o.State != store.Complete {
			t.Errorf("%s: %s %s %s", id, o.State, o.Code, o.Message)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, task := range tasks {
		c, _ := w.Done(task.ID)
		for _, f := range c.Files {
			files = append(files, f.Path+" "+f.SHA256)
		}
	}
	slices.Sort(files)
	slices.SortFunc(tables, func(a, b *kind.Table) int { return strings.Compare(a.Name, b.Name) })
	if _, err := w.Commit(slices.Compact(tables), time.Unix(1700000100, 0)); err != nil {
		t.Fatal(err)
	}
	return files
}

// given is how often the credentials of each account were given out, and asked
// how many requests there were else.
func given(aws *fakeaws.Server) (given map[string]int, asked, refused int) {
	given = map[string]int{}
	for c, n := range aws.Calls() {
		switch c.Operation {
		case "AssumeRole", "GetRoleCredentials":
			given[c.Account] += n
		case "GetCallerIdentity":
		default:
			asked += n
		}
	}
	for what, n := range aws.Stats().Errors {
		if strings.HasPrefix(what, "iam:") && strings.HasSuffix(what, ":403") {
			refused += n
		}
	}
	return given, asked, refused
}

// Credentials of each kind are renewed before they end, and when they are
// refused in the middle of a listing; no page of it is asked for again but the
// refused one.
func TestCredentialsAreRenewed(t *testing.T) {
	aws, err := fakeaws.Start("small")
	if err != nil {
		t.Fatal(err)
	}
	defer aws.Close()
	everyWay(t, aws)
	settings := session.Settings{Retries: 1, ReadTimeout: time.Minute, Patience: time.Minute, RenewBefore: 2 * time.Second}
	whole := listed(t, settings)
	once, all, _ := given(aws)
	if want := map[string]int{"111111111111": 1, "222222222222": 1}; !maps.Equal(once, want) {
		t.Errorf("credentials were given out %v times; want once each", once)
	}

	t.Run("before their end", func(t *testing.T) {
		aws.Reset()
		processed := aws.Issued("333333333333")
		aws.SetLifetime(4 * time.Second)
		defer aws.SetLifetime(0)
		if got := listed(t, settings); !slices.Equal(got, whole) {
			t.Errorf("%d files differ from those of credentials that do not end (%d)", len(got), len(whole))
		}
		times, asked, refused := given(aws)
		times["333333333333"] = aws.Issued("333333333333") - processed
		for account, n := range times {
			if n < 2 || n > 10 {
				t.Errorf("%s: credentials were given out %d times; want them renewed now and then", account, n)
			}
		}
		if len(times) != 3 || refused > 0 || asked != all {
			t.Errorf("%v, %d requests, %d of them refused; want three accounts, %d and none", times, asked, refused, all)
		}
	})

	t.Run("when they are refused", func(t *testing.T) {
		aws.Reset()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for reports := 0; reports < 30; time.Sleep(5 * time.Millisecond) {
				reports = 0
				for c, n := range aws.Calls() {
					if c.Operation == "GetServiceLastAccessedDetails" {
						reports += n
					}
				}
			}
			aws.Revoke()
		}()
		got := listed(t, settings)
		<-done
		if !slices.Equal(got, whole) {
			t.Errorf("%d files differ from those of credentials that were not refused (%d)", len(got), len(whole))
		}
		times, asked, refused := given(aws)
		if refused == 0 || asked != all+refused || times["111111111111"] != 2 || times["222222222222"] != 2 {
			t.Errorf("%d requests, %d of them refused, credentials given out %v times; want each refused request repeated once (%d without), and two times", asked, refused, times, all)
		}
	})
}

// A session that has ended is told with the command that begins another.
func TestSSOHasEnded(t *testing.T) {
	aws, err := fakeaws.Start("small")
	if err != nil {
		t.Fatal(err)
	}
	defer aws.Close()
	everyWay(t, aws)
	if err := aws.SetFaults(fakeaws.Rule{Service: "sso", Code: "UnauthorizedException", Status: 401, Message: "Session token not found or invalid"},
		fakeaws.Rule{Service: "sts", Operation: "AssumeRole", Code: "AccessDenied", Status: 403}); err != nil {
		t.Fatal(err)
	}
	estate, err := session.Discover(t.Context(), session.Options{AllProfiles: true, Syncs: []string{"iam"}, Settings: session.Settings{Retries: 1, ReadTimeout: time.Minute, Patience: time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	remedies := map[string]string{}
	for _, u := range estate.Unresolved {
		remedies[u.Profile] = u.Error + ": " + u.Remedy
	}
	if len(estate.Accounts) != 1 || remedies["sso"] != "the SSO session has expired: run aws sso login --profile sso" || !strings.HasSuffix(remedies["role"], ": allow sts:AssumeRole of the profile's role_arn, in its trust policy and to who assumes it") {
		t.Errorf("accounts %+v, unresolved %q", estate.Accounts, remedies)
	}
}
