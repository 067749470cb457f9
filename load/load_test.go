package load

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"snap/fixtures/neo4jtest"
	"snap/store"
	"snap/store/kind"
)

// testGraph is an empty graph.
func testGraph(t testing.TB) *Graph {
	t.Helper()
	server, _ := neo4jtest.Get(t)
	return connected(t, server.URI)
}

// connected is the graph at a URI, until the test ends.
func connected(t testing.TB, uri string) *Graph {
	t.Helper()
	g, err := Connect(context.Background(), ConnectOptions{URI: uri})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return g
}

// The declarations that the tests load by: three syncs that show every trait.
type (
	accountRow struct {
		ID   string  `snap:"id,key"`
		Name *string `snap:"name"`
	}
	vpcRow struct {
		ID    string     `snap:"id,key"`
		Name  *string    `snap:"name,index"`
		Since *time.Time `snap:"since"`
		Zones []string   `snap:"zones"`
		Sizes []int64    `snap:"sizes"`
		Ratio *float64   `snap:"ratio"`
		Main  *bool      `snap:"main"`
		kind.Gaps
	}
	rangeRow struct {
		ID  string `snap:"id,key"`
		VPC string `snap:"vpc"`
	}
	subnetRow struct {
		ID   string  `snap:"id,key"`
		Name *string `snap:"name"`
		VPC  *string `snap:"vpc_id"`
		kind.Gaps
	}
	stubRow struct {
		ID   string   `snap:"id,key"`
		Name *string  `snap:"name"`
		Seen *string  `snap:"seen"`
		VMs  []string `snap:"_vms"`
	}
	vmRow struct {
		ID    string  `snap:"id,key"`
		Type  *string `snap:"type"`
		Ports []int64 `snap:"_ports"`
	}
	policyRow struct {
		ID    string   `snap:"id,key"`
		Name  *string  `snap:"name"`
		Roles []string `snap:"_roles"`
		Since *string  `snap:"_since"`
		kind.Gaps
	}
	roleRow struct {
		ID  string `snap:"id,key"`
		ARN string `snap:"arn,index"`
	}
	trustRow struct {
		Role   string  `snap:"role,key"`
		Policy string  `snap:"policy,key"`
		Port   *int64  `snap:"port"`
		Note   *string `snap:"note"`
	}
)

var (
	accounts = kind.Of[accountRow](kind.Table{Name: "account", Label: "AWSAccount", Aliases: []string{"Tenant"}, Unowned: true, Keep: true})
	vpcs     = kind.Of[vpcRow](kind.Table{Name: "vpc", Label: "Vpc", Aliases: []string{"Network"},
		Ontology: kind.Ontology{"name": kind.Same("name"), "main": kind.Truth("main")}})
	ranges = kind.Of[rangeRow](kind.Table{Name: "range", Label: "Range",
		Owner: &kind.Link{Type: "HAS", From: "Vpc", On: kind.On{"id": "vpc"}}})
	subnets = kind.Of[subnetRow](kind.Table{Name: "subnet", Label: "Subnet",
		Links: []kind.Link{{Type: "MEMBER_OF", To: "Vpc", On: kind.On{"id": "vpc_id"}}}})
	stubs = kind.Of[stubRow](kind.Table{Name: "vm_subnet", Label: "Subnet", Stub: true,
		Links: []kind.Link{{Type: "IN", From: "Vm", On: kind.On{"id": "_vms"}}}})
	vms      = kind.Of[vmRow](kind.Table{Name: "vm", Label: "Vm", Aliases: []string{"Machine", "Host"}})
	policies = kind.Of[policyRow](kind.Table{Name: "policy", Label: "Policy", Unowned: true,
		Links: []kind.Link{{Type: "POLICY", From: "Role", On: kind.On{"arn": "_roles"}, Props: map[string]string{"since": "_since"}}}})
	roles  = kind.Of[roleRow](kind.Table{Name: "role", Label: "Role"})
	trusts = kind.Of[trustRow](kind.Table{Name: "trust", Between: &kind.Between{
		Type: "TRUSTS", From: kind.End{Label: "Role", On: kind.On{"arn": "role"}}, To: kind.End{Label: "Policy", On: kind.On{"id": "policy"}},
		Props: map[string]string{"port": "port", "note": "note"}}})
)

func declared() *kind.Registry {
	r := &kind.Registry{}
	r.Register(&kind.Sync{Name: "account", Global: true, Tables: []*kind.Table{accounts.Table}})
	r.Register(&kind.Sync{Name: "net", Tables: []*kind.Table{ranges.Table, subnets.Table, vpcs.Table}})
	r.Register(&kind.Sync{Name: "ec2:vm", Tables: []*kind.Table{vms.Table, stubs.Table}})
	r.Register(&kind.Sync{Name: "iam", Global: true, Synced: "AWSPrincipal", Tables: []*kind.Table{policies.Table, roles.Table, trusts.Table}})
	return r
}

var registry = declared()

// snapshot is a snapshot in memory.
type snapshot struct {
	store.Manifest
	rows map[string][]kind.Row
	lack map[string][]string // table → columns that its files lack
}

func newSnapshot(tag int64) *snapshot {
	s := &snapshot{rows: map[string][]kind.Row{}, lack: map[string][]string{}}
	s.Started = time.Unix(tag, 0)
	return s
}

func (s *snapshot) Read(t *kind.Table, f store.File) (iter.Seq2[kind.Row, error], []string, []string) {
	return func(yield func(kind.Row, error) bool) {
		for _, r := range s.rows[f.Path] {
			r = slices.Clone(r)
			for _, name := range s.lack[t.Name] {
				i, _ := t.Column(name)
				r[i] = nil
			}
			if !yield(r, nil) {
				return
			}
		}
	}, s.lack[t.Name], nil
}

// cell adds a cell named "1/r1/net" with what put puts into it. Its sync's
// tables become the snapshot's.
func (s *snapshot) cell(name string, state store.State, put func(kind.Sink)) *snapshot {
	part := strings.SplitN(name, "/", 3)
	id := store.CellID{Provider: "aws", Account: part[0], Region: part[1], Sync: part[2]}
	got := sink{}
	if put != nil {
		put(got)
	}
	c := store.Cell{CellID: id, Outcome: store.Outcome{State: state}}
	for _, t := range registry.Sync(id.Sync).Tables {
		if !slices.ContainsFunc(s.Tables, func(i store.TableInfo) bool { return i.Name == t.Name }) {
			s.Tables = append(s.Tables, store.TableInfo{Name: t.Name, Sync: t.Sync, Columns: t.Columns})
		}
		if rows := got[t.Name]; len(rows) > 0 {
			f := store.File{Table: t.Name, Path: name + "/" + t.Name, Rows: int64(len(rows))}
			s.rows[f.Path] = rows
			c.Files = append(c.Files, f)
			c.Rows += f.Rows
		}
	}
	s.Cells = append(s.Cells, c)
	return s
}

// without makes the snapshot one of a program whose table lacks columns, or
// that lacks the table.
func (s *snapshot) without(table string, columns ...string) *snapshot {
	for i, info := range s.Tables {
		if info.Name == table && len(columns) == 0 {
			s.Tables = slices.Delete(s.Tables, i, i+1)
			break
		}
		if info.Name == table {
			s.Tables[i].Columns = slices.DeleteFunc(slices.Clone(info.Columns), func(c kind.Column) bool { return slices.Contains(columns, c.Name) })
			s.lack[table] = columns
		}
	}
	return s
}

type sink map[string][]kind.Row

func (s sink) Put(t *kind.Table, r kind.Row) { s[t.Name] = append(s[t.Name], r) }
func (s sink) Lose(error)                    {}

func (s *snapshot) load(t testing.TB, g *Graph, o Options) *Report {
	t.Helper()
	r, err := s.try(g, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (s *snapshot) try(g *Graph, o Options) (*Report, error) {
	o.Registry = registry
	if o.smallRows == 0 {
		o.smallRows = everySmallRows
	}
	return load(context.Background(), g, &s.Manifest, "sha256:test", s, o)
}

// together tells whether a load writes the test's few rows together, which it
// does where the server's Cypher allows it.
func together(g *Graph) bool { return g.dynamic && everySmallRows >= 0 }

// account is a complete cell of an account's own node.
func (s *snapshot) account(id string) *snapshot {
	return s.cell(id+"//account", store.Complete, func(to kind.Sink) { accounts.Put(to, accountRow{ID: id, Name: ptr("acc" + id)}) })
}

func ptr[T any](v T) *T { return &v }

// cypher runs a statement that prepares or damages the graph.
func cypher(t testing.TB, g *Graph, text string) {
	t.Helper()
	if _, _, err := g.write(context.Background(), statement{cypher: text}); err != nil {
		t.Fatal(err)
	}
}

// query is what a query finds, one row a line, as JSON.
func query(t testing.TB, g *Graph, text string) string {
	t.Helper()
	rows, err := g.read(context.Background(), text, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, r := range rows {
		j, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(j)
		b.WriteByte('\n')
	}
	return b.String()
}

func expect(t testing.TB, g *Graph, text string, want ...string) {
	t.Helper()
	all := ""
	if len(want) > 0 {
		all = strings.Join(want, "\n") + "\n"
	}
	if got := query(t, g, text); got != all {
		t.Errorf("%s\ngot\n%swant\n%s", text, got, all)
	}
}

// dump is the whole graph, every property, sorted.
func dump(t testing.TB, g *Graph) string {
	t.Helper()
	lines := strings.Split(query(t, g, "MATCH (n) RETURN 'node', labels(n), properties(n), n.firstseen")+
		query(t, g, "MATCH (a)-[r]->(b) RETURN 'link', labels(a), a.id, type(r), labels(b), b.id, properties(r)"), "\n")
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

const nodeIDs = "MATCH (n) WHERE NOT n:SyncMetadata RETURN labels(n)[0], n.id ORDER BY labels(n)[0], n.id"

// first is a snapshot with every kind of thing.
func first(tag int64) *snapshot {
	return newSnapshot(tag).account("1").
		cell("1/r1/net", store.Complete, func(to kind.Sink) {
			ranges.Put(to, rangeRow{"v1|10/8", "v1"})
			subnets.Put(to, subnetRow{ID: "s1", Name: ptr("one"), VPC: ptr("v1")})
			subnets.Put(to, subnetRow{ID: "s2", VPC: ptr("elsewhere")})
			vpcs.Put(to, vpcRow{ID: "v1", Name: ptr("main"), Since: ptr(time.Date(2024, 1, 2, 3, 4, 5, 6000, time.UTC)), Zones: []string{"a", "b"}, Sizes: []int64{1, 2}, Ratio: ptr(0.5), Main: ptr(true)})
		}).
		cell("1/r1/ec2:vm", store.Complete, func(to kind.Sink) {
			vms.Put(to, vmRow{ID: "i1", Type: ptr("big")})
			vms.Put(to, vmRow{ID: "i2", Type: ptr("small")})
			stubs.Put(to, stubRow{ID: "s1", Seen: ptr("yes"), VMs: []string{"i1", "i2", "gone"}})
			stubs.Put(to, stubRow{ID: "s3", Name: ptr("shared"), VMs: []string{"i2"}})
		}).
		cell("1//iam", store.Complete, func(to kind.Sink) {
			roles.Put(to, roleRow{"r1", "arn:r1"})
			roles.Put(to, roleRow{"r2", "arn:r2"})
			policies.Put(to, policyRow{ID: "p1", Name: ptr("Admin"), Roles: []string{"arn:r1", "arn:r2"}, Since: ptr("ever")})
			trusts.Put(to, trustRow{Role: "arn:r1", Policy: "p1", Port: ptr(int64(443))})
		})
}

func TestGolden(t *testing.T) {
	g := testGraph(t)
	r := first(100).load(t, g, Options{})

	expect(t, g, "MATCH (n) WHERE NOT n:SyncMetadata UNWIND labels(n) AS l WITH n, l ORDER BY l WITH n, collect(l) AS labels RETURN labels, n{.*, firstseen: n.firstseen > 0, since: toString(n.since)} ORDER BY n.id",
		`[["AWSAccount","Tenant"],{"_snap_cells":["aws/1//account"],"firstseen":true,"id":"1","lastupdated":100,"name":"acc1","since":null}]`,
		`[["Host","Machine","Vm"],{"_snap_cells":["aws/1/r1/ec2:vm"],"firstseen":true,"id":"i1","lastupdated":100,"since":null,"type":"big"}]`,
		`[["Host","Machine","Vm"],{"_snap_cells":["aws/1/r1/ec2:vm"],"firstseen":true,"id":"i2","lastupdated":100,"since":null,"type":"small"}]`,
		`[["Policy"],{"_snap_cells":["aws/1//iam"],"firstseen":true,"id":"p1","lastupdated":100,"name":"Admin","since":null}]`,
		`[["Role"],{"_snap_cells":["aws/1//iam"],"arn":"arn:r1","firstseen":true,"id":"r1","lastupdated":100,"since":null}]`,
		`[["Role"],{"_snap_cells":["aws/1//iam"],"arn":"arn:r2","firstseen":true,"id":"r2","lastupdated":100,"since":null}]`,
		`[["Subnet"],{"_snap_cells":["aws/1/r1/ec2:vm","aws/1/r1/net"],"firstseen":true,"id":"s1","lastupdated":100,"name":"one","seen":"yes","since":null,"vpc_id":"v1"}]`,
		`[["Subnet"],{"_snap_cells":["aws/1/r1/net"],"firstseen":true,"id":"s2","lastupdated":100,"since":null,"vpc_id":"elsewhere"}]`,
		`[["Subnet"],{"_snap_cells":["aws/1/r1/ec2:vm"],"firstseen":true,"id":"s3","lastupdated":100,"name":"shared","since":null}]`,
		`[["Network","Vpc"],{"_ont_main":true,"_ont_name":"main","_ont_source":"aws","_snap_cells":["aws/1/r1/net"],"firstseen":true,"id":"v1","lastupdated":100,"main":true,"name":"main","ratio":0.5,"since":"2024-01-02T03:04:05.000006Z","sizes":[1,2],"zones":["a","b"]}]`,
		`[["Range"],{"_snap_cells":["aws/1/r1/net"],"firstseen":true,"id":"v1|10/8","lastupdated":100,"since":null,"vpc":"v1"}]`,
	)
	expect(t, g, "MATCH (a)-[r]->(b) RETURN a.id, type(r), b.id, r{.*, firstseen: r.firstseen > 0} ORDER BY a.id, type(r), b.id",
		`["1","RESOURCE","i1",{"_snap_cells":["aws/1/r1/ec2:vm"],"firstseen":true,"lastupdated":100}]`,
		`["1","RESOURCE","i2",{"_snap_cells":["aws/1/r1/ec2:vm"],"firstseen":true,"lastupdated":100}]`,
		`["1","RESOURCE","r1",{"_snap_cells":["aws/1//iam"],"firstseen":true,"lastupdated":100}]`,
		`["1","RESOURCE","r2",{"_snap_cells":["aws/1//iam"],"firstseen":true,"lastupdated":100}]`,
		`["1","RESOURCE","s1",{"_snap_cells":["aws/1/r1/ec2:vm","aws/1/r1/net"],"firstseen":true,"lastupdated":100}]`,
		`["1","RESOURCE","s2",{"_snap_cells":["aws/1/r1/net"],"firstseen":true,"lastupdated":100}]`,
		`["1","RESOURCE","s3",{"_snap_cells":["aws/1/r1/ec2:vm"],"firstseen":true,"lastupdated":100}]`,
		`["1","RESOURCE","v1",{"_snap_cells":["aws/1/r1/net"],"firstseen":true,"lastupdated":100}]`,
		`["i1","IN","s1",{"_snap_cells":["aws/1/r1/ec2:vm"],"firstseen":true,"lastupdated":100}]`,
		`["i2","IN","s1",{"_snap_cells":["aws/1/r1/ec2:vm"],"firstseen":true,"lastupdated":100}]`,
		`["i2","IN","s3",{"_snap_cells":["aws/1/r1/ec2:vm"],"firstseen":true,"lastupdated":100}]`,
		`["r1","POLICY","p1",{"_snap_cells":["aws/1//iam"],"firstseen":true,"lastupdated":100,"since":"ever"}]`,
		`["r1","TRUSTS","p1",{"_snap_cells":["aws/1//iam"],"_sub_resource_id":"1","_sub_resource_label":"AWSAccount","firstseen":true,"lastupdated":100,"port":443}]`,
		`["r2","POLICY","p1",{"_snap_cells":["aws/1//iam"],"firstseen":true,"lastupdated":100,"since":"ever"}]`,
		`["s1","MEMBER_OF","v1",{"_snap_cells":["aws/1/r1/net"],"firstseen":true,"lastupdated":100}]`,
		`["v1","HAS","v1|10/8",{"_snap_cells":["aws/1/r1/net"],"firstseen":true,"lastupdated":100}]`,
	)
	expect(t, g, "MATCH (m:ModuleSyncMetadata:SyncMetadata) RETURN m{.*, firstseen: m.firstseen > 0} ORDER BY m.id",
		`[{"_snap_begun":100,"firstseen":true,"groupid":"1","grouptype":"AWSAccount","id":"AWSAccount_1_AWSAccount","lastupdated":100,"syncedtype":"AWSAccount"}]`,
		`[{"firstseen":true,"groupid":"1","grouptype":"AWSAccount","id":"AWSAccount_1_AWSPrincipal","lastupdated":100,"syncedtype":"AWSPrincipal"}]`,
	)
	var rows, nodes, links int64
	var names []string
	for _, tr := range r.Tables {
		rows, nodes, links = rows+tr.Rows, nodes+tr.NodesCreated, links+tr.Links
		names = append(names, tr.Table)
	}
	if want := []string{"account", "vm", "vm_subnet", "subnet", "policy", "role", "vpc", "range", "trust"}; !slices.Equal(names, want) {
		t.Errorf("order %v, want %v", names, want)
	}
	// s1 is in two tables; its owner's link is written with each.
	if rows != 13 || nodes != 11 || links != 17 {
		t.Errorf("%d rows, %d nodes created, %d links; want 13, 11, 17", rows, nodes, links)
	}
	// Few nodes need no index, but for the statements of large tables.
	have := query(t, g, "SHOW INDEXES YIELD labelsOrTypes, properties WHERE properties IS NOT NULL RETURN labelsOrTypes[0] + ':' + properties[0] AS i ORDER BY i")
	for _, want := range []string{"Vpc:id", "Network:id", "Vpc:name", "Role:arn", "AWSAccount:id", "TRUSTS:_sub_resource_label"} {
		if strings.Contains(have, `["`+want+`"]`) != !together(g) {
			t.Errorf("index %s: %v", want, together(g))
		}
	}
}

// A label that has many nodes gets all the indexes that Cartography creates.
func TestIndexes(t *testing.T) {
	g := testGraph(t)
	s := newSnapshot(100).account("1").cell("1/r1/net", store.Complete, func(to kind.Sink) {
		for i := range indexFrom {
			vpcs.Put(to, vpcRow{ID: fmt.Sprint("v", i)})
		}
		ranges.Put(to, rangeRow{"r1", "v1"})
	})
	want := []string{"Network:_ont_main", "Network:_ont_name", "Network:_ont_source", "Network:id", "Network:lastupdated", "Vpc:id", "Vpc:lastupdated", "Vpc:name"}
	have := func() string {
		return query(t, g, "SHOW INDEXES YIELD state, labelsOrTypes, properties WHERE properties IS NOT NULL AND state = 'ONLINE' RETURN labelsOrTypes[0] + ':' + properties[0] AS i ORDER BY i")
	}
	if r := s.load(t, g, Options{}); together(g) && r.Indexes != len(want) {
		t.Errorf("%d indexes, want %d", r.Indexes, len(want))
	}
	for _, i := range want {
		if !strings.Contains(have(), `["`+i+`"]`) {
			t.Errorf("no index %s", i)
		}
	}
	if strings.Contains(have(), "Range:lastupdated") {
		t.Error("an index for one node")
	}
	if r := s.load(t, g, Options{}); r.Indexes != 0 {
		t.Errorf("a second load creates %d indexes", r.Indexes)
	}
}

func TestSecondLoadChangesNothing(t *testing.T) {
	g := testGraph(t)
	first(100).load(t, g, Options{})
	before := dump(t, g)
	time.Sleep(5 * time.Millisecond) // so that a new firstseen would differ
	r := first(100).load(t, g, Options{})
	if after := dump(t, g); after != before {
		t.Errorf("the second load changed the graph:\n%s\n\nto\n%s", before, after)
	}
	for _, tr := range r.Tables {
		if tr.NodesCreated+tr.NodesDeleted+tr.LinksDeleted != 0 || r.Indexes != 0 {
			t.Errorf("second load: %+v, %d indexes", tr, r.Indexes)
		}
	}
	firstseen := query(t, g, "MATCH (n) OPTIONAL MATCH (n)-[r]->() RETURN n.id, n.firstseen, sum(r.firstseen) ORDER BY n.id")
	first(200).load(t, g, Options{})
	if now := query(t, g, "MATCH (n) OPTIONAL MATCH (n)-[r]->() RETURN n.id, n.firstseen, sum(r.firstseen) ORDER BY n.id"); now != firstseen {
		t.Error("a later load changed firstseen")
	}
	expect(t, g, "MATCH (n) WHERE n.lastupdated <> 200 RETURN n.id")
	expect(t, g, "MATCH ()-[r]->() WHERE r.lastupdated <> 200 RETURN r")
}

// The report tells what was new, what was as before, and by that what changed.
func TestUnchanged(t *testing.T) {
	g := testGraph(t)
	// s1 is in two tables. Where these have statements of their own it counts with
	// each, its owner's link too, and a newer load makes it first what the stub says.
	both, stub := int64(1), int64(1)
	if together(g) {
		both, stub = 0, 0
	}
	check := func(s *snapshot, want tally) {
		t.Helper()
		var got tally
		for _, r := range s.load(t, g, Options{}).Tables {
			got.nodesCreated += r.NodesCreated
			got.nodesUnchanged += r.NodesUnchanged
			got.linksCreated += r.LinksCreated
			got.linksUnchanged += r.LinksUnchanged
		}
		if got != want {
			t.Errorf("%d: %+v, want %+v", s.Tag(), got, want)
		}
	}
	// Within one load a second look at s1 finds its owner's link as it was.
	check(first(100), tally{nodesCreated: 11, linksCreated: 16, linksUnchanged: both})
	check(first(100), tally{nodesUnchanged: 11 + both, linksUnchanged: 16 + both})
	check(first(200), tally{nodesUnchanged: 11 - stub, linksUnchanged: 16 + both})

	other := first(300)
	for _, rows := range other.rows {
		for _, r := range rows {
			switch r[0] {
			case "p1": // its name, and since when both roles have it
				r[1], r[3] = "Operator", "lately"
			case "i1": // null, where something was
				r[1] = nil
			case "v1": // a list grows
				r[3] = []string{"a", "b", "c"}
			case "r2":
				r[0] = "r3" // another role, with the same ARN
			}
		}
	}
	check(other, tally{nodesCreated: 1, nodesUnchanged: 7 - stub, linksCreated: 2, linksUnchanged: 13 + both})
	expect(t, g, "MATCH (p:Policy)<-[r:POLICY]-(x) RETURN p.name, r.since, x.id ORDER BY x.id", `["Operator","lately","r1"]`, `["Operator","lately","r3"]`)

	cypher(t, g, "MATCH (v:Vpc) SET v.ratio = 0.25, v.exposed = true") // by somebody: what a row has is put right
	check(other, tally{nodesUnchanged: 10 + both, linksUnchanged: 16 + both})
	expect(t, g, "MATCH (v:Vpc) RETURN v.ratio, v.exposed", `[0.5,true]`)
}

// Of tables of few rows a load writes what the graph lacks: nothing where it has
// all, the time of the load where nothing else has changed, and what somebody
// has changed by hand.
func TestWritesWhatIsLacking(t *testing.T) {
	direct := testGraph(t)
	if !together(direct) {
		return // the other way writes all
	}
	r := &recorder{DriverWithContext: direct.driver}
	recording := *direct
	recording.driver = r
	wrote := func(s *snapshot) (wrote []string) {
		r.seen = nil
		s.load(t, &recording, Options{})
		for _, c := range []string{updateFew, createFew, assertFew, relateFew} {
			if slices.Contains(r.seen, c) {
				wrote = append(wrote, c)
			}
		}
		return wrote
	}
	const all = "MATCH (n) OPTIONAL MATCH (n)-[r]->(x) RETURN labels(n), properties(n), type(r), properties(r) ORDER BY n.id, type(r), x.id"
	for _, c := range []struct {
		what, change string
		wants        []string
	}{
		{"an empty graph", "", []string{createFew, relateFew}},
		{"the same again", "", nil},
		{"a property of a node", "MATCH (v:Vpc) SET v.name = 'x'", []string{updateFew}},
		{"a property that was removed", "MATCH (v:Vpc) REMOVE v.name", []string{updateFew}},
		{"another type", "MATCH (v:Vpc) SET v.zones = 'a'", []string{updateFew}},
		{"a label", "MATCH (v:Vpc) REMOVE v:Network", []string{updateFew}},
		{"the cells", "MATCH (v:Vpc) SET v._snap_cells = []", []string{updateFew}},
		{"a property of a relationship", "MATCH ()-[r:POLICY]->() SET r.since = 'x'", []string{assertFew}},
		{"the cells of a relationship", "MATCH ()-[r:POLICY]->() REMOVE r._snap_cells", []string{assertFew}},
		{"a relationship", "MATCH ()-[r:POLICY]->() DELETE r", []string{relateFew}},
	} {
		if c.change != "" {
			cypher(t, direct, c.change)
		}
		if got := wrote(first(100)); !slices.Equal(got, c.wants) {
			t.Errorf("%s: wrote %q, want %q", c.what, got, c.wants)
		}
	}
	before := query(t, direct, all)
	if got, want := wrote(first(200)), []string{updateFew, assertFew}; !slices.Equal(got, want) {
		t.Errorf("a newer load: wrote %q, want %q", got, want)
	}
	after := query(t, direct, all)
	for _, time := range []string{`"lastupdated":`, `"_snap_begun":`} {
		after = strings.ReplaceAll(after, time+"200", time+"100")
	}
	if after != before {
		t.Errorf("a newer load of the same changes more than its time:\n%s\n%s", before, after)
	}
}

// A table of few rows finds the other end of a link by what a table of many rows
// has just written, not by what the graph held before.
func TestLinkByWhatChanged(t *testing.T) {
	g := testGraph(t)
	s := func(tag int64) *snapshot {
		return newSnapshot(tag).account("1").cell("1//iam", store.Complete, func(to kind.Sink) {
			roles.Put(to, roleRow{"r1", "arn:r1"})
			roles.Put(to, roleRow{"r2", "arn:r2"})
			policies.Put(to, policyRow{ID: "p1", Roles: []string{"arn:r1"}})
		})
	}
	one := Options{smallRows: 1}
	s(100).load(t, g, one)
	cypher(t, g, "MATCH (r1:Role {id: 'r1'})-[l:POLICY]->() MATCH (r2:Role {id: 'r2'}) DELETE l SET r1.arn = 'other', r2.arn = 'arn:r1'")
	s(200).load(t, g, one)
	expect(t, g, "MATCH (r:Role)-[:POLICY]->(p) RETURN r.id, p.id", `["r1","p1"]`)
}

func TestNullAndUnknown(t *testing.T) {
	g := testGraph(t)
	first(100).load(t, g, Options{})
	const show = "MATCH (v:Vpc) RETURN v.name, v._ont_name, v.main, v._ont_main, v.zones, v.lastupdated"
	expect(t, g, show, `["main","main",true,true,["a","b"],100]`)

	net := func(tag int64, state store.State, v vpcRow) *snapshot {
		return newSnapshot(tag).account("1").cell("1/r1/net", state, func(to kind.Sink) { vpcs.Put(to, v) })
	}
	unread := vpcRow{ID: "v1", Zones: []string{}}
	unread.Unread(errors.New("denied"), "name", "main")
	net(200, store.Partial, unread).load(t, g, Options{})
	expect(t, g, show, `["main","main",true,true,[],200]`)

	net(300, store.Complete, vpcRow{ID: "v1"}).without("vpc", "name").load(t, g, Options{})
	expect(t, g, show, `["main","main",null,false,null,300]`)

	net(400, store.Complete, vpcRow{ID: "v1"}).load(t, g, Options{})
	expect(t, g, show, `[null,null,null,false,null,400]`)
}

// A stub changes nothing that a full description, which this load could not
// renew, says.
func TestStub(t *testing.T) {
	g := testGraph(t)
	first(100).load(t, g, Options{})
	const show = "MATCH (s:Subnet) RETURN s.id, s.name, s.seen, s.lastupdated ORDER BY s.id"
	vm := func(tag int64, net store.State) *snapshot {
		return newSnapshot(tag).account("1").cell("1/r1/net", net, nil).cell("1/r1/ec2:vm", store.Complete, func(to kind.Sink) {
			stubs.Put(to, stubRow{ID: "s1", Name: ptr("stub"), Seen: ptr("again")})
			stubs.Put(to, stubRow{ID: "s3", Name: ptr("new"), Seen: ptr("again")})
		})
	}
	for range 2 {
		vm(200, store.Denied).load(t, g, Options{})
		expect(t, g, show, `["s1","one","again",200]`, `["s2",null,null,100]`, `["s3","new","again",200]`)
	}
	// The full description is proved gone: the stub's is what there is.
	vm(300, store.Complete).load(t, g, Options{})
	expect(t, g, show, `["s1","stub","again",300]`, `["s3","new","again",300]`)
}

func TestSharedNode(t *testing.T) {
	g := testGraph(t)
	iam := func(s *snapshot, account string, state store.State, names ...string) *snapshot {
		return s.account(account).cell(account+"//iam", state, func(to kind.Sink) {
			for _, n := range names {
				roles.Put(to, roleRow{account + n, "arn:" + account + n})
				policies.Put(to, policyRow{ID: "shared", Roles: []string{"arn:" + account + n}})
			}
		})
	}
	const show = "MATCH (p:Policy) OPTIONAL MATCH (r)-[:POLICY]->(p) WITH p, r ORDER BY r.id RETURN p._snap_cells, collect(r.id)"
	both := iam(iam(newSnapshot(100), "1", store.Complete, "a"), "2", store.Complete, "b")
	both.load(t, g, Options{})
	expect(t, g, show, `[["aws/1//iam","aws/2//iam"],["1a","2b"]]`)

	// 1 no longer has it; 2 was denied, and keeps it and its own relationship.
	r := iam(iam(newSnapshot(200), "1", store.Complete), "2", store.Denied).load(t, g, Options{})
	expect(t, g, show, `[["aws/2//iam"],["2b"]]`)
	i := slices.IndexFunc(r.Tables, func(t TableReport) bool { return t.Table == "policy" })
	if want := []Kept{{Cell: "aws/2//iam", State: store.Denied, Nodes: 1, Links: 1}}; !reflect.DeepEqual(r.Tables[i].Kept, want) {
		t.Errorf("kept %+v, want %+v", r.Tables[i].Kept, want)
	}
	// Only account 2 in the snapshot: that is enough now.
	iam(newSnapshot(300), "2", store.Complete).load(t, g, Options{})
	expect(t, g, show)
	expect(t, g, "MATCH (r:Role) RETURN r.id")
}

// TestCleanup goes through how each cell may have ended, for a node in one
// cell and a node in two.
func TestCleanup(t *testing.T) {
	g := testGraph(t)
	states := []store.State{store.Complete, store.Partial, store.Denied, store.Unsupported, store.Failed, store.Skipped, absent}
	for _, net := range states {
		for _, vm := range states {
			t.Run(string(net)+"/"+string(vm), func(t *testing.T) {
				cypher(t, g, "MATCH (n) DETACH DELETE n")
				first(100).load(t, g, Options{})
				s := newSnapshot(200).account("1")
				for name, state := range map[string]store.State{"1/r1/net": net, "1/r1/ec2:vm": vm} {
					if state != absent {
						s.cell(name, state, nil)
					}
				}
				s.load(t, g, Options{})
				var want []string
				keep := func(id string, cells ...string) {
					var left []string
					for _, c := range cells {
						if state := map[string]store.State{"net": net, "ec2:vm": vm}[c]; state != store.Complete {
							left = append(left, `"aws/1/r1/`+c+`"`)
						}
					}
					if len(left) > 0 {
						want = append(want, fmt.Sprintf(`["%s",[%s]]`, id, strings.Join(left, ",")))
					}
				}
				keep("i1", "ec2:vm")
				keep("i2", "ec2:vm")
				keep("s1", "ec2:vm", "net")
				keep("s2", "net")
				keep("s3", "ec2:vm")
				keep("v1", "net")
				keep("v1|10/8", "net")
				expect(t, g, "MATCH (n) WHERE n:Vpc OR n:Range OR n:Subnet OR n:Vm RETURN n.id, n._snap_cells ORDER BY n.id", want...)
				links := []string{}
				if vm != store.Complete {
					links = append(links, `["i1","IN","s1"]`, `["i2","IN","s1"]`, `["i2","IN","s3"]`)
				}
				if net != store.Complete {
					links = append(links, `["s1","MEMBER_OF","v1"]`, `["v1","HAS","v1|10/8"]`)
				}
				expect(t, g, "MATCH (a)-[r:IN|MEMBER_OF|HAS]->(b) RETURN a.id, type(r), b.id ORDER BY a.id, b.id", links...)
				expect(t, g, "MATCH (a:AWSAccount) RETURN a.id", `["1"]`)
				expect(t, g, "MATCH (r:Role) RETURN count(r)", `[2]`) // iam is not in the snapshot
			})
		}
	}
}

// A relationship goes although its nodes stay, but only where the rows that
// would assert it were read and name its end.
func TestStaleLinks(t *testing.T) {
	g := testGraph(t)
	moved := func(tag int64, state store.State, s subnetRow) *snapshot {
		return newSnapshot(tag).account("1").cell("1/r1/net", state, func(to kind.Sink) {
			vpcs.Put(to, vpcRow{ID: "v1"})
			subnets.Put(to, s)
		})
	}
	hidden := subnetRow{ID: "s1"}
	hidden.Unread(errors.New("denied"), "vpc_id")
	for _, c := range []struct {
		name string
		snap *snapshot
		want bool
	}{
		{"still there", moved(200, store.Complete, subnetRow{ID: "s1", VPC: ptr("v1")}), true},
		{"null", moved(200, store.Complete, subnetRow{ID: "s1"}), false},
		{"another", moved(200, store.Complete, subnetRow{ID: "s1", VPC: ptr("v2")}), false},
		{"null in a partial cell", moved(200, store.Partial, subnetRow{ID: "s1"}), true},
		{"unknown", moved(200, store.Partial, hidden), true},
		{"unknown in a cell that calls itself complete", moved(200, store.Complete, hidden), true},
		{"column missing", moved(200, store.Complete, subnetRow{ID: "s1"}).without("subnet", "vpc_id"), true},
		{"table missing", moved(200, store.Complete, subnetRow{ID: "s1"}).without("subnet"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			cypher(t, g, "MATCH (n) DETACH DELETE n")
			first(100).load(t, g, Options{})
			c.snap.load(t, g, Options{})
			want := []string{}
			if c.want {
				want = append(want, `["s1","v1"]`)
			}
			expect(t, g, "MATCH (a)-[:MEMBER_OF]->(b) RETURN a.id, b.id", want...)
			expect(t, g, "MATCH (s:Subnet {id: 's1'}) RETURN count(s)", `[1]`)
		})
	}
}

// What Cartography wrote says no cell: it goes only with whole accounts.
func TestCartographysGraph(t *testing.T) {
	g := testGraph(t)
	const graph = `CREATE (a:AWSAccount {id: '1', lastupdated: 50}), (b:AWSAccount {id: '2', lastupdated: 50}),
		(a)-[:RESOURCE {lastupdated: 50}]->(:Vpc {id: 'old', lastupdated: 50}),
		(a)-[:RESOURCE {lastupdated: 50}]->(both:Vpc {id: 'both', lastupdated: 50})<-[:RESOURCE {lastupdated: 50}]-(b),
		(b)-[:RESOURCE {lastupdated: 50}]->(:Vpc {id: 'other', lastupdated: 50}),
		(a)-[:RESOURCE]->(:Vpc {id: 'mine'}), (:Vpc {id: 'alone', lastupdated: 50}),
		(a)-[:RESOURCE {lastupdated: 50}]->(s:Subnet {id: 's', lastupdated: 50})-[:MEMBER_OF {lastupdated: 50}]->(v:Vpc {id: 'v', lastupdated: 50})<-[:RESOURCE {lastupdated: 50}]-(a),
		(s)-[:MEMBER_OF]->(:Vpc {id: 'byhand'}),
		(a)-[:RESOURCE {lastupdated: 50}]->(r:Role {id: 'r', arn: 'r', lastupdated: 50})-[:TRUSTS {lastupdated: 50, _sub_resource_label: 'AWSAccount', _sub_resource_id: '1'}]->(p:Policy {id: 'p', lastupdated: 50}), (a)-[:TRUSTS {lastupdated: 50}]->(:Policy {id: 'q', lastupdated: 50})`
	const vpcs1 = "MATCH (v:Vpc) RETURN v.id ORDER BY v.id"
	snap := func(net1, vm1, iam1 store.State, regions ...string) *snapshot {
		s := newSnapshot(100).account("1").
			cell("1/r1/net", store.Complete, func(to kind.Sink) {
				vpcs.Put(to, vpcRow{ID: "v"})
				subnets.Put(to, subnetRow{ID: "s"})
			}).
			cell("1/r2/net", net1, nil).cell("1/r1/ec2:vm", vm1, nil).
			cell("1//iam", iam1, func(to kind.Sink) { roles.Put(to, roleRow{"r", "r"}); policies.Put(to, policyRow{ID: "p"}) })
		s.Regions = regions
		return s
	}
	all := []string{`["alone"]`, `["both"]`, `["byhand"]`, `["mine"]`, `["old"]`, `["other"]`, `["v"]`}
	gone := []string{`["alone"]`, `["both"]`, `["byhand"]`, `["mine"]`, `["other"]`, `["v"]`}
	member, byhand := `["s","MEMBER_OF","v"]`, `["s","MEMBER_OF","byhand"]`
	trust := `["r","TRUSTS","p"]`
	for _, c := range []struct {
		name  string
		snap  *snapshot
		vpcs  []string
		links []string
	}{
		{"whole", snap(store.Complete, store.Complete, store.Complete), gone, []string{byhand}},
		{"one region denied", snap(store.Denied, store.Complete, store.Complete), all, []string{byhand, member}},
		{"iam denied", snap(store.Complete, store.Complete, store.Denied), gone, []string{trust, byhand}},
		{"some regions only", snap(store.Complete, store.Complete, store.Complete, "r1", "r2"), all, []string{trust, byhand, member}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cypher(t, g, "MATCH (n) DETACH DELETE n")
			cypher(t, g, graph)
			c.snap.load(t, g, Options{})
			expect(t, g, vpcs1, c.vpcs...)
			expect(t, g, "MATCH (p:Policy {id: 'q'}) RETURN count(p)", `[1]`) // linked with the account, but not owned by it
			expect(t, g, "MATCH (a)-[r:MEMBER_OF|TRUSTS]->(b) WHERE b.id <> 'q' RETURN a.id, type(r), b.id ORDER BY a.id, b.id", c.links...)
		})
	}
}

// A table that this program has and the snapshot lacks is not taken for empty.
func TestTableMissing(t *testing.T) {
	g := testGraph(t)
	first(100).load(t, g, Options{})
	newSnapshot(200).account("1").cell("1/r1/net", store.Complete, nil).without("vpc").load(t, g, Options{})
	expect(t, g, "MATCH (v:Vpc) RETURN v.id", `["v1"]`)
	expect(t, g, "MATCH (r:Range) RETURN r.id")

	cypher(t, g, "MATCH (n) DETACH DELETE n")
	first(100).load(t, g, Options{})
	newSnapshot(200).account("1").cell("1/r1/net", store.Complete, nil).cell("1/r1/ec2:vm", store.Complete, nil).without("subnet").load(t, g, Options{})
	expect(t, g, "MATCH (s:Subnet) RETURN s.id, s._snap_cells ORDER BY s.id", `["s1",["aws/1/r1/net"]]`, `["s2",["aws/1/r1/net"]]`)
}

func TestHostileValues(t *testing.T) {
	g := testGraph(t)
	for i, v := range []string{"' OR 1=1 //", "\"}) DETACH DELETE n //", "`x`", "\\", "\\u0027", "$tag", "{}", "line\nbreak\x00nul", "𝔘 \u2028 ✓", "", "\u202egnp.exe\u2066\u200b\ufeff", "\u0001\u001b[2J\u007f", strings.Repeat("x", 10<<20)} {
		tag := int64(100 + i)
		id := v
		if len(id) > 1000 {
			id = id[:1000]
		}
		newSnapshot(tag).account("1").cell("1/r1/net", store.Complete, func(to kind.Sink) {
			ranges.Put(to, rangeRow{id, v})
			vpcs.Put(to, vpcRow{ID: id, Zones: []string{v, v}})
			subnets.Put(to, subnetRow{ID: id, VPC: &id, Name: &v})
		}).load(t, g, Options{})
		rows, err := g.read(context.Background(), "MATCH (v:Vpc)<-[:MEMBER_OF]-(s:Subnet) RETURN v.id, v.zones, s.name", nil)
		if err != nil {
			t.Fatal(err)
		}
		if want := [][]any{{id, []any{v, v}, v}}; !reflect.DeepEqual(rows, want) {
			t.Errorf("value %.40q came back as %.200q", v, fmt.Sprint(rows))
		}
	}
}

// An index holds no long text: the load says where it is instead of failing
// when the server finds out.
func TestTooLongForAnIndex(t *testing.T) {
	g := testGraph(t)
	long := strings.Repeat("x", indexBytes+1)
	for _, row := range []vpcRow{{ID: "v1", Name: &long}, {ID: long}} {
		_, err := newSnapshot(100).account("1").cell("1/r1/net", store.Complete, func(to kind.Sink) { vpcs.Put(to, row) }).try(g, Options{})
		if err == nil || !strings.Contains(err.Error(), "table vpc: cell aws/1/r1/net: the row") || !strings.Contains(err.Error(), "8001 bytes in column ") || len(err.Error()) > 300 {
			t.Errorf("error %.400v", err)
		}
	}
	fits := long[1:]
	newSnapshot(100).account("1").cell("1/r1/net", store.Complete, func(to kind.Sink) {
		for i := range indexFrom {
			vpcs.Put(to, vpcRow{ID: fmt.Sprint(i, fits)[:indexBytes], Name: &fits})
		}
	}).load(t, g, Options{})
}

func TestOlderIsRefused(t *testing.T) {
	g := testGraph(t)
	first(200).load(t, g, Options{})
	before := dump(t, g)
	var newer *NewerError
	for _, o := range []Options{{}, {DryRun: true}, {Tag: 199}} {
		if _, err := first(100).try(g, o); !errors.As(err, &newer) || newer.Account != "1" || newer.Holds != 200 || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: error %v", o, err)
		}
	}
	if dump(t, g) != before {
		t.Error("a refused load changed the graph")
	}
	newSnapshot(100).account("2").load(t, g, Options{}) // another account
	first(100).load(t, g, Options{Tag: 300})
	first(100).load(t, g, Options{Force: true})
	expect(t, g, "MATCH (m:ModuleSyncMetadata {id: 'AWSAccount_1_AWSAccount'}) RETURN m.lastupdated", `[100]`)

	// Cartography's own note, and a load that was interrupted.
	cypher(t, g, "MATCH (m:ModuleSyncMetadata) SET m.lastupdated = 500, m._snap_begun = null")
	if _, err := first(400).try(g, Options{}); !errors.As(err, &newer) {
		t.Errorf("after Cartography: %v", err)
	}
	cypher(t, g, "MATCH (m:ModuleSyncMetadata) SET m.lastupdated = 50, m._snap_begun = 500")
	if _, err := first(400).try(g, Options{}); !errors.As(err, &newer) {
		t.Errorf("after an interrupted load: %v", err)
	}
	first(500).load(t, g, Options{})
}

// A dry run writes nothing and reports what the load then does.
func TestDryRun(t *testing.T) {
	changed := func() *snapshot {
		return newSnapshot(200).account("1").
			cell("1/r1/net", store.Complete, func(to kind.Sink) {
				subnets.Put(to, subnetRow{ID: "s1"})
				vpcs.Put(to, vpcRow{ID: "v1"})
			}).
			cell("1/r1/ec2:vm", store.Denied, nil).
			cell("1//iam", store.Complete, func(to kind.Sink) {
				roles.Put(to, roleRow{"r1", "arn:r1"})
				policies.Put(to, policyRow{ID: "p1", Roles: []string{"arn:r1"}})
			})
	}
	g := testGraph(t)
	r := first(100).load(t, g, Options{DryRun: true})
	if dump(t, g) != "" || query(t, g, "SHOW INDEXES YIELD type, name WHERE type = 'RANGE' RETURN name") != "" {
		t.Error("a dry run wrote")
	}
	if r.Indexes == 0 || r.Tables[0].Rows != 1 {
		t.Errorf("report %+v", r)
	}
	first(100).load(t, g, Options{})
	before := dump(t, g)
	dry := changed().load(t, g, Options{DryRun: true})
	if dump(t, g) != before {
		t.Error("a dry run wrote")
	}
	real := changed().load(t, g, Options{})
	var deleted int64
	for i := range dry.Tables {
		d, w := dry.Tables[i], real.Tables[i]
		deleted += w.NodesDeleted + w.LinksDeleted
		if d.Rows != w.Rows || d.NodesDeleted != w.NodesDeleted || d.LinksDeleted != w.LinksDeleted || !reflect.DeepEqual(d.Kept, w.Kept) {
			t.Errorf("dry %+v\nreal %+v", d, w)
		}
	}
	// s2, the range, r2; MEMBER_OF, TRUSTS
	if deleted != 5 {
		t.Errorf("%d deleted, want 5", deleted)
	}
	again := changed().load(t, g, Options{DryRun: true})
	for _, tr := range again.Tables {
		if tr.NodesDeleted+tr.LinksDeleted != 0 {
			t.Errorf("after the load a dry run would delete: %+v", tr)
		}
	}
}

func TestGuard(t *testing.T) {
	g := testGraph(t)
	roleCell := func(s *snapshot, account string, n int) *snapshot {
		return s.account(account).cell(account+"//iam", store.Complete, func(to kind.Sink) {
			for i := range n {
				roles.Put(to, roleRow{fmt.Sprint(account, "-", i), fmt.Sprint(i)})
				policies.Put(to, policyRow{ID: fmt.Sprint(account, "-", i)})
			}
		})
	}
	roleCell(roleCell(newSnapshot(100), "1", 40), "2", 400).load(t, g, Options{MaxDelete: 0.3})
	less := func(n int) *snapshot { return roleCell(roleCell(newSnapshot(200), "1", n), "2", 400) }
	var guard *GuardError
	before := query(t, g, nodeIDs)
	for _, dry := range []bool{true, false} {
		_, err := less(27).try(g, Options{MaxDelete: 0.3, DryRun: dry})
		if !errors.As(err, &guard) || guard.Account != "1" || guard.Gone != 13 || guard.Of != 40 || guard.Table != "policy" {
			t.Fatalf("error %v", err)
		}
	}
	if query(t, g, nodeIDs) != before {
		t.Error("the guard let nodes go")
	}
	less(28).load(t, g, Options{MaxDelete: 0.3})
	expect(t, g, "MATCH (r:Role) RETURN count(r)", `[428]`)
	less(18).load(t, g, Options{MaxDelete: 0.01, Tag: 300}) // ten may always go
	less(0).load(t, g, Options{Tag: 400})
	expect(t, g, "MATCH (r:Role) RETURN count(r)", `[400]`)
	newSnapshot(500).account("2").cell("2//iam", store.Complete, nil).load(t, g, Options{NoCleanup: true})
	expect(t, g, "MATCH (r:Role) RETURN count(r)", `[400]`)
}

func TestJobs(t *testing.T) {
	g := testGraph(t)
	jobs := []Job{
		{Name: "marks", Reads: []string{"net", "ec2:vm"}, Scope: PerAccount,
			Reset: []string{"MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(v:Vpc) REMOVE v.mark"},
			Set:   []string{"MATCH (:AWSAccount {id: $account})-[:RESOURCE]->(v:Vpc) SET v.mark = $tag"}},
		{Name: "total", Reads: []string{"net"}, Scope: Estate, Set: []string{"MATCH (v:Vpc) WITH count(v) AS total MATCH (a:AWSAccount) SET a.total = total"}},
	}
	net := func(s *snapshot, account string, vm, net store.State) *snapshot {
		s.account(account)
		if vm != absent {
			s.cell(account+"/r1/ec2:vm", vm, nil)
		}
		return s.cell(account+"/r1/net", store.Complete, nil).cell(account+"/r2/net", net, func(to kind.Sink) { vpcs.Put(to, vpcRow{ID: "v" + account}) })
	}
	const show = "MATCH (a:AWSAccount)-->(v:Vpc) RETURN v.id, v.mark, a.total ORDER BY v.id"
	r := net(net(newSnapshot(100), "1", store.Complete, store.Complete), "2", store.Complete, store.Complete).load(t, g, Options{Jobs: jobs})
	expect(t, g, show, `["v1",100,2]`, `["v2",100,2]`)
	if want := []JobReport{{Name: "marks", Account: "1", Ran: true}, {Name: "marks", Account: "2", Ran: true}, {Name: "total", Ran: true}}; !reflect.DeepEqual(timeless(r.Analysis), want) {
		t.Errorf("%+v", r.Analysis)
	}
	r = net(net(newSnapshot(200), "1", absent, store.Complete), "2", store.Complete, store.Partial).load(t, g, Options{Jobs: jobs})
	expect(t, g, show, `["v1",100,2]`, `["v2",100,2]`)
	if want := []JobReport{
		{Name: "marks", Account: "1", Cell: "aws/1/*/ec2:vm", State: absent},
		{Name: "marks", Account: "2", Cell: "aws/2/r2/net", State: store.Partial},
		{Name: "total", Cell: "aws/2/r2/net", State: store.Partial},
	}; !reflect.DeepEqual(timeless(r.Analysis), want) {
		t.Errorf("%+v", r.Analysis)
	}

	// What a run did not find again goes with Clean, if what it reads is complete.
	marked := []Job{{Name: "marked", Reads: []string{"net"}, Scope: PerAccount,
		Set:   []string{"MATCH (a:AWSAccount {id: $account})-[:RESOURCE]->(v:Vpc) WHERE $tag = 300 MERGE (a)-[r:MARKED]->(v) SET r.lastupdated = $tag"},
		Clean: []string{"MATCH (:AWSAccount {id: $account})-[r:MARKED]->() WHERE r.lastupdated <> $tag DELETE r"}}}
	for _, c := range []struct {
		tag  int64
		two  store.State
		want string
	}{{300, store.Complete, `["1"]["2"]`}, {400, store.Denied, `["2"]`}, {500, store.Complete, ``}} {
		net(net(newSnapshot(c.tag), "1", absent, store.Complete), "2", absent, c.two).load(t, g, Options{Jobs: marked})
		if got := strings.ReplaceAll(query(t, g, "MATCH (a)-[:MARKED]->() RETURN a.id ORDER BY a.id"), "\n", ""); got != c.want {
			t.Errorf("load %d: marked %s, want %s", c.tag, got, c.want)
		}
	}
}

// timeless are reports without how long the jobs took.
func timeless(jobs []JobReport) []JobReport {
	for i := range jobs {
		jobs[i].Seconds = 0
	}
	return jobs
}

// A snapshot that really is one, with two batches of rows.
func TestStore(t *testing.T) {
	g := testGraph(t)
	dir := t.TempDir() + "/snap"
	w, err := store.Create(dir, store.Manifest{Program: "test", Started: time.Unix(100, 0), Syncs: []string{"account", "net"},
		Accounts: []store.Account{{Provider: "aws", ID: "111111111111", Name: "one", Regions: []string{"us-east-1"}}}})
	if err != nil {
		t.Fatal(err)
	}
	var tables []*kind.Table
	put := func(id store.CellID, put func(kind.Sink)) {
		c := w.Cell(id)
		put(c)
		of := registry.Sync(id.Sync).Tables
		tables = append(tables, of...)
		if err := c.Close(of, store.Outcome{State: store.Complete}); err != nil {
			t.Fatal(err)
		}
	}
	put(store.CellID{Provider: "aws", Account: "111111111111", Sync: "account"}, func(to kind.Sink) {
		accounts.Put(to, accountRow{ID: "111111111111"})
	})
	const n = batchRows + 7
	put(store.CellID{Provider: "aws", Account: "111111111111", Region: "us-east-1", Sync: "net"}, func(to kind.Sink) {
		vpcs.Put(to, vpcRow{ID: "v1", Since: ptr(time.Unix(1, 0))})
		for i := range n {
			subnets.Put(to, subnetRow{ID: fmt.Sprintf("s%05d", i), VPC: ptr("v1")})
		}
	})
	if _, err := w.Commit(tables, time.Unix(200, 0)); err != nil {
		t.Fatal(err)
	}
	snap, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	var last Progress
	r, err := Load(context.Background(), g, snap, Options{Registry: registry, Progress: func(p Progress) { last = p }})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, g, "MATCH (:AWSAccount)-[:RESOURCE]->(s:Subnet)-[:MEMBER_OF]->(v:Vpc) RETURN count(s), v.since.epochSeconds", fmt.Sprintf("[%d,1]", n))
	if r.Snapshot != snap.ID || last.Done != last.Total || last.Total < 2*n+2 {
		t.Errorf("snapshot %s, progress %+v", r.Snapshot, last)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}
