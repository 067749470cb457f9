package load

import "slices"

// Analysis is Cartography's analysis of what this program collects, in the
// order in which it must run. The jobs have its names and write what it writes,
// so that either program may follow the other on a graph.
var Analysis = slices.Concat(organizationJobs, exposureJobs, ec2Jobs, iamJobs)

// How the exposure jobs find the way in. They start from the account's own
// nodes and ask each security group once whether a rule of it is open to the
// world: the node 0.0.0.0/0 has every such rule of every account, and a popular
// group has thousands of members.
const (
	openGroup = `EXISTS { (group)<-[:MEMBER_OF_EC2_SECURITY_GROUP]-(:AWSIpPermissionInbound)<-[:MEMBER_OF_IP_RULE]-(:AWSIpRange {id: '0.0.0.0/0'}) }`

	// the rules of group that are open to the world, and whether one lets in what
	// a load balancer listens to
	openRule = `MATCH (group)<-[:MEMBER_OF_EC2_SECURITY_GROUP]-(rule:AWSIpPermissionInbound)
WHERE EXISTS { (rule)<-[:MEMBER_OF_IP_RULE]-(:AWSIpRange {id: '0.0.0.0/0'}) }`
	listenerInRule = `rule.protocol = '-1' OR rule.fromport <= listener.port <= rule.toport`
)

// exposureJobs in the order in which they must run: an instance is exposed by
// load balancers that are.
var exposureJobs = []Job{
	{
		Name:  "aws_ec2_asset_exposure_load_balancer_v2",
		Doc:   "Internet-facing load balancers that the internet reaches: network ones that listen, others whose security group lets the world in to a port they listen on.",
		Reads: []string{"ec2:security_group", "ec2:load_balancer_v2"},
		Scope: PerAccount,
		Reset: []string{
			`MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(b:AWSLoadBalancerV2)
REMOVE b.exposed_internet, b.exposed_internet_type`,
		},
		Set: []string{
			`MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(b:AWSLoadBalancerV2 {scheme: 'internet-facing', type: 'network'})
WHERE EXISTS { (b)-[:ELBV2_LISTENER]->(:AWSELBV2Listener) }
SET b.exposed_internet = true`,
			`MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(b:AWSLoadBalancerV2 {scheme: 'internet-facing'})-[:MEMBER_OF_EC2_SECURITY_GROUP]->(group:AWSEC2SecurityGroup)
WITH group, collect(DISTINCT b) AS balancers
` + openRule + `
UNWIND balancers AS b
MATCH (b)-[:ELBV2_LISTENER]->(listener:AWSELBV2Listener)
WHERE ` + listenerInRule + `
WITH DISTINCT b
SET b.exposed_internet = true`,
		},
	},
	{
		Name:  "aws_ec2_asset_exposure_load_balancer",
		Doc:   "Internet-facing classic load balancers whose source security group lets the world in to a port they listen on.",
		Reads: []string{"ec2:security_group", "ec2:load_balancer"},
		Scope: PerAccount,
		Reset: []string{
			`MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(b:AWSLoadBalancer)
REMOVE b.exposed_internet, b.exposed_internet_type`,
		},
		Set: []string{
			`MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(b:AWSLoadBalancer {scheme: 'internet-facing'})-[:SOURCE_SECURITY_GROUP]->(group:AWSEC2SecurityGroup)
WITH group, collect(DISTINCT b) AS balancers
` + openRule + `
UNWIND balancers AS b
MATCH (b)-[:ELB_LISTENER]->(listener:AWSELBListener)
WHERE ` + listenerInRule + `
WITH DISTINCT b
SET b.exposed_internet = true`,
		},
	},
	{
		Name:  "aws_ec2_asset_exposure_instance",
		Doc:   "Instances that the internet reaches: directly, by a public address and a security group of theirs or of their interfaces that lets the world in, or through an exposed load balancer.",
		Reads: []string{"ec2:instance", "ec2:security_group", "ec2:load_balancer", "ec2:load_balancer_v2"},
		Scope: PerAccount,
		Reset: []string{
			`MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(i:AWSEC2Instance)
REMOVE i.exposed_internet, i.exposed_internet_type`,
		},
		Set: []string{
			`MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(i:AWSEC2Instance)
WHERE i.publicipaddress IS NOT NULL
MATCH (i)-[:NETWORK_INTERFACE*0..1]->()-[:MEMBER_OF_EC2_SECURITY_GROUP]->(group:AWSEC2SecurityGroup)
WITH group, collect(DISTINCT i) AS instances
WHERE ` + openGroup + `
UNWIND instances AS i
WITH DISTINCT i
SET i.exposed_internet = true, i.exposed_internet_type = ['direct']`,
			exposedThrough("AWSLoadBalancer", "elb"),
			exposedThrough("AWSLoadBalancerV2", "elbv2"),
		},
	},
	{
		Name:  "aws_ec2_iaminstanceprofile",
		Doc:   "The role that an instance's profile lets it assume.",
		Reads: []string{"iam", "iaminstanceprofiles", "ec2:instance"},
		Scope: PerAccount,
		Set: []string{
			instanceRole + `
MERGE (i)-[link:STS_ASSUMEROLE_ALLOW]->(role)
ON CREATE SET link.firstseen = timestamp()
SET link.lastupdated = $tag`,
		},
		Clean: []string{
			`MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(:AWSEC2Instance)-[link:STS_ASSUMEROLE_ALLOW]->(:AWSRole)
WHERE link.lastupdated <> $tag
DELETE link`,
		},
	},
	{
		Name:  "ec2_instance_assumes_role",
		Doc:   "The role that an instance runs with, in the vocabulary of all providers.",
		Reads: []string{"iam", "iaminstanceprofiles", "ec2:instance"},
		Scope: PerAccount,
		Set: []string{
			instanceRole + `
MERGE (i)-[link:ASSUMES]->(role)
ON CREATE SET link.firstseen = timestamp()
SET link.lastupdated = $tag, link._sub_resource_label = 'AWSAccount', link._sub_resource_id = $account`,
		},
		Clean: []string{
			`MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(:AWSEC2Instance)-[link:ASSUMES]->(:AWSRole)
WHERE link.lastupdated <> $tag
DELETE link`,
		},
	},
	{
		Name:  "aws_foreign_accounts",
		Doc:   "Accounts that the graph names but that were never collected.",
		Scope: Estate,
		Reset: []string{`MATCH (a:AWSAccount) WHERE a.foreign IS NOT NULL REMOVE a.foreign`},
		Set:   []string{`MATCH (a:AWSAccount) WHERE a.inscope IS NULL SET a.foreign = true`},
	},
}

// instanceRole finds the roles of the account's instances.
const instanceRole = `MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(i:AWSEC2Instance)-[:INSTANCE_PROFILE]->(:AWSInstanceProfile)-[:ASSOCIATED_WITH]->(role:AWSRole)
WITH DISTINCT i, role`

// exposedThrough adds a way in for the instances that an exposed load balancer
// of the label sends traffic to.
func exposedThrough(label, way string) string {
	return `MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(i:AWSEC2Instance)
WHERE EXISTS { (i)<-[:EXPOSE]-(:` + label + ` {exposed_internet: true}) }
SET i.exposed_internet = true, i.exposed_internet_type = coalesce(i.exposed_internet_type, []) + '` + way + `'`
}
