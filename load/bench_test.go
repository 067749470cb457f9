//go:build bench

package load

import (
	"context"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"snap/fixtures/neo4jtest"
	"snap/store"
	"snap/store/kind"
)

// benchRow is a node of 20 properties that belongs to a VPC.
type benchRow struct {
	ID   string   `snap:"id,key"`
	Name string   `snap:"name,index"`
	VPC  string   `snap:"vpc_id"`
	A    string   `snap:"a"`
	B    string   `snap:"b"`
	C    string   `snap:"c"`
	D    string   `snap:"d"`
	E    string   `snap:"e"`
	F    string   `snap:"f"`
	G    string   `snap:"g"`
	H    int64    `snap:"h"`
	I    int64    `snap:"i"`
	J    int64    `snap:"j"`
	K    bool     `snap:"k"`
	L    bool     `snap:"l"`
	M    float64  `snap:"m"`
	N    []string `snap:"n"`
	O    *string  `snap:"o"`
	P    *string  `snap:"p"`
	Q    *int64   `snap:"q"`
	Near string   `snap:"_near"`
}

var bench = kind.Of[benchRow](kind.Table{Name: "bench", Label: "Bench", Links: []kind.Link{
	{Type: "MEMBER_OF", To: "BenchVpc", On: kind.On{"id": "vpc_id"}},
	{Type: "NEAR", To: "Bench", On: kind.On{"id": "_near"}},
}})

var benchVpcs = kind.Of[rangeRow](kind.Table{Name: "bench_vpc", Label: "BenchVpc"})

var benchRegistry = func() *kind.Registry {
	r := &kind.Registry{}
	r.Register(&kind.Sync{Name: "account", Global: true, Tables: []*kind.Table{kind.Of[accountRow](kind.Table{Name: "account", Label: "AWSAccount", Unowned: true, Keep: true}).Table}})
	r.Register(&kind.Sync{Name: "bench", Tables: []*kind.Table{bench.Table, benchVpcs.Table}})
	return r
}()

// benchSource makes rows as they are read: none is kept.
type benchSource int

const perVpc = 250

func (n benchSource) row(i int) benchRow {
	text := func(c string) string { return c + " of some resource number " + strconv.Itoa(i) }
	return benchRow{ID: "arn:aws:ec2:us-east-1:1:thing/" + strconv.Itoa(i), Name: text("name"), VPC: "vpc-" + strconv.Itoa(i/perVpc),
		A: text("a"), B: "available", C: "us-east-1a", D: text("d"), E: "enabled", F: text("f"), G: "default", H: int64(i), I: 443, J: int64(i) * 7,
		K: i%2 == 0, L: true, M: float64(i) / 3, N: []string{"one", "two"}, Near: "arn:aws:ec2:us-east-1:1:thing/" + strconv.Itoa((i+1)%int(n))}
}

func (n benchSource) Read(t *kind.Table, f store.File) (iter.Seq2[kind.Row, error], []string, []string) {
	return func(yield func(kind.Row, error) bool) {
		for i := range int(f.Rows) {
			var rows one
			switch t.Name {
			case "account":
				rows.Put(t, kind.Row{"1", "one"})
			case "bench":
				bench.Put(&rows, n.row(i))
			default:
				benchVpcs.Put(&rows, rangeRow{"vpc-" + strconv.Itoa(i), "x"})
			}
			if !yield(rows.row, nil) {
				return
			}
		}
	}, nil, nil
}

// one is a Sink that holds a row.
type one struct{ row kind.Row }

func (o *one) Put(_ *kind.Table, r kind.Row) { o.row = r }
func (o *one) Lose(error)                    {}

func (n benchSource) manifest(tag int64) *store.Manifest {
	m := &store.Manifest{Started: time.Unix(tag, 0)}
	for _, s := range benchRegistry.Syncs {
		c := store.Cell{CellID: store.CellID{Provider: "aws", Account: "1", Sync: s.Name}, Outcome: store.Outcome{State: store.Complete}}
		for _, t := range s.Tables {
			rows := int64(1)
			switch t.Name {
			case "bench":
				rows = int64(n)
			case "bench_vpc":
				rows = int64((int(n) + perVpc - 1) / perVpc)
			}
			c.Files = append(c.Files, store.File{Table: t.Name, Path: t.Name, Rows: rows})
			m.Tables = append(m.Tables, store.TableInfo{Name: t.Name, Sync: s.Name, Columns: t.Columns})
		}
		m.Cells = append(m.Cells, c)
	}
	return m
}

// emptied is an empty graph. It takes relationships away first: the account has
// too many for one transaction.
func emptied(t *testing.T, used *Graph) *Graph {
	for used != nil {
		_, n, err := used.write(context.Background(), statement{cypher: "MATCH ()-[r]->() WITH r LIMIT 20000 DELETE r"})
		if err != nil {
			t.Fatal(err)
		}
		if n.linksDeleted == 0 {
			break
		}
	}
	return testGraph(t)
}

// bare writes the same graph with the same driver and indexes, in batches of
// the same size. It neither asks what was there nor looks for what is gone.
func (n benchSource) bare(t *testing.T, g *Graph, tag int64) {
	ctx := context.Background()
	run := func(cypher string, params map[string]any) {
		if _, _, err := g.write(ctx, statement{cypher, params}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := createIndexes(ctx, g, indexes([]*kind.Table{bench.Table, benchVpcs.Table}, nil, func(string) bool { return true }), false); err != nil {
		t.Fatal(err)
	}
	run("MERGE (:AWSAccount {id: '1'})", nil)
	batches := func(of int, row func(i int) map[string]any, cypher string) {
		for from := 0; from < of; from += batchRows {
			var rows []map[string]any
			for i := from; i < min(from+batchRows, of); i++ {
				rows = append(rows, row(i))
			}
			run(cypher, map[string]any{"rows": rows, "tag": tag, "cells": []string{"aws/1//bench"}})
		}
	}
	vpcs := (int(n) + perVpc - 1) / perVpc
	batches(vpcs, func(i int) map[string]any { return map[string]any{"id": "vpc-" + strconv.Itoa(i)} },
		"UNWIND $rows AS row MERGE (n:BenchVpc {id: row.id}) ON CREATE SET n.firstseen = timestamp() SET n.lastupdated = $tag, n._snap_cells = $cells WITH n MATCH (a:AWSAccount {id: '1'}) MERGE (a)-[r:RESOURCE]->(n) ON CREATE SET r.firstseen = timestamp() SET r.lastupdated = $tag, r._snap_cells = $cells")
	batches(int(n), func(i int) map[string]any {
		r := n.row(i)
		return map[string]any{"id": r.ID, "p": map[string]any{"name": r.Name, "vpc_id": r.VPC, "a": r.A, "b": r.B, "c": r.C, "d": r.D, "e": r.E, "f": r.F, "g": r.G, "h": r.H, "i": r.I, "j": r.J, "k": r.K, "l": r.L, "m": r.M, "n": r.N, "o": nil, "p": nil, "q": nil}}
	}, "UNWIND $rows AS row MERGE (n:Bench {id: row.id}) ON CREATE SET n.firstseen = timestamp() SET n += row.p, n.lastupdated = $tag, n._snap_cells = $cells WITH n MATCH (a:AWSAccount {id: '1'}) MERGE (a)-[r:RESOURCE]->(n) ON CREATE SET r.firstseen = timestamp() SET r.lastupdated = $tag, r._snap_cells = $cells")
	for _, l := range []struct {
		typ, to string
		id      func(benchRow) string
	}{{"MEMBER_OF", "BenchVpc", func(r benchRow) string { return r.VPC }}, {"NEAR", "Bench", func(r benchRow) string { return r.Near }}} {
		batches(int(n), func(i int) map[string]any { r := n.row(i); return map[string]any{"id": r.ID, "to": l.id(r)} },
			"UNWIND $rows AS row MATCH (n:Bench {id: row.id}) MATCH (o:"+l.to+" {id: row.to}) MERGE (n)-[r:"+l.typ+"]->(o) ON CREATE SET r.firstseen = timestamp() SET r.lastupdated = $tag, r._snap_cells = $cells")
	}
}

// benchRows is ROWS, or that many.
func benchRows(t *testing.T, n int) benchSource {
	if v := os.Getenv("ROWS"); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	return benchSource(n)
}

func (n benchSource) export(t *testing.T, dir string, tag int64) *ExportReport {
	r, err := export(context.Background(), n.manifest(tag), "bench", n, dir, ExportOptions{Registry: benchRegistry})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestBenchExport compares the way through neo4j-admin, from the snapshot to a
// graph that a load has completed, with a load into an empty graph, in one run
// and with servers of the same settings. ROWS is how many nodes, 200,000 if it
// is not set; each has three relationships.
func TestBenchExport(t *testing.T) {
	n := benchRows(t, 200_000)
	dir := filepath.Join(t.TempDir(), "out")
	r := n.export(t, dir, 100)
	server := launch(t, neo4jtest.Options{Import: dir})
	g := connected(t, server.URI)
	began := time.Now()
	report, err := load(context.Background(), g, n.manifest(100), "bench", n, Options{Registry: benchRegistry})
	if err != nil || !report.Imported {
		t.Fatalf("imported %v, %v", report.Imported, err)
	}
	completed := time.Since(began).Seconds()
	same := func(g *Graph) {
		expect(t, g, "MATCH (n:Bench) RETURN count(n), count(n.name), sum(n.h)", fmt.Sprintf("[%d,%d,%d]", n, n, int(n)*(int(n)-1)/2))
		expect(t, g, "MATCH ()-[r]->() RETURN count(r)", fmt.Sprintf("[%d]", r.Links))
	}
	same(g)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	g = testGraph(t)
	benchSource(20_000).bare(t, g, 1) // warms the server up
	g = emptied(t, g)
	began = time.Now()
	if _, err := load(context.Background(), g, n.manifest(100), "bench", n, Options{Registry: benchRegistry}); err != nil {
		t.Fatal(err)
	}
	loaded := time.Since(began).Seconds()
	same(g)
	all := r.Seconds + server.Imported.Seconds() + completed
	fmt.Printf("| %d | %d | %.1f s | %.1f s | %.1f s | %.1f s | %.1f s | %.1f × | %.0f MB |\n", r.Nodes, r.Links, r.Seconds, server.Imported.Seconds(), completed, all, loaded, loaded/all, float64(r.Bytes)/1e6)
}

// TestBenchExportMemory exports 1 M nodes and 3 M relationships, or ROWS of them.
func TestBenchExportMemory(t *testing.T) {
	debug.SetGCPercent(200) // as snap does
	n := benchRows(t, 1_000_000)
	r := n.export(t, filepath.Join(t.TempDir(), "out"), 100)
	mb := resident(t)
	fmt.Printf("%d nodes and %d relationships exported in %.0f s, resident at most %d MB\n", r.Nodes, r.Links, r.Seconds, mb)
	if mb > 600 {
		t.Error("that is more than 600 MB")
	}
}

// TestBenchLoad compares a load with the bare loop, in turns on one server, and
// prints the lines of the table in docs/benchmarks.md. ROWS is how many nodes,
// 200,000 if it is not set; each has three relationships.
func TestBenchLoad(t *testing.T) {
	n := benchRows(t, 200_000)
	first, again := [2]float64{math.Inf(1), math.Inf(1)}, [2]float64{math.Inf(1), math.Inf(1)}
	turns := 2
	if os.Getenv("TURNS") != "" {
		turns, _ = strconv.Atoi(os.Getenv("TURNS"))
	}
	g := testGraph(t)
	benchSource(20_000).bare(t, g, 1) // warms the server up
	for range turns {
		for who := range 2 {
			g = emptied(t, g)
			for i, best := range []*float64{&first[who], &again[who]} {
				tag := int64(100 * (i + 1))
				began := time.Now()
				if who == 0 {
					n.bare(t, g, tag)
				} else if _, err := load(context.Background(), g, n.manifest(tag), "bench", n, Options{Registry: benchRegistry, Writers: writersOf(t)}); err != nil {
					t.Fatal(err)
				}
				*best = min(*best, time.Since(began).Seconds())
			}
			expect(t, g, "MATCH (n:Bench) RETURN count(n)", fmt.Sprintf("[%d]", int(n)))
			expect(t, g, "MATCH (:Bench)-[r]->() RETURN count(r)", fmt.Sprintf("[%d]", 2*int(n)))
			expect(t, g, "MATCH (:AWSAccount)-[r:RESOURCE]->(:Bench) RETURN count(r)", fmt.Sprintf("[%d]", int(n)))
		}
	}
	rate := func(seconds float64) float64 { return float64(4*int(n)) / seconds }
	for name, took := range map[string][2]float64{"into an empty graph": first, "the same again": again} {
		share := took[0] / took[1]
		fmt.Printf("| %s | %.0f | %.0f | %.0f %% |\n", name, rate(took[1]), rate(took[0]), 100*share)
		if share < 0.8 {
			t.Errorf("%s: %.0f %% of the bare loop's speed, want 80 %%", name, 100*share)
		}
	}
}

// writersOf is Options.Writers, which WRITERS may say.
func writersOf(t *testing.T) int {
	v := os.Getenv("WRITERS")
	if v == "" {
		return 0
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestBenchMemory loads 1 M nodes and 3 M relationships, or ROWS of them.
func TestBenchMemory(t *testing.T) {
	n := benchRows(t, 1_000_000)
	g := testGraph(t)
	began := time.Now()
	if _, err := load(context.Background(), g, n.manifest(100), "bench", n, Options{Registry: benchRegistry}); err != nil {
		t.Fatal(err)
	}
	mb := resident(t)
	fmt.Printf("%d nodes and %d relationships in %.0f s, resident at most %d MB\n", n, 3*n, time.Since(began).Seconds(), mb)
	if mb > 300 {
		t.Error("that is more than 300 MB")
	}
}

// resident is the most memory that this process had, in MB.
func resident(t *testing.T) int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kb / 1024
}

// TestBenchPermissions evaluates the policies of 10,000 principals on 10,000
// buckets, among them wildcards and denials, and writes what they may: reading
// and writing of the graph included.
func TestBenchPermissions(t *testing.T) {
	const principals, targets = 10_000, 10_000
	g, ctx := testGraph(t), context.Background()
	run := func(cypher string, n int) {
		for from := 0; from < n; from += batchRows {
			if _, _, err := g.write(ctx, statement{cypher, map[string]any{"from": from, "to": min(from+batchRows, n) - 1}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, i := range []index{{on: "AWSPrincipal", keys: "id"}, {on: "AWSPolicy", keys: "id"}} {
		run(i.cypher(), 1)
	}
	run("CREATE (:AWSAccount {id: '1'})", 1)
	run("MATCH (a:AWSAccount) UNWIND range($from, $to) AS i CREATE (a)-[:RESOURCE]->(:AWSS3Bucket {id: 'b' + i, arn: 'arn:aws:s3:::bucket-' + i})", targets)
	run("MATCH (a:AWSAccount) UNWIND range($from, $to) AS i CREATE (a)-[:RESOURCE]->(p:AWSPrincipal {id: 'p' + i, arn: 'arn:aws:iam::1:role/r' + i})-[:POLICY]->(policy:AWSPolicy {id: 'own' + i})", principals)
	run("UNWIND range($from, $to) AS i MATCH (policy:AWSPolicy {id: 'own' + i}) "+
		"CREATE (policy)-[:STATEMENT]->(:AWSPolicyStatement {id: 'a' + i, effect: 'Allow', action: ['s3:Get*', 's3:ListBucket'], resource: ['arn:aws:s3:::bucket-' + i + '*', 'arn:aws:s3:::*-' + (i % 97) + '/*']}) "+
		"CREATE (policy)-[:STATEMENT]->(:AWSPolicyStatement {id: 'd' + i, effect: 'Deny', action: ['s3:*'], resource: ['arn:aws:s3:::bucket-?' + (i % 10) + '*']}) "+
		"CREATE (policy)-[:STATEMENT]->(:AWSPolicyStatement {id: 'c' + i, effect: 'Allow', notaction: ['iam:*'], resource: ['arn:aws:s3:::bucket-' + (i + 1)], condition: '{\"Bool\": {\"aws:SecureTransport\": \"true\"}}'})", principals)
	l := &loader{graph: g, tag: 1, nodesBefore: 1, report: &Report{}}
	began := time.Now()
	all, err := l.identities(ctx, "1")
	if err == nil {
		err = l.permit(ctx, Permissions[0], "1", all)
	}
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	rows, err := g.read(ctx, "MATCH ()-[r:CAN_READ]->() RETURN count(r), count(CASE WHEN r.has_condition THEN 1 END)", nil)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%d principals × %d buckets: %d relationships, %d of them conditional, in %.1f s\n", principals, targets, rows[0][0], rows[0][1], took.Seconds())
	if took > time.Minute || rows[0][0].(int64) < principals {
		t.Error("want at most a minute, and a relationship for each principal")
	}
}

// TestBenchCreate compares MERGE with CREATE for nodes of which the graph has
// none, under an index: what a load into an empty graph could save.
func TestBenchCreate(t *testing.T) {
	const n = 60_000
	best := map[string]float64{"MERGE": math.Inf(1), "CREATE": math.Inf(1)}
	var g *Graph
	for turn := range 6 {
		verb := []string{"MERGE", "CREATE"}[turn%2]
		g = emptied(t, g)
		if _, err := createIndexes(context.Background(), g, indexes([]*kind.Table{bench.Table}, nil, func(string) bool { return true }), false); err != nil {
			t.Fatal(err)
		}
		cypher(t, g, "CREATE (:AWSAccount {id: '1'})")
		on := map[string]string{"MERGE": " ON CREATE SET n.firstseen = timestamp()", "CREATE": " SET n.firstseen = timestamp()"}
		edge := map[string]string{"MERGE": " ON CREATE SET r.firstseen = timestamp()", "CREATE": " SET r.firstseen = timestamp()"}
		text := "UNWIND $rows AS row " + verb + " (n:Bench {id: row.id})" + on[verb] + " SET n += row.p, n.lastupdated = 1, n._snap_cells = ['aws/1//bench'] WITH n MATCH (a:AWSAccount {id: '1'}) " +
			verb + " (a)-[r:RESOURCE]->(n)" + edge[verb] + " SET r.lastupdated = 1, r._snap_cells = ['aws/1//bench']"
		began := time.Now()
		for from := 0; from < n; from += batchRows {
			var rows []map[string]any
			for i := from; i < from+batchRows; i++ {
				r := benchSource(n).row(i)
				rows = append(rows, map[string]any{"id": r.ID, "p": map[string]any{"name": r.Name, "vpc_id": r.VPC, "a": r.A, "b": r.B, "c": r.C, "d": r.D, "e": r.E, "f": r.F, "g": r.G, "h": r.H, "i": r.I, "j": r.J, "k": r.K, "l": r.L, "m": r.M, "n": r.N}})
			}
			if _, _, err := g.write(context.Background(), statement{text, map[string]any{"rows": rows}}); err != nil {
				t.Fatal(err)
			}
		}
		best[verb] = min(best[verb], time.Since(began).Seconds())
	}
	fmt.Printf("%d nodes with their owner: MERGE %.1f s, CREATE %.1f s: %.2f ×\n", n, best["MERGE"], best["CREATE"], best["MERGE"]/best["CREATE"])
}
