package main

import (
	"path/filepath"
	"testing"
	"time"

	"snap/fixtures/neo4jtest"
)

// TestDiffGraph compares a snapshot with the graph that it was loaded into.
func TestDiffGraph(t *testing.T) {
	aws := estate(t, "small", everyone...)
	server, _ := neo4jtest.Get(t)
	dir := filepath.Join(t.TempDir(), "snap")
	must(t, []int{exitOK}, "collect", "--aws-sync-all-profiles", "--aws-regions", regions, "-o", dir)
	noneMissing(t, aws)
	must(t, []int{exitOK}, "load", dir, "--neo4j-uri", server.URI)
	for _, args := range [][]string{{dir, server.URI}, {server.URI, dir}} {
		since := time.Now()
		code, out, err := snapDiff(t, args...)
		t.Log(time.Since(since))
		if code != diffSame || err != "" {
			t.Errorf("%v: exit code %d\n%.12000s%s", args, code, out, err)
		}
	}
}
