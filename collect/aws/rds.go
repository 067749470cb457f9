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
	ID                             string   `snap:"id,key" from:"DBClusterArn" doc:"its ARN"`
	ARN                            *string  `snap:"arn,index" from:"DBClusterArn"`
	Region                         string   `snap:"region"`
	Identifier                     *string  `snap:"db_cluster_identifier,index" from:"DBClusterIdentifier" doc:"its name, unique within account and region"`
	ResourceID                     *string  `snap:"db_cluster_resource_id" from:"DbClusterResourceId" doc:"identifies it for good, 'cluster-…', whatever its name"`
	Status                         *string  `snap:"status" from:"Status" doc:"'available', 'creating', 'stopped', 'deleting', …"`
	Engine                         *string  `snap:"engine" from:"Engine" doc:"the database: 'aurora-mysql', 'aurora-postgresql', 'neptune', 'docdb', …"`
	EngineVersion                  *string  `snap:"engine_version" from:"EngineVersion" doc:"the database's version"`
	EngineMode                     *string  `snap:"engine_mode" from:"EngineMode" doc:"how it is run: 'provisioned', 'serverless', …"`
	DatabaseName                   *string  `snap:"database_name" from:"DatabaseName" doc:"the database that was made with it"`
	MasterUsername                 *string  `snap:"master_username" from:"MasterUsername" doc:"the administrator's name"`
	ParameterGroup                 *string  `snap:"db_parameter_group" from:"DBClusterParameterGroup" doc:"the database's settings, by their group's name"`
	CharacterSetName               *string  `snap:"character_set_name" from:"CharacterSetName" doc:"the character set that it was made with"`
	Endpoint                       *string  `snap:"endpoint" from:"Endpoint" doc:"the DNS name for reading and writing"`
	ReaderEndpoint                 *string  `snap:"reader_endpoint" from:"ReaderEndpoint" doc:"the DNS name that spreads reads over the replicas"`
	Port                           *int64   `snap:"port" from:"Port" doc:"the port that it listens on"`
	HostedZoneID                   *string  `snap:"hosted_zone_id" from:"HostedZoneId" doc:"the hosted zone of its DNS names"`
	AvailabilityZones              []string `snap:"availability_zones" from:"AvailabilityZones" doc:"the zones that its storage is in"`
	MultiAZ                        *bool    `snap:"multi_az" from:"MultiAZ" doc:"whether it has instances in several zones"`
	AllocatedStorage               *int64   `snap:"allocated_storage" from:"AllocatedStorage" doc:"its storage in GiB; 1 for Aurora, whose storage grows on its own"`
	StorageEncrypted               *bool    `snap:"storage_encrypted" from:"StorageEncrypted" doc:"whether its storage is encrypted"`
	KMSKeyID                       *string  `snap:"kms_key_id" from:"KmsKeyId" doc:"the ARN of the KMS key that it is encrypted with"`
	DeletionProtection             *bool    `snap:"deletion_protection" from:"DeletionProtection" doc:"whether it refuses to be deleted until that is lifted"`
	CloneGroupID                   *string  `snap:"clone_group_id" from:"CloneGroupId" doc:"the clusters that share storage with it by cloning"`
	Capacity                       *int64   `snap:"capacity,volatile" from:"Capacity" doc:"how much a serverless one has now, in Aurora's units"`
	MinCapacity                    *int64   `snap:"scaling_configuration_info_min_capacity" from:"ScalingConfigurationInfo.MinCapacity" doc:"the least that a serverless one has"`
	MaxCapacity                    *int64   `snap:"scaling_configuration_info_max_capacity" from:"ScalingConfigurationInfo.MaxCapacity" doc:"the most that a serverless one may have"`
	AutoPause                      *bool    `snap:"scaling_configuration_info_auto_pause" from:"ScalingConfigurationInfo.AutoPause" doc:"whether a serverless one pauses when nobody uses it"`
	ClusterCreateTime              *string  `snap:"cluster_create_time" from:"ClusterCreateTime" as:"text" doc:"when it was made, as text"`
	BackupRetentionPeriod          *int64   `snap:"backup_retention_period" from:"BackupRetentionPeriod" doc:"days for which automatic backups are kept"`
	PreferredBackupWindow          *string  `snap:"preferred_backup_window" from:"PreferredBackupWindow" doc:"the time of day for backups, in UTC"`
	PreferredMaintenanceWindow     *string  `snap:"preferred_maintenance_window" from:"PreferredMaintenanceWindow" doc:"the time of the week for maintenance, in UTC"`
	EarliestRestorableTime         *string  `snap:"earliest_restorable_time,volatile" from:"EarliestRestorableTime" as:"text" doc:"from when on it can be restored, as text"`
	LatestRestorableTime           *string  `snap:"latest_restorable_time,volatile" from:"LatestRestorableTime" as:"text" doc:"up to when it can be restored, as text"`
	EarliestBacktrackTime          *string  `snap:"earliest_backtrack_time,volatile" from:"EarliestBacktrackTime" as:"text" doc:"how far it can be wound back, as text"`
	BacktrackWindow                *int64   `snap:"backtrack_window" from:"BacktrackWindow" doc:"how far it is meant to be wound back, in seconds; 0: not at all"`
	BacktrackConsumedChangeRecords *int64   `snap:"backtrack_consumed_change_records,volatile" from:"BacktrackConsumedChangeRecords" doc:"how many changes are kept for winding back"`
}

var rdsClusters = kind.Of[rdsCluster](kind.Table{
	Name: "rds_cluster", Label: "AWSRDSCluster", Aliases: []string{"RDSCluster"},
	Doc: "A group of database instances over one storage: Aurora, Neptune or DocumentDB.",
})

// rdsInstance is a database server.
type rdsInstance struct {
	ID                          string   `snap:"id,key" from:"DBInstanceArn" doc:"its ARN"`
	ARN                         *string  `snap:"arn,index" from:"DBInstanceArn"`
	Region                      string   `snap:"region"`
	Identifier                  *string  `snap:"db_instance_identifier,index" from:"DBInstanceIdentifier" doc:"its name, unique within account and region"`
	ResourceID                  *string  `snap:"dbi_resource_id" from:"DbiResourceId" doc:"identifies it for good, 'db-…', whatever its name"`
	ClusterIdentifier           *string  `snap:"db_cluster_identifier" from:"DBClusterIdentifier" doc:"the cluster that it is a member of"`
	InstanceClass               *string  `snap:"db_instance_class" from:"DBInstanceClass" doc:"its size, such as 'db.t3.micro'"`
	Engine                      *string  `snap:"engine" from:"Engine" doc:"the database: 'postgres', 'mysql', 'oracle-ee', …"`
	EngineVersion               *string  `snap:"engine_version" from:"EngineVersion" doc:"the database's version"`
	AutoMinorVersionUpgrade     *bool    `snap:"auto_minor_version_upgrade" from:"AutoMinorVersionUpgrade" doc:"whether minor versions are installed on their own"`
	DBName                      *string  `snap:"db_name" from:"DBName" doc:"the database that was made with it"`
	MasterUsername              *string  `snap:"master_username" from:"MasterUsername" doc:"the administrator's name"`
	IAMAuthentication           *bool    `snap:"iam_database_authentication_enabled" from:"IAMDatabaseAuthenticationEnabled" doc:"whether IAM principals may sign in to the database"`
	EndpointAddress             *string  `snap:"endpoint_address" from:"Endpoint.Address" doc:"the DNS name that it listens on"`
	EndpointHostedZoneID        *string  `snap:"endpoint_hostedzoneid" from:"Endpoint.HostedZoneId" doc:"the hosted zone of that name"`
	EndpointPort                *int64   `snap:"endpoint_port" from:"Endpoint.Port" doc:"the port that it listens on"`
	PubliclyAccessible          *bool    `snap:"publicly_accessible" from:"PubliclyAccessible" doc:"whether that name leads to a public address from outside the VPC"`
	CACertificateIdentifier     *string  `snap:"ca_certificate_identifier" from:"CACertificateIdentifier" doc:"the authority of its TLS certificate"`
	AvailabilityZone            *string  `snap:"availability_zone" from:"AvailabilityZone" doc:"its zone"`
	MultiAZ                     *bool    `snap:"multi_az" from:"MultiAZ" doc:"whether a standby in another zone takes over"`
	StorageEncrypted            *bool    `snap:"storage_encrypted" from:"StorageEncrypted" doc:"whether its storage is encrypted"`
	KMSKeyID                    *string  `snap:"kms_key_id" from:"KmsKeyId" doc:"the ARN of the KMS key that it is encrypted with"`
	DeletionProtection          *bool    `snap:"deletion_protection" from:"DeletionProtection" doc:"whether it refuses to be deleted until that is lifted"`
	InstanceCreateTime          *string  `snap:"instance_create_time" from:"InstanceCreateTime" as:"text" doc:"when it was made, as text"`
	LatestRestorableTime        *string  `snap:"latest_restorable_time,volatile" from:"LatestRestorableTime" as:"text" doc:"up to when it can be restored, as text"`
	BackupRetentionPeriod       *int64   `snap:"backup_retention_period" from:"BackupRetentionPeriod" doc:"days for which automatic backups are kept; 0: there are none"`
	PreferredBackupWindow       *string  `snap:"preferred_backup_window" from:"PreferredBackupWindow" doc:"the time of day for backups, in UTC"`
	PreferredMaintenanceWindow  *string  `snap:"preferred_maintenance_window" from:"PreferredMaintenanceWindow" doc:"the time of the week for maintenance, in UTC"`
	MonitoringRoleARN           *string  `snap:"monitoring_role_arn" from:"MonitoringRoleArn" doc:"the role that sends its operating system's figures"`
	EnhancedMonitoringARN       *string  `snap:"enhanced_monitoring_resource_arn" from:"EnhancedMonitoringResourceArn" doc:"the log stream that gets those figures"`
	PerformanceInsightsEnabled  *bool    `snap:"performance_insights_enabled" from:"PerformanceInsightsEnabled" doc:"whether its load is recorded by query"`
	PerformanceInsightsKMSKeyID *string  `snap:"performance_insights_kms_key_id" from:"PerformanceInsightsKMSKeyId" doc:"the KMS key that protects that record"`
	ReadReplicaSourceIdentifier *string  `snap:"_read_replica_source" from:"ReadReplicaSourceDBInstanceIdentifier"`
	SecurityGroupIDs            []string `snap:"_security_group_ids" from:"VpcSecurityGroups.VpcSecurityGroupId"`
}

// Cartography finds a replica's source, a member's cluster and the like by
// their identifiers, which are unique only within an account and region: ones
// of the same name elsewhere are linked too.
var rdsInstances = kind.Of[rdsInstance](kind.Table{
	Name: "rds_instance", Label: "AWSRDSInstance", Aliases: []string{"RDSInstance", "Database"},
	Doc: "A database server.",
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
	ID          string   `snap:"id,key" doc:"its ARN"`
	Name        *string  `snap:"name" from:"DBSubnetGroupName" doc:"its name, unique within account and region"`
	Region      string   `snap:"region"`
	VPCID       *string  `snap:"vpc_id" from:"VpcId" doc:"its VPC"`
	Description *string  `snap:"description" from:"DBSubnetGroupDescription" doc:"what was written about it"`
	Status      *string  `snap:"status" from:"SubnetGroupStatus" doc:"'Complete', …"`
	SubnetIDs   []string `snap:"_subnet_ids" from:"Subnets.SubnetIdentifier"`
	Instances   []string `snap:"_instance_identifiers"`
}

var rdsSubnetGroups = kind.Of[rdsSubnetGroup](kind.Table{
	Name: "rds_subnet_group", Label: "AWSDBSubnetGroup", Aliases: []string{"DBSubnetGroup"},
	Doc: "The subnets that instances may be placed in. One that no instance uses is left out.",
	Links: []kind.Link{
		{Type: "MEMBER_OF_DB_SUBNET_GROUP", From: "AWSRDSInstance", On: kind.On{"db_instance_identifier": "_instance_identifiers"}},
		{Type: "RESOURCE", To: "AWSEC2Subnet", On: kind.On{"subnetid": "_subnet_ids"}},
	},
})

// rdsSnapshot is a copy of an instance's storage.
type rdsSnapshot struct {
	ID                         string  `snap:"id,key" from:"DBSnapshotArn" doc:"its ARN"`
	ARN                        *string `snap:"arn,index" from:"DBSnapshotArn"`
	Region                     string  `snap:"region"`
	Identifier                 *string `snap:"db_snapshot_identifier,index" from:"DBSnapshotIdentifier" doc:"its name, unique within account and region"`
	InstanceIdentifier         *string `snap:"db_instance_identifier" from:"DBInstanceIdentifier" doc:"the instance that it is a copy of"`
	ResourceID                 *string `snap:"dbi_resource_id" from:"DbiResourceId" doc:"that instance for good, 'db-…', whatever its name"`
	SnapshotType               *string `snap:"snapshot_type" from:"SnapshotType" doc:"who made it: 'manual', 'automated', 'awsbackup', …"`
	SnapshotTarget             *string `snap:"snapshot_target" from:"SnapshotTarget" doc:"where it is kept: 'region', 'outposts'"`
	Status                     *string `snap:"status" from:"Status" doc:"'available', 'creating', 'copying', …"`
	PercentProgress            *int64  `snap:"percent_progress,volatile" from:"PercentProgress" doc:"how much of it is copied, in percent"`
	Public                     *bool   `snap:"ispublic" doc:"whether every AWS account may restore it"`
	Encrypted                  *bool   `snap:"encrypted" from:"Encrypted" doc:"whether it is encrypted"`
	KMSKeyID                   *string `snap:"kms_key_id" from:"KmsKeyId" doc:"the ARN of the KMS key that it is encrypted with"`
	TDECredentialARN           *string `snap:"tde_credential_arn" from:"TdeCredentialArn" doc:"the key store of the database's own encryption"`
	Engine                     *string `snap:"engine" from:"Engine" doc:"the database: 'postgres', 'mysql', 'oracle-ee', …"`
	EngineVersion              *string `snap:"engine_version" from:"EngineVersion" doc:"the database's version"`
	LicenseModel               *string `snap:"license_model" from:"LicenseModel" doc:"who licensed the database: 'license-included', 'bring-your-own-license', …"`
	OptionGroupName            *string `snap:"option_group_name" from:"OptionGroupName" doc:"the database's options, by their group's name"`
	MasterUsername             *string `snap:"master_username" from:"MasterUsername" doc:"the administrator's name"`
	IAMAuthentication          *bool   `snap:"iam_database_authentication_enabled" from:"IAMDatabaseAuthenticationEnabled" doc:"whether IAM principals may sign in to the database"`
	Port                       *int64  `snap:"port" from:"Port" doc:"the port that the instance listened on"`
	AvailabilityZone           *string `snap:"availability_zone" from:"AvailabilityZone" doc:"the zone that the instance was in"`
	VPCID                      *string `snap:"vpc_id" from:"VpcId" doc:"the VPC that the instance was in"`
	AllocatedStorage           *int64  `snap:"allocated_storage" from:"AllocatedStorage" doc:"the instance's storage in GiB"`
	StorageType                *string `snap:"storage_type" from:"StorageType" doc:"its kind of disk: 'gp3', 'io1', …"`
	StorageThroughput          *int64  `snap:"storage_throughput" from:"StorageThroughput" doc:"the disk's throughput in MB a second"`
	IOPS                       *int64  `snap:"iops" from:"Iops" doc:"how many operations a second the disk was made for"`
	ProcessorFeatures          *string `snap:"processor_features" doc:"processor cores and threads that were asked for, as Python writes a list of them"`
	Timezone                   *string `snap:"timezone" from:"Timezone" doc:"the time zone of the instance, where it has one"`
	InstanceCreateTime         *string `snap:"instance_create_time" from:"InstanceCreateTime" as:"text" doc:"when the instance was made, as text"`
	OriginalSnapshotCreateTime *string `snap:"original_snapshot_create_time" from:"OriginalSnapshotCreateTime" as:"text" doc:"when the first snapshot was made that this is a copy of, as text"`
	SnapshotDatabaseTime       *string `snap:"snapshot_database_time" from:"SnapshotDatabaseTime" as:"text" doc:"the moment that it shows, as text"`
	SourceRegion               *string `snap:"source_region" from:"SourceRegion" doc:"the region that it was copied from"`
	SourceSnapshotIdentifier   *string `snap:"source_db_snapshot_identifier" from:"SourceDBSnapshotIdentifier" doc:"the snapshot that it was copied from"`
	kind.Gaps
}

// Cartography declares snapshot_create_time too but fills it from a field that
// a snapshot does not have, so that it is never there, nor _ont_created_at.
var rdsSnapshots = kind.Of[rdsSnapshot](kind.Table{
	Name: "rds_snapshot", Label: "AWSRDSSnapshot", Aliases: []string{"RDSSnapshot", "Snapshot"},
	Doc: "A copy of a database instance's storage.",
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
	ID              string   `snap:"id,key" from:"CustSubscriptionId" doc:"its name"`
	ARN             *string  `snap:"arn,index" from:"EventSubscriptionArn"`
	Region          string   `snap:"region"`
	CustomerID      *string  `snap:"customer_aws_id" from:"CustomerAwsId" doc:"the account that it belongs to"`
	SNSTopicARN     *string  `snap:"sns_topic_arn" from:"SnsTopicArn" doc:"the topic that gets the events"`
	SourceType      *string  `snap:"source_type" from:"SourceType" doc:"whose events: 'db-instance', 'db-cluster', 'db-snapshot', …; null: all"`
	SourceIDs       []string `snap:"source_ids" from:"SourceIdsList" doc:"by name, whose events; null: all"`
	EventCategories []string `snap:"event_categories" from:"EventCategoriesList" doc:"which events; null: all"`
	Status          *string  `snap:"status" from:"Status" doc:"'active', 'no-permission', 'topic-not-exist', …"`
	Enabled         *bool    `snap:"enabled" from:"Enabled" doc:"whether it sends"`
	CreationTime    *string  `snap:"subscription_creation_time" from:"SubscriptionCreationTime" doc:"when it was made, as the API writes it"`
}

var rdsEventSubscriptions = kind.Of[rdsEventSubscription](kind.Table{
	Name: "rds_event_subscription", Label: "AWSRDSEventSubscription", Aliases: []string{"RDSEventSubscription"},
	Doc: "What sends events of databases to a topic. Subscriptions of one name are one node.",
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
