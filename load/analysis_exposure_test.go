package load

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"snap/fixtures/neo4jtest"
	"snap/store"
	"snap/store/kind"
)

// analysisCase is a graph, the jobs that run on it for account 1 and what the
// query finds afterwards.
type analysisCase struct {
	name  string
	jobs  []string
	graph string // Cypher; account 1 is (a), account 2 is (b)
	query string
	want  string // rows as JSON
}

// world is what most exposure cases have in common: a security group "open"
// that lets the world in to port 443, "all" to every port, "closed" to 443 from
// a private range, "out" that lets its members out.
const world = `
CREATE (w:AWSIpRange {id: '0.0.0.0/0', range: '0.0.0.0/0'}), (private:AWSIpRange {id: '10.0.0.0/8'})
CREATE (a)-[:RESOURCE]->(open:AWSEC2SecurityGroup {id: 'open'})<-[:MEMBER_OF_EC2_SECURITY_GROUP]-(r1:AWSIpPermissionInbound:AWSIpRule {id: 'r1', protocol: 'tcp', fromport: 443, toport: 443})<-[:MEMBER_OF_IP_RULE]-(w)
CREATE (a)-[:RESOURCE]->(all:AWSEC2SecurityGroup {id: 'all'})<-[:MEMBER_OF_EC2_SECURITY_GROUP]-(r2:AWSIpPermissionInbound:AWSIpRule {id: 'r2', protocol: '-1'})<-[:MEMBER_OF_IP_RULE]-(w)
CREATE (a)-[:RESOURCE]->(closed:AWSEC2SecurityGroup {id: 'closed'})<-[:MEMBER_OF_EC2_SECURITY_GROUP]-(r3:AWSIpPermissionInbound:AWSIpRule {id: 'r3', protocol: 'tcp', fromport: 443, toport: 443})<-[:MEMBER_OF_IP_RULE]-(private)
CREATE (a)-[:RESOURCE]->(out:AWSEC2SecurityGroup {id: 'out'})<-[:MEMBER_OF_EC2_SECURITY_GROUP]-(r4:AWSIpRule {id: 'r4', protocol: '-1'})<-[:MEMBER_OF_IP_RULE]-(w)
`

const exposed = `MATCH (n) WHERE n.exposed_internet IS NOT NULL OR n.exposed_internet_type IS NOT NULL RETURN n.id, n.exposed_internet, n.exposed_internet_type ORDER BY n.id`

var (
	elbv2Exposure    = []string{"aws_ec2_asset_exposure_load_balancer_v2"}
	elbExposure      = []string{"aws_ec2_asset_exposure_load_balancer"}
	instanceExposure = []string{"aws_ec2_asset_exposure_instance"}
)

var analysisCases = []analysisCase{
	// Application and network load balancers.
	{"an application load balancer whose group is open on its port", elbv2Exposure, world + `
		CREATE (a)-[:RESOURCE]->(lb:AWSLoadBalancerV2 {id: 'lb', scheme: 'internet-facing', type: 'application'}), (lb)-[:MEMBER_OF_EC2_SECURITY_GROUP]->(open), (lb)-[:ELBV2_LISTENER]->(:AWSELBV2Listener {port: 443})`,
		exposed, `[["lb",true,null]]`},
	{"its group is open on every port", elbv2Exposure, world + `
		CREATE (a)-[:RESOURCE]->(lb:AWSLoadBalancerV2 {id: 'lb', scheme: 'internet-facing', type: 'application'}), (lb)-[:MEMBER_OF_EC2_SECURITY_GROUP]->(all), (lb)-[:ELBV2_LISTENER]->(:AWSELBV2Listener {port: 8080})`,
		exposed, `[["lb",true,null]]`},
	{"a network load balancer that listens needs no group", elbv2Exposure, `
		CREATE (a)-[:RESOURCE]->(lb:AWSLoadBalancerV2 {id: 'lb', scheme: 'internet-facing', type: 'network'})-[:ELBV2_LISTENER]->(:AWSELBV2Listener {port: 443})`,
		exposed, `[["lb",true,null]]`},
	{"a group of another account opens it", elbv2Exposure, `
		CREATE (b)-[:RESOURCE]->(shared:AWSEC2SecurityGroup {id: 'shared'})<-[:MEMBER_OF_EC2_SECURITY_GROUP]-(:AWSIpPermissionInbound {protocol: '-1'})<-[:MEMBER_OF_IP_RULE]-(:AWSIpRange {id: '0.0.0.0/0'})
		CREATE (a)-[:RESOURCE]->(lb:AWSLoadBalancerV2 {id: 'lb', scheme: 'internet-facing', type: 'application'}), (lb)-[:MEMBER_OF_EC2_SECURITY_GROUP]->(shared), (lb)-[:ELBV2_LISTENER]->(:AWSELBV2Listener {port: 443})`,
		exposed, `[["lb",true,null]]`},
	{"internal, other ports, a private range, rules outward, and earlier answers that no longer hold", elbv2Exposure, world + `
		CREATE (a)-[:RESOURCE]->(l1:AWSLoadBalancerV2 {id: 'internal', scheme: 'internal', type: 'application', exposed_internet: true}), (l1)-[:MEMBER_OF_EC2_SECURITY_GROUP]->(all), (l1)-[:ELBV2_LISTENER]->(:AWSELBV2Listener {port: 443})
		CREATE (a)-[:RESOURCE]->(l2:AWSLoadBalancerV2 {id: 'port', scheme: 'internet-facing', type: 'application', exposed_internet: true, exposed_internet_type: ['old']}), (l2)-[:MEMBER_OF_EC2_SECURITY_GROUP]->(open), (l2)-[:ELBV2_LISTENER]->(:AWSELBV2Listener {port: 80})
		CREATE (a)-[:RESOURCE]->(l3:AWSLoadBalancerV2 {id: 'range', scheme: 'internet-facing', type: 'application'}), (l3)-[:MEMBER_OF_EC2_SECURITY_GROUP]->(closed), (l3)-[:MEMBER_OF_EC2_SECURITY_GROUP]->(out), (l3)-[:ELBV2_LISTENER]->(:AWSELBV2Listener {port: 443})
		CREATE (a)-[:RESOURCE]->(:AWSLoadBalancerV2 {id: 'internal network', scheme: 'internal', type: 'network'})-[:ELBV2_LISTENER]->(:AWSELBV2Listener {port: 443})
		CREATE (a)-[:RESOURCE]->(:AWSLoadBalancerV2 {id: 'deaf', scheme: 'internet-facing', type: 'network'})`,
		exposed, `[]`},
	{"a rule without ports, a listener without a port, no rules read: no answer, and other accounts stay as they are", elbv2Exposure, world + `
		CREATE (a)-[:RESOURCE]->(g:AWSEC2SecurityGroup {id: 'portless'})<-[:MEMBER_OF_EC2_SECURITY_GROUP]-(:AWSIpPermissionInbound {protocol: 'tcp'})<-[:MEMBER_OF_IP_RULE]-(w)
		CREATE (a)-[:RESOURCE]->(l1:AWSLoadBalancerV2 {id: 'l1', scheme: 'internet-facing', type: 'application'}), (l1)-[:MEMBER_OF_EC2_SECURITY_GROUP]->(g), (l1)-[:ELBV2_LISTENER]->(:AWSELBV2Listener {port: 443})
		CREATE (a)-[:RESOURCE]->(l2:AWSLoadBalancerV2 {id: 'l2', scheme: 'internet-facing', type: 'application'}), (l2)-[:MEMBER_OF_EC2_SECURITY_GROUP]->(open), (l2)-[:ELBV2_LISTENER]->(:AWSELBV2Listener)
		CREATE (a)-[:RESOURCE]->(l3:AWSLoadBalancerV2 {id: 'l3', scheme: 'internet-facing', type: 'application'}), (l3)-[:MEMBER_OF_EC2_SECURITY_GROUP]->(:AWSEC2SecurityGroup {id: 'stub'}), (l3)-[:ELBV2_LISTENER]->(:AWSELBV2Listener {port: 443})
		CREATE (b)-[:RESOURCE]->(:AWSLoadBalancerV2 {id: 'theirs', scheme: 'internal', exposed_internet: true})`,
		exposed, `[["theirs",true,null]]`},

	// Classic load balancers.
	{"a classic load balancer whose source group is open on its port", elbExposure, world + `
		CREATE (a)-[:RESOURCE]->(lb:AWSLoadBalancer {id: 'lb', scheme: 'internet-facing'}), (lb)-[:SOURCE_SECURITY_GROUP]->(open), (lb)-[:ELB_LISTENER]->(:AWSELBListener {port: 443})`,
		exposed, `[["lb",true,null]]`},
	{"internal, another port, or a group that is not its source", elbExposure, world + `
		CREATE (a)-[:RESOURCE]->(l1:AWSLoadBalancer {id: 'l1', scheme: 'internal', exposed_internet: true}), (l1)-[:SOURCE_SECURITY_GROUP]->(open), (l1)-[:ELB_LISTENER]->(:AWSELBListener {port: 443})
		CREATE (a)-[:RESOURCE]->(l2:AWSLoadBalancer {id: 'l2', scheme: 'internet-facing'}), (l2)-[:SOURCE_SECURITY_GROUP]->(open), (l2)-[:ELB_LISTENER]->(:AWSELBListener {port: 80})
		CREATE (a)-[:RESOURCE]->(l3:AWSLoadBalancer {id: 'l3', scheme: 'internet-facing'}), (l3)-[:MEMBER_OF_EC2_SECURITY_GROUP]->(all), (l3)-[:ELB_LISTENER]->(:AWSELBListener {port: 80})`,
		exposed, `[]`},
	{"a classic load balancer without scheme, listeners or known group", elbExposure, world + `
		CREATE (a)-[:RESOURCE]->(l1:AWSLoadBalancer {id: 'l1'}), (l1)-[:SOURCE_SECURITY_GROUP]->(all), (l1)-[:ELB_LISTENER]->(:AWSELBListener {port: 443})
		CREATE (a)-[:RESOURCE]->(l2:AWSLoadBalancer {id: 'l2', scheme: 'internet-facing'}), (l2)-[:SOURCE_SECURITY_GROUP]->(all)
		CREATE (a)-[:RESOURCE]->(l3:AWSLoadBalancer {id: 'l3', scheme: 'internet-facing'}), (l3)-[:ELB_LISTENER]->(:AWSELBListener {port: 443})
		CREATE (b)-[:RESOURCE]->(:AWSLoadBalancer {id: 'theirs', exposed_internet: true})`,
		exposed, `[["theirs",true,null]]`},

	// Instances.
	{"every way in, in Cartography's order, each once", instanceExposure, world + `
		CREATE (a)-[:RESOURCE]->(i:AWSEC2Instance {id: 'i', publicipaddress: '1.2.3.4', exposed_internet_type: ['elbv2', 'old']})
		CREATE (i)-[:MEMBER_OF_EC2_SECURITY_GROUP]->(open), (i)-[:MEMBER_OF_EC2_SECURITY_GROUP]->(all), (i)-[:NETWORK_INTERFACE]->(:AWSNetworkInterface)-[:MEMBER_OF_EC2_SECURITY_GROUP]->(open)
		CREATE (:AWSLoadBalancer {exposed_internet: true})-[:EXPOSE]->(i), (:AWSLoadBalancer {exposed_internet: true})-[:EXPOSE]->(i), (:AWSLoadBalancerV2 {exposed_internet: true})-[:EXPOSE]->(i)
		CREATE (a)-[:RESOURCE]->(:AWSEC2Instance {id: 'j', publicipaddress: '1.2.3.5'})-[:NETWORK_INTERFACE]->(:AWSNetworkInterface)-[:MEMBER_OF_EC2_SECURITY_GROUP]->(open)
		CREATE (a)-[:RESOURCE]->(:AWSEC2Instance {id: 'm', publicipaddress: '1.2.3.6'})-[:MEMBER_OF_EC2_SECURITY_GROUP]->(open)
		CREATE (a)-[:RESOURCE]->(k:AWSEC2Instance {id: 'k'})<-[:EXPOSE]-(:AWSLoadBalancerV2 {exposed_internet: true})`,
		`MATCH (n:AWSEC2Instance) RETURN n.id, n.exposed_internet, n.exposed_internet_type ORDER BY n.id`,
		`[["i",true,["direct","elb","elbv2"]],["j",true,["direct"]],["k",true,["elbv2"]],["m",true,["direct"]]]`},
	{"no public address, a private range, a load balancer that is not exposed, and an earlier answer", instanceExposure, world + `
		CREATE (a)-[:RESOURCE]->(i:AWSEC2Instance {id: 'i', exposed_internet: true, exposed_internet_type: ['direct']})-[:MEMBER_OF_EC2_SECURITY_GROUP]->(all)
		CREATE (a)-[:RESOURCE]->(j:AWSEC2Instance {id: 'j', publicipaddress: '1.2.3.4'})-[:MEMBER_OF_EC2_SECURITY_GROUP]->(closed), (j)-[:MEMBER_OF_EC2_SECURITY_GROUP]->(out)
		CREATE (:AWSLoadBalancerV2)-[:EXPOSE]->(j), (:AWSLoadBalancer {id: 'elb', exposed_internet: false})-[:EXPOSE]->(j)`,
		exposed, `[["elb",false,null]]`},
	{"a group of which only the id is known, and another account's instance", instanceExposure, world + `
		CREATE (a)-[:RESOURCE]->(:AWSEC2Instance {id: 'i', publicipaddress: '1.2.3.4'})-[:MEMBER_OF_EC2_SECURITY_GROUP]->(:AWSEC2SecurityGroup {id: 'stub'})
		CREATE (b)-[:RESOURCE]->(:AWSEC2Instance {id: 'theirs', publicipaddress: '1.2.3.4'})-[:MEMBER_OF_EC2_SECURITY_GROUP]->(all)
		CREATE (b)-[:RESOURCE]->(:AWSEC2Instance {id: 'theirs too', exposed_internet: true, exposed_internet_type: ['elb']})`,
		exposed, `[["theirs too",true,["elb"]]]`},
	{"the jobs in their order: a load balancer's answer is the instance's", []string{"aws_ec2_asset_exposure_load_balancer_v2", "aws_ec2_asset_exposure_load_balancer", "aws_ec2_asset_exposure_instance"}, world + `
		CREATE (a)-[:RESOURCE]->(i:AWSEC2Instance {id: 'i'}), (a)-[:RESOURCE]->(l1:AWSLoadBalancerV2 {id: 'l1', scheme: 'internet-facing', type: 'network'}), (l1)-[:EXPOSE]->(i), (l1)-[:ELBV2_LISTENER]->(:AWSELBV2Listener {port: 1})
		CREATE (a)-[:RESOURCE]->(l2:AWSLoadBalancer {id: 'l2', scheme: 'internal', exposed_internet: true}), (l2)-[:EXPOSE]->(i)`,
		exposed, `[["i",true,["elbv2"]],["l1",true,null]]`},

	// Roles of instances.
	{"an instance's role", []string{"aws_ec2_iaminstanceprofile", "ec2_instance_assumes_role"}, `
		CREATE (a)-[:RESOURCE]->(i:AWSEC2Instance {id: 'i'})-[:INSTANCE_PROFILE]->(:AWSInstanceProfile)-[:ASSOCIATED_WITH]->(role:AWSRole {id: 'role'})
		CREATE (i)-[:ASSUMES {firstseen: 1, lastupdated: 1}]->(role)
		CREATE (a)-[:RESOURCE]->(j:AWSEC2Instance {id: 'j'})-[:INSTANCE_PROFILE]->(:AWSInstanceProfile)-[:ASSOCIATED_WITH]->(role), (j)-[:STS_ASSUMEROLE_ALLOW {firstseen: 1, lastupdated: 1}]->(role)`,
		`MATCH (i)-[l:ASSUMES|STS_ASSUMEROLE_ALLOW]->(r) RETURN type(l), i.id, r.id, l.lastupdated, l.firstseen = 1, l.firstseen > 0, l._sub_resource_id ORDER BY type(l), i.id`,
		`[["ASSUMES","i","role",7,true,true,"1"],["ASSUMES","j","role",7,false,true,"1"],["STS_ASSUMEROLE_ALLOW","i","role",7,false,true,null],["STS_ASSUMEROLE_ALLOW","j","role",7,true,true,null]]`},
	{"an instance that lost its role, and one of another account", []string{"aws_ec2_iaminstanceprofile", "ec2_instance_assumes_role"}, `
		CREATE (a)-[:RESOURCE]->(i:AWSEC2Instance {id: 'i'})-[:INSTANCE_PROFILE]->(:AWSInstanceProfile), (role:AWSRole {id: 'role'}), (lambda:AWSLambda {id: 'lambda'})
		CREATE (i)-[:ASSUMES {lastupdated: 1}]->(role), (i)-[:STS_ASSUMEROLE_ALLOW {lastupdated: 1}]->(role), (lambda)-[:ASSUMES {lastupdated: 1}]->(role)
		CREATE (b)-[:RESOURCE]->(:AWSEC2Instance {id: 'theirs'})-[:ASSUMES {lastupdated: 1}]->(role)`,
		`MATCH (i)-[l:ASSUMES|STS_ASSUMEROLE_ALLOW]->(r) RETURN i.id, l.lastupdated ORDER BY i.id`,
		`[["lambda",1],["theirs",1]]`},
	{"a profile that is not known", []string{"aws_ec2_iaminstanceprofile", "ec2_instance_assumes_role"}, `
		CREATE (a)-[:RESOURCE]->(:AWSEC2Instance {id: 'i', iaminstanceprofile: 'arn'})`,
		`MATCH ()-[l:ASSUMES|STS_ASSUMEROLE_ALLOW]->() RETURN l`, `[]`},

	// Accounts.
	{"an account that policies name is foreign; one that was collected is not, whatever was said before", []string{"aws_foreign_accounts"}, `
		SET a.inscope = true, a.foreign = true CREATE (:AWSAccount {id: '3', foreign: true}), (:AWSAccount {id: '4', inscope: false})`,
		`MATCH (n:AWSAccount) RETURN n.id, n.foreign ORDER BY n.id`,
		`[["1",null],["2",true],["3",true],["4",null]]`},
}

// analysisGraph is a graph with a database of its own, which fill replaces.
func analysisGraph(t *testing.T) (g *Graph, fill func(cypher string)) {
	server, _ := neo4jtest.Get(t)
	g, err := Connect(t.Context(), ConnectOptions{URI: server.URI, User: server.User, Password: server.Password})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = g.Close(context.Background()) })
	return g, func(cypher string) {
		t.Helper()
		_, _, err := g.write(t.Context(), statement{cypher: "MATCH (n) DETACH DELETE n"}, statement{cypher: "CREATE (a:AWSAccount {id: '1'}), (b:AWSAccount {id: '2'}) " + cypher})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// analyseWith runs jobs for a snapshot whose account 1 has a complete cell of
// every sync that a job reads, but for those in states.
func analyseWith(t *testing.T, g *Graph, jobs []Job, states map[string]store.State) []JobReport {
	t.Helper()
	m := &store.Manifest{}
	m.Cells = append(m.Cells, store.Cell{CellID: store.CellID{Provider: "aws", Account: "1", Region: "r", Sync: "account"}, Outcome: store.Outcome{State: store.Complete}})
	seen := map[string]bool{}
	for _, j := range Analysis {
		for _, sync := range j.Reads {
			if state, ok := states[sync]; seen[sync] || ok && state == absent {
				continue
			} else if cell := (store.CellID{Provider: "aws", Account: "1", Region: "r", Sync: sync}); ok {
				m.Cells = append(m.Cells, store.Cell{CellID: cell, Outcome: store.Outcome{State: state}})
			} else {
				m.Cells = append(m.Cells, store.Cell{CellID: cell, Outcome: store.Outcome{State: store.Complete}})
			}
			seen[sync] = true
		}
	}
	l := &loader{nodesBefore: 1, graph: g, o: Options{Jobs: jobs}, tag: 7, plan: newPlan(&kind.Registry{}, m), report: &Report{}}
	if err := l.analyse(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l.report.Analysis
}

func rowsOf(t *testing.T, g *Graph, query string) string {
	t.Helper()
	rows, err := g.read(t.Context(), query, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(rows)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestAnalysis(t *testing.T) {
	g, fill := analysisGraph(t)
	ran := map[string]bool{}
	for _, c := range slices.Concat(analysisCases, ec2Cases, assumeRoleCases, organizationCases) {
		t.Run(c.name, func(t *testing.T) {
			var jobs []Job
			for _, j := range Analysis {
				if slices.Contains(c.jobs, j.Name) {
					jobs, ran[j.Name] = append(jobs, j), true
				}
			}
			if len(jobs) != len(c.jobs) {
				t.Fatalf("%d jobs of %v", len(jobs), c.jobs)
			}
			fill(c.graph)
			for _, run := range []string{"first", "second"} { // which changes nothing
				for _, r := range analyseWith(t, g, jobs, nil) {
					if !r.Ran {
						t.Errorf("%s did not run because of %s", r.Name, r.Cell)
					}
				}
				if got := rowsOf(t, g, c.query); got != c.want {
					t.Errorf("%s run: got  %s\nwant %s", run, got, c.want)
				}
			}
		})
	}
	for _, j := range Analysis {
		if !ran[j.Name] {
			t.Errorf("no case runs %s", j.Name)
		}
	}
}

// Where something that a job reads was not collected whole, its earlier answer
// stays, right or wrong: the graph does not tell.
func TestAnalysisOfIncompleteInput(t *testing.T) {
	g, fill := analysisGraph(t)
	const all = `MATCH (n) OPTIONAL MATCH (n)-[l]->(o)
		RETURN labels(n), properties(n), type(l), properties(l), o.id ORDER BY n.id, type(l), o.id`
	graph := world + ec2World + assumeRoleWorld + organizationWorld + `
		CREATE (a)-[:RESOURCE]->(old:AWSEC2Instance {id: 'old', exposed_internet: true, exposed_internet_type: ['elb']})-[:ASSUMES {lastupdated: 1}]->(role:AWSRole {id: 'role'}), (old)-[:STS_ASSUMEROLE_ALLOW {lastupdated: 1}]->(role)
		CREATE (a)-[:RESOURCE]->(new:AWSEC2Instance {id: 'new', publicipaddress: '1.2.3.4'})-[:MEMBER_OF_EC2_SECURITY_GROUP]->(all)
		CREATE (new)-[:INSTANCE_PROFILE]->(:AWSInstanceProfile {id: 'profile'})-[:ASSOCIATED_WITH]->(role)
		CREATE (a)-[:RESOURCE]->(:AWSLoadBalancer {id: 'elb old', exposed_internet: true})
		CREATE (a)-[:RESOURCE]->(elb:AWSLoadBalancer {id: 'elb new', scheme: 'internet-facing'})-[:SOURCE_SECURITY_GROUP]->(open), (elb)-[:ELB_LISTENER]->(:AWSELBListener {id: 'elb listener', port: 443})
		CREATE (a)-[:RESOURCE]->(:AWSLoadBalancerV2 {id: 'elbv2 old', exposed_internet: true})
		CREATE (a)-[:RESOURCE]->(:AWSLoadBalancerV2 {id: 'elbv2 new', scheme: 'internet-facing', type: 'network'})-[:ELBV2_LISTENER]->(:AWSELBV2Listener {id: 'elbv2 listener', port: 443})
		CREATE (a)-[:RESOURCE]->(:AWSS3Bucket {id: 'bucket'})<-[:APPLIES_TO]-(:AWSS3Acl {id: 'acl', uri: 'http://acs.amazonaws.com/groups/global/AllUsers', permission: 'READ'})`
	reads := map[string][]string{
		"aws_ec2_asset_exposure_load_balancer_v2": {"ec2:security_group", "ec2:load_balancer_v2"},
		"aws_ec2_asset_exposure_load_balancer":    {"ec2:security_group", "ec2:load_balancer"},
		"aws_ec2_asset_exposure_instance":         {"ec2:instance", "ec2:security_group", "ec2:load_balancer", "ec2:load_balancer_v2"},
		"aws_ec2_iaminstanceprofile":              {"iam", "iaminstanceprofiles", "ec2:instance"},
		"ec2_instance_assumes_role":               {"iam", "iaminstanceprofiles", "ec2:instance"},

		"aws_ec2_asset_exposure_auto_scaling_group":     {"ec2:instance", "ec2:security_group", "ec2:load_balancer", "ec2:load_balancer_v2", "ec2:autoscalinggroup"},
		"aws_lb_nacl_direct":                            {"ec2:network_acls", "ec2:load_balancer_v2", "ec2:subnet"},
		"aws_ec2_keypair_analysis_properties":           {"ec2:keypair"},
		"aws_ec2_keypair_analysis_matching_fingerprint": {"ec2:keypair"},
		"aws_sts_assumerole_allow":                      {"iam"},
		"aws_account_organization_metadata":             {"organization"},
	}
	for _, j := range Analysis {
		if reads[j.Name] == nil {
			if j.Name != "aws_foreign_accounts" { // which reads accounts, and they need no call
				t.Errorf("%s is not tested", j.Name)
			}
			continue
		}
		fill(graph)
		before := rowsOf(t, g, all)
		analyseWith(t, g, []Job{j}, nil)
		if rowsOf(t, g, all) == before {
			t.Errorf("%s has nothing to say of this graph: the test would prove nothing", j.Name)
		}
		for _, sync := range reads[j.Name] {
			for _, state := range []store.State{store.Partial, store.Denied, absent} {
				fill(graph)
				for _, r := range analyseWith(t, g, []Job{j}, map[string]store.State{sync: state}) {
					if r.Ran || r.State != state {
						t.Errorf("%s with %s %s: ran %v, state %q", j.Name, sync, state, r.Ran, r.State)
					}
				}
				if after := rowsOf(t, g, all); after != before {
					t.Errorf("%s with %s %s: changed the graph\nfrom %s\nto   %s", j.Name, sync, state, before, after)
				}
			}
		}
	}
}
