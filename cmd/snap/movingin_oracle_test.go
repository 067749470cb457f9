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

// TestBenchWriting compares Cartography's writing of an estate with a load of
// snap's snapshot of it, each into a server that was just started, and again
// over its own graph. Cartography's writing is its whole sync without its own
// processor time: the fake AWS answers from memory. It prints the lines of the
// table in docs/benchmarks.md: make bench-writing.
func TestBenchWriting(t *testing.T) {
	o := newOracle(t)
	o.seed(cmp.Or(os.Getenv("SEED"), "7741"), cmp.Or(os.Getenv("SCALE"), "1"))
	o.sync() // fills the fake AWS's memory
	o.server()
	var whole, own [2]float64
	for i := range 2 {
		for _, field := range strings.Fields(o.sync()) {
			name, text, _ := strings.Cut(field, "=")
			seconds, err := strconv.ParseFloat(text, 64)
			switch {
			case err != nil:
			case name == "wall_s":
				whole[i] = seconds
			case name == "user_s", name == "sys_s":
				own[i] += seconds
			}
		}
	}
	const nodes, links = "MATCH (n) RETURN count(n)", "MATCH ()-[r]->() RETURN count(r)"
	fmt.Printf("Cartography's graph: %d nodes and %d relationships\n", one(t, o.driver, nodes), one(t, o.driver, links))

	snapshot := o.collect()
	o.server()
	load := func() float64 {
		t.Helper()
		var report load.Report
		if err := json.Unmarshal([]byte(must(t, []int{exitOK, exitIncomplete}, "load", snapshot, "--neo4j-uri", o.uri, "--format", "json")), &report); err != nil {
			t.Fatal(err)
		}
		return report.Seconds
	}
	var ours [3]float64
	for i := range 2 {
		ours[i] = load()
	}
	fmt.Printf("snap's graph: %d nodes and %d relationships\n", one(t, o.driver, nodes), one(t, o.driver, links))
	if err := neo4jtest.Empty(t.Context(), o.driver); err != nil {
		t.Fatal(err)
	}
	ours[2] = load()
	for _, c := range []struct {
		what         string
		theirs, ours int
		warm         bool // the server knows snap's statements; else their planning is what takes the time
	}{{"into a server just started", 0, 0, false}, {"the same again", 1, 1, false}, {"into a server that was emptied", 0, 2, true}} {
		writing := whole[c.theirs] - own[c.theirs]
		times := writing / ours[c.ours]
		fmt.Printf("| %s | %.1f s | %.1f s | %.1f s | %.0f × |\n", c.what, whole[c.theirs], writing, ours[c.ours], times)
		if c.warm && times < 20 {
			t.Errorf("%s: %.1f × as fast, want 20", c.what, times)
		}
	}
}
