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
	ID                      string  `snap:"id,key" doc:"the public address, or the allocation where the address is a carrier's"`
	PublicIP                *string `snap:"public_ip,index" from:"PublicIp" doc:"the public IPv4 address"`
	Region                  string  `snap:"region"`
	AllocationID            *string `snap:"allocation_id" from:"AllocationId" doc:"identifies the holding of the address"`
	AssociationID           *string `snap:"association_id" from:"AssociationId" doc:"identifies its use by an instance or interface; null: unused"`
	InstanceID              *string `snap:"instance_id" from:"InstanceId" doc:"the instance that uses it"`
	NetworkInterfaceID      *string `snap:"network_interface_id" from:"NetworkInterfaceId" doc:"the network interface that uses it"`
	NetworkInterfaceOwnerID *string `snap:"network_interface_owner_id" from:"NetworkInterfaceOwnerId" doc:"the account that owns that interface"`
	PrivateIPAddress        *string `snap:"private_ip_address" from:"PrivateIpAddress" doc:"the private address that it stands for"`
	Domain                  *string `snap:"domain" from:"Domain" doc:"'vpc', or 'standard' for the network before VPCs"`
	NetworkBorderGroup      *string `snap:"network_border_group" from:"NetworkBorderGroup" doc:"the zones from which the address is announced"`
	PublicIPv4Pool          *string `snap:"public_ipv4_pool" from:"PublicIpv4Pool" doc:"the pool that it came from, Amazon's or the customer's own"`
	CarrierIP               *string `snap:"carrier_ip" from:"CarrierIp" doc:"the address in the telephone carrier's network, in a Wavelength zone"`
	CustomerOwnedIP         *string `snap:"customer_owned_ip" from:"CustomerOwnedIp" doc:"the address of the customer's own network, on an Outpost"`
	CustomerOwnedIPv4Pool   *string `snap:"customer_owned_ipv4_pool" from:"CustomerOwnedIpv4Pool" doc:"the pool of such addresses"`
}

var elasticIPAddresses = kind.Of[elasticIPAddress](kind.Table{
	Name: "ec2_elastic_ip_address", Label: "AWSElasticIPAddress", Aliases: []string{"ElasticIPAddress"},
	Doc: "A public IPv4 address that the account holds.",
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
