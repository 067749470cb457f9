package aws

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"snap/collect/aws/api"
	"snap/store/kind"
	"snap/store/pyjson"
)

func TestIAMStatementRows(t *testing.T) {
	statements, err := policyStatements(`{"Statement":[
		{"Effect":"Allow","Action":"s3:*","Resource":["a","b"]},
		{"Sid":"Named","Effect":"Deny","NotAction":["iam:*"],"NotResource":"*","Condition":{"Bool":{"aws:SecureTransport":false}}},
		{"Sid":"","Effect":"Allow","Action":[],"Resource":"*","Condition":[{"é":1.0}]},
		{"Sid":"1","Effect":"Deny","Action":"*","Resource":"*"}]}`)
	if err != nil {
		t.Fatal(err)
	}
	rows := iamStatementRows("p", statements)
	var ids []string
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	if want := []string{"p/statement/1#1", "p/statement/Named", "p/statement/2", "p/statement/1"}; !slices.Equal(ids, want) {
		t.Fatalf("ids %q, want %q", ids, want)
	}
	first, named, empty := rows[0], rows[1], rows[2]
	if !slices.Equal(first.Action, []string{"s3:*"}) || !slices.Equal(first.Resource, []string{"a", "b"}) || first.NotAction != nil || first.Sid != nil || first.Condition != nil {
		t.Errorf("first: %+v", first)
	}
	if first.PolicyID != "p" || *first.Effect != "Allow" {
		t.Errorf("first: %+v", first)
	}
	if want := `[{"Bool": {"aws:SecureTransport": false}}]`; *named.Condition != want || !slices.Equal(named.NotResource, []string{"*"}) || named.Action != nil {
		t.Errorf("named: %+v, condition %s", named, *named.Condition)
	}
	if want := `[{"\u00e9": 1.0}]`; *empty.Condition != want || empty.Action == nil || *empty.Sid != "" {
		t.Errorf("empty: %+v, condition %s", empty, *empty.Condition)
	}
}

func TestPolicyPrincipals(t *testing.T) {
	for statement, want := range map[string][]policyPrincipal{
		`{"Principal":{"Service":["a","b"],"AWS":"c"}}`: {{"Service", "a"}, {"Service", "b"}, {"AWS", "c"}},
		`{"Principal":"*"}`:                             {{"AWS", "*"}},
		`{"Principal":{}}`:                              nil,
		`{"NotPrincipal":{"AWS":"c"}}`:                  nil,
	} {
		v, err := pyjson.Parse(statement)
		if err != nil {
			t.Fatal(err)
		}
		if got := policyPrincipals(v.(pyjson.Object)); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", statement, got, want)
		}
	}
}

func TestRootOf(t *testing.T) {
	for arn, want := range map[string]string{
		"arn:aws:iam::123456789012:root":          "123456789012",
		"arn:aws-cn:iam::123456789012:root":       "123456789012",
		"arn:aws:iam::123456789012:role/root":     "",
		"arn:aws:iam:::root":                      "",
		"123456789012":                            "",
		"*":                                       "",
		"arn:aws:sts::123456789012:root":          "",
		"arn:aws:iam::123456789012:user/x:y:root": "",
	} {
		if got, ok := rootOf(arn); got != want || ok != (want != "") {
			t.Errorf("%s: got %q, %v", arn, got, ok)
		}
	}
}

func TestIAMDocument(t *testing.T) {
	for encoded, want := range map[string]string{
		"%7B%22a%22%3A%22b+c%22%7D": `{"a":"b+c"}`, // "+" is no space
		`{"a":"50%"}`:               `{"a":"50%"}`, // not encoded after all
		"":                          "",
	} {
		if got := iamDocument(&encoded); got != want {
			t.Errorf("%q: got %q, want %q", encoded, got, want)
		}
	}
	if got := iamDocument(nil); got != "" {
		t.Errorf("nil: got %q", got)
	}
}

func TestIAMAccessReport(t *testing.T) {
	day := func(d int) *time.Time { return aws.Time(time.Date(2024, 5, d, 0, 0, 0, 0, time.UTC)) }
	service := func(name string, at *time.Time) types.ServiceLastAccessed {
		return types.ServiceLastAccessed{ServiceName: aws.String(name), LastAuthenticated: at}
	}
	running := &iam.GetServiceLastAccessedDetailsOutput{JobStatus: types.JobStatusTypeInProgress}
	for _, c := range []struct {
		name    string
		answers []*iam.GetServiceLastAccessedDetailsOutput // the last one repeats
		want    string
		fails   string
		took    time.Duration
	}{
		{name: "waits and pages", answers: []*iam.GetServiceLastAccessedDetailsOutput{
			running, running,
			{JobStatus: types.JobStatusTypeCompleted, IsTruncated: true, Marker: aws.String("m"), ServicesLastAccessed: []types.ServiceLastAccessed{service("a", day(1)), service("never", nil)}},
			{JobStatus: types.JobStatusTypeCompleted, ServicesLastAccessed: []types.ServiceLastAccessed{service("b", day(3)), service("c", day(3)), service("d", day(2))}},
		}, want: "b", took: 4 * time.Second},
		{name: "nothing used", answers: []*iam.GetServiceLastAccessedDetailsOutput{
			{JobStatus: types.JobStatusTypeCompleted, ServicesLastAccessed: []types.ServiceLastAccessed{service("never", nil)}},
		}},
		{name: "fails", answers: []*iam.GetServiceLastAccessedDetailsOutput{
			{JobStatus: types.JobStatusTypeFailed, Error: &types.ErrorDetails{Code: aws.String("Busy"), Message: aws.String("later")}},
		}, fails: "Busy: later"},
		{name: "never ready", answers: []*iam.GetServiceLastAccessedDetailsOutput{running}, fails: "not ready after 1m0s", took: time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				report := newIAMAccessReport(func(context.Context, *iam.GetServiceLastAccessedDetailsInput, ...func(*iam.Options)) (*iam.GetServiceLastAccessedDetailsOutput, error) {
					calls++
					return c.answers[min(calls, len(c.answers))-1], nil
				}, "job")
				start := time.Now()
				last, err := lastIAMAccess(t.Context(), report)
				if took := time.Since(start); took != c.took {
					t.Errorf("took %s, want %s", took, c.took)
				}
				if c.fails != "" {
					if err == nil || !strings.Contains(err.Error(), c.fails) {
						t.Errorf("error %v, want %q", err, c.fails)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if c.want == "" {
					if last != nil {
						t.Errorf("got %s", *last.ServiceName)
					}
					return
				}
				if last == nil || *last.ServiceName != c.want || *last.LastAuthenticatedEntity != "" {
					t.Errorf("got %+v, want %s", last, c.want)
				}
			})
		})
	}
}

// fakeIAM answers from XML bodies by action; a body that begins with "!" is
// an error code.
type fakeIAM map[string]string

func (f fakeIAM) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	action, status := form.Get("Action"), http.StatusOK
	answer, ok := f[action]
	if !ok {
		answer = "!Unexpected"
	}
	text := fmt.Sprintf("<%sResponse><%sResult>%s</%sResult></%sResponse>", action, action, answer, action, action)
	if code, isError := strings.CutPrefix(answer, "!"); isError {
		status = http.StatusForbidden
		text = "<ErrorResponse><Error><Code>" + code + "</Code><Message>" + action + "</Message></Error></ErrorResponse>"
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text)), Request: r}, nil
}

// onlyRow is the table's only row.
func onlyRow(t *testing.T, s *rowSink, table string) map[string]any {
	t.Helper()
	if len(s.rows[table]) != 1 {
		t.Fatalf("%s: %d rows, want 1: %v", table, len(s.rows[table]), s.rows[table])
	}
	return s.rows[table][0]
}

func collectFakeIAM(change fakeIAM) (*rowSink, error) {
	trust := url.PathEscape(`{"Statement":{"Effect":"Allow","Principal":{"AWS":["arn:aws:iam::999999999999:root","arn:aws:iam::111111111111:root"],"Service":"ec2.amazonaws.com","Federated":"accounts.google.com","CanonicalUser":"x"}}}`)
	document := url.PathEscape(`{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`)
	answers := fakeIAM{
		"ListUsers": `<Users><member><Arn>arn:u</Arn><UserName>u</UserName><CreateDate>2024-01-02T03:04:05Z</CreateDate></member></Users>`,
		"GetAccountAuthorizationDetails": `<UserDetailList><member><Arn>arn:u</Arn><UserName>u</UserName><GroupList><member>g</member></GroupList></member></UserDetailList>
			<GroupDetailList><member><Arn>arn:g</Arn><GroupName>g</GroupName><AttachedManagedPolicies><member><PolicyArn>arn:late/p</PolicyArn></member></AttachedManagedPolicies></member></GroupDetailList>
			<RoleDetailList><member><Arn>arn:r</Arn><RoleName>r</RoleName><AssumeRolePolicyDocument>` + trust + `</AssumeRolePolicyDocument>
			<RolePolicyList><member><PolicyName>i</PolicyName><PolicyDocument>` + document + `</PolicyDocument></member></RolePolicyList></member></RoleDetailList>`,
		"GetPolicy":                          `<Policy><DefaultVersionId>v2</DefaultVersionId></Policy>`,
		"GetPolicyVersion":                   `<PolicyVersion><Document>` + document + `</Document></PolicyVersion>`,
		"GenerateServiceLastAccessedDetails": `<JobId>j</JobId>`,
		"GetServiceLastAccessedDetails": `<JobStatus>COMPLETED</JobStatus><ServicesLastAccessed><member><ServiceName>S3</ServiceName><ServiceNamespace>s3</ServiceNamespace>
			<LastAuthenticated>2024-05-06T00:00:00Z</LastAuthenticated></member></ServicesLastAccessed>`,
		"ListAccessKeys":         `<AccessKeyMetadata><member><AccessKeyId>AKIA</AccessKeyId><Status>Active</Status></member></AccessKeyMetadata>`,
		"GetAccessKeyLastUsed":   `<AccessKeyLastUsed><Region>N/A</Region><ServiceName>N/A</ServiceName></AccessKeyLastUsed>`,
		"ListMFADevices":         `<MFADevices><member><SerialNumber>GAHT</SerialNumber><UserName>u</UserName></member></MFADevices>`,
		"ListSAMLProviders":      `<SAMLProviderList><member><Arn>arn:aws:iam::1:saml-provider/idp</Arn></member></SAMLProviderList>`,
		"ListServerCertificates": `<ServerCertificateMetadataList><member><ServerCertificateId>ASCA</ServerCertificateId></member></ServerCertificateMetadataList>`,
		"GetAccountSummary":      `<SummaryMap><entry><key>Users</key><value>1</value></entry></SummaryMap>`,
	}
	for action, answer := range change {
		answers[action] = answer
	}
	sink := &rowSink{}
	at := &api.Cell{Account: "111111111111", Region: "us-east-1", Partition: "aws", Sink: sink, Config: noteCalls("iam", aws.Config{
		Region: "us-east-1", Credentials: aws.AnonymousCredentials{}, HTTPClient: answers,
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	})}
	return sink, api.Find("iam").Collect(context.Background(), at)
}

func TestIAM(t *testing.T) {
	s, err := collectFakeIAM(nil)
	if err != nil || len(s.losses) > 0 {
		t.Fatal(err, s.losses)
	}
	if u := onlyRow(t, s, "iam_user"); u["last_authenticated"] != "2024-05-06 00:00:00+00:00" || u["last_authenticated_entity"] != "" || u["createdate"] != "2024-01-02 03:04:05+00:00" || u["passwordlastused"] != "" || u["passwordlastused_dt"] != nil {
		t.Errorf("user: %v", u)
	}
	if g := onlyRow(t, s, "iam_group"); !slices.Equal(g["_user_arns"].([]string), []string{"arn:u"}) {
		t.Errorf("group: %v", g)
	}
	want := []string{"arn:aws:iam::999999999999:root", "arn:aws:iam::111111111111:root", "ec2.amazonaws.com", "accounts.google.com"}
	if r := onlyRow(t, s, "iam_role"); !slices.Equal(r["_trusted_arns"].([]string), want) {
		t.Errorf("role: %v", r)
	}
	if a, r := onlyRow(t, s, "iam_trusted_account"), onlyRow(t, s, "iam_trusted_root"); a["id"] != "999999999999" || r["_account_id"] != "999999999999" {
		t.Errorf("trusted: %v, %v", a, r)
	}
	if p := onlyRow(t, s, "iam_managed_policy"); p["name"] != "p" || !slices.Equal(p["_principal_arns"].([]string), []string{"arn:g"}) {
		t.Errorf("managed policy: %v", p)
	}
	if p := onlyRow(t, s, "iam_inline_policy"); p["id"] != "arn:r/inline_policy/i" || p["_principal_arn"] != "arn:r" {
		t.Errorf("inline policy: %v", p)
	}
	if n := len(s.rows["iam_policy_statement"]); n != 2 { // the managed one's was asked for
		t.Errorf("%d statements", n)
	}
	if k := onlyRow(t, s, "iam_access_key"); k["lastuseddate"] != "None" || k["lastuseddate_dt"] != nil || k["lastusedregion"] != "N/A" || k["_user_arn"] != "arn:u" {
		t.Errorf("key: %v", k)
	}
	if d := onlyRow(t, s, "iam_mfa_device"); d["user_arn"] != "arn:u" {
		t.Errorf("device: %v", d)
	}
	if p := onlyRow(t, s, "iam_saml_provider"); p["name"] != "idp" {
		t.Errorf("provider: %v", p)
	}
	if a := onlyRow(t, s, "iam_summary"); a["users"] != int64(1) || a["groups"] != nil {
		t.Errorf("summary: %v", a)
	}
}

// Whatever is denied, the cell must not end complete, and loses only what the
// call tells.
func TestIAMDenied(t *testing.T) {
	for _, call := range api.Registry.Sync("iam").Calls {
		action := strings.TrimPrefix(call, "iam:")
		t.Run(action, func(t *testing.T) {
			s, err := collectFakeIAM(fakeIAM{action: "!AccessDenied"})
			if err == nil && len(s.losses) == 0 {
				t.Fatal("nothing says that the call was denied")
			}
			if all := errors.Join(append(s.losses, err)...); !api.Is(all, "AccessDenied") {
				t.Errorf("error %v", all)
			}
			lost := map[string][]string{
				"ListUsers":                      {"iam_user", "iam_access_key", "iam_mfa_device"},
				"GetAccountAuthorizationDetails": {"iam_group", "iam_role", "iam_service_principal", "iam_federated_principal", "iam_trusted_account", "iam_trusted_root", "iam_managed_policy", "iam_inline_policy", "iam_policy_statement"},
				"ListAccessKeys":                 {"iam_access_key"}, "ListMFADevices": {"iam_mfa_device"},
				"ListSAMLProviders": {"iam_saml_provider"}, "ListServerCertificates": {"iam_server_certificate"}, "GetAccountSummary": {"iam_summary"},
			}[action]
			for _, table := range api.Registry.Sync("iam").Tables {
				if has := len(s.rows[table.Name]) > 0; has == slices.Contains(lost, table.Name) {
					t.Errorf("%s: %d rows", table.Name, len(s.rows[table.Name]))
				}
			}
			switch action {
			case "GenerateServiceLastAccessedDetails", "GetServiceLastAccessedDetails":
				for _, table := range []string{"iam_user", "iam_group", "iam_role"} {
					if r := onlyRow(t, s, table); len(r[kind.Unknown].([]string)) != 5 {
						t.Errorf("%s: unknown %v", table, r[kind.Unknown])
					}
				}
			case "GetAccessKeyLastUsed":
				if k := onlyRow(t, s, "iam_access_key"); len(k[kind.Unknown].([]string)) != 4 {
					t.Errorf("key: unknown %v", k[kind.Unknown])
				}
			case "GetPolicy", "GetPolicyVersion":
				if n := len(s.rows["iam_policy_statement"]); n != 1 {
					t.Errorf("%d statements", n)
				}
			}
		})
	}
}

// What was deleted after it was listed is no gap.
func TestIAMGone(t *testing.T) {
	for action, gone := range map[string]string{
		"ListAccessKeys": "iam_access_key", "GetAccessKeyLastUsed": "iam_access_key", "ListMFADevices": "iam_mfa_device",
		"GetPolicy": "iam_managed_policy", "GetPolicyVersion": "iam_managed_policy", "GenerateServiceLastAccessedDetails": "",
	} {
		t.Run(action, func(t *testing.T) {
			s, err := collectFakeIAM(fakeIAM{action: "!NoSuchEntity"})
			if err != nil || len(s.losses) > 0 {
				t.Fatal(err, s.losses)
			}
			if gone != "" && len(s.rows[gone]) != 0 {
				t.Errorf("%s: %v", gone, s.rows[gone])
			}
		})
	}
}
