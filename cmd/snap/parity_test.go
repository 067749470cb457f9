package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"snap/fixtures"
	"snap/fixtures/graph"
	"snap/fixtures/neo4jtest"
	"snap/load"
	"snap/store"
)

const regions = "us-east-1,eu-west-1"

// TestParity collects the recorded estate, loads it, and compares the graph
// with the one that Cartography 0.143.0 made of the same estate: node by node,
// property by property, relationship by relationship. What may differ, and
// why, is in fixtures/golden/exceptions.json.
func TestParity(t *testing.T) {
	aws := estate(t, "small", everyone...)
	server, driver := neo4jtest.Get(t)
	dir := filepath.Join(t.TempDir(), "snap")
	must(t, []int{exitOK}, "collect", "--aws-sync-all-profiles", "--aws-regions", regions, "-o", dir)
	noneMissing(t, aws)
	// The recording is without permission relationships.
	none := filepath.Join(t.TempDir(), "none.yaml")
	if err := os.WriteFile(none, []byte("[]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, []int{exitOK}, "load", dir, "--neo4j-uri", server.URI, "--permission-relationships-file", none)

	golden, err := graph.Load("small")
	if err != nil {
		t.Fatal(err)
	}
	file, err := fixtures.FindFile("golden/exceptions.json")
	if err != nil {
		t.Fatal(err)
	}
	exceptions, err := graph.LoadExceptions(file)
	if err != nil {
		t.Fatal(err)
	}
	first, err := graph.Dump(t.Context(), driver)
	if err != nil {
		t.Fatal(err)
	}
	if err := graph.Compare(golden, first, exceptions).Err(); err != nil {
		t.Error(err)
	}

	// The same snapshot once more changes nothing.
	var report load.Report
	if err := json.Unmarshal([]byte(must(t, []int{exitOK}, "load", dir, "--neo4j-uri", server.URI, "--permission-relationships-file", none, "--format", "json")), &report); err != nil {
		t.Fatal(err)
	}
	for _, table := range report.Tables {
		if table.NodesCreated+table.NodesDeleted+table.LinksDeleted > 0 {
			t.Errorf("the second load changed %s: %+v", table.Table, table)
		}
	}
	second, err := graph.Dump(t.Context(), driver)
	if err != nil {
		t.Fatal(err)
	}
	if err := graph.Compare(first, second, nil).Err(); err != nil {
		t.Errorf("the second load changed the graph: %v", err)
	}
}

// TestSameAnswersSameFiles: two collections of one estate are the same but for
// their times.
func TestSameAnswersSameFiles(t *testing.T) {
	aws := estate(t, "small", everyone...)
	files := func() map[string]string {
		dir := filepath.Join(t.TempDir(), "snap")
		must(t, []int{exitOK}, "collect", "--aws-sync-all-profiles", "--aws-regions", regions, "-o", dir)
		snapshot, err := store.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer snapshot.Close()
		if problems := snapshot.Verify(t.Context(), true); len(problems) > 0 {
			t.Fatal(problems)
		}
		sums := map[string]string{}
		for _, c := range snapshot.Manifest.Cells {
			for _, f := range c.Files {
				sums[f.Path] = f.SHA256
			}
		}
		return sums
	}
	one, two := files(), files()
	noneMissing(t, aws)
	if len(one) == 0 || !reflect.DeepEqual(one, two) {
		t.Errorf("%d files, then %d: they differ", len(one), len(two))
	}
}
