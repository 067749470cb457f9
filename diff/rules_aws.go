package diff

import (
	"slices"
	"strings"
)

// Rules are the rules of this package: what widens access to an AWS account,
// or takes a protection away. The result may be changed.
func Rules() []Rule {
	return slices.Concat(networkRules(), identityRules(), bucketRules(), databaseRules(), otherRules())
}

func where(tests ...Test) []Test { return tests }

func is(column string, values ...any) Test        { return Test{Column: column, Is: values} }
func not(column string, values ...any) Test       { return Test{Column: column, Not: values} }
func like(column string, patterns ...string) Test { return Test{Column: column, Like: patterns} }
func atLeast(column string, n float64) Test       { return Test{Column: column, Min: &n} }
func atMost(column string, n float64) Test        { return Test{Column: column, Max: &n} }
func null(column string, yes bool) Test           { return Test{Column: column, Null: &yes} }
func isOutside(column string, yes bool) Test      { return Test{Column: column, Outside: &yes} }

func element(t Test) *Test { return &t }

func one(tables ...string) []string { return tables }

// world are the ranges of all addresses.
var world = []any{"0.0.0.0/0", "::/0"}

// sensitive are ports through which machines and data stores are run: SSH,
// Telnet, SMB, RDP, VNC, WinRM, Docker, kubelet, etcd, and the databases'.
var sensitive = []float64{22, 23, 445, 1433, 1521, 2375, 2379, 3306, 3389, 5432, 5439, 5900, 5985, 5986, 6379, 9042, 9200, 10250, 11211, 27017}

func networkRules() []Rule {
	opened := [][]Test{where(is("protocol", "-1", "all"))}
	for _, port := range sensitive {
		opened = append(opened, where(atMost("fromport", port), atLeast("toport", port)))
	}
	web := where(is("fromport", 80, 443), is("toport", 80, 443))
	var wide []string // one /8 or more
	for _, n := range "12345678" {
		wide = append(wide, "?*/"+string(n))
	}
	inbound := one("ec2_ip_permission_inbound")
	return []Rule{
		{Name: "security-group-open-sensitive", Severity: Critical, Tables: inbound, Change: Gains, Of: "MEMBER_OF_IP_RULE",
			Text:    "A security group lets the whole internet in to every port, or to one through which machines or data stores are run",
			Element: element(Test{Is: world}), OneOf: opened},
		{Name: "security-group-open", Severity: High, Tables: inbound, Change: Gains, Of: "MEMBER_OF_IP_RULE",
			Text:    "A security group lets the whole internet in",
			Element: element(Test{Is: world}), Unless: append(slices.Clone(opened), web)},
		{Name: "security-group-open-web", Severity: Medium, Tables: inbound, Change: Gains, Of: "MEMBER_OF_IP_RULE",
			Text:    "A security group lets the whole internet in to a web port (80, 443)",
			Element: element(Test{Is: world}), Where: web},
		{Name: "security-group-wide-range", Severity: Medium, Tables: inbound, Change: Gains, Of: "MEMBER_OF_IP_RULE",
			Text:    "A security group lets in a range of 16 million addresses or more",
			Element: element(Test{Like: wide, Not: []any{"10.0.0.0/8"}})},
		{Name: "ip-range-open", Severity: High, Tables: one("ec2_ip_range"), Change: Gains, Of: "MEMBER_OF_IP_RULE",
			Text:    "A rule of a security group that is not compared itself lets the whole internet in",
			Element: element(Test{Like: []string{"*/IpPermissions/*"}}), Where: where(is("id", world...))},
		{Name: "security-group-trusts-group", Severity: Low, Tables: one("ec2_security_group"), Change: Gains, Of: "ALLOWS_TRAFFIC_FROM",
			Text: "A security group lets in the members of another group"},
		{Name: "load-balancer-internet-facing", Severity: High, Tables: one("elb_load_balancer", "elbv2_load_balancer"), Change: Becomes,
			Text: "A load balancer faces the internet", Where: where(is("scheme", "internet-facing"))},
		{Name: "listener-plain", Severity: Medium, Tables: one("elb_listener", "elbv2_listener"), Change: Turns,
			Text: "A load balancer's listener no longer encrypts", Where: where(is("protocol", "HTTP", "TCP", "UDP", "TCP_UDP"))},
		{Name: "listener-tls-policy", Severity: Low, Tables: one("elbv2_listener"), Change: Modified, Of: "ssl_policy",
			Text: "A listener's TLS policy is another: compare what the two allow"},
		{Name: "instance-public-address", Severity: Medium, Tables: one("ec2_instance"), Change: Becomes,
			Text: "An instance has a public address", Where: where(null("publicipaddress", false), not("publicipaddress", ""))},
		{Name: "interface-public-address", Severity: Low, Tables: one("ec2_network_interface"), Change: Becomes,
			Text: "A network interface has a public address", Where: where(null("public_ip", false), not("public_ip", ""))},
		{Name: "instance-metadata-v1", Severity: Medium, Tables: one("ec2_instance"), Change: Turns,
			Text:  "An instance answers metadata requests without a session token (IMDSv1)",
			Where: where(is("metadatahttptokens", "optional"), not("metadatahttpendpoint", "disabled"))},
		{Name: "instance-role", Severity: Medium, Tables: one("ec2_instance"), Change: Modified, Of: "iaminstanceprofile",
			Text: "An instance has another instance profile, and with it perhaps other rights", Where: where(null("iaminstanceprofile", false))},
		{Name: "subnet-public-addresses", Severity: Medium, Tables: one("ec2_subnet"), Change: Turns,
			Text: "A subnet gives new instances public addresses", Where: where(is("map_public_ip_on_launch", true))},
		{Name: "route-to-internet", Severity: High, Tables: one("ec2_route"), Change: Becomes,
			Text:  "A route leads to an internet gateway: what is in its subnets can be reached from the internet",
			Where: where(like("gateway_id", "igw-*"), not("state", "blackhole")),
			OneOf: [][]Test{where(is("destination_cidr_block", "0.0.0.0/0")), where(is("destination_ipv6_cidr_block", "::/0"))}},
		{Name: "vpc-peering", Severity: Medium, Tables: one("ec2_vpc_peering"), Change: Becomes,
			Text: "Two networks are connected by a peering", Where: where(is("status_code", "active"))},
		{Name: "network-acl-open", Severity: Medium, Tables: one("ec2_network_acl_inbound_rule"), Change: Becomes,
			Text: "A network ACL lets the whole internet in to its subnets, as far as security groups do", Where: where(is("ruleaction", "allow")),
			OneOf: [][]Test{where(is("cidrblock", "0.0.0.0/0")), where(is("ipv6cidrblock", "::/0"))}},
		{Name: "network-acl-deny-removed", Severity: Low, Tables: one("ec2_network_acl_inbound_rule", "ec2_network_acl_egress_rule"), Change: Vanishes,
			Text: "A rule of a network ACL that denied something is gone", Where: where(is("ruleaction", "deny"), not("rulenumber", 32767))},
		{Name: "internet-gateway-attached", Severity: Medium, Tables: one("ec2_internet_gateway"), Change: Gains, Of: "ATTACHED_TO",
			Text: "A network has an internet gateway"},
		{Name: "route-to-network", Severity: Low, Tables: one("ec2_route"), Change: Becomes,
			Text: "A route leads to another network, by a peering or a transit gateway", Where: where(not("state", "blackhole")),
			OneOf: [][]Test{where(null("transit_gateway_id", false)), where(null("vpc_peering_connection_id", false))}},
		{Name: "transit-gateway-attached", Severity: Medium, Tables: one("ec2_transit_gateway_attachment"), Change: Becomes,
			Text: "A network is attached to a transit gateway", Where: where(is("state", "available"))},
		{Name: "transit-gateway-shared", Severity: Medium, Tables: one("ec2_transit_gateway"), Change: Gains, Of: "SHARED_WITH",
			Text: "A transit gateway is shared with another account", Element: element(Test{Outside: yes})},
		{Name: "endpoint-policy-open", Severity: Medium, Tables: one("ec2_vpc_endpoint"), Change: Gains, Of: "policy_document",
			Text: "A VPC endpoint's policy names everybody, every action or every resource where it did not", Element: element(Test{Is: []any{"*"}})},
		{Name: "endpoint-policy", Severity: Low, Tables: one("ec2_vpc_endpoint"), Change: Modified, Of: "policy_document",
			Text: "A VPC endpoint has another policy"},
		{Name: "elastic-address-in-use", Severity: Low, Tables: one("ec2_elastic_ip_address"), Change: Becomes,
			Text: "An elastic IP address leads to something", Where: where(null("association_id", false))},
		{Name: "instance-ipv6-address", Severity: Low, Tables: one("ec2_ipv6_address"), Change: Appears,
			Text: "An instance has a new IPv6 address, which is a public one"},
		{Name: "subnet-ipv6-addresses", Severity: Low, Tables: one("ec2_subnet"), Change: Turns,
			Text: "A subnet gives new interfaces IPv6 addresses, which are public ones", Where: where(is("assignipv6addressoncreation", true))},
		{Name: "interface-forwards", Severity: Low, Tables: one("ec2_network_interface"), Change: Turns,
			Text: "A network interface may forward the traffic of others", Where: where(is("source_dest_check", false))},
		{Name: "instance-metadata-hops", Severity: Low, Tables: one("ec2_instance"), Change: Turns,
			Text: "Containers and forwarded requests reach an instance's metadata, and with it its role", Where: where(atLeast("metadatahttpputresponsehoplimit", 2))},
		{Name: "launch-configuration-public", Severity: Low, Tables: one("autoscaling_launch_configuration"), Change: Becomes,
			Text: "A launch configuration gives its instances public addresses", Where: where(is("associate_public_ip_address", true))},
		{Name: "launch-template-default", Severity: Low, Tables: one("ec2_launch_template"), Change: Modified, Of: "default_version_number",
			Text: "New instances are made of another version of a launch template"},
		{Name: "listener-client-certificates-off", Severity: Medium, Tables: one("elbv2_listener"), Change: Turns,
			Text: "A load balancer's listener no longer verifies clients' certificates", Where: where(not("mutual_authentication_mode", "verify"))},
	}
}

func identityRules() []Rule {
	principals := one("iam_user", "iam_role", "iam_group")
	allows := is("effect", "Allow")
	statement := one("iam_policy_statement")
	return []Rule{
		{Name: "role-trusts-anyone", Severity: Critical, Tables: one("iam_role"), Change: Gains, Of: "TRUSTS_AWS_PRINCIPAL",
			Text: "A role's trust policy names everybody", Element: element(Test{Is: []any{"*", "arn:aws:iam::*:root"}})},
		{Name: "role-trusts-other-account", Severity: High, Tables: one("iam_role"), Change: Gains, Of: "TRUSTS_AWS_PRINCIPAL",
			Text:    "A role's trust policy has a new principal of another account",
			Element: element(Test{Outside: yes, Not: []any{"*", "arn:aws:iam::*:root"}, Unlike: federations})},
		{Name: "role-trusts-federation", Severity: High, Tables: one("iam_role"), Change: Gains, Of: "TRUSTS_AWS_PRINCIPAL",
			Text: "A role's trust policy has a new identity provider", Element: element(Test{Like: federations})},
		{Name: "role-trusts-principal", Severity: Medium, Tables: one("iam_role"), Change: Gains, Of: "TRUSTS_AWS_PRINCIPAL",
			Text:    "A role's trust policy has a new principal of its own account",
			Element: element(Test{Like: []string{"arn:*:iam::*", "arn:*:sts::*"}, Outside: no, Unlike: federations})},
		{Name: "role-trusts-service", Severity: Low, Tables: one("iam_role"), Change: Gains, Of: "TRUSTS_AWS_PRINCIPAL",
			Text: "A role's trust policy has a new AWS service", Element: element(Test{Like: []string{"*.amazonaws.com", "*.amazonaws.com.cn"}, Unlike: federations})},
		{Name: "access-key-new", Severity: High, Tables: one("iam_access_key"), Change: Appears,
			Text: "There is a new access key", Where: where(not("status", "Inactive"))},
		{Name: "access-key-active", Severity: High, Tables: one("iam_access_key"), Change: Turns,
			Text: "An access key that was inactive is active", Where: where(is("status", "Active"))},
		{Name: "root-access-key", Severity: Critical, Tables: one("iam_summary"), Change: Becomes,
			Text: "The account's root user has an access key", Where: where(atLeast("account_access_keys_present", 1))},
		{Name: "root-mfa-off", Severity: Critical, Tables: one("iam_summary"), Change: Turns,
			Text: "The account's root user has no second factor", Where: where(is("account_mfa_enabled", 0))},
		{Name: "mfa-removed", Severity: High, Tables: one("iam_mfa_device"), Change: Vanishes,
			Text: "A user's second factor is gone"},
		{Name: "user-new", Severity: Medium, Tables: one("iam_user"), Change: Appears, Text: "There is a new IAM user"},
		{Name: "user-in-group", Severity: Low, Tables: one("iam_user"), Change: Gains, Of: "MEMBER_AWS_GROUP",
			Text: "A user is in another group, and has its rights"},
		{Name: "identity-provider-new", Severity: High, Tables: one("iam_saml_provider"), Change: Appears,
			Text: "The account accepts a new identity provider"},
		{Name: "policy-admin", Severity: Critical, Tables: statement, Change: Becomes,
			Text:  "A policy allows every action on every resource",
			Where: where(allows, like("action", everything...), is("resource", "*"))},
		{Name: "policy-escalation", Severity: High, Tables: statement, Change: Becomes,
			Text:  "A policy allows on every resource what lets its holder get any right",
			Where: where(allows, is("resource", "*")),
			OneOf: [][]Test{
				where(like("action", `iam:\*`, `sts:\*`, `organizations:\*`, `sso:\*`, `sso-admin:\*`, `identitystore:\*`)),
				where(like("action", "iam:Create*", "iam:Put*", "iam:Attach*", "iam:Update*", "iam:Add*", "iam:Set*", "iam:Pass*", "sts:AssumeRole*")),
			},
			Unless: [][]Test{where(like("action", everything...))}},
		{Name: "policy-service-wide", Severity: Medium, Tables: statement, Change: Becomes,
			Text:  "A policy allows every action of a service that holds data or keeps watch, on every resource",
			Where: where(allows, is("resource", "*"), like("action", dataServices...))},
		{Name: "policy-not-action", Severity: High, Tables: statement, Change: Becomes,
			Text: "A policy allows all but some actions (NotAction)", Where: where(allows, null("notaction", false))},
		{Name: "policy-deny-removed", Severity: Medium, Tables: statement, Change: Vanishes,
			Text: "A statement that denied something is gone", Where: where(is("effect", "Deny"))},
		{Name: "policy-condition-dropped", Severity: Medium, Tables: statement, Change: Turns,
			Text: "A statement allows without a condition", Where: where(allows, null("condition", true))},
		{Name: "admin-policy-attached", Severity: Critical, Tables: principals, Change: Gains, Of: "POLICY",
			Text: "A user, role or group has a policy of AWS that gives all power", Element: element(Test{Like: adminPolicies})},
		{Name: "admin-policy-attached-elsewhere", Severity: Critical, Tables: one("iam_managed_policy"), Change: Gains, Of: "POLICY",
			Text: "A policy of AWS that gives all power is attached to a principal that is not compared itself", Where: where(like("id", adminPolicies...))},
		{Name: "policy-attached", Severity: Low, Tables: principals, Change: Gains, Of: "POLICY",
			Text: "A user, role or group has another policy", Element: element(Test{Unlike: adminPolicies})},
		{Name: "organization-account-new", Severity: Medium, Tables: one("organization_account"), Change: Appears,
			Text: "The organization has a new account"},
		{Name: "organization-account-left", Severity: Medium, Tables: one("organization_account"), Change: Vanishes,
			Text: "An account has left the organization, and its policies and trails"},
		{Name: "organization-account-moved", Severity: Low, Tables: one("organization_account"), Change: Modified, Of: "PARENT",
			Text: "An account is in another organizational unit, and under its policies"},
		{Name: "key-pair-new", Severity: Low, Tables: one("ec2_key_pair"), Change: Appears,
			Text: "There is a new key pair, with which somebody may log in to instances"},
	}
}

var (
	yes, no       = ptr(true), ptr(false)
	federations   = []string{"*:saml-provider/*", "*:oidc-provider/*", "cognito-identity.amazonaws.com", "accounts.google.com", "graph.facebook.com", "www.amazon.com"}
	adminPolicies = []string{"arn:aws*:iam::aws:policy/AdministratorAccess", "arn:aws*:iam::aws:policy/IAMFullAccess", "arn:aws*:iam::aws:policy/PowerUserAccess",
		"arn:aws*:iam::aws:policy/AdministratorAccess-*", "arn:aws*:iam::aws:policy/job-function/SystemAdministrator"}
)

func ptr[T any](v T) *T { return &v }

// everything are the actions that mean all.
var everything = []string{`\*`, `\*:\*`}

// dataServices are all actions of the services that hold data or keep watch.
var dataServices = []string{`s3:\*`, `kms:\*`, `ec2:\*`, `lambda:\*`, `rds:\*`, `dynamodb:\*`, `secretsmanager:\*`, `ssm:\*`, `cloudtrail:\*`, `logs:\*`,
	`config:\*`, `guardduty:\*`, `eks:\*`, `ecs:\*`, `ecr:\*`, `sqs:\*`, `sns:\*`, `route53:\*`, `cloudformation:\*`}

func bucketRules() []Rule {
	rules := []Rule{
		{Name: "bucket-public", Severity: Critical, Tables: one("s3_bucket"), Change: Becomes,
			Text: "A bucket's policy lets anybody in", Where: where(is("anonymous_access", true))},
		{Name: "bucket-acl-public", Severity: Critical, Tables: one("s3_acl"), Change: Gains, Of: "APPLIES_TO",
			Text:  "A bucket's access control list grants something to everybody, or to everybody with an AWS account",
			Where: where(like("uri", "*/AllUsers", "*/AuthenticatedUsers"))},
		{Name: "bucket-policy-other-account", Severity: High, Tables: one("s3_policy_statement"), Change: Gains, Of: "principal",
			Text: "A bucket's policy allows something to a principal of another account", Where: where(is("effect", "Allow")),
			Element: element(Test{Outside: yes, Not: []any{"*"}})},
		{Name: "bucket-policy-anybody", Severity: High, Tables: one("s3_policy_statement"), Change: Becomes,
			Text:  "A statement of a bucket's policy allows something to anybody, without a condition",
			Where: where(is("effect", "Allow"), is("principal", "*"), null("condition", true))},
		{Name: "bucket-encryption-off", Severity: High, Tables: one("s3_bucket"), Change: Turns,
			Text: "A bucket has no default encryption any more", Where: where(not("default_encryption", true))},
		{Name: "bucket-logging-off", Severity: High, Tables: one("s3_bucket"), Change: Turns,
			Text: "A bucket's access log is off", Where: where(not("logging_enabled", true))},
		{Name: "bucket-versioning-off", Severity: Medium, Tables: one("s3_bucket"), Change: Turns,
			Text: "A bucket no longer keeps old versions", Where: where(not("versioning_status", "Enabled"))},
		{Name: "bucket-mfa-delete-off", Severity: Low, Tables: one("s3_bucket"), Change: Turns,
			Text: "Versions can be deleted from a bucket without a second factor", Where: where(not("mfa_delete", "Enabled"))},
		{Name: "bucket-acls-on", Severity: Medium, Tables: one("s3_bucket"), Change: Turns,
			Text: "A bucket's access control lists count (ownership is not enforced)", Where: where(not("object_ownership", "BucketOwnerEnforced"))},
	}
	for _, column := range []string{"block_public_acls", "ignore_public_acls", "block_public_policy", "restrict_public_buckets"} {
		rules = append(rules, Rule{
			Name: "public-access-block-" + strings.ReplaceAll(column, "_", "-") + "-off", Severity: High, Tables: one("s3_bucket", "s3_account_public_access_block"), Change: Turns,
			Text: "A block of public access to a bucket, or to all of an account, is off (" + column + ")", Where: where(not(column, true)),
		})
	}
	return rules
}

func databaseRules() []Rule {
	both := one("rds_instance", "rds_cluster")
	return []Rule{
		{Name: "database-public", Severity: Critical, Tables: one("rds_instance"), Change: Becomes,
			Text: "A database has an address on the internet", Where: where(is("publicly_accessible", true))},
		{Name: "database-snapshot-public", Severity: Critical, Tables: one("rds_snapshot"), Change: Becomes,
			Text: "Anybody can restore a database's snapshot", Where: where(is("ispublic", true))},
		{Name: "database-encryption-off", Severity: High, Tables: both, Change: Turns,
			Text: "A database's storage is no longer encrypted", Where: where(is("storage_encrypted", false))},
		{Name: "database-unencrypted", Severity: Medium, Tables: both, Change: Appears,
			Text: "There is a new database without encrypted storage", Where: where(is("storage_encrypted", false))},
		{Name: "database-snapshot-unencrypted", Severity: Low, Tables: one("rds_snapshot"), Change: Appears,
			Text: "There is a new snapshot of a database that is not encrypted", Where: where(is("encrypted", false))},
		{Name: "database-deletable", Severity: Medium, Tables: both, Change: Turns,
			Text: "A database is no longer protected from deletion", Where: where(is("deletion_protection", false))},
		{Name: "database-backups-off", Severity: Medium, Tables: both, Change: Turns,
			Text: "A database is no longer backed up", Where: where(is("backup_retention_period", 0))},
		{Name: "database-iam-authentication-off", Severity: Low, Tables: one("rds_instance"), Change: Turns,
			Text: "A database no longer lets users in by IAM, but by passwords", Where: where(is("iam_database_authentication_enabled", false))},
		{Name: "database-events-off", Severity: Low, Tables: one("rds_event_subscription"), Change: Turns,
			Text: "Events of databases are no longer reported", Where: where(is("enabled", false))},
	}
}

func otherRules() []Rule {
	return []Rule{
		{Name: "volume-snapshot-public", Severity: Critical, Tables: one("ec2_snapshot"), Change: Becomes,
			Text: "Anybody can read a volume's snapshot", Where: where(is("ispublic", true))},
		{Name: "volume-snapshot-unencrypted", Severity: Low, Tables: one("ec2_snapshot"), Change: Appears,
			Text: "There is a new snapshot of a volume that is not encrypted", Where: where(is("encrypted", false))},
		{Name: "anonymous-actions", Severity: High, Tables: one("s3_bucket", "kms_key", "lambda_function"), Change: Gains, Of: "anonymous_actions",
			Text: "A policy lets anybody do more", Where: where(is("anonymous_access", true))},
		{Name: "image-public", Severity: High, Tables: one("ec2_image"), Change: Turns,
			Text: "Anybody can start a machine image, and read what is in it", Where: where(is("ispublic", true))},
		{Name: "volume-unencrypted", Severity: Medium, Tables: one("ec2_volume"), Change: Appears,
			Text: "There is a new volume that is not encrypted", Where: where(is("encrypted", false))},
		{Name: "key-public", Severity: Critical, Tables: one("kms_key"), Change: Becomes,
			Text: "A key's policy lets anybody use it", Where: where(is("anonymous_access", true))},
		{Name: "key-disabled", Severity: High, Tables: one("kms_key"), Change: Turns,
			Text: "A key is disabled or about to be deleted: what it encrypts cannot be read", Where: where(is("enabled", false))},
		{Name: "key-grant-other-account", Severity: High, Tables: one("kms_grant"), Change: Appears,
			Text: "A principal of another account may use a key", Where: where(isOutside("grantee_principal", true))},
		{Name: "function-public", Severity: Critical, Tables: one("lambda_function"), Change: Becomes,
			Text: "Anybody may invoke a function", Where: where(is("anonymous_access", true))},
		{Name: "function-role", Severity: Medium, Tables: one("lambda_function"), Change: Modified, Of: "ASSUMES",
			Text: "A function runs with another role"},
		{Name: "function-key-gone", Severity: Low, Tables: one("lambda_function"), Change: Turns,
			Text: "A function's environment is no longer encrypted with a key of its owner", Where: where(null("kmskeyarn", true))},
		{Name: "function-layer-other-account", Severity: Low, Tables: one("lambda_layer"), Change: Appears,
			Text: "A function runs a new layer of another account", Where: where(isOutside("arn", true))},
	}
}
