package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"snap/fixtures/neo4jtest"
)

// TestExport imports the recorded estate with Neo4j's own importer, completes
// it with a load, and compares the graph at both times with that of a load into
// an empty database, of the same server.
func TestExport(t *testing.T) {
	aws := estate(t, "small", everyone...)
	dir, out := filepath.Join(t.TempDir(), "snap"), filepath.Join(t.TempDir(), "out")
	must(t, []int{exitOK}, "collect", "--aws-sync-all-profiles", "--aws-regions", regions, "-o", dir)
	noneMissing(t, aws)
	text := must(t, []int{exitOK}, "export", dir, "--format", "neo4j-admin", "-o", out)
	for _, want := range []string{"cd " + out + " && neo4j-admin database import full neo4j @import.args", "snap load " + dir + " --neo4j-uri"} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say %q:\n%s", want, text)
		}
	}
	server, err := neo4jtest.LaunchWith(t.Context(), neo4jtest.Options{Import: out}, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	driver, err := server.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer driver.Close(t.Context())
	load := func(args ...string) string {
		t.Helper()
		return must(t, []int{exitOK}, append([]string{"load", dir, "--neo4j-uri", server.URI}, args...)...)
	}
	metadata := func() any {
		t.Helper()
		return one(t, driver, "MATCH (m:ModuleSyncMetadata) RETURN count(m)")
	}
	unchanged := func(text string) {
		t.Helper()
		for _, r := range reports(t, text) {
			for _, table := range r.Tables {
				if table.NodesCreated+table.NodesDeleted+table.LinksDeleted > 0 || r.Imported {
					t.Errorf("another load changes %s: %+v", table.Table, table)
				}
			}
		}
	}

	imported := wholeGraph(t, driver)
	if text := load(); !strings.Contains(text, "its import is complete: added ") || !strings.Contains(text, "Analysis: ") {
		t.Errorf("the load says\n%s", text)
	}
	completed, notes := wholeGraph(t, driver), metadata()
	unchanged(load("--format", "json"))
	sameGraph(t, "loaded again", wholeGraph(t, driver), completed)

	if err := neo4jtest.Empty(t.Context(), driver); err != nil {
		t.Fatal(err)
	}
	load("--no-analysis")
	want := wholeGraph(t, driver)
	if len(want) < 10_000 {
		t.Errorf("only %d nodes and relationships", len(want))
	}
	sameGraph(t, "imported", imported, want)
	unchanged(load("--format", "json"))
	sameGraph(t, "completed", completed, wholeGraph(t, driver))
	if got := metadata(); got != notes {
		t.Errorf("%v nodes of metadata after an import, %v after a load", notes, got)
	}
}

// wholeGraph is every node and relationship with every property, in words; but
// for the metadata and for when it was written. Empty lists that an import
// could not set are as its load will set them.
func wholeGraph(t *testing.T, d neo4j.DriverWithContext) []string {
	t.Helper()
	var all []string
	for _, query := range []string{
		"MATCH (n) WHERE NOT n:SyncMetadata RETURN properties(n), labels(n)",
		"MATCH (a)-[r]->(b) RETURN properties(r), labels(a), a.id, type(r), labels(b), b.id",
	} {
		r, err := neo4j.ExecuteQuery(t.Context(), d, query, nil, neo4j.EagerResultTransformer)
		if err != nil {
			t.Fatal(err)
		}
		for _, record := range r.Records {
			p := record.Values[0].(map[string]any)
			if p["firstseen"] == nil && p["_snap_cells"] != nil {
				t.Errorf("no firstseen: %v", p)
			}
			lists, _ := p["_snap_lists"].([]any)
			delete(p, "firstseen")
			delete(p, "_snap_lists")
			for _, l := range lists {
				name, one := strings.CutSuffix(l.(string), "=1")
				p[name] = []any{}
				if one {
					p[name] = []any{""}
				}
			}
			var b strings.Builder
			for _, v := range record.Values[1:] {
				if labels, ok := v.([]any); ok {
					slices.SortFunc(labels, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
				}
				fmt.Fprintf(&b, "%v ", v)
			}
			for _, name := range slices.Sorted(maps.Keys(p)) {
				if at, ok := p[name].(time.Time); ok {
					p[name] = at.Format(time.RFC3339Nano)
				}
				fmt.Fprintf(&b, " %s=%#v", name, p[name])
			}
			all = append(all, b.String())
		}
	}
	slices.Sort(all)
	return all
}

// sameGraph compares what wholeGraph gives.
func sameGraph(t *testing.T, what string, got, want []string) {
	t.Helper()
	told := 0
	for i, j := 0, 0; (i < len(got) || j < len(want)) && told < 20; {
		switch {
		case j == len(want) || i < len(got) && got[i] < want[j]:
			t.Errorf("%s: it has\n%.500s", what, got[i])
			told, i = told+1, i+1
		case i == len(got) || got[i] > want[j]:
			t.Errorf("%s: it lacks\n%.500s", what, want[j])
			told, j = told+1, j+1
		default:
			i, j = i+1, j+1
		}
	}
}

// TestExportCommand goes through what export is asked and what it says.
func TestExportCommand(t *testing.T) {
	bundle, err := filepath.Abs(filepath.Join("..", "..", "fixtures", "format-1", "estate.snap"))
	if err != nil {
		t.Fatal(err)
	}
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "mine"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	dir := func() string { return filepath.Join(t.TempDir(), "out dir") }
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{bundle, "--format", "neo4j-admin", "-o", dir()}, exitOK, "84 nodes and 131 relationships"},
		{[]string{bundle, "--format", "neo4j-admin", "-o", dir()}, exitOK, "/out dir' && neo4j-admin database import full"},
		{[]string{bundle, "--format", "neo4j-admin", "-o", dir(), "--update-tag", "7", "--selected-syncs", "ec2:vpc"}, exitOK, "--neo4j-uri bolt://localhost:7687 --update-tag 7 --selected-syncs ec2:vpc\n"},
		{[]string{bundle, "--format", "neo4j-admin", "-o", t.TempDir()}, exitOK, "update tag"},
		{[]string{bundle, "--format", "neo4j-admin", "-o", full}, exitFailed, `the directory is not empty: it holds "mine"`},
		{[]string{bundle, "--format", "neo4j-admin", "-o", dir(), "--selected-accounts", "4"}, exitFailed, "the snapshot has no account 4; it has "},
		{[]string{bundle + ".not", "--format", "neo4j-admin", "-o", dir()}, exitFailed, "there is no such directory or file"},
		{[]string{bundle, "--format", "csv", "-o", dir()}, exitUsage, `--format is "csv": use neo4j-admin`},
		{[]string{bundle, "-o", dir()}, exitUsage, "export needs --format neo4j-admin"},
		{[]string{bundle, "--format", "neo4j-admin"}, exitUsage, "export needs -o DIR"},
		{[]string{"--format", "neo4j-admin", "-o", dir()}, exitUsage, "export takes one snapshot"},
	} {
		code, out, err := snap(t.Context(), append([]string{"export"}, c.args...)...)
		if text := out + err; code != c.code || !strings.Contains(text, c.says) || code != exitOK && strings.Count(strings.TrimSpace(text), "\n") > 0 {
			t.Errorf("%q: exit code %d, want %d and %q:\n%s", c.args, code, c.code, c.says, text)
		}
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(full), ".*temp*")); err != nil || len(left) > 0 {
		t.Errorf("left over: %q %v", left, err)
	}
}
