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

// ec2SecurityGroup is a set of rules about who may reach its members.
type ec2SecurityGroup struct {
	ID             string   `snap:"id,key" from:"GroupId" doc:"the group, 'sg-…'"`
	GroupID        *string  `snap:"groupid,index" from:"GroupId" doc:"the group, 'sg-…'"`
	Name           *string  `snap:"name" from:"GroupName" doc:"its name, unique within its VPC"`
	Description    *string  `snap:"description" from:"Description" doc:"what was written about it"`
	Region         string   `snap:"region"`
	VPCID          *string  `snap:"_vpc_id" from:"VpcId"`
	SourceGroupIDs []string `snap:"_source_group_ids"`
}

var securityGroupOntology = kind.Ontology{"name": kind.Same("name")}

var ec2SecurityGroups = kind.Of[ec2SecurityGroup](kind.Table{
	Name: "ec2_security_group", Label: "AWSEC2SecurityGroup", Aliases: []string{"EC2SecurityGroup", "NetworkAccessControl"},
	Doc:      "A set of rules about what may reach network interfaces and what they may reach.",
	Ontology: securityGroupOntology,
	Links: []kind.Link{
		{Type: "MEMBER_OF_EC2_SECURITY_GROUP", From: "AWSVpc", On: kind.On{"vpcid": "_vpc_id"}},
		{Type: "ALLOWS_TRAFFIC_FROM", To: "AWSEC2SecurityGroup", On: kind.On{"groupid": "_source_group_ids"}},
	},
})

// ec2IPRule is what a security group allows for one protocol and range of
// ports. Its id is "group/IpPermissions/<from><to><protocol>"; where a rule has
// no ports, Cartography writes "None" in their place.
type ec2IPRule struct {
	ID       string `snap:"id,key" doc:"group, direction, ports and protocol in one"`
	RuleID   string `snap:"ruleid,index" doc:"the same as id"`
	GroupID  string `snap:"groupid,index" doc:"the security group that it is part of"`
	Protocol string `snap:"protocol" doc:"'tcp', 'udp', 'icmp', a protocol's number, or 'all'"`
	FromPort *int64 `snap:"fromport" from:"FromPort" doc:"the first port, or the ICMP type; null: all"`
	ToPort   *int64 `snap:"toport" from:"ToPort" doc:"the last port, or the ICMP code; null: all"`
}

// ec2IPRuleTable makes the two tables, which differ in their labels.
func ec2IPRuleTable(name, doc, label string, aliases ...string) *kind.Typed[ec2IPRule] {
	return kind.Of[ec2IPRule](kind.Table{
		Name: name, Doc: doc, Label: label, Aliases: aliases,
		Links: []kind.Link{{Type: "MEMBER_OF_EC2_SECURITY_GROUP", To: "AWSEC2SecurityGroup", On: kind.On{"groupid": "groupid"}}},
	})
}

var (
	ec2InboundRules = ec2IPRuleTable("ec2_ip_permission_inbound", "A rule of a security group about what may come in.", "AWSIpPermissionInbound", "IpPermissionInbound", "IpRule", "AWSIpRule")
	ec2EgressRules  = ec2IPRuleTable("ec2_ip_rule", "A rule of a security group about what may go out.", "AWSIpRule", "IpRule")
)

// ec2IPRange is a range of IPv4 addresses that rules name. Its id is the
// range, so that accounts share the node.
type ec2IPRange struct {
	ID      string   `snap:"id,key" doc:"the range"`
	Range   string   `snap:"range" doc:"the range, such as '0.0.0.0/0'"`
	RuleIDs []string `snap:"_rule_ids"`
}

var ec2IPRanges = kind.Of[ec2IPRange](kind.Table{
	Name: "ec2_ip_range", Label: "AWSIpRange", Aliases: []string{"IpRange"},
	Doc:   "A range of IPv4 addresses that a security group's rule names; those of IPv6 have no node, as in Cartography. Accounts share it.",
	Links: []kind.Link{{Type: "MEMBER_OF_IP_RULE", To: "AWSIpRule", On: kind.On{"ruleid": "_rule_ids"}}},
})

var _ = api.Declare(api.Sync{
	Name:   "ec2:security_group",
	Calls:  []string{"ec2:DescribeSecurityGroups"},
	Tables: []*kind.Table{ec2SecurityGroups.Table, ec2InboundRules.Table, ec2EgressRules.Table, ec2IPRanges.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		pages := ec2.NewDescribeSecurityGroupsPaginator(ec2.NewFromConfig(at.Config), nil)
		groups, err := api.All(ctx, pages, func(p *ec2.DescribeSecurityGroupsOutput) []types.SecurityGroup { return p.SecurityGroups })
		for _, g := range groups {
			row := ec2SecurityGroups.From(g)
			row.Region = at.Region
			inbound := putEC2IPRules(at, ec2InboundRules, row.ID, "IpPermissions", g.IpPermissions)
			egress := putEC2IPRules(at, ec2EgressRules, row.ID, "IpPermissionsEgress", g.IpPermissionsEgress)
			row.SourceGroupIDs = append(inbound, egress...)
			ec2SecurityGroups.Put(at, row)
		}
		return err
	},
})

// putEC2IPRules puts rules and the ranges they name, and returns the groups
// that they refer to.
func putEC2IPRules(at *api.Cell, table *kind.Typed[ec2IPRule], group, direction string, rules []types.IpPermission) (groups []string) {
	for _, p := range rules {
		row := table.From(p)
		row.GroupID, row.Protocol = group, "all"
		if p.IpProtocol != nil {
			row.Protocol = *p.IpProtocol
		}
		row.ID = ec2IPRuleID(group, direction, row.FromPort, row.ToPort, row.Protocol)
		row.RuleID = row.ID
		table.Put(at, row)
		for _, r := range p.IpRanges {
			if cidr := aws.ToString(r.CidrIp); cidr != "" {
				ec2IPRanges.Put(at, ec2IPRange{ID: cidr, Range: cidr, RuleIDs: []string{row.ID}})
			}
		}
		for _, pair := range p.UserIdGroupPairs {
			if id := aws.ToString(pair.GroupId); id != "" {
				groups = append(groups, id)
			}
		}
	}
	return groups
}

func ec2IPRuleID(group, direction string, from, to *int64, protocol string) string {
	port := func(p *int64) string {
		if p == nil {
			return "None"
		}
		return strconv.FormatInt(*p, 10)
	}
	return group + "/" + direction + "/" + port(from) + port(to) + protocol
}
