package aws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"snap/collect/aws/api"
	"snap/store/kind"
	"snap/store/pyjson"
)

// iamUser is an IAM user. It is read from an iamPrincipal, as are groups and
// roles.
type iamUser struct {
	ID               string     `snap:"id,key" from:"Detail.Arn" doc:"its ARN"`
	ARN              *string    `snap:"arn,index" from:"Detail.Arn"`
	UserID           *string    `snap:"userid,index" from:"Detail.UserId" doc:"identifies it for good, 'AIDA…', also after its name is used again"`
	Name             *string    `snap:"name" from:"Detail.UserName" doc:"its name, unique within the account"`
	Path             *string    `snap:"path" from:"Detail.Path" doc:"where it is filed, '/' or '/team/'"`
	CreateDate       *string    `snap:"createdate" from:"Detail.CreateDate" as:"text" doc:"when it was made, as text"`
	CreateTime       *time.Time `snap:"createdate_dt" from:"Detail.CreateDate" doc:"when it was made"`
	PasswordLastUsed string     `snap:"passwordlastused,volatile" from:"Detail.PasswordLastUsed" as:"text" doc:"when it last signed in with its password, as text; empty: never, or it has none"`
	PasswordUseTime  *time.Time `snap:"passwordlastused_dt,volatile" from:"Detail.PasswordLastUsed" doc:"when it last signed in with its password"`

	AccessedService   *string `snap:"last_accessed_service_name,volatile" from:"Access.ServiceName" doc:"the service that it used last"`
	AccessedNamespace *string `snap:"last_accessed_service_namespace,volatile" from:"Access.ServiceNamespace" doc:"that service as policies name it, such as 's3'"`
	AccessedAt        *string `snap:"last_authenticated,volatile" from:"Access.LastAuthenticated" as:"text" doc:"when it used that service, as text"`
	AccessedBy        *string `snap:"last_authenticated_entity,volatile" from:"Access.LastAuthenticatedEntity" doc:"the ARN of who used it"`
	AccessedIn        *string `snap:"last_authenticated_region,volatile" from:"Access.LastAuthenticatedRegion" doc:"the region where it was used"`

	kind.Gaps
}

var iamUsers = kind.Of[iamUser](kind.Table{
	Name: "iam_user", Label: "AWSUser", Aliases: []string{"AWSPrincipal", "UserAccount"},
	Doc:      "An IAM user.",
	Ontology: kind.Ontology{"username": kind.Same("name")},
})

// iamGroup is a group of users.
type iamGroup struct {
	ID         string     `snap:"id,key" from:"Detail.Arn" doc:"its ARN"`
	ARN        *string    `snap:"arn,index" from:"Detail.Arn"`
	GroupID    *string    `snap:"groupid" from:"Detail.GroupId" doc:"identifies it for good, 'AGPA…'"`
	Name       *string    `snap:"name" from:"Detail.GroupName" doc:"its name, unique within the account"`
	Path       *string    `snap:"path" from:"Detail.Path" doc:"where it is filed, '/' or '/team/'"`
	CreateDate *string    `snap:"createdate" from:"Detail.CreateDate" as:"text" doc:"when it was made, as text"`
	CreateTime *time.Time `snap:"createdate_dt" from:"Detail.CreateDate" doc:"when it was made"`

	AccessedService   *string `snap:"last_accessed_service_name,volatile" from:"Access.ServiceName" doc:"the service that its members used last"`
	AccessedNamespace *string `snap:"last_accessed_service_namespace,volatile" from:"Access.ServiceNamespace" doc:"that service as policies name it, such as 's3'"`
	AccessedAt        *string `snap:"last_authenticated,volatile" from:"Access.LastAuthenticated" as:"text" doc:"when they used that service, as text"`
	AccessedBy        *string `snap:"last_authenticated_entity,volatile" from:"Access.LastAuthenticatedEntity" doc:"the ARN of who used it"`
	AccessedIn        *string `snap:"last_authenticated_region,volatile" from:"Access.LastAuthenticatedRegion" doc:"the region where it was used"`

	UserARNs []string `snap:"_user_arns"`
	kind.Gaps
}

var iamGroups = kind.Of[iamGroup](kind.Table{
	Name: "iam_group", Label: "AWSGroup", Aliases: []string{"AWSPrincipal", "UserGroup"},
	Doc:      "A group of IAM users.",
	Ontology: kind.Ontology{"name": kind.Same("name")},
	Links: []kind.Link{
		{Type: "MEMBER_AWS_GROUP", From: "AWSUser", On: kind.On{"arn": "_user_arns"}},
		{Type: "MEMBER_OF", From: "AWSUser", On: kind.On{"arn": "_user_arns"}},
	},
})

// iamRole is a role and whom its trust policy names.
type iamRole struct {
	ID         string     `snap:"id,key" from:"Detail.Arn" doc:"its ARN"`
	ARN        *string    `snap:"arn,index" from:"Detail.Arn"`
	RoleID     *string    `snap:"roleid,index" from:"Detail.RoleId" doc:"identifies it for good, 'AROA…', also after its name is used again"`
	Name       *string    `snap:"name" from:"Detail.RoleName" doc:"its name, unique within the account"`
	Path       *string    `snap:"path" from:"Detail.Path" doc:"where it is filed; AWS's own are below '/aws-service-role/'"`
	CreateDate *string    `snap:"createdate" from:"Detail.CreateDate" as:"text" doc:"when it was made, as text"`
	CreateTime *time.Time `snap:"createdate_dt" from:"Detail.CreateDate" doc:"when it was made"`

	AccessedService   *string `snap:"last_accessed_service_name,volatile" from:"Access.ServiceName" doc:"the service that it was used for last"`
	AccessedNamespace *string `snap:"last_accessed_service_namespace,volatile" from:"Access.ServiceNamespace" doc:"that service as policies name it, such as 's3'"`
	AccessedAt        *string `snap:"last_authenticated,volatile" from:"Access.LastAuthenticated" as:"text" doc:"when it was used for that service, as text"`
	AccessedBy        *string `snap:"last_authenticated_entity,volatile" from:"Access.LastAuthenticatedEntity" doc:"the ARN of who used it"`
	AccessedIn        *string `snap:"last_authenticated_region,volatile" from:"Access.LastAuthenticatedRegion" doc:"the region where it was used"`

	TrustedARNs []string `snap:"_trusted_arns"`
	kind.Gaps
}

var iamRoles = kind.Of[iamRole](kind.Table{
	Name: "iam_role", Label: "AWSRole", Aliases: []string{"AWSPrincipal", "PermissionRole"},
	Doc:      "A role, which those whom its trust policy names may take on.",
	Ontology: kind.Ontology{"name": kind.Same("name"), "type": kind.Always("custom"), "scope": kind.Always("account")},
	Links: []kind.Link{
		{Type: "TRUSTS_AWS_PRINCIPAL", To: "AWSPrincipal", On: kind.On{"arn": "_trusted_arns"}},
	},
})

// iamTrusted is a service ("ec2.amazonaws.com") or an identity provider that a
// trust policy names.
type iamTrusted struct {
	ID   string `snap:"id,key" doc:"as trust policies name it"`
	ARN  string `snap:"arn,index" doc:"as trust policies name it, a service's name or a provider's ARN"`
	Type string `snap:"type" doc:"'Service' or 'Federated'"`
}

var (
	iamServicePrincipals = kind.Of[iamTrusted](kind.Table{
		Name: "iam_service_principal", Label: "AWSServicePrincipal", Aliases: []string{"AWSPrincipal", "ServiceAccount"},
		Doc:     "An AWS service that a trust policy names.",
		Unowned: true, Ontology: kind.Ontology{"name": kind.Same("arn")},
	})
	iamFederatedPrincipals = kind.Of[iamTrusted](kind.Table{
		Name: "iam_federated_principal", Label: "AWSFederatedPrincipal", Aliases: []string{"AWSPrincipal"},
		Doc: "An identity provider that a trust policy names.",
	})
)

// iamTrustedAccount is another account whose root a trust policy names, and
// iamTrustedRoot that root. They may belong to nobody whom we collect.
type iamTrustedAccount struct {
	ID string `snap:"id,key"`
}

type iamTrustedRoot struct {
	ID        string `snap:"id,key" doc:"its ARN, which ends in :root"`
	ARN       string `snap:"arn,index"`
	AccountID string `snap:"_account_id"`
}

var (
	iamTrustedAccounts = kind.Of[iamTrustedAccount](kind.Table{
		Name: "iam_trusted_account", Label: "AWSAccount", Stub: true, Unowned: true, Keep: true, Ontology: accounts.Ontology,
		Doc: "An account that a trust policy names, collected or not.",
	})
	iamTrustedRoots = kind.Of[iamTrustedRoot](kind.Table{
		Name: "iam_trusted_root", Label: "AWSRootPrincipal", Aliases: []string{"AWSPrincipal"}, Stub: true, Keep: true,
		Doc:   "The root of such an account.",
		Owner: &kind.Link{Type: "RESOURCE", From: "AWSAccount", On: kind.On{"id": "_account_id"}},
	})
)

// iamAccessKey is a user's access key.
type iamAccessKey struct {
	ID          string     `snap:"id,key" from:"AccessKeyId" doc:"the key's public half, 'AKIA…'"`
	AccessKeyID *string    `snap:"accesskeyid,index" from:"AccessKeyId" doc:"the key's public half, 'AKIA…'"`
	CreateDate  *string    `snap:"createdate" from:"CreateDate" as:"text" doc:"when it was made, as text"`
	CreateTime  *time.Time `snap:"createdate_dt" from:"CreateDate" doc:"when it was made"`
	Status      *string    `snap:"status" from:"Status" doc:"whether it works: 'Active', 'Inactive'"`
	LastUsed    *string    `snap:"lastuseddate,volatile" doc:"when it was last used, as text; 'None': never"`
	LastUseTime *time.Time `snap:"lastuseddate_dt,volatile" doc:"when it was last used"`
	LastService *string    `snap:"lastusedservice,volatile" doc:"the service that it was last used for; 'N/A': none"`
	LastRegion  *string    `snap:"lastusedregion,volatile" doc:"the region where it was last used; 'N/A': none"`

	UserARN string `snap:"_user_arn"`
	kind.Gaps
}

var iamAccessKeys = kind.Of[iamAccessKey](kind.Table{
	Name: "iam_access_key", Label: "AWSAccountAccessKey", Aliases: []string{"AccountAccessKey", "APIKey"},
	Doc:      "A user's access key.",
	Ontology: kind.Ontology{"name": kind.Same("accesskeyid"), "created_at": kind.Same("createdate"), "last_used_at": kind.Same("lastuseddate")},
	Links: []kind.Link{
		{Type: "AWS_ACCESS_KEY", From: "AWSUser", On: kind.On{"arn": "_user_arn"}},
		{Type: "OWNED_BY", To: "AWSUser", On: kind.On{"arn": "_user_arn"}},
	},
})

// iamMFADevice is a second factor that a user has: virtual, hardware or a
// security key.
type iamMFADevice struct {
	ID           string     `snap:"id,key" from:"SerialNumber" doc:"its serial number, for most an ARN"`
	SerialNumber *string    `snap:"serialnumber,index" from:"SerialNumber" doc:"its serial number, for most an ARN"`
	UserName     *string    `snap:"username" from:"UserName" doc:"the user who has it"`
	UserARN      string     `snap:"user_arn" doc:"that user's ARN"`
	EnableDate   *string    `snap:"enabledate" from:"EnableDate" as:"text" doc:"since when it counts, as text"`
	EnableTime   *time.Time `snap:"enabledate_dt" from:"EnableDate" doc:"since when it counts"`
}

var iamMFADevices = kind.Of[iamMFADevice](kind.Table{
	Name: "iam_mfa_device", Label: "AWSMfaDevice", Aliases: []string{"MfaDevice"},
	Doc:   "A user's second factor: virtual, hardware or a security key.",
	Links: []kind.Link{{Type: "MFA_DEVICE", From: "AWSUser", On: kind.On{"arn": "user_arn"}}},
})

// iamSAMLProvider is an identity provider that speaks SAML.
type iamSAMLProvider struct {
	ID         string     `snap:"id,key" from:"Arn" doc:"its ARN"`
	ARN        *string    `snap:"arn,index" from:"Arn"`
	Name       string     `snap:"name,index" doc:"its name, the end of its ARN"`
	CreateDate *time.Time `snap:"create_date" from:"CreateDate" doc:"when it was made"`
	ValidUntil *time.Time `snap:"valid_until" from:"ValidUntil" doc:"when the provider's certificate ends"`
}

var iamSAMLProviders = kind.Of[iamSAMLProvider](kind.Table{
	Name: "iam_saml_provider", Label: "AWSSAMLProvider", Aliases: []string{"IdentityProvider"},
	Doc:      "An identity provider that speaks SAML.",
	Ontology: kind.Ontology{"name": kind.Same("name"), "protocol": kind.Always("SAML")},
})

// iamServerCertificate is a TLS certificate that was uploaded to IAM.
type iamServerCertificate struct {
	ID         string     `snap:"id,key" from:"ServerCertificateId" doc:"identifies it, 'ASCA…'"`
	ARN        *string    `snap:"arn,index" from:"Arn"`
	CertID     *string    `snap:"server_certificate_id,index" from:"ServerCertificateId" doc:"identifies it, 'ASCA…'"`
	Name       *string    `snap:"server_certificate_name,index" from:"ServerCertificateName" doc:"its name, unique within the account"`
	Path       *string    `snap:"path" from:"Path" doc:"where it is filed; CloudFront's are below '/cloudfront/'"`
	Expiration *time.Time `snap:"expiration" from:"Expiration" doc:"when it ends"`
	UploadDate *time.Time `snap:"upload_date" from:"UploadDate" doc:"when it was uploaded"`
}

var iamServerCertificates = kind.Of[iamServerCertificate](kind.Table{
	Name: "iam_server_certificate", Label: "AWSServerCertificate", Aliases: []string{"Certificate"},
	Doc:      "A TLS certificate that was uploaded to IAM.",
	Ontology: kind.Ontology{"domain": kind.Same("server_certificate_name"), "expiry": kind.Same("expiration")},
})

// iamSummary is what IAM says of the account as a whole. The numbers of things
// are volatile: the things themselves tell the drift.
type iamSummary struct {
	ID                  string `snap:"id,key" doc:"the account's number, twelve digits"`
	MFAEnabled          *int64 `snap:"account_mfa_enabled" doc:"whether the root user has a second factor: 0 or 1"`
	AccessKeysPresent   *int64 `snap:"account_access_keys_present" doc:"whether the root user has access keys: 0 or 1"`
	SigningCertsPresent *int64 `snap:"account_signing_certificates_present" doc:"whether the root user has signing certificates: 0 or 1"`
	MFADevices          *int64 `snap:"mfa_devices,volatile" doc:"how many second factors there are"`
	MFADevicesInUse     *int64 `snap:"mfa_devices_in_use,volatile" doc:"how many of them someone uses"`
	Users               *int64 `snap:"users,volatile" doc:"how many users there are"`
	Groups              *int64 `snap:"groups,volatile" doc:"how many groups there are"`
	Roles               *int64 `snap:"roles,volatile" doc:"how many roles there are"`
	Policies            *int64 `snap:"policies,volatile" doc:"how many managed policies of its own there are"`
	InstanceProfiles    *int64 `snap:"instance_profiles,volatile" doc:"how many instance profiles there are"`
	Providers           *int64 `snap:"providers,volatile" doc:"how many identity providers there are"`
	ServerCertificates  *int64 `snap:"server_certificates,volatile" doc:"how many server certificates there are"`
	PolicyVersionsInUse *int64 `snap:"policy_versions_in_use,volatile" doc:"how many versions of its own managed policies there are"`
}

var iamSummaries = kind.Of[iamSummary](kind.Table{
	Name: "iam_summary", Label: "AWSAccount", Unowned: true, Keep: true, Ontology: accounts.Ontology,
	Doc: "What IAM says of the account as a whole.",
})

// iamMaxItems is the most that a page of IAM holds; it would be 100.
const iamMaxItems = 1000

var _ = api.Declare(api.Sync{
	Name:   "iam",
	Synced: "AWSPrincipal",
	Global: true,
	Calls: []string{
		"iam:GetAccountAuthorizationDetails", "iam:GetPolicy", "iam:GetPolicyVersion",
		"iam:ListUsers", "iam:ListAccessKeys", "iam:GetAccessKeyLastUsed", "iam:ListMFADevices",
		"iam:GenerateServiceLastAccessedDetails", "iam:GetServiceLastAccessedDetails",
		"iam:ListSAMLProviders", "iam:ListServerCertificates", "iam:GetAccountSummary",
	},
	Optional: []string{"iam:GenerateServiceLastAccessedDetails"},
	Tables: []*kind.Table{
		iamUsers.Table, iamGroups.Table, iamRoles.Table, iamServicePrincipals.Table, iamFederatedPrincipals.Table,
		iamTrustedAccounts.Table, iamTrustedRoots.Table, iamManagedPolicies.Table, iamInlinePolicies.Table,
		iamStatements.Table, iamAccessKeys.Table, iamMFADevices.Table, iamSAMLProviders.Table,
		iamServerCertificates.Table, iamSummaries.Table,
	},
	Collect: func(ctx context.Context, at *api.Cell) error {
		client := iam.NewFromConfig(at.Config)
		return errors.Join(
			collectIAMPrincipals(ctx, at, client),
			collectIAMProviders(ctx, at, client),
			collectIAMCertificates(ctx, at, client),
			collectIAMSummary(ctx, at, client),
		)
	},
})

// iamPrincipal is what a principal's row is read from: the API's description,
// and which service it used last, nil if none.
type iamPrincipal[Detail types.User | types.GroupDetail | types.RoleDetail] struct {
	Detail Detail
	Access *types.ServiceLastAccessed
}

// collectIAMPrincipals reads users, groups, roles and what they have. Users
// are listed besides the authorization details, which lack their passwords'
// last use.
func collectIAMPrincipals(ctx context.Context, at *api.Cell, client *iam.Client) error {
	pages := iam.NewListUsersPaginator(client, &iam.ListUsersInput{MaxItems: aws.Int32(iamMaxItems)})
	users, usersErr := api.All(ctx, pages, func(p *iam.ListUsersOutput) []types.User { return p.Users })
	details, detailsErr := readIAMDetails(ctx, client)

	var arns []string
	for _, u := range users {
		arns = append(arns, aws.ToString(u.Arn))
	}
	for _, g := range details.groups {
		arns = append(arns, aws.ToString(g.Arn))
	}
	for _, r := range details.roles {
		arns = append(arns, aws.ToString(r.Arn))
	}
	accesses, err := readIAMAccess(ctx, at, client, arns)
	if err != nil {
		return errors.Join(usersErr, detailsErr, err)
	}

	for _, u := range users {
		access := accesses[aws.ToString(u.Arn)]
		row := iamUsers.From(iamPrincipal[types.User]{u, access.last})
		access.mark(&row.Gaps)
		iamUsers.Put(at, row)
	}
	for _, g := range details.groups {
		access := accesses[aws.ToString(g.Arn)]
		row := iamGroups.From(iamPrincipal[types.GroupDetail]{g, access.last})
		access.mark(&row.Gaps)
		row.UserARNs = details.members(aws.ToString(g.GroupName))
		iamGroups.Put(at, row)
	}
	for _, r := range details.roles {
		access := accesses[aws.ToString(r.Arn)]
		row := iamRoles.From(iamPrincipal[types.RoleDetail]{r, access.last})
		access.mark(&row.Gaps)
		statements, err := policyStatements(iamDocument(r.AssumeRolePolicyDocument))
		if err != nil {
			at.Lose(fmt.Errorf("trust policy of %s: %w", row.ID, err))
		}
		row.TrustedARNs = putIAMTrust(at, statements)
		iamRoles.Put(at, row)
	}
	return errors.Join(usersErr, detailsErr,
		putIAMPolicies(ctx, at, client, details, detailsErr == nil),
		collectIAMCredentials(ctx, at, client, users))
}

// iamDetails are the account's authorization details.
type iamDetails struct {
	users    []types.UserDetail
	groups   []types.GroupDetail
	roles    []types.RoleDetail
	policies map[string]string // a managed policy's ARN → the document in force
}

// readIAMDetails returns, with an error, what came before it.
func readIAMDetails(ctx context.Context, client *iam.Client) (*iamDetails, error) {
	d := &iamDetails{policies: map[string]string{}}
	pages := iam.NewGetAccountAuthorizationDetailsPaginator(client, &iam.GetAccountAuthorizationDetailsInput{MaxItems: aws.Int32(iamMaxItems)})
	_, err := api.All(ctx, pages, func(p *iam.GetAccountAuthorizationDetailsOutput) []struct{} {
		d.users = append(d.users, p.UserDetailList...)
		d.groups = append(d.groups, p.GroupDetailList...)
		d.roles = append(d.roles, p.RoleDetailList...)
		for _, policy := range p.Policies {
			for _, v := range policy.PolicyVersionList {
				if v.IsDefaultVersion && v.Document != nil {
					d.policies[aws.ToString(policy.Arn)] = *v.Document
				}
			}
		}
		return nil
	})
	d.keepAttached()
	return d, err
}

// keepAttached lets go of the documents of policies that nobody has: AWS's own
// take megabytes, and the reports that follow take minutes.
func (d *iamDetails) keepAttached() {
	attached := map[string]bool{}
	note := func(policies []types.AttachedPolicy) {
		for _, p := range policies {
			attached[aws.ToString(p.PolicyArn)] = true
		}
	}
	for _, u := range d.users {
		note(u.AttachedManagedPolicies)
	}
	for _, g := range d.groups {
		note(g.AttachedManagedPolicies)
	}
	for _, r := range d.roles {
		note(r.AttachedManagedPolicies)
	}
	maps.DeleteFunc(d.policies, func(arn string, _ string) bool { return !attached[arn] })
}

// members are the ARNs of a group's users.
func (d *iamDetails) members(group string) []string {
	arns := []string{}
	for _, u := range d.users {
		if slices.Contains(u.GroupList, group) {
			arns = append(arns, aws.ToString(u.Arn))
		}
	}
	return arns
}

// putIAMTrust puts whom a role's trust policy names, and returns them. As in
// Cartography, neither effect nor conditions count: to be named is enough.
func putIAMTrust(at *api.Cell, statements []pyjson.Object) []string {
	trusted := []string{}
	for _, s := range statements {
		for _, p := range policyPrincipals(s) {
			switch p.Type {
			case "Service":
				iamServicePrincipals.Put(at, iamTrusted{ID: p.Name, ARN: p.Name, Type: p.Type})
			case "Federated":
				iamFederatedPrincipals.Put(at, iamTrusted{ID: p.Name, ARN: p.Name, Type: p.Type})
			case "AWS":
				if id, ok := rootOf(p.Name); ok && id != at.Account {
					iamTrustedAccounts.Put(at, iamTrustedAccount{ID: id})
					iamTrustedRoots.Put(at, iamTrustedRoot{ID: p.Name, ARN: p.Name, AccountID: id})
				}
			default: // a canonical user of S3, which is no principal here
				continue
			}
			if !slices.Contains(trusted, p.Name) {
				trusted = append(trusted, p.Name)
			}
		}
	}
	return trusted
}

// rootOf is the account whose root the ARN names.
func rootOf(arn string) (account string, ok bool) {
	parts := strings.Split(arn, ":")
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "iam" || parts[5] != "root" || parts[4] == "" {
		return "", false
	}
	return parts[4], true
}

// iamCredentials are a user's keys and second factors, and what failed.
type iamCredentials struct {
	keys    []iamAccessKey
	devices []types.MFADevice
	errs    []error
}

// collectIAMCredentials asks user by user: what lists an account's devices at
// once knows only the virtual ones, and the credential report is hours old.
func collectIAMCredentials(ctx context.Context, at *api.Cell, client *iam.Client, users []types.User) error {
	all, err := api.Each(ctx, users, func(ctx context.Context, u types.User) (c iamCredentials, _ error) {
		keyPages := iam.NewListAccessKeysPaginator(client, &iam.ListAccessKeysInput{UserName: u.UserName})
		keys, err := api.All(ctx, keyPages, func(p *iam.ListAccessKeysOutput) []types.AccessKeyMetadata { return p.AccessKeyMetadata })
		c.lose(err)
		for _, k := range keys {
			row := iamAccessKeys.From(k)
			row.UserARN = aws.ToString(u.Arn)
			out, err := client.GetAccessKeyLastUsed(ctx, &iam.GetAccessKeyLastUsedInput{AccessKeyId: k.AccessKeyId})
			switch {
			case api.Gone(err):
				continue
			case err != nil:
				row.Unread(err, "lastuseddate", "lastuseddate_dt", "lastusedservice", "lastusedregion")
			default:
				row.use(out.AccessKeyLastUsed)
			}
			c.keys = append(c.keys, row)
		}
		devicePages := iam.NewListMFADevicesPaginator(client, &iam.ListMFADevicesInput{UserName: u.UserName})
		c.devices, err = api.All(ctx, devicePages, func(p *iam.ListMFADevicesOutput) []types.MFADevice { return p.MFADevices })
		c.lose(err)
		return c, ctx.Err()
	})
	for i, c := range all {
		for _, row := range c.keys {
			iamAccessKeys.Put(at, row)
		}
		for _, d := range c.devices {
			row := iamMFADevices.From(d)
			row.UserARN = aws.ToString(users[i].Arn)
			iamMFADevices.Put(at, row)
		}
		for _, err := range c.errs {
			at.Lose(err)
		}
	}
	return err
}

// lose keeps an error, but not that the user is gone.
func (c *iamCredentials) lose(err error) {
	if err != nil && !api.Gone(err) {
		c.errs = append(c.errs, err)
	}
}

// use fills in the key's last use.
func (k *iamAccessKey) use(last *types.AccessKeyLastUsed) {
	k.LastUsed = aws.String("None")
	if last == nil {
		return
	}
	k.LastUseTime, k.LastService, k.LastRegion = last.LastUsedDate, last.ServiceName, last.Region
	if last.LastUsedDate != nil {
		k.LastUsed = aws.String(kind.TimeText(*last.LastUsedDate))
	}
}

func collectIAMProviders(ctx context.Context, at *api.Cell, client *iam.Client) error {
	out, err := client.ListSAMLProviders(ctx, nil)
	if err != nil {
		return err
	}
	for _, p := range out.SAMLProviderList {
		row := iamSAMLProviders.From(p)
		row.Name = row.ID[strings.LastIndexByte(row.ID, '/')+1:]
		iamSAMLProviders.Put(at, row)
	}
	return nil
}

func collectIAMCertificates(ctx context.Context, at *api.Cell, client *iam.Client) error {
	pages := iam.NewListServerCertificatesPaginator(client, &iam.ListServerCertificatesInput{MaxItems: aws.Int32(iamMaxItems)})
	certificates, err := api.All(ctx, pages, func(p *iam.ListServerCertificatesOutput) []types.ServerCertificateMetadata {
		return p.ServerCertificateMetadataList
	})
	for _, c := range certificates {
		iamServerCertificates.Put(at, iamServerCertificates.From(c))
	}
	return err
}

func collectIAMSummary(ctx context.Context, at *api.Cell, client *iam.Client) error {
	out, err := client.GetAccountSummary(ctx, nil)
	if err != nil {
		return err
	}
	of := func(key types.SummaryKeyType) *int64 {
		n, ok := out.SummaryMap[string(key)]
		if !ok {
			return nil
		}
		return aws.Int64(int64(n))
	}
	iamSummaries.Put(at, iamSummary{
		ID:                  at.Account,
		MFAEnabled:          of(types.SummaryKeyTypeAccountMFAEnabled),
		AccessKeysPresent:   of(types.SummaryKeyTypeAccountAccessKeysPresent),
		SigningCertsPresent: of(types.SummaryKeyTypeAccountSigningCertificatesPresent),
		MFADevices:          of(types.SummaryKeyTypeMFADevices),
		MFADevicesInUse:     of(types.SummaryKeyTypeMFADevicesInUse),
		Users:               of(types.SummaryKeyTypeUsers),
		Groups:              of(types.SummaryKeyTypeGroups),
		Roles:               of(types.SummaryKeyTypeRoles),
		Policies:            of(types.SummaryKeyTypePolicies),
		InstanceProfiles:    of(types.SummaryKeyTypeInstanceProfiles),
		Providers:           of(types.SummaryKeyTypeProviders),
		ServerCertificates:  of(types.SummaryKeyTypeServerCertificates),
		PolicyVersionsInUse: of(types.SummaryKeyTypePolicyVersionsInUse),
	})
	return nil
}
