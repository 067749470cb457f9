package aws

import (
	"context"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// ec2Image is an Amazon Machine Image: the account's own, or one that it uses.
// Its id is "image|region".
type ec2Image struct {
	ID                 string  `snap:"id,key"`
	ImageID            *string `snap:"imageid,index" from:"ImageId"`
	Name               *string `snap:"name,index" from:"Name"`
	Description        *string `snap:"description" from:"Description"`
	CreationDate       *string `snap:"creationdate" from:"CreationDate"`
	Owner              *string `snap:"owner" from:"OwnerId"`
	OwnerAlias         *string `snap:"image_owner_alias" from:"ImageOwnerAlias"`
	Location           *string `snap:"location" from:"ImageLocation"`
	Type               *string `snap:"type" from:"ImageType"`
	State              *string `snap:"state" from:"State"`
	Public             *bool   `snap:"ispublic" from:"Public"`
	Architecture       *string `snap:"architecture" from:"Architecture"`
	Platform           *string `snap:"platform" from:"Platform"`
	PlatformDetails    *string `snap:"platform_details" from:"PlatformDetails"`
	UsageOperation     *string `snap:"usageoperation" from:"UsageOperation"`
	VirtualizationType *string `snap:"virtualizationtype" from:"VirtualizationType"`
	Hypervisor         *string `snap:"hypervisor" from:"Hypervisor"`
	BootMode           *string `snap:"bootmode" from:"BootMode"`
	KernelID           *string `snap:"kernel_id" from:"KernelId"`
	RAMDiskID          *string `snap:"ramdisk_id" from:"RamdiskId"`
	RootDeviceName     *string `snap:"rootdevicename" from:"RootDeviceName"`
	RootDeviceType     *string `snap:"rootdevicetype" from:"RootDeviceType"`
	ENASupport         *bool   `snap:"enasupport" from:"EnaSupport"`
	SRIOVNetSupport    *string `snap:"sriov_net_support" from:"SriovNetSupport"`
}

var ec2Images = kind.Of[ec2Image](kind.Table{
	Name: "ec2_image", Label: "AWSEC2Image", Aliases: []string{"EC2Image"},
})

var _ = api.Declare(api.Sync{
	Name: "ec2:images",
	Calls: []string{
		"ec2:DescribeImages", "ec2:DescribeInstances", "ec2:DescribeLaunchTemplates",
		"ec2:DescribeLaunchTemplateVersions", "autoscaling:DescribeLaunchConfigurations",
	},
	Tables: []*kind.Table{ec2Images.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		client := ec2.NewFromConfig(at.Config)
		own, err := listImages(ctx, client, &ec2.DescribeImagesInput{Owners: []string{"self"}})
		known := map[string]bool{}
		for _, i := range own {
			putEC2Image(at, i)
			known[aws.ToString(i.ImageId)] = true
		}
		var ids []string
		for _, id := range usedImages(ctx, at) {
			if !known[id] && strings.HasPrefix(id, "ami-") { // a template may name a parameter instead
				known[id] = true
				ids = append(ids, id)
			}
		}
		used, unread := byFilter(ctx, "image-id", ids, func(ctx context.Context, filter []types.Filter) ([]types.Image, error) {
			return listImages(ctx, client, &ec2.DescribeImagesInput{Filters: filter, IncludeDeprecated: aws.Bool(true)})
		})
		if unread != nil {
			at.Lose(unread)
		}
		for _, i := range used {
			putEC2Image(at, i)
		}
		return err
	},
})

func listImages(ctx context.Context, client *ec2.Client, in *ec2.DescribeImagesInput) ([]types.Image, error) {
	pages := ec2.NewDescribeImagesPaginator(client, in)
	return api.All(ctx, pages, func(p *ec2.DescribeImagesOutput) []types.Image { return p.Images })
}

func putEC2Image(at *api.Cell, i types.Image) {
	row := ec2Images.From(i)
	row.ID = aws.ToString(i.ImageId) + "|" + at.Region
	ec2Images.Put(at, row)
}

// usedImages are what instances were launched from, and what launch templates
// and launch configurations would launch from.
func usedImages(ctx context.Context, at *api.Cell) []string {
	var ids []string
	reservations, err := ec2ReservationListing.Read(ctx, at)
	if err != nil {
		at.Lose(err)
	}
	for _, r := range reservations {
		for _, i := range r.Instances {
			ids = append(ids, aws.ToString(i.ImageId))
		}
	}
	templates, err := launchTemplateListing.Read(ctx, at)
	for _, err := range append(templates.lost, err) {
		if err != nil {
			at.Lose(err)
		}
	}
	for _, t := range templates.templates {
		for _, v := range t.versions {
			if v.LaunchTemplateData != nil {
				ids = append(ids, aws.ToString(v.LaunchTemplateData.ImageId))
			}
		}
	}
	configurations, err := launchConfigurationListing.Read(ctx, at)
	if err != nil {
		at.Lose(err)
	}
	for _, c := range configurations {
		ids = append(ids, aws.ToString(c.ImageId))
	}
	return ids
}
