//go:build movingin

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"snap/fixtures/graph"
)

// TestMovingInAndOut has Cartography itself read an estate into a Neo4j, loads
// snap's snapshot of it over that, and then lets Cartography sync again. It
// needs the oracle (ORACLE) and some ten minutes: make test-moving-in.
func TestMovingInAndOut(t *testing.T) {
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
	dir := t.TempDir()
	setenv(t, "ORACLE_RUN", filepath.Join(dir, "run"))
	setenv(t, "ORACLE_REGIONS", regions)
	setenv(t, "MOTO_PORT", port("MOTO_PORT", "5401"))
	setenv(t, "FRONT_PORT", port("FRONT_PORT", "5400"))
	bolt := port("BOLT_PORT", "7756")
	ask := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(oracle, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("oracle %s: %v\n%s", strings.Join(args, " "), err, out[max(0, len(out)-2000):])
		}
		return string(out)
	}
	defer exec.Command(oracle, "down").Run()
	ask("up", "--cache")
	ask("seed", port("SEED", "1"), port("SCALE", "0.5"), "--no-verify")
	ask("neo", bolt)
	uri := "bolt://127.0.0.1:" + bolt
	driver, err := neo4j.NewDriverWithContext(uri, neo4j.NoAuth())
	if err != nil {
		t.Fatal(err)
	}
	defer driver.Close(t.Context())

	var syncs []string
	for _, s := range registry().Syncs {
		if s.Name != "account" && s.Name != "organization" { // they are no syncs of Cartography's
			syncs = append(syncs, s.Name)
		}
	}
	slices.Sort(syncs)
	cartography := func() *graph.Graph {
		t.Helper()
		began := time.Now()
		ask("peer", uri, filepath.Join(dir, "peer.log"), "--aws-requested-syncs", strings.Join(syncs, ","))
		t.Logf("Cartography's sync: %.1f s", time.Since(began).Seconds())
		g, err := graph.Dump(t.Context(), driver)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	cartography() // it links only to what its graph already holds
	theirs := cartography()

	for _, export := range strings.Fields(strings.TrimPrefix(strings.TrimSpace(ask("profiles", filepath.Join(dir, "profiles"))), "export ")) {
		if key, value, ok := strings.Cut(export, "="); ok {
			setenv(t, key, value)
		}
	}
	snapshot := filepath.Join(dir, "snap")
	began := time.Now()
	must(t, []int{exitOK, exitIncomplete}, "collect", "--aws-sync-all-profiles", "--aws-regions", regions, "-o", snapshot)
	t.Logf("snap collect: %.1f s", time.Since(began).Seconds())
	movesIn(t, driver, uri, snapshot, theirs)

	twice := doubles(t, driver)
	same(t, theirs, cartography())
	if now := doubles(t, driver); now != twice {
		t.Errorf("Cartography's next sync made something twice: before\n%s\nnow\n%s", twice, now)
	}
}

// port is what the environment says, else what is usual here.
func port(name, usual string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return usual
}
