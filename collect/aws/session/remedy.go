package session

import (
	"errors"
	"os"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go"

	"snap/collect/aws/api"
	"snap/store"
)

// remedy is what to do about a cell of the account that is not complete,
// before it is collected again; "" where that is all there is to do. who is
// the caller's ARN, renew what gives the profile credentials again.
func remedy(o store.Outcome, who, renew string) string {
	switch {
	case o.Code == "Panic":
		return "this is a mistake in snap: please report it"
	case credentialCodes[o.Code]:
		return renew
	case states[o.Code] == store.Denied && o.State == store.Unsupported && strings.HasPrefix(o.Action, "organizations:"):
		return "collect the organization's management account too, with " + o.Action + " allowed"
	case states[o.Code] == store.Denied && o.State != store.Unsupported && o.Action != "":
		return "allow " + o.Action + principal(who)
	case o.Code == "RegionDisabled":
		return "enable the region in this account (aws account enable-region), or leave it out of --aws-regions"
	case o.Code == "OptInRequired", o.Code == "SubscriptionRequiredException":
		return "sign the account up for the service, or leave the sync out of --aws-requested-syncs"
	case o.Code == "Throttled", throttleCodesByName[o.Code]:
		return "wait until less else is going on in the account, or use --max-rps"
	case o.Code == "ReadTimeout", o.Code == "NoAnswer", o.Code == "Timeout", o.Code == "ConnectionRefused":
		return "see that the service's endpoint in the region can be reached from here; SNAP_AWS_READ_TIMEOUT allows slower answers"
	}
	return ""
}

// credentialCodes are the codes which say that the credentials are no longer
// good, or that there are none.
var credentialCodes = map[string]bool{
	"Credentials": true, "ExpiredToken": true, "ExpiredTokenException": true, "RequestExpired": true, "TokenRefreshRequired": true,
	"InvalidClientTokenId": true, "UnrecognizedClientException": true, "AuthFailure": true, "InvalidAccessKeyId": true, "SignatureDoesNotMatch": true,
}

// throttleCodesByName are the codes of being throttled that services document
// beside those of the SDK's list.
var throttleCodesByName = map[string]bool{
	"Throttling": true, "ThrottlingException": true, "ThrottledException": true, "RequestLimitExceeded": true, "SlowDown": true,
	"TooManyRequestsException": true, "RequestThrottled": true, "RequestThrottledException": true, "PriorRequestNotComplete": true,
}

// principal names who lacks a permission, by the caller's ARN.
func principal(who string) string {
	a, err := arn.Parse(who)
	if err != nil {
		return ""
	}
	parts := strings.Split(a.Resource, "/")
	switch {
	case parts[0] == "assumed-role" && len(parts) > 1:
		return " to role " + parts[1]
	case parts[0] == "user" && len(parts) > 1:
		return " to user " + parts[len(parts)-1]
	}
	return ""
}

// renewal is what gives a profile credentials again. It follows the profiles
// that it takes its credentials from.
func renewal(profile string, cfg aws.Config) string {
	var at config.SharedConfig
	env := false
	for _, source := range cfg.ConfigSources {
		switch s := source.(type) {
		case config.SharedConfig:
			at = s
		case config.EnvConfig:
			env = profile == "" && s.Credentials.HasKeys()
		}
	}
	if env {
		return "renew AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
	}
	for at.Source != nil {
		at = *at.Source
	}
	name := at.Profile
	if name == "" {
		name = profileName(profile)
	}
	if strings.ContainsAny(name, " \t'\"$") {
		name = "'" + name + "'"
	}
	switch {
	case at.SSOSessionName != "", at.SSOStartURL != "":
		return "run aws sso login --profile " + name
	case at.CredentialProcess != "":
		return "see that the credential_process of profile " + name + " gives credentials"
	case at.WebIdentityTokenFile != "":
		return "renew the token in " + at.WebIdentityTokenFile + " (profile " + name + ")"
	case at.CredentialSource != "":
		return "see that credential_source " + at.CredentialSource + " of profile " + name + " gives credentials"
	case at.Credentials.HasKeys():
		return "renew the access key of profile " + name
	case os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE") != "" && profile == "":
		return "renew the token in AWS_WEB_IDENTITY_TOKEN_FILE"
	}
	return "give profile " + name + " credentials (aws configure), or set AWS_PROFILE or AWS_ACCESS_KEY_ID"
}

// unresolved says why a profile leads to no account, and what to do about it.
func unresolved(profile string, cfg aws.Config, err error) store.Unresolved {
	u := store.Unresolved{Profile: profileName(profile), Error: explain(err)}
	op := credentialsOperation(err)
	switch {
	case op != nil && op.Operation() == "AssumeRole" && states[api.Code(err)] == store.Denied:
		u.Remedy = "allow sts:AssumeRole of the profile's role_arn, in its trust policy and to who assumes it"
	case cfg.ConfigSources == nil: // the profile cannot be understood: the error says what of it
	default:
		u.Remedy = renewal(profile, cfg)
	}
	return u
}

// credentialsOperation is the operation that was to give credentials, where an
// error comes from there; nil for other errors.
func credentialsOperation(err error) *smithy.OperationError {
	var op *smithy.OperationError
	for errors.As(err, &op) {
		switch op.Operation() {
		case "AssumeRole", "AssumeRoleWithWebIdentity", "AssumeRoleWithSAML", "GetRoleCredentials", "CreateToken", "GetMetadata":
			return op
		}
		err = op.Err
	}
	return nil
}
