package aws

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// ec2RouteTable says where the traffic of subnets, or of a gateway, goes.
type ec2RouteTable struct {
	ID           string  `snap:"id,key" from:"RouteTableId" doc:"the table, 'rtb-…'"`
	RouteTableID *string `snap:"route_table_id,index" from:"RouteTableId" doc:"the table, 'rtb-…'"`
	OwnerID      *string `snap:"owner_id" from:"OwnerId" doc:"the account that owns it"`
	Main         bool    `snap:"main" doc:"whether it directs the traffic of the VPC's subnets that are given no other"`
	Region       string  `snap:"region"`
	VPCID        *string `snap:"_vpc_id" from:"VpcId"`
}

var ec2RouteTables = kind.Of[ec2RouteTable](kind.Table{
	Name: "ec2_route_table", Label: "AWSEC2RouteTable", Aliases: []string{"EC2RouteTable"},
	Doc:   "Where the traffic of subnets, or what comes in through a gateway, goes.",
	Links: []kind.Link{{Type: "MEMBER_OF_AWS_VPC", To: "AWSVpc", On: kind.On{"id": "_vpc_id"}}},
})

// ec2Route is one destination of a route table. Its id is "table|destination";
// for a prefix list Cartography writes the target in place of the destination.
type ec2Route struct {
	ID                          string  `snap:"id,key" doc:"table and destination, joined by '|'; of a prefix list the next hop is in the destination's place"`
	Target                      *string `snap:"target" doc:"what the id ends with"`
	DestinationCIDRBlock        *string `snap:"destination_cidr_block" from:"DestinationCidrBlock" doc:"the IPv4 range that it is about"`
	DestinationIPv6CIDRBlock    *string `snap:"destination_ipv6_cidr_block" from:"DestinationIpv6CidrBlock" doc:"the IPv6 range that it is about"`
	DestinationPrefixListID     *string `snap:"destination_prefix_list_id" from:"DestinationPrefixListId" doc:"the prefix list that it is about"`
	GatewayID                   *string `snap:"gateway_id" from:"GatewayId" doc:"the next hop where that is an internet or virtual private gateway, a gateway endpoint, or 'local'"`
	VPCEndpointID               *string `snap:"vpc_endpoint_id" doc:"gateway_id, where that is a gateway endpoint"`
	InstanceID                  *string `snap:"instance_id" from:"InstanceId" doc:"the next hop where that is an instance"`
	InstanceOwnerID             *string `snap:"instance_owner_id" from:"InstanceOwnerId" doc:"the account that owns that instance"`
	NATGatewayID                *string `snap:"nat_gateway_id" from:"NatGatewayId" doc:"the next hop where that is a NAT gateway"`
	TransitGatewayID            *string `snap:"transit_gateway_id" from:"TransitGatewayId" doc:"the next hop where that is a transit gateway"`
	LocalGatewayID              *string `snap:"local_gateway_id" from:"LocalGatewayId" doc:"the next hop where that is an Outpost's local gateway"`
	CarrierGatewayID            *string `snap:"carrier_gateway_id" from:"CarrierGatewayId" doc:"the next hop where that is a telephone carrier's gateway"`
	NetworkInterfaceID          *string `snap:"network_interface_id" from:"NetworkInterfaceId" doc:"the next hop where that is a network interface"`
	VPCPeeringConnectionID      *string `snap:"vpc_peering_connection_id" from:"VpcPeeringConnectionId" doc:"the next hop where that is a VPC peering"`
	EgressOnlyInternetGatewayID *string `snap:"egress_only_internet_gateway_id" from:"EgressOnlyInternetGatewayId" doc:"the next hop where that is a gateway that lets IPv6 out only"`
	CoreNetworkARN              *string `snap:"core_network_arn" from:"CoreNetworkArn" doc:"the next hop where that is a core network of Cloud WAN"`
	State                       *string `snap:"state" from:"State" doc:"'active', or 'blackhole' where the next hop is gone"`
	Origin                      *string `snap:"origin" from:"Origin" doc:"how it came to be: with the table, by hand or by propagation"`
	Region                      string  `snap:"region"`
	RouteTableID                string  `snap:"_route_table_id"`
}

var ec2Routes = kind.Of[ec2Route](kind.Table{
	Name: "ec2_route", Label: "AWSEC2Route", Aliases: []string{"EC2Route"},
	Doc: "One destination of a route table.",
	Links: []kind.Link{
		{Type: "ROUTE", From: "AWSEC2RouteTable", On: kind.On{"id": "_route_table_id"}},
		{Type: "ROUTES_TO_GATEWAY", To: "AWSInternetGateway", On: kind.On{"id": "gateway_id"}},
		{Type: "ROUTES_TO_VPC_ENDPOINT", To: "AWSVpcEndpoint", On: kind.On{"id": "vpc_endpoint_id"}},
	},
})

// ec2RouteTableAssociation says whose traffic a route table directs: a
// subnet's, a gateway's, or as the main one that of all other subnets.
type ec2RouteTableAssociation struct {
	ID               string  `snap:"id,key" from:"RouteTableAssociationId" doc:"the association, 'rtbassoc-…'"`
	AssociationID    *string `snap:"route_table_association_id,index" from:"RouteTableAssociationId" doc:"the association, 'rtbassoc-…'"`
	RouteTableID     string  `snap:"route_table_id" doc:"the table"`
	SubnetID         *string `snap:"subnet_id" from:"SubnetId" doc:"the subnet whose traffic the table directs"`
	GatewayID        *string `snap:"gateway_id" from:"GatewayId" doc:"the gateway whose incoming traffic the table directs"`
	Main             bool    `snap:"main" from:"Main" doc:"whether it makes the table the VPC's main one"`
	AssociationState *string `snap:"association_state" from:"AssociationState.State" doc:"'associated', or on the way to or from it"`
	Target           string  `snap:"target" doc:"the subnet or gateway, or 'main'"`
	Region           string  `snap:"region"`
}

var ec2RouteTableAssociations = kind.Of[ec2RouteTableAssociation](kind.Table{
	Name: "ec2_route_table_association", Label: "AWSEC2RouteTableAssociation", Aliases: []string{"EC2RouteTableAssociation"},
	Doc: "Whose traffic a route table directs.",
	Links: []kind.Link{
		{Type: "ASSOCIATION", From: "AWSEC2RouteTable", On: kind.On{"id": "route_table_id"}},
		{Type: "ASSOCIATED_SUBNET", To: "AWSEC2Subnet", On: kind.On{"subnetid": "subnet_id"}},
		{Type: "ASSOCIATED_IGW_FOR_INGRESS", To: "AWSInternetGateway", On: kind.On{"id": "gateway_id"}},
	},
})

var _ = api.Declare(api.Sync{
	Name:   "ec2:route_table",
	Calls:  []string{"ec2:DescribeRouteTables"},
	Needs:  []string{"ec2:vpc_endpoint"},
	Tables: []*kind.Table{ec2RouteTables.Table, ec2Routes.Table, ec2RouteTableAssociations.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		pages := ec2.NewDescribeRouteTablesPaginator(ec2.NewFromConfig(at.Config), nil)
		tables, err := api.All(ctx, pages, func(p *ec2.DescribeRouteTablesOutput) []types.RouteTable { return p.RouteTables })
		for _, t := range tables {
			row := ec2RouteTables.From(t)
			row.Region = at.Region
			for _, a := range t.Associations {
				association := ec2RouteTableAssociations.From(a)
				association.RouteTableID, association.Region = row.ID, at.Region
				association.Target = ec2AssociationTarget(a)
				row.Main = row.Main || association.Target == "main"
				ec2RouteTableAssociations.Put(at, association)
			}
			ec2RouteTables.Put(at, row)
			for _, r := range t.Routes {
				route := ec2Routes.From(r)
				route.Target = ec2RouteTarget(r)
				route.ID, route.RouteTableID, route.Region = row.ID, row.ID, at.Region
				if route.Target != nil {
					route.ID += "|" + *route.Target
				}
				if strings.HasPrefix(aws.ToString(r.GatewayId), "vpce-") { // a gateway endpoint
					route.VPCEndpointID = r.GatewayId
				}
				ec2Routes.Put(at, route)
			}
		}
		return err
	},
})

// ec2RouteTarget is what Cartography knows a route by: the first of these that
// the API sends. Only a prefix list's destination is not among them.
func ec2RouteTarget(r types.Route) *string {
	for _, id := range [...]*string{
		r.DestinationCidrBlock, r.DestinationIpv6CidrBlock, r.GatewayId, r.InstanceId, r.NatGatewayId, r.TransitGatewayId,
		r.LocalGatewayId, r.CarrierGatewayId, r.NetworkInterfaceId, r.VpcPeeringConnectionId, r.EgressOnlyInternetGatewayId, r.CoreNetworkArn,
	} {
		if id != nil {
			return id
		}
	}
	return nil
}

// ec2AssociationTarget is what an association names; the main one names nothing.
// Cartography takes that of a pool of public addresses for a main one too.
func ec2AssociationTarget(a types.RouteTableAssociation) string {
	for _, id := range [...]*string{a.SubnetId, a.GatewayId, a.PublicIpv4Pool} {
		if aws.ToString(id) != "" {
			return *id
		}
	}
	return "main"
}
