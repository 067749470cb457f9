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
	ID         string     `snap:"id,key" from:"Arn" doc:"its ARN"`
	ARN        *string    `snap:"arn" from:"Arn"`
	ProfileID  *string    `snap:"instance_profile_id" from:"InstanceProfileId" doc:"identifies it for good, 'AIPA…'"`
	Name       *string    `snap:"instance_profile_name" from:"InstanceProfileName" doc:"its name, unique within the account"`
	Path       *string    `snap:"path" from:"Path" doc:"where it is filed, '/' or '/team/'"`
	CreateDate *time.Time `snap:"createdate" from:"CreateDate" doc:"when it was made"`
	RoleARNs   []string   `snap:"_role_arns" from:"Roles.Arn"`
}

var iamInstanceProfiles = kind.Of[iamInstanceProfile](kind.Table{
	Name: "iam_instance_profile", Label: "AWSInstanceProfile",
	Doc:   "What hands a role to the instances that have it.",
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
