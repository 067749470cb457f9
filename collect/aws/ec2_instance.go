package aws

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// ec2Reservation is what one launch asked for: one or more instances.
type ec2Reservation struct {
	ID            string  `snap:"id,key" from:"ReservationId" doc:"the reservation, 'r-…'"`
	ReservationID *string `snap:"reservationid" from:"ReservationId" doc:"the reservation, 'r-…'"`
	OwnerID       *string `snap:"ownerid" from:"OwnerId" doc:"the account that launched"`
	RequesterID   *string `snap:"requesterid" from:"RequesterId" doc:"who launched on the owner's behalf, such as a service"`
	Region        string  `snap:"region"`
}

var ec2Reservations = kind.Of[ec2Reservation](kind.Table{
	Name: "ec2_reservation", Label: "AWSEC2Reservation", Aliases: []string{"EC2Reservation"},
	Doc: "What one launch asked for: one or more instances.",
})

// ec2Instance is a virtual machine.
type ec2Instance struct {
	ID                      string     `snap:"id,key" from:"InstanceId" doc:"the instance, 'i-…'"`
	InstanceID              *string    `snap:"instanceid,index" from:"InstanceId" doc:"the instance, 'i-…'"`
	ARN                     string     `snap:"arn,index"`
	Region                  string     `snap:"region"`
	State                   *string    `snap:"state" from:"State.Name" doc:"'pending', 'running', 'stopping', 'stopped', 'shutting-down' or 'terminated'"`
	InstanceType            *string    `snap:"instancetype" from:"InstanceType" doc:"its size, such as 't3.micro'"`
	ImageID                 *string    `snap:"imageid" from:"ImageId" doc:"the machine image that it was started from"`
	PublicDNSName           *string    `snap:"publicdnsname,index" from:"PublicDnsName" doc:"its public DNS name; empty where it has none"`
	PublicIPAddress         *string    `snap:"publicipaddress" from:"PublicIpAddress" doc:"its public IPv4 address"`
	PrivateIPAddress        *string    `snap:"privateipaddress" from:"PrivateIpAddress" doc:"its private IPv4 address, of the first interface"`
	IPv6Address             *string    `snap:"ipv6address" doc:"the IPv6 address of its first interface: the primary one, else the first"`
	LaunchTime              *time.Time `snap:"launchtime" from:"LaunchTime" doc:"when it was last started"`
	LaunchTimeUnix          *string    `snap:"launchtimeunix" doc:"the same in seconds since 1970, as the text of a decimal number"`
	MonitoringState         *string    `snap:"monitoringstate" from:"Monitoring.State" doc:"whether it reports every minute: 'enabled', 'disabled' or on the way"`
	AvailabilityZone        *string    `snap:"availabilityzone" from:"Placement.AvailabilityZone" doc:"the zone that it runs in"`
	Tenancy                 *string    `snap:"tenancy" from:"Placement.Tenancy" doc:"whose hardware: 'default' (shared), 'dedicated' or 'host'"`
	HostResourceGroupARN    *string    `snap:"hostresourcegrouparn" from:"Placement.HostResourceGroupArn" doc:"the group of dedicated hosts that it is placed on"`
	Platform                *string    `snap:"platform" from:"Platform" doc:"'windows'; null for anything else"`
	Architecture            *string    `snap:"architecture" from:"Architecture" doc:"its processor, such as 'x86_64' or 'arm64'"`
	EBSOptimized            *bool      `snap:"ebsoptimized" from:"EbsOptimized" doc:"whether it has bandwidth of its own to its volumes"`
	BootMode                *string    `snap:"bootmode" from:"BootMode" doc:"the firmware that it starts with, 'legacy-bios' or 'uefi'"`
	InstanceLifecycle       *string    `snap:"instancelifecycle" from:"InstanceLifecycle" doc:"'spot' or 'scheduled'; null for one paid by the hour"`
	IAMInstanceProfile      *string    `snap:"iaminstanceprofile" from:"IamInstanceProfile.Arn" doc:"the ARN of its instance profile, which hands it a role"`
	EKSClusterName          *string    `snap:"eks_cluster_name" doc:"the Kubernetes cluster that its tags say it works for"`
	MetadataHTTPTokens      *string    `snap:"metadatahttptokens,index" from:"MetadataOptions.HttpTokens" doc:"whether its metadata service wants a session token (IMDSv2): 'required' or 'optional'"`
	MetadataHTTPHopLimit    *int64     `snap:"metadatahttpputresponsehoplimit" from:"MetadataOptions.HttpPutResponseHopLimit" doc:"over how many network hops a metadata token may travel, 1 to 64"`
	MetadataHTTPEndpoint    *string    `snap:"metadatahttpendpoint" from:"MetadataOptions.HttpEndpoint" doc:"whether its metadata service answers: 'enabled' or 'disabled'"`
	MetadataHTTPProtocolIP6 *string    `snap:"metadatahttpprotocolipv6" from:"MetadataOptions.HttpProtocolIpv6" doc:"whether the metadata service answers over IPv6"`
	MetadataInstanceTags    *string    `snap:"metadatainstancetags" from:"MetadataOptions.InstanceMetadataTags" doc:"whether the metadata service tells the instance's tags"`
	IMDSAccessMode          *string    `snap:"imdsaccessmode" doc:"'v2_only' or 'v1_or_v2', from metadatahttptokens"`
	IMDSv1Enabled           *bool      `snap:"imdsv1enabled" doc:"whether the metadata service answers without a token, from metadatahttptokens"`
	IMDSv2Required          *bool      `snap:"imdsv2required" doc:"whether the metadata service wants a token, from metadatahttptokens"`

	ReservationID string `snap:"_reservation_id"`
}

var instanceOntology = kind.Ontology{
	"name": kind.Same("instanceid"), "region": kind.Same("region"), "type": kind.Same("instancetype"),
	"public_ip_address": kind.Same("publicipaddress"), "private_ip_address": kind.Same("privateipaddress"),
	"created_at": kind.Same("launchtime"),
	"state": kind.Mapped("state", map[string]string{
		"pending": "pending", "running": "running", "shutting-down": "stopping",
		"stopping": "stopping", "stopped": "stopped", "terminated": "terminated",
	}),
}

var ec2Instances = kind.Of[ec2Instance](kind.Table{
	Name: "ec2_instance", Label: "AWSEC2Instance", Aliases: []string{"EC2Instance", "ComputeInstance"},
	Doc:      "A virtual machine. One that was terminated is listed for about an hour.",
	Ontology: instanceOntology,
	Links: []kind.Link{
		{Type: "MEMBER_OF_EC2_RESERVATION", To: "AWSEC2Reservation", On: kind.On{"reservationid": "_reservation_id"}},
		{Type: "INSTANCE_PROFILE", To: "AWSInstanceProfile", On: kind.On{"arn": "iaminstanceprofile"}},
		{Type: "MEMBER_OF_EKS_CLUSTER", To: "AWSEKSCluster", On: kind.On{"name": "eks_cluster_name"}},
	},
})

// ec2InstanceSubnet, and the stubs that follow, are what an instance says of
// its surroundings: enough to link to them even where their own sync is not
// requested or not allowed.
type ec2InstanceSubnet struct {
	ID        string   `snap:"id,key"`
	SubnetID  string   `snap:"subnetid,index"`
	SubnetID2 string   `snap:"subnet_id,index"`
	Region    string   `snap:"region"`
	Instances []string `snap:"_instance_ids"`
}

var ec2InstanceSubnets = kind.Of[ec2InstanceSubnet](kind.Table{
	Name: "ec2_instance_subnet", Label: "AWSEC2Subnet", Aliases: []string{"EC2Subnet", "Subnet"}, Stub: true,
	Doc:      "What an instance says of its subnet.",
	Ontology: subnetOntology,
	Links:    []kind.Link{{Type: "PART_OF_SUBNET", From: "AWSEC2Instance", On: kind.On{"id": "_instance_ids"}}},
})

type ec2InstanceSecurityGroup struct {
	ID        string   `snap:"id,key"`
	GroupID   string   `snap:"groupid,index"`
	Region    string   `snap:"region"`
	Instances []string `snap:"_instance_ids"`
}

var ec2InstanceSecurityGroups = kind.Of[ec2InstanceSecurityGroup](kind.Table{
	Name: "ec2_instance_security_group", Label: "AWSEC2SecurityGroup", Aliases: []string{"EC2SecurityGroup"}, Stub: true,
	Doc:      "What an instance says of a security group of its own.",
	Ontology: securityGroupOntology,
	Links:    []kind.Link{{Type: "MEMBER_OF_EC2_SECURITY_GROUP", From: "AWSEC2Instance", On: kind.On{"id": "_instance_ids"}}},
})

type ec2InstanceKeyPair struct {
	ID        string   `snap:"id,key"`
	ARN       string   `snap:"arn,index"`
	Name      string   `snap:"keyname"`
	Region    string   `snap:"region"`
	Instances []string `snap:"_instance_ids"`
}

var ec2InstanceKeyPairs = kind.Of[ec2InstanceKeyPair](kind.Table{
	Name: "ec2_instance_key_pair", Label: "AWSEC2KeyPair", Aliases: []string{"EC2KeyPair", "KeyPair"}, Stub: true,
	Doc:   "What an instance says of the key pair that it accepts.",
	Links: []kind.Link{{Type: "SSH_LOGIN_TO", To: "AWSEC2Instance", On: kind.On{"id": "_instance_ids"}}},
})

type ec2InstanceInterface struct {
	ID             string   `snap:"id,key" from:"NetworkInterfaceId"`
	Region         string   `snap:"region"`
	Status         *string  `snap:"status" from:"Status"`
	MACAddress     *string  `snap:"mac_address,index" from:"MacAddress"`
	Description    *string  `snap:"description" from:"Description"`
	PrivateDNSName *string  `snap:"private_dns_name,index" from:"PrivateDnsName"`
	PrivateIP      *string  `snap:"private_ip_address,index" from:"PrivateIpAddress"`
	InstanceID     *string  `snap:"_instance_id"`
	SubnetID       *string  `snap:"_subnet_id"`
	GroupIDs       []string `snap:"_group_ids" from:"Groups.GroupId"`
}

var ec2InstanceInterfaces = kind.Of[ec2InstanceInterface](kind.Table{
	Name: "ec2_instance_network_interface", Label: "AWSNetworkInterface", Aliases: []string{"NetworkInterface"}, Stub: true,
	Doc: "What an instance says of one of its network interfaces.",
	Links: []kind.Link{
		{Type: "NETWORK_INTERFACE", From: "AWSEC2Instance", On: kind.On{"id": "_instance_id"}},
		{Type: "PART_OF_SUBNET", To: "AWSEC2Subnet", On: kind.On{"id": "_subnet_id"}},
		{Type: "MEMBER_OF_EC2_SECURITY_GROUP", To: "AWSEC2SecurityGroup", On: kind.On{"id": "_group_ids"}},
	},
})

type ec2InstanceVolume struct {
	ID                  string   `snap:"id,key" from:"VolumeId"`
	VolumeID            *string  `snap:"volumeid,index" from:"VolumeId"`
	DeleteOnTermination *bool    `snap:"deleteontermination" from:"DeleteOnTermination" doc:"whether it goes when its instance is terminated, as the instance says"`
	Instances           []string `snap:"_instance_ids"`
}

var ec2InstanceVolumes = kind.Of[ec2InstanceVolume](kind.Table{
	Name: "ec2_instance_volume", Label: "AWSEBSVolume", Aliases: []string{"EBSVolume", "BlockStorage"}, Stub: true,
	Doc:      "What an instance says of one of its volumes.",
	Ontology: volumeOntology,
	Links:    []kind.Link{{Type: "ATTACHED_TO", To: "AWSEC2Instance", On: kind.On{"id": "_instance_ids"}}},
})

// ec2IPv6Address is an IPv6 address of a network interface.
type ec2IPv6Address struct {
	ID          string  `snap:"id,key" from:"Ipv6Address" doc:"the address"`
	Address     *string `snap:"ipv6_address,index" from:"Ipv6Address" doc:"the address"`
	InterfaceID *string `snap:"network_interface_id" doc:"the interface that has it"`
	Primary     bool    `snap:"primary" from:"IsPrimaryIpv6" doc:"whether it is the interface's primary IPv6 address, which stays as long as the interface"`
	Region      string  `snap:"region"`
}

var ec2IPv6Addresses = kind.Of[ec2IPv6Address](kind.Table{
	Name: "ec2_ipv6_address", Label: "AWSEC2Ipv6Address", Aliases: []string{"EC2Ipv6Address", "Ip"},
	Doc:   "An IPv6 address of an instance's network interface.",
	Links: []kind.Link{{Type: "IPV6_ADDRESS", From: "AWSNetworkInterface", On: kind.On{"id": "network_interface_id"}}},
})

var ec2ReservationListing = api.Share(func(ctx context.Context, cfg aws.Config) ([]types.Reservation, error) {
	pages := ec2.NewDescribeInstancesPaginator(ec2.NewFromConfig(cfg), nil)
	return api.All(ctx, pages, func(p *ec2.DescribeInstancesOutput) []types.Reservation { return p.Reservations })
}, "ec2:instance", "ec2:images")

var _ = api.Declare(api.Sync{
	Name:  "ec2:instance",
	Calls: []string{"ec2:DescribeInstances"},
	Tables: []*kind.Table{
		ec2Reservations.Table, ec2Instances.Table, ec2InstanceSubnets.Table, ec2InstanceSecurityGroups.Table,
		ec2InstanceKeyPairs.Table, ec2InstanceInterfaces.Table, ec2InstanceVolumes.Table, ec2IPv6Addresses.Table,
	},
	Collect: func(ctx context.Context, at *api.Cell) error {
		reservations, err := ec2ReservationListing.Read(ctx, at)
		for _, r := range reservations {
			row := ec2Reservations.From(r)
			row.Region = at.Region
			ec2Reservations.Put(at, row)
			for _, i := range r.Instances {
				putEC2Instance(at, row.ID, i)
			}
		}
		return err
	},
})

func putEC2Instance(at *api.Cell, reservation string, i types.Instance) {
	row := ec2Instances.From(i)
	row.ReservationID, row.Region = reservation, at.Region
	row.ARN = at.ARN("ec2", "instance/"+row.ID)
	row.EKSClusterName = eksClusterName(i.Tags)
	row.IPv6Address = primaryIPv6(i.NetworkInterfaces)
	if i.LaunchTime != nil { // Cartography keeps it as the text of a float
		row.LaunchTimeUnix = aws.String(strconv.FormatInt(i.LaunchTime.Unix(), 10) + ".0")
	}
	if tokens := row.MetadataHTTPTokens; tokens != nil {
		row.IMDSv1Enabled, row.IMDSv2Required = aws.Bool(*tokens == "optional"), aws.Bool(*tokens == "required")
		row.IMDSAccessMode = map[string]*string{"required": aws.String("v2_only"), "optional": aws.String("v1_or_v2")}[*tokens]
	}
	ec2Instances.Put(at, row)

	self := []string{row.ID}
	if id := aws.ToString(i.SubnetId); id != "" {
		ec2InstanceSubnets.Put(at, ec2InstanceSubnet{ID: id, SubnetID: id, SubnetID2: id, Region: at.Region, Instances: self})
	}
	if name := aws.ToString(i.KeyName); name != "" {
		arn := at.ARN("ec2", "key-pair/"+name)
		ec2InstanceKeyPairs.Put(at, ec2InstanceKeyPair{ID: arn, ARN: arn, Name: name, Region: at.Region, Instances: self})
	}
	for _, g := range i.SecurityGroups {
		id := aws.ToString(g.GroupId)
		ec2InstanceSecurityGroups.Put(at, ec2InstanceSecurityGroup{ID: id, GroupID: id, Region: at.Region, Instances: self})
	}
	for _, n := range i.NetworkInterfaces {
		if len(n.Groups) > 0 { // Cartography knows an interface by its groups here
			nic := ec2InstanceInterfaces.From(n)
			nic.Region, nic.InstanceID, nic.SubnetID = at.Region, i.InstanceId, i.SubnetId
			ec2InstanceInterfaces.Put(at, nic)
		}
		for _, a := range n.Ipv6Addresses {
			if aws.ToString(a.Ipv6Address) != "" {
				address := ec2IPv6Addresses.From(a)
				address.InterfaceID, address.Region = n.NetworkInterfaceId, at.Region
				ec2IPv6Addresses.Put(at, address)
			}
		}
	}
	for _, m := range i.BlockDeviceMappings {
		if m.Ebs != nil && m.Ebs.VolumeId != nil {
			volume := ec2InstanceVolumes.From(m.Ebs)
			volume.Instances = self
			ec2InstanceVolumes.Put(at, volume)
		}
	}
}

// eksClusterName is the cluster that the instance's tags say it works for.
func eksClusterName(tags []types.Tag) *string {
	for _, t := range tags {
		key, value := aws.ToString(t.Key), aws.ToString(t.Value)
		if (key == "eks:cluster-name" || key == "alpha.eksctl.io/cluster-name") && value != "" {
			return &value
		}
		if name, ok := strings.CutPrefix(key, "kubernetes.io/cluster/"); ok && name != "" {
			return &name
		}
	}
	return nil
}

// primaryIPv6 is the address of the first interface: the one marked primary,
// else the first. Instances have no IPv6 address of their own.
func primaryIPv6(interfaces []types.InstanceNetworkInterface) *string {
	for _, n := range interfaces {
		if n.Attachment == nil || n.Attachment.DeviceIndex == nil || *n.Attachment.DeviceIndex != 0 {
			continue
		}
		for _, a := range n.Ipv6Addresses {
			if aws.ToBool(a.IsPrimaryIpv6) {
				return a.Ipv6Address
			}
		}
		if len(n.Ipv6Addresses) > 0 {
			return n.Ipv6Addresses[0].Ipv6Address
		}
		break
	}
	return nil
}
