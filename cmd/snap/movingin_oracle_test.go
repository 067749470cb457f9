//go:build movingin

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"snap/fixtures/neo4jtest"
	"snap/load"
)

// TestMovingInAndOut has Cartography itself read an estate into a Neo4j, loads
// snap's snapshot of it over that, and then lets Cartography sync again. It
// needs the oracle (ORACLE) and some ten minutes: make test-moving-in.
func TestMovingInAndOut(t *testing.T) {
	o := newOracle(t)
	o.seed(cmp.Or(os.Getenv("SEED"), "1"), cmp.Or(os.Getenv("SCALE"), "0.5"))
	o.cartography() // it links only to what its graph already holds
	theirs := o.cartography()
	movesIn(t, o.driver, o.uri, o.collect(), theirs)

	twice := doubles(t, o.driver)
	same(t, theirs, o.cartography())
	if now := doubles(t, o.driver); now != twice {
		t.Errorf("Cartography's next sync made something twice: before\n%s\nnow\n%s", twice, now)
	}
}

// TestBenchWriting compares Cartography's writing of an estate, permission
// relationships included, with a load of snap's snapshot of it: into a server
// just started; again; and into one that has been in use, the one in which
// Cartography has synchronized twice, emptied before each turn. Cartography's
// writing is its whole sync without its own processor time: the fake AWS answers
// from memory. What the bare statements take into a server just started says how
// much of that is the server's alone. It prints the lines of the table in
// docs/benchmarks.md: make bench-writing.
func TestBenchWriting(t *testing.T) {
	o := newOracle(t)
	o.seed(cmp.Or(os.Getenv("SEED"), "7741"), cmp.Or(os.Getenv("SCALE"), "1"))
	const permissions = "permission_relationships" // of snap they are the load's, no sync
	o.sync(permissions)                            // fills the fake AWS's memory

	sync := func() (whole, own float64) {
		t.Helper()
		for _, field := range strings.Fields(o.sync(permissions)) {
			name, text, _ := strings.Cut(field, "=")
			seconds, err := strconv.ParseFloat(text, 64)
			switch {
			case err != nil:
			case name == "wall_s":
				whole = seconds
			case name == "user_s", name == "sys_s":
				own += seconds
			}
		}
		return whole, own
	}
	snapshot := o.collect()
	snap := func() float64 {
		t.Helper()
		var report load.Report
		if err := json.Unmarshal([]byte(must(t, []int{exitOK, exitIncomplete}, "load", snapshot, "--neo4j-uri", o.uri, "--format", "json")), &report); err != nil {
			t.Fatal(err)
		}
		return report.Seconds
	}
	empty := func() {
		t.Helper()
		if err := neo4jtest.Empty(t.Context(), o.driver); err != nil {
			t.Fatal(err)
		}
	}
	size := func(whose string) {
		t.Helper()
		fmt.Printf("%s's graph: %d nodes and %d relationships\n", whose, one(t, o.driver, "MATCH (n) RETURN count(n)"), one(t, o.driver, "MATCH ()-[r]->() RETURN count(r)"))
	}
	var whole, own, ours [3]float64
	o.server()
	whole[0], own[0] = sync()
	whole[1], own[1] = sync()
	size("Cartography")
	empty()
	whole[2], own[2] = sync()
	empty()
	ours[2] = snap()
	size("snap")
	again := snap()
	o.server()
	ours[0] = snap()
	ours[1] = snap()
	bare := o.bare()

	for i, name := range []string{"into a server just started", "the same again", "into a server in use that was emptied"} {
		writing := whole[i] - own[i]
		fmt.Printf("| %s | %.1f s | %.1f s | %.1f s | %.0f × | %.0f × |\n", name, whole[i], writing, ours[i], whole[i]/ours[i], writing/ours[i])
	}
	fmt.Printf("snap again on the server in use: %.1f s\nthe bare statements into a server just started: %.1f s\n", again, bare)
	if times := whole[2] / ours[2]; times < 20 {
		t.Errorf("into a server in use: %.1f × as fast as Cartography's sync, want 20", times)
	}
}

// bare copies the graph's nodes and relationships into a server just started,
// by one statement each in batches of 5,000, and returns the seconds.
func (o *oracle) bare() float64 {
	o.t.Helper()
	ask := func(cypher string, params map[string]any) []*neo4j.Record {
		o.t.Helper()
		result, err := neo4j.ExecuteQuery(o.t.Context(), o.driver, cypher, params, neo4j.EagerResultTransformer)
		if err != nil {
			o.t.Fatal(err)
		}
		return result.Records
	}
	rows := func(records []*neo4j.Record) (rows []map[string]any) {
		for _, r := range records {
			rows = append(rows, r.AsMap())
		}
		return rows
	}
	nodes := rows(ask("MATCH (n) RETURN elementId(n) AS e, labels(n) AS l, properties(n) AS p", nil))
	links := rows(ask("MATCH (a)-[r]->(b) RETURN elementId(a) AS a, elementId(b) AS b, type(r) AS t, properties(r) AS p", nil))
	o.server()
	began := time.Now()
	at := map[any]any{}
	for part := range slices.Chunk(nodes, 5000) {
		for _, r := range ask("UNWIND $rows AS row CREATE (n:$(row.l)) SET n = row.p RETURN row.e, elementId(n)", map[string]any{"rows": part}) {
			at[r.Values[0]] = r.Values[1]
		}
	}
	for _, l := range links {
		l["a"], l["b"] = at[l["a"]], at[l["b"]]
	}
	for part := range slices.Chunk(links, 5000) {
		ask("UNWIND $rows AS row MATCH (a) WHERE elementId(a) = row.a MATCH (b) WHERE elementId(b) = row.b CREATE (a)-[r:$(row.t)]->(b) SET r = row.p", map[string]any{"rows": part})
	}
	return time.Since(began).Seconds()
}
