package load

// ec2World has something to say, and something to take back, for each of the
// ec2Jobs.
const ec2World = `
CREATE (a)-[:RESOURCE]->(:AWSAutoScalingGroup {id: 'asg'})<-[:MEMBER_AUTO_SCALE_GROUP]-(:AWSEC2Instance {id: 'member', exposed_internet: true, exposed_internet_type: ['elb']})
CREATE (a)-[:RESOURCE]->(:AWSAutoScalingGroup {id: 'asg old', exposed_internet: true, exposed_internet_type: ['elb']})
CREATE (a)-[:RESOURCE]->(guarded:AWSLoadBalancerV2 {id: 'guarded'})-[:SUBNET]->(:AWSEC2Subnet {id: 'subnet'})<-[:PART_OF_SUBNET]-(:AWSEC2NetworkAcl {id: 'acl'})
CREATE (guarded)<-[:PROTECTS {lastupdated: 1}]-(:AWSEC2NetworkAcl {id: 'acl old'})
CREATE (a)-[:RESOURCE]->(:AWSEC2KeyPair {id: 'key', keyfingerprint: '00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff'})
CREATE (a)-[:RESOURCE]->(:AWSEC2KeyPair {id: 'key 2', keyfingerprint: '00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff'})
CREATE (a)-[:RESOURCE]->(:AWSEC2KeyPair {id: 'key old', user_uploaded: true})-[:MATCHING_FINGERPRINT {lastupdated: 1}]->(:AWSEC2KeyPair {id: 'key older', duplicate_keyfingerprint: true})
`

const (
	uploaded = "'00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff'"             // MD5, as of an imported key
	made     = "'00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33'" // SHA-1, as of one that AWS made
)

var (
	groupExposure = []string{"aws_ec2_asset_exposure_auto_scaling_group"}
	acls          = []string{"aws_lb_nacl_direct"}
	keyProperties = []string{"aws_ec2_keypair_analysis_properties"}
	keyLinks      = []string{"aws_ec2_keypair_analysis_matching_fingerprint"}
)

const (
	protects = `MATCH (n)-[l:PROTECTS]->(b) RETURN n.id, b.id, l.lastupdated, l.firstseen = 1, l.firstseen > 0 ORDER BY b.id, n.id`
	keys     = `MATCH (k:AWSEC2KeyPair) RETURN k.id, k.user_uploaded, k.duplicate_keyfingerprint ORDER BY k.id`
	sameKeys = `MATCH (k:AWSEC2KeyPair)-[l:MATCHING_FINGERPRINT]-(o) WHERE k.id < o.id RETURN k.id, o.id, l.firstseen, l.lastupdated ORDER BY k.id, o.id`
)

var ec2Cases = []analysisCase{
	// Auto Scaling groups.
	{"the ways of a group's instances, each once", groupExposure, `
		CREATE (a)-[:RESOURCE]->(g:AWSAutoScalingGroup {id: 'g', exposed_internet_type: ['old']})
		CREATE (g)<-[:MEMBER_AUTO_SCALE_GROUP]-(:AWSEC2Instance {exposed_internet: true, exposed_internet_type: ['elbv2', 'elb']})
		CREATE (g)<-[:MEMBER_AUTO_SCALE_GROUP]-(:AWSEC2Instance {exposed_internet: true, exposed_internet_type: ['direct', 'elb']})
		CREATE (g)<-[:MEMBER_AUTO_SCALE_GROUP]-(:AWSEC2Instance)`,
		`MATCH (n:AWSAutoScalingGroup) RETURN n.id, n.exposed_internet, n.exposed_internet_type`,
		`[["g",true,["direct","elb","elbv2"]]]`},
	{"no instance is exposed any more, and groups of another account", groupExposure, `
		CREATE (a)-[:RESOURCE]->(g:AWSAutoScalingGroup {id: 'g', exposed_internet: true, exposed_internet_type: ['elb']})<-[:MEMBER_AUTO_SCALE_GROUP]-(:AWSEC2Instance {exposed_internet: false})
		CREATE (a)-[:RESOURCE]->(:AWSAutoScalingGroup {id: 'empty', exposed_internet: true})
		CREATE (b)-[:RESOURCE]->(:AWSAutoScalingGroup {id: 'theirs', exposed_internet: true, exposed_internet_type: ['elb']})
		CREATE (b)-[:RESOURCE]->(:AWSAutoScalingGroup {id: 'theirs too'})<-[:MEMBER_AUTO_SCALE_GROUP]-(:AWSEC2Instance {exposed_internet: true, exposed_internet_type: ['elb']})`,
		`MATCH (n:AWSAutoScalingGroup) RETURN n.id, n.exposed_internet, n.exposed_internet_type ORDER BY n.id`,
		`[["empty",null,null],["g",null,null],["theirs",true,["elb"]],["theirs too",null,null]]`},
	{"an instance of which the way is not known", groupExposure, `
		CREATE (a)-[:RESOURCE]->(:AWSAutoScalingGroup {id: 'g'})<-[:MEMBER_AUTO_SCALE_GROUP]-(:AWSEC2Instance {exposed_internet: true})`,
		`MATCH (n:AWSAutoScalingGroup) RETURN n.id, n.exposed_internet, n.exposed_internet_type`, `[["g",null,null]]`},

	// Network ACLs.
	{"the ACLs of a load balancer's subnets, one that it had before among them", acls, `
		CREATE (a)-[:RESOURCE]->(lb:AWSLoadBalancerV2 {id: 'lb'}), (lb)-[:SUBNET]->(s1:AWSEC2Subnet), (lb)-[:SUBNET]->(s2:AWSEC2Subnet), (lb)-[:SUBNET]->(s3:AWSEC2Subnet)
		CREATE (s1)<-[:PART_OF_SUBNET]-(acl1:AWSEC2NetworkAcl {id: 'acl1'})-[:PART_OF_SUBNET]->(s2), (s3)<-[:PART_OF_SUBNET]-(acl2:AWSEC2NetworkAcl {id: 'acl2'})
		CREATE (acl2)-[:PROTECTS {firstseen: 1, lastupdated: 1}]->(lb)`,
		protects, `[["acl1","lb",7,false,true],["acl2","lb",7,true,true]]`},
	{"it left the subnet, another account's load balancer, and what else is in the subnet", acls, `
		CREATE (a)-[:RESOURCE]->(lb:AWSLoadBalancerV2 {id: 'lb'})<-[:PROTECTS {firstseen: 1, lastupdated: 1}]-(acl:AWSEC2NetworkAcl {id: 'acl'})-[:PART_OF_SUBNET]->(s:AWSEC2Subnet)
		CREATE (b)-[:RESOURCE]->(theirs:AWSLoadBalancerV2 {id: 'theirs'})-[:SUBNET]->(s), (old:AWSEC2NetworkAcl {id: 'old'})-[:PROTECTS {firstseen: 1, lastupdated: 1}]->(theirs)
		CREATE (lb)-[:SUBNET]->(t:AWSEC2Subnet)<-[:PART_OF_SUBNET]-(:AWSEC2Instance {id: 'i'})`,
		protects, `[["old","theirs",1,true,true]]`},

	// Key pairs.
	{"who made a key, and the keys that are the same, also in other accounts", keyProperties, `
		CREATE (a)-[:RESOURCE]->(:AWSEC2KeyPair {id: 'k1', keyfingerprint: ` + uploaded + `}), (a)-[:RESOURCE]->(:AWSEC2KeyPair {id: 'k2', keyfingerprint: ` + uploaded + `})
		CREATE (a)-[:RESOURCE]->(:AWSEC2KeyPair {id: 'k3', keyfingerprint: ` + made + `}), (b)-[:RESOURCE]->(:AWSEC2KeyPair {id: 'theirs', keyfingerprint: ` + made + `})`,
		keys, `[["k1",true,true],["k2",true,true],["k3",null,true],["theirs",null,null]]`},
	{"keys of their own, one only known by name, and an earlier answer", keyProperties, `
		CREATE (a)-[:RESOURCE]->(:AWSEC2KeyPair {id: 'k1', keyfingerprint: ` + made + `, user_uploaded: true, duplicate_keyfingerprint: true})
		CREATE (a)-[:RESOURCE]->(:AWSEC2KeyPair {id: 'k2'}), (a)-[:RESOURCE]->(:AWSEC2KeyPair {id: 'k3'}), (b)-[:RESOURCE]->(:AWSEC2KeyPair {id: 'theirs', user_uploaded: true, duplicate_keyfingerprint: true})`,
		keys, `[["k1",null,null],["k2",null,null],["k3",null,null],["theirs",true,true]]`},
	{"each pair of the same key is one relationship, whichever way it goes", keyLinks, `
		CREATE (a)-[:RESOURCE]->(k1:AWSEC2KeyPair {id: 'k1', keyfingerprint: 'x'}), (a)-[:RESOURCE]->(k2:AWSEC2KeyPair {id: 'k2', keyfingerprint: 'x'}), (b)-[:RESOURCE]->(:AWSEC2KeyPair {id: 'k3', keyfingerprint: 'x'})
		CREATE (k2)-[:MATCHING_FINGERPRINT {firstseen: 1, lastupdated: 1}]->(k1)`,
		sameKeys, `[["k1","k2",1,7],["k1","k3",7,7],["k2","k3",7,7]]`},
	{"a key that was replaced, no fingerprints, and two other accounts' keys", keyLinks, `
		CREATE (a)-[:RESOURCE]->(:AWSEC2KeyPair {id: 'k1', keyfingerprint: 'x'})<-[:MATCHING_FINGERPRINT {firstseen: 1, lastupdated: 1}]-(k2:AWSEC2KeyPair {id: 'k2', keyfingerprint: 'y'}), (b)-[:RESOURCE]->(k2)
		CREATE (a)-[:RESOURCE]->(:AWSEC2KeyPair {id: 'k3'}), (a)-[:RESOURCE]->(:AWSEC2KeyPair {id: 'k4'})
		CREATE (b)-[:RESOURCE]->(:AWSEC2KeyPair {id: 'k5'})-[:MATCHING_FINGERPRINT {firstseen: 1, lastupdated: 1}]->(:AWSEC2KeyPair {id: 'k6'})`,
		sameKeys, `[["k5","k6",1,1]]`},
}
