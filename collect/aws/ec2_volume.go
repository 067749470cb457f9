package aws

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// ec2Volume is a disk of the Elastic Block Store.
type ec2Volume struct {
	ID                 string     `snap:"id,key" from:"VolumeId" doc:"the volume, 'vol-…'"`
	VolumeID           *string    `snap:"volumeid,index" from:"VolumeId" doc:"the volume, 'vol-…'"`
	ARN                string     `snap:"arn,index"`
	Region             string     `snap:"region"`
	AvailabilityZone   *string    `snap:"availabilityzone" from:"AvailabilityZone" doc:"its zone"`
	CreateTime         *time.Time `snap:"createtime" from:"CreateTime" doc:"when it was made"`
	Encrypted          *bool      `snap:"encrypted" from:"Encrypted" doc:"whether it is encrypted"`
	Size               *int64     `snap:"size" from:"Size" doc:"its size in GiB"`
	State              *string    `snap:"state" from:"State" doc:"'creating', 'available', 'in-use', 'deleting', 'deleted' or 'error'"`
	OutpostARN         *string    `snap:"outpostarn" from:"OutpostArn" doc:"the Outpost that it is on"`
	SnapshotID         *string    `snap:"snapshotid" from:"SnapshotId" doc:"the snapshot that it was made from; empty where it was made blank"`
	IOPS               *int64     `snap:"iops" from:"Iops" doc:"how many operations a second it is made for"`
	FastRestored       *bool      `snap:"fastrestored" from:"FastRestored" doc:"whether it was made by fast snapshot restore, with no first reads to wait for"`
	MultiAttachEnabled *bool      `snap:"multiattachenabled" from:"MultiAttachEnabled" doc:"whether several instances may have it at once"`
	Type               *string    `snap:"type" from:"VolumeType" doc:"its kind of disk: 'gp3', 'io2', 'st1', …"`
	KMSKeyID           *string    `snap:"kmskeyid" from:"KmsKeyId" doc:"the ARN of the KMS key that it is encrypted with"`
	Instances          []string   `snap:"_instance_ids"`
}

var volumeOntology = kind.Ontology{
	"name": kind.Same("id"), "size_gb": kind.Same("size"), "encrypted": kind.Same("encrypted"), "region": kind.Same("region"),
	"state": kind.Mapped("state", map[string]string{
		"creating": "creating", "available": "available", "in-use": "in_use",
		"deleting": "deleting", "deleted": "deleted", "error": "error",
	}),
}

var ec2Volumes = kind.Of[ec2Volume](kind.Table{
	Name: "ec2_volume", Label: "AWSEBSVolume", Aliases: []string{"EBSVolume", "BlockStorage"},
	Doc:      "A disk of the Elastic Block Store.",
	Ontology: volumeOntology,
	Links: []kind.Link{
		{Type: "ATTACHED_TO", To: "AWSEC2Instance", On: kind.On{"id": "_instance_ids"}},
		{Type: "CREATED_FROM", From: "AWSEBSSnapshot", On: kind.On{"id": "snapshotid"}},
	},
})

var ec2VolumeListing = api.Share(func(ctx context.Context, cfg aws.Config) ([]types.Volume, error) {
	pages := ec2.NewDescribeVolumesPaginator(ec2.NewFromConfig(cfg), nil)
	return api.All(ctx, pages, func(p *ec2.DescribeVolumesOutput) []types.Volume { return p.Volumes })
}, "ec2:volumes", "ec2:snapshots")

var _ = api.Declare(api.Sync{
	Name:   "ec2:volumes",
	Calls:  []string{"ec2:DescribeVolumes"},
	Tables: []*kind.Table{ec2Volumes.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		volumes, err := ec2VolumeListing.Read(ctx, at)
		for _, v := range volumes {
			row := ec2Volumes.From(v)
			row.Region = at.Region
			row.ARN = at.ARN("ec2", "volume/"+row.ID)
			for _, a := range v.Attachments {
				if a.State == types.VolumeAttachmentStateAttached && a.InstanceId != nil {
					row.Instances = append(row.Instances, *a.InstanceId)
				}
			}
			ec2Volumes.Put(at, row)
		}
		return err
	},
})
