package aws

import (
	"reflect"
	"slices"
	"testing"
)

// networkAPI is one account's network with what is rare in a recorded estate:
// subnets that another account shares, a range that could not be associated, a
// terminated instance, several interfaces and addresses, IPv6, prefix lists,
// groups and VPCs of other accounts, and load balancers of every kind.
var networkAPI = computeAPI{
	"DescribeVpcs": set("vpcSet", "item", el("vpcId", "vpc-1", "ownerId", "111111111111", "isDefault", "true", "cidrBlock", "10.0.0.0/16")+
		set("cidrBlockAssociationSet", "item", el("cidrBlock", "10.0.0.0/16")+"<cidrBlockState>"+el("state", "associated")+"</cidrBlockState>", el("cidrBlock", "10.1.0.0/16")+"<cidrBlockState>"+el("state", "failed", "statusMessage", "overlaps")+"</cidrBlockState>")+
		set("ipv6CidrBlockAssociationSet", "item", el("ipv6CidrBlock", "2001:db8::/56")+"<ipv6CidrBlockState>"+el("state", "failing", "statusMessage", "no pool")+"</ipv6CidrBlockState>")),
	"DescribeSubnets": set("subnetSet", "item", el("subnetId", "subnet-1", "vpcId", "vpc-1", "ownerId", "111111111111", "defaultForAz", "true"),
		el("subnetId", "subnet-2", "vpcId", "vpc-2", "ownerId", "222222222222", "defaultForAz", "false")),
	"DescribeSecurityGroups": set("securityGroupInfo", "item", el("groupId", "sg-1", "groupName", "default", "vpcId", "vpc-1", "ownerId", "111111111111")+
		set("ipPermissions", "item",
			el("ipProtocol", "-1")+set("groups", "item", el("groupId", "sg-1", "userId", "111111111111"), el("groupId", "sg-9", "userId", "222222222222", "vpcPeeringConnectionId", "pcx-1")),
			el("ipProtocol", "tcp", "fromPort", "443", "toPort", "443")+set("ipRanges", "item", el("cidrIp", "0.0.0.0/0"), el("cidrIp", "10.0.0.0/8"))+set("ipv6Ranges", "item", el("cidrIpv6", "::/0")),
			el("ipProtocol", "icmpv6", "fromPort", "-1", "toPort", "-1")+set("ipv6Ranges", "item", el("cidrIpv6", "::/0")))+
		set("ipPermissionsEgress", "item", el("ipProtocol", "tcp", "fromPort", "443", "toPort", "443")+set("prefixListIds", "item", el("prefixListId", "pl-1")))),
	"DescribeInstances": set("reservationSet", "item", el("reservationId", "r-1", "ownerId", "111111111111")+set("instancesSet", "item",
		el("instanceId", "i-1", "subnetId", "subnet-1", "keyName", "k")+"<instanceState>"+el("name", "running")+"</instanceState>"+set("groupSet", "item", el("groupId", "sg-1"))+set("networkInterfaceSet", "item",
			el("networkInterfaceId", "eni-2", "privateIpAddress", "10.0.0.9")+"<attachment>"+el("deviceIndex", "1")+"</attachment>"+set("groupSet", "item", el("groupId", "sg-1"))+set("ipv6AddressesSet", "item", el("ipv6Address", "2001:db8::9")),
			el("networkInterfaceId", "eni-1", "privateIpAddress", "10.0.0.1")+"<attachment>"+el("deviceIndex", "0")+"</attachment>"+set("groupSet", "item", el("groupId", "sg-1"))+
				set("ipv6AddressesSet", "item", el("ipv6Address", "2001:db8::1", "isPrimaryIpv6", "false"), el("ipv6Address", "2001:db8::2", "isPrimaryIpv6", "true"))),
		el("instanceId", "i-2")+"<instanceState>"+el("name", "terminated")+"</instanceState>", // nothing else is left of it
		el("instanceId", "i-3", "subnetId", "subnet-2")+"<instanceState>"+el("name", "stopped")+"</instanceState>"+set("networkInterfaceSet", "item", el("networkInterfaceId", "eni-3", "privateIpAddress", "10.2.0.3")+"<attachment>"+el("deviceIndex", "0")+"</attachment>"))),
	"DescribeNetworkInterfaces": set("networkInterfaceSet", "item",
		el("networkInterfaceId", "eni-1", "subnetId", "subnet-1", "vpcId", "vpc-1", "privateIpAddress", "10.0.0.1")+"<attachment>"+el("instanceId", "i-1", "deviceIndex", "0")+"</attachment>"+set("groupSet", "item", el("groupId", "sg-1"))+
			set("privateIpAddressesSet", "item", el("privateIpAddress", "10.0.0.1", "primary", "true"), el("privateIpAddress", "10.0.0.2", "primary", "false")+"<association>"+el("publicIp", "192.0.2.2", "ipOwnerId", "111111111111")+"</association>"),
		el("networkInterfaceId", "eni-lb", "subnetId", "subnet-1", "vpcId", "vpc-1", "requesterManaged", "true", "description", "ELB app/web/0a1b", "ownerId", "111111111111")),
	"DescribeAddresses": set("addressesSet", "item", el("publicIp", "192.0.2.2", "allocationId", "eipalloc-1", "networkInterfaceId", "eni-1", "instanceId", "i-1", "privateIpAddress", "10.0.0.2")),
	"DescribeVpcPeeringConnections": set("vpcPeeringConnectionSet", "item", el("vpcPeeringConnectionId", "pcx-1")+
		"<requesterVpcInfo>"+el("ownerId", "111111111111", "vpcId", "vpc-1", "region", "eu-west-1")+set("cidrBlockSet", "item", el("cidrBlock", "10.0.0.0/16"))+"</requesterVpcInfo>"+
		"<accepterVpcInfo>"+el("ownerId", "222222222222", "vpcId", "vpc-9", "region", "us-east-1")+set("cidrBlockSet", "item", el("cidrBlock", "10.9.0.0/16"))+"</accepterVpcInfo>"),
	"ClassicDescribeLoadBalancers": set("LoadBalancerDescriptions", "member", el("LoadBalancerName", "old", "DNSName", "Old.elb", "Scheme", "internal")+set("Instances", "member", el("InstanceId", "i-1"))+set("SecurityGroups", "member", "sg-1")+
		"<SourceSecurityGroup>"+el("GroupName", "default")+"</SourceSecurityGroup>"+set("ListenerDescriptions", "member", "<Listener>"+el("LoadBalancerPort", "443", "Protocol", "HTTPS", "InstancePort", "80")+"</Listener>"+set("PolicyNames", "member", "tls-1-2"))),
	"DescribeLoadBalancers": set("LoadBalancers", "member", el("LoadBalancerArn", "arn:aws:elasticloadbalancing:eu-west-1:111111111111:loadbalancer/app/web/0a1b", "DNSName", "Web.elb", "Type", "application"),
		el("LoadBalancerArn", "arn-net", "DNSName", "Net.elb", "Type", "network"), el("LoadBalancerArn", "arn-gwy", "DNSName", "Gwy.elb", "Type", "gateway")),
	"DescribeListeners arn:aws:elasticloadbalancing:eu-west-1:111111111111:loadbalancer/app/web/0a1b": set("Listeners", "member", el("ListenerArn", "l-web", "Port", "443", "Protocol", "HTTPS")),
	"DescribeListeners arn-net": set("Listeners", "member", el("ListenerArn", "l-net", "Port", "53", "Protocol", "TCP_UDP")),
	"DescribeListeners arn-gwy": "",
	"DescribeTargetGroups": set("TargetGroups", "member",
		el("TargetGroupArn", "tg-alb", "TargetType", "alb", "Protocol", "TCP", "Port", "443", "VpcId", "vpc-1")+set("LoadBalancerArns", "member", "arn-net"),
		el("TargetGroupArn", "tg-ip", "TargetType", "ip", "Protocol", "HTTP", "Port", "80", "VpcId", "vpc-1")+set("LoadBalancerArns", "member", "arn:aws:elasticloadbalancing:eu-west-1:111111111111:loadbalancer/app/web/0a1b"),
		el("TargetGroupArn", "tg-gwy", "TargetType", "instance", "Protocol", "GENEVE", "Port", "6081", "VpcId", "vpc-1")+set("LoadBalancerArns", "member", "arn-gwy")),
	"DescribeTargetHealth tg-alb": set("TargetHealthDescriptions", "member", "<Target>"+el("Id", "arn:aws:elasticloadbalancing:eu-west-1:111111111111:loadbalancer/app/web/0a1b")+"</Target>"),
	"DescribeTargetHealth tg-ip":  set("TargetHealthDescriptions", "member", "<Target>"+el("Id", "10.0.0.2")+"</Target>"),
	"DescribeTargetHealth tg-gwy": set("TargetHealthDescriptions", "member", "<Target>"+el("Id", "i-1")+"</Target>"),
}

func TestEC2Network(t *testing.T) {
	sink, _, err := networkAPI.collect(t, "", "ec2:vpc", "ec2:subnet", "ec2:security_group", "ec2:instance", "ec2:network_interface", "elastic_ip_addresses",
		"ec2:vpc_peering", "ec2:load_balancer", "ec2:load_balancer_v2")
	if err != nil || len(sink.losses) > 0 {
		t.Fatalf("%v, lost %v", err, sink.losses)
	}
	// What a column of a row is to be, by table, id and column; nil: null.
	const web = "arn:aws:elasticloadbalancing:eu-west-1:111111111111:loadbalancer/app/web/0a1b"
	for _, c := range []struct {
		table, id, column string
		want              any
	}{
		{"ec2_vpc", "vpc-1", "is_default", true},
		{"ec2_vpc_ipv4_cidr_block", "vpc-1|10.1.0.0/16", "block_state_message", "overlaps"},
		{"ec2_vpc_ipv6_cidr_block", "vpc-1|2001:db8::/56", "block_state", "failing"},
		{"ec2_subnet", "subnet-1", "default_for_az", true},
		{"ec2_subnet", "subnet-2", "vpc_id", "vpc-2"}, // the sharing account's, linked where that is collected
		{"ec2_security_group", "sg-1", "_source_group_ids", []string{"sg-1", "sg-9"}},
		{"ec2_ip_permission_inbound", "sg-1/IpPermissions/NoneNone-1", "fromport", nil},
		{"ec2_ip_permission_inbound", "sg-1/IpPermissions/-1-1icmpv6", "fromport", int64(-1)},
		{"ec2_ip_rule", "sg-1/IpPermissionsEgress/443443tcp", "protocol", "tcp"}, // of a prefix list: the rule alone
		{"ec2_instance", "i-1", "ipv6address", "2001:db8::2"},
		{"ec2_instance", "i-2", "state", "terminated"},
		{"ec2_instance", "i-2", "privateipaddress", nil},
		{"ec2_instance", "i-3", "state", "stopped"},
		{"ec2_ipv6_address", "2001:db8::9", "network_interface_id", "eni-2"},
		{"ec2_ipv6_address", "2001:db8::2", "primary", true},
		{"ec2_network_interface", "eni-1", "_instance_id", "i-1"},
		{"ec2_network_interface", "eni-lb", "_load_balancer_arn", web},
		{"ec2_private_ip", "eni-1:10.0.0.2", "public_ip", "192.0.2.2"},
		{"ec2_elastic_ip_address", "192.0.2.2", "network_interface_id", "eni-1"},
		{"ec2_vpc_peering_vpc", "vpc-9", "_owner_id", "222222222222"},
		{"ec2_vpc_peering_vpc", "vpc-9", "region", "us-east-1"},
		{"elb_listener", "Old.elb443HTTPS", "policy_names", []string{"tls-1-2"}},
		{"elbv2_listener", "l-net", "protocol", "TCP_UDP"},
	} {
		if got := sink.row(t, c.table, c.id)[c.column]; !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s %s: %s is %#v, want %#v", c.table, c.id, c.column, got, c.want)
		}
	}
	for table, want := range map[string][]string{
		"ec2_ip_range":                   {"0.0.0.0/0", "10.0.0.0/8"}, // of IPv4 alone
		"ec2_instance_subnet":            {"subnet-1", "subnet-2"},
		"ec2_instance_network_interface": {"eni-1", "eni-2"}, // those that have groups
		"ec2_vpc_peering_account":        {"111111111111", "222222222222"},
	} {
		got := slices.Compact(sink.ids(table))
		if !slices.Equal(got, want) {
			t.Errorf("%s has %v, want %v", table, got, want)
		}
	}
	for table, want := range map[string][2]string{"elbv2_alb_target": {"Net.elb", web}, "elbv2_ip_target": {"Web.elb", "10.0.0.2"}, "elbv2_instance_target": {"Gwy.elb", "i-1"}} {
		rows := sink.rows[table]
		if len(rows) != 1 || rows[0]["load_balancer_id"] != want[0] || rows[0]["target_id"] != want[1] {
			t.Errorf("%s: %v, want %v", table, rows, want)
		}
	}
}

// A route's next hop may be a gateway of any kind. One route has one of them.
func TestEveryGateway(t *testing.T) {
	hops := map[string][2]string{ // the answer's element, and the column
		"internet":        {"gatewayId", "gateway_id"},
		"virtual private": {"gatewayId", "gateway_id"},
		"NAT":             {"natGatewayId", "nat_gateway_id"},
		"egress-only":     {"egressOnlyInternetGatewayId", "egress_only_internet_gateway_id"},
		"local":           {"localGatewayId", "local_gateway_id"},
		"transit":         {"transitGatewayId", "transit_gateway_id"},
		"carrier":         {"carrierGatewayId", "carrier_gateway_id"},
		"core network":    {"coreNetworkArn", "core_network_arn"},
		"peering":         {"vpcPeeringConnectionId", "vpc_peering_connection_id"},
		"interface":       {"networkInterfaceId", "network_interface_id"},
		"instance":        {"instanceId", "instance_id"},
	}
	columns := []string{
		"gateway_id", "nat_gateway_id", "egress_only_internet_gateway_id", "local_gateway_id", "transit_gateway_id", "carrier_gateway_id",
		"core_network_arn", "vpc_peering_connection_id", "network_interface_id", "instance_id",
	}
	for name, hop := range hops {
		for destination, id := range map[string]string{"destinationCidrBlock": "10.0.0.0/8", "destinationIpv6CidrBlock": "::/0", "destinationPrefixListId": "next"} {
			value := "10.0.0.0/8"
			if destination == "destinationIpv6CidrBlock" {
				value = "::/0"
			} else if destination == "destinationPrefixListId" {
				value = "pl-1"
			}
			a := computeAPI{"DescribeRouteTables": set("routeTableSet", "item", el("routeTableId", "rtb-1")+set("routeSet", "item", el(destination, value, hop[0], "next")))}
			sink, _, err := a.collect(t, "", "ec2:route_table")
			if err != nil {
				t.Fatal(err)
			}
			// As Cartography has it: of a prefix list, the next hop is in the id.
			row := sink.row(t, "ec2_route", "rtb-1|"+id)
			for _, column := range columns {
				want := any(nil)
				if column == hop[1] {
					want = "next"
				}
				if row[column] != want {
					t.Errorf("%s gateway, %s: %s is %v, want %v", name, destination, column, row[column], want)
				}
			}
		}
	}
}
