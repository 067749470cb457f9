package load

// ec2Jobs come after the exposure jobs: a group is exposed by its instances.
var ec2Jobs = []Job{
	{
		Name:  "aws_ec2_asset_exposure_auto_scaling_group",
		Doc:   "Auto Scaling groups of which an instance is exposed to the internet, and by which ways.",
		Reads: []string{"ec2:instance", "ec2:security_group", "ec2:load_balancer", "ec2:load_balancer_v2", "ec2:autoscalinggroup"},
		Scope: PerAccount,
		Reset: []string{
			`MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(g:AWSAutoScalingGroup)
REMOVE g.exposed_internet, g.exposed_internet_type`,
		},
		Set: []string{
			`MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(g:AWSAutoScalingGroup)<-[:MEMBER_AUTO_SCALE_GROUP]-(i:AWSEC2Instance {exposed_internet: true})
UNWIND i.exposed_internet_type AS way
WITH DISTINCT g, way ORDER BY way
WITH g, collect(way) AS ways
SET g.exposed_internet = true, g.exposed_internet_type = ways`,
		},
	},
	{
		Name:  "aws_lb_nacl_direct",
		Doc:   "The network ACLs of the subnets that a load balancer is in.",
		Reads: []string{"ec2:network_acls", "ec2:load_balancer_v2", "ec2:subnet"},
		Scope: PerAccount,
		Set: []string{
			`MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(b:AWSLoadBalancerV2)-[:SUBNET]->(:AWSEC2Subnet)<-[:PART_OF_SUBNET]-(acl:AWSEC2NetworkAcl)
WITH DISTINCT b, acl
MERGE (acl)-[link:PROTECTS]->(b)
ON CREATE SET link.firstseen = timestamp()
SET link.lastupdated = $tag`,
		},
		Clean: []string{
			`MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(:AWSLoadBalancerV2)<-[link:PROTECTS]-(:AWSEC2NetworkAcl)
WHERE link.lastupdated <> $tag
DELETE link`,
		},
	},
	{
		Name:  "aws_ec2_keypair_analysis_properties",
		Doc:   "Key pairs that somebody uploaded, told by the length of the fingerprint (AWS makes longer ones), and those whose key another one has too.",
		Reads: []string{"ec2:keypair"},
		Scope: PerAccount,
		Reset: []string{
			`MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(k:AWSEC2KeyPair)
REMOVE k.user_uploaded, k.duplicate_keyfingerprint`,
		},
		Set: []string{
			`MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(k:AWSEC2KeyPair)
WHERE size(k.keyfingerprint) = 47
SET k.user_uploaded = true`,
			sameKey + `
WITH DISTINCT k
SET k.duplicate_keyfingerprint = true`,
		},
	},
	{
		Name:  "aws_ec2_keypair_analysis_matching_fingerprint",
		Doc:   "Key pairs that are the same key, in whichever account and region.",
		Reads: []string{"ec2:keypair"},
		Scope: PerAccount,
		Set: []string{
			// Undirected, and first seen by the update tag: as Cartography has it. A new
			// one goes from the lesser id to the greater, whatever the server finds first.
			sameKey + `
WITH DISTINCT CASE WHEN k.id < other.id THEN k ELSE other END AS one, CASE WHEN k.id < other.id THEN other ELSE k END AS other
MERGE (one)-[link:MATCHING_FINGERPRINT]-(other)
ON CREATE SET link.firstseen = $tag
SET link.lastupdated = $tag`,
		},
		Clean: []string{
			`MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(:AWSEC2KeyPair)-[link:MATCHING_FINGERPRINT]-(:AWSEC2KeyPair)
WHERE link.lastupdated <> $tag
DELETE link`,
		},
	},
}

// sameKey finds the account's key pairs that have the fingerprint of another
// one, which may be any account's.
const sameKey = `MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(k:AWSEC2KeyPair)
MATCH (other:AWSEC2KeyPair {keyfingerprint: k.keyfingerprint})
WHERE other <> k`
