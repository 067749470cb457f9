package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// ec2InternetGateway is a VPC's way to the internet.
type ec2InternetGateway struct {
	ID      string   `snap:"id,key" from:"InternetGatewayId" doc:"the gateway, 'igw-…'"`
	ARN     string   `snap:"arn,index" doc:"its ARN, with the account that owns it"`
	OwnerID *string  `snap:"ownerid" from:"OwnerId" doc:"the account that owns it"`
	Region  string   `snap:"region"`
	VPCIDs  []string `snap:"_vpc_ids" from:"Attachments.VpcId"`
}

var ec2InternetGateways = kind.Of[ec2InternetGateway](kind.Table{
	Name: "ec2_internet_gateway", Label: "AWSInternetGateway",
	Doc:   "A VPC's way to the internet and back.",
	Links: []kind.Link{{Type: "ATTACHED_TO", To: "AWSVpc", On: kind.On{"id": "_vpc_ids"}}},
})

var _ = api.Declare(api.Sync{
	Name:   "ec2:internet_gateway",
	Calls:  []string{"ec2:DescribeInternetGateways"},
	Tables: []*kind.Table{ec2InternetGateways.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		pages := ec2.NewDescribeInternetGatewaysPaginator(ec2.NewFromConfig(at.Config), nil)
		gateways, err := api.All(ctx, pages, func(p *ec2.DescribeInternetGatewaysOutput) []types.InternetGateway { return p.InternetGateways })
		for _, g := range gateways {
			row := ec2InternetGateways.From(g)
			row.Region = at.Region
			if row.OwnerID == nil {
				row.OwnerID = &at.Account
			}
			row.ARN = "arn:" + at.Partition + ":ec2:" + at.Region + ":" + *row.OwnerID + ":internet-gateway/" + row.ID
			ec2InternetGateways.Put(at, row)
		}
		return err
	},
})
