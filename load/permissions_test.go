package load

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"snap/store"
	"snap/store/kind"
)

// testdata/permissions.json has policies and what the functions of Cartography
// 0.143.0 say that they permit.
func TestGrants(t *testing.T) {
	text, err := os.ReadFile("testdata/permissions.json")
	if err != nil {
		t.Fatal(err)
	}
	var table struct {
		Targets []string
		Cases   []struct {
			Permissions []string
			Principals  map[string]map[string][]struct {
				Effect                                   string
				Action, NotAction, Resource, NotResource []string
				Condition                                string
			}
			Want [][]any
		}
	}
	if err := json.Unmarshal(text, &table); err != nil {
		t.Fatal(err)
	}
	var targets []target
	for _, arn := range table.Targets {
		targets = append(targets, target{arn, arn})
	}
	edges := 0
	for i, c := range table.Cases {
		all := &identities{policies: map[string][]policyStatement{}, held: map[string][]string{}}
		for p, policies := range c.Principals {
			for name, statements := range policies {
				id := p + name
				all.held[p] = append(all.held[p], id)
				all.order = append(all.order, id)
				for _, s := range statements {
					all.policies[id] = append(all.policies[id], policyStatement{s.Effect, s.Action, s.NotAction, s.Resource, s.NotResource, s.Condition})
				}
			}
		}
		slices.Sort(all.order)
		got := [][]any{}
		err := all.grants(c.Permissions, targets, func(principal, target string, c *conditions) error {
			e := []any{principal, target, c != nil, []any{}, nil}
			if c != nil {
				keys := []any{}
				for _, k := range c.keys {
					keys = append(keys, k)
				}
				e[3], e[4] = keys, c.text
			}
			got = append(got, e)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(got, func(a, b []any) int {
			return strings.Compare(a[0].(string)+a[1].(string), b[0].(string)+b[1].(string))
		})
		edges += len(got)
		if len(got)+len(c.Want) > 0 && !reflect.DeepEqual(got, c.Want) {
			principals, _ := json.Marshal(c.Principals)
			t.Errorf("case %d: %v of %s\ngot  %q\nwant %q", i, c.Permissions, principals, got, c.Want)
		}
	}
	if len(table.Cases) < 100 || edges < 300 {
		t.Errorf("only %d cases and %d relationships", len(table.Cases), edges)
	}
}

// What Cartography's regular expressions take for one, this takes literally.
func TestWildcard(t *testing.T) {
	for _, c := range clauses {
		if got := wildcard(strings.ToLower(c.clause), strings.ToLower(c.text)); got != c.want {
			t.Errorf("%q matches %q: %v", c.clause, c.text, got)
		}
	}
	for _, c := range []struct {
		clause, text string
		want         bool
	}{
		{"a*b*c", "abc", true}, {"a*b*c", "a-b-b-c", true}, {"a*b*c", "acb", false}, {"*", "", true}, {"a*a", "a", false}, {"**a", "ba", true}, {"a*?c", "abbc", true}, {"?", "", true}, {"?", "ab", false},
	} {
		if got := wildcard(c.clause, c.text); got != c.want {
			t.Errorf("%q matches %q: %v", c.clause, c.text, got)
		}
	}
}

func TestReadPermissions(t *testing.T) {
	read := func(text string) ([]Permission, error) {
		name := filepath.Join(t.TempDir(), "file.yaml")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return ReadPermissions(name)
	}
	got, err := read("# comment\n- target_label: A\n  permissions: [s3:GetObject, 's3:*']\n  relationship_name: CAN\n  note: whatever\n- target_label: B\n  permissions:\n  - x:y\n  relationship_name: MAY\n  target_precondition:\n    related_label: C\n    relationship: HAS\n    direction: Incoming\n")
	want := []Permission{
		{Target: "A", Relationship: "CAN", Permissions: []string{"s3:GetObject", "s3:*"}},
		{Target: "B", Relationship: "MAY", Permissions: []string{"x:y"}, Precondition: &Precondition{"C", "HAS", "Incoming"}},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, error %v", got, err)
	}
	if got, err := read(""); err != nil || len(got) != 0 {
		t.Errorf("an empty file: %v, %v", got, err)
	}
	for text, want := range map[string]string{
		"- permissions: [a]\n  relationship_name: R":                                                              "entry 1: target_label",
		"- target_label: A\n  relationship_name: R":                                                               "entry 1: permissions",
		"- target_label: A\n  permissions: [a]":                                                                   "entry 1: relationship_name",
		"- target_label: A\n  permissions: a\n  relationship_name: R":                                             "cannot unmarshal",
		"- target_label: A\n  permissions: [a]\n  relationship_name: R\n  target_precondition: {relationship: X}": "related_label",
		"- target_label: A\n  permissions: [a]\n  relationship_name: R\n  target_precondition: {related_label: Y, relationship: X, direction: up}": `"up"`,
		"- [": "yaml",
	} {
		if _, err := read(text); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "file.yaml") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: error %v, want %q", text, err, want)
		}
	}
	if _, err := ReadPermissions(filepath.Join(t.TempDir(), "none.yaml")); err == nil || !strings.Contains(err.Error(), "none.yaml") {
		t.Errorf("no file: %v", err)
	}
}

// permissionRegistry has the tables that permissions read.
func permissionRegistry() *kind.Registry {
	type named struct {
		ID string `snap:"id,key"`
	}
	r := &kind.Registry{}
	r.Register(&kind.Sync{Name: "iam", Global: true, Tables: []*kind.Table{kind.Of[named](kind.Table{Name: "principal", Label: "AWSPrincipal"}).Table}})
	r.Register(&kind.Sync{Name: "s3", Tables: []*kind.Table{kind.Of[named](kind.Table{Name: "bucket", Label: "Bucket", Aliases: []string{"ObjectStorage"}}).Table,
		kind.Of[named](kind.Table{Name: "log", Label: "Log"}).Table}})
	return r
}

func TestPermissions(t *testing.T) {
	g := testGraph(t)
	cypher(t, g, `CREATE (a:AWSAccount {id: '1'}), (b:AWSAccount {id: '2'}),
		(a)-[:RESOURCE]->(u:AWSUser:AWSPrincipal {arn: 'u'})-[:POLICY]->(p:AWSPolicy {id: 'p'})-[:STATEMENT]->(:AWSPolicyStatement {id: 's', effect: 'Allow', action: ['s3:get*'], resource: ['*'], condition: '{"Bool":{"k":"v"}}'}),
		(a)-[:RESOURCE]->(r:AWSRole:AWSPrincipal {arn: 'r'})-[:POLICY]->(p), (r)-[:POLICY]->(:AWSPolicy {id: 'q'})-[:STATEMENT]->(:AWSPolicyStatement {id: 's2', effect: 'Allow', action: ['*'], resource: ['arn:aws:s3:::x/*']}),
		(b)-[:RESOURCE]->(o:AWSRole:AWSPrincipal {arn: 'other'})-[:POLICY]->(p),
		(a)-[:RESOURCE]->(x:Bucket {arn: 'arn:aws:s3:::x'}), (a)-[:RESOURCE]->(y:Bucket {arn: 'arn:aws:s3:::y'})-[:HAS]->(:Log {id: 'l'}), (b)-[:RESOURCE]->(z:Bucket {arn: 'z'}), (a)-[:RESOURCE]->(:Bucket {name: 'no arn'}),
		(u)-[:GONE {lastupdated: 1}]->(x), (o)-[:GONE {lastupdated: 1}]->(z), (u)-[:CAN_READ {lastupdated: 1, firstseen: 5}]->(x), (u)-[:CAN_READ {lastupdated: 1}]->(z)`)
	permissions := []Permission{
		{Target: "Bucket", Relationship: "CAN_READ", Permissions: []string{"S3:GetObject"}},
		{Target: "ObjectStorage", Relationship: "GONE", Permissions: []string{"s3:PutObject"}, Precondition: &Precondition{"Log", "HAS", "outgoing"}},
		{Target: "Nothing", Relationship: "CAN_READ", Permissions: []string{"a:b"}},
	}
	cypher(t, g, "MATCH (n:Bucket) SET n:ObjectStorage")
	run := func(iam store.State, dry bool) *Report {
		m := &store.Manifest{Started: time.Unix(7, 0), Cells: []store.Cell{
			{CellID: store.CellID{Provider: "aws", Account: "1", Sync: "iam"}, Outcome: store.Outcome{State: iam}},
			{CellID: store.CellID{Provider: "aws", Account: "1", Region: "r", Sync: "s3"}, Outcome: store.Outcome{State: store.Complete}},
		}}
		r, err := load(context.Background(), g, m, "x", newSnapshot(7), Options{Registry: permissionRegistry(), Permissions: permissions, NoCleanup: true, DryRun: dry})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	const all = "MATCH (p:AWSPrincipal)-[r]->(x:Bucket) RETURN p.arn, type(r), coalesce(x.arn, x.name), properties(r) ORDER BY p.arn, type(r), coalesce(x.arn, x.name)"
	before := query(t, g, all)
	r := run(store.Denied, false)
	if j := r.Analysis[0]; j.Ran || j.Cell != "aws/1//iam" && !strings.HasSuffix(j.Cell, "/iam") || j.State != store.Denied {
		t.Errorf("denied: %+v", j)
	}
	run(store.Complete, true)
	if got := query(t, g, all); got != before {
		t.Errorf("a denied cell or a dry run changed\n%sto\n%s", before, got)
	}
	r = run(store.Complete, false)
	expect(t, g, all,
		`["other","GONE","z",{"lastupdated":1}]`,
		`["r","CAN_READ","arn:aws:s3:::x",{"condition_keys":[],"has_condition":false,"lastupdated":7}]`,
		`["r","CAN_READ","arn:aws:s3:::y",{"condition_keys":["k"],"conditions":"[{\"Bool\": {\"k\": \"v\"}}]","has_condition":true,"lastupdated":7}]`,
		`["u","CAN_READ","arn:aws:s3:::x",{"condition_keys":["k"],"conditions":"[{\"Bool\": {\"k\": \"v\"}}]","firstseen":5,"has_condition":true,"lastupdated":7}]`,
		`["u","CAN_READ","arn:aws:s3:::y",{"condition_keys":["k"],"conditions":"[{\"Bool\": {\"k\": \"v\"}}]","has_condition":true,"lastupdated":7}]`,
	)
	if len(r.Analysis) != 3 || !r.Analysis[0].Ran || !r.Analysis[1].Ran || r.Analysis[2].Ran {
		t.Errorf("report %+v", r.Analysis)
	}
}

// BenchmarkGrants evaluates 10,000 principals, each with a policy of its own and
// three of 500 shared ones, on 10,000 targets.
func BenchmarkGrants(b *testing.B) {
	const n = 10_000
	var targets []target
	for i := range n {
		targets = append(targets, target{fmt.Sprint(i), fmt.Sprintf("arn:aws:s3:::team%d-data-%d", i%100, i)})
	}
	all := &identities{policies: map[string][]policyStatement{}, held: map[string][]string{}}
	add := func(id string, s ...policyStatement) {
		all.order = append(all.order, id)
		all.policies[id] = s
	}
	for i := range 500 {
		add(fmt.Sprint("shared", i),
			policyStatement{effect: "Allow", action: []string{"ec2:*", "s3:Get*"}, resource: []string{fmt.Sprintf("arn:aws:s3:::team%d-*", i%100), "arn:aws:ec2:*"}, condition: `{"Bool":{"aws:SecureTransport":"true"}}`},
			policyStatement{effect: "Deny", action: []string{"s3:*"}, resource: []string{fmt.Sprintf("arn:aws:s3:::*-data-%d*", i)}})
	}
	for i := range n {
		p := fmt.Sprint("p", i)
		add("own"+p, policyStatement{effect: "Allow", action: []string{"s3:*Object"}, resource: []string{fmt.Sprintf("arn:aws:s3:::team%d-data-%d/*", i%100, i), fmt.Sprintf("arn:aws:s3:::*-%d", i)}})
		all.held[p] = []string{"own" + p, fmt.Sprint("shared", i%500), fmt.Sprint("shared", (i*7)%500), fmt.Sprint("shared", (i*13)%500)}
	}
	for b.Loop() {
		edges := 0
		if err := all.grants([]string{"S3:GetObject"}, targets, func(string, string, *conditions) error { edges++; return nil }); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(edges), "relationships")
	}
}
