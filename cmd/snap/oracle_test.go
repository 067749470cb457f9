//go:build movingin || parity

package main

import (
	"cmp"
	"context"
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

// oracle is a fake AWS with a seeded estate, and Cartography itself with a
// Neo4j of its own. It needs the oracle's program (ORACLE).
type oracle struct {
	t      *testing.T
	path   string
	dir    string
	uri    string // the Neo4j's
	driver neo4j.DriverWithContext
}

// newOracle starts everything; the ports may be said by MOTO_PORT, FRONT_PORT
// and BOLT_PORT. It ends with the test.
func newOracle(t *testing.T) *oracle {
	t.Helper()
	path, err := filepath.Abs(cmp.Or(os.Getenv("ORACLE"), "../../../shared/oracle/oracle"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("no oracle: %v: name it with ORACLE", err)
	}
	o := &oracle{t: t, path: path, dir: t.TempDir()}
	setenv(t, "ORACLE_RUN", filepath.Join(o.dir, "run"))
	setenv(t, "ORACLE_REGIONS", regions)
	setenv(t, "MOTO_PORT", cmp.Or(os.Getenv("MOTO_PORT"), "5401"))
	setenv(t, "FRONT_PORT", cmp.Or(os.Getenv("FRONT_PORT"), "5400"))
	t.Cleanup(func() {
		if out, err := exec.Command(path, "down").CombinedOutput(); err != nil {
			t.Errorf("oracle down: %v\n%s", err, out)
		}
	})
	o.ask("up", "--cache")
	o.server()
	return o
}

// server starts an empty Neo4j, in place of the one before.
func (o *oracle) server() {
	o.t.Helper()
	bolt := cmp.Or(os.Getenv("BOLT_PORT"), "7756")
	o.ask("neo", bolt)
	o.uri = "bolt://127.0.0.1:" + bolt
	driver, err := neo4j.NewDriverWithContext(o.uri, neo4j.NoAuth())
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { _ = driver.Close(context.Background()) })
	o.driver = driver
}

// ask runs a command of the oracle's program.
func (o *oracle) ask(args ...string) string {
	o.t.Helper()
	out, err := exec.Command(o.path, args...).CombinedOutput()
	if err != nil {
		o.t.Fatalf("oracle %s: %v\n%s", strings.Join(args, " "), err, out[max(0, len(out)-2000):])
	}
	return string(out)
}

// seed fills the fake AWS with an estate.
func (o *oracle) seed(seed, scale string) { o.t.Helper(); o.ask("seed", seed, scale, "--no-verify") }

// sync lets Cartography read the estate with the syncs that snap has, and
// further ones. It returns what the oracle says of it.
func (o *oracle) sync(further ...string) string {
	o.t.Helper()
	syncs := further
	for _, s := range registry().Syncs {
		if s.Name != "account" && s.Name != "organization" { // they are no syncs of Cartography's
			syncs = append(syncs, s.Name)
		}
	}
	slices.Sort(syncs)
	began := time.Now()
	said := o.ask("peer", o.uri, filepath.Join(o.dir, "peer.log"), "--aws-requested-syncs", strings.Join(syncs, ","))
	o.t.Logf("Cartography's sync: %.1f s", time.Since(began).Seconds())
	return said
}

// cartography is the graph that Cartography makes of the estate.
func (o *oracle) cartography() *graph.Graph {
	o.t.Helper()
	o.sync()
	return o.dump()
}

// dump is the graph as it is.
func (o *oracle) dump() *graph.Graph {
	o.t.Helper()
	g, err := graph.Dump(o.t.Context(), o.driver)
	if err != nil {
		o.t.Fatal(err)
	}
	return g
}

// collect makes snap's snapshot of the estate.
func (o *oracle) collect() string {
	o.t.Helper()
	for _, export := range strings.Fields(strings.TrimPrefix(strings.TrimSpace(o.ask("profiles", filepath.Join(o.dir, "profiles"))), "export ")) {
		if key, value, ok := strings.Cut(export, "="); ok {
			setenv(o.t, key, value)
		}
	}
	snapshot := filepath.Join(o.dir, "snap")
	began := time.Now()
	must(o.t, []int{exitOK, exitIncomplete}, "collect", "--aws-sync-all-profiles", "--aws-regions", regions, "-o", snapshot)
	o.t.Logf("snap collect: %.1f s", time.Since(began).Seconds())
	return snapshot
}
