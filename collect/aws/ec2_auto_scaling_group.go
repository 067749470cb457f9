package aws

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling"
	"github.com/aws/aws-sdk-go-v2/service/autoscaling/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// autoScalingGroup keeps a number of instances running.
type autoScalingGroup struct {
	ID                      string  `snap:"id,key" from:"AutoScalingGroupARN" doc:"its ARN"`
	ARN                     *string `snap:"arn" from:"AutoScalingGroupARN"`
	Name                    *string `snap:"name" from:"AutoScalingGroupName" doc:"its name, unique within account and region"`
	Region                  string  `snap:"region"`
	CreatedTime             *string `snap:"createdtime" from:"CreatedTime" as:"text" doc:"when it was made, as text"`
	Status                  *string `snap:"status" from:"Status" doc:"set only while it is being deleted"`
	MinSize                 *int64  `snap:"minsize" from:"MinSize" doc:"the fewest instances that it keeps"`
	MaxSize                 *int64  `snap:"maxsize" from:"MaxSize" doc:"the most instances that it may have"`
	DesiredCapacity         *int64  `snap:"desiredcapacity" from:"DesiredCapacity" doc:"how many instances it tries to have now"`
	DefaultCooldown         *int64  `snap:"defaultcooldown" from:"DefaultCooldown" doc:"seconds that it waits after scaling before it scales again"`
	HealthCheckType         *string `snap:"healthchecktype" from:"HealthCheckType" doc:"whose word on an instance's health counts, EC2's alone or a load balancer's too: 'EC2', 'ELB'"`
	HealthCheckGracePeriod  *int64  `snap:"healthcheckgraceperiod" from:"HealthCheckGracePeriod" doc:"seconds for which a new instance's health does not count"`
	MaxInstanceLifetime     *int64  `snap:"maxinstancelifetime" from:"MaxInstanceLifetime" doc:"seconds after which an instance is replaced; null: never"`
	ProtectedFromScaleIn    *bool   `snap:"newinstancesprotectedfromscalein" from:"NewInstancesProtectedFromScaleIn" doc:"whether instances it launches are safe from being ended when it shrinks"`
	CapacityRebalance       *bool   `snap:"capacityrebalance" from:"CapacityRebalance" doc:"whether it replaces a Spot instance that is about to be taken back"`
	LaunchConfigurationName *string `snap:"launchconfigurationname" from:"LaunchConfigurationName" doc:"the launch configuration that it launches from; else a template"`
	LaunchTemplateID        *string `snap:"launchtemplateid" from:"LaunchTemplate.LaunchTemplateId" doc:"the launch template that it launches from; else a configuration"`
	LaunchTemplateName      *string `snap:"launchtemplatename" from:"LaunchTemplate.LaunchTemplateName" doc:"that template's name"`
	LaunchTemplateVersion   *string `snap:"launchtemplateversion" from:"LaunchTemplate.Version" doc:"the template's version that it uses, a number or '$Latest' or '$Default'"`
}

var autoScalingGroups = kind.Of[autoScalingGroup](kind.Table{
	Name: "autoscaling_group", Label: "AWSAutoScalingGroup", Aliases: []string{"AutoScalingGroup"},
	Doc: "A group that keeps a number of instances running.",
	Links: []kind.Link{
		{Type: "HAS_LAUNCH_TEMPLATE", To: "AWSLaunchTemplate", On: kind.On{"id": "launchtemplateid"}},
		{Type: "HAS_LAUNCH_CONFIG", To: "AWSLaunchConfiguration", On: kind.On{"name": "launchconfigurationname"}},
	},
})

// groupInstance and groupSubnet are what a group says of its instances, and of
// the subnets that it launches them in.
type groupInstance struct {
	ID         string `snap:"id,key"`
	InstanceID string `snap:"instanceid,index"`
	Region     string `snap:"region"`
	GroupARN   string `snap:"_group_arn"`
}

var groupInstances = kind.Of[groupInstance](kind.Table{
	Name: "autoscaling_instance", Label: "AWSEC2Instance", Aliases: []string{"EC2Instance", "ComputeInstance"}, Stub: true,
	Doc:      "What an Auto Scaling group says of one of its instances.",
	Ontology: instanceOntology,
	Links:    []kind.Link{{Type: "MEMBER_AUTO_SCALE_GROUP", To: "AWSAutoScalingGroup", On: kind.On{"id": "_group_arn"}}},
})

type groupSubnet struct {
	ID        string   `snap:"id,key"`
	SubnetID  string   `snap:"subnetid,index"`
	GroupARNs []string `snap:"_group_arns"`
}

var groupSubnets = kind.Of[groupSubnet](kind.Table{
	Name: "autoscaling_subnet", Label: "AWSEC2Subnet", Aliases: []string{"EC2Subnet", "Subnet"}, Stub: true,
	Doc:      "What an Auto Scaling group says of a subnet that it launches instances in.",
	Ontology: subnetOntology,
	Links:    []kind.Link{{Type: "VPC_IDENTIFIER", From: "AWSAutoScalingGroup", On: kind.On{"id": "_group_arns"}}},
})

// launchConfiguration says how a group's instances are launched, the way that
// was before launch templates. Cartography declares
// instance_monitoring_enabled too but drops it on the way.
type launchConfiguration struct {
	ID                       string   `snap:"id,key" from:"LaunchConfigurationARN" doc:"its ARN"`
	ARN                      *string  `snap:"arn" from:"LaunchConfigurationARN"`
	Name                     *string  `snap:"name,index" from:"LaunchConfigurationName" doc:"its name, unique within account and region"`
	Region                   string   `snap:"region"`
	ImageID                  *string  `snap:"image_id" from:"ImageId" doc:"the machine image that instances start from"`
	InstanceType             *string  `snap:"instance_type" from:"InstanceType" doc:"the size of the instances, such as 't3.micro'"`
	KeyName                  *string  `snap:"key_name" from:"KeyName" doc:"the key pair that instances accept"`
	KernelID                 *string  `snap:"kernel_id" from:"KernelId" doc:"the kernel, for paravirtual images"`
	RAMDiskID                *string  `snap:"ramdisk_id" from:"RamdiskId" doc:"the RAM disk, for paravirtual images"`
	SecurityGroups           []string `snap:"security_groups" from:"SecurityGroups" doc:"the security groups of the instances, by id or, before VPCs, by name"`
	IAMInstanceProfile       *string  `snap:"iam_instance_profile" from:"IamInstanceProfile" doc:"the instance profile of the instances, as a name or an ARN"`
	AssociatePublicIPAddress *bool    `snap:"associate_public_ip_address" from:"AssociatePublicIpAddress" doc:"whether instances get a public address; null: as the subnet says"`
	EBSOptimized             *bool    `snap:"ebs_optimized" from:"EbsOptimized" doc:"whether instances have bandwidth of their own to their volumes"`
	PlacementTenancy         *string  `snap:"placement_tenancy" from:"PlacementTenancy" doc:"'default', or 'dedicated' for hardware that no other customer uses"`
	SpotPrice                *string  `snap:"spot_price" from:"SpotPrice" doc:"the most that an hour of a Spot instance may cost; null: not Spot"`
}

var launchConfigurations = kind.Of[launchConfiguration](kind.Table{
	Name: "autoscaling_launch_configuration", Label: "AWSLaunchConfiguration", Aliases: []string{"LaunchConfiguration"},
	Doc: "How an Auto Scaling group's instances are launched, the way before launch templates.",
})

var launchConfigurationListing = api.Share(func(ctx context.Context, cfg aws.Config) ([]types.LaunchConfiguration, error) {
	pages := autoscaling.NewDescribeLaunchConfigurationsPaginator(autoscaling.NewFromConfig(cfg), nil)
	return api.All(ctx, pages, func(p *autoscaling.DescribeLaunchConfigurationsOutput) []types.LaunchConfiguration {
		return p.LaunchConfigurations
	})
}, "ec2:autoscalinggroup", "ec2:images")

var _ = api.Declare(api.Sync{
	Name:   "ec2:autoscalinggroup",
	Calls:  []string{"autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeLaunchConfigurations"},
	Needs:  []string{"ec2:launch_templates", "ec2:instance"},
	Tables: []*kind.Table{autoScalingGroups.Table, groupInstances.Table, groupSubnets.Table, launchConfigurations.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		return api.Parts(ctx, at, collectAutoScalingGroups, collectLaunchConfigurations)
	},
})

func collectAutoScalingGroups(ctx context.Context, at *api.Cell) error {
	pages := autoscaling.NewDescribeAutoScalingGroupsPaginator(autoscaling.NewFromConfig(at.Config), nil)
	groups, err := api.All(ctx, pages, func(p *autoscaling.DescribeAutoScalingGroupsOutput) []types.AutoScalingGroup {
		return p.AutoScalingGroups
	})
	for _, g := range groups {
		row := autoScalingGroups.From(g)
		row.Region = at.Region
		autoScalingGroups.Put(at, row)
		for _, i := range g.Instances {
			if id := aws.ToString(i.InstanceId); id != "" {
				groupInstances.Put(at, groupInstance{ID: id, InstanceID: id, Region: at.Region, GroupARN: row.ID})
			}
		}
		for _, id := range splitList(aws.ToString(g.VPCZoneIdentifier)) {
			groupSubnets.Put(at, groupSubnet{ID: id, SubnetID: id, GroupARNs: []string{row.ID}})
		}
	}
	return err
}

func collectLaunchConfigurations(ctx context.Context, at *api.Cell) error {
	configurations, err := launchConfigurationListing.Read(ctx, at)
	for _, c := range configurations {
		row := launchConfigurations.From(c)
		row.Region = at.Region
		launchConfigurations.Put(at, row)
	}
	return err
}

// splitList are the elements of a list that the API writes as "a,b".
func splitList(text string) []string {
	var list []string
	for _, e := range strings.Split(text, ",") {
		if e = strings.TrimSpace(e); e != "" {
			list = append(list, e)
		}
	}
	return list
}
