package aws

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"snap/collect/aws/api"
)

// routingAnswers is a fake EC2: what is inside of the answer's element, by
// operation with the route table that it asks about and the page's token;
// "code NAME" is an error, and what has no answer is an error too.
type routingAnswers map[string]string

func (a routingAnswers) collect(t *testing.T, name string) (*rowSink, error) {
	t.Helper()
	var mu sync.Mutex
	made := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		operation := r.FormValue("Action")
		call := strings.Join(strings.Fields(operation+" "+r.FormValue("TransitGatewayRouteTableId")+" "+r.FormValue("NextToken")), " ")
		mu.Lock()
		if made[call] {
			t.Errorf("%s: called twice", call)
		}
		made[call] = true
		mu.Unlock()
		answer, ok := a[call]
		if !ok {
			t.Errorf("%s: called", call)
			answer = "code Unexpected"
		}
		if code, failed := strings.CutPrefix(answer, "code "); failed {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, "<Response><Errors><Error><Code>%s</Code></Error></Errors></Response>", code)
			return
		}
		fmt.Fprintf(w, "<%[1]sResponse>%[2]s</%[1]sResponse>", operation, answer)
	}))
	defer server.Close()
	sink := &rowSink{}
	err := api.Find(name).Collect(context.Background(), &api.Cell{
		Account: "111111111111", Region: "cn-north-1", Partition: "aws-cn", Sink: sink, Config: noteCalls(name, aws.Config{
			Region: "cn-north-1", BaseEndpoint: aws.String(server.URL), HTTPClient: server.Client(),
			Credentials: credentials.NewStaticCredentialsProvider("k", "s", ""), RetryMaxAttempts: 1,
		}),
	})
	for _, rows := range sink.rows {
		for _, row := range rows {
			maps.DeleteFunc(row, func(_ string, v any) bool { return v == nil })
		}
	}
	return sink, err
}

type routingRows = []map[string]any

const (
	routingAccount = "111111111111"
	routingRegion  = "cn-north-1"
)

var routingTests = []struct {
	sync    string
	answers routingAnswers
	want    map[string]routingRows
}{
	{"ec2:network_acls", routingAnswers{
		"DescribeNetworkAcls": `<networkAclSet><item><networkAclId>acl-1</networkAclId><vpcId>vpc-1</vpcId><default>false</default><ownerId>222222222222</ownerId>
			<associationSet><item><subnetId>subnet-1</subnetId></item><item><subnetId>subnet-2</subnetId></item></associationSet>
			<entrySet><item><ruleNumber>100</ruleNumber><protocol>6</protocol><ruleAction>allow</ruleAction><egress>false</egress><cidrBlock>0.0.0.0/0</cidrBlock><portRange><from>443</from><to>443</to></portRange></item>
			<item><ruleNumber>100</ruleNumber><protocol>-1</protocol><ruleAction>deny</ruleAction><egress>true</egress><ipv6CidrBlock>::/0</ipv6CidrBlock></item></entrySet></item></networkAclSet><nextToken>two</nextToken>`,
		"DescribeNetworkAcls two": `<networkAclSet><item><networkAclId>acl-2</networkAclId><default>true</default></item></networkAclSet>`,
	}, map[string]routingRows{
		"ec2_network_acl": {
			{
				"id": "arn:aws-cn:ec2:cn-north-1:111111111111:network-acl/acl-1", "arn": "arn:aws-cn:ec2:cn-north-1:111111111111:network-acl/acl-1",
				"network_acl_id": "acl-1", "is_default": false, "vpc_id": "vpc-1", "region": routingRegion, "_subnet_ids": []string{"subnet-1", "subnet-2"},
			},
			{
				"id": "arn:aws-cn:ec2:cn-north-1:111111111111:network-acl/acl-2", "arn": "arn:aws-cn:ec2:cn-north-1:111111111111:network-acl/acl-2",
				"network_acl_id": "acl-2", "is_default": true, "region": routingRegion,
			},
		},
		"ec2_network_acl_inbound_rule": {{
			"id": "acl-1/inbound/100", "network_acl_id": "acl-1", "cidrblock": "0.0.0.0/0", "egress": false, "protocol": "6", "ruleaction": "allow", "rulenumber": int64(100), "region": routingRegion,
		}},
		"ec2_network_acl_egress_rule": {{
			"id": "acl-1/egress/100", "network_acl_id": "acl-1", "ipv6cidrblock": "::/0", "egress": true, "protocol": "-1", "ruleaction": "deny", "rulenumber": int64(100), "region": routingRegion,
		}},
	}},

	{"ec2:internet_gateway", routingAnswers{
		"DescribeInternetGateways": `<internetGatewaySet><item><internetGatewayId>igw-1</internetGatewayId><ownerId>222222222222</ownerId>
			<attachmentSet><item><state>available</state><vpcId>vpc-1</vpcId></item></attachmentSet></item><item><internetGatewayId>igw-2</internetGatewayId></item></internetGatewaySet>`,
	}, map[string]routingRows{"ec2_internet_gateway": {
		{"id": "igw-1", "arn": "arn:aws-cn:ec2:cn-north-1:222222222222:internet-gateway/igw-1", "ownerid": "222222222222", "region": routingRegion, "_vpc_ids": []string{"vpc-1"}},
		{"id": "igw-2", "arn": "arn:aws-cn:ec2:cn-north-1:111111111111:internet-gateway/igw-2", "ownerid": routingAccount, "region": routingRegion},
	}}},

	{"ec2:route_table", routingAnswers{
		"DescribeRouteTables": `<routeTableSet><item><routeTableId>rtb-1</routeTableId><vpcId>vpc-1</vpcId><ownerId>222222222222</ownerId>
			<routeSet><item><destinationCidrBlock>10.0.0.0/16</destinationCidrBlock><gatewayId>local</gatewayId><state>active</state><origin>CreateRouteTable</origin></item>
			<item><destinationIpv6CidrBlock>::/0</destinationIpv6CidrBlock><egressOnlyInternetGatewayId>eigw-1</egressOnlyInternetGatewayId><state>active</state><origin>CreateRoute</origin></item>
			<item><destinationPrefixListId>pl-1</destinationPrefixListId><gatewayId>vpce-1</gatewayId><state>active</state><origin>CreateRoute</origin></item></routeSet>
			<associationSet><item><routeTableAssociationId>rtbassoc-1</routeTableAssociationId><routeTableId>rtb-1</routeTableId><main>true</main><associationState><state>associated</state></associationState></item>
			<item><routeTableAssociationId>rtbassoc-2</routeTableAssociationId><subnetId>subnet-1</subnetId><main>false</main></item></associationSet></item>
			<item><routeTableId>rtb-2</routeTableId>
			<associationSet><item><routeTableAssociationId>rtbassoc-3</routeTableAssociationId><gatewayId>igw-1</gatewayId><main>false</main></item></associationSet></item></routeTableSet>`,
	}, map[string]routingRows{
		"ec2_route_table": {
			{"id": "rtb-1", "route_table_id": "rtb-1", "owner_id": "222222222222", "main": true, "region": routingRegion, "_vpc_id": "vpc-1"},
			{"id": "rtb-2", "route_table_id": "rtb-2", "main": false, "region": routingRegion},
		},
		"ec2_route": {
			{
				"id": "rtb-1|10.0.0.0/16", "target": "10.0.0.0/16", "destination_cidr_block": "10.0.0.0/16", "gateway_id": "local",
				"state": "active", "origin": "CreateRouteTable", "region": routingRegion, "_route_table_id": "rtb-1",
			},
			{
				"id": "rtb-1|::/0", "target": "::/0", "destination_ipv6_cidr_block": "::/0", "egress_only_internet_gateway_id": "eigw-1",
				"state": "active", "origin": "CreateRoute", "region": routingRegion, "_route_table_id": "rtb-1",
			},
			{
				"id": "rtb-1|vpce-1", "target": "vpce-1", "destination_prefix_list_id": "pl-1", "gateway_id": "vpce-1", "vpc_endpoint_id": "vpce-1",
				"state": "active", "origin": "CreateRoute", "region": routingRegion, "_route_table_id": "rtb-1",
			},
		},
		"ec2_route_table_association": {
			{
				"id": "rtbassoc-1", "route_table_association_id": "rtbassoc-1", "route_table_id": "rtb-1", "main": true,
				"association_state": "associated", "target": "main", "region": routingRegion,
			},
			{
				"id": "rtbassoc-2", "route_table_association_id": "rtbassoc-2", "route_table_id": "rtb-1", "main": false,
				"subnet_id": "subnet-1", "target": "subnet-1", "region": routingRegion,
			},
			{
				"id": "rtbassoc-3", "route_table_association_id": "rtbassoc-3", "route_table_id": "rtb-2", "main": false,
				"gateway_id": "igw-1", "target": "igw-1", "region": routingRegion,
			},
		},
	}},

	{"ec2:vpc_peering", routingAnswers{
		"DescribeVpcPeeringConnections": `<vpcPeeringConnectionSet><item><vpcPeeringConnectionId>pcx-1</vpcPeeringConnectionId><status><code>active</code><message>Active</message></status>
			<requesterVpcInfo><ownerId>111111111111</ownerId><vpcId>vpc-1</vpcId><region>cn-north-1</region><cidrBlockSet><item><cidrBlock>10.0.0.0/16</cidrBlock></item><item><cidrBlock>10.1.0.0/16</cidrBlock></item></cidrBlockSet>
			<peeringOptions><allowDnsResolutionFromRemoteVpc>true</allowDnsResolutionFromRemoteVpc><allowEgressFromLocalClassicLinkToRemoteVpc>false</allowEgressFromLocalClassicLinkToRemoteVpc><allowEgressFromLocalVpcToRemoteClassicLink>false</allowEgressFromLocalVpcToRemoteClassicLink></peeringOptions></requesterVpcInfo>
			<accepterVpcInfo><ownerId>999999999999</ownerId><vpcId>vpc-9</vpcId><region>cn-northwest-1</region><cidrBlockSet><item><cidrBlock>10.9.0.0/16</cidrBlock></item></cidrBlockSet></accepterVpcInfo></item>
			<item><vpcPeeringConnectionId>pcx-2</vpcPeeringConnectionId><status><code>pending-acceptance</code></status><accepterVpcInfo><ownerId>999999999999</ownerId></accepterVpcInfo></item></vpcPeeringConnectionSet>`,
	}, map[string]routingRows{
		"ec2_vpc_peering": {
			{
				"id": "pcx-1", "status_code": "active", "status_message": "Active", "requester_region": routingRegion, "accepter_region": "cn-northwest-1",
				"allow_dns_resolution_from_remote_vpc": true, "allow_egress_from_local_classic_link_to_remote_vpc": false, "allow_egress_from_local_vpc_to_remote_classic_link": false,
				"_requester_vpc_id": "vpc-1", "_accepter_vpc_id": "vpc-9",
				"_requester_cidr_ids": []string{"vpc-1|10.0.0.0/16", "vpc-1|10.1.0.0/16"}, "_accepter_cidr_ids": []string{"vpc-9|10.9.0.0/16"},
			},
			{"id": "pcx-2", "status_code": "pending-acceptance"},
		},
		"ec2_vpc_peering_account": {{"id": "999999999999"}, {"id": routingAccount}, {"id": "999999999999"}},
		"ec2_vpc_peering_vpc": {
			{"id": "vpc-9", "vpcid": "vpc-9", "region": "cn-northwest-1", "_owner_id": "999999999999"},
			{"id": "vpc-1", "vpcid": "vpc-1", "region": routingRegion, "_owner_id": routingAccount},
		},
		"ec2_vpc_peering_cidr_block": {
			{"id": "vpc-9|10.9.0.0/16", "vpcid": "vpc-9", "cidr_block": "10.9.0.0/16"},
			{"id": "vpc-1|10.0.0.0/16", "vpcid": "vpc-1", "cidr_block": "10.0.0.0/16"},
			{"id": "vpc-1|10.1.0.0/16", "vpcid": "vpc-1", "cidr_block": "10.1.0.0/16"},
		},
	}},

	{"ec2:vpc_endpoint", routingAnswers{
		"DescribeVpcEndpoints": `<vpcEndpointSet><item><vpcEndpointId>vpce-1</vpcEndpointId><vpcEndpointType>Interface</vpcEndpointType><vpcId>vpc-1</vpcId><serviceName>ssm</serviceName><serviceRegion>cn-north-1</serviceRegion>
			<state>available</state><policyDocument>{"Statement": []}</policyDocument><routeTableIdSet/><subnetIdSet><item>subnet-1</item></subnetIdSet><networkInterfaceIdSet><item>eni-1</item></networkInterfaceIdSet>
			<groupSet><item><groupId>sg-1</groupId></item></groupSet><dnsEntrySet><item><dnsName>ssm.local</dnsName><hostedZoneId>Z1</hostedZoneId></item></dnsEntrySet>
			<privateDnsEnabled>true</privateDnsEnabled><requesterManaged>false</requesterManaged><ipAddressType>ipv4</ipAddressType><ownerId>111111111111</ownerId><creationTimestamp>2024-01-02T03:04:05.000Z</creationTimestamp></item>
			<item><vpcEndpointId>vpce-2</vpcEndpointId><vpcEndpointType>Gateway</vpcEndpointType><routeTableIdSet><item>rtb-1</item></routeTableIdSet></item></vpcEndpointSet>`,
	}, map[string]routingRows{
		"ec2_vpc_endpoint": {
			{
				"id": "vpce-1", "vpc_endpoint_id": "vpce-1", "vpc_endpoint_type": "Interface", "vpc_id": "vpc-1", "service_name": "ssm", "service_region": routingRegion,
				"state": "available", "policy_document": `{"Statement": []}`, "route_table_ids": []string{}, "subnet_ids": []string{"subnet-1"}, "network_interface_ids": []string{"eni-1"},
				"dns_entries": `[{"DnsName": "ssm.local", "HostedZoneId": "Z1"}]`, "private_dns_enabled": true, "requester_managed": false, "ip_address_type": "ipv4",
				"owner_id": routingAccount, "creation_timestamp": "2024-01-02T03:04:05+00:00", "region": routingRegion,
			},
			{
				"id": "vpce-2", "vpc_endpoint_id": "vpce-2", "vpc_endpoint_type": "Gateway", "region": routingRegion,
				"route_table_ids": []string{"rtb-1"}, "subnet_ids": []string{}, "network_interface_ids": []string{},
			},
		},
		"ec2_vpc_endpoint_subnet":         {{"id": "subnet-1", "subnetid": "subnet-1", "subnet_id": "subnet-1", "region": routingRegion, "_endpoint_ids": []string{"vpce-1"}}},
		"ec2_vpc_endpoint_security_group": {{"id": "sg-1", "groupid": "sg-1", "region": routingRegion, "_endpoint_ids": []string{"vpce-1"}}},
		"ec2_vpc_endpoint_route_table":    {{"id": "rtb-1", "route_table_id": "rtb-1", "region": routingRegion, "_endpoint_ids": []string{"vpce-2"}}},
	}},

	{"ec2:tgw", routingAnswers{
		"DescribeTransitGateways": `<transitGatewaySet><item><transitGatewayArn>arn:own</transitGatewayArn><transitGatewayId>tgw-1</transitGatewayId><ownerId>111111111111</ownerId><state>available</state><description>mine</description></item>
			<item><transitGatewayArn>arn:shared</transitGatewayArn><transitGatewayId>tgw-2</transitGatewayId><ownerId>222222222222</ownerId></item></transitGatewaySet>`,
		"DescribeTransitGatewayAttachments": `<transitGatewayAttachments><item><transitGatewayAttachmentId>tgw-attach-1</transitGatewayAttachmentId><transitGatewayId>tgw-1</transitGatewayId><resourceType>vpc</resourceType><resourceId>vpc-1</resourceId><state>available</state></item>
			<item><transitGatewayAttachmentId>tgw-attach-2</transitGatewayAttachmentId><transitGatewayId>tgw-1</transitGatewayId><resourceType>vpn</resourceType><resourceId>vpn-1</resourceId></item></transitGatewayAttachments>`,
		"DescribeTransitGatewayVpcAttachments": `<transitGatewayVpcAttachments><item><transitGatewayAttachmentId>tgw-attach-1</transitGatewayAttachmentId><vpcId>vpc-1</vpcId><subnetIds><item>subnet-1</item></subnetIds></item></transitGatewayVpcAttachments>`,
	}, map[string]routingRows{
		"ec2_transit_gateway": {
			{"id": "arn:own", "arn": "arn:own", "tgw_id": "tgw-1", "ownerid": routingAccount, "state": "available", "description": "mine", "region": routingRegion},
			{"id": "arn:shared", "arn": "arn:shared", "tgw_id": "tgw-2", "ownerid": "222222222222", "region": routingRegion, "_shared_with": routingAccount},
		},
		"ec2_transit_gateway_attachment": {
			{"id": "tgw-attach-1", "resource_type": "vpc", "state": "available", "region": routingRegion, "_tgw_id": "tgw-1", "_vpc_id": "vpc-1", "_subnet_ids": []string{"subnet-1"}},
			{"id": "tgw-attach-2", "resource_type": "vpn", "region": routingRegion, "_tgw_id": "tgw-1"},
		},
	}},

	{"ec2:tgw_route_table", routingAnswers{
		"DescribeTransitGatewayRouteTables": `<transitGatewayRouteTables><item><transitGatewayRouteTableId>tgw-rtb-1</transitGatewayRouteTableId><transitGatewayId>tgw-1</transitGatewayId><state>available</state></item>
			<item><transitGatewayRouteTableId>tgw-rtb-2</transitGatewayRouteTableId><state>deleted</state></item></transitGatewayRouteTables>`,
		"SearchTransitGatewayRoutes tgw-rtb-1": `<routeSet><item><destinationCidrBlock>10.0.0.0/16</destinationCidrBlock><state>active</state><type>static</type>
			<transitGatewayAttachments><item><transitGatewayAttachmentId>tgw-attach-1</transitGatewayAttachmentId></item><item><transitGatewayAttachmentId>tgw-attach-2</transitGatewayAttachmentId></item></transitGatewayAttachments></item></routeSet>
			<additionalRoutesAvailable>true</additionalRoutesAvailable><nextToken>two</nextToken>`,
		"SearchTransitGatewayRoutes tgw-rtb-1 two":          `<routeSet><item><destinationCidrBlock>10.1.0.0/16</destinationCidrBlock><state>blackhole</state></item></routeSet>`,
		"GetTransitGatewayRouteTableAssociations tgw-rtb-1": `<associations><item><transitGatewayAttachmentId>tgw-attach-1</transitGatewayAttachmentId><resourceId>vpc-1</resourceId><resourceType>vpc</resourceType><state>associated</state></item><item/></associations>`,
		"GetTransitGatewayRouteTablePropagations tgw-rtb-1": `<transitGatewayRouteTablePropagations><item><transitGatewayAttachmentId>tgw-attach-1</transitGatewayAttachmentId><state>enabled</state></item><item/></transitGatewayRouteTablePropagations>`,
	}, map[string]routingRows{
		"ec2_transit_gateway_route_table": {
			{"id": "tgw-rtb-1", "transit_gateway_id": "tgw-1", "state": "available", "region": routingRegion},
			{"id": "tgw-rtb-2", "state": "deleted", "region": routingRegion},
		},
		"ec2_transit_gateway_route": {
			{
				"id": "tgw-rtb-1|10.0.0.0/16", "transit_gateway_route_table_id": "tgw-rtb-1", "destination_cidr_block": "10.0.0.0/16",
				"state": "active", "target": "tgw-attach-1", "region": routingRegion, "_tgw_id": "tgw-1",
			},
			{
				"id": "tgw-rtb-1|10.1.0.0/16", "transit_gateway_route_table_id": "tgw-rtb-1", "destination_cidr_block": "10.1.0.0/16",
				"state": "blackhole", "region": routingRegion, "_tgw_id": "tgw-1",
			},
		},
		"ec2_transit_gateway_route_table_association": {{
			"id": "tgw-rtb-1|tgw-attach-1", "route_table_id": "tgw-rtb-1", "attachment_id": "tgw-attach-1", "resource_id": "vpc-1", "resource_type": "vpc", "state": "associated", "region": routingRegion,
		}},
		"ec2_transit_gateway_route_table_propagation": {{
			"id": "tgw-rtb-1|tgw-attach-1", "route_table_id": "tgw-rtb-1", "attachment_id": "tgw-attach-1", "state": "enabled", "region": routingRegion,
		}},
	}},
}

func TestEC2Routing(t *testing.T) {
	for _, c := range routingTests {
		sink, err := c.answers.collect(t, c.sync)
		if err != nil || len(sink.losses) > 0 {
			t.Errorf("%s: %v, lost %v", c.sync, err, sink.losses)
		}
		if got := map[string]routingRows(sink.rows); !reflect.DeepEqual(got, c.want) {
			for table := range c.want {
				if !reflect.DeepEqual(got[table], c.want[table]) {
					t.Errorf("%s: %s\ngot  %v\nwant %v", c.sync, table, got[table], c.want[table])
				}
			}
			t.Errorf("%s: tables %v", c.sync, slices.Sorted(maps.Keys(got)))
		}
	}
}

// Each call fails in turn: the cell tells, and the rows of the other calls are
// there, each as it is or with its lost columns named.
func TestEC2RoutingCallsFail(t *testing.T) {
	lost := map[string]map[string]int{ // rows that are missing, by call and table
		"DescribeNetworkAcls two":                           {"ec2_network_acl": 1},
		"DescribeTransitGateways":                           {"ec2_transit_gateway": 2},
		"DescribeTransitGatewayAttachments":                 {"ec2_transit_gateway_attachment": 2},
		"DescribeTransitGatewayVpcAttachments":              {},
		"SearchTransitGatewayRoutes tgw-rtb-1":              {"ec2_transit_gateway_route": 2},
		"SearchTransitGatewayRoutes tgw-rtb-1 two":          {"ec2_transit_gateway_route": 1},
		"GetTransitGatewayRouteTableAssociations tgw-rtb-1": {"ec2_transit_gateway_route_table_association": 1},
		"GetTransitGatewayRouteTablePropagations tgw-rtb-1": {"ec2_transit_gateway_route_table_propagation": 1},
	}
	for _, c := range routingTests {
		for call := range c.answers {
			for _, code := range []string{"UnauthorizedOperation", "InvalidRouteTableID.NotFound"} {
				answers := maps.Clone(c.answers)
				answers[call] = "code " + code
				sink, err := answers.collect(t, c.sync)
				told := err != nil || len(sink.losses) > 0
				gone := strings.HasSuffix(code, "NotFound") && strings.Contains(call, "tgw-rtb-1") // the table was deleted since it was listed
				if told == gone {
					t.Errorf("%s: %s fails with %s: told %v (%v, lost %v)", c.sync, call, code, told, err, sink.losses)
				}
				missing, some := lost[call]
				for table, rows := range c.want {
					want := 0
					if some {
						want = len(rows) - missing[table]
					}
					if got := len(sink.rows[table]); got != want {
						t.Errorf("%s: %s fails: %d rows in %s, want %d", c.sync, call, got, table, want)
					}
				}
				if call == "DescribeTransitGatewayVpcAttachments" {
					const table = "ec2_transit_gateway_attachment"
					vpc, vpn := sink.row(t, table, "tgw-attach-1"), sink.row(t, table, "tgw-attach-2")
					if !reflect.DeepEqual(vpc["_unknown"], []string{"_subnet_ids"}) || vpc["_vpc_id"] != "vpc-1" || vpn["_unknown"] != nil {
						t.Errorf("%v and %v", vpc, vpn)
					}
				}
			}
		}
	}
}

// Without attachments of VPCs nobody asks for their subnets; routes that the
// API keeps for itself are a loss.
func TestEC2TransitGatewayAnswers(t *testing.T) {
	sink, err := routingAnswers{
		"DescribeTransitGateways":           "",
		"DescribeTransitGatewayAttachments": `<transitGatewayAttachments><item><transitGatewayAttachmentId>a</transitGatewayAttachmentId><resourceType>peering</resourceType></item></transitGatewayAttachments>`,
	}.collect(t, "ec2:tgw")
	if err != nil || len(sink.losses) > 0 || len(sink.rows["ec2_transit_gateway_attachment"]) != 1 {
		t.Errorf("%v, lost %v, %v", err, sink.losses, sink.rows)
	}
	sink, err = routingAnswers{
		"DescribeTransitGatewayRouteTables":         `<transitGatewayRouteTables><item><transitGatewayRouteTableId>t</transitGatewayRouteTableId></item></transitGatewayRouteTables>`,
		"SearchTransitGatewayRoutes t":              `<routeSet><item><prefixListId>pl-1</prefixListId></item></routeSet><additionalRoutesAvailable>true</additionalRoutesAvailable>`,
		"GetTransitGatewayRouteTableAssociations t": "",
		"GetTransitGatewayRouteTablePropagations t": "",
	}.collect(t, "ec2:tgw_route_table")
	if err == nil || !strings.Contains(err.Error(), "route table t has more routes") {
		t.Errorf("more routes: %v", err)
	}
	if ids := sink.ids("ec2_transit_gateway_route"); !slices.Equal(ids, []string{"t|pl-1"}) {
		t.Errorf("routes %v", ids)
	}
}

func TestEC2RouteTarget(t *testing.T) {
	text := aws.String
	for _, c := range []struct {
		name  string
		route types.Route
		want  string
	}{
		{"the destination, whatever the target", types.Route{DestinationCidrBlock: text("0.0.0.0/0"), GatewayId: text("igw-1")}, "0.0.0.0/0"},
		{"an IPv6 destination", types.Route{DestinationIpv6CidrBlock: text("::/0"), EgressOnlyInternetGatewayId: text("eigw-1")}, "::/0"},
		{"a prefix list's target", types.Route{DestinationPrefixListId: text("pl-1"), TransitGatewayId: text("tgw-1")}, "tgw-1"},
		{"an instance before its interface", types.Route{InstanceId: text("i-1"), NetworkInterfaceId: text("eni-1")}, "i-1"},
		{"a core network", types.Route{CoreNetworkArn: text("arn")}, "arn"},
		{"nothing", types.Route{DestinationPrefixListId: text("pl-1")}, ""},
	} {
		if got := aws.ToString(ec2RouteTarget(c.route)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestEC2AssociationTarget(t *testing.T) {
	text := aws.String
	for want, association := range map[string]types.RouteTableAssociation{
		"main":     {Main: aws.Bool(true)},
		"subnet-1": {SubnetId: text("subnet-1")},
		"igw-1":    {GatewayId: text("igw-1"), SubnetId: text("")},
		"pool-1":   {PublicIpv4Pool: text("pool-1")}, // Cartography takes it for the main one
	} {
		if got := ec2AssociationTarget(association); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestEC2DNSEntries(t *testing.T) {
	text := aws.String
	for _, c := range []struct {
		in   []types.DnsEntry
		want *string
	}{
		{nil, nil},
		{[]types.DnsEntry{}, nil},
		{[]types.DnsEntry{{DnsName: text("a"), HostedZoneId: text("Z")}, {DnsName: text("ü")}}, text(`[{"DnsName": "a", "HostedZoneId": "Z"}, {"DnsName": "\u00fc"}]`)},
		{[]types.DnsEntry{{}}, text(`[{}]`)},
	} {
		if got := ec2DNSEntries(c.in); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: got %s, want %s", c.in, aws.ToString(got), aws.ToString(c.want))
		}
	}
}

func TestEC2TransitGatewayPair(t *testing.T) {
	for _, c := range []struct {
		attachment, resource *string
		want                 string
	}{
		{aws.String("a"), aws.String("r"), "t|a"},
		{nil, aws.String("r"), "t|r"},
		{aws.String(""), aws.String("r"), "t|r"},
		{nil, nil, ""},
	} {
		if got := ec2TransitGatewayPair("t", c.attachment, c.resource); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}
