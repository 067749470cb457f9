//go:build movingin

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"snap/fixtures/graph"
	"snap/fixtures/neo4jtest"
	"snap/load"
)

// rival is an estate that Cartography itself can read, in the oracle that ORACLE
// names, and the Neo4j servers of it.
type rival struct {
	t   *testing.T
	dir string
	ask func(args ...string) string // the oracle, for what it prints
	log string                      // of Cartography
}

// estateOf starts a fake AWS with the estate of SEED and SCALE.
func estateOf(t *testing.T, seed, scale string) *rival {
	oracle := os.Getenv("ORACLE")
	if oracle == "" {
		oracle = "../../../shared/oracle/oracle"
	}
	oracle, err := filepath.Abs(oracle)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(oracle); err != nil {
		t.Fatalf("no oracle: %v: name it with ORACLE", err)
	}
	r := &rival{t: t, dir: t.TempDir()}
	r.log = filepath.Join(r.dir, "peer.log")
	setenv(t, "ORACLE_RUN", filepath.Join(r.dir, "run"))
	setenv(t, "ORACLE_REGIONS", regions)
	setenv(t, "MOTO_PORT", port("MOTO_PORT", "5401"))
	setenv(t, "FRONT_PORT", port("FRONT_PORT", "5400"))
	r.ask = func(args ...string) string {
		t.Helper()
		out, err := exec.Command(oracle, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("oracle %s: %v\n%s", strings.Join(args, " "), err, out[max(0, len(out)-2000):])
		}
		return string(out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command(oracle, "down").CombinedOutput(); err != nil {
			t.Errorf("oracle down: %v\n%s", err, out)
		}
	})
	r.ask("up", "--cache")
	r.ask("seed", port("SEED", seed), port("SCALE", scale), "--no-verify")
	return r
}

// server starts an empty Neo4j on a port.
func (r *rival) server(bolt string) (uri string, driver neo4j.DriverWithContext) {
	r.t.Helper()
	r.ask("neo", bolt)
	uri = "bolt://127.0.0.1:" + bolt
	driver, err := neo4j.NewDriverWithContext(uri, neo4j.NoAuth())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { driver.Close(context.Background()) })
	return uri, driver
}

// cartography syncs what snap can into a Neo4j. It returns what the oracle says
// of it.
func (r *rival) cartography(uri string) string {
	r.t.Helper()
	var syncs []string
	for _, s := range registry().Syncs {
		if s.Name != "account" && s.Name != "organization" { // they are no syncs of Cartography's
			syncs = append(syncs, s.Name)
		}
	}
	slices.Sort(syncs)
	began := time.Now()
	said := r.ask("peer", uri, r.log, "--aws-requested-syncs", strings.Join(syncs, ","))
	r.t.Logf("Cartography's sync: %.1f s", time.Since(began).Seconds())
	return said
}

// collect makes snap's snapshot of the estate.
func (r *rival) collect() string {
	r.t.Helper()
	for _, export := range strings.Fields(strings.TrimPrefix(strings.TrimSpace(r.ask("profiles", filepath.Join(r.dir, "profiles"))), "export ")) {
		if key, value, ok := strings.Cut(export, "="); ok {
			setenv(r.t, key, value)
		}
	}
	snapshot := filepath.Join(r.dir, "snap")
	began := time.Now()
	must(r.t, []int{exitOK, exitIncomplete}, "collect", "--aws-sync-all-profiles", "--aws-regions", regions, "-o", snapshot)
	r.t.Logf("snap collect: %.1f s", time.Since(began).Seconds())
	return snapshot
}

// TestMovingInAndOut has Cartography itself read an estate into a Neo4j, loads
// snap's snapshot of it over that, and then lets Cartography sync again. It
// needs the oracle (ORACLE) and some ten minutes: make test-moving-in.
func TestMovingInAndOut(t *testing.T) {
	r := estateOf(t, "1", "0.5")
	uri, driver := r.server(port("BOLT_PORT", "7756"))
	cartography := func() *graph.Graph {
		t.Helper()
		r.cartography(uri)
		g, err := graph.Dump(t.Context(), driver)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	cartography() // it links only to what its graph already holds
	theirs := cartography()
	movesIn(t, driver, uri, r.collect(), theirs)

	twice := doubles(t, driver)
	same(t, theirs, cartography())
	if now := doubles(t, driver); now != twice {
		t.Errorf("Cartography's next sync made something twice: before\n%s\nnow\n%s", twice, now)
	}
}

// TestBenchWriting compares Cartography's writing of an estate with a load of
// snap's snapshot of it, each into a server that was just started, and again
// over its own graph. Cartography's writing is its whole sync without its own
// processor time: the fake AWS answers from memory. It prints the lines of the
// table in docs/benchmarks.md: make bench-writing.
func TestBenchWriting(t *testing.T) {
	r := estateOf(t, "7741", "1")
	bolt, err := strconv.Atoi(port("BOLT_PORT", "7756"))
	if err != nil {
		t.Fatal(err)
	}
	uri, _ := r.server(strconv.Itoa(bolt))
	r.cartography(uri) // fills the fake AWS's memory
	uri, driver := r.server(strconv.Itoa(bolt))
	var whole, own [2]float64
	for i := range 2 {
		for _, field := range strings.Fields(r.cartography(uri)) {
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
	fmt.Printf("Cartography's graph: %d nodes and %d relationships\n", one(t, driver, nodes), one(t, driver, links))

	snapshot := r.collect()
	uri, driver = r.server(strconv.Itoa(bolt))
	load := func() float64 {
		t.Helper()
		var report load.Report
		if err := json.Unmarshal([]byte(must(t, []int{exitOK, exitIncomplete}, "load", snapshot, "--neo4j-uri", uri, "--format", "json")), &report); err != nil {
			t.Fatal(err)
		}
		return report.Seconds
	}
	var ours [3]float64
	for i := range 2 {
		ours[i] = load()
	}
	fmt.Printf("snap's graph: %d nodes and %d relationships\n", one(t, driver, nodes), one(t, driver, links))
	if err := neo4jtest.Empty(t.Context(), driver); err != nil {
		t.Fatal(err)
	}
	ours[2] = load()
	for _, c := range []struct {
		what         string
		theirs, ours int
	}{{"into a server just started", 0, 0}, {"the same again", 1, 1}, {"into a server that was emptied", 0, 2}} {
		writing := whole[c.theirs] - own[c.theirs]
		times := writing / ours[c.ours]
		fmt.Printf("| %s | %.1f s | %.1f s | %.1f s | %.0f × |\n", c.what, whole[c.theirs], writing, ours[c.ours], times)
		if times < 20 {
			t.Errorf("%s: %.1f × as fast, want 20", c.what, times)
		}
	}
}

// port is what the environment says, else what is usual here.
func port(name, usual string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return usual
}
