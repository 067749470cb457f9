package main

import "strings"

// typ says where snap diff tells of a change of a type and field.
type typ struct {
	tables   []string // the entry is in one of these
	says     []string // and is about one of these properties or relationships; none: it is of the change's own kind
	anywhere bool     // the id may stand anywhere in the entry, not only in its key
	pair     bool     // the change is between the id and the ARN before or after
	across   bool     // it shows in the other account, too
	follow   []string // tables in which a consequence may show ("*" at the end is any)
}

// instanceParts are what comes and goes with an instance.
var instanceParts = []string{"ec2_network_interface", "ec2_private_ip", "ec2_ipv6_address", "ec2_instance*", "ec2_volume", "ec2_reservation", "elb_load_balancer",
	"elbv2_*", "ec2_elastic_ip*", "ec2_key_pair", "ec2_auto_scaling*", "autoscaling*", "ssm_*", "resourcegroupstagging*", "tag*"}

// networkParts are what may be in a network that goes.
var networkParts = append([]string{"ec2_*", "elb_*", "elbv2_*", "rds_subnet_group", "autoscaling*", "lambda_function"}, instanceParts...)

// types are by type, and by type and field where that says more. A tag of an
// instance may change the instance: the test estate makes up some of its
// answers from the name.
var types = map[string]typ{
	"ec2:instance state":               {tables: []string{"ec2_instance"}, says: []string{"state"}, follow: instanceParts},
	"ec2:instance":                     {tables: []string{"ec2_instance"}, follow: instanceParts},
	"ec2:instance tag":                 {tables: []string{"tag", "aws_tag", "resource_tag", "resourcegroupstaggingapi_tag"}, anywhere: true, follow: []string{"tag*", "aws_tag*", "ec2_instance", "ec2_ipv6_address"}, says: []string{"TAGGED"}},
	"ec2:security-group ingress":       {tables: []string{"ec2_ip_permission_inbound"}, anywhere: true, follow: []string{"ec2_ip_range", "ec2_security_group"}},
	"ec2:security-group":               {tables: []string{"ec2_security_group"}, follow: networkParts},
	"ec2:vpc":                          {tables: []string{"ec2_vpc"}, follow: networkParts},
	"ec2:subnet":                       {tables: []string{"ec2_subnet"}, follow: networkParts},
	"ec2:route-table":                  {tables: []string{"ec2_route_table"}, follow: []string{"ec2_route*"}},
	"ec2:route-table-association":      {tables: []string{"ec2_route_table_association"}, follow: []string{"ec2_route*"}},
	"ec2:network-acl":                  {tables: []string{"ec2_network_acl"}, anywhere: true, follow: []string{"ec2_network_acl*"}},
	"ec2:internet-gateway":             {tables: []string{"ec2_internet_gateway"}, follow: []string{"ec2_route*"}},
	"ec2:nat-gateway":                  {tables: []string{"ec2_nat_gateway"}, follow: []string{"ec2_route*", "ec2_elastic_ip*", "ec2_network_interface", "ec2_private_ip"}},
	"ec2:vpc-endpoint":                 {tables: []string{"ec2_vpc_endpoint"}, follow: []string{"ec2_*"}},
	"ec2:vpc-peering":                  {tables: []string{"ec2_vpc_peering"}, across: true, follow: []string{"ec2_vpc_peering*"}},
	"ec2:tgw-attachment":               {tables: []string{"ec2_transit_gateway_attachment", "ec2_tgw_attachment"}, follow: []string{"ec2_t*"}},
	"ec2:network-interface":            {tables: []string{"ec2_network_interface"}, follow: instanceParts},
	"ec2:volume":                       {tables: []string{"ec2_volume"}, follow: []string{"ec2_instance_volume", "ec2_snapshot"}},
	"ec2:address":                      {tables: []string{"ec2_elastic_ip_address", "ec2_elastic_ip", "ec2_elastic_address"}, anywhere: true},
	"elbv2:load-balancer":              {tables: []string{"elbv2_load_balancer"}, anywhere: true, follow: []string{"elbv2_*", "ec2_network_interface", "ec2_private_ip"}},
	"elbv2:target-group":               {tables: []string{"elbv2_target_group"}, follow: []string{"elbv2_*"}},
	"elb:load-balancer":                {tables: []string{"elb_load_balancer"}, anywhere: true, follow: []string{"elb_*"}},
	"autoscaling:group":                {tables: []string{"ec2_auto_scaling_group", "autoscaling_group"}, follow: instanceParts},
	"iam:role trust_policy":            {tables: []string{"iam_role"}, says: []string{"TRUSTS_AWS_PRINCIPAL", "_trusted_arns"}, follow: []string{"iam_trusted*", "iam_federated_principal", "iam_service_principal"}},
	"iam:role":                         {tables: []string{"iam_role"}, follow: []string{"iam_*"}},
	"iam:inline-policy statements":     {tables: []string{"iam_policy_statement", "iam_inline_policy"}, says: []string{"action", "resource", "effect", "condition", "sid", "notaction"}, follow: []string{"iam_inline_policy", "iam_policy_statement", "iam_role", "iam_user", "iam_group"}},
	"iam:inline-policy":                {tables: []string{"iam_inline_policy"}, follow: []string{"iam_policy_statement", "iam_user"}},
	"iam:policy default_version":       {tables: []string{"iam_policy_statement"}, anywhere: true, says: []string{"action", "resource", "effect", "condition", "sid", "notaction"}, follow: []string{"iam_policy_statement"}},
	"iam:policy attachment":            {tables: []string{"iam_user", "iam_role", "iam_group", "iam_managed_policy"}, says: []string{"POLICY", "_principal_arns"}, anywhere: true, pair: true, follow: []string{"iam_managed_policy", "iam_policy_statement"}},
	"iam:group member":                 {tables: []string{"iam_user", "iam_group"}, says: []string{"MEMBER_AWS_GROUP", "_user_arns"}, anywhere: true, pair: true},
	"iam:access-key status":            {tables: []string{"iam_access_key"}, says: []string{"status"}},
	"iam:access-key":                   {tables: []string{"iam_access_key"}},
	"iam:mfa-device state":             {tables: []string{"iam_mfa_device"}, says: []string{"user_arn", "MFA_DEVICE"}}, // a virtual one that is no longer a user's
	"iam:mfa-device":                   {tables: []string{"iam_mfa_device"}},
	"iam:user":                         {tables: []string{"iam_user"}, follow: []string{"iam_*"}},
	"s3:bucket policy":                 {tables: []string{"s3_policy_statement", "s3_bucket"}, says: []string{"anonymous_access", "principal", "action", "effect"}, anywhere: true, follow: []string{"s3_policy_statement", "s3_bucket"}},
	"s3:bucket acl":                    {tables: []string{"s3_acl", "s3_bucket"}, says: []string{"APPLIES_TO"}, anywhere: true, follow: []string{"s3_acl", "s3_bucket"}},
	"s3:bucket versioning":             {tables: []string{"s3_bucket"}, says: []string{"versioning_status"}},
	"lambda:function":                  {tables: []string{"lambda_function"}, follow: []string{"lambda_*"}},
	"kms:key enabled":                  {tables: []string{"kms_key"}, says: []string{"enabled", "key_state"}, anywhere: true},
	"rds:instance publicly_accessible": {tables: []string{"rds_instance"}, says: []string{"publicly_accessible"}, anywhere: true},
	"sqs:queue":                        {tables: []string{"sqs_queue"}},
	"sns:topic":                        {tables: []string{"sns_topic"}, follow: []string{"sns_*"}},
	"sns:subscription":                 {tables: []string{"sns_topic_subscription", "sns_subscription"}},
	"route53:record":                   {tables: []string{"route53_record", "route53_dns_record", "dns_record"}, anywhere: true, follow: []string{"route53_*", "dns_*"}},
	"route53:record value":             {tables: []string{"route53_record", "route53_dns_record", "dns_record"}, says: []string{"value"}, anywhere: true, follow: []string{"route53_*", "dns_*"}},
	"organizations:account parent":     {tables: []string{"organization_unit", "organization_root", "organization_account"}, says: []string{"RESOURCE", "PARENT", "CONTAINS", "MEMBER_OF", "_account_ids"}, anywhere: true},
	"organizations:ou":                 {tables: []string{"organization_unit"}, follow: []string{"organization_*"}},
}

// typeOf finds the type of a change; ok is false for one that is not known
// here.
func typeOf(c change) (t typ, ok bool) {
	field := c.Field
	if strings.HasPrefix(field, "tag:") {
		field = "tag"
	}
	if t, ok = types[c.Type+" "+field]; ok {
		return t, true
	}
	t, ok = types[c.Type]
	return t, ok
}
