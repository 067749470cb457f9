package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// ec2Subnet is a range of a VPC's addresses in one availability zone.
type ec2Subnet struct {
	ID                          string  `snap:"id,key" from:"SubnetId" doc:"the subnet, 'subnet-…'"`
	SubnetID                    *string `snap:"subnetid,index" from:"SubnetId" doc:"the subnet, 'subnet-…'"`
	SubnetID2                   *string `snap:"subnet_id,index" from:"SubnetId" doc:"the subnet, 'subnet-…'"`
	ARN                         *string `snap:"subnet_arn" from:"SubnetArn" doc:"its ARN"`
	Name                        *string `snap:"name" from:"CidrBlock" doc:"its IPv4 range: Cartography's name of a subnet"`
	CIDRBlock                   *string `snap:"cidr_block" from:"CidrBlock" doc:"its IPv4 range"`
	State                       *string `snap:"state" from:"State" doc:"'available', 'pending' or 'unavailable'"`
	VPCID                       *string `snap:"vpc_id" from:"VpcId" doc:"its VPC"`
	Region                      string  `snap:"region"`
	AvailabilityZone            *string `snap:"availability_zone" from:"AvailabilityZone" doc:"its zone, as this account names it"`
	AvailabilityZoneID          *string `snap:"availability_zone_id" from:"AvailabilityZoneId" doc:"its zone, by the name that all accounts share"`
	AvailableIPAddressCount     *int64  `snap:"available_ip_address_count,volatile" from:"AvailableIpAddressCount" doc:"how many of its addresses are free"`
	DefaultForAZ                *bool   `snap:"default_for_az" from:"DefaultForAz" doc:"whether it is the zone's default subnet"`
	MapPublicIPOnLaunch         *bool   `snap:"map_public_ip_on_launch" from:"MapPublicIpOnLaunch" doc:"whether instances get a public IPv4 address unless told otherwise"`
	MapCustomerOwnedIPOnLaunch  *bool   `snap:"map_customer_owned_ip_on_launch" from:"MapCustomerOwnedIpOnLaunch" doc:"whether instances get an address of the customer's own network, on an Outpost"`
	AssignIPv6AddressOnCreation *bool   `snap:"assignipv6addressoncreation" from:"AssignIpv6AddressOnCreation" doc:"whether interfaces get an IPv6 address unless told otherwise"`
}

var subnetOntology = kind.Ontology{
	"name": kind.Same("id"), "cidr_block": kind.Same("cidr_block"),
	"availability_zone": kind.Same("availability_zone"), "region": kind.Same("region"),
}

var ec2Subnets = kind.Of[ec2Subnet](kind.Table{
	Name: "ec2_subnet", Label: "AWSEC2Subnet", Aliases: []string{"EC2Subnet", "Subnet"},
	Doc:      "A range of a VPC's addresses in one zone. One that another account shares is listed too.",
	Ontology: subnetOntology,
	Links: []kind.Link{
		{Type: "MEMBER_OF_AWS_VPC", To: "AWSVpc", On: kind.On{"id": "vpc_id"}},
	},
})

var _ = api.Declare(api.Sync{
	Name:   "ec2:subnet",
	Calls:  []string{"ec2:DescribeSubnets"},
	Tables: []*kind.Table{ec2Subnets.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		pages := ec2.NewDescribeSubnetsPaginator(ec2.NewFromConfig(at.Config), nil)
		subnets, err := api.All(ctx, pages, func(p *ec2.DescribeSubnetsOutput) []types.Subnet { return p.Subnets })
		for _, s := range subnets {
			row := ec2Subnets.From(s)
			row.Region = at.Region
			ec2Subnets.Put(at, row)
		}
		return err
	},
})
