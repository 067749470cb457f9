package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// ec2VPCPeering is a connection between two VPCs, also of different accounts
// and regions. What it allows is the requester's side.
type ec2VPCPeering struct {
	ID                       string   `snap:"id,key" from:"VpcPeeringConnectionId" doc:"the peering, 'pcx-…'"`
	RequesterRegion          *string  `snap:"requester_region" from:"RequesterVpcInfo.Region" doc:"the region of the VPC that asked for it"`
	AccepterRegion           *string  `snap:"accepter_region" from:"AccepterVpcInfo.Region" doc:"the region of the VPC that was asked"`
	StatusCode               *string  `snap:"status_code" from:"Status.Code" doc:"'active', 'pending-acceptance', 'expired', 'rejected', 'deleted', …"`
	StatusMessage            *string  `snap:"status_message" from:"Status.Message" doc:"the same in words"`
	AllowRemoteDNSResolution *bool    `snap:"allow_dns_resolution_from_remote_vpc" from:"RequesterVpcInfo.PeeringOptions.AllowDnsResolutionFromRemoteVpc" doc:"whether the asking VPC's public names become private addresses for the other side"`
	AllowEgressFromClassic   *bool    `snap:"allow_egress_from_local_classic_link_to_remote_vpc" from:"RequesterVpcInfo.PeeringOptions.AllowEgressFromLocalClassicLinkToRemoteVpc" doc:"whether instances linked from before VPCs may talk to the other side"`
	AllowEgressToClassic     *bool    `snap:"allow_egress_from_local_vpc_to_remote_classic_link" from:"RequesterVpcInfo.PeeringOptions.AllowEgressFromLocalVpcToRemoteClassicLink" doc:"whether the VPC may talk to such instances of the other side"`
	RequesterVPCID           *string  `snap:"_requester_vpc_id" from:"RequesterVpcInfo.VpcId"`
	AccepterVPCID            *string  `snap:"_accepter_vpc_id" from:"AccepterVpcInfo.VpcId"`
	RequesterCIDRIDs         []string `snap:"_requester_cidr_ids"`
	AccepterCIDRIDs          []string `snap:"_accepter_cidr_ids"`
}

var ec2VPCPeerings = kind.Of[ec2VPCPeering](kind.Table{
	Name: "ec2_vpc_peering", Label: "AWSPeeringConnection",
	Doc: "A connection of two VPCs, of one account or two.",
	Links: []kind.Link{
		{Type: "ACCEPTER_VPC", To: "AWSVpc", On: kind.On{"id": "_accepter_vpc_id"}},
		{Type: "REQUESTER_VPC", To: "AWSVpc", On: kind.On{"id": "_requester_vpc_id"}},
		{Type: "ACCEPTER_CIDR", To: "AWSCidrBlock", On: kind.On{"id": "_accepter_cidr_ids"}},
		{Type: "REQUESTER_CIDR", To: "AWSCidrBlock", On: kind.On{"id": "_requester_cidr_ids"}},
	},
})

// ec2PeeringAccount, ec2PeeringVPC and ec2PeeringCIDRBlock are the two sides of
// a peering. One of them may be of an account that is never collected.
type ec2PeeringAccount struct {
	ID string `snap:"id,key"`
}

var ec2PeeringAccounts = kind.Of[ec2PeeringAccount](kind.Table{
	Name: "ec2_vpc_peering_account", Label: "AWSAccount", Stub: true, Unowned: true, Keep: true, Ontology: accounts.Ontology,
	Doc: "What a peering says of the account on either side.",
})

type ec2PeeringVPC struct {
	ID      string  `snap:"id,key"`
	VPCID   string  `snap:"vpcid,index"`
	Region  string  `snap:"region"`
	OwnerID *string `snap:"_owner_id" from:"OwnerId"`
}

var ec2PeeringVPCs = kind.Of[ec2PeeringVPC](kind.Table{
	Name: "ec2_vpc_peering_vpc", Label: "AWSVpc", Aliases: []string{"VirtualNetwork"}, Stub: true,
	Doc:      "What a peering says of the VPC on either side.",
	Owner:    &kind.Link{Type: "RESOURCE", From: "AWSAccount", On: kind.On{"id": "_owner_id"}},
	Ontology: ec2VPCs.Ontology,
})

type ec2PeeringCIDRBlock struct {
	ID        string `snap:"id,key"`
	VPCID     string `snap:"vpcid"`
	CIDRBlock string `snap:"cidr_block"`
}

var ec2PeeringCIDRBlocks = kind.Of[ec2PeeringCIDRBlock](kind.Table{
	Name: "ec2_vpc_peering_cidr_block", Label: "AWSCidrBlock", Aliases: []string{"AWSIpv4CidrBlock"}, Stub: true,
	Doc:   "What a peering says of a range that the VPC on either side has.",
	Owner: &kind.Link{Type: "BLOCK_ASSOCIATION", From: "AWSVpc", On: kind.On{"id": "vpcid"}},
})

var _ = api.Declare(api.Sync{
	Name:   "ec2:vpc_peering",
	Calls:  []string{"ec2:DescribeVpcPeeringConnections"},
	Tables: []*kind.Table{ec2VPCPeerings.Table, ec2PeeringAccounts.Table, ec2PeeringVPCs.Table, ec2PeeringCIDRBlocks.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		pages := ec2.NewDescribeVpcPeeringConnectionsPaginator(ec2.NewFromConfig(at.Config), nil)
		peerings, err := api.All(ctx, pages, func(p *ec2.DescribeVpcPeeringConnectionsOutput) []types.VpcPeeringConnection {
			return p.VpcPeeringConnections
		})
		for _, p := range peerings {
			row := ec2VPCPeerings.From(p)
			row.AccepterCIDRIDs = putEC2PeeringSide(at, p.AccepterVpcInfo)
			row.RequesterCIDRIDs = putEC2PeeringSide(at, p.RequesterVpcInfo)
			ec2VPCPeerings.Put(at, row)
		}
		return err
	},
})

// putEC2PeeringSide puts what a peering tells of one of its VPCs and returns
// the ids of the VPC's ranges.
func putEC2PeeringSide(at *api.Cell, side *types.VpcPeeringConnectionVpcInfo) (ranges []string) {
	if side == nil {
		return nil
	}
	if id := aws.ToString(side.OwnerId); id != "" {
		ec2PeeringAccounts.Put(at, ec2PeeringAccount{ID: id})
	}
	vpc := aws.ToString(side.VpcId)
	if vpc == "" {
		return nil
	}
	row := ec2PeeringVPCs.From(side)
	row.ID, row.VPCID, row.Region = vpc, vpc, at.Region
	if side.Region != nil { // the other side's may be another one
		row.Region = *side.Region
	}
	ec2PeeringVPCs.Put(at, row)
	for _, c := range side.CidrBlockSet {
		if cidr := aws.ToString(c.CidrBlock); cidr != "" {
			ec2PeeringCIDRBlocks.Put(at, ec2PeeringCIDRBlock{ID: vpc + "|" + cidr, VPCID: vpc, CIDRBlock: cidr})
			ranges = append(ranges, vpc+"|"+cidr)
		}
	}
	return ranges
}
