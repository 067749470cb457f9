package aws

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// ec2Snapshot is a copy of a volume at one time: the account's own, or another
// account's from which one of its volumes was made.
type ec2Snapshot struct {
	ID                  string     `snap:"id,key" from:"SnapshotId" doc:"the snapshot, 'snap-…'"`
	SnapshotID          *string    `snap:"snapshotid,index" from:"SnapshotId" doc:"the snapshot, 'snap-…'"`
	Region              string     `snap:"region"`
	Description         *string    `snap:"description" from:"Description" doc:"what was written about it"`
	OwnerID             *string    `snap:"ownerid" from:"OwnerId" doc:"the account that owns it"`
	Public              *bool      `snap:"ispublic" doc:"whether every AWS account may make volumes of it; null of another account's, which only its owner may ask"`
	Encrypted           *bool      `snap:"encrypted" from:"Encrypted" doc:"whether it is encrypted"`
	Progress            *string    `snap:"progress,volatile" from:"Progress" doc:"how much of it is copied, '100%' at the end"`
	StartTime           *time.Time `snap:"starttime" from:"StartTime" doc:"when the copying began"`
	State               *string    `snap:"state" from:"State" doc:"'pending', 'completed', 'error', 'recoverable' or 'recovering'"`
	StateMessage        *string    `snap:"statemessage" from:"StateMessage" doc:"what went wrong, of a copy between regions or accounts"`
	VolumeID            *string    `snap:"volumeid" from:"VolumeId" doc:"the volume that it is a copy of; of a copied snapshot it means nothing"`
	VolumeSize          *int64     `snap:"volumesize" from:"VolumeSize" doc:"the volume's size in GiB"`
	OutpostARN          *string    `snap:"outpostarn" from:"OutpostArn" doc:"the Outpost that it is kept on"`
	DataEncryptionKeyID *string    `snap:"dataencryptionkeyid" from:"DataEncryptionKeyId" doc:"identifies the data key, which volumes and snapshots of one origin share"`
	KMSKeyID            *string    `snap:"kmskeyid" from:"KmsKeyId" doc:"the ARN of the KMS key that protects the data key"`
	kind.Gaps
}

var ec2Snapshots = kind.Of[ec2Snapshot](kind.Table{
	Name: "ec2_snapshot", Label: "AWSEBSSnapshot", Aliases: []string{"EBSSnapshot", "Snapshot"},
	Doc: "A copy of a volume at one time: the account's own, or another's from which one of its volumes was made.",
	Ontology: kind.Ontology{
		"name": kind.Same("id"), "encrypted": kind.Same("encrypted"), "public": kind.Same("ispublic"),
		"source_id": kind.Same("volumeid"), "created_at": kind.Same("starttime"), "region": kind.Same("region"),
	},
})

var _ = api.Declare(api.Sync{
	Name:   "ec2:snapshots",
	Calls:  []string{"ec2:DescribeSnapshots", "ec2:DescribeSnapshotAttribute", "ec2:DescribeVolumes"},
	Tables: []*kind.Table{ec2Snapshots.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		client := ec2.NewFromConfig(at.Config)
		own, err := listSnapshots(ctx, client, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}})
		if len(own) > 0 {
			putOwnSnapshots(ctx, at, client, own)
		}
		putUsedSnapshots(ctx, at, client, own)
		return err
	},
})

func listSnapshots(ctx context.Context, client *ec2.Client, in *ec2.DescribeSnapshotsInput) ([]types.Snapshot, error) {
	pages := ec2.NewDescribeSnapshotsPaginator(client, in)
	return api.All(ctx, pages, func(p *ec2.DescribeSnapshotsOutput) []types.Snapshot { return p.Snapshots })
}

// putOwnSnapshots puts the account's own snapshots. One listing tells which of
// them are public: to ask each of tens of thousands would take an hour.
func putOwnSnapshots(ctx context.Context, at *api.Cell, client *ec2.Client, snapshots []types.Snapshot) {
	restorable, unread := listSnapshots(ctx, client, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, RestorableByUserIds: []string{"all"}})
	if unread != nil {
		at.Lose(unread)
	}
	public := map[string]bool{}
	for _, s := range restorable {
		public[aws.ToString(s.SnapshotId)] = true
	}
	_, err := api.Each(ctx, snapshots, func(ctx context.Context, s types.Snapshot) (struct{}, error) {
		row := ec2Snapshots.From(s)
		row.Region = at.Region
		switch {
		case aws.ToString(s.OwnerId) != at.Account:
		case public[row.ID]: // so grave a word is worth a second look
			shared, err := snapshotIsPublic(ctx, client, s.SnapshotId)
			switch {
			case api.Gone(err):
				return struct{}{}, nil
			case err != nil:
				row.Unread(err, "ispublic")
			default:
				row.Public = &shared
			}
		case unread != nil:
			row.Columns = []string{"ispublic"} // the loss is told above
		default:
			row.Public = aws.Bool(false)
		}
		ec2Snapshots.Put(at, row)
		return struct{}{}, nil
	})
	if err != nil {
		at.Lose(err)
	}
}

// snapshotIsPublic tells whether every account may make volumes of the snapshot.
func snapshotIsPublic(ctx context.Context, client *ec2.Client, id *string) (bool, error) {
	out, err := client.DescribeSnapshotAttribute(ctx, &ec2.DescribeSnapshotAttributeInput{
		SnapshotId: id, Attribute: types.SnapshotAttributeNameCreateVolumePermission,
	})
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(out.CreateVolumePermissions, func(p types.CreateVolumePermission) bool {
		return p.Group == types.PermissionGroupAll
	}), nil
}

// putUsedSnapshots puts the snapshots of other accounts that the account's
// volumes were made from, where they are still there and shared with it.
func putUsedSnapshots(ctx context.Context, at *api.Cell, client *ec2.Client, own []types.Snapshot) {
	volumes, err := ec2VolumeListing.Read(ctx, at)
	if err != nil {
		at.Lose(err)
	}
	known := map[string]bool{"": true}
	for _, s := range own {
		known[aws.ToString(s.SnapshotId)] = true
	}
	var ids []string
	for _, v := range volumes {
		if id := aws.ToString(v.SnapshotId); !known[id] {
			known[id] = true
			ids = append(ids, id)
		}
	}
	snapshots, err := byFilter(ctx, "snapshot-id", ids, func(ctx context.Context, filter []types.Filter) ([]types.Snapshot, error) {
		return listSnapshots(ctx, client, &ec2.DescribeSnapshotsInput{Filters: filter})
	})
	if err != nil {
		at.Lose(err)
	}
	for _, s := range snapshots {
		row := ec2Snapshots.From(s)
		row.Region = at.Region
		ec2Snapshots.Put(at, row)
	}
}

// filterValues is how many values EC2 takes in a filter.
const filterValues = 200

// byFilter lists the things that the ids name, with an error those found before
// it. Unlike a request for ids, which fails as a whole for one that is gone, a
// filter finds those that are there.
func byFilter[Item any](ctx context.Context, name string, ids []string, list func(context.Context, []types.Filter) ([]Item, error)) ([]Item, error) {
	var all []Item
	for part := range slices.Chunk(ids, filterValues) {
		items, err := list(ctx, []types.Filter{{Name: &name, Values: part}})
		all = append(all, items...)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}
