package aws

import (
	"cmp"
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// elasticIPAddress is a public IPv4 address that the account holds. Its id is
// the address, or the allocation where a carrier's network has its own.
type elasticIPAddress struct {
	ID                      string  `snap:"id,key"`
	PublicIP                *string `snap:"public_ip,index" from:"PublicIp"`
	Region                  string  `snap:"region"`
	AllocationID            *string `snap:"allocation_id" from:"AllocationId"`
	AssociationID           *string `snap:"association_id" from:"AssociationId"`
	InstanceID              *string `snap:"instance_id" from:"InstanceId"`
	NetworkInterfaceID      *string `snap:"network_interface_id" from:"NetworkInterfaceId"`
	NetworkInterfaceOwnerID *string `snap:"network_interface_owner_id" from:"NetworkInterfaceOwnerId"`
	PrivateIPAddress        *string `snap:"private_ip_address" from:"PrivateIpAddress"`
	Domain                  *string `snap:"domain" from:"Domain"`
	NetworkBorderGroup      *string `snap:"network_border_group" from:"NetworkBorderGroup"`
	PublicIPv4Pool          *string `snap:"public_ipv4_pool" from:"PublicIpv4Pool"`
	CarrierIP               *string `snap:"carrier_ip" from:"CarrierIp"`
	CustomerOwnedIP         *string `snap:"customer_owned_ip" from:"CustomerOwnedIp"`
	CustomerOwnedIPv4Pool   *string `snap:"customer_owned_ipv4_pool" from:"CustomerOwnedIpv4Pool"`
}

var elasticIPAddresses = kind.Of[elasticIPAddress](kind.Table{
	Name: "ec2_elastic_ip_address", Label: "AWSElasticIPAddress", Aliases: []string{"ElasticIPAddress"},
	Links: []kind.Link{
		{Type: "ELASTIC_IP_ADDRESS", From: "AWSEC2Instance", On: kind.On{"id": "instance_id"}},
		{Type: "ELASTIC_IP_ADDRESS", From: "AWSNetworkInterface", On: kind.On{"id": "network_interface_id"}},
	},
})

var _ = api.Declare(api.Sync{
	Name:   "elastic_ip_addresses",
	Calls:  []string{"ec2:DescribeAddresses"},
	Tables: []*kind.Table{elasticIPAddresses.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		out, err := ec2.NewFromConfig(at.Config).DescribeAddresses(ctx, nil)
		if err != nil {
			return err
		}
		for _, a := range out.Addresses {
			row := elasticIPAddresses.From(a)
			row.ID, row.Region = cmp.Or(aws.ToString(a.PublicIp), aws.ToString(a.AllocationId)), at.Region
			elasticIPAddresses.Put(at, row)
		}
		return nil
	},
})
