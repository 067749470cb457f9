package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/smithy-go"

	"snap/collect"
	"snap/collect/aws/api"
	"snap/store"
)

func TestProfiles(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"config": "# a comment with [profile no]\n[default]\nregion = us-east-1\n\n[ profile  prod ]\nrole_arn = x\n[profile \"two words\"] # why not\n" +
			"[sso-session corp]\n[services local]\n[profile prod]\n  [profile indented]\n[stray]\n[profile unclosed\n",
		"credentials": "[default]\n[ci]\naws_access_key_id = AKIA\n[prod]\n",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "credentials"))
	got, err := Profiles()
	want := []string{"default", "prod", "two words", "indented", "ci"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("Profiles() = %q, %v; want %q", got, err, want)
	}

	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "none"))
	if got, err := Profiles(); err != nil || got != nil {
		t.Errorf("without files Profiles() = %q, %v; want none", got, err)
	}
}

func TestSettingsFromEnv(t *testing.T) {
	for _, test := range []struct {
		env     map[string]string
		want    Settings
		problem string
	}{
		{nil, Settings{Retries: 3, ReadTimeout: 120e9, Patience: 300e9}, ""},
		{map[string]string{"CARTOGRAPHY_AWS_MAX_ATTEMPTS": "7", "CARTOGRAPHY_AWS_READ_TIMEOUT": "5", "CARTOGRAPHY_AWS_RETRY_MODE": "Adaptive"}, Settings{Retries: 7, ReadTimeout: 5e9, Patience: 300e9}, ""},
		{map[string]string{"CARTOGRAPHY_AWS_MAX_ATTEMPTS": "7", "SNAP_AWS_MAX_ATTEMPTS": "2", "SNAP_AWS_RETRY_MODE": "legacy"}, Settings{Retries: 2, ReadTimeout: 120e9, Patience: 300e9}, ""},
		{map[string]string{"CARTOGRAPHY_AWS_MAX_ATTEMPTS": "0"}, Settings{}, `CARTOGRAPHY_AWS_MAX_ATTEMPTS is "0"`},
		{map[string]string{"SNAP_AWS_READ_TIMEOUT": "soon"}, Settings{}, `SNAP_AWS_READ_TIMEOUT is "soon"`},
		{map[string]string{"CARTOGRAPHY_AWS_RETRY_MODE": "bold"}, Settings{}, "use standard, adaptive or legacy"},
	} {
		for _, name := range []string{"MAX_ATTEMPTS", "READ_TIMEOUT", "RETRY_MODE"} {
			t.Setenv("CARTOGRAPHY_AWS_"+name, test.env["CARTOGRAPHY_AWS_"+name])
			t.Setenv("SNAP_AWS_"+name, test.env["SNAP_AWS_"+name])
		}
		got, err := SettingsFromEnv()
		if test.problem != "" {
			if err == nil || !strings.Contains(err.Error(), test.problem) {
				t.Errorf("%v: error %v; want %q in it", test.env, err, test.problem)
			}
			continue
		}
		if err != nil || got != test.want {
			t.Errorf("%v: %+v, %v; want %+v", test.env, got, err, test.want)
		}
	}
}

func TestMeaning(t *testing.T) {
	sync := &api.Sync{Name: "s3", Calls: []string{"s3:ListBuckets as s3:ListAllMyBuckets"}}
	operation := func(err error) error {
		return &smithy.OperationError{ServiceID: "S3", OperationName: "ListBuckets", Err: err}
	}
	coded := func(code string) error {
		return operation(&smithy.GenericAPIError{Code: code, Message: "because"})
	}
	for _, test := range []struct {
		err    error
		state  store.State
		code   string
		action string
	}{
		{coded("AccessDenied"), store.Denied, "AccessDenied", "s3:ListAllMyBuckets"},
		{coded("UnauthorizedOperation"), store.Denied, "UnauthorizedOperation", "s3:ListAllMyBuckets"},
		{coded("OptInRequired"), store.Unsupported, "OptInRequired", "s3:ListAllMyBuckets"},
		{coded("SlowDown"), store.Failed, "SlowDown", "s3:ListAllMyBuckets"},
		{coded("ExpiredToken"), store.Failed, "ExpiredToken", "s3:ListAllMyBuckets"},
		{operation(&errReadTimeout{1e9}), store.Failed, "ReadTimeout", "s3:ListAllMyBuckets"},
		{operation(&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}), store.Failed, "ConnectionReset", "s3:ListAllMyBuckets"},
		{operation(&net.DNSError{Name: "iot.xx-1.amazonaws.com", IsNotFound: true}), store.Unsupported, "NoSuchHost", "s3:ListAllMyBuckets"},
		{operation(&net.DNSError{Name: "iot.xx-1.amazonaws.com", IsTemporary: true}), store.Failed, "NoSuchHost", "s3:ListAllMyBuckets"},
		{operation(fmt.Errorf("reading: %w", io.ErrUnexpectedEOF)), store.Failed, "AnswerTruncated", "s3:ListAllMyBuckets"},
		{operation(context.Canceled), store.Failed, "Canceled", "s3:ListAllMyBuckets"},
		{&collect.Panicked{Value: "index out of range"}, store.Failed, "Panic", ""},
		{errors.New("the continuation token repeats"), store.Failed, "Error", ""},
		{&smithy.OperationError{ServiceID: "Elastic Load Balancing v2", OperationName: "DescribeRules", Err: &smithy.GenericAPIError{Code: "AccessDenied"}}, store.Denied, "AccessDenied", "elasticloadbalancing:DescribeRules"},
	} {
		got := meaning(sync, test.err)
		if got.State != test.state || got.Code != test.code || got.Action != test.action {
			t.Errorf("%v: %s %s %s; want %s %s %s", test.err, got.State, got.Code, got.Action, test.state, test.code, test.action)
		}
	}
}

func TestWithoutAccount(t *testing.T) {
	for address, want := range map[string]string{
		"111111111111.127.0.0.1:5100":                             "127.0.0.1:5100",
		"111111111111.localhost:5100":                             "localhost:5100",
		"111111111111.s3-control.eu-west-1.amazonaws.com:443":     "111111111111.s3-control.eu-west-1.amazonaws.com:443",
		"127.0.0.1:5100":                                          "127.0.0.1:5100",
		"s3.us-east-1.amazonaws.com:443":                          "s3.us-east-1.amazonaws.com:443",
		"111111111111.s3-control.us-gov-west-1.amazonaws.com:443": "111111111111.s3-control.us-gov-west-1.amazonaws.com:443",
	} {
		if got := withoutAccount(address); got != want {
			t.Errorf("withoutAccount(%s) = %s; want %s", address, got, want)
		}
	}
}
