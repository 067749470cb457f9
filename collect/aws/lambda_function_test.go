package aws

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

func TestImageReference(t *testing.T) {
	const repo, digest = "111111111111.dkr.ecr.us-east-1.amazonaws.com/app", "sha256:9f86d081"
	for _, c := range []struct{ name, uri, resolved, wantURI, wantDigest string }{
		{name: "nothing"},
		{name: "blank", uri: " "},
		{"tag", repo + ":v1", "", repo + ":v1", ""},
		{"digest", repo + "@" + digest, "", repo + "@" + digest, digest},
		{"tag and digest", repo + ":v1@" + digest, "", repo + ":v1@" + digest, digest},
		{"resolved tag", repo + ":v1", repo + "@" + digest, repo + "@" + digest, digest},
		{"no digest after @", repo + "@", "", repo + "@", ""},
	} {
		code := types.FunctionCodeLocation{ImageUri: aws.String(c.uri)}
		if c.resolved != "" {
			code.ResolvedImageUri = aws.String(c.resolved)
		}
		uri, got := imageReference(&code)
		if aws.ToString(uri) != c.wantURI || aws.ToString(got) != c.wantDigest || (c.wantDigest == "") != (got == nil) {
			t.Errorf("%s: %q %q, want %q %q", c.name, aws.ToString(uri), aws.ToString(got), c.wantURI, c.wantDigest)
		}
	}
}

func TestNormalArchitecture(t *testing.T) {
	for in, want := range map[string]string{"": "", "x86_64": "amd64", "arm64": "arm64", "arm64 x86_64": "arm64", "riscv128": "unknown"} {
		if got := aws.ToString(normalArchitecture(strings.Fields(in))); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestUnqualified(t *testing.T) {
	const arn = "arn:aws:lambda:us-east-1:111111111111:function:f"
	for _, in := range []string{arn, arn + ":live", arn + ":7", arn + ":$LATEST"} {
		if got := unqualified(in); got != arn {
			t.Errorf("%s: %s", in, got)
		}
	}
	if got := unqualified(""); got != "" {
		t.Errorf("empty: %s", got)
	}
}

// rowSink keeps the rows of a cell by table, and what it lost.
type rowSink struct {
	mu     sync.Mutex
	rows   map[string][]map[string]any
	losses []error
}

func (s *rowSink) Put(t *kind.Table, r kind.Row) {
	seen.put(s, t, r)
	row := map[string]any{}
	for i, c := range t.Columns {
		row[c.Name] = r[i]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows == nil {
		s.rows = map[string][]map[string]any{}
	}
	s.rows[t.Name] = append(s.rows[t.Name], row)
}

func (s *rowSink) Lose(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.losses = append(s.losses, err)
}

// ids are the sorted ids of a table's rows.
func (s *rowSink) ids(table string) []string {
	var ids []string
	for _, row := range s.rows[table] {
		ids = append(ids, row["id"].(string))
	}
	slices.Sort(ids)
	return ids
}

// row is the row of that id; the test ends where there is none.
func (s *rowSink) row(t *testing.T, table, id string) map[string]any {
	t.Helper()
	for _, row := range s.rows[table] {
		if row["id"] == id {
			return row
		}
	}
	t.Fatalf("%s: no row %s", table, id)
	return nil
}

// lambdaARN names a function of the test's account.
func lambdaARN(name string) string { return "arn:aws:lambda:us-east-1:111111111111:function:" + name }

// fakeLambda answers for the functions open, closed, image, hidden (everything
// about it is denied) and deleted (nothing about it exists any more).
func fakeLambda(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, code string) {
		w.Header().Set("X-Amzn-ErrorType", code)
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"Message": "the test says %s"}`, code)
	}
	function := func(name, packageType string) string {
		return fmt.Sprintf(`{"FunctionArn": %q, "FunctionName": %q, "PackageType": %q, "Layers": [{"Arn": "layer:1", "CodeSize": 5}]}`, lambdaARN(name), name, packageType)
	}
	mapping := func(id, function string) string { return fmt.Sprintf(`{"UUID": %q, "FunctionArn": %q}`, id, function) }
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/") // 2015-03-31/functions/NAME/policy
	switch {
	case parts[1] == "event-source-mappings":
		fmt.Fprintf(w, `{"EventSourceMappings": [%s, %s, %s]}`,
			mapping("plain", lambdaARN("open")), mapping("alias", lambdaARN("open")+":live"), mapping("orphan", lambdaARN("long-gone")))
	case len(parts) == 2:
		fmt.Fprintf(w, `{"Functions": [%s, %s, %s, %s, %s]}`, function("open", "Zip"), function("closed", "Zip"),
			function("image", "Image"), function("hidden", "Image"), function("deleted", "Zip"))
	case parts[2] == "hidden":
		fail(http.StatusForbidden, "AccessDeniedException")
	case parts[2] == "deleted":
		fail(http.StatusNotFound, "ResourceNotFoundException")
	case len(parts) == 3:
		fmt.Fprint(w, `{"Code": {"ImageUri": "repo:v1", "ResolvedImageUri": "repo@sha256:1"}}`)
	case parts[3] == "aliases" && parts[2] == "open":
		fmt.Fprintf(w, `{"Aliases": [{"AliasArn": %q, "Name": "live"}]}`, lambdaARN("open")+":live")
	case parts[3] == "aliases":
		fmt.Fprint(w, `{"Aliases": []}`)
	case parts[2] == "open":
		fmt.Fprint(w, `{"Policy": "{\"Statement\": {\"Effect\": \"Allow\", \"Principal\": \"*\", \"Action\": \"lambda:InvokeFunction\"}}"}`)
	case parts[2] == "image":
		fmt.Fprint(w, `{"Policy": "{\"Statement\": []}"}`)
	default: // closed has no policy
		fail(http.StatusNotFound, "ResourceNotFoundException")
	}
}

// What one function denies costs only its own columns, what was deleted since
// the listing costs nothing, and what has no policy is no gap.
func TestLambdaFunctionsThatDenyOrVanish(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(fakeLambda))
	defer server.Close()
	var got rowSink
	at := &api.Cell{Account: "111111111111", Region: "us-east-1", Partition: "aws", Sink: &got, Config: noteCalls("lambda_function", aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	})}
	if err := api.Find("lambda_function").Collect(context.Background(), at); err != nil {
		t.Fatal(err)
	}

	want := []string{lambdaARN("closed"), lambdaARN("hidden"), lambdaARN("image"), lambdaARN("open")}
	if ids := got.ids("lambda_function"); !slices.Equal(ids, want) {
		t.Fatalf("functions %q, want %q", ids, want)
	}
	open := got.row(t, "lambda_function", lambdaARN("open"))
	if open["anonymous_access"] != true || !slices.Equal(open["anonymous_actions"].([]string), []string{"lambda:InvokeFunction"}) {
		t.Errorf("open: %v %v", open["anonymous_access"], open["anonymous_actions"])
	}
	closed := got.row(t, "lambda_function", lambdaARN("closed"))
	if closed["anonymous_access"] != nil || closed[kind.Unknown] != nil {
		t.Errorf("closed: access %v, unknown %v, want neither", closed["anonymous_access"], closed[kind.Unknown])
	}
	image := got.row(t, "lambda_function", lambdaARN("image"))
	if image["anonymous_access"] != false || image["image_uri"] != "repo@sha256:1" || image["image_digest"] != "sha256:1" {
		t.Errorf("image: %v %v %v", image["anonymous_access"], image["image_uri"], image["image_digest"])
	}
	hidden := got.row(t, "lambda_function", lambdaARN("hidden"))
	unknown := []string{"anonymous_access", "anonymous_actions", "image_digest", "image_uri"}
	if names, _ := hidden[kind.Unknown].([]string); !slices.Equal(names, unknown) {
		t.Errorf("hidden: unknown %q, want %q", names, unknown)
	}
	if len(got.losses) != 3 { // aliases, policy, image
		t.Errorf("%d losses, want 3: %v", len(got.losses), got.losses)
	}
	for _, err := range got.losses {
		if !api.Is(err, "AccessDeniedException") {
			t.Errorf("loss without its code: %v", err)
		}
	}

	// A mapping that calls an alias belongs to the function; one whose function
	// is gone belongs to nothing.
	if ids := got.ids("lambda_event_source_mapping"); !slices.Equal(ids, []string{"alias", "plain"}) {
		t.Errorf("mappings %q", ids)
	}
	if row := got.row(t, "lambda_event_source_mapping", "alias"); row["functionarn"] != lambdaARN("open")+":live" || row["_function"] != lambdaARN("open") {
		t.Errorf("mapping of an alias: %v of %v", row["functionarn"], row["_function"])
	}
	if row := got.row(t, "lambda_alias", lambdaARN("open")+":live"); row["functionarn"] != lambdaARN("open") {
		t.Errorf("alias of %v", row["functionarn"])
	}
	if n := len(got.rows["lambda_layer"]); n != 5 {
		t.Errorf("%d rows for the layer that five functions use, want 5 for the store to unite", n)
	}
}
