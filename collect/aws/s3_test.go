package aws

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"snap/collect/aws/api"
)

// s3Answers is a fake S3: answers by "METHOD /path?query", queries sorted;
// "code NAME" is an error, and what has no answer is denied.
type s3Answers map[string]string

func (a s3Answers) collect(t *testing.T) (*rowSink, map[string]string, error) {
	t.Helper()
	var mu sync.Mutex
	signed := map[string]string{} // request → the region that it was signed for
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		q.Del("x-id")
		name := strings.TrimSuffix(r.Method+" "+r.URL.Path+"?"+strings.TrimSuffix(q.Encode(), "="), "?")
		mu.Lock()
		if _, again := signed[name]; again {
			t.Errorf("%s: called twice", name)
		}
		signed[name] = strings.Split(r.Header.Get("Authorization"), "/")[2]
		mu.Unlock()
		answer, ok := a[name]
		if region, found := strings.CutPrefix(answer, "region "); found {
			w.Header().Set("x-amz-bucket-region", region)
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if !ok {
			answer = "code AccessDenied"
		}
		if code, failed := strings.CutPrefix(answer, "code "); failed {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
			return
		}
		fmt.Fprint(w, answer)
	}))
	defer server.Close()
	sink := &rowSink{}
	at := &api.Cell{Account: "111111111111", Region: "us-east-1", Partition: "aws-cn", Sink: sink, Config: noteCalls("s3", aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL), HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("k", "s", ""), RetryMaxAttempts: 1,
	})}
	err := api.Find("s3").Collect(context.Background(), at)
	for _, rows := range sink.rows {
		for _, row := range rows {
			maps.DeleteFunc(row, func(_ string, v any) bool { return v == nil })
		}
	}
	return sink, signed, err
}

// all sets the answers of one bucket's sub-calls.
func (a s3Answers) all(bucket string, answers [8]string) {
	for i, sub := range [8]string{"acl", "policy", "encryption", "versioning", "publicAccessBlock", "ownershipControls", "logging", "notification"} {
		a["GET /"+bucket+"?"+sub] = answers[i]
	}
}

const s3Listed = `<ListAllMyBucketsResult><Buckets><Bucket><Name>%s</Name><BucketRegion>%s</BucketRegion><CreationDate>2024-01-02T03:04:05.000Z</CreationDate></Bucket></Buckets>%s</ListAllMyBucketsResult>`

func TestS3Bucket(t *testing.T) {
	a := s3Answers{
		"GET /?max-buckets=1000":                        fmt.Sprintf(s3Listed, "full", "eu-west-1", "<ContinuationToken>two</ContinuationToken>"),
		"GET /?continuation-token=two&max-buckets=1000": fmt.Sprintf(s3Listed, "bare", "us-east-1", ""),
	}
	grant := `<AccessControlPolicy><Owner><ID>o1</ID></Owner><AccessControlList>` +
		`<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>o1</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant>` +
		`<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="AmazonCustomerByEmail"><EmailAddress>x@example.com</EmailAddress></Grantee><Permission>READ</Permission></Grant>` +
		`</AccessControlList></AccessControlPolicy>`
	a.all("full", [8]string{
		grant,
		`{"Version": "2012-10-17", "Statement": [{"Sid": "a", "Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": ["x"]}]}`,
		`<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>`,
		`<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Disabled</MfaDelete></VersioningConfiguration>`,
		`<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls><IgnorePublicAcls>false</IgnorePublicAcls></PublicAccessBlockConfiguration>`,
		`<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule></OwnershipControls>`,
		`<BucketLoggingStatus><LoggingEnabled><TargetBucket>logs</TargetBucket><TargetPrefix>p</TargetPrefix></LoggingEnabled></BucketLoggingStatus>`,
		`<NotificationConfiguration><TopicConfiguration><Topic>arn:t</Topic><Event>s3:ObjectCreated:*</Event></TopicConfiguration></NotificationConfiguration>`,
	})
	a.all("bare", [8]string{
		grant, "code NoSuchBucketPolicy", "code ServerSideEncryptionConfigurationNotFoundError", `<VersioningConfiguration/>`,
		"code NoSuchPublicAccessBlockConfiguration", "code OwnershipControlsNotFoundError", `<BucketLoggingStatus/>`, `<NotificationConfiguration/>`,
	})
	sink, signed, err := a.collect(t)
	if err != nil || len(sink.losses) > 0 {
		t.Fatalf("%v, lost %q", err, sink.losses)
	}
	if len(signed) != 2+2*8 {
		t.Errorf("%d calls: %v", len(signed), signed)
	}
	for name, region := range signed {
		want := "us-east-1"
		if strings.HasPrefix(name, "GET /full") {
			want = "eu-west-1"
		}
		if region != want {
			t.Errorf("%s went to %s, want %s", name, region, want)
		}
	}
	acl := "bd5543544c17dbd0d7ae459def957ec389354c5979c6d11bb49c2fb8bcb8dc4c"
	want := map[string][]map[string]any{
		"s3_bucket": {{
			"id": "full", "name": "full", "region": "eu-west-1", "arn": "arn:aws-cn:s3:::full", "creationdate": "2024-01-02 03:04:05+00:00",
			"anonymous_access": true, "anonymous_actions": []string{"s3:GetObject"},
			"default_encryption": true, "encryption_algorithm": "aws:kms", "encryption_key_id": "k", "bucket_key_enabled": true,
			"versioning_status": "Enabled", "mfa_delete": "Disabled", "block_public_acls": true, "ignore_public_acls": false,
			"object_ownership": "ObjectWriter", "logging_enabled": true, "logging_target_bucket": "logs",
		}, {
			"id": "bare", "name": "bare", "region": "us-east-1", "arn": "arn:aws-cn:s3:::bare", "creationdate": "2024-01-02 03:04:05+00:00",
			"anonymous_access": false, "anonymous_actions": []string{}, "default_encryption": false, "logging_enabled": false,
		}},
		"s3_acl": {
			{"id": acl, "ownerid": "o1", "type": "CanonicalUser", "granteeid": "o1", "permission": "FULL_CONTROL", "_buckets": []string{"full"}},
			{"id": acl, "ownerid": "o1", "type": "CanonicalUser", "granteeid": "o1", "permission": "FULL_CONTROL", "_buckets": []string{"bare"}},
		},
		"s3_policy_statement": {{
			"id": "full/policy_statement/1/a", "policy_version": "2012-10-17", "bucket": "full", "sid": "a", "effect": "Allow",
			"action": []string{"s3:GetObject"}, "resource": []string{"x"}, "principal": `"*"`, "_action_bare": true, "_resource_bare": false,
		}},
		"s3_bucket_notification": {{"bucket": "full", "topic_arn": "arn:t"}},
	}
	if !reflect.DeepEqual(sink.rows, want) {
		t.Errorf("got  %v\nwant %v", sink.rows, want)
	}
}

func TestS3Refused(t *testing.T) {
	a := s3Answers{
		"GET /?max-buckets=1000": `<ListAllMyBucketsResult><Buckets><Bucket><Name>denied</Name></Bucket><Bucket><Name>gone</Name></Bucket><Bucket><Name>lost</Name></Bucket></Buckets></ListAllMyBucketsResult>`,
		"HEAD /denied":           "region eu-west-1",
		"GET /denied?versioning": `<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>`,
		"GET /denied?policy":     `{"Statement": ["broken"]}`,
		"HEAD /gone":             "code NoSuchBucket",
		"GET /gone?logging":      "code NoSuchBucket",
	}
	sink, signed, err := a.collect(t)
	if err != nil {
		t.Fatal(err)
	}
	if got := signed["GET /denied?acl"]; got != "eu-west-1" {
		t.Errorf("the refusal named eu-west-1, the calls went to %s", got)
	}
	unknown := []string{
		"anonymous_access", "anonymous_actions", "block_public_acls", "block_public_policy", "bucket_key_enabled", "default_encryption",
		"encryption_algorithm", "encryption_key_id", "ignore_public_acls", "logging_enabled", "logging_target_bucket", "mfa_delete",
		"object_ownership", "region", "restrict_public_buckets", "versioning_status",
	}
	var readable []string // what is unknown of "denied": its region and versioning were read
	for _, c := range unknown {
		if c != "region" && c != "mfa_delete" && c != "versioning_status" {
			readable = append(readable, c)
		}
	}
	want := map[string][]map[string]any{"s3_bucket": {
		{"id": "denied", "name": "denied", "region": "eu-west-1", "arn": "arn:aws-cn:s3:::denied", "versioning_status": "Suspended", "_unknown": readable},
		{"id": "lost", "name": "lost", "arn": "arn:aws-cn:s3:::lost", "_unknown": unknown},
	}}
	if !reflect.DeepEqual(sink.rows, want) {
		t.Errorf("got  %v\nwant %v", sink.rows, want)
	}
	if len(sink.losses) != 7+9 { // all but versioning; all and the region
		t.Errorf("%d lost: %q", len(sink.losses), sink.losses)
	}
	for _, loss := range sink.losses {
		text := loss.Error()
		if !strings.HasPrefix(text, "bucket denied: ") && !strings.HasPrefix(text, "bucket lost: ") {
			t.Errorf("lost %q does not say where", text)
		}
	}
}

func TestS3Unlisted(t *testing.T) {
	a := s3Answers{"GET /?max-buckets=1000": fmt.Sprintf(s3Listed, "b", "us-east-1", "<ContinuationToken>two</ContinuationToken>")}
	sink, _, err := a.collect(t)
	if !api.Is(err, "AccessDenied") {
		t.Errorf("the second page was denied, the cell ends with %v", err)
	}
	if len(sink.rows["s3_bucket"]) != 1 {
		t.Errorf("the first page's bucket: %v", sink.rows)
	}
}

func TestS3Grant(t *testing.T) {
	owner := &types.Owner{DisplayName: aws.String("webfile"), ID: aws.String("75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a")}
	for _, c := range []struct {
		account, want string
		owner         *types.Owner
		grant         types.Grant
	}{
		{"111111111111", "0b9dbb10ecf7b2b747718f05950c4974dd32f2444abc8d5fd1b152148f8e98ed", owner, types.Grant{Permission: "FULL_CONTROL", Grantee: &types.Grantee{Type: types.TypeCanonicalUser, ID: owner.ID, URI: aws.String("not looked at")}}},
		{"111111111111", "e0351712f23c704d030499588b0aadcf3148ef6b061cbe8a16fe54c073121512", owner, types.Grant{Permission: "READ", Grantee: &types.Grantee{Type: types.TypeGroup, URI: aws.String("http://acs.amazonaws.com/groups/global/AllUsers"), DisplayName: aws.String("not looked at")}}},
		{"111111111111", "c5ed7bdd14b7c43673eebe34e2ad868604a8137ebcff8b106ac6deae0f497e0f", nil, types.Grant{Grantee: &types.Grantee{Type: types.TypeGroup}}},
		{"111111111111", "", owner, types.Grant{Permission: "READ", Grantee: &types.Grantee{Type: types.TypeAmazonCustomerByEmail}}},
		{"111111111111", "", owner, types.Grant{Permission: "READ"}},
	} {
		got, ok := s3Grant(c.account, c.owner, c.grant)
		if ok != (c.want != "") || got.ID != c.want {
			t.Errorf("%+v: id %q, want %q", c.grant, got.ID, c.want)
		}
	}
}

func TestS3Statements(t *testing.T) {
	got, err := s3Statements("b", `{"Id": "é", "Statement": {"Effect": "Deny", "NotPrincipal": {"AWS": "x"}, "NotAction": "s3:*", "NotResource": "r",
		"Condition": {"StringLike": {"b": ["1", true], "a": "ü"}}}}`)
	condition := `{"StringLike": {"b": ["1", true], "a": "\u00fc"}}`
	want := []s3PolicyStatement{{ID: "b/policy_statement/1", PolicyID: aws.String("é"), Bucket: "b", Effect: aws.String("Deny"), Condition: &condition}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	got, err = s3Statements("b", `{"Statement": [{"Sid": "", "Action": [], "Principal": {}}, {"Action": ["a"], "Resource": "r"}]}`)
	empty := "{}"
	want = []s3PolicyStatement{
		{ID: "b/policy_statement/1/", Bucket: "b", SID: aws.String(""), Action: []string{}, Principal: &empty},
		{ID: "b/policy_statement/2", Bucket: "b", Action: []string{"a"}, Resource: []string{"r"}, ResourceBare: true},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	if got, err := s3Statements("b", `{"Statement": "x"}`); err == nil {
		t.Errorf("got %+v, want an error", got)
	}
}

func TestS3Anonymous(t *testing.T) {
	everyone := aws.String("http://acs.amazonaws.com/groups/global/AllUsers")
	yes, no := aws.Bool(true), aws.Bool(false)
	for name, test := range map[string]struct {
		policy              *bool
		actions             []string
		grants              []s3ACL
		aclRead, policyRead bool
		access              *bool
		want, unknown       []string
	}{
		"neither":              {no, []string{}, nil, true, true, no, []string{}, nil},
		"policy":               {yes, []string{"s3:GetObject"}, nil, true, true, yes, []string{"s3:GetObject"}, nil},
		"list":                 {no, []string{}, []s3ACL{{URI: everyone, Permission: aws.String("WRITE")}}, true, true, yes, []string{"s3:PutObject"}, nil},
		"both, each once":      {yes, []string{"s3:PutObject"}, []s3ACL{{URI: everyone, Permission: aws.String("WRITE")}}, true, true, yes, []string{"s3:PutObject"}, nil},
		"logs may write":       {no, []string{}, []s3ACL{{URI: aws.String("http://acs.amazonaws.com/groups/s3/LogDelivery"), Permission: aws.String("WRITE")}}, true, true, no, []string{}, nil},
		"list denied":          {no, []string{}, nil, false, true, nil, nil, []string{"anonymous_actions", "anonymous_access"}},
		"list denied, policy":  {yes, []string{"s3:*"}, nil, false, true, yes, nil, []string{"anonymous_actions"}},
		"policy denied":        {nil, nil, nil, true, false, nil, nil, []string{"anonymous_actions", "anonymous_access"}},
		"policy denied, list":  {nil, nil, []s3ACL{{URI: everyone, Permission: aws.String("READ")}}, true, false, yes, nil, []string{"anonymous_actions"}},
		"both denied":          {nil, nil, nil, false, false, nil, nil, []string{"anonymous_actions", "anonymous_access"}},
		"an account's own key": {no, []string{}, []s3ACL{{GranteeID: aws.String("abc"), Permission: aws.String("FULL_CONTROL")}}, true, true, no, []string{}, nil},
	} {
		r := &s3Read{row: s3Bucket{AnonymousAccess: test.policy, AnonymousActions: test.actions}, acls: test.grants}
		r.anonymous(test.aclRead, test.policyRead)
		if !reflect.DeepEqual(r.row.AnonymousAccess, test.access) || !reflect.DeepEqual(r.row.AnonymousActions, test.want) || !reflect.DeepEqual(r.row.Columns, test.unknown) {
			t.Errorf("%s: %v %q, unknown %q; want %v %q, unknown %q", name, r.row.AnonymousAccess, r.row.AnonymousActions, r.row.Columns, test.access, test.want, test.unknown)
		}
	}
}
