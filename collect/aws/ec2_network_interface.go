package aws

import (
	"context"
	"regexp"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// ec2NetworkInterface is a network card of an instance, a load balancer or any
// other service in a VPC.
type ec2NetworkInterface struct {
	ID               string     `snap:"id,key" from:"NetworkInterfaceId" doc:"the interface, 'eni-…'"`
	Description      *string    `snap:"description" from:"Description" doc:"what its maker wrote about it; services name what it is for"`
	InterfaceType    *string    `snap:"interface_type" from:"InterfaceType" doc:"what it is for, 'interface', 'nat_gateway', 'lambda', 'vpc_endpoint', …"`
	MACAddress       *string    `snap:"mac_address,index" from:"MacAddress" doc:"its hardware address"`
	PrivateDNSName   *string    `snap:"private_dns_name" from:"PrivateDnsName" doc:"its private DNS name"`
	PrivateIPAddress *string    `snap:"private_ip_address,index" from:"PrivateIpAddress" doc:"its primary private IPv4 address"`
	PublicIP         *string    `snap:"public_ip,index" from:"Association.PublicIp" doc:"the public IPv4 address that stands for it"`
	Region           string     `snap:"region"`
	RequesterID      *string    `snap:"requester_id,index" from:"RequesterId" doc:"the account or service on whose request it was made"`
	RequesterManaged *bool      `snap:"requester_managed" from:"RequesterManaged" doc:"whether an AWS service looks after it"`
	SourceDestCheck  *bool      `snap:"source_dest_check" from:"SourceDestCheck" doc:"whether it drops traffic that is neither from nor for it; a router or NAT instance has it off"`
	Status           *string    `snap:"status" from:"Status" doc:"'available', 'in-use', 'attaching', 'detaching' or 'associated'"`
	SubnetID         *string    `snap:"subnetid,index" from:"SubnetId" doc:"its subnet"`
	SubnetID2        *string    `snap:"subnet_id,index" from:"SubnetId" doc:"its subnet"`
	AttachTime       *time.Time `snap:"attach_time" from:"Attachment.AttachTime" doc:"when it was attached"`
	DeviceIndex      *int64     `snap:"device_index" from:"Attachment.DeviceIndex" doc:"its place among the interfaces of its instance, from 0"`

	InstanceID      *string  `snap:"_instance_id" from:"Attachment.InstanceId"`
	GroupIDs        []string `snap:"_group_ids" from:"Groups.GroupId"`
	LoadBalancerARN *string  `snap:"_load_balancer_arn"`
}

var ec2NetworkInterfaces = kind.Of[ec2NetworkInterface](kind.Table{
	Name: "ec2_network_interface", Label: "AWSNetworkInterface", Aliases: []string{"NetworkInterface"},
	Doc: "A network card of an instance, a load balancer or any other service in a VPC.",
	Links: []kind.Link{
		{Type: "NETWORK_INTERFACE", From: "AWSEC2Instance", On: kind.On{"id": "_instance_id"}},
		{Type: "NETWORK_INTERFACE", From: "AWSLoadBalancerV2", On: kind.On{"arn": "_load_balancer_arn"}},
		{Type: "PART_OF_SUBNET", To: "AWSEC2Subnet", On: kind.On{"id": "subnetid"}},
		{Type: "MEMBER_OF_EC2_SECURITY_GROUP", To: "AWSEC2SecurityGroup", On: kind.On{"id": "_group_ids"}},
	},
})

// ec2PrivateIP is a private IPv4 address of an interface: its id is
// "interface:address", as many networks use the same addresses.
type ec2PrivateIP struct {
	ID               string  `snap:"id,key" doc:"interface and address, joined by ':'"`
	InterfaceID      string  `snap:"network_interface_id" doc:"the interface that has it"`
	IPOwnerID        *string `snap:"ip_owner_id" from:"Association.IpOwnerId" doc:"the account that holds the public address which stands for it, or 'amazon'"`
	Primary          *bool   `snap:"primary" from:"Primary" doc:"whether it is the interface's primary address"`
	PrivateIPAddress *string `snap:"private_ip_address,index" from:"PrivateIpAddress" doc:"the address"`
	PublicIP         *string `snap:"public_ip" from:"Association.PublicIp" doc:"the public IPv4 address that stands for it"`
	VPCID            *string `snap:"vpc_id" doc:"its VPC, in which alone the address is unique; not a property of Cartography's"`
}

var ec2PrivateIPs = kind.Of[ec2PrivateIP](kind.Table{
	Name: "ec2_private_ip", Label: "AWSEC2PrivateIp", Aliases: []string{"EC2PrivateIp"},
	Doc:   "A private IPv4 address of a network interface.",
	Links: []kind.Link{{Type: "PRIVATE_IP_ADDRESS", From: "AWSNetworkInterface", On: kind.On{"id": "network_interface_id"}}},
})

// ec2InterfaceSubnet and ec2InterfaceSecurityGroup are the surroundings that
// an interface names.
type ec2InterfaceSubnet struct {
	ID        string `snap:"id,key"`
	SubnetID  string `snap:"subnetid,index"`
	SubnetID2 string `snap:"subnet_id,index"`
	Region    string `snap:"region"`
}

var ec2InterfaceSubnets = kind.Of[ec2InterfaceSubnet](kind.Table{
	Name: "ec2_interface_subnet", Label: "AWSEC2Subnet", Aliases: []string{"EC2Subnet", "Subnet"}, Stub: true,
	Doc:      "What a network interface says of its subnet.",
	Ontology: subnetOntology,
})

type ec2InterfaceSecurityGroup struct {
	ID      string `snap:"id,key"`
	GroupID string `snap:"groupid,index"`
	Region  string `snap:"region"`
}

var ec2InterfaceSecurityGroups = kind.Of[ec2InterfaceSecurityGroup](kind.Table{
	Name: "ec2_interface_security_group", Label: "AWSEC2SecurityGroup", Aliases: []string{"EC2SecurityGroup"}, Stub: true,
	Doc:      "What a network interface says of a security group of its own.",
	Ontology: securityGroupOntology,
})

var _ = api.Declare(api.Sync{
	Name:  "ec2:network_interface",
	Calls: []string{"ec2:DescribeNetworkInterfaces"},
	Tables: []*kind.Table{
		ec2NetworkInterfaces.Table, ec2PrivateIPs.Table, ec2InterfaceSubnets.Table, ec2InterfaceSecurityGroups.Table,
	},
	Collect: func(ctx context.Context, at *api.Cell) error {
		pages := ec2.NewDescribeNetworkInterfacesPaginator(ec2.NewFromConfig(at.Config), nil)
		interfaces, err := api.All(ctx, pages, func(p *ec2.DescribeNetworkInterfacesOutput) []types.NetworkInterface { return p.NetworkInterfaces })
		for _, n := range interfaces {
			row := ec2NetworkInterfaces.From(n)
			row.Region = at.Region
			row.LoadBalancerARN = interfaceLoadBalancer(at, n)
			ec2NetworkInterfaces.Put(at, row)
			for _, a := range n.PrivateIpAddresses {
				if aws.ToString(a.PrivateIpAddress) != "" {
					address := ec2PrivateIPs.From(a)
					address.ID, address.InterfaceID, address.VPCID = row.ID+":"+*a.PrivateIpAddress, row.ID, n.VpcId
					ec2PrivateIPs.Put(at, address)
				}
			}
			if id := aws.ToString(n.SubnetId); id != "" {
				ec2InterfaceSubnets.Put(at, ec2InterfaceSubnet{ID: id, SubnetID: id, SubnetID2: id, Region: at.Region})
			}
			for _, id := range row.GroupIDs {
				ec2InterfaceSecurityGroups.Put(at, ec2InterfaceSecurityGroup{ID: id, GroupID: id, Region: at.Region})
			}
		}
		return err
	},
})

// elbInterface is how Elastic Load Balancing describes the interfaces of a
// load balancer. Of a classic one it says the name alone, which is not unique.
var elbInterface = regexp.MustCompile(`^ELB ((?:app|net|gwy)/[^/]+/[0-9a-f]+)$`)

// interfaceLoadBalancer is the ARN of the load balancer that the interface
// belongs to. Only AWS can make an interface that is managed by its requester,
// so the description is not a user's.
func interfaceLoadBalancer(at *api.Cell, n types.NetworkInterface) *string {
	m := elbInterface.FindStringSubmatch(aws.ToString(n.Description))
	if m == nil || !aws.ToBool(n.RequesterManaged) {
		return nil
	}
	owner := at.Account
	if n.OwnerId != nil {
		owner = *n.OwnerId
	}
	arn := "arn:" + at.Partition + ":elasticloadbalancing:" + at.Region + ":" + owner + ":loadbalancer/" + m[1]
	return &arn
}
