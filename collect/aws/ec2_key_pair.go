package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// ec2KeyPair is the public half of a key that instances let in by SSH.
type ec2KeyPair struct {
	ID          string  `snap:"id,key" doc:"its ARN"`
	ARN         string  `snap:"arn,index" doc:"its ARN, which ends in its name"`
	Name        *string `snap:"keyname" from:"KeyName" doc:"its name, unique within account and region"`
	Fingerprint *string `snap:"keyfingerprint,index" from:"KeyFingerprint" doc:"a digest of the key: 20 bytes where AWS made an RSA key, 16 where one was uploaded"`
	Region      string  `snap:"region"`
}

var ec2KeyPairs = kind.Of[ec2KeyPair](kind.Table{
	Name: "ec2_key_pair", Label: "AWSEC2KeyPair", Aliases: []string{"EC2KeyPair", "KeyPair"},
	Doc: "The public half of a key with which one logs in to instances.",
})

var _ = api.Declare(api.Sync{
	Name:   "ec2:keypair",
	Calls:  []string{"ec2:DescribeKeyPairs"},
	Tables: []*kind.Table{ec2KeyPairs.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		out, err := ec2.NewFromConfig(at.Config).DescribeKeyPairs(ctx, nil)
		if err != nil {
			return err
		}
		for _, k := range out.KeyPairs {
			row := ec2KeyPairs.From(k)
			row.ARN = at.ARN("ec2", "key-pair/"+aws.ToString(k.KeyName))
			row.ID, row.Region = row.ARN, at.Region
			ec2KeyPairs.Put(at, row)
		}
		return nil
	},
})
