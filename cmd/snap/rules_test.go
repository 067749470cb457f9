package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"snap/diff"
	"snap/store"
	"snap/store/kind"
)

var update = flag.Bool("update", false, "write docs/severity.md anew")

const (
	account = "111111111111"
	role    = "arn:aws:iam::111111111111:role/app"
	group   = "sg-1/IpPermissions/"
)

// r is a row; what it does not name is null, or empty where that cannot be.
type r = map[string]any

// at are rows by table: of a table its key and its other columns.
type at map[string][]r

func rule(from, to int, protocol string) r {
	id := fmt.Sprintf("%s%d%d%s", group, from, to, protocol)
	return r{"id": id, "ruleid": id, "groupid": "sg-1", "protocol": protocol, "fromport": from, "toport": to}
}

func ranges(cidr string, rules ...r) []r {
	var ids []string
	for _, x := range rules {
		ids = append(ids, x["id"].(string))
	}
	return []r{{"id": cidr, "range": cidr, "_rule_ids": ids}}
}

func statement(more r) r {
	out := r{"id": "p/statement/1", "effect": "Allow", "action": []string{"s3:GetObject"}, "resource": []string{"*"}, "_policy_id": "p"}
	for k, v := range more {
		out[k] = v
	}
	return out
}

func trusting(arns ...string) at {
	return at{"iam_role": {{"id": role, "arn": role, "_trusted_arns": arns}}}
}

func attached(policy string) at {
	return at{"iam_role": {{"id": role, "arn": role}}, "iam_managed_policy": {{"id": policy, "arn": policy, "_principal_arns": []string{role}}}}
}

func bucket(more r) at   { return one1("s3_bucket", r{"id": "b", "name": "b"}, more) }
func database(more r) at { return one1("rds_instance", r{"id": "db", "storage_encrypted": true}, more) }

func acl(more r) at {
	return one1("ec2_network_acl_inbound_rule", r{"id": "acl-1/inbound/1", "network_acl_id": "acl-1"}, more)
}

func endpoint(resource string) at {
	return at{"ec2_vpc_endpoint": {{"id": "vpce-1", "policy_document": `{"Statement":[{"Effect":"Allow","Principal":{"AWS":"111111111111"},"Action":"s3:GetObject","Resource":` + resource + `}]}`}}}
}

func inUnit(unit string) at {
	units := []r{{"id": "ou-1"}, {"id": "ou-2"}}
	for _, u := range units {
		if u["id"] == unit {
			u["_account_ids"] = []string{"999999999999"}
		}
	}
	return at{"organization_account": {{"id": "999999999999"}}, "organization_unit": units}
}

func one1(table string, row, more r) at {
	out := r{}
	for _, from := range []r{row, more} {
		for k, v := range from {
			out[k] = v
		}
	}
	return at{table: {out}}
}

// ruleCases say of each rule a change of which it speaks, and some like it of
// which it does not.
var ruleCases = []struct {
	rule     string
	speaks   bool
	old, new at
}{
	{"security-group-open-sensitive", true, at{"ec2_ip_permission_inbound": {rule(22, 22, "tcp")}, "ec2_ip_range": ranges("10.0.0.0/8", rule(22, 22, "tcp"))},
		at{"ec2_ip_permission_inbound": {rule(22, 22, "tcp")}, "ec2_ip_range": ranges("0.0.0.0/0", rule(22, 22, "tcp"))}},
	{"security-group-open-sensitive", true, at{}, at{"ec2_ip_permission_inbound": {rule(3000, 4000, "tcp")}, "ec2_ip_range": ranges("0.0.0.0/0", rule(3000, 4000, "tcp"))}},
	{"security-group-open-sensitive", true, at{}, at{"ec2_ip_permission_inbound": {{"id": group + "NoneNone-1", "groupid": "sg-1", "ruleid": group + "NoneNone-1", "protocol": "-1"}},
		"ec2_ip_range": {{"id": "::/0", "range": "::/0", "_rule_ids": []string{group + "NoneNone-1"}}}}},
	{"security-group-open-sensitive", false, at{}, at{"ec2_ip_permission_inbound": {rule(443, 443, "tcp")}, "ec2_ip_range": ranges("0.0.0.0/0", rule(443, 443, "tcp"))}},
	{"security-group-open-sensitive", false, at{}, at{"ec2_ip_permission_inbound": {rule(22, 22, "tcp")}, "ec2_ip_range": ranges("203.0.113.0/24", rule(22, 22, "tcp"))}},
	{"security-group-open-sensitive", false, at{"ec2_ip_permission_inbound": {rule(22, 22, "tcp")}, "ec2_ip_range": ranges("0.0.0.0/0", rule(22, 22, "tcp"))}, at{}},
	{"security-group-open", true, at{}, at{"ec2_ip_permission_inbound": {rule(8080, 8080, "tcp")}, "ec2_ip_range": ranges("0.0.0.0/0", rule(8080, 8080, "tcp"))}},
	{"security-group-open", false, at{}, at{"ec2_ip_permission_inbound": {rule(80, 80, "tcp")}, "ec2_ip_range": ranges("0.0.0.0/0", rule(80, 80, "tcp"))}},
	{"security-group-open", false, at{}, at{"ec2_ip_permission_inbound": {rule(22, 22, "tcp")}, "ec2_ip_range": ranges("0.0.0.0/0", rule(22, 22, "tcp"))}},
	{"security-group-open-web", true, at{}, at{"ec2_ip_permission_inbound": {rule(443, 443, "tcp")}, "ec2_ip_range": ranges("0.0.0.0/0", rule(443, 443, "tcp"))}},
	{"security-group-open-web", false, at{}, at{"ec2_ip_permission_inbound": {rule(8443, 8443, "tcp")}, "ec2_ip_range": ranges("0.0.0.0/0", rule(8443, 8443, "tcp"))}},
	{"security-group-wide-range", true, at{}, at{"ec2_ip_permission_inbound": {rule(22, 22, "tcp")}, "ec2_ip_range": ranges("128.0.0.0/1", rule(22, 22, "tcp"))}},
	{"security-group-wide-range", false, at{}, at{"ec2_ip_permission_inbound": {rule(22, 22, "tcp")}, "ec2_ip_range": ranges("10.0.0.0/8", rule(22, 22, "tcp"))}},
	{"security-group-wide-range", false, at{}, at{"ec2_ip_permission_inbound": {rule(22, 22, "tcp")}, "ec2_ip_range": ranges("198.51.100.0/28", rule(22, 22, "tcp"))}},
	{"ip-range-open", true, at{}, at{"ec2_ip_range": ranges("0.0.0.0/0", rule(22, 22, "tcp"))}},
	{"ip-range-open", false, at{}, at{"ec2_ip_permission_inbound": {rule(22, 22, "tcp")}, "ec2_ip_range": ranges("0.0.0.0/0", rule(22, 22, "tcp"))}},
	{"ip-range-open", false, at{}, at{"ec2_ip_range": {{"id": "0.0.0.0/0", "range": "0.0.0.0/0", "_rule_ids": []string{"sg-1/IpPermissionsEgress/NoneNone-1"}}}}},
	{"security-group-trusts-group", true, at{"ec2_security_group": {{"id": "sg-1"}}}, at{"ec2_security_group": {{"id": "sg-1", "_source_group_ids": []string{"sg-2"}}}}},
	{"security-group-trusts-group", false, at{"ec2_security_group": {{"id": "sg-1", "_source_group_ids": []string{"sg-2"}}}}, at{"ec2_security_group": {{"id": "sg-1"}}}},
	{"load-balancer-internet-facing", true, at{}, at{"elbv2_load_balancer": {{"id": "l", "scheme": "internet-facing"}}}},
	{"load-balancer-internet-facing", true, at{"elb_load_balancer": {{"id": "l", "scheme": "internal"}}}, at{"elb_load_balancer": {{"id": "l", "scheme": "internet-facing"}}}},
	{"load-balancer-internet-facing", false, at{"elb_load_balancer": {{"id": "l", "scheme": "internet-facing", "name": "a"}}}, at{"elb_load_balancer": {{"id": "l", "scheme": "internet-facing", "name": "b"}}}},
	{"listener-plain", true, at{"elbv2_listener": {{"id": "l", "protocol": "HTTPS"}}}, at{"elbv2_listener": {{"id": "l", "protocol": "HTTP"}}}},
	{"listener-plain", false, at{"elbv2_listener": {{"id": "l", "protocol": "HTTP"}}}, at{"elbv2_listener": {{"id": "l", "protocol": "HTTPS"}}}},
	{"listener-tls-policy", true, at{"elbv2_listener": {{"id": "l", "ssl_policy": "a"}}}, at{"elbv2_listener": {{"id": "l", "ssl_policy": "b"}}}},
	{"listener-tls-policy", false, at{"elbv2_listener": {{"id": "l", "port": 1}}}, at{"elbv2_listener": {{"id": "l", "port": 2}}}},
	{"instance-public-address", true, at{"ec2_instance": {{"id": "i"}}}, at{"ec2_instance": {{"id": "i", "publicipaddress": "203.0.113.9"}}}},
	{"instance-public-address", false, at{"ec2_instance": {{"id": "i", "publicipaddress": "203.0.113.8"}}}, at{"ec2_instance": {{"id": "i", "publicipaddress": "203.0.113.9"}}}},
	{"interface-public-address", true, at{}, at{"ec2_network_interface": {{"id": "eni", "public_ip": "203.0.113.9"}}}},
	{"interface-public-address", false, at{}, at{"ec2_network_interface": {{"id": "eni"}}}},
	{"instance-metadata-v1", true, at{"ec2_instance": {{"id": "i", "metadatahttptokens": "required"}}}, at{"ec2_instance": {{"id": "i", "metadatahttptokens": "optional"}}}},
	{"instance-metadata-v1", false, at{"ec2_instance": {{"id": "i", "metadatahttptokens": "required"}}}, at{"ec2_instance": {{"id": "i", "metadatahttptokens": "optional", "metadatahttpendpoint": "disabled"}}}},
	{"instance-role", true, at{"ec2_instance": {{"id": "i"}}}, at{"ec2_instance": {{"id": "i", "iaminstanceprofile": "p"}}}},
	{"instance-role", false, at{"ec2_instance": {{"id": "i", "iaminstanceprofile": "p"}}}, at{"ec2_instance": {{"id": "i"}}}},
	{"subnet-public-addresses", true, at{"ec2_subnet": {{"id": "s", "map_public_ip_on_launch": false}}}, at{"ec2_subnet": {{"id": "s", "map_public_ip_on_launch": true}}}},
	{"subnet-public-addresses", false, at{"ec2_subnet": {{"id": "s", "map_public_ip_on_launch": true}}}, at{"ec2_subnet": {{"id": "s", "map_public_ip_on_launch": false}}}},
	{"route-to-internet", true, at{}, at{"ec2_route": {{"id": "r", "gateway_id": "igw-1", "destination_cidr_block": "0.0.0.0/0"}}}},
	{"route-to-internet", true, at{"ec2_route": {{"id": "r", "destination_ipv6_cidr_block": "::/0"}}}, at{"ec2_route": {{"id": "r", "gateway_id": "igw-1", "destination_ipv6_cidr_block": "::/0"}}}},
	{"route-to-internet", false, at{}, at{"ec2_route": {{"id": "r", "nat_gateway_id": "nat-1", "destination_cidr_block": "0.0.0.0/0"}}}},
	{"route-to-internet", false, at{}, at{"ec2_route": {{"id": "r", "gateway_id": "igw-1", "destination_cidr_block": "198.51.100.0/24"}}}},
	{"vpc-peering", true, at{"ec2_vpc_peering": {{"id": "x", "status_code": "pending-acceptance"}}}, at{"ec2_vpc_peering": {{"id": "x", "status_code": "active"}}}},
	{"vpc-peering", false, at{"ec2_vpc_peering": {{"id": "x", "status_code": "active"}}}, at{"ec2_vpc_peering": {{"id": "x", "status_code": "deleted"}}}},

	{"network-acl-open", true, acl(r{"ruleaction": "deny", "cidrblock": "0.0.0.0/0"}), acl(r{"ruleaction": "allow", "cidrblock": "0.0.0.0/0"})},
	{"network-acl-open", true, at{}, acl(r{"ruleaction": "allow", "ipv6cidrblock": "::/0"})},
	{"network-acl-open", false, at{}, acl(r{"ruleaction": "allow", "cidrblock": "10.0.0.0/8"})},
	{"network-acl-deny-removed", true, acl(r{"ruleaction": "deny", "rulenumber": 90}), at{}},
	{"network-acl-deny-removed", false, acl(r{"ruleaction": "deny", "rulenumber": 32767}), at{}},
	{"network-acl-deny-removed", false, acl(r{"ruleaction": "allow", "rulenumber": 90}), at{}},
	{"internet-gateway-attached", true, at{"ec2_internet_gateway": {{"id": "igw-1"}}}, at{"ec2_internet_gateway": {{"id": "igw-1", "_vpc_ids": []string{"vpc-1"}}}}},
	{"internet-gateway-attached", false, at{"ec2_internet_gateway": {{"id": "igw-1", "_vpc_ids": []string{"vpc-1"}}}}, at{"ec2_internet_gateway": {{"id": "igw-1"}}}},
	{"route-to-network", true, at{}, at{"ec2_route": {{"id": "r", "vpc_peering_connection_id": "pcx-1"}}}},
	{"route-to-network", true, at{"ec2_route": {{"id": "r", "transit_gateway_id": "tgw-1", "state": "blackhole"}}}, at{"ec2_route": {{"id": "r", "transit_gateway_id": "tgw-1", "state": "active"}}}},
	{"route-to-network", false, at{}, at{"ec2_route": {{"id": "r", "nat_gateway_id": "nat-1"}}}},
	{"transit-gateway-attached", true, at{"ec2_transit_gateway_attachment": {{"id": "a", "state": "pendingAcceptance"}}}, at{"ec2_transit_gateway_attachment": {{"id": "a", "state": "available"}}}},
	{"transit-gateway-attached", false, at{"ec2_transit_gateway_attachment": {{"id": "a", "state": "available"}}}, at{"ec2_transit_gateway_attachment": {{"id": "a", "state": "deleted"}}}},
	{"transit-gateway-shared", true, at{"ec2_transit_gateway": {{"id": "t"}}}, at{"ec2_transit_gateway": {{"id": "t", "_shared_with": "999999999999"}}}},
	{"transit-gateway-shared", false, at{"ec2_transit_gateway": {{"id": "t"}}}, at{"ec2_transit_gateway": {{"id": "t", "_shared_with": account}}}},
	{"endpoint-policy-open", true, endpoint(`"arn:aws:s3:::b/*"`), endpoint(`"*"`)},
	{"endpoint-policy-open", false, endpoint(`"*"`), endpoint(`"arn:aws:s3:::b/*"`)},
	{"endpoint-policy", true, endpoint(`"*"`), endpoint(`"arn:aws:s3:::b/*"`)},
	{"endpoint-policy", false, endpoint(`"*"`), endpoint(`["*"]`)},
	{"elastic-address-in-use", true, at{"ec2_elastic_ip_address": {{"id": "e"}}}, at{"ec2_elastic_ip_address": {{"id": "e", "association_id": "a"}}}},
	{"elastic-address-in-use", false, at{"ec2_elastic_ip_address": {{"id": "e", "association_id": "a"}}}, at{"ec2_elastic_ip_address": {{"id": "e", "association_id": "b"}}}},
	{"instance-ipv6-address", true, at{}, at{"ec2_ipv6_address": {{"id": "2001:db8::1"}}}},
	{"instance-ipv6-address", false, at{"ec2_ipv6_address": {{"id": "2001:db8::1"}}}, at{}},
	{"subnet-ipv6-addresses", true, at{"ec2_subnet": {{"id": "s", "assignipv6addressoncreation": false}}}, at{"ec2_subnet": {{"id": "s", "assignipv6addressoncreation": true}}}},
	{"subnet-ipv6-addresses", false, at{}, at{"ec2_subnet": {{"id": "s", "assignipv6addressoncreation": true}}}},
	{"interface-forwards", true, at{"ec2_network_interface": {{"id": "e", "source_dest_check": true}}}, at{"ec2_network_interface": {{"id": "e", "source_dest_check": false}}}},
	{"interface-forwards", false, at{"ec2_network_interface": {{"id": "e", "source_dest_check": false}}}, at{"ec2_network_interface": {{"id": "e", "source_dest_check": true}}}},
	{"instance-metadata-hops", true, at{"ec2_instance": {{"id": "i", "metadatahttpputresponsehoplimit": 1}}}, at{"ec2_instance": {{"id": "i", "metadatahttpputresponsehoplimit": 2}}}},
	{"instance-metadata-hops", false, at{"ec2_instance": {{"id": "i", "metadatahttpputresponsehoplimit": 3}}}, at{"ec2_instance": {{"id": "i", "metadatahttpputresponsehoplimit": 2}}}},
	{"launch-configuration-public", true, at{}, at{"autoscaling_launch_configuration": {{"id": "l", "associate_public_ip_address": true}}}},
	{"launch-configuration-public", false, at{}, at{"autoscaling_launch_configuration": {{"id": "l"}}}},
	{"launch-template-default", true, at{"ec2_launch_template": {{"id": "l", "default_version_number": 1}}}, at{"ec2_launch_template": {{"id": "l", "default_version_number": 2}}}},
	{"launch-template-default", false, at{"ec2_launch_template": {{"id": "l", "latest_version_number": 1}}}, at{"ec2_launch_template": {{"id": "l", "latest_version_number": 2}}}},
	{"listener-client-certificates-off", true, at{"elbv2_listener": {{"id": "l", "mutual_authentication_mode": "verify"}}}, at{"elbv2_listener": {{"id": "l", "mutual_authentication_mode": "off"}}}},
	{"listener-client-certificates-off", false, at{"elbv2_listener": {{"id": "l", "mutual_authentication_mode": "off"}}}, at{"elbv2_listener": {{"id": "l", "mutual_authentication_mode": "verify"}}}},
	{"organization-account-left", true, at{"organization_account": {{"id": "999999999999"}}}, at{}},
	{"organization-account-left", false, at{}, at{"organization_account": {{"id": "999999999999"}}}},
	{"organization-account-moved", true, inUnit("ou-1"), inUnit("ou-2")},
	{"organization-account-moved", false, at{}, inUnit("ou-2")},
	{"key-pair-new", true, at{}, at{"ec2_key_pair": {{"id": "k"}}}},
	{"key-pair-new", false, at{"ec2_key_pair": {{"id": "k"}}}, at{}},
	{"database-iam-authentication-off", true, database(r{"iam_database_authentication_enabled": true}), database(r{"iam_database_authentication_enabled": false})},
	{"database-iam-authentication-off", false, at{}, database(r{"iam_database_authentication_enabled": false})},
	{"volume-snapshot-unencrypted", true, at{}, at{"ec2_snapshot": {{"id": "s", "encrypted": false}}}},
	{"volume-snapshot-unencrypted", false, at{}, at{"ec2_snapshot": {{"id": "s", "encrypted": true}}}},
	{"anonymous-actions", true, bucket(r{"anonymous_access": true, "anonymous_actions": []string{"s3:GetObject"}}), bucket(r{"anonymous_access": true, "anonymous_actions": []string{"s3:GetObject", "s3:PutObject"}})},
	{"anonymous-actions", false, bucket(r{"anonymous_access": true, "anonymous_actions": []string{"s3:GetObject", "s3:PutObject"}}), bucket(r{"anonymous_access": true, "anonymous_actions": []string{"s3:GetObject"}})},
	{"function-key-gone", true, at{"lambda_function": {{"id": "f", "kmskeyarn": "k"}}}, at{"lambda_function": {{"id": "f"}}}},
	{"function-key-gone", false, at{}, at{"lambda_function": {{"id": "f"}}}},
	{"function-layer-other-account", true, at{}, at{"lambda_layer": {{"id": "l", "arn": "arn:aws:lambda:us-east-1:999999999999:layer:x:1"}}}},
	{"function-layer-other-account", false, at{}, at{"lambda_layer": {{"id": "l", "arn": "arn:aws:lambda:us-east-1:111111111111:layer:x:1"}}}},

	{"role-trusts-anyone", true, trusting(), trusting("*")},
	{"role-trusts-anyone", false, trusting("*"), trusting("*", "lambda.amazonaws.com")},
	{"role-trusts-other-account", true, trusting("lambda.amazonaws.com"), trusting("lambda.amazonaws.com", "arn:aws:iam::999999999999:root")},
	{"role-trusts-other-account", true, at{}, trusting("999999999999")},
	{"role-trusts-other-account", false, trusting(), trusting("arn:aws:iam::111111111111:root", "ec2.amazonaws.com", "*")},
	{"role-trusts-other-account", false, trusting("arn:aws:iam::999999999999:root"), trusting()},
	{"role-trusts-federation", true, trusting(), trusting("arn:aws:iam::111111111111:oidc-provider/token.actions.githubusercontent.com")},
	{"role-trusts-federation", false, trusting(), trusting("arn:aws:iam::111111111111:role/ci")},
	{"role-trusts-principal", true, trusting(), trusting("arn:aws:iam::111111111111:role/ci")},
	{"role-trusts-principal", false, trusting(), trusting("arn:aws:iam::999999999999:role/ci", "arn:aws:iam::111111111111:saml-provider/x")},
	{"role-trusts-service", true, trusting(), trusting("lambda.amazonaws.com")},
	{"role-trusts-service", false, trusting(), trusting("arn:aws:iam::111111111111:role/ci")},
	{"access-key-new", true, at{}, at{"iam_access_key": {{"id": "AKIA1", "status": "Active"}}}},
	{"access-key-new", false, at{}, at{"iam_access_key": {{"id": "AKIA1", "status": "Inactive"}}}},
	{"access-key-active", true, at{"iam_access_key": {{"id": "AKIA1", "status": "Inactive"}}}, at{"iam_access_key": {{"id": "AKIA1", "status": "Active"}}}},
	{"access-key-active", false, at{"iam_access_key": {{"id": "AKIA1", "status": "Active"}}}, at{"iam_access_key": {{"id": "AKIA1", "status": "Inactive"}}}},
	{"root-access-key", true, at{"iam_summary": {{"id": account, "account_access_keys_present": 0}}}, at{"iam_summary": {{"id": account, "account_access_keys_present": 1}}}},
	{"root-access-key", false, at{"iam_summary": {{"id": account, "account_access_keys_present": 1}}}, at{"iam_summary": {{"id": account, "account_access_keys_present": 0}}}},
	{"root-mfa-off", true, at{"iam_summary": {{"id": account, "account_mfa_enabled": 1}}}, at{"iam_summary": {{"id": account, "account_mfa_enabled": 0}}}},
	{"root-mfa-off", false, at{"iam_summary": {{"id": account, "account_mfa_enabled": 0}}}, at{"iam_summary": {{"id": account, "account_mfa_enabled": 1}}}},
	{"mfa-removed", true, at{"iam_mfa_device": {{"id": "m"}}}, at{}},
	{"mfa-removed", false, at{}, at{"iam_mfa_device": {{"id": "m"}}}},
	{"user-new", true, at{}, at{"iam_user": {{"id": "u"}}}},
	{"user-new", false, at{"iam_user": {{"id": "u"}}}, at{}},
	{"user-in-group", true, at{"iam_user": {{"id": "u", "arn": "u"}}, "iam_group": {{"id": "g"}}}, at{"iam_user": {{"id": "u", "arn": "u"}}, "iam_group": {{"id": "g", "_user_arns": []string{"u"}}}}},
	{"user-in-group", false, at{"iam_user": {{"id": "u", "arn": "u"}}, "iam_group": {{"id": "g", "_user_arns": []string{"u"}}}}, at{"iam_user": {{"id": "u", "arn": "u"}}, "iam_group": {{"id": "g"}}}},
	{"identity-provider-new", true, at{}, at{"iam_saml_provider": {{"id": "s"}}}},
	{"identity-provider-new", false, at{"iam_saml_provider": {{"id": "s"}}}, at{}},
	{"policy-admin", true, at{"iam_policy_statement": {statement(nil)}}, at{"iam_policy_statement": {statement(r{"action": []string{"*"}})}}},
	{"policy-admin", true, at{}, at{"iam_policy_statement": {statement(r{"action": []string{"s3:Get*", "*:*"}})}}},
	{"policy-admin", false, at{}, at{"iam_policy_statement": {statement(r{"action": []string{"s3:*"}})}}},
	{"policy-admin", false, at{}, at{"iam_policy_statement": {statement(r{"action": []string{"*"}, "effect": "Deny"})}}},
	{"policy-admin", false, at{}, at{"iam_policy_statement": {statement(r{"action": []string{"*"}, "resource": []string{"arn:aws:s3:::b/*"}})}}},
	{"policy-escalation", true, at{}, at{"iam_policy_statement": {statement(r{"action": []string{"iam:PassRole"}})}}},
	{"policy-escalation", true, at{"iam_policy_statement": {statement(nil)}}, at{"iam_policy_statement": {statement(r{"action": []string{"IAM:*"}})}}},
	{"policy-escalation", false, at{}, at{"iam_policy_statement": {statement(r{"action": []string{"iam:GetRole", "iam:List*"}})}}},
	{"policy-escalation", false, at{}, at{"iam_policy_statement": {statement(r{"action": []string{"iam:PassRole"}, "resource": []string{role}})}}},
	{"policy-escalation", false, at{}, at{"iam_policy_statement": {statement(r{"action": []string{"*", "iam:PassRole"}})}}},
	{"policy-service-wide", true, at{}, at{"iam_policy_statement": {statement(r{"action": []string{"s3:*"}})}}},
	{"policy-service-wide", false, at{}, at{"iam_policy_statement": {statement(r{"action": []string{"s3:Get*", "s3:GetObject"}})}}},
	{"policy-not-action", true, at{}, at{"iam_policy_statement": {statement(r{"action": nil, "notaction": []string{"iam:*"}})}}},
	{"policy-not-action", false, at{}, at{"iam_policy_statement": {statement(r{"action": nil, "notaction": []string{"iam:*"}, "effect": "Deny"})}}},
	{"policy-deny-removed", true, at{"iam_policy_statement": {statement(r{"effect": "Deny"})}}, at{}},
	{"policy-deny-removed", false, at{"iam_policy_statement": {statement(nil)}}, at{}},
	{"policy-condition-dropped", true, at{"iam_policy_statement": {statement(r{"condition": `[{"Bool": {"aws:MultiFactorAuthPresent": "true"}}]`})}}, at{"iam_policy_statement": {statement(nil)}}},
	{"policy-condition-dropped", false, at{"iam_policy_statement": {statement(nil)}}, at{"iam_policy_statement": {statement(r{"condition": `[{"Bool": {"aws:MultiFactorAuthPresent": "true"}}]`})}}},
	{"admin-policy-attached", true, at{"iam_role": {{"id": role, "arn": role}}}, attached("arn:aws:iam::aws:policy/AdministratorAccess")},
	{"admin-policy-attached", false, at{"iam_role": {{"id": role, "arn": role}}}, attached("arn:aws:iam::aws:policy/ReadOnlyAccess")},
	{"admin-policy-attached", false, attached("arn:aws:iam::aws:policy/AdministratorAccess"), at{"iam_role": {{"id": role, "arn": role}}}},
	{"admin-policy-attached-elsewhere", true, at{}, at{"iam_managed_policy": attached("arn:aws:iam::aws:policy/AdministratorAccess")["iam_managed_policy"]}},
	{"admin-policy-attached-elsewhere", false, at{}, attached("arn:aws:iam::aws:policy/AdministratorAccess")},
	{"policy-attached", true, at{"iam_role": {{"id": role, "arn": role}}}, attached("arn:aws:iam::aws:policy/ReadOnlyAccess")},
	{"policy-attached", false, attached("arn:aws:iam::aws:policy/ReadOnlyAccess"), at{"iam_role": {{"id": role, "arn": role}}}},
	{"organization-account-new", true, at{}, at{"organization_account": {{"id": "222222222222"}}}},
	{"organization-account-new", false, at{"organization_account": {{"id": "222222222222"}}}, at{}},

	{"bucket-public", true, bucket(r{"anonymous_access": false}), bucket(r{"anonymous_access": true})},
	{"bucket-public", true, at{}, bucket(r{"anonymous_access": true})},
	{"bucket-public", false, bucket(r{"anonymous_access": true}), bucket(r{"anonymous_access": false})},
	{"bucket-public", false, bucket(r{"anonymous_access": true, "mfa_delete": "Enabled"}), bucket(r{"anonymous_access": true})},
	{"bucket-acl-public", true, at{}, at{"s3_acl": {{"id": "a", "uri": "http://acs.amazonaws.com/groups/global/AllUsers", "_buckets": []string{"b"}}}}},
	{"bucket-acl-public", true, at{"s3_acl": {{"id": "a", "uri": "http://acs.amazonaws.com/groups/global/AllUsers", "_buckets": []string{"b"}}}},
		at{"s3_acl": {{"id": "a", "uri": "http://acs.amazonaws.com/groups/global/AllUsers", "_buckets": []string{"b", "c"}}}}},
	{"bucket-acl-public", false, at{}, at{"s3_acl": {{"id": "a", "uri": "http://acs.amazonaws.com/groups/s3/LogDelivery", "_buckets": []string{"b"}}}}},
	{"bucket-policy-other-account", true, at{"s3_policy_statement": {{"id": "s", "effect": "Allow", "principal": `{"AWS": "arn:aws:iam::111111111111:root"}`}}},
		at{"s3_policy_statement": {{"id": "s", "effect": "Allow", "principal": `{"AWS": ["arn:aws:iam::111111111111:root", "arn:aws:iam::999999999999:root"]}`}}}},
	{"bucket-policy-other-account", true, at{}, at{"s3_policy_statement": {{"id": "s", "effect": "Allow", "principal": `{"AWS": "999999999999"}`}}}},
	{"bucket-policy-other-account", false, at{}, at{"s3_policy_statement": {{"id": "s", "effect": "Deny", "principal": `{"AWS": "999999999999"}`}}}},
	{"bucket-policy-other-account", false, at{}, at{"s3_policy_statement": {{"id": "s", "effect": "Allow", "principal": `{"AWS": "arn:aws:iam::111111111111:root"}`}}}},
	{"bucket-policy-anybody", true, at{}, at{"s3_policy_statement": {{"id": "s", "effect": "Allow", "principal": `"*"`}}}},
	{"bucket-policy-anybody", true, at{}, at{"s3_policy_statement": {{"id": "s", "effect": "Allow", "principal": `*`}}}},
	{"bucket-policy-anybody", true, at{}, at{"s3_policy_statement": {{"id": "s", "effect": "Allow", "principal": `{"AWS": "*"}`}}}},
	{"bucket-policy-anybody", false, at{}, at{"s3_policy_statement": {{"id": "s", "effect": "Allow", "principal": `{"AWS": "*"}`, "condition": `{"StringEquals": {"aws:PrincipalOrgID": "o-1"}}`}}}},
	{"bucket-policy-anybody", false, at{}, at{"s3_policy_statement": {{"id": "s", "effect": "Deny", "principal": `"*"`}}}},
	{"bucket-encryption-off", true, bucket(r{"default_encryption": true}), bucket(r{"default_encryption": false})},
	{"bucket-encryption-off", false, bucket(r{"default_encryption": false}), bucket(r{"default_encryption": true})},
	{"bucket-logging-off", true, bucket(r{"logging_enabled": true}), bucket(r{"logging_enabled": false})},
	{"bucket-logging-off", false, at{}, bucket(r{"logging_enabled": false})},
	{"bucket-versioning-off", true, bucket(r{"versioning_status": "Enabled"}), bucket(r{"versioning_status": "Suspended"})},
	{"bucket-versioning-off", false, bucket(nil), bucket(r{"versioning_status": "Enabled"})},
	{"bucket-mfa-delete-off", true, bucket(r{"mfa_delete": "Enabled"}), bucket(r{"mfa_delete": "Disabled"})},
	{"bucket-mfa-delete-off", false, bucket(r{"mfa_delete": "Disabled"}), bucket(r{"mfa_delete": "Enabled"})},
	{"bucket-acls-on", true, bucket(r{"object_ownership": "BucketOwnerEnforced"}), bucket(r{"object_ownership": "ObjectWriter"})},
	{"bucket-acls-on", false, bucket(r{"object_ownership": "ObjectWriter"}), bucket(r{"object_ownership": "BucketOwnerEnforced"})},
	{"public-access-block-block-public-acls-off", true, bucket(r{"block_public_acls": true}), bucket(nil)},
	{"public-access-block-block-public-acls-off", false, bucket(r{"block_public_acls": false}), bucket(nil)},
	{"public-access-block-ignore-public-acls-off", true, bucket(r{"ignore_public_acls": true}), bucket(r{"ignore_public_acls": false})},
	{"public-access-block-ignore-public-acls-off", false, bucket(nil), bucket(r{"ignore_public_acls": true})},
	{"public-access-block-block-public-policy-off", true, one1("s3_account_public_access_block", r{"id": "x"}, r{"block_public_policy": true}), one1("s3_account_public_access_block", r{"id": "x"}, r{"block_public_policy": false})},
	{"public-access-block-block-public-policy-off", false, bucket(nil), bucket(r{"block_public_policy": true})},
	{"public-access-block-restrict-public-buckets-off", true, bucket(r{"restrict_public_buckets": true}), bucket(r{"restrict_public_buckets": false})},
	{"public-access-block-restrict-public-buckets-off", false, bucket(r{"restrict_public_buckets": true}), at{}},

	{"database-public", true, database(r{"publicly_accessible": false}), database(r{"publicly_accessible": true})},
	{"database-public", false, database(r{"publicly_accessible": true}), database(r{"publicly_accessible": false})},
	{"database-snapshot-public", true, at{}, at{"rds_snapshot": {{"id": "s", "ispublic": true}}}},
	{"database-snapshot-public", false, at{}, at{"rds_snapshot": {{"id": "s", "ispublic": false}}}},
	{"database-encryption-off", true, database(nil), database(r{"storage_encrypted": false})},
	{"database-encryption-off", false, at{}, database(r{"storage_encrypted": false})},
	{"database-unencrypted", true, at{}, one1("rds_cluster", r{"id": "c"}, r{"storage_encrypted": false})},
	{"database-unencrypted", false, at{}, database(nil)},
	{"database-snapshot-unencrypted", true, at{}, at{"rds_snapshot": {{"id": "s", "encrypted": false}}}},
	{"database-snapshot-unencrypted", false, at{}, at{"rds_snapshot": {{"id": "s", "encrypted": true}}}},
	{"database-deletable", true, database(r{"deletion_protection": true}), database(r{"deletion_protection": false})},
	{"database-deletable", false, database(r{"deletion_protection": false}), database(r{"deletion_protection": true})},
	{"database-backups-off", true, database(r{"backup_retention_period": 7}), database(r{"backup_retention_period": 0})},
	{"database-backups-off", false, database(r{"backup_retention_period": 7}), database(r{"backup_retention_period": 1})},
	{"database-events-off", true, at{"rds_event_subscription": {{"id": "s", "enabled": true}}}, at{"rds_event_subscription": {{"id": "s", "enabled": false}}}},
	{"database-events-off", false, at{"rds_event_subscription": {{"id": "s", "enabled": false}}}, at{"rds_event_subscription": {{"id": "s", "enabled": true}}}},

	{"volume-snapshot-public", true, at{"ec2_snapshot": {{"id": "s", "ispublic": false}}}, at{"ec2_snapshot": {{"id": "s", "ispublic": true}}}},
	{"volume-snapshot-public", false, at{"ec2_snapshot": {{"id": "s", "ispublic": true}}}, at{"ec2_snapshot": {{"id": "s"}}}},
	{"image-public", true, at{"ec2_image": {{"id": "i", "ispublic": false}}}, at{"ec2_image": {{"id": "i", "ispublic": true}}}},
	{"image-public", false, at{}, at{"ec2_image": {{"id": "i", "ispublic": true}}}},
	{"volume-unencrypted", true, at{}, at{"ec2_volume": {{"id": "v", "encrypted": false}}}},
	{"volume-unencrypted", false, at{}, at{"ec2_volume": {{"id": "v", "encrypted": true}}}},
	{"key-public", true, at{"kms_key": {{"id": "k", "anonymous_access": false}}}, at{"kms_key": {{"id": "k", "anonymous_access": true}}}},
	{"key-public", false, at{"kms_key": {{"id": "k", "anonymous_access": true}}}, at{"kms_key": {{"id": "k", "anonymous_access": false}}}},
	{"key-disabled", true, at{"kms_key": {{"id": "k", "enabled": true}}}, at{"kms_key": {{"id": "k", "enabled": false}}}},
	{"key-disabled", false, at{}, at{"kms_key": {{"id": "k", "enabled": false}}}},
	{"key-grant-other-account", true, at{}, at{"kms_grant": {{"id": "g", "grantee_principal": "arn:aws:iam::999999999999:role/x"}}}},
	{"key-grant-other-account", false, at{}, at{"kms_grant": {{"id": "g", "grantee_principal": role}}}},
	{"function-public", true, at{"lambda_function": {{"id": "f"}}}, at{"lambda_function": {{"id": "f", "anonymous_access": true}}}},
	{"function-public", false, at{}, at{"lambda_function": {{"id": "f", "anonymous_access": false}}}},
	{"function-role", true, at{"lambda_function": {{"id": "f", "_role": "a"}}}, at{"lambda_function": {{"id": "f", "_role": "b"}}}},
	{"function-role", false, at{}, at{"lambda_function": {{"id": "f", "_role": "b"}}}},
	{"function-role", false, at{"lambda_function": {{"id": "f", "_role": "a", "timeout": 1}}}, at{"lambda_function": {{"id": "f", "_role": "a", "timeout": 2}}}},
}

// Each rule speaks of what it should and of nothing that only looks like it,
// in the tables as they are declared.
func TestRules(t *testing.T) {
	tested := map[string][2]bool{}
	for i, c := range ruleCases {
		got := findings(t, c.old, c.new)
		if slices.Contains(got, c.rule) != c.speaks {
			t.Errorf("case %d, %s: got %v, want it: %v", i, c.rule, got, c.speaks)
		}
		done := tested[c.rule]
		done[map[bool]int{true: 1, false: 0}[c.speaks]] = true
		tested[c.rule] = done
	}
	for _, r := range diff.Rules() {
		if tested[r.Name] != [2]bool{true, true} {
			t.Errorf("rule %s is not tested both ways", r.Name)
		}
		delete(tested, r.Name)
	}
	for name := range tested {
		t.Errorf("there is no rule %s", name)
	}
}

// Rules name tables, columns and relationships that there are.
func TestRulesNameWhatThereIs(t *testing.T) {
	reg := registry()
	links := map[string]bool{} // "label TYPE", at both ends
	for _, table := range reg.Tables() {
		for _, l := range table.Links {
			for _, label := range append([]string{table.Label, l.Other()}, table.Aliases...) {
				links[label+" "+l.Type] = true
			}
		}
	}
	for _, r := range diff.Rules() {
		for _, name := range r.Tables {
			table := reg.Table(name)
			if table == nil {
				t.Errorf("rule %s: no table %s", r.Name, name)
				continue
			}
			tests := slices.Clone(r.Where)
			for _, list := range slices.Concat(r.OneOf, r.Unless) {
				tests = append(tests, list...)
			}
			for _, test := range tests {
				if _, ok := table.Column(test.Column); !ok {
					t.Errorf("rule %s: no column %s in %s", r.Name, test.Column, name)
				}
			}
			_, column := table.Column(r.Of)
			linked := slices.ContainsFunc(append([]string{table.Label}, table.Aliases...), func(l string) bool { return links[l+" "+r.Of] })
			if r.Of != "" && !column && !linked {
				t.Errorf("rule %s: %s has neither a column nor a relationship %s", r.Name, name, r.Of)
			}
		}
	}
}

// docs/severity.md is made of the rules: go test ./cmd/snap -update.
func TestSeverityDocument(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "severity.md")
	want := diff.RulesDocument()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is not of these rules; go test ./cmd/snap -run Severity -update writes it anew", path)
	}
}

// findings are the rules that speak of a change between two snapshots.
func findings(t *testing.T, old, new at) []string {
	t.Helper()
	var syncs []string // those of either side: their cells are complete on both
	for _, side := range []at{old, new} {
		for table := range side {
			if info := registry().Table(table); info == nil {
				t.Fatalf("no table %s", table)
			} else if !slices.Contains(syncs, info.Sync) {
				syncs = append(syncs, info.Sync)
			}
		}
	}
	c, err := diff.Compare(context.Background(), write(t, syncs, old), write(t, syncs, new), registry(), diff.Options{Rules: diff.Rules()})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for ch, err := range c.Changes() {
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range ch.Findings {
			if f.Perhaps {
				t.Errorf("%s: perhaps, of complete cells", f.Rule)
			}
			out = append(out, f.Rule)
		}
	}
	return out
}

// write makes and opens a snapshot of rows of the declared tables.
func write(t *testing.T, syncs []string, rows at) *store.Snapshot {
	t.Helper()
	s, err := store.Open(writeIn(t, syncs, rows))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// writeIn makes the snapshot and says where it is.
func writeIn(t *testing.T, syncs []string, rows at) string {
	t.Helper()
	started := time.Date(2024, 5, 1, 6, 0, 0, 0, time.UTC)
	dir := filepath.Join(t.TempDir(), "snap")
	w, err := store.Create(dir, store.Manifest{Program: "snap test", Started: started, Syncs: syncs,
		Accounts: []store.Account{{Provider: "aws", ID: account, Name: "prod", Regions: []string{"us-east-1"}}}})
	if err != nil {
		t.Fatal(err)
	}
	var tables []*kind.Table
	for _, name := range syncs {
		sync := registry().Sync(name)
		id := store.CellID{Provider: "aws", Account: account, Sync: name, Region: "us-east-1"}
		if sync.Global {
			id.Region = ""
		}
		cell := w.Cell(id)
		for _, table := range sync.Tables {
			for _, row := range rows[table.Name] {
				cell.Put(table, fill(t, table, row))
			}
		}
		tables = append(tables, sync.Tables...)
		if err := cell.Close(sync.Tables, store.Outcome{State: store.Complete, Started: started, Finished: started}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Commit(tables, started); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// fill makes a row of a table.
func fill(t *testing.T, table *kind.Table, row r) kind.Row {
	t.Helper()
	out := make(kind.Row, len(table.Columns))
	for name := range row {
		if _, ok := table.Column(name); !ok {
			t.Fatalf("no column %s in %s", name, table.Name)
		}
	}
	for i, c := range table.Columns {
		v := row[c.Name]
		if n, ok := v.(int); ok {
			v = int64(n)
		}
		if v == nil && c.Required {
			v = map[kind.Type]any{kind.String: "", kind.Int: int64(0), kind.Bool: false, kind.Float: 0.0, kind.Time: time.Unix(0, 0).UTC()}[c.Type]
		}
		if v != nil {
			want := map[kind.Type]string{kind.String: "string", kind.Int: "int64", kind.Bool: "bool", kind.Float: "float64", kind.Time: "time.Time", kind.Strings: "[]string", kind.Ints: "[]int64"}[c.Type]
			if got := reflect.TypeOf(v).String(); got != want && !strings.HasSuffix(c.Name, "_unknown") {
				t.Fatalf("%s.%s is a %s, not a %s", table.Name, c.Name, want, got)
			}
		}
		out[i] = v
	}
	return out
}
