package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"snap/fixtures"
	"snap/fixtures/graph"
	"snap/fixtures/neo4jtest"
	"snap/load"
)

// TestMovingIn loads the recorded estate into a Neo4j that holds the graph that
// Cartography made of it: nothing comes twice, nothing goes, and nothing
// changes but what fixtures/golden/exceptions.json lists.
func TestMovingIn(t *testing.T) {
	estate(t, "small", everyone...)
	server, driver := neo4jtest.Get(t)
	golden, err := graph.Load("small")
	if err != nil {
		t.Fatal(err)
	}
	restore(t, driver, golden)
	dir := filepath.Join(t.TempDir(), "snap")
	must(t, []int{exitOK}, "collect", "--aws-sync-all-profiles", "--aws-regions", regions, "-o", dir)
	movesIn(t, driver, server.URI, dir, golden)
	if seen := one(t, driver, "MATCH (n) WHERE n.firstseen = 1 RETURN count(n)"); seen != int64(len(golden.Nodes)) {
		t.Errorf("%d nodes were first seen when Cartography saw them, want %d", seen, len(golden.Nodes))
	}
}

// movesIn loads a snapshot over Cartography's graph of the same estate.
func movesIn(t *testing.T, driver neo4j.DriverWithContext, uri, dir string, theirs *graph.Graph) {
	t.Helper()
	twice := doubles(t, driver)
	none := filepath.Join(t.TempDir(), "none.yaml") // the recording is without permission relationships
	if err := os.WriteFile(none, []byte("[]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var report load.Report
	if err := json.Unmarshal([]byte(must(t, []int{exitOK, exitIncomplete}, "load", dir, "--neo4j-uri", uri, "--format", "json", "--permission-relationships-file", none)), &report); err != nil {
		t.Fatal(err)
	}
	t.Logf("snap load: %.1f s", report.Seconds)
	for _, table := range report.Tables {
		if table.NodesDeleted+table.LinksDeleted > 0 { // not all regions were read
			t.Errorf("deleted %d nodes and %d relationships of %s", table.NodesDeleted, table.LinksDeleted, table.Table)
		}
	}
	if now := doubles(t, driver); now != twice {
		t.Errorf("what is there twice: before\n%s\nnow\n%s", twice, now)
	}
	ours, err := graph.Dump(t.Context(), driver)
	if err != nil {
		t.Fatal(err)
	}
	same(t, theirs, ours)
}

// same compares two graphs. An exception that is not needed is no mistake here:
// what snap does not write, but Cartography did, stays.
func same(t *testing.T, theirs, ours *graph.Graph) {
	t.Helper()
	file, err := fixtures.FindFile("golden/exceptions.json")
	if err != nil {
		t.Fatal(err)
	}
	exceptions, err := graph.LoadExceptions(file)
	if err != nil {
		t.Fatal(err)
	}
	r := graph.Compare(theirs, ours, exceptions)
	r.Unused = nil
	if err := r.Err(); err != nil {
		t.Error(err)
	}
}

// doubles are the nodes and relationships that a graph has more than once.
func doubles(t *testing.T, driver neo4j.DriverWithContext) string {
	t.Helper()
	var lines []string
	for _, q := range []string{
		"MATCH (n) WHERE n.id IS NOT NULL UNWIND labels(n) AS label WITH label, n.id AS id, count(*) AS times WHERE times > 1 RETURN label + ' ' + toString(id) + ' ' + times AS line",
		"MATCH (a)-[r]->(b) WITH a, b, type(r) AS type, count(*) AS times WHERE times > 1 RETURN coalesce(toString(a.id), '') + ' ' + type + ' ' + coalesce(toString(b.id), '') + ' ' + times AS line",
	} {
		for _, record := range ask(t, driver, q, nil) {
			lines = append(lines, fmt.Sprint(record.Values[0]))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// one is the value that a query returns.
func one(t *testing.T, driver neo4j.DriverWithContext, query string) any {
	t.Helper()
	return ask(t, driver, query, nil)[0].Values[0]
}

// ask returns the records of a statement.
func ask(t *testing.T, driver neo4j.DriverWithContext, cypher string, params map[string]any) []*neo4j.Record {
	t.Helper()
	r, err := neo4j.ExecuteQuery(t.Context(), driver, cypher, params, neo4j.EagerResultTransformer)
	if err != nil {
		t.Fatal(err)
	}
	return r.Records
}

// create makes nodes, each an i of its own, labels l and properties p, and
// relationships between them, each of type t from the i a to the i b with
// properties p: by one statement each, in batches of 5,000.
func create(t *testing.T, driver neo4j.DriverWithContext, nodes, links []map[string]any) {
	t.Helper()
	element := map[any]any{}
	for part := range slices.Chunk(nodes, 5000) {
		for _, r := range ask(t, driver, "UNWIND $rows AS row CREATE (n:$(row.l)) SET n = row.p RETURN row.i, elementId(n)", map[string]any{"rows": part}) {
			element[r.Values[0]] = r.Values[1]
		}
	}
	for _, l := range links {
		l["a"], l["b"] = element[l["a"]], element[l["b"]]
	}
	for part := range slices.Chunk(links, 5000) {
		ask(t, driver, "UNWIND $rows AS row MATCH (a) WHERE elementId(a) = row.a MATCH (b) WHERE elementId(b) = row.b CREATE (a)-[r:$(row.t)]->(b) SET r = row.p", map[string]any{"rows": part})
	}
}

// restore writes a graph as Cartography would have left it.
func restore(t *testing.T, driver neo4j.DriverWithContext, g *graph.Graph) {
	t.Helper()
	at := map[string]int64{}
	name := func(labels []string, key string) string { return strings.Join(labels, ",") + " " + key }
	once := func(props map[string]any) map[string]any {
		p := values(t, props)
		p["firstseen"], p["lastupdated"] = 1, 1
		return p
	}
	var nodes, links []map[string]any
	for i, n := range g.Nodes {
		at[name(n.Labels, n.Key)] = int64(i)
		nodes = append(nodes, map[string]any{"l": n.Labels, "i": int64(i), "p": once(n.Props)})
	}
	for _, r := range g.Rels {
		a, ok := at[name(r.From.Labels, r.From.Key)]
		b, too := at[name(r.To.Labels, r.To.Key)]
		if !ok || !too {
			t.Fatalf("%s: an end is missing", r)
		}
		links = append(links, map[string]any{"t": r.Type, "a": a, "b": b, "p": once(r.Props)})
	}
	create(t, driver, nodes, links)
	now, err := graph.Dump(t.Context(), driver)
	if err != nil {
		t.Fatal(err)
	}
	if err := graph.Compare(g, now, nil).Err(); err != nil {
		t.Fatalf("the graph was not restored: %v", err)
	}
}

// values are properties as the driver takes them.
func values(t *testing.T, props map[string]any) map[string]any {
	t.Helper()
	var value func(v any) any
	value = func(v any) any {
		switch v := v.(type) {
		case json.Number:
			if i, err := v.Int64(); err == nil {
				return i
			}
			f, err := v.Float64()
			if err != nil {
				t.Fatal(err)
			}
			return f
		case []any:
			out := make([]any, len(v))
			for i := range v {
				out[i] = value(v[i])
			}
			return out
		case string:
			if text, ok := strings.CutPrefix(v, "DateTime("); ok {
				at, err := time.Parse("2006-01-02T15:04:05.000000000-07:00)", text)
				if err != nil {
					t.Fatal(err)
				}
				_, offset := at.Zone()
				return at.In(time.FixedZone("Offset", offset))
			}
		}
		return v
	}
	out := map[string]any{}
	for k, v := range props {
		out[k] = value(v)
	}
	return out
}
