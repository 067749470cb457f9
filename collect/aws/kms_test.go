package aws

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"snap/collect/aws/api"
)

// fakeKMS answers by "Operation KeyId"; what it does not know is denied.
type fakeKMS map[string]string

func (f fakeKMS) collect(t *testing.T) (*rowSink, error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var in struct{ KeyId string }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			t.Error(err)
		}
		_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
		answer, ok := f[strings.TrimSpace(operation+" "+in.KeyId)]
		if !ok {
			answer = "NOT AccessDeniedException"
		}
		if code, failed := strings.CutPrefix(answer, "NOT "); failed {
			w.WriteHeader(http.StatusBadRequest)
			answer = fmt.Sprintf(`{"__type": %q}`, code)
		}
		fmt.Fprint(w, answer)
	}))
	defer server.Close()
	sink := &rowSink{}
	at := &api.Cell{Account: "111111111111", Region: "eu-west-1", Partition: "aws", Sink: sink, Config: noteCalls("kms", aws.Config{
		Region: "eu-west-1", BaseEndpoint: aws.String(server.URL), HTTPClient: server.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("k", "s", ""), RetryMaxAttempts: 1,
	})}
	return sink, api.Find("kms").Collect(context.Background(), at)
}

func TestKMSDeniedAndGone(t *testing.T) {
	sink, err := fakeKMS{
		"ListKeys": `{"Keys": [{"KeyId": "open", "KeyArn": "arn:open"}, {"KeyId": "shut", "KeyArn": "arn:shut"}, {"KeyId": "gone", "KeyArn": "arn:gone"}]}`,
		"ListAliases": `{"Aliases": [{"AliasArn": "arn:alias/a", "AliasName": "alias/a", "TargetKeyId": "shut", "CreationDate": 1704844800.5},
			{"AliasArn": "arn:alias/aws/s3", "AliasName": "alias/aws/s3"}, {"AliasArn": "arn:alias/aws/ebs", "AliasName": "alias/aws/ebs", "TargetKeyId": "other"}]}`,
		"DescribeKey open":  `{"KeyMetadata": {"KeyId": "open", "Arn": "arn:open", "Enabled": true, "CreationDate": 1704844800.5, "SigningAlgorithms": ["ECDSA_SHA_256"]}}`,
		"GetKeyPolicy open": `{"Policy": "{\"Statement\": {\"Effect\": \"Allow\", \"Principal\": \"*\", \"Action\": \"kms:Decrypt\"}}"}`,
		"ListGrants open":   `{"Grants": [{"GrantId": "g", "KeyId": "arn:open", "Operations": ["Decrypt"]}]}`,
		"DescribeKey gone":  `{"KeyMetadata": {"KeyId": "gone", "Arn": "arn:gone"}}`,
		"GetKeyPolicy gone": `NOT NotFoundException`,
		"ListGrants gone":   `NOT NotFoundException`,
	}.collect(t)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := sink.ids("kms_key"), []string{"open", "shut"}; !reflect.DeepEqual(got, want) {
		t.Errorf("keys %q, want %q", got, want)
	}
	open := sink.row(t, "kms_key", "open")
	for column, want := range map[string]any{
		"arn": "arn:open", "enabled": true, "creation_date": int64(1704844800), "region": "eu-west-1", "anonymous_access": true,
		"anonymous_actions": []string{"kms:Decrypt"}, "signing_algorithms": []string{"ECDSA_SHA_256"}, "encryption_algorithms": nil, "_unknown": nil,
	} {
		if !reflect.DeepEqual(open[column], want) {
			t.Errorf("open: %s is %#v, want %#v", column, open[column], want)
		}
	}
	shut := sink.row(t, "kms_key", "shut")
	if unknown := shut["_unknown"].([]string); len(unknown) != len(kmsDescribed)+2 || shut["enabled"] != nil || shut["arn"] != "arn:shut" || shut["region"] != "eu-west-1" {
		t.Errorf("shut: %v", shut)
	}
	if len(sink.losses) != 3 || !strings.HasPrefix(sink.losses[0].Error(), "key shut: ") {
		t.Errorf("lost %v", sink.losses)
	}
	if got, want := sink.ids("kms_alias"), []string{"arn:alias/a"}; !reflect.DeepEqual(got, want) {
		t.Errorf("aliases %q, want %q", got, want)
	}
	if got, want := sink.ids("kms_grant"), []string{"g"}; !reflect.DeepEqual(got, want) {
		t.Errorf("grants %q, want %q", got, want)
	}
}

func TestKMSListDenied(t *testing.T) {
	sink, err := fakeKMS{
		"ListKeys":       `{"Keys": [{"KeyId": "k", "KeyArn": "arn:k"}]}`,
		"DescribeKey k":  `{"KeyMetadata": {"KeyId": "k", "Arn": "arn:k"}}`,
		"GetKeyPolicy k": `{"Policy": "{}"}`,
		"ListGrants k":   `{"Grants": []}`,
	}.collect(t)
	if !api.Is(err, "AccessDeniedException") || len(sink.ids("kms_key")) != 1 {
		t.Errorf("aliases denied: %v, keys %v", err, sink.rows["kms_key"])
	}
}

// kmsDescribed must be what DescribeKey alone fills.
func TestKMSDescribed(t *testing.T) {
	var want []string
	rt := reflect.TypeFor[kmsKey]()
	for i := range rt.NumField() {
		f := rt.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("snap"), ",")
		if f.Tag.Get("from") != "" && name != "id" && name != "key_id" && name != "arn" {
			want = append(want, name)
		}
	}
	if !reflect.DeepEqual(kmsDescribed, want) {
		t.Errorf("kmsDescribed is %q, the row's columns %q", kmsDescribed, want)
	}
}
