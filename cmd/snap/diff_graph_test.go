package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"snap/diff"
	"snap/fixtures/graph"
	"snap/fixtures/neo4jtest"
	"snap/store"
)

// diffReport is what these tests read of the JSON output.
type diffReport struct {
	Summary struct {
		Total   diff.Counts
		Cells   diff.Cells
		Outside *diff.Outside
	}
	Changes []struct {
		Change, Account, Region, Table, Severity string
		Key                                      map[string]any
		Properties                               []struct {
			Name, Old, New any
			Unknown        *struct{ Text string }
		}
		Relations []struct {
			Type, Label    string
			Added, Removed []any
			Unknown        *struct{ Text string }
		}
		Unknown *struct{ Side, Text string }
		Rows    int64
	}
}

func reportOf(t *testing.T, want int, args ...string) (r diffReport) {
	t.Helper()
	code, out, err := snapDiff(t, append(args, "--format", "json")...)
	if code != want {
		t.Errorf("diff %v: exit code %d, want %d: %s", args, code, want, err)
	}
	if code == diffFailed {
		t.FailNow()
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// lines are a report's changes, one for each node, property and end of a
// relationship.
func (r diffReport) lines() []string {
	var out []string
	for _, c := range r.Changes {
		var key []string
		for _, v := range c.Key {
			key = append(key, fmt.Sprint(v))
		}
		slices.Sort(key)
		row := c.Table + " " + strings.Join(key, " ")
		if c.Change != "changed" && (c.Change != "unknown" || c.Rows > 0) {
			line := c.Change + " " + row
			if c.Rows > 0 {
				line += fmt.Sprintf("%s %d rows: %s %s", c.Account, c.Rows, c.Unknown.Side, c.Unknown.Text)
			}
			out = append(out, line)
			continue
		}
		for _, p := range c.Properties {
			line := fmt.Sprintf("%s %s %s: %v → %v", c.Change, row, p.Name, p.Old, p.New)
			if p.Unknown != nil {
				line += " (" + p.Unknown.Text + ")"
			}
			out = append(out, line)
		}
		for _, rel := range c.Relations {
			for _, v := range rel.Added {
				out = append(out, fmt.Sprintf("%s %s %s: + %v", c.Change, row, rel.Type, v))
			}
			for _, v := range rel.Removed {
				out = append(out, fmt.Sprintf("%s %s %s: - %v", c.Change, row, rel.Type, v))
			}
		}
	}
	slices.Sort(out)
	return out
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	slices.Sort(want)
	for _, l := range want {
		if !slices.Contains(got, l) {
			t.Errorf("not found: %s", l)
		}
	}
	for _, l := range got {
		if !slices.Contains(want, l) {
			t.Errorf("not expected: %s", l)
		}
	}
}

func cypher(t *testing.T, driver neo4j.DriverWithContext, query string, params map[string]any) []*neo4j.Record {
	t.Helper()
	r, err := neo4j.ExecuteQuery(t.Context(), driver, query, params, neo4j.EagerResultTransformer)
	if err != nil {
		t.Fatal(query, err)
	}
	return r.Records
}

// TestDiffGraph compares snapshots with the graph that one was loaded into, as
// it was loaded and after it was changed by hand.
func TestDiffGraph(t *testing.T) {
	aws := estate(t, "small", everyone...)
	server, driver := neo4jtest.Get(t)
	dir := filepath.Join(t.TempDir(), "snap")
	must(t, []int{exitOK}, "collect", "--aws-sync-all-profiles", "--aws-regions", regions, "-o", dir)
	noneMissing(t, aws)
	must(t, []int{exitOK}, "load", dir, "--neo4j-uri", server.URI)
	for _, args := range [][]string{{dir, server.URI}, {server.URI, dir}} {
		since := time.Now()
		code, out, err := snapDiff(t, args...)
		if code != diffSame || err != "" {
			t.Fatalf("%v: exit code %d\n%.12000s%s", args, code, out, err)
		}
		t.Logf("%.1f s", time.Since(since).Seconds())
	}

	// The same as two snapshots, but for relationships of nodes that came or
	// went: where there is no node there can be no relationship.
	drifted := filepath.Join(t.TempDir(), "drifted")
	other := estate(t, "small-drifted", everyone...)
	must(t, []int{exitOK}, "collect", "--aws-sync-all-profiles", "--aws-regions", regions, "-o", drifted)
	noneMissing(t, other)
	plain, live := reportOf(t, diffDiffers, dir, drifted), reportOf(t, diffDiffers, server.URI, drifted)
	if a, b := drift(plain), drift(live); len(a) < 100 {
		t.Errorf("%d changes between the two snapshots", len(a))
	} else {
		wantLines(t, b, a...)
	}

	const account = "222222222222"
	param := map[string]any{"account": account}
	find := func(query string) (values []string) {
		t.Helper()
		for _, r := range cypher(t, driver, query, param) {
			for _, v := range r.Values {
				values = append(values, fmt.Sprint(v))
			}
		}
		if len(values) == 0 {
			t.Fatal("nothing found: ", query)
		}
		return values
	}
	const of = "MATCH (:AWSAccount {id: $account})-[:RESOURCE]->"
	var want []string
	add := func(format string, args ...any) { want = append(want, fmt.Sprintf(format, args...)) }

	one := find(of + "(n:AWSEC2Instance) WITH n ORDER BY n.id LIMIT 1 SET n.instancetype = 'x9.huge' REMOVE n.imageid RETURN n.id")
	add("changed ec2_instance %s instancetype: %s → x9.huge", one[0], column(t, dir, "ec2_instance", one[0], "instancetype"))
	add("changed ec2_instance %s imageid: %s → <nil>", one[0], column(t, dir, "ec2_instance", one[0], "imageid"))

	bucket := find(of + "(n:AWSS3Bucket {anonymous_access: false}) WITH n ORDER BY n.id LIMIT 1 SET n.anonymous_access = true, n.anonymous_actions = ['s3:B', 's3:A'] RETURN n.id")
	add("changed s3_bucket %s anonymous_access: %s → true", bucket[0], column(t, dir, "s3_bucket", bucket[0], "anonymous_access"))
	add("changed s3_bucket %s anonymous_actions: %s → [s3:B s3:A]", bucket[0], column(t, dir, "s3_bucket", bucket[0], "anonymous_actions"))

	// A list is a set, and a document its meaning: no change.
	find("MATCH (n:AWSPolicyStatement) WHERE size(n.action) > 1 WITH n ORDER BY n.id LIMIT 1 SET n.action = [i IN range(size(n.action) - 1, 0, -1) | n.action[i]] RETURN n.id")

	key := find(of + "(n:AWSAccountAccessKey) WITH n ORDER BY n.id LIMIT 1 WITH n, n.id AS id DETACH DELETE n RETURN id")
	add("removed iam_access_key %s", key[0])

	cypher(t, driver, "MATCH (a:AWSAccount {id: $account}) CREATE (a)-[:RESOURCE]->(:AWSS3Bucket:S3Bucket:ObjectStorage {id: 'by-hand', name: 'by-hand', region: 'us-east-1', anonymous_access: true})", param)
	add("added s3_bucket by-hand")
	cypher(t, driver, "CREATE (:AWSUser:AWSPrincipal:UserAccount {id: 'arn:nobody', arn: 'arn:nobody'})", nil)
	add("unknown  none 1 rows: old account not collected")

	moved := find(of + "(n:AWSEC2Instance)-[r:PART_OF_SUBNET]->(s:AWSEC2Subnet) WITH n, r, s ORDER BY n.id LIMIT 1 DELETE r RETURN n.id, s.id")
	add("changed ec2_instance %s PART_OF_SUBNET: - %s", moved[0], moved[1])
	granted := find(of + "(u:AWSUser), (p:AWSManagedPolicy {id: 'arn:aws:iam::aws:policy/AdministratorAccess'}) WHERE NOT (u)-[:POLICY]->(p) WITH u, p ORDER BY u.id LIMIT 1 CREATE (u)-[:POLICY]->(p) RETURN u.id, p.id")
	add("changed iam_user %s POLICY: + %s", granted[0], granted[1])
	disowned := find("MATCH (:AWSAccount {id: $account})-[r:RESOURCE]->(v:AWSEBSVolume) WITH r, v ORDER BY v.id LIMIT 1 DELETE r RETURN v.id")
	add("changed ec2_volume %s RESOURCE: - %s", disowned[0], account)
	typed := find(of + "(n:AWSRDSInstance) WITH n ORDER BY n.id LIMIT 1 SET n.endpoint_port = 'many' RETURN n.id")
	add("unknown rds_instance %s endpoint_port: %s → <nil> (not readable)", typed[0], column(t, dir, "rds_instance", typed[0], "endpoint_port"))
	target := find("MATCH (b:AWSLoadBalancerV2)-[r:EXPOSE]->(i:AWSEC2Instance) WHERE r._sub_resource_id = $account WITH b, r, i ORDER BY b.id, i.id LIMIT 1 DELETE r RETURN b.id, i.id")
	slices.Sort(target)
	add("removed elbv2_instance_target %s", strings.Join(target, " "))

	r := reportOf(t, diffDiffers, dir, server.URI)
	wantLines(t, r.lines(), want...)
	grave := map[string]string{}
	for _, c := range r.Changes {
		grave[c.Table+" "+fmt.Sprint(c.Key["id"])] = c.Severity
	}
	for _, row := range []string{"s3_bucket " + bucket[0], "s3_bucket by-hand", "iam_user " + granted[0]} {
		if grave[row] != "critical" {
			t.Errorf("%s is %q, not critical", row, grave[row])
		}
	}
	// Selections and the other formats work on it, too.
	wantLines(t, reportOf(t, diffDiffers, dir, server.URI, "--table", "iam_access_key").lines(), "removed iam_access_key "+key[0])
	reportOf(t, diffSame, dir, server.URI, "--table", "iam_access_key", "--account", "333333333333")
	reportOf(t, diffDiffers, dir, server.URI, "--table", "s3_bucket", "--only", "added")
	for _, format := range []string{"text", "markdown", "html", "ndjson"} {
		if code, out, err := snapDiff(t, dir, server.URI, "--table", "s3_bucket", "--format", format); code != diffDiffers || !strings.Contains(out, "by-hand") {
			t.Errorf("--format %s: exit code %d: %.2000s%s", format, code, out, err)
		}
	}

	// Loading the snapshot again mends what it tells.
	must(t, []int{exitOK}, "load", dir, "--neo4j-uri", server.URI, "--selected-syncs", "s3,ec2:instance,iam,rds")
	if left := reportOf(t, diffSame, dir, server.URI, "--table", "iam_access_key,rds_instance,ec2_volume,ec2_instance"); len(left.Changes) != 0 {
		t.Errorf("left: %v", left.lines())
	}
}

// column is a value of a snapshot's row as text.
func column(t *testing.T, dir, table, id, name string) string {
	t.Helper()
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	decl := registry().Table(table)
	n, ok := decl.Column(name)
	if !ok {
		t.Fatalf("no column %s in %s", name, table)
	}
	for _, c := range s.Manifest.Cells {
		for _, f := range c.Files {
			if f.Table != table {
				continue
			}
			rows, _, _ := s.Read(decl, f)
			for row, err := range rows {
				if err != nil {
					t.Fatal(err)
				}
				if row[0] == id {
					return fmt.Sprint(row[n])
				}
			}
		}
	}
	t.Fatalf("no row %s in %s", id, table)
	return ""
}

// drift is a report's lines without the relationships of nodes that came or
// went, each relationship in the same words from whichever end it is told.
func drift(r diffReport) []string {
	gone := map[string]bool{}
	for _, c := range r.Changes {
		if c.Change == "added" || c.Change == "removed" {
			for _, v := range c.Key {
				gone[fmt.Sprint(v)] = true
			}
		}
	}
	var out []string
	for _, line := range r.lines() {
		words := strings.Fields(line)
		if words[1] == "elbv2_ip_target" {
			continue // to an address that no node has: there is no relationship
		}
		if words[0] != "changed" || len(words) < 6 || !strings.HasSuffix(words[3], ":") || words[4] != "+" && words[4] != "-" {
			out = append(out, line)
			continue
		}
		ends := []string{words[2], words[5]}
		if words[3] == "INSTANCE_PROFILE:" {
			continue // two snapshots tell the property, which says the same
		}
		if !gone[ends[0]] && !gone[ends[1]] {
			slices.Sort(ends)
			out = append(out, strings.Join([]string{words[3], words[4], ends[0], ends[1]}, " "))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestDiffGraphOfCartography compares the graph that Cartography made of an
// estate with a snapshot of it: nodes and relationships that name no cells.
func TestDiffGraphOfCartography(t *testing.T) {
	estate(t, "small", everyone...)
	server, driver := neo4jtest.Get(t)
	golden, err := graph.Load("small")
	if err != nil {
		t.Fatal(err)
	}
	restore(t, driver, golden)
	dir := filepath.Join(t.TempDir(), "snap")
	must(t, []int{exitOK}, "collect", "--aws-sync-all-profiles", "--aws-regions", regions, "-o", dir)
	// What fixtures/golden/exceptions.json gives the reasons of.
	known := []string{
		"ec2_network_acl PART_OF_SUBNET:", "ec2_private_ip vpc_id:", "organization_account joined_timestamp:",
		"s3_bucket anonymous_access:", "s3_bucket anonymous_actions:",
		"ec2_vpc region:", "ec2_vpc dhcp_options_id:", "ec2_vpc instance_tenancy:", "ec2_vpc is_default:", "ec2_vpc primary_cidr_block:", "ec2_vpc state:",
	}
	r := reportOf(t, diffDiffers, dir, server.URI)
	for _, l := range r.lines() {
		if w := strings.Fields(l); w[0] != "changed" || !slices.Contains(known, w[1]+" "+w[3]) {
			t.Error(l)
		}
	}
	if r.Summary.Total.Same < 3000 {
		t.Errorf("%+v", r.Summary.Total)
	}
}

// TestDiffGraphIncomplete compares what is not complete on one side.
func TestDiffGraphIncomplete(t *testing.T) {
	server, driver := neo4jtest.Get(t)
	syncs := []string{"s3", "iam"}
	full := writeIn(t, syncs, bucket(r{"anonymous_access": false}))
	must(t, []int{exitOK}, "load", full, "--neo4j-uri", server.URI, "--no-analysis", "--selected-syncs", "s3")
	reportOf(t, diffSame, full, server.URI)

	// The snapshot does not know what is in the bucket's cell.
	denied := deniedIn(t, "s3")
	got := reportOf(t, diffNotComparable, denied, server.URI)
	if len(got.Changes) == 0 || got.Changes[0].Change != "unknown" || got.Changes[0].Unknown.Side != "old" || !strings.Contains(got.Changes[0].Unknown.Text, "denied") {
		t.Errorf("%+v: %v", got, got.lines())
	}
	got = reportOf(t, diffNotComparable, server.URI, denied)
	if len(got.Changes) == 0 || got.Changes[0].Change != "unknown" || got.Changes[0].Unknown.Side != "new" {
		t.Errorf("%+v: %v", got, got.lines())
	}

	// The graph was not told of it.
	cypher(t, driver, "MATCH (n) DETACH DELETE n", nil)
	got = reportOf(t, diffNotComparable, full, server.URI)
	if len(got.Changes) == 0 || got.Changes[0].Change != "unknown" || got.Changes[0].Unknown.Side != "new" || !strings.Contains(got.Changes[0].Unknown.Text, "not loaded") {
		t.Errorf("%+v: %v", got, got.lines())
	}

	// What the graph has of others is counted and no difference.
	must(t, []int{exitOK}, "load", full, "--neo4j-uri", server.URI, "--no-analysis")
	cypher(t, driver, "CREATE (:AWSS3Bucket:S3Bucket:ObjectStorage {id: 'theirs', lastupdated: 1, _snap_cells: ['aws/999999999999//s3']})", nil)
	if got = reportOf(t, diffSame, full, server.URI); got.Summary.Outside == nil || *got.Summary.Outside != (diff.Outside{Nodes: 1, Cells: 1}) {
		t.Errorf("%+v", got.Summary)
	}
	if _, out, _ := snapDiff(t, full, server.URI); !strings.Contains(out, "Not compared: 1 node that only the graph has, in 1 cell") {
		t.Error(out)
	}
}

// deniedIn is a snapshot in which a sync was denied.
func deniedIn(t *testing.T, sync string) string {
	t.Helper()
	started := time.Date(2024, 5, 2, 6, 0, 0, 0, time.UTC)
	dir := filepath.Join(t.TempDir(), "snap")
	w, err := store.Create(dir, store.Manifest{Program: "snap test", Started: started, Syncs: []string{sync},
		Accounts: []store.Account{{Provider: "aws", ID: account, Name: "prod", Regions: []string{"us-east-1"}}}})
	if err != nil {
		t.Fatal(err)
	}
	tables := registry().Sync(sync).Tables
	cell := w.Cell(store.CellID{Provider: "aws", Account: account, Sync: sync})
	if err := cell.Close(tables, store.Outcome{State: store.Denied, Code: "AccessDenied", Action: "s3:ListAllMyBuckets", Started: started, Finished: started}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Commit(tables, started); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestDiffGraphErrors: each is one line and exit code 2.
func TestDiffGraphErrors(t *testing.T) {
	server, _ := neo4jtest.Get(t)
	dir := writeIn(t, []string{"s3"}, bucket(r{"anonymous_access": false}))
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	nowhere := "bolt://" + nobody(t)
	for _, c := range []struct {
		args []string
		err  string
	}{
		{[]string{dir, nowhere}, "no server answers at " + nowhere},
		{[]string{nowhere, dir}, "no server answers at " + nowhere},
		{[]string{nowhere, nowhere}, "one of the two must be a snapshot"},
		{[]string{dir, "bolt://"}, "no server answers at bolt://"},
		{[]string{dir, server.URI, "--neo4j-database", "missing"}, "no database missing"},
		{[]string{dir, server.URI, "--neo4j-password-env-var", "NONE"}, "needs --neo4j-user"},
		{[]string{dir, server.URI, "--neo4j-user", "neo4j", "--neo4j-password-env-var", "SNAP_TEST_NO_SUCH"}, "has no variable"},
		{[]string{dir, dir, "--neo4j-user", "neo4j"}, "is for a graph"},
		{[]string{dir, server.URI, "--table", "nothing"}, "nothing"},
		{[]string{dir, server.URI, "--account", "999999999999"}, "999999999999"},
		{[]string{dir + "/none", server.URI}, "no such directory"},
	} {
		code, out, err := snapDiff(t, c.args...)
		if code != diffFailed || out != "" || !strings.Contains(err, c.err) || strings.Count(err, "\n") != 1 {
			t.Errorf("%v: exit code %d: %s%s", c.args, code, out, err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errInterrupted)
	if code, _, err := snap(ctx, "diff", dir, server.URI); code != exitInterrupted {
		t.Errorf("interrupted: exit code %d: %s", code, err)
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("left in the temporary directory: %v %v", left, err)
	}
}
