package main

import (
	"path/filepath"
	"testing"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"snap/fixtures/fakeaws"
	"snap/fixtures/neo4jtest"
)

// TestHierarchyIsDeletedOnlyByAWholeOne: an enumeration that fails, wherever it
// fails, leaves the organization's hierarchy as it was, and the rest of the
// load goes on; a whole one deletes what is no longer there.
func TestHierarchyIsDeletedOnlyByAWholeOne(t *testing.T) {
	aws := estate(t, "small", everyone...)
	server, driver := neo4jtest.Get(t)
	run := func(t *testing.T, code int) {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "snap")
		must(t, []int{code}, "collect", "--aws-sync-all-profiles", "--aws-regions", "us-east-1", "--aws-requested-syncs", "kms", "-o", dir)
		must(t, []int{code}, "load", dir, "--neo4j-uri", server.URI)
	}
	number := func(t *testing.T, query string) int64 {
		t.Helper()
		r, err := neo4j.ExecuteQuery(t.Context(), driver, query, nil, neo4j.EagerResultTransformer)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Records) == 0 {
			return 0
		}
		n, _ := r.Records[0].Values[0].(int64)
		return n
	}
	const hierarchy = `MATCH (n) WHERE n:AWSOrganization OR n:AWSOrganizationRoot OR n:AWSOrganizationalUnit RETURN count(n)`
	const placed = `MATCH ()-[r:PARENT]->() RETURN count(r)`
	const ghosts = `MATCH (n:AWSOrganizationalUnit {id: 'o-1/ou-gone'})-[:PARENT]->() RETURN count(n)`
	run(t, exitOK)
	nodes, links := number(t, hierarchy), number(t, placed)
	if nodes < 3 || links < 3 {
		t.Fatalf("%d nodes and %d placements; want a hierarchy", nodes, links)
	}
	// A unit that a former collection found, and AWS no longer has.
	number(t, `MATCH (u:AWSOrganizationalUnit)-[p:PARENT]->(above) WITH u, p, above LIMIT 1
		CREATE (n:AWSOrganizationalUnit) SET n = u, n.id = 'o-1/ou-gone', n.lastupdated = 1
		CREATE (n)-[q:PARENT]->(above) SET q = p, q.lastupdated = 1
		WITH n, u MATCH (o)-[r:RESOURCE]->(u) CREATE (o)-[s:RESOURCE]->(n) SET s = r, s.lastupdated = 1`)
	if got := number(t, ghosts); got != 1 {
		t.Fatalf("%d units that are gone were made; want 1", got)
	}

	for name, rule := range map[string]fakeaws.Rule{
		"nobody may describe it":      {Operation: "DescribeOrganization", Code: "AccessDeniedException"},
		"nobody may list it":          {Operation: "ListRoots", Code: "AccessDeniedException"},
		"the accounts of one unit":    {Operation: "ListAccountsForParent", Skip: 2, Code: "ServiceException"},
		"the units of one unit":       {Operation: "ListOrganizationalUnitsForParent", Skip: 1, Reset: true},
		"they are in no organization": {Operation: "DescribeOrganization", Code: "AWSOrganizationsNotInUseException"},
	} {
		t.Run(name, func(t *testing.T) {
			rule.Service = "organizations"
			if err := aws.SetFaults(rule); err != nil {
				t.Fatal(err)
			}
			defer aws.SetFaults()
			code := exitIncomplete
			if rule.Operation == "DescribeOrganization" { // then there is none to be seen, and no gap
				code = exitOK
			}
			run(t, code)
			if n, l := number(t, hierarchy), number(t, placed); n != nodes+1 || l != links+1 {
				t.Errorf("%d nodes and %d placements; want %d and %d", n, l, nodes+1, links+1)
			}
			if number(t, `MATCH (k:AWSKMSKey) WITH max(k.lastupdated) AS last MATCH (k:AWSKMSKey {lastupdated: last}) RETURN count(k)`) == 0 {
				t.Error("the keys were not loaded")
			}
		})
	}
	aws.Reset()
	run(t, exitOK)
	if n, l := number(t, hierarchy), number(t, placed); n != nodes || l != links || number(t, ghosts) != 0 {
		t.Errorf("after a whole enumeration %d nodes and %d placements; want %d and %d", n, l, nodes, links)
	}
}
