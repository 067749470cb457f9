package load

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"snap/fixtures/neo4jtest"
	"snap/store"
	"snap/store/kind"
)

// What the other declarations of the tests lack: a list that may be bare, nodes
// of a label that others have as a further one, links by several properties and
// by an alias, and relationships of one type that rows of both ends assert.
type (
	oddRow struct {
		ID     string   `snap:"id,key"`
		Action []string `snap:"action,bare=_bare"`
		Port   *int64   `snap:"port"`
		Names  []string `snap:"_names"`
		Ports  []int64  `snap:"_ports"`
		Role   *string  `snap:"_role"`
		Bare   *bool    `snap:"_bare"`
	}
	networkRow struct {
		ID   string   `snap:"id,key"`
		Name *string  `snap:"name"`
		Odds []string `snap:"_odds"`
		Tags []string `snap:"_tags"`
	}
)

var (
	odds = kind.Of[oddRow](kind.Table{Name: "odd", Label: "Odd", Aliases: []string{"Network", "Thing"}, Links: []kind.Link{
		{Type: "LIKE", To: "Network", On: kind.On{"name": "_names", "id": "id"}},
		{Type: "LIKE", To: "Thing", On: kind.On{"port": "_ports"}},
		{Type: "USES", To: "Role", On: kind.On{"arn": "_role"}, Props: map[string]string{"action": "action", "port": "port"}},
		{Type: "PEER", To: "Network", On: kind.On{"id": "_names"}},
	}})
	networks = kind.Of[networkRow](kind.Table{Name: "network", Label: "Network", Aliases: []string{"Seen"}, Unowned: true, Links: []kind.Link{
		{Type: "PEER", From: "Odd", On: kind.On{"id": "_odds"}, Props: map[string]string{"tags": "_tags"}},
	}})
)

// hostile are texts in which something of a CSV file, or of Unicode, may be
// taken for something else.
var hostile = []string{"", " ", `"`, `""`, `a"b`, `\`, `\"`, `a\`, ",", "a,b", "\n", "a\nb\n", "\r\n", "\r", "\t", ";", "'", "#", "\x00", "a\x00b", "\x1f", "\x1e", "\x7f", "\u0085", "\u2028",
	"\ufeff", "\ufeffa", "\u202eabc\u202c", "\u200b", "\ufffd", "\uffff", "\ufdd0", "😀", "é", "é", "null", "true", "1", "bad \xff utf8 \xc3(", "@file", "$(id)", "{}", strings.Repeat("long ", 1000)}

// unusual is a snapshot of such texts, and of nodes and relationships of which
// several rows of several cells and tables tell.
func unusual(tag int64) *snapshot {
	s := first(tag).account("2")
	s.Accounts = []store.Account{{ID: "1", Regions: []string{"r2", "r1"}}}
	gap := vpcRow{ID: "v1", Zones: []string{"z"}}
	gap.Unread(io.ErrUnexpectedEOF, "name", "ratio")
	s.cell("1/r2/net", store.Partial, func(to kind.Sink) {
		vpcs.Put(to, gap)
		vpcs.Put(to, vpcRow{ID: "v2", Zones: []string{}, Sizes: []int64{}, Ratio: ptr(math.Inf(1))})
		vpcs.Put(to, vpcRow{ID: "v3", Zones: []string{""}, Sizes: []int64{math.MinInt64, math.MaxInt64}, Ratio: ptr(math.Inf(-1)), Main: ptr(false)})
		vpcs.Put(to, vpcRow{ID: "v4", Zones: []string{"", ""}, Ratio: ptr(math.NaN()), Since: ptr(time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC))})
		vpcs.Put(to, vpcRow{ID: "v5", Zones: hostile, Ratio: ptr(math.SmallestNonzeroFloat64), Since: ptr(time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC))})
		vpcs.Put(to, vpcRow{ID: "o1", Ratio: ptr(math.MaxFloat64)}) // an odd one has this id too
		for i, text := range hostile {
			vpcs.Put(to, vpcRow{ID: fmt.Sprint("h", i), Name: ptr(text), Zones: []string{text, "x" + text}})
			id := "subnet " + strings.ToValidUTF8(text, "?") // a second load would not find what the server made of the others
			subnets.Put(to, subnetRow{ID: id, Name: ptr(text), VPC: ptr(fmt.Sprint("h", i))})
		}
		subnets.Put(to, subnetRow{ID: "s3", VPC: ptr("v2")})
	})
	s.cell("2/r1/net", store.Complete, func(to kind.Sink) {
		vpcs.Put(to, vpcRow{ID: "v1", Name: ptr("of another account")})
		vpcs.Put(to, vpcRow{ID: "v2", Zones: []string{"now"}})
		ranges.Put(to, rangeRow{"v1|10/8", "v1"})
		ranges.Put(to, rangeRow{"v2|10/8", "v2"})
	})
	s.cell("2/r1/ec2:vm", store.Complete, func(to kind.Sink) {
		stubs.Put(to, stubRow{ID: "s1", Name: ptr("from the stub"), Seen: ptr("again"), VMs: []string{"i1", "i1"}})
		stubs.Put(to, stubRow{ID: "s4", Name: ptr("only the stub"), VMs: []string{"i3"}})
		vms.Put(to, vmRow{ID: "i3"})
	})
	s.cell("2//iam", store.Complete, func(to kind.Sink) {
		roles.Put(to, roleRow{"r1", "arn:new"}) // another name: what named the old one ends nowhere
		roles.Put(to, roleRow{"r3", "arn:r2"})  // two of one name
		policies.Put(to, policyRow{ID: "p1", Name: ptr("Admin"), Roles: []string{"arn:r2", "arn:new"}, Since: ptr("later")})
		trusts.Put(to, trustRow{Role: "arn:r2", Policy: "p1", Port: ptr(int64(1)), Note: ptr("a\n\"note\"")})
	})
	s.cell("1/r1/odd", store.Complete, func(to kind.Sink) {
		odds.Put(to, oddRow{ID: "o1", Action: []string{"a"}, Bare: ptr(true), Port: ptr(int64(1)), Role: ptr("arn:r2"), Names: []string{"v1", "v2", "v2"}})
		odds.Put(to, oddRow{ID: "o2", Action: []string{"a"}, Port: ptr(int64(2)), Role: ptr("arn:r2"), Ports: []int64{1, 2, 3}, Names: []string{"named"}})
		odds.Put(to, oddRow{ID: "o3", Action: []string{}, Port: ptr(int64(1)), Role: ptr("arn:r2"), Names: []string{"of no one"}})
		networks.Put(to, networkRow{ID: "o1", Name: ptr("named"), Odds: []string{"o1", "o2"}})
		networks.Put(to, networkRow{ID: "o2", Name: ptr("named"), Tags: []string{""}, Odds: []string{"o1"}})
		networks.Put(to, networkRow{ID: "v1", Odds: []string{"o1"}, Tags: []string{}})
		networks.Put(to, networkRow{ID: "n1", Odds: []string{"o3"}, Tags: []string{"a", "b"}})
	})
	return s.cell("2/r1/odd", store.Complete, func(to kind.Sink) {
		odds.Put(to, oddRow{ID: "o1", Action: []string{"b", "c"}, Names: []string{"n1", "v1"}})
		networks.Put(to, networkRow{ID: "n1", Name: ptr("again"), Odds: []string{"o1", "o3"}})
	})
}

// withOdd adds the declarations above to the tests'.
func withOdd(t *testing.T) {
	before := registry
	registry = declared()
	registry.Register(&kind.Sync{Name: "odd", Tables: []*kind.Table{odds.Table, networks.Table}})
	t.Cleanup(func() { registry = before })
}

func (s *snapshot) export(t testing.TB, dir string, o ExportOptions) *ExportReport {
	t.Helper()
	o.Registry = registry
	r, err := export(context.Background(), &s.Manifest, "sha256:test", s, dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// dumpExact is the graph but for when it was written, in the order of nothing.
// Lists that an import could not set are as they will be.
func dumpExact(t testing.TB, g *Graph) []string {
	t.Helper()
	properties := func(v any) string {
		p := v.(map[string]any)
		if _, ok := p["firstseen"].(int64); !ok {
			t.Errorf("firstseen %v", p["firstseen"])
		}
		delete(p, "firstseen")
		for _, name := range texts(p[listsProperty]) {
			if name, one := strings.CutSuffix(name, "=1"); one {
				p[name] = []any{""}
			} else {
				p[name] = []any{}
			}
		}
		delete(p, listsProperty)
		delete(p, markProperty)
		var b strings.Builder
		for _, name := range slices.Sorted(maps.Keys(p)) {
			fmt.Fprintf(&b, " %s=%#v", name, p[name])
			if at, ok := p[name].(time.Time); ok {
				fmt.Fprint(&b, at.Format(time.RFC3339Nano))
			}
		}
		return b.String()
	}
	labels := func(v any) []string {
		all := texts(v)
		slices.Sort(all)
		return all
	}
	var lines []string
	for _, c := range []string{"MATCH (n) WHERE NOT n:SyncMetadata RETURN properties(n), labels(n), n.id", "MATCH (a)-[r]->(b) RETURN properties(r), labels(a), a.id, type(r), labels(b), b.id"} {
		rows, err := g.read(context.Background(), c, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rows {
			line := fmt.Sprintf("%q %q", labels(r[1]), r[2])
			if len(r) > 3 {
				line += fmt.Sprintf(" %s %q %q", r[3], labels(r[4]), r[5])
			}
			lines = append(lines, line+properties(r[0]))
		}
	}
	slices.Sort(lines)
	return lines
}

// differ tells the lines that only one of two graphs has.
func differ(t testing.TB, what string, got, want []string) {
	t.Helper()
	if len(want) < 10 {
		t.Errorf("%s: only %d lines", what, len(want))
	}
	shown := 0
	for _, side := range []struct {
		name     string
		of, from []string
	}{{"more", got, want}, {"less", want, got}} {
		count := map[string]int{}
		for _, line := range side.from {
			count[line]++
		}
		for _, line := range side.of {
			if count[line]--; count[line] < 0 && shown < 20 {
				shown++
				t.Errorf("%s: %s: %.600s", what, side.name, line)
			}
		}
	}
}

// imported is what became of an import of unusual: as it was, and after the load
// that completes it. It does not depend on the way in which the tests load, so
// that one import does for both.
var imported [2][]string

// The graph of an import is the one that a load writes, in every property, and
// the load after it changes nothing of that.
func TestExport(t *testing.T) {
	withOdd(t)
	s := unusual(100)
	if imported[1] == nil {
		dir := filepath.Join(t.TempDir(), "out")
		r := s.export(t, dir, ExportOptions{})
		g := connected(t, launch(t, neo4jtest.Options{Import: dir}).URI)
		expect(t, g, "MATCH (n) WHERE NOT n:SyncMetadata RETURN count(n)", fmt.Sprintf("[%d]", r.Nodes))
		expect(t, g, "MATCH ()-[r]->() RETURN count(r)", fmt.Sprintf("[%d]", r.Links))
		imported[0] = dumpExact(t, g)
		report := s.load(t, g, Options{})
		if !report.Imported {
			t.Error("the load does not know the import")
		}
		imported[1] = dumpExact(t, g)
		expect(t, g, "MATCH (n) WHERE n."+listsProperty+" IS NOT NULL OR n."+markProperty+" IS NOT NULL RETURN n")
		expect(t, g, "MATCH ()-[r]->() WHERE r."+listsProperty+" IS NOT NULL RETURN r")
	}
	g := testGraph(t)
	s.load(t, g, Options{})
	want := dumpExact(t, g)
	differ(t, "imported", imported[0], want)
	differ(t, "completed", imported[1], want)
	expect(t, g, "MATCH (m:ModuleSyncMetadata) RETURN count(m)", "[4]")
}

// exported are the rows of all files of an export, each with what its header and
// its arguments say of it, but for when it was written.
func exported(t *testing.T, dir string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, argumentsFile))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for line := range strings.Lines(string(text)) {
		option, rest, _ := strings.Cut(strings.TrimSpace(line), "=")
		if option != "--nodes" && option != "--relationships" {
			continue
		}
		group, files, _ := strings.Cut(rest, "=")
		header, rows, _ := strings.Cut(files, ",")
		read := func(name string) [][]string {
			f, err := os.Open(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			in := csv.NewReader(f)
			in.FieldsPerRecord = -1
			records, err := in.ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			return records
		}
		names := read(header)[0]
		for _, record := range read(rows) {
			var fields []string
			for i, v := range record {
				if v != "" && !strings.HasPrefix(names[i], "firstseen:") {
					fields = append(fields, fmt.Sprintf("%s=%q", names[i], v))
				}
			}
			slices.Sort(fields)
			all = append(all, option+" "+group+" "+strings.Join(fields, " "))
		}
	}
	slices.Sort(all)
	return all
}

// What waits for its last row is bounded: beyond that the snapshot is read
// again, and the files have the same rows.
func TestExportHeld(t *testing.T) {
	withOdd(t)
	whole, parts := filepath.Join(t.TempDir(), "whole"), filepath.Join(t.TempDir(), "parts")
	unusual(100).export(t, whole, ExportOptions{})
	unusual(100).export(t, parts, ExportOptions{held: 1})
	differ(t, "little memory", exported(t, parts), exported(t, whole))
}

// An export of what is chosen is that of a snapshot without the rest, and its
// update tag is the given one.
func TestExportPart(t *testing.T) {
	dir, alone := filepath.Join(t.TempDir(), "part"), filepath.Join(t.TempDir(), "alone")
	withOdd(t)
	r := unusual(100).export(t, dir, ExportOptions{Accounts: []string{"1"}, Syncs: []string{"ec2:vm"}, Tag: 7})
	s := newSnapshot(7).account("1").cell("1/r1/ec2:vm", store.Complete, func(to kind.Sink) {
		vms.Put(to, vmRow{ID: "i1", Type: ptr("big")})
		vms.Put(to, vmRow{ID: "i2", Type: ptr("small")})
		stubs.Put(to, stubRow{ID: "s1", Seen: ptr("yes"), VMs: []string{"i1", "i2", "gone"}})
		stubs.Put(to, stubRow{ID: "s3", Name: ptr("shared"), VMs: []string{"i2"}})
	})
	s.export(t, alone, ExportOptions{})
	if got, want := without(exported(t, dir), markProperty), without(exported(t, alone), markProperty); !slices.Equal(got, want) || r.Tag != 7 || r.Nodes != 5 || r.Links != 7 {
		t.Errorf("%+v\n%s\nwant\n%s", r, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func without(lines []string, text string) []string {
	return slices.DeleteFunc(lines, func(l string) bool { return strings.Contains(l, text) })
}

// Where a text has the character that parts the elements of lists another one
// is taken; where texts have all of them the export says so, and leaves nothing.
func TestExportDelimiter(t *testing.T) {
	zones := func(zones ...string) *snapshot {
		return newSnapshot(100).account("1").cell("1/r1/net", store.Complete, func(to kind.Sink) { vpcs.Put(to, vpcRow{ID: "v1", Zones: zones}) })
	}
	dir := filepath.Join(t.TempDir(), "out")
	zones("a\x1f", "\x1eb").export(t, dir, ExportOptions{})
	if text, err := os.ReadFile(filepath.Join(dir, argumentsFile)); err != nil || !strings.Contains(string(text), "--array-delimiter=U+001D\n") {
		t.Errorf("%s %v", text, err)
	}
	s := zones(string(delimiters))
	parent := t.TempDir()
	_, err := export(context.Background(), &s.Manifest, "sha256:test", s, filepath.Join(parent, "out"), ExportOptions{Registry: registry})
	if want := `table vpc: the row "v1" of cell aws/1/r1/net: property zones: no control character is left`; err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v; want %s", err, want)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}
}

// An export that is interrupted or fails leaves nothing.
func TestExportEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := first(100)
	parent := t.TempDir()
	_, err := export(ctx, &s.Manifest, "sha256:test", s, filepath.Join(parent, "out"), ExportOptions{Registry: registry, Progress: func(p Progress) {
		if p.Phase == "links" {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("left over: %v %v", left, err)
	}
}

func TestCSV(t *testing.T) {
	at := csvGroup{"nodes", "A:B"}
	for _, c := range []struct {
		rows   []map[string]any
		header string
		text   string
	}{
		{[]map[string]any{{"a": "x"}}, "a:string", `0,"x"`},
		{[]map[string]any{{"a": ""}, {"a": nil}, {}}, "a:string", "0,\"\"\n1\n2"},
		{[]map[string]any{{"a": "a,\"b\"\n\r\\"}}, "a:string", "0,\"a,\"\"b\"\"\n\r\\\""},
		{[]map[string]any{{"a": int64(-5), "b": true, "c": 0.1, "d": false}}, "a:long,b:boolean,c:double,d:boolean", "0,-5,true,0.1,false"},
		{[]map[string]any{{"a": math.Inf(1)}, {"a": math.Inf(-1)}, {"a": math.NaN()}, {"a": 1e300}}, "a:double", "0,Infinity\n1,-Infinity\n2,NaN\n3,1e+300"},
		{[]map[string]any{{"a": time.Date(2024, 1, 2, 3, 4, 5, 6000, offset)}}, "a:datetime", "0,2024-01-02T03:04:05.000006Z"},
		{[]map[string]any{{"a": time.Date(12024, 1, 2, 3, 4, 5, 0, offset)}}, "a:datetime", "0,+12024-01-02T03:04:05Z"},
		{[]map[string]any{{"a": []string{"x", `"`, ""}}, {"a": []string{"", ""}}}, "a:string[]", "0,\"x\x1f\"\"\x1f\"\n1,\"\x1f\""},
		{[]map[string]any{{"a": []int64{1, -2}}}, "a:long[]", "0,1\x1f-2"},
		{[]map[string]any{{"a": []string{}, "b": []int64{}, "c": []string{""}}}, listsProperty + ":string[]", "0,\"a\x1fb\x1fc=1\""},
		{[]map[string]any{{"b": "1"}, {"a": "2", "c": nil}, {"a": "3", "b": "4"}}, "b:string,a:string", "0,\"1\"\n1,,\"2\"\n2,\"4\",\"3\""},
	} {
		root := t.TempDir()
		d := newCSVDirectory(root, delimiters[0])
		for i, p := range c.rows {
			if err := d.put(at, "A", ":ID", p, uint32(i)); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.end(); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(root, "nodes", "A.csv"))
		if err != nil {
			t.Fatal(err)
		}
		header, err := os.ReadFile(filepath.Join(root, "nodes", "A-header.csv"))
		if err != nil {
			t.Fatal(err)
		}
		if string(header) != ":ID,"+c.header+"\n" || string(text) != c.text+"\n" {
			t.Errorf("%v:\n%q\n%q\nwant\n%q\n%q", c.rows, header, text, c.header, c.text)
		}
	}
}

// A property that has values of two types has two files; what the importer has
// to be told stands among its arguments.
func TestCSVArguments(t *testing.T) {
	d := newCSVDirectory(t.TempDir(), delimiters[0])
	for i, v := range []any{"a", []string{"b", "c"}, "d", int64(1)} {
		if err := d.put(csvGroup{"nodes", "A:B"}, "A", ":ID", map[string]any{"x": v}, uint32(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.put(csvGroup{"relationships", "R"}, "R", ":START_ID,:END_ID", map[string]any{"x": strings.Repeat("x\n", bufferSize)}, 0, 1); err != nil {
		t.Fatal(err)
	}
	if err := d.put(csvGroup{"nodes", "A"}, "a", ":ID", map[string]any{"x": struct{}{}}, 9); err == nil || !strings.Contains(err.Error(), "property x: the importer has no type for a struct {}") {
		t.Errorf("error %v", err)
	}
	if err := d.end(); err != nil {
		t.Fatal(err)
	}
	want := "--id-type=integer\n--array-delimiter=U+001F\n--bad-tolerance=0\n--multiline-fields=true\n--read-buffer-size=16777230\n" +
		"--nodes=A:B=nodes/A-header.csv,nodes/A.csv\n--nodes=A:B=nodes/A-2-header.csv,nodes/A-2.csv\n--nodes=A:B=nodes/A-3-header.csv,nodes/A-3.csv\n" +
		"--relationships=R=relationships/R-header.csv,relationships/R.csv\n--nodes=A=nodes/a-4-header.csv,nodes/a-4.csv\n"
	if got := d.arguments(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// A load takes a graph for its import only where all that the note says is so.
// Otherwise it loads as always, and ends what an import has begun.
func TestImported(t *testing.T) {
	g := testGraph(t)
	s := first(100)
	s.load(t, g, Options{})
	want := dumpExact(t, g)
	l, err := newLoader(nil, &s.Manifest, "sha256:test", s, Options{Registry: registry})
	if err != nil {
		t.Fatal(err)
	}
	name, err := l.name()
	if err != nil {
		t.Fatal(err)
	}
	// 11 nodes and 2 of metadata, 16 relationships.
	mark := `{"load":"` + name + `","nodes":13,"links":16,"lists":1}`
	for _, c := range []struct {
		mark string
		o    Options
		want bool
	}{
		{mark: mark, want: true},
		{mark: strings.Replace(mark, "13", "14", 1)},
		{mark: strings.Replace(mark, `"links":16`, `"links":15`, 1)},
		{mark: strings.Replace(mark, name, "another", 1)},
		{mark: "no JSON"},
		{mark: mark, o: Options{Tag: 101}},
		{mark: mark, o: Options{Syncs: []string{"net"}}},
	} {
		cypher(t, g, "MATCH (m:ModuleSyncMetadata {id: 'AWSAccount_1_AWSAccount'}) SET m."+markProperty+" = '"+c.mark+"'")
		cypher(t, g, "MATCH (n:Role {id: 'r1'}) SET n."+listsProperty+" = ['a', 'b=1']")
		cypher(t, g, "MATCH (:Role)-[r:TRUSTS]->() SET r."+listsProperty+" = ['c']")
		if r := s.load(t, g, c.o); r.Imported != c.want {
			t.Errorf("%+v: imported %v", c, r.Imported)
		}
		expect(t, g, "MATCH (n:Role {id: 'r1'})-[r:TRUSTS]->() RETURN n.a, n.b, r.c, n."+listsProperty+", r."+listsProperty, `[[],[""],[],null,null]`)
		expect(t, g, "MATCH (m:ModuleSyncMetadata) WHERE m."+markProperty+" IS NOT NULL RETURN m")
		cypher(t, g, "MATCH (n:Role {id: 'r1'})-[r:TRUSTS]->() REMOVE n.a, n.b, r.c")
		if c.o.Tag != 0 {
			s.load(t, g, Options{Force: true})
		}
	}
	differ(t, "at the end", dumpExact(t, g), want)
}
