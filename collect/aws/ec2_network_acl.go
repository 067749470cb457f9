package aws

import (
	"context"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// ec2NetworkACL is a list of rules about what may enter and leave subnets.
type ec2NetworkACL struct {
	ID           string   `snap:"id,key" doc:"its ARN in the account that lists it"`
	ARN          string   `snap:"arn" doc:"its ARN in the account that lists it"`
	NetworkACLID *string  `snap:"network_acl_id" from:"NetworkAclId" doc:"the list, 'acl-…'"`
	IsDefault    *bool    `snap:"is_default" from:"IsDefault" doc:"whether it is its VPC's default, for subnets that are given no other"`
	VPCID        *string  `snap:"vpc_id" from:"VpcId" doc:"its VPC"`
	Region       string   `snap:"region"`
	SubnetIDs    []string `snap:"_subnet_ids" from:"Associations.SubnetId"`
}

var ec2NetworkACLs = kind.Of[ec2NetworkACL](kind.Table{
	Name: "ec2_network_acl", Label: "AWSEC2NetworkAcl", Aliases: []string{"EC2NetworkAcl"},
	Doc: "A list of rules about what may enter and leave subnets.",
	Links: []kind.Link{
		{Type: "MEMBER_OF_AWS_VPC", To: "AWSVpc", On: kind.On{"vpcid": "vpc_id"}},
		{Type: "PART_OF_SUBNET", To: "AWSEC2Subnet", On: kind.On{"subnetid": "_subnet_ids"}},
	},
})

// ec2NetworkACLRule is one rule of a network ACL: the lowest number that
// matches decides. Its id is "acl/inbound/number" or "acl/egress/number".
type ec2NetworkACLRule struct {
	ID            string  `snap:"id,key" doc:"list, direction ('inbound' or 'egress') and rule number, joined by '/'"`
	NetworkACLID  string  `snap:"network_acl_id" doc:"the list that it is part of"`
	CIDRBlock     *string `snap:"cidrblock" from:"CidrBlock" doc:"the IPv4 range that it is about"`
	IPv6CIDRBlock *string `snap:"ipv6cidrblock" from:"Ipv6CidrBlock" doc:"the IPv6 range that it is about"`
	Egress        *bool   `snap:"egress" from:"Egress" doc:"whether it is about what leaves"`
	Protocol      *string `snap:"protocol" from:"Protocol" doc:"the protocol's number; '-1' is every one"`
	RuleAction    *string `snap:"ruleaction" from:"RuleAction" doc:"'allow' or 'deny'"`
	RuleNumber    *int64  `snap:"rulenumber" from:"RuleNumber" doc:"its place: the lowest number that matches decides"`
	Region        string  `snap:"region"`
}

// ec2NetworkACLRuleTable makes the two tables, which differ in one label.
func ec2NetworkACLRuleTable(name, alias, doc string) *kind.Typed[ec2NetworkACLRule] {
	return kind.Of[ec2NetworkACLRule](kind.Table{
		Name: name, Label: "AWSEC2NetworkAclRule", Aliases: []string{"EC2NetworkAclRule", alias}, Doc: doc,
		Links: []kind.Link{{Type: "MEMBER_OF_NACL", To: "AWSEC2NetworkAcl", On: kind.On{"network_acl_id": "network_acl_id"}}},
	})
}

var (
	ec2NetworkACLInboundRules = ec2NetworkACLRuleTable("ec2_network_acl_inbound_rule", "IpPermissionInbound", "A rule about what may enter a subnet.")
	ec2NetworkACLEgressRules  = ec2NetworkACLRuleTable("ec2_network_acl_egress_rule", "IpPermissionEgress", "A rule about what may leave a subnet.")
)

var _ = api.Declare(api.Sync{
	Name:   "ec2:network_acls",
	Calls:  []string{"ec2:DescribeNetworkAcls"},
	Tables: []*kind.Table{ec2NetworkACLs.Table, ec2NetworkACLInboundRules.Table, ec2NetworkACLEgressRules.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		pages := ec2.NewDescribeNetworkAclsPaginator(ec2.NewFromConfig(at.Config), nil)
		acls, err := api.All(ctx, pages, func(p *ec2.DescribeNetworkAclsOutput) []types.NetworkAcl { return p.NetworkAcls })
		for _, a := range acls {
			id := aws.ToString(a.NetworkAclId)
			row := ec2NetworkACLs.From(a)
			row.ARN = at.ARN("ec2", "network-acl/"+id)
			row.ID, row.Region = row.ARN, at.Region
			ec2NetworkACLs.Put(at, row)
			for _, e := range a.Entries {
				table, direction := ec2NetworkACLInboundRules, "inbound"
				if aws.ToBool(e.Egress) {
					table, direction = ec2NetworkACLEgressRules, "egress"
				}
				rule := table.From(e)
				rule.ID = id + "/" + direction + "/" + strconv.Itoa(int(aws.ToInt32(e.RuleNumber)))
				rule.NetworkACLID, rule.Region = id, at.Region
				table.Put(at, rule)
			}
		}
		return err
	},
})
