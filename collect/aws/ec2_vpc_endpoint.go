package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"snap/collect/aws/api"
	"snap/store/kind"
	"snap/store/pyjson"
)

// ec2VPCEndpoint is a VPC's private way to a service: through interfaces in
// subnets, through routes (a gateway endpoint) or through appliances behind a
// Gateway Load Balancer.
type ec2VPCEndpoint struct {
	ID                  string   `snap:"id,key" from:"VpcEndpointId" doc:"the endpoint, 'vpce-…'"`
	VPCEndpointID       *string  `snap:"vpc_endpoint_id,index" from:"VpcEndpointId" doc:"the endpoint, 'vpce-…'"`
	VPCID               *string  `snap:"vpc_id" from:"VpcId" doc:"its VPC"`
	ServiceName         *string  `snap:"service_name" from:"ServiceName" doc:"the service that it leads to, such as 'com.amazonaws.eu-west-1.s3'"`
	ServiceRegion       *string  `snap:"service_region" from:"ServiceRegion" doc:"the region of that service"`
	Type                *string  `snap:"vpc_endpoint_type" from:"VpcEndpointType" doc:"how it leads there: 'Interface', 'Gateway' or 'GatewayLoadBalancer'"`
	State               *string  `snap:"state" from:"State" doc:"'available', 'pendingAcceptance', 'rejected', 'failed', …"`
	PolicyDocument      *string  `snap:"policy_document,document" from:"PolicyDocument" doc:"who may do what through it, a JSON policy"`
	RouteTableIDs       []string `snap:"route_table_ids" from:"RouteTableIds" doc:"the route tables that lead to it, of a gateway endpoint"`
	SubnetIDs           []string `snap:"subnet_ids" from:"SubnetIds" doc:"the subnets that it has interfaces in"`
	NetworkInterfaceIDs []string `snap:"network_interface_ids" from:"NetworkInterfaceIds" doc:"its network interfaces"`
	DNSEntries          *string  `snap:"dns_entries" doc:"its DNS names and their hosted zones, as JSON"`
	PrivateDNSEnabled   *bool    `snap:"private_dns_enabled" from:"PrivateDnsEnabled" doc:"whether the service's own names lead to it inside the VPC"`
	RequesterManaged    *bool    `snap:"requester_managed" from:"RequesterManaged" doc:"whether an AWS service looks after it"`
	IPAddressType       *string  `snap:"ip_address_type" from:"IpAddressType" doc:"'ipv4', 'ipv6' or 'dualstack'"`
	OwnerID             *string  `snap:"owner_id" from:"OwnerId" doc:"the account that owns it"`
	CreationTimestamp   *string  `snap:"creation_timestamp" from:"CreationTimestamp" as:"iso" doc:"when it was made, as text (ISO 8601)"`
	Region              string   `snap:"region"`
}

var ec2VPCEndpoints = kind.Of[ec2VPCEndpoint](kind.Table{
	Name: "ec2_vpc_endpoint", Label: "AWSVpcEndpoint",
	Doc:   "A VPC's private way to a service.",
	Links: []kind.Link{{Type: "MEMBER_OF_AWS_VPC", To: "AWSVpc", On: kind.On{"id": "vpc_id"}}},
})

// ec2EndpointSubnet, and the stubs that follow, are what an endpoint names.
type ec2EndpointSubnet struct {
	ID          string   `snap:"id,key"`
	SubnetID    string   `snap:"subnetid,index"`
	SubnetID2   string   `snap:"subnet_id,index"`
	Region      string   `snap:"region"`
	EndpointIDs []string `snap:"_endpoint_ids"`
}

var ec2EndpointSubnets = kind.Of[ec2EndpointSubnet](kind.Table{
	Name: "ec2_vpc_endpoint_subnet", Label: "AWSEC2Subnet", Aliases: []string{"EC2Subnet", "Subnet"}, Stub: true,
	Doc:      "What an endpoint says of a subnet that it has an interface in.",
	Ontology: subnetOntology,
	Links:    []kind.Link{{Type: "USES_SUBNET", From: "AWSVpcEndpoint", On: kind.On{"id": "_endpoint_ids"}}},
})

type ec2EndpointSecurityGroup struct {
	ID          string   `snap:"id,key"`
	GroupID     string   `snap:"groupid,index"`
	Region      string   `snap:"region"`
	EndpointIDs []string `snap:"_endpoint_ids"`
}

var ec2EndpointSecurityGroups = kind.Of[ec2EndpointSecurityGroup](kind.Table{
	Name: "ec2_vpc_endpoint_security_group", Label: "AWSEC2SecurityGroup", Aliases: []string{"EC2SecurityGroup"}, Stub: true,
	Doc:      "What an endpoint says of a security group of its own.",
	Ontology: securityGroupOntology,
	Links:    []kind.Link{{Type: "MEMBER_OF_SECURITY_GROUP", From: "AWSVpcEndpoint", On: kind.On{"id": "_endpoint_ids"}}},
})

// ec2EndpointRouteTable is a route table that has routes to a gateway endpoint.
// Cartography keeps these apart from the AWSEC2RouteTable nodes of the same id.
type ec2EndpointRouteTable struct {
	ID           string   `snap:"id,key" doc:"the table, 'rtb-…'"`
	RouteTableID string   `snap:"route_table_id,index" doc:"the table, 'rtb-…'"`
	Region       string   `snap:"region"`
	EndpointIDs  []string `snap:"_endpoint_ids"`
}

var ec2EndpointRouteTables = kind.Of[ec2EndpointRouteTable](kind.Table{
	Name: "ec2_vpc_endpoint_route_table", Label: "AWSRouteTable",
	Doc:   "A route table that leads to a gateway endpoint. Cartography keeps it apart from the AWSEC2RouteTable of the same id.",
	Links: []kind.Link{{Type: "ROUTES_THROUGH", From: "AWSVpcEndpoint", On: kind.On{"id": "_endpoint_ids"}}},
})

var _ = api.Declare(api.Sync{
	Name:   "ec2:vpc_endpoint",
	Calls:  []string{"ec2:DescribeVpcEndpoints"},
	Tables: []*kind.Table{ec2VPCEndpoints.Table, ec2EndpointSubnets.Table, ec2EndpointSecurityGroups.Table, ec2EndpointRouteTables.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		pages := ec2.NewDescribeVpcEndpointsPaginator(ec2.NewFromConfig(at.Config), nil)
		endpoints, err := api.All(ctx, pages, func(p *ec2.DescribeVpcEndpointsOutput) []types.VpcEndpoint { return p.VpcEndpoints })
		for _, e := range endpoints {
			putEC2VPCEndpoint(at, e)
		}
		return err
	},
})

func putEC2VPCEndpoint(at *api.Cell, e types.VpcEndpoint) {
	row := ec2VPCEndpoints.From(e)
	row.Region = at.Region
	row.DNSEntries = ec2DNSEntries(e.DnsEntries)
	for _, ids := range [...]*[]string{&row.RouteTableIDs, &row.SubnetIDs, &row.NetworkInterfaceIDs} {
		if *ids == nil { // none: an endpoint of another type
			*ids = []string{}
		}
	}
	ec2VPCEndpoints.Put(at, row)
	self := []string{row.ID}
	for _, id := range row.SubnetIDs {
		ec2EndpointSubnets.Put(at, ec2EndpointSubnet{ID: id, SubnetID: id, SubnetID2: id, Region: at.Region, EndpointIDs: self})
	}
	for _, g := range e.Groups {
		if id := aws.ToString(g.GroupId); id != "" {
			ec2EndpointSecurityGroups.Put(at, ec2EndpointSecurityGroup{ID: id, GroupID: id, Region: at.Region, EndpointIDs: self})
		}
	}
	for _, id := range row.RouteTableIDs {
		ec2EndpointRouteTables.Put(at, ec2EndpointRouteTable{ID: id, RouteTableID: id, Region: at.Region, EndpointIDs: self})
	}
}

// ec2DNSEntries is the JSON that Cartography keeps of an endpoint's names; nil
// where there are none.
func ec2DNSEntries(entries []types.DnsEntry) *string {
	if len(entries) == 0 {
		return nil
	}
	list := make([]pyjson.Object, len(entries))
	for i, e := range entries {
		list[i] = pyjson.Object{}
		if e.DnsName != nil {
			list[i] = append(list[i], pyjson.Member{Name: "DnsName", Value: *e.DnsName})
		}
		if e.HostedZoneId != nil {
			list[i] = append(list[i], pyjson.Member{Name: "HostedZoneId", Value: *e.HostedZoneId})
		}
	}
	text := pyjson.Dump(list)
	return &text
}
