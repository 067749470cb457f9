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
	ID                 string  `snap:"id,key" doc:"image and region, joined by '|'"`
	ImageID            *string `snap:"imageid,index" from:"ImageId" doc:"the image, 'ami-…'"`
	Name               *string `snap:"name,index" from:"Name" doc:"what its owner called it"`
	Description        *string `snap:"description" from:"Description" doc:"what its owner wrote about it"`
	CreationDate       *string `snap:"creationdate" from:"CreationDate" doc:"when it was made, as the API writes it"`
	Owner              *string `snap:"owner" from:"OwnerId" doc:"the account that owns it"`
	OwnerAlias         *string `snap:"image_owner_alias" from:"ImageOwnerAlias" doc:"a word for well-known owners, 'amazon' or 'aws-marketplace'"`
	Location           *string `snap:"location" from:"ImageLocation" doc:"where the manifest is, or owner and name"`
	Type               *string `snap:"type" from:"ImageType" doc:"'machine', 'kernel' or 'ramdisk'"`
	State              *string `snap:"state" from:"State" doc:"'available', 'pending', 'failed', 'deregistered', …"`
	Public             *bool   `snap:"ispublic" from:"Public" doc:"whether every AWS account may launch from it"`
	Architecture       *string `snap:"architecture" from:"Architecture" doc:"the processor that it is for, such as 'x86_64' or 'arm64'"`
	Platform           *string `snap:"platform" from:"Platform" doc:"'windows'; null for anything else"`
	PlatformDetails    *string `snap:"platform_details" from:"PlatformDetails" doc:"the operating system and what is licensed with it"`
	UsageOperation     *string `snap:"usageoperation" from:"UsageOperation" doc:"the code under which its use is billed"`
	VirtualizationType *string `snap:"virtualizationtype" from:"VirtualizationType" doc:"'hvm' or 'paravirtual'"`
	Hypervisor         *string `snap:"hypervisor" from:"Hypervisor" doc:"'xen' or 'ovm'"`
	BootMode           *string `snap:"bootmode" from:"BootMode" doc:"the firmware that it needs, 'legacy-bios', 'uefi' or 'uefi-preferred'"`
	KernelID           *string `snap:"kernel_id" from:"KernelId" doc:"the kernel, of a paravirtual image"`
	RAMDiskID          *string `snap:"ramdisk_id" from:"RamdiskId" doc:"the RAM disk, of a paravirtual image"`
	RootDeviceName     *string `snap:"rootdevicename" from:"RootDeviceName" doc:"the device that it starts from, such as '/dev/xvda'"`
	RootDeviceType     *string `snap:"rootdevicetype" from:"RootDeviceType" doc:"what that device is: 'ebs' or 'instance-store'"`
	ENASupport         *bool   `snap:"enasupport" from:"EnaSupport" doc:"whether it has the driver of the Elastic Network Adapter"`
	SRIOVNetSupport    *string `snap:"sriov_net_support" from:"SriovNetSupport" doc:"'simple' where it can use a network card's virtual functions directly"`
}

var ec2Images = kind.Of[ec2Image](kind.Table{
	Name: "ec2_image", Label: "AWSEC2Image", Aliases: []string{"EC2Image"},
	Doc: "A machine image that the account owns, or that its instances, launch templates and launch configurations use.",
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
