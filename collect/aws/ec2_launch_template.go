package aws

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// launchTemplate says how instances are launched; what it says is in its
// versions.
type launchTemplate struct {
	ID                   string  `snap:"id,key" from:"LaunchTemplateId" doc:"the template, 'lt-…'"`
	LaunchTemplateID     *string `snap:"launch_template_id" from:"LaunchTemplateId" doc:"the template, 'lt-…'"`
	Name                 *string `snap:"name" from:"LaunchTemplateName" doc:"its name, unique within account and region"`
	Region               string  `snap:"region"`
	CreateTime           *string `snap:"create_time" doc:"when it was made, in seconds since 1970, as text"`
	CreatedBy            *string `snap:"created_by" from:"CreatedBy" doc:"the ARN of who made it"`
	DefaultVersionNumber *int64  `snap:"default_version_number" from:"DefaultVersionNumber" doc:"the version that is used where none is named"`
	LatestVersionNumber  *int64  `snap:"latest_version_number" from:"LatestVersionNumber" doc:"the newest version"`
}

var launchTemplates = kind.Of[launchTemplate](kind.Table{
	Name: "ec2_launch_template", Label: "AWSLaunchTemplate", Aliases: []string{"LaunchTemplate"},
	Doc: "A launch template: what it says is in its versions.",
})

// launchTemplateVersion is one version of a launch template: its id is
// "template-number". Cartography declares the instance profile, monitoring, the
// shutdown behavior and the RAM disk too, but looks for them under names that
// the API does not use, so that they are never there.
type launchTemplateVersion struct {
	ID                    string   `snap:"id,key" doc:"template and version number, joined by '-'"`
	Name                  *string  `snap:"name" from:"LaunchTemplateName" doc:"the template's name"`
	Region                string   `snap:"region"`
	VersionNumber         *int64   `snap:"version_number" from:"VersionNumber" doc:"counts from 1 and is never used again"`
	VersionDescription    *string  `snap:"version_description" from:"VersionDescription" doc:"what was written about this version"`
	DefaultVersion        *bool    `snap:"default_version" from:"DefaultVersion" doc:"whether this is the version used where none is named"`
	CreateTime            *string  `snap:"create_time" doc:"when it was made, in seconds since 1970, as text"`
	CreatedBy             *string  `snap:"created_by" from:"CreatedBy" doc:"the ARN of who made it"`
	ImageID               *string  `snap:"image_id" from:"LaunchTemplateData.ImageId" doc:"the machine image, or a parameter that names it"`
	InstanceType          *string  `snap:"instance_type" from:"LaunchTemplateData.InstanceType" doc:"the size of the instances, such as 't3.micro'"`
	KeyName               *string  `snap:"key_name" from:"LaunchTemplateData.KeyName" doc:"the key pair that instances accept"`
	KernelID              *string  `snap:"kernel_id" from:"LaunchTemplateData.KernelId" doc:"the kernel, for paravirtual images"`
	EBSOptimized          *bool    `snap:"ebs_optimized" from:"LaunchTemplateData.EbsOptimized" doc:"whether instances have bandwidth of their own to their volumes"`
	DisableAPITermination *bool    `snap:"disable_api_termination" from:"LaunchTemplateData.DisableApiTermination" doc:"whether instances refuse to be terminated until that is lifted"`
	SecurityGroupIDs      []string `snap:"security_group_ids" from:"LaunchTemplateData.SecurityGroupIds" doc:"the security groups of the instances, by id"`
	SecurityGroups        []string `snap:"security_groups" from:"LaunchTemplateData.SecurityGroups" doc:"the security groups of the instances, by name"`
	LaunchTemplateID      *string  `snap:"_launch_template_id" from:"LaunchTemplateId"`
}

var launchTemplateVersions = kind.Of[launchTemplateVersion](kind.Table{
	Name: "ec2_launch_template_version", Label: "AWSLaunchTemplateVersion", Aliases: []string{"LaunchTemplateVersion"},
	Doc:   "One version of a launch template: how instances are launched.",
	Links: []kind.Link{{Type: "VERSION", From: "AWSLaunchTemplate", On: kind.On{"id": "_launch_template_id"}}},
})

// listedTemplates are an account's launch templates in a region, and why some
// of their versions could not be read.
type listedTemplates struct {
	templates []listedTemplate
	lost      []error
}

type listedTemplate struct {
	types.LaunchTemplate
	versions []types.LaunchTemplateVersion
	gone     bool // deleted since it was listed
}

var launchTemplateListing = api.Share(listLaunchTemplates, "ec2:launch_templates", "ec2:images")

// templatePage is how many launch templates or versions EC2 lists at once.
const templatePage = 200

// listLaunchTemplates reads every version of every launch template. One listing
// has the latest and the default version of all of them: only a template that
// has more must be asked by itself.
func listLaunchTemplates(ctx context.Context, cfg aws.Config) (listedTemplates, error) {
	client := ec2.NewFromConfig(cfg)
	pages := ec2.NewDescribeLaunchTemplatesPaginator(client, &ec2.DescribeLaunchTemplatesInput{MaxResults: aws.Int32(templatePage)})
	templates, err := api.All(ctx, pages, func(p *ec2.DescribeLaunchTemplatesOutput) []types.LaunchTemplate { return p.LaunchTemplates })
	if len(templates) == 0 {
		return listedTemplates{}, err
	}
	var l listedTemplates
	current, lost := listTemplateVersions(ctx, client, &ec2.DescribeLaunchTemplateVersionsInput{Versions: []string{"$Latest", "$Default"}})
	if lost != nil {
		l.lost = append(l.lost, lost)
	}
	byTemplate := map[string][]types.LaunchTemplateVersion{}
	for _, v := range current {
		id := aws.ToString(v.LaunchTemplateId)
		if !slices.ContainsFunc(byTemplate[id], func(o types.LaunchTemplateVersion) bool {
			return aws.ToInt64(o.VersionNumber) == aws.ToInt64(v.VersionNumber)
		}) {
			byTemplate[id] = append(byTemplate[id], v)
		}
	}
	type result struct {
		listedTemplate
		err error
	}
	results, stopped := api.Each(ctx, templates, func(ctx context.Context, t types.LaunchTemplate) (result, error) {
		r := result{listedTemplate: listedTemplate{LaunchTemplate: t, versions: byTemplate[aws.ToString(t.LaunchTemplateId)]}}
		if latest := aws.ToInt64(t.LatestVersionNumber); latest > 0 && int64(len(r.versions)) == latest {
			return r, nil // numbers begin with 1 and are never used again
		}
		all, err := listTemplateVersions(ctx, client, &ec2.DescribeLaunchTemplateVersionsInput{LaunchTemplateId: t.LaunchTemplateId})
		switch {
		case api.Gone(err):
			r.gone = true
		case err != nil:
			r.err = err
			if len(all) > len(r.versions) {
				r.versions = all
			}
		default:
			r.versions = all
		}
		return r, nil
	})
	if stopped != nil {
		l.lost = append(l.lost, stopped)
	}
	for _, r := range results {
		if r.err != nil {
			l.lost = append(l.lost, r.err)
		}
		if !r.gone {
			l.templates = append(l.templates, r.listedTemplate)
		}
	}
	return l, err
}

func listTemplateVersions(ctx context.Context, client *ec2.Client, in *ec2.DescribeLaunchTemplateVersionsInput) ([]types.LaunchTemplateVersion, error) {
	in.MaxResults = aws.Int32(templatePage)
	pages := ec2.NewDescribeLaunchTemplateVersionsPaginator(client, in)
	return api.All(ctx, pages, func(p *ec2.DescribeLaunchTemplateVersionsOutput) []types.LaunchTemplateVersion {
		return p.LaunchTemplateVersions
	})
}

var _ = api.Declare(api.Sync{
	Name:   "ec2:launch_templates",
	Calls:  []string{"ec2:DescribeLaunchTemplates", "ec2:DescribeLaunchTemplateVersions"},
	Tables: []*kind.Table{launchTemplates.Table, launchTemplateVersions.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		listed, err := launchTemplateListing.Read(ctx, at)
		for _, lost := range listed.lost {
			at.Lose(lost)
		}
		for _, t := range listed.templates {
			row := launchTemplates.From(t.LaunchTemplate)
			row.Region, row.CreateTime = at.Region, unixText(t.CreateTime)
			launchTemplates.Put(at, row)
			for _, v := range t.versions {
				version := launchTemplateVersions.From(v)
				version.ID = row.ID + "-" + strconv.FormatInt(aws.ToInt64(v.VersionNumber), 10)
				version.Region, version.CreateTime = at.Region, unixText(v.CreateTime)
				launchTemplateVersions.Put(at, version)
			}
		}
		return err
	},
})

// unixText is a time's Unix second as text.
func unixText(t *time.Time) *string {
	if t == nil {
		return nil
	}
	return aws.String(strconv.FormatInt(t.Unix(), 10))
}
