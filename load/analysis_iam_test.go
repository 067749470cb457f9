package load

import (
	"encoding/json"
	"fmt"
	"testing"
)

// assumeRoleWorld has a role to be assumed and one that no longer is.
const assumeRoleWorld = `
CREATE (a)-[:RESOURCE]->(target:AWSRole:AWSPrincipal {id: 'target', arn: 'arn:aws:iam::1:role/Target'})-[:TRUSTS_AWS_PRINCIPAL]->(user:AWSUser:AWSPrincipal {id: 'user'})
CREATE (user)-[:POLICY]->(:AWSPolicy {id: 'policy'})-[:STATEMENT]->(:AWSPolicyStatement {id: 'statement', effect: 'Allow', action: ['sts:*'], resource: ['*']})
CREATE (target)<-[:STS_ASSUMEROLE_ALLOW {lastupdated: 1, _sub_resource_label: 'AWSAccount', _sub_resource_id: '1'}]-(:AWSRole:AWSPrincipal {id: 'past'})
`

// trusted is a principal of those labels that the role arn:aws:iam::1:role/x/Target
// trusts, with a policy for each of its statements.
func trusted(id, labels string, statements ...string) string {
	cypher := fmt.Sprintf("MERGE (target:AWSRole:AWSPrincipal {id: 'target', arn: 'arn:aws:iam::1:role/x/Target'}) MERGE (a)-[:RESOURCE]->(target) CREATE (target)-[:TRUSTS_AWS_PRINCIPAL]->(s:AWSPrincipal%s {id: '%s'}) ", labels, id)
	for _, s := range statements {
		cypher += "CREATE (s)-[:POLICY]->(:AWSPolicy)-[:STATEMENT]->(:AWSPolicyStatement {" + s + "}) "
	}
	return cypher + "WITH DISTINCT a, b "
}

const (
	assumed   = `MATCH (s)-[l:STS_ASSUMEROLE_ALLOW]->(r) RETURN s.id ORDER BY s.id`
	allowCall = `effect: 'Allow', action: ['sts:AssumeRole'], `
)

var assumeRole = []string{"aws_sts_assumerole_allow"}

var assumeRoleCases = []analysisCase{
	{"trusted and allowed: a relationship that is new, one that was there, and one to a role of another account", assumeRole, `
		CREATE (a)-[:RESOURCE]->(x:AWSRole:AWSPrincipal {id: 'x', arn: 'arn:aws:iam::1:role/x'})-[:TRUSTS_AWS_PRINCIPAL]->(u:AWSUser:AWSPrincipal {id: 'u'}), (a)-[:RESOURCE]->(y:AWSRole:AWSPrincipal {id: 'y', arn: 'arn:aws:iam::1:role/y'})-[:TRUSTS_AWS_PRINCIPAL]->(u)
		CREATE (b)-[:RESOURCE]->(theirs:AWSRole:AWSPrincipal {id: 'theirs', arn: 'arn:aws:iam::2:role/theirs'})-[:TRUSTS_AWS_PRINCIPAL]->(u), (b)-[:RESOURCE]->(u)
		CREATE (u)-[:POLICY]->(:AWSPolicy)-[:STATEMENT]->(:AWSPolicyStatement {effect: 'Allow', action: ['iam:Get*', 'sts:AssumeRole'], resource: ['arn:aws:iam::*:role/*']})
		CREATE (u)-[:STS_ASSUMEROLE_ALLOW {firstseen: 1, lastupdated: 1}]->(x)`,
		`MATCH (s)-[l:STS_ASSUMEROLE_ALLOW]->(r) RETURN s.id, r.id, l.lastupdated, l.firstseen = 1, l.firstseen > 0, l._sub_resource_label, l._sub_resource_id ORDER BY r.id`,
		`[["u","x",7,true,true,"AWSAccount","1"],["u","y",7,false,true,"AWSAccount","1"]]`},
	{"what no longer holds goes, but for other accounts' roles and other programs' relationships", assumeRole, `
		CREATE (a)-[:RESOURCE]->(x:AWSRole:AWSPrincipal {id: 'x', arn: 'arn:aws:iam::1:role/x'}), (u:AWSUser:AWSPrincipal {id: 'u'}), (b)-[:RESOURCE]->(y:AWSRole:AWSPrincipal {id: 'y'})
		CREATE (u)-[:STS_ASSUMEROLE_ALLOW {lastupdated: 1, _sub_resource_label: 'AWSAccount', _sub_resource_id: '1'}]->(x)
		CREATE (:AWSRole:AWSPrincipal {id: 'v'})-[:STS_ASSUMEROLE_ALLOW {lastupdated: 1, _sub_resource_label: 'AWSAccount', _sub_resource_id: '2'}]->(y)
		CREATE (:AWSEC2Instance {id: 'i'})-[:STS_ASSUMEROLE_ALLOW {lastupdated: 1}]->(x), (:AWSLambda {id: 'f'})-[:STS_ASSUMEROLE_ALLOW {lastupdated: 1}]->(x)`,
		assumed, `[["f"],["i"],["v"]]`},
	{"a policy that allows it does not do without trust, nor trust without a policy", assumeRole,
		"WITH a, b " + trusted("no policy", ":AWSUser") + `
		CREATE (:AWSUser:AWSPrincipal {id: 'no trust'})-[:POLICY]->(:AWSPolicy)-[:STATEMENT]->(:AWSPolicyStatement {` + allowCall + `resource: ['*']})
		CREATE (a)-[:RESOURCE]->(:AWSRole:AWSPrincipal {id: 'lonely', arn: 'arn:aws:iam::1:role/lonely'})`,
		assumed, `[]`},
	{"only principals that have policies: roots, services and federations are trusted on their own", assumeRole, "WITH a, b " +
		trusted("root", ":AWSRootPrincipal", allowCall+"resource: ['*']") + trusted("service", ":AWSServicePrincipal", allowCall+"resource: ['*']") +
		trusted("federation", ":AWSFederatedPrincipal", allowCall+"resource: ['*']") + trusted("group", ":AWSGroup", allowCall+"resource: ['*']") + "RETURN a",
		assumed, `[["group"]]`},
	{"a role that trusts itself", assumeRole, `
		CREATE (a)-[:RESOURCE]->(x:AWSRole:AWSPrincipal {id: 'x', arn: 'arn:aws:iam::1:role/x'})-[:TRUSTS_AWS_PRINCIPAL]->(x)-[:POLICY]->(:AWSPolicy)-[:STATEMENT]->(:AWSPolicyStatement {` + allowCall + `resource: ['*']})`,
		assumed, `[["x"]]`},
	{"of several statements any allows and any denies", assumeRole, "WITH a, b " +
		trusted("allowed", "", "effect: 'Allow', action: ['s3:*'], resource: ['*']", allowCall+"resource: ['*']", "effect: 'Deny', action: ['sts:AssumeRole'], resource: ['*Other']") +
		trusted("denied", "", allowCall+"resource: ['*']", "effect: 'Deny', action: ['*'], resource: ['*Target']") +
		trusted("only denied", "", "effect: 'Deny', action: ['sts:AssumeRole'], resource: ['*']") + "RETURN a",
		assumed, `[["allowed"]]`},
	{"statements of which less is known than a policy has", assumeRole, "WITH a, b " +
		trusted("no effect", "", "action: ['sts:AssumeRole'], resource: ['*']") + trusted("no resource", "", "effect: 'Allow', action: ['sts:AssumeRole']") +
		trusted("empty lists", "", "effect: 'Allow', action: [], resource: ['*']", allowCall+"resource: []") + trusted("no action", "", "effect: 'Allow', resource: ['*']") + `
		CREATE (a)-[:RESOURCE]->(:AWSRole:AWSPrincipal {id: 'no arn'})-[:TRUSTS_AWS_PRINCIPAL]->(:AWSUser:AWSPrincipal {id: 'user'})-[:POLICY]->(:AWSPolicy)-[:STATEMENT]->(:AWSPolicyStatement {` + allowCall + `resource: ['*']})`,
		assumed, `[["no action"]]`},
	{"what a statement excepts", assumeRole, "WITH a, b " +
		trusted("all but others", "", "effect: 'Allow', notaction: ['iam:*', 'organizations:*'], resource: ['*']") + trusted("all but this", "", "effect: 'Allow', notaction: ['iam:*', 'sts:assume*'], resource: ['*']") +
		trusted("other roles", "", allowCall+"resource: ['*'], notresource: ['*/target']") + trusted("not other roles", "", allowCall+"resource: ['*'], notresource: ['*/other']") +
		trusted("notresource alone", "", allowCall+"notresource: ['*/other']") + // as in Cartography, which wants a resource
		trusted("denied but here", "", allowCall+"resource: ['*']", "effect: 'Deny', action: ['*'], resource: ['*'], notresource: ['*/Target']") + "RETURN a",
		assumed, `[["all but others"],["denied but here"],["not other roles"]]`},
}

// clauses are patterns of a policy and whether they match a text.
var clauses = []struct {
	clause, text string
	want         bool
}{
	{"sts:AssumeRole", "sts:AssumeRole", true},
	{"STS:assumerole", "sts:AssumeRole", true},
	{"sts:AssumeRole", "sts:AssumeRoleWithSAML", false},
	{"sts:Assume*", "sts:AssumeRole", true},
	{"*", "sts:AssumeRole", true},
	{"*:*", "sts:AssumeRole", true},
	{"sts:Assume????", "sts:AssumeRole", true},
	{"sts:Assume?????", "sts:AssumeRole", true}, // as in Cartography: at most so many
	{"sts:Assume???", "sts:AssumeRole", false},
	{"", "sts:AssumeRole", false},
	{"", "", true},
	{"arn:aws:iam::1:role/a.b", "arn:aws:iam::1:role/a.b", true},
	{"arn:aws:iam::1:role/a.b", "arn:aws:iam::1:role/aXb", false},
	{"arn:aws:iam::1:role/a+b=c,d@e", "arn:aws:iam::1:role/a+b=c,d@e", true},
	{"arn:aws:iam::1:role/a+b", "arn:aws:iam::1:role/aab", false},
	{"arn:aws:iam::1:role/${aws:username}", "arn:aws:iam::1:role/${aws:username}", true},
	{"arn:aws:iam::1:role/${aws:username}", "arn:aws:iam::1:role/someone", false},
	{"(((", "x", false},
	{"[", "[", true},
	{"a|b", "a", false},
	{"^a$", "a", false},
	{`a\d`, "a1", false},
	{`a\d`, `a\d`, true},
	{`a\`, `a\`, true},
	{`\Ea.\Q*`, `\Ea.\Qx`, true},
	{`\Ea.\Q`, `ax`, false},
	{`\E(`, "x", false},
}

// Neo4j knows expressions of Java: what a policy writes must be none of it,
// since a bad one would end the load.
func TestMatches(t *testing.T) {
	g, _ := analysisGraph(t)
	for _, c := range clauses {
		rows, err := g.read(t.Context(), "RETURN "+matches("$list", "$text"), map[string]any{"list": []string{"no such thing", c.clause}, "text": c.text})
		if err != nil {
			t.Errorf("%q: %v", c.clause, err)
		} else if rows[0][0] != c.want {
			t.Errorf("%q matches %q: %v, want %v", c.clause, c.text, rows[0][0], c.want)
		}
	}
	for list, want := range map[string]string{"null": "[[false]]", "[]": "[[false]]", "['b', 'A']": "[[true]]"} {
		rows, err := g.read(t.Context(), "RETURN "+matches(list, "'a'"), nil)
		if text, _ := json.Marshal(rows); err != nil || string(text) != want {
			t.Errorf("%s: %s, %v; want %s", list, text, err, want)
		}
	}
}
