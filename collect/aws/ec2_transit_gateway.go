package aws

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// ec2TransitGateway connects VPCs and other networks. Its owner may share it
// with other accounts, which list it too.
type ec2TransitGateway struct {
	ID          string  `snap:"id,key" from:"TransitGatewayArn" doc:"its ARN"`
	ARN         *string `snap:"arn" from:"TransitGatewayArn"`
	GatewayID   *string `snap:"tgw_id" from:"TransitGatewayId" doc:"the gateway, 'tgw-…'"`
	OwnerID     *string `snap:"ownerid" from:"OwnerId" doc:"the account that owns it"`
	State       *string `snap:"state" from:"State" doc:"'available', 'pending', 'modifying', 'deleting' or 'deleted'"`
	Description *string `snap:"description" from:"Description" doc:"what was written about it"`
	Region      string  `snap:"region"`
	SharedWith  *string `snap:"_shared_with"` // the cell's account, where it is not the owner
}

var ec2TransitGateways = kind.Of[ec2TransitGateway](kind.Table{
	Name: "ec2_transit_gateway", Label: "AWSTransitGateway",
	Doc:   "A hub that connects VPCs and other networks. One that another account shares is listed too.",
	Owner: &kind.Link{Type: "RESOURCE", From: "AWSAccount", On: kind.On{"id": "ownerid"}},
	Links: []kind.Link{{Type: "SHARED_WITH", To: "AWSAccount", On: kind.On{"id": "_shared_with"}}},
})

// ec2TransitGatewayAttachment is one network that a transit gateway connects.
// The gateway's account and the network's list it.
type ec2TransitGatewayAttachment struct {
	ID           string   `snap:"id,key" from:"TransitGatewayAttachmentId" doc:"the attachment, 'tgw-attach-…'"`
	ResourceType *string  `snap:"resource_type" from:"ResourceType" doc:"what is attached: 'vpc', 'vpn', 'direct-connect-gateway', 'peering', …"`
	State        *string  `snap:"state" from:"State" doc:"'available', 'pendingAcceptance', 'rejected', 'deleted', …"`
	Region       string   `snap:"region"`
	GatewayID    *string  `snap:"_tgw_id" from:"TransitGatewayId"`
	VPCID        *string  `snap:"_vpc_id"`
	SubnetIDs    []string `snap:"_subnet_ids"`
	kind.Gaps
}

var ec2TransitGatewayAttachments = kind.Of[ec2TransitGatewayAttachment](kind.Table{
	Name: "ec2_transit_gateway_attachment", Label: "AWSTransitGatewayAttachment",
	Doc: "A network that is connected to a transit gateway.",
	Links: []kind.Link{
		{Type: "ATTACHED_TO", To: "AWSTransitGateway", On: kind.On{"tgw_id": "_tgw_id"}},
		{Type: "RESOURCE", From: "AWSVpc", On: kind.On{"id": "_vpc_id"}},
		{Type: "PART_OF_SUBNET", To: "AWSEC2Subnet", On: kind.On{"subnetid": "_subnet_ids"}},
	},
})

var _ = api.Declare(api.Sync{
	Name:   "ec2:tgw",
	Calls:  []string{"ec2:DescribeTransitGateways", "ec2:DescribeTransitGatewayAttachments", "ec2:DescribeTransitGatewayVpcAttachments"},
	Tables: []*kind.Table{ec2TransitGateways.Table, ec2TransitGatewayAttachments.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		return api.Parts(ctx, at, collectEC2TransitGateways, collectEC2TransitGatewayAttachments)
	},
})

func collectEC2TransitGateways(ctx context.Context, at *api.Cell) error {
	pages := ec2.NewDescribeTransitGatewaysPaginator(ec2.NewFromConfig(at.Config), nil)
	gateways, err := api.All(ctx, pages, func(p *ec2.DescribeTransitGatewaysOutput) []types.TransitGateway { return p.TransitGateways })
	for _, g := range gateways {
		row := ec2TransitGateways.From(g)
		row.Region = at.Region
		if aws.ToString(g.OwnerId) != at.Account {
			row.SharedWith = &at.Account
		}
		ec2TransitGateways.Put(at, row)
	}
	return err
}

// collectEC2TransitGatewayAttachments reads the attachments of every kind and,
// where VPCs are among them, their subnets.
func collectEC2TransitGatewayAttachments(ctx context.Context, at *api.Cell) error {
	client := ec2.NewFromConfig(at.Config)
	pages := ec2.NewDescribeTransitGatewayAttachmentsPaginator(client, nil)
	attachments, err := api.All(ctx, pages, func(p *ec2.DescribeTransitGatewayAttachmentsOutput) []types.TransitGatewayAttachment {
		return p.TransitGatewayAttachments
	})
	isVPC := func(a types.TransitGatewayAttachment) bool {
		return a.ResourceType == types.TransitGatewayAttachmentResourceTypeVpc
	}
	subnets, subnetsErr := map[string][]string{}, error(nil) // by attachment
	if slices.ContainsFunc(attachments, isVPC) {
		subnets, subnetsErr = ec2TransitGatewaySubnets(ctx, client)
	}
	for _, a := range attachments {
		row := ec2TransitGatewayAttachments.From(a)
		row.Region = at.Region
		if isVPC(a) {
			row.VPCID = a.ResourceId
			var known bool
			if row.SubnetIDs, known = subnets[row.ID]; !known && subnetsErr != nil {
				row.Unread(subnetsErr, "_subnet_ids")
			}
		}
		ec2TransitGatewayAttachments.Put(at, row)
	}
	return err
}

// ec2TransitGatewaySubnets are the subnets of VPC attachments, by attachment.
func ec2TransitGatewaySubnets(ctx context.Context, client *ec2.Client) (map[string][]string, error) {
	pages := ec2.NewDescribeTransitGatewayVpcAttachmentsPaginator(client, nil)
	attachments, err := api.All(ctx, pages, func(p *ec2.DescribeTransitGatewayVpcAttachmentsOutput) []types.TransitGatewayVpcAttachment {
		return p.TransitGatewayVpcAttachments
	})
	subnets := map[string][]string{}
	for _, a := range attachments {
		subnets[aws.ToString(a.TransitGatewayAttachmentId)] = a.SubnetIds
	}
	return subnets, err
}
