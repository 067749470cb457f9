package aws

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// iamInstanceProfile hands a role to the instances that have it.
type iamInstanceProfile struct {
	ID         string     `snap:"id,key" from:"Arn"`
	ARN        *string    `snap:"arn" from:"Arn"`
	ProfileID  *string    `snap:"instance_profile_id" from:"InstanceProfileId"`
	Name       *string    `snap:"instance_profile_name" from:"InstanceProfileName"`
	Path       *string    `snap:"path" from:"Path"`
	CreateDate *time.Time `snap:"createdate" from:"CreateDate"`
	RoleARNs   []string   `snap:"_role_arns" from:"Roles.Arn"`
}

var iamInstanceProfiles = kind.Of[iamInstanceProfile](kind.Table{
	Name: "iam_instance_profile", Label: "AWSInstanceProfile",
	Links: []kind.Link{{Type: "ASSOCIATED_WITH", To: "AWSRole", On: kind.On{"arn": "_role_arns"}}},
})

var _ = api.Declare(api.Sync{
	Name:   "iaminstanceprofiles",
	Global: true,
	Calls:  []string{"iam:ListInstanceProfiles"},
	Tables: []*kind.Table{iamInstanceProfiles.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		pages := iam.NewListInstanceProfilesPaginator(iam.NewFromConfig(at.Config), &iam.ListInstanceProfilesInput{MaxItems: aws.Int32(iamMaxItems)})
		profiles, err := api.All(ctx, pages, func(p *iam.ListInstanceProfilesOutput) []types.InstanceProfile { return p.InstanceProfiles })
		for _, p := range profiles {
			iamInstanceProfiles.Put(at, iamInstanceProfiles.From(p))
		}
		return err
	},
})
