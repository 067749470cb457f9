package aws

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// rdsCluster is a group of database instances over one storage: Aurora, and
// the Neptune and DocumentDB clusters, which the same listing returns.
type rdsCluster struct {
	ID                             string   `snap:"id,key" from:"DBClusterArn"`
	ARN                            *string  `snap:"arn,index" from:"DBClusterArn"`
	Region                         string   `snap:"region"`
	Identifier                     *string  `snap:"db_cluster_identifier,index" from:"DBClusterIdentifier"`
	ResourceID                     *string  `snap:"db_cluster_resource_id" from:"DbClusterResourceId"`
	Status                         *string  `snap:"status" from:"Status"`
	Engine                         *string  `snap:"engine" from:"Engine"`
	EngineVersion                  *string  `snap:"engine_version" from:"EngineVersion"`
	EngineMode                     *string  `snap:"engine_mode" from:"EngineMode"`
	DatabaseName                   *string  `snap:"database_name" from:"DatabaseName"`
	MasterUsername                 *string  `snap:"master_username" from:"MasterUsername"`
	ParameterGroup                 *string  `snap:"db_parameter_group" from:"DBClusterParameterGroup"`
	CharacterSetName               *string  `snap:"character_set_name" from:"CharacterSetName"`
	Endpoint                       *string  `snap:"endpoint" from:"Endpoint"`
	ReaderEndpoint                 *string  `snap:"reader_endpoint" from:"ReaderEndpoint"`
	Port                           *int64   `snap:"port" from:"Port"`
	HostedZoneID                   *string  `snap:"hosted_zone_id" from:"HostedZoneId"`
	AvailabilityZones              []string `snap:"availability_zones" from:"AvailabilityZones"`
	MultiAZ                        *bool    `snap:"multi_az" from:"MultiAZ"`
	AllocatedStorage               *int64   `snap:"allocated_storage" from:"AllocatedStorage"` // GiB; 1 for Aurora, whose storage grows on its own
	StorageEncrypted               *bool    `snap:"storage_encrypted" from:"StorageEncrypted"`
	KMSKeyID                       *string  `snap:"kms_key_id" from:"KmsKeyId"`
	DeletionProtection             *bool    `snap:"deletion_protection" from:"DeletionProtection"`
	CloneGroupID                   *string  `snap:"clone_group_id" from:"CloneGroupId"`
	Capacity                       *int64   `snap:"capacity,volatile" from:"Capacity"`
	MinCapacity                    *int64   `snap:"scaling_configuration_info_min_capacity" from:"ScalingConfigurationInfo.MinCapacity"`
	MaxCapacity                    *int64   `snap:"scaling_configuration_info_max_capacity" from:"ScalingConfigurationInfo.MaxCapacity"`
	AutoPause                      *bool    `snap:"scaling_configuration_info_auto_pause" from:"ScalingConfigurationInfo.AutoPause"`
	ClusterCreateTime              *string  `snap:"cluster_create_time" from:"ClusterCreateTime" as:"text"`
	BackupRetentionPeriod          *int64   `snap:"backup_retention_period" from:"BackupRetentionPeriod"` // days
	PreferredBackupWindow          *string  `snap:"preferred_backup_window" from:"PreferredBackupWindow"`
	PreferredMaintenanceWindow     *string  `snap:"preferred_maintenance_window" from:"PreferredMaintenanceWindow"`
	EarliestRestorableTime         *string  `snap:"earliest_restorable_time,volatile" from:"EarliestRestorableTime" as:"text"`
	LatestRestorableTime           *string  `snap:"latest_restorable_time,volatile" from:"LatestRestorableTime" as:"text"`
	EarliestBacktrackTime          *string  `snap:"earliest_backtrack_time,volatile" from:"EarliestBacktrackTime" as:"text"`
	BacktrackWindow                *int64   `snap:"backtrack_window" from:"BacktrackWindow"` // seconds
	BacktrackConsumedChangeRecords *int64   `snap:"backtrack_consumed_change_records,volatile" from:"BacktrackConsumedChangeRecords"`
}

var rdsClusters = kind.Of[rdsCluster](kind.Table{
	Name: "rds_cluster", Label: "AWSRDSCluster", Aliases: []string{"RDSCluster"},
})

// rdsInstance is a database server.
type rdsInstance struct {
	ID                          string   `snap:"id,key" from:"DBInstanceArn"`
	ARN                         *string  `snap:"arn,index" from:"DBInstanceArn"`
	Region                      string   `snap:"region"`
	Identifier                  *string  `snap:"db_instance_identifier,index" from:"DBInstanceIdentifier"`
	ResourceID                  *string  `snap:"dbi_resource_id" from:"DbiResourceId"`
	ClusterIdentifier           *string  `snap:"db_cluster_identifier" from:"DBClusterIdentifier"`
	InstanceClass               *string  `snap:"db_instance_class" from:"DBInstanceClass"`
	Engine                      *string  `snap:"engine" from:"Engine"`
	EngineVersion               *string  `snap:"engine_version" from:"EngineVersion"`
	AutoMinorVersionUpgrade     *bool    `snap:"auto_minor_version_upgrade" from:"AutoMinorVersionUpgrade"`
	DBName                      *string  `snap:"db_name" from:"DBName"`
	MasterUsername              *string  `snap:"master_username" from:"MasterUsername"`
	IAMAuthentication           *bool    `snap:"iam_database_authentication_enabled" from:"IAMDatabaseAuthenticationEnabled"`
	EndpointAddress             *string  `snap:"endpoint_address" from:"Endpoint.Address"`
	EndpointHostedZoneID        *string  `snap:"endpoint_hostedzoneid" from:"Endpoint.HostedZoneId"`
	EndpointPort                *int64   `snap:"endpoint_port" from:"Endpoint.Port"`
	PubliclyAccessible          *bool    `snap:"publicly_accessible" from:"PubliclyAccessible"`
	CACertificateIdentifier     *string  `snap:"ca_certificate_identifier" from:"CACertificateIdentifier"`
	AvailabilityZone            *string  `snap:"availability_zone" from:"AvailabilityZone"`
	MultiAZ                     *bool    `snap:"multi_az" from:"MultiAZ"`
	StorageEncrypted            *bool    `snap:"storage_encrypted" from:"StorageEncrypted"`
	KMSKeyID                    *string  `snap:"kms_key_id" from:"KmsKeyId"`
	DeletionProtection          *bool    `snap:"deletion_protection" from:"DeletionProtection"`
	InstanceCreateTime          *string  `snap:"instance_create_time" from:"InstanceCreateTime" as:"text"`
	LatestRestorableTime        *string  `snap:"latest_restorable_time,volatile" from:"LatestRestorableTime" as:"text"`
	BackupRetentionPeriod       *int64   `snap:"backup_retention_period" from:"BackupRetentionPeriod"` // days
	PreferredBackupWindow       *string  `snap:"preferred_backup_window" from:"PreferredBackupWindow"`
	PreferredMaintenanceWindow  *string  `snap:"preferred_maintenance_window" from:"PreferredMaintenanceWindow"`
	MonitoringRoleARN           *string  `snap:"monitoring_role_arn" from:"MonitoringRoleArn"`
	EnhancedMonitoringARN       *string  `snap:"enhanced_monitoring_resource_arn" from:"EnhancedMonitoringResourceArn"`
	PerformanceInsightsEnabled  *bool    `snap:"performance_insights_enabled" from:"PerformanceInsightsEnabled"`
	PerformanceInsightsKMSKeyID *string  `snap:"performance_insights_kms_key_id" from:"PerformanceInsightsKMSKeyId"`
	ReadReplicaSourceIdentifier *string  `snap:"_read_replica_source" from:"ReadReplicaSourceDBInstanceIdentifier"`
	SecurityGroupIDs            []string `snap:"_security_group_ids" from:"VpcSecurityGroups.VpcSecurityGroupId"`
}

// Cartography finds a replica's source, a member's cluster and the like by
// their identifiers, which are unique only within an account and region: ones
// of the same name elsewhere are linked too.
var rdsInstances = kind.Of[rdsInstance](kind.Table{
	Name: "rds_instance", Label: "AWSRDSInstance", Aliases: []string{"RDSInstance", "Database"},
	Ontology: kind.Ontology{
		"name": kind.Same("db_instance_identifier"), "type": kind.Same("engine"), "version": kind.Same("engine_version"),
		"endpoint": kind.Same("endpoint_address"), "port": kind.Same("endpoint_port"),
		"encrypted": kind.Same("storage_encrypted"), "location": kind.Same("region"),
	},
	Links: []kind.Link{
		{Type: "MEMBER_OF_EC2_SECURITY_GROUP", To: "AWSEC2SecurityGroup", On: kind.On{"id": "_security_group_ids"}},
		{Type: "IS_READ_REPLICA_OF", To: "AWSRDSInstance", On: kind.On{"db_instance_identifier": "_read_replica_source"}},
		{Type: "IS_CLUSTER_MEMBER_OF", To: "AWSRDSCluster", On: kind.On{"db_cluster_identifier": "db_cluster_identifier"}},
		{Type: "ENCRYPTED_BY", To: "AWSKMSKey", On: kind.On{"arn": "kms_key_id"}},
	},
})

// rdsSubnetGroup is the set of subnets that instances may be placed in, as
// their instances tell it: a group that no instance uses is not seen.
type rdsSubnetGroup struct {
	ID          string   `snap:"id,key"`
	Name        *string  `snap:"name" from:"DBSubnetGroupName"`
	Region      string   `snap:"region"`
	VPCID       *string  `snap:"vpc_id" from:"VpcId"`
	Description *string  `snap:"description" from:"DBSubnetGroupDescription"`
	Status      *string  `snap:"status" from:"SubnetGroupStatus"`
	SubnetIDs   []string `snap:"_subnet_ids" from:"Subnets.SubnetIdentifier"`
	Instances   []string `snap:"_instance_identifiers"`
}

var rdsSubnetGroups = kind.Of[rdsSubnetGroup](kind.Table{
	Name: "rds_subnet_group", Label: "AWSDBSubnetGroup", Aliases: []string{"DBSubnetGroup"},
	Links: []kind.Link{
		{Type: "MEMBER_OF_DB_SUBNET_GROUP", From: "AWSRDSInstance", On: kind.On{"db_instance_identifier": "_instance_identifiers"}},
		{Type: "RESOURCE", To: "AWSEC2Subnet", On: kind.On{"subnetid": "_subnet_ids"}},
	},
})

// rdsSnapshot is a copy of an instance's storage.
type rdsSnapshot struct {
	ID                         string  `snap:"id,key" from:"DBSnapshotArn"`
	ARN                        *string `snap:"arn,index" from:"DBSnapshotArn"`
	Region                     string  `snap:"region"`
	Identifier                 *string `snap:"db_snapshot_identifier,index" from:"DBSnapshotIdentifier"`
	InstanceIdentifier         *string `snap:"db_instance_identifier" from:"DBInstanceIdentifier"`
	ResourceID                 *string `snap:"dbi_resource_id" from:"DbiResourceId"`
	SnapshotType               *string `snap:"snapshot_type" from:"SnapshotType"`
	SnapshotTarget             *string `snap:"snapshot_target" from:"SnapshotTarget"`
	Status                     *string `snap:"status" from:"Status"`
	PercentProgress            *int64  `snap:"percent_progress,volatile" from:"PercentProgress"`
	Public                     *bool   `snap:"ispublic"`
	Encrypted                  *bool   `snap:"encrypted" from:"Encrypted"`
	KMSKeyID                   *string `snap:"kms_key_id" from:"KmsKeyId"`
	TDECredentialARN           *string `snap:"tde_credential_arn" from:"TdeCredentialArn"`
	Engine                     *string `snap:"engine" from:"Engine"`
	EngineVersion              *string `snap:"engine_version" from:"EngineVersion"`
	LicenseModel               *string `snap:"license_model" from:"LicenseModel"`
	OptionGroupName            *string `snap:"option_group_name" from:"OptionGroupName"`
	MasterUsername             *string `snap:"master_username" from:"MasterUsername"`
	IAMAuthentication          *bool   `snap:"iam_database_authentication_enabled" from:"IAMDatabaseAuthenticationEnabled"`
	Port                       *int64  `snap:"port" from:"Port"`
	AvailabilityZone           *string `snap:"availability_zone" from:"AvailabilityZone"`
	VPCID                      *string `snap:"vpc_id" from:"VpcId"`
	AllocatedStorage           *int64  `snap:"allocated_storage" from:"AllocatedStorage"` // GiB
	StorageType                *string `snap:"storage_type" from:"StorageType"`
	StorageThroughput          *int64  `snap:"storage_throughput" from:"StorageThroughput"`
	IOPS                       *int64  `snap:"iops" from:"Iops"`
	ProcessorFeatures          *string `snap:"processor_features"`
	Timezone                   *string `snap:"timezone" from:"Timezone"`
	InstanceCreateTime         *string `snap:"instance_create_time" from:"InstanceCreateTime" as:"text"`
	OriginalSnapshotCreateTime *string `snap:"original_snapshot_create_time" from:"OriginalSnapshotCreateTime" as:"text"`
	SnapshotDatabaseTime       *string `snap:"snapshot_database_time" from:"SnapshotDatabaseTime" as:"text"`
	SourceRegion               *string `snap:"source_region" from:"SourceRegion"`
	SourceSnapshotIdentifier   *string `snap:"source_db_snapshot_identifier" from:"SourceDBSnapshotIdentifier"`
	kind.Gaps
}

// Cartography declares snapshot_create_time too but fills it from a field that
// a snapshot does not have, so that it is never there, nor _ont_created_at.
var rdsSnapshots = kind.Of[rdsSnapshot](kind.Table{
	Name: "rds_snapshot", Label: "AWSRDSSnapshot", Aliases: []string{"RDSSnapshot", "Snapshot"},
	Ontology: kind.Ontology{
		"name": kind.Same("db_snapshot_identifier"), "encrypted": kind.Same("encrypted"), "public": kind.Same("ispublic"),
		"source_id": kind.Same("db_instance_identifier"), "region": kind.Same("region"),
	},
	Links: []kind.Link{
		{Type: "IS_SNAPSHOT_SOURCE", To: "AWSRDSInstance", On: kind.On{"db_instance_identifier": "db_instance_identifier"}},
	},
})

// rdsEventSubscription sends events of databases to a topic. Its id is its
// name, as in Cartography: subscriptions of one name are one node.
type rdsEventSubscription struct {
	ID              string   `snap:"id,key" from:"CustSubscriptionId"`
	ARN             *string  `snap:"arn,index" from:"EventSubscriptionArn"`
	Region          string   `snap:"region"`
	CustomerID      *string  `snap:"customer_aws_id" from:"CustomerAwsId"`
	SNSTopicARN     *string  `snap:"sns_topic_arn" from:"SnsTopicArn"`
	SourceType      *string  `snap:"source_type" from:"SourceType"`
	SourceIDs       []string `snap:"source_ids" from:"SourceIdsList"`
	EventCategories []string `snap:"event_categories" from:"EventCategoriesList"`
	Status          *string  `snap:"status" from:"Status"`
	Enabled         *bool    `snap:"enabled" from:"Enabled"`
	CreationTime    *string  `snap:"subscription_creation_time" from:"SubscriptionCreationTime"`
}

var rdsEventSubscriptions = kind.Of[rdsEventSubscription](kind.Table{
	Name: "rds_event_subscription", Label: "AWSRDSEventSubscription", Aliases: []string{"RDSEventSubscription"},
	Links: []kind.Link{
		{Type: "NOTIFIES", To: "AWSSNSTopic", On: kind.On{"arn": "sns_topic_arn"}},
		{Type: "MONITORS", To: "AWSRDSInstance", On: kind.On{"db_instance_identifier": "source_ids"}},
		{Type: "MONITORS", To: "AWSRDSCluster", On: kind.On{"db_cluster_identifier": "source_ids"}},
		{Type: "MONITORS", To: "AWSRDSSnapshot", On: kind.On{"db_snapshot_identifier": "source_ids"}},
	},
})

var _ = api.Declare(api.Sync{
	Name:   "rds",
	Synced: "AWSRDSCluster",
	Calls: []string{
		"rds:DescribeDBClusters", "rds:DescribeDBInstances", "rds:DescribeDBSnapshots",
		"rds:DescribeDBSnapshotAttributes", "rds:DescribeEventSubscriptions",
	},
	Needs: []string{"kms"},
	Tables: []*kind.Table{
		rdsClusters.Table, rdsInstances.Table, rdsSubnetGroups.Table, rdsSnapshots.Table, rdsEventSubscriptions.Table,
	},
	Collect: func(ctx context.Context, at *api.Cell) error {
		return api.Parts(ctx, at, collectRDSClusters, collectRDSInstances, collectRDSSnapshots, collectRDSEventSubscriptions)
	},
})

func collectRDSClusters(ctx context.Context, at *api.Cell) error {
	pages := rds.NewDescribeDBClustersPaginator(rds.NewFromConfig(at.Config), nil)
	clusters, err := api.All(ctx, pages, func(p *rds.DescribeDBClustersOutput) []types.DBCluster { return p.DBClusters })
	for _, c := range clusters {
		row := rdsClusters.From(c)
		row.Region = at.Region
		rdsClusters.Put(at, row)
	}
	return err
}

func collectRDSInstances(ctx context.Context, at *api.Cell) error {
	pages := rds.NewDescribeDBInstancesPaginator(rds.NewFromConfig(at.Config), nil)
	instances, err := api.All(ctx, pages, func(p *rds.DescribeDBInstancesOutput) []types.DBInstance { return p.DBInstances })
	for _, i := range instances {
		row := rdsInstances.From(i)
		row.Region = at.Region
		rdsInstances.Put(at, row)
		if g := i.DBSubnetGroup; g != nil && g.DBSubnetGroupName != nil {
			group := rdsSubnetGroups.From(g)
			group.ID = at.ARN("rds", "subgrp:"+*g.DBSubnetGroupName)
			group.Region = at.Region
			group.Instances = []string{aws.ToString(i.DBInstanceIdentifier)}
			rdsSubnetGroups.Put(at, group)
		}
	}
	return err
}

func collectRDSSnapshots(ctx context.Context, at *api.Cell) error {
	client := rds.NewFromConfig(at.Config)
	pages := rds.NewDescribeDBSnapshotsPaginator(client, nil)
	snapshots, err := api.All(ctx, pages, func(p *rds.DescribeDBSnapshotsOutput) []types.DBSnapshot { return p.DBSnapshots })
	_, subErr := api.Each(ctx, snapshots, func(ctx context.Context, s types.DBSnapshot) (struct{}, error) {
		row := rdsSnapshots.From(s)
		row.Region = at.Region
		row.ProcessorFeatures = processorFeatures(s.ProcessorFeatures)
		public, err := rdsSnapshotIsPublic(ctx, client, s)
		switch {
		case api.Gone(err):
			return struct{}{}, nil
		case err != nil:
			row.Unread(err, "ispublic")
		default:
			row.Public = &public
		}
		rdsSnapshots.Put(at, row)
		return struct{}{}, nil
	})
	return errors.Join(err, subErr)
}

// rdsSnapshotIsPublic tells whether every account may restore the snapshot.
// Only manual snapshots can be shared.
func rdsSnapshotIsPublic(ctx context.Context, client *rds.Client, s types.DBSnapshot) (bool, error) {
	if aws.ToString(s.SnapshotType) != "manual" {
		return false, nil
	}
	out, err := client.DescribeDBSnapshotAttributes(ctx, &rds.DescribeDBSnapshotAttributesInput{DBSnapshotIdentifier: s.DBSnapshotIdentifier})
	if err != nil || out.DBSnapshotAttributesResult == nil {
		return false, err
	}
	return slices.ContainsFunc(out.DBSnapshotAttributesResult.DBSnapshotAttributes, func(a types.DBSnapshotAttribute) bool {
		return aws.ToString(a.AttributeName) == "restore" && slices.Contains(a.AttributeValues, "all")
	}), nil
}

// processorFeatures is the list as Cartography keeps it: the text that Python
// shows it as.
func processorFeatures(features []types.ProcessorFeature) *string {
	if features == nil {
		return nil
	}
	var texts []string
	for _, f := range features {
		var pairs []string
		for _, pair := range [...]struct {
			name  string
			value *string
		}{{"Name", f.Name}, {"Value", f.Value}} {
			if pair.value != nil {
				pairs = append(pairs, "'"+pair.name+"': '"+*pair.value+"'")
			}
		}
		texts = append(texts, "{"+strings.Join(pairs, ", ")+"}")
	}
	text := "[" + strings.Join(texts, ", ") + "]"
	return &text
}

func collectRDSEventSubscriptions(ctx context.Context, at *api.Cell) error {
	pages := rds.NewDescribeEventSubscriptionsPaginator(rds.NewFromConfig(at.Config), nil)
	subscriptions, err := api.All(ctx, pages, func(p *rds.DescribeEventSubscriptionsOutput) []types.EventSubscription {
		return p.EventSubscriptionsList
	})
	for _, s := range subscriptions {
		row := rdsEventSubscriptions.From(s)
		row.Region = at.Region
		if len(row.SourceIDs) == 0 { // every source: Cartography knows no empty list here
			row.SourceIDs = nil
		}
		if len(row.EventCategories) == 0 {
			row.EventCategories = nil
		}
		rdsEventSubscriptions.Put(at, row)
	}
	return err
}
