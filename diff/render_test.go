package diff

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"snap/store"
	"snap/store/kind"
)

var update = flag.Bool("update", false, "write the golden files anew")

// example is a morning's drift: something of every sort.
func example(t testing.TB) (old, new *store.Snapshot) {
	t.Helper()
	const trust = `{"Version":"2012-10-17","Statement":[{"Sid":"Lambda","Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"},{"Sid":"CI","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111111111111:role/ci"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"1234"}}}]}`
	accounts := func(names ...string) (out []store.Account) {
		for i, n := range names {
			if n != "" {
				out = append(out, store.Account{Provider: "aws", ID: strings.Repeat(string(rune('1'+i)), 12), Name: n, Profiles: []string{n}, Regions: []string{"eu-west-1", "us-east-1"}})
			}
		}
		return out
	}
	named := func(id, name string, change func(*host)) host {
		h := base(id)
		h.Name = p(name)
		h.Policy = p(trust)
		if change != nil {
			change(&h)
		}
		return h
	}
	oldHosts := []host{
		named("i-0a1b", "web-1", nil), named("i-0c2d", "web-2", nil), named("i-0e3f", "db-1", nil), named("i-0f00", "", func(h *host) { h.Name = nil }),
	}
	newHosts := []host{
		named("i-0a1b", "web-1", func(h *host) {
			h.State, h.SubnetID, h.Groups = p("stopped"), p("subnet-2"), []string{"sg-1", "sg-9"}
			h.Roles = []string{"r-2", "r-3"}
			h.LastUsed = p("tuesday")
		}),
		named("i-0c2d", "web-2", func(h *host) {
			h.Policy = p(strings.Replace(trust, `"arn:aws:iam::111111111111:role/ci"`, `["arn:aws:iam::111111111111:role/ci","arn:aws:iam::999999999999:root"]`, 1))
			h.Launched, h.Ports = p(day(3)), nil
		}),
		named("i-0f00", "", func(h *host) { h.Name, h.Policy = nil, nil; h.Unread(errDenied, "policy") }),
		named("i-7777", "evil\x1b[2J\u202egnp", nil),
	}
	old = snapshot(t, registry, 6, accounts("prod", "sandbox"), nil,
		in(acct, "us-east-1", "host", all(rowsOf(hosts, oldHosts...), rowsOf(hostSubnets, hostSubnet{ID: "subnet-1", Hosts: []string{"i-0a1b", "i-0c2d"}}))),
		in(acct, "eu-west-1", "host", rowsOf(hosts, base("i-9001"), base("i-9002"))),
		in(acct, "us-east-1", "subnet", rowsOf(subnets, subnet{ID: "subnet-1"}, subnet{ID: "subnet-2"})),
		in(acct, "", "iam", rowsOf(grants, grant{Role: "ci", Number: 7})),
		in("222222222222", "us-east-1", "host", rowsOf(hosts, base("i-1"))),
	)
	new = snapshot(t, registry, 18, accounts("prod", "", "audit"), []store.Unresolved{{Profile: "sandbox", Error: "the SSO session has expired"}},
		in(acct, "us-east-1", "host", all(rowsOf(hosts, newHosts...), rowsOf(hostSubnets, hostSubnet{ID: "subnet-1", Hosts: []string{"i-0c2d"}}, hostSubnet{ID: "subnet-2", Hosts: []string{"i-0a1b"}}))).ended(store.Partial, "AccessDenied", "x:GetPolicy"),
		in(acct, "eu-west-1", "host", nil).ended(store.Denied, "UnauthorizedOperation", "ec2:DescribeInstances"),
		in(acct, "us-east-1", "subnet", rowsOf(subnets, subnet{ID: "subnet-1"}, subnet{ID: "subnet-2"})),
		in(acct, "", "iam", rowsOf(grants, grant{Role: "ci", Number: 7}, grant{Role: "ci", Number: 9})),
		in("333333333333", "us-east-1", "host", rowsOf(hosts, base("i-2"))),
	)
	old.ID, new.ID = "sha256:"+strings.Repeat("a1", 32), "sha256:"+strings.Repeat("b2", 32) // the store's format is not what is tested here
	return old, new
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; go test ./diff -update writes it anew. Got:\n%s", path, got)
	}
}

func TestText(t *testing.T) {
	old, new := example(t)
	text := func(b *bytes.Buffer, c *Comparison) error { return Text(b, c, TextOptions{}) }
	got := render1(t, text, old, new, Options{})
	golden(t, "example.txt", got)
	for _, r := range got {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("unprintable %q", r)
		}
	}
	golden(t, "same.txt", render1(t, text, old, old, Options{}))
	colored := render1(t, func(b *bytes.Buffer, c *Comparison) error { return Text(b, c, TextOptions{Color: true}) }, old, new, Options{})
	if stripped := stripColor(colored); stripped != got || colored == got {
		t.Error("with colours the text is another")
	}
	if strings.Contains(colored, "\x1b[2J") {
		t.Error("a value's escape sequence came through")
	}
}

func stripColor(s string) string {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(s, "\x1b[")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		_, s, _ = strings.Cut(after, "m")
	}
}

func TestTextCuts(t *testing.T) {
	var many []host
	for i := range 30 {
		many = append(many, base("h-"+string(rune('A'+i))))
	}
	long := with(base("h-0"), func(h *host) {
		h.State, h.Policy, h.Groups = p(strings.Repeat("é", 500)), p("["+strings.Repeat("1,", 200)+"2]"), strings.Fields(strings.Repeat("g ", 1)+"a b c d e f g h i j k l m")
	})
	old := snap(t, hostCell(rowsOf(hosts, append(many, base("h-0"))...)))
	new := snap(t, hostCell(rowsOf(hosts, long)).ended(store.Partial, "X", ""))
	text := func(b *bytes.Buffer, c *Comparison) error { return Text(b, c, TextOptions{}) }
	got := render1(t, text, old, new, Options{})
	for _, want := range []string{"… (500 characters)", "… 20 more", "more lines", "--format json", "+ … 5 more"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%s", want, got)
		}
	}
	for _, l := range strings.Split(got, "\n") {
		if n := len([]rune(l)); n > 300 {
			t.Errorf("a line of %d characters", n)
		}
	}
	whole := render1(t, func(b *bytes.Buffer, c *Comparison) error { return JSON(b, c) }, old, new, Options{})
	if !strings.Contains(whole, strings.Repeat("é", 500)) || strings.Count(whole, `"change":"unknown"`) != 30 {
		t.Error("JSON does not have what the text cuts")
	}
	if short := render1(t, text, new, new, Options{}); strings.Contains(short, "--format json") {
		t.Error("nothing was cut, but the text says so")
	}
}

// The members of the JSON outputs are a promise.
func TestJSON(t *testing.T) {
	old, new := example(t)
	got := render1(t, func(b *bytes.Buffer, c *Comparison) error { return JSON(b, c) }, old, new, Options{})
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, []byte(got), "", " "); err != nil {
		t.Fatal(err)
	}
	golden(t, "example.json", pretty.String())

	var report struct {
		Schema  string
		Summary json.RawMessage
		Changes []json.RawMessage
	}
	if err := json.Unmarshal([]byte(got), &report); err != nil || report.Schema != Schema {
		t.Fatal(err, report.Schema)
	}
	lines := strings.Split(strings.TrimSpace(render1(t, func(b *bytes.Buffer, c *Comparison) error { return NDJSON(b, c) }, old, new, Options{})), "\n")
	if len(lines) != 1+len(report.Changes) || !strings.HasPrefix(lines[0], `{"schema":"`+Schema+`","summary":`+string(report.Summary)) {
		t.Fatalf("%d lines, %s", len(lines), lines[0])
	}
	for i, l := range lines[1:] {
		if l != string(report.Changes[i]) {
			t.Errorf("line %d: %s\nwant %s", i, l, report.Changes[i])
		}
	}
	none := render1(t, func(b *bytes.Buffer, c *Comparison) error { return JSON(b, c) }, old, old, Options{})
	if !strings.HasSuffix(none, `"changes":[]}`+"\n") || !json.Valid([]byte(none)) {
		t.Error(none)
	}
}

// JSON has no NaN, and years beyond 9999 are no time to encoding/json.
func TestJSONOfOddValues(t *testing.T) {
	zero := 0.0
	odd := with(base("h"), func(h *host) { h.Load, h.Launched = p(zero/zero), p(day(1).AddDate(20000, 0, 0)) })
	got := render1(t, func(b *bytes.Buffer, c *Comparison) error { return JSON(b, c) },
		snap(t, hostCell(rowsOf(hosts, base("h")))), snap(t, hostCell(rowsOf(hosts, odd))), Options{})
	if !json.Valid([]byte(got)) || !strings.Contains(got, `"new":"NaN"`) || !strings.Contains(got, `"new":"22024-04-01T12:00:00Z"`) {
		t.Error(got)
	}
	same, _ := run(t, snap(t, hostCell(rowsOf(hosts, odd))), snap(t, hostCell(rowsOf(hosts, odd, base("i")))), registry, Options{Only: []string{"changed"}})
	expect(t, brief(same), "")
}

// More changes than the spool keeps in memory still come in order and whole,
// and nothing is left behind.
func TestSpool(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	var want bytes.Buffer
	var s spool
	for i := range 3000 {
		line := bytes.Repeat([]byte{byte('a' + i%26)}, 100+i)
		want.Write(line)
		if _, err := s.Write(line); err != nil {
			t.Fatal(err)
		}
	}
	if s.file == nil || s.mem.Cap() > 4*spoolMemory {
		t.Errorf("%d bytes in memory", s.mem.Cap())
	}
	var got bytes.Buffer
	if err := s.copyTo(&got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Error("it gives back something else")
	}
	if err := s.close(); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// An error on the way leaves no half output.
func TestDamage(t *testing.T) {
	cells := hostCell(rowsOf(hosts, base("h-1"), base("h-2")))
	for name, equal := range map[string]bool{"equal files": true, "other files": false} {
		t.Run(name, func(t *testing.T) {
			new := cells
			if !equal {
				new = hostCell(rowsOf(hosts, base("h-1")))
			}
			old, n := snap(t, cells), snapIn(t, new)
			file := n.snapshot.Manifest.Cells[0].Files[0]
			path := filepath.Join(n.dir, filepath.FromSlash(file.Path))
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)/2] ^= 1
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
			c, err := Compare(t.Context(), old, n.snapshot, registry, Options{})
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			err = Text(&out, c, TextOptions{})
			if err == nil || out.Len() > 0 || !strings.Contains(err.Error(), file.Path) {
				t.Errorf("error %v, output %q", err, out.String())
			}
		})
	}
}

// Another version's snapshots: a table and columns that this program does not
// know, and columns and tables that one side lacks.
func TestVersions(t *testing.T) {
	type wide struct {
		ID    string   `snap:"id,key"`
		Name  *string  `snap:"name"`
		Extra *string  `snap:"extra"`
		Doc   *string  `snap:"doc,document"`
		Used  *string  `snap:"used,volatile"`
		Links []string `snap:"_links"`
	}
	type narrow struct {
		ID   string  `snap:"id,key"`
		Name *string `snap:"name"`
	}
	type other struct {
		ID   string `snap:"id,key"`
		Name *int64 `snap:"name"`
	}
	type rekeyed struct {
		ID int64 `snap:"id,key"`
	}
	wides := kind.Of[wide](kind.Table{Name: "thing", Label: "Thing"})
	narrows := kind.Of[narrow](kind.Table{Name: "thing", Label: "Thing"})
	others := kind.Of[other](kind.Table{Name: "thing", Label: "Thing"})
	rekeyeds := kind.Of[rekeyed](kind.Table{Name: "thing", Label: "Thing"})
	empties := kind.Of[narrow](kind.Table{Name: "second", Label: "Second"})
	side := func(put func(kind.Sink), tables ...*kind.Table) *store.Snapshot {
		var r kind.Registry
		r.Register(&kind.Sync{Name: "thing", Tables: tables})
		return snapshot(t, &r, 6, nil, nil, in(acct, "us-east-1", "thing", put))
	}
	full := wide{ID: "t", Name: p("n"), Extra: p("e"), Doc: p(`{"a":1}`), Used: p("u"), Links: []string{"a", "b"}}
	wideOf := func(change func(*wide)) *store.Snapshot {
		w := full
		if change != nil {
			change(&w)
		}
		return side(rowsOf(wides, w), wides.Table)
	}
	narrowReg := &kind.Registry{}
	narrowReg.Register(&kind.Sync{Name: "thing", Tables: []*kind.Table{narrows.Table}})
	for _, c := range []struct {
		name     string
		old, new *store.Snapshot
		reg      *kind.Registry
		want     string
	}{
		{"no registry", wideOf(nil), wideOf(func(w *wide) { w.Extra, w.Doc, w.Used, w.Links = nil, p(`{ "a":1}`), nil, []string{"c"} }), nil, "changed thing t extra _links"},
		{"table unknown to it", wideOf(nil), wideOf(func(w *wide) { w.Extra = nil }), registry, "changed thing t extra"},
		{"columns unknown to it", wideOf(nil), wideOf(func(w *wide) { w.Extra, w.Name = nil, nil }), narrowReg, "changed thing t name extra"},
		{"columns that old lacks", side(rowsOf(narrows, narrow{ID: "t", Name: p("m")}), narrows.Table), wideOf(nil), nil,
			"unknown thing  extra?old doc?old _links?old\nchanged thing t name"},
		{"columns that new lacks", wideOf(nil), side(rowsOf(narrows, narrow{ID: "t", Name: p("n")}), narrows.Table), narrowReg,
			"unknown thing  extra?new doc?new _links?new"},
		{"type", side(rowsOf(others, other{ID: "t", Name: p(int64(1))}), others.Table), side(rowsOf(narrows, narrow{ID: "t", Name: p("1")}), narrows.Table), nil,
			"unknown thing  name?both"},
		{"type of an added row", side(rowsOf(others, other{ID: "s"}), others.Table), side(rowsOf(narrows, narrow{ID: "s"}, narrow{ID: "t", Name: p("1")}), narrows.Table), nil,
			"unknown thing  name?both\nadded thing t name"},
		{"key", side(rowsOf(rekeyeds, rekeyed{ID: 1}), rekeyeds.Table), side(rowsOf(narrows, narrow{ID: "t"}), narrows.Table), nil, "unknown thing  rows=1"},
		{"table that old lacks", wideOf(nil), side(all(rowsOf(wides, full), rowsOf(empties, narrow{ID: "x"})), wides.Table, empties.Table), nil, "unknown second  rows=1"},
		{"table that is empty in old", side(rowsOf(wides, full), wides.Table, empties.Table), side(all(rowsOf(wides, full), rowsOf(empties, narrow{ID: "x"})), wides.Table, empties.Table), nil, "added second x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, s := run(t, c.old, c.new, c.reg, Options{})
			expect(t, brief(got), c.want)
			if strings.Contains(c.want, "unknown") == s.Comparable() {
				t.Errorf("comparable: %v", s.Comparable())
			}
			c2, err := Compare(t.Context(), c.old, c.new, c.reg, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := Text(&bytes.Buffer{}, c2, TextOptions{}); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDetails(t *testing.T) {
	why := &Reason{Side: New, Text: "denied\x1b[2J"}
	v := func(v any) *Value { return &Value{v} }
	for _, c := range []struct {
		ch   Change
		want string
	}{
		{Change{Properties: []Property{{Name: "a", Old: v(nil), New: v([]string{})}}}, "a  null → []"},
		{Change{Properties: []Property{{Name: "a", Old: v([]int64{}), New: v(nil)}}}, "a  [] → null"},
		{Change{Properties: []Property{{Name: "a", Old: v(nil), New: v([]string{"x", "y z"}), Added: []any{"x", "y z\n"}}}}, `a  was null: + x, + "y z\n"`},
		{Change{Properties: []Property{{Name: "a", Old: v("x"), New: v(nil)}, {Name: "long", Old: v(1.5), New: v(false)}}}, "a     \"x\" → null\n      long  1.5 → false"},
		{Change{Properties: []Property{{Name: "a", Old: v([]string{"y", "x"}), Unknown: why}}}, `a  unknown  was ["x", "y"]  (new snapshot: denied\u001b[2J)`},
		{Change{Properties: []Property{{Name: "a", New: v(int64(3)), Unknown: &Reason{Side: Old, Text: "t"}}}}, "a  unknown  is 3  (old snapshot: t)"},
		{Change{Properties: []Property{{Name: "a", Unknown: &Reason{Side: Both, Text: "t"}}}}, "a  unknown  (both snapshots: t)"},
		{Change{Relations: []Relation{{Type: "T", Direction: "out", Label: "L", On: "id", Added: []any{int64(4)}}}}, "T → L: + 4"},
		{Change{Relations: []Relation{{Type: "T", Direction: "in", Label: "L", On: "id", Unknown: why}}}, `T ← L: unknown  (new snapshot: denied\u001b[2J)`},
		{Change{Relations: []Relation{{Type: "T", Direction: "out", Label: "L", Property: "p", Old: v("x"), New: v(nil)}}}, `T → L {p}: "x" → null`},
	} {
		w := &text{}
		w.details(c.ch)
		expect(t, w.b.String(), c.want)
	}
	for in, want := range map[string]string{"": `""`, " a": `" a"`, "a b": "a b", `a"b`: `"a\"b"`, "a\u202eb": `"a\u202eb"`, "é": "é"} {
		if got := bare(in); got != want {
			t.Errorf("%q as %s, want %s", in, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 rows", 1: "1 row", 999: "999 rows", 1000: "1,000 rows", 1234567: "1,234,567 rows"} {
		if got := count(n, "row", "rows"); got != want {
			t.Errorf("%d as %q", n, got)
		}
	}
}
