package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// ec2VPC is a virtual private cloud.
type ec2VPC struct {
	ID               string  `snap:"id,key" from:"VpcId" doc:"the VPC, 'vpc-…'"`
	VPCID            *string `snap:"vpcid,index" from:"VpcId" doc:"the VPC, 'vpc-…'"`
	Region           string  `snap:"region"`
	State            *string `snap:"state" from:"State" doc:"'available' or 'pending'"`
	IsDefault        *bool   `snap:"is_default" from:"IsDefault" doc:"whether it is the region's default VPC"`
	PrimaryCIDRBlock *string `snap:"primary_cidr_block" from:"CidrBlock" doc:"the IPv4 range that it was made with"`
	InstanceTenancy  *string `snap:"instance_tenancy" from:"InstanceTenancy" doc:"whose hardware its instances get unless told otherwise: 'default' (shared) or 'dedicated'"`
	DHCPOptionsID    *string `snap:"dhcp_options_id" from:"DhcpOptionsId" doc:"the set of DHCP options that its instances get"`
}

var ec2VPCs = kind.Of[ec2VPC](kind.Table{
	Name: "ec2_vpc", Label: "AWSVpc", Aliases: []string{"VirtualNetwork"},
	Doc:      "A virtual private cloud: a network of its own.",
	Ontology: kind.Ontology{"name": kind.Same("id"), "cidr": kind.Same("primary_cidr_block"), "region": kind.Same("region")},
})

// ec2CIDRBlock is a range of addresses that a VPC has: its id is "vpc|range".
type ec2CIDRBlock struct {
	ID                string  `snap:"id,key" doc:"VPC and range, joined by '|'"`
	VPCID             string  `snap:"vpcid" doc:"the VPC that has it"`
	AssociationID     *string `snap:"association_id" from:"AssociationId" doc:"identifies its use by the VPC"`
	CIDRBlock         string  `snap:"cidr_block" doc:"the range"`
	BlockState        *string `snap:"block_state" doc:"'associated', 'failed', or on the way"`
	BlockStateMessage *string `snap:"block_state_message" doc:"what went wrong"`
}

// ec2CIDRBlockTable makes the two tables, which differ in one label: a node's
// labels are the table's.
func ec2CIDRBlockTable(name, alias, doc string) *kind.Typed[ec2CIDRBlock] {
	return kind.Of[ec2CIDRBlock](kind.Table{
		Name: name, Label: "AWSCidrBlock", Aliases: []string{alias}, Doc: doc,
		Owner: &kind.Link{Type: "BLOCK_ASSOCIATION", From: "AWSVpc", On: kind.On{"id": "vpcid"}},
	})
}

var (
	ec2IPv4CIDRBlocks = ec2CIDRBlockTable("ec2_vpc_ipv4_cidr_block", "AWSIpv4CidrBlock", "A range of IPv4 addresses that a VPC has.")
	ec2IPv6CIDRBlocks = ec2CIDRBlockTable("ec2_vpc_ipv6_cidr_block", "AWSIpv6CidrBlock", "A range of IPv6 addresses that a VPC has.")
)

var _ = api.Declare(api.Sync{
	Name:   "ec2:vpc",
	Calls:  []string{"ec2:DescribeVpcs"},
	Tables: []*kind.Table{ec2VPCs.Table, ec2IPv4CIDRBlocks.Table, ec2IPv6CIDRBlocks.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		pages := ec2.NewDescribeVpcsPaginator(ec2.NewFromConfig(at.Config), nil)
		vpcs, err := api.All(ctx, pages, func(p *ec2.DescribeVpcsOutput) []types.Vpc { return p.Vpcs })
		for _, v := range vpcs {
			row := ec2VPCs.From(v)
			row.Region = at.Region
			ec2VPCs.Put(at, row)
			for _, a := range v.CidrBlockAssociationSet {
				block := ec2IPv4CIDRBlocks.From(a)
				block.identify(v.VpcId, a.CidrBlock)
				if s := a.CidrBlockState; s != nil {
					block.BlockState, block.BlockStateMessage = kind.Text(s.State), s.StatusMessage
				}
				ec2IPv4CIDRBlocks.Put(at, block)
			}
			for _, a := range v.Ipv6CidrBlockAssociationSet {
				block := ec2IPv6CIDRBlocks.From(a)
				block.identify(v.VpcId, a.Ipv6CidrBlock)
				if s := a.Ipv6CidrBlockState; s != nil {
					block.BlockState, block.BlockStateMessage = kind.Text(s.State), s.StatusMessage
				}
				ec2IPv6CIDRBlocks.Put(at, block)
			}
		}
		return err
	},
})

func (b *ec2CIDRBlock) identify(vpc, cidr *string) {
	b.VPCID, b.CIDRBlock = aws.ToString(vpc), aws.ToString(cidr)
	b.ID = b.VPCID + "|" + b.CIDRBlock
}
