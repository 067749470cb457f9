//go:build movingin

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

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

// bare copies the graph's nodes and relationships into a server just started
// and returns the seconds.
func (o *oracle) bare() float64 {
	o.t.Helper()
	rows := func(query string) (rows []map[string]any) {
		o.t.Helper()
		for _, r := range ask(o.t, o.driver, query, nil) {
			rows = append(rows, r.AsMap())
		}
		return rows
	}
	nodes := rows("MATCH (n) RETURN elementId(n) AS i, labels(n) AS l, properties(n) AS p")
	links := rows("MATCH (a)-[r]->(b) RETURN elementId(a) AS a, elementId(b) AS b, type(r) AS t, properties(r) AS p")
	o.server()
	began := time.Now()
	create(o.t, o.driver, nodes, links)
	return time.Since(began).Seconds()
}
