package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3control"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// s3AccountBlock is what S3 refuses to make public in a whole account, as one
// region answers: its id is "account:region".
type s3AccountBlock struct {
	ID                    string `snap:"id,key" doc:"account and region, joined by ':'"`
	AccountID             string `snap:"account_id" doc:"the account"`
	Region                string `snap:"region"`
	BlockPublicACLs       *bool  `snap:"block_public_acls" from:"BlockPublicAcls" doc:"whether it refuses access control lists that make something public"`
	IgnorePublicACLs      *bool  `snap:"ignore_public_acls" from:"IgnorePublicAcls" doc:"whether it passes over what such lists grant"`
	BlockPublicPolicy     *bool  `snap:"block_public_policy" from:"BlockPublicPolicy" doc:"whether it refuses bucket policies that make something public"`
	RestrictPublicBuckets *bool  `snap:"restrict_public_buckets" from:"RestrictPublicBuckets" doc:"whether a public policy counts for the bucket's own account and AWS services only"`
}

var s3AccountBlocks = kind.Of[s3AccountBlock](kind.Table{
	Name: "s3_account_public_access_block", Label: "AWSS3AccountPublicAccessBlock", Aliases: []string{"S3AccountPublicAccessBlock"},
	Doc: "What S3 refuses to make public in the whole account, as one region answers.",
})

var _ = api.Declare(api.Sync{
	Name:   "s3accountpublicaccessblock",
	Synced: "AWSS3AccountPublicAccessBlock",
	Calls:  []string{"s3control:GetPublicAccessBlock as s3:GetAccountPublicAccessBlock"},
	Tables: []*kind.Table{s3AccountBlocks.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		client := s3control.NewFromConfig(at.Config)
		out, err := client.GetPublicAccessBlock(ctx, &s3control.GetPublicAccessBlockInput{AccountId: aws.String(at.Account)})
		if api.Is(err, "NoSuchPublicAccessBlockConfiguration") || err == nil && out.PublicAccessBlockConfiguration == nil {
			return nil // the account has none
		}
		if err != nil {
			return err
		}
		row := s3AccountBlocks.From(out.PublicAccessBlockConfiguration)
		row.ID, row.AccountID, row.Region = at.Account+":"+at.Region, at.Account, at.Region
		s3AccountBlocks.Put(at, row)
		return nil
	},
})
