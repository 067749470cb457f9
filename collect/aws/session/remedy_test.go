package session

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"snap/collect/aws/api"
	"snap/store"
)

const profilesOfAllKinds = `
[profile hub]
sso_session = corp
sso_account_id = 111111111111
sso_role_name = audit
[sso-session corp]
sso_start_url = https://corp.example.com/start
sso_region = us-east-1
[profile prod]
role_arn = arn:aws:iam::222222222222:role/audit
source_profile = hub
[profile chained]
role_arn = arn:aws:iam::333333333333:role/audit
source_profile = prod
[profile vault]
credential_process = /usr/bin/vault aws
[profile on a machine]
role_arn = arn:aws:iam::222222222222:role/audit
credential_source = Ec2InstanceMetadata
[profile web]
role_arn = arn:aws:iam::222222222222:role/audit
web_identity_token_file = /run/token
[profile keys]
aws_access_key_id = AKIAEXAMPLE
aws_secret_access_key = secret
[profile empty]
region = us-east-1
`

// What gives a profile credentials again is found where it takes them from.
func TestRenewalOfProfiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config")
	if err := os.WriteFile(file, []byte(profilesOfAllKinds), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CONFIG_FILE", file)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "none"))
	for _, name := range []string{"AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE"} {
		t.Setenv(name, "")
	}
	q := newRequests(Settings{})
	for profile, want := range map[string]string{
		"hub":          "run aws sso login --profile hub",
		"prod":         "run aws sso login --profile hub",
		"chained":      "run aws sso login --profile hub",
		"vault":        "see that the credential_process of profile vault gives credentials",
		"on a machine": "see that credential_source Ec2InstanceMetadata of profile 'on a machine' gives credentials",
		"web":          "renew the token in /run/token (profile web)",
		"keys":         "renew the access key of profile keys",
		"empty":        "give profile empty credentials (aws configure), or set AWS_PROFILE or AWS_ACCESS_KEY_ID",
	} {
		cfg, err := load(t.Context(), profile, q)
		if err != nil {
			t.Errorf("%s: %v", profile, err)
			continue
		}
		if got := renewal(profile, cfg); got != want {
			t.Errorf("%s: %q; want %q", profile, got, want)
		}
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	cfg, err := load(t.Context(), "", q)
	if got := renewal("", cfg); err != nil || !strings.HasPrefix(got, "renew AWS_ACCESS_KEY_ID") {
		t.Errorf("of the environment: %q, %v", got, err)
	}
}

func TestRemedy(t *testing.T) {
	const who = "arn:aws:sts::222222222222:assumed-role/audit/me"
	for _, test := range []struct {
		o    store.Outcome
		want string
	}{
		{store.Outcome{State: store.Denied, Code: "AccessDenied", Action: "s3:GetBucketPolicy"}, "allow s3:GetBucketPolicy to role audit"},
		{store.Outcome{State: store.Partial, Code: "UnauthorizedOperation", Action: "ec2:DescribeVpcs"}, "allow ec2:DescribeVpcs to role audit"},
		{store.Outcome{State: store.Unsupported, Code: "AccessDeniedException", Action: "organizations:ListRoots"}, "collect the organization's management account too, with organizations:ListRoots allowed"},
		{store.Outcome{State: store.Failed, Code: "ExpiredToken", Action: "s3:ListBuckets"}, "RENEW"},
		{store.Outcome{State: store.Failed, Code: "Credentials"}, "RENEW"},
		{store.Outcome{State: store.Unsupported, Code: "RegionDisabled"}, "enable the region in this account (aws account enable-region), or leave it out of --aws-regions"},
		{store.Outcome{State: store.Unsupported, Code: "OptInRequired"}, "sign the account up for the service, or leave the sync out of --aws-requested-syncs"},
		{store.Outcome{State: store.Failed, Code: "ThrottlingException"}, "wait until less else is going on in the account, or use --max-rps"},
		{store.Outcome{State: store.Failed, Code: "NoAnswer"}, "see that the service's endpoint in the region can be reached from here; SNAP_AWS_READ_TIMEOUT allows slower answers"},
		{store.Outcome{State: store.Failed, Code: "InternalError"}, ""},
	} {
		if got := remedy(test.o, who, "RENEW"); got != test.want {
			t.Errorf("%s %s: %q; want %q", test.o.State, test.o.Code, got, test.want)
		}
	}
	for arn, want := range map[string]string{
		"arn:aws:iam::111111111111:user/team/jane": " to user jane", "arn:aws:iam::111111111111:root": "", "": "",
	} {
		if got := principal(arn); got != want {
			t.Errorf("principal(%s) = %q; want %q", arn, got, want)
		}
	}
}

// Not being given credentials is not being denied what they were for.
func TestNoCredentialsIsNotDenied(t *testing.T) {
	sync := &api.Sync{Name: "s3", Calls: []string{"s3:ListBuckets as s3:ListAllMyBuckets"}}
	inner := &smithy.OperationError{ServiceID: "STS", OperationName: "AssumeRole", Err: &smithy.GenericAPIError{Code: "AccessDenied", Message: "not authorized"}}
	err := &smithy.OperationError{ServiceID: "S3", OperationName: "ListBuckets", Err: fmt.Errorf("get identity: get credentials: failed to refresh cached credentials, %w", inner)}
	got := meaning(sync, err)
	if got.State != store.Failed || got.Code != "Credentials" || got.Action != "sts:AssumeRole" {
		t.Errorf("%+v; want failed for want of credentials", got)
	}
	if u := unresolved("prod", aws.Config{}, inner); !strings.HasPrefix(u.Remedy, "allow sts:AssumeRole") {
		t.Errorf("unresolved: %+v", u)
	}
}
