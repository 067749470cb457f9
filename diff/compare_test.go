package diff

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"snap/store"
	"snap/store/kind"
)

var errDenied = errors.New("AccessDenied")

func hostCell(put func(kind.Sink)) cell { return in(acct, "us-east-1", "host", put) }

// base is a host of which every column has a value.
func base(id string) host {
	return host{
		ID: id, Name: p("web"), Region: "us-east-1", State: p("running"), Size: p(int64(4)), Load: p(0.5), Public: p(false),
		Launched: p(day(1)), Groups: []string{"sg-1", "sg-2"}, Ports: []int64{80, 443}, Policy: p(`{"a":1,"b":[1,2]}`),
		LastUsed: p("monday"), SubnetID: p("subnet-1"), Roles: []string{"r-1", "r-2"}, Since: p("may"),
	}
}

func with(h host, change func(*host)) host {
	change(&h)
	return h
}

func TestColumns(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*host)
		all    bool
		want   string
	}{
		{"nothing", func(h *host) {}, false, ""},
		{"text", func(h *host) { h.State = p("stopped") }, false, "changed host h-1 state"},
		{"to null", func(h *host) { h.State = nil }, false, "changed host h-1 state"},
		{"empty is no null", func(h *host) { h.State = p("") }, false, "changed host h-1 state"},
		{"int", func(h *host) { h.Size = p(int64(5)) }, false, "changed host h-1 size"},
		{"float", func(h *host) { h.Load = p(0.25) }, false, "changed host h-1 load"},
		{"bool", func(h *host) { h.Public = p(true) }, false, "changed host h-1 public"},
		{"time", func(h *host) { h.Launched = p(day(2)) }, false, "changed host h-1 launched"},
		{"several", func(h *host) { h.Public, h.State = p(true), p("stopped") }, false, "changed host h-1 state public"},
		{"list's order", func(h *host) { h.Groups, h.Ports = []string{"sg-2", "sg-1"}, []int64{443, 80} }, false, ""},
		{"list's repetition", func(h *host) { h.Groups = []string{"sg-2", "sg-1", "sg-1"} }, false, ""},
		{"list's elements", func(h *host) { h.Groups = []string{"sg-1", "sg-3"} }, false, "changed host h-1 groups"},
		{"ints' elements", func(h *host) { h.Ports = []int64{80} }, false, "changed host h-1 ports"},
		{"list to null", func(h *host) { h.Groups = nil }, false, "changed host h-1 groups"},
		{"document's layout", func(h *host) { h.Policy = p(`{ "b":[1, 2], "a": 1.0 }`) }, false, ""},
		{"document", func(h *host) { h.Policy = p(`{"a":2,"b":[1,2]}`) }, false, "changed host h-1 policy"},
		{"plain text is no document", func(h *host) { h.State = p(" running") }, false, "changed host h-1 state"},
		{"volatile", func(h *host) { h.LastUsed = p("tuesday") }, false, ""},
		{"volatile shown", func(h *host) { h.LastUsed = p("tuesday") }, true, "changed host h-1 last_used"},
		{"link by property", func(h *host) { h.SubnetID = p("subnet-2") }, false, "changed host h-1 subnet_id"},
		{"link by list", func(h *host) { h.Roles = []string{"r-2", "r-3"} }, false, "changed host h-1 HAS_ROLE → Role(- r-1, + r-3)"},
		{"link's order", func(h *host) { h.Roles = []string{"r-2", "r-1"} }, false, ""},
		{"link's null and empty", func(h *host) { h.Roles = []string{} }, false, "changed host h-1 HAS_ROLE → Role(- r-1, - r-2)"},
		{"link's property", func(h *host) { h.Since = p("june") }, false, "changed host h-1 HAS_ROLE → Role(since)"},
		{"unknown now", func(h *host) { h.Policy = nil; h.Unread(errDenied, "policy") }, false, "unknown host h-1 policy?new"},
		{"unknown link", func(h *host) { h.Roles = nil; h.Unread(errDenied, "_roles") }, false, "unknown host h-1 HAS_ROLE → Role()?new"},
		{"unknown and changed", func(h *host) { h.Policy, h.State = nil, nil; h.Unread(errDenied, "policy") }, false, "changed host h-1 state policy?new"},
		{"unknown volatile", func(h *host) { h.Unread(errDenied, "last_used") }, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := with(base("h-1"), c.change)
			// The neighbours stay, and must not be mentioned.
			old := snap(t, hostCell(rowsOf(hosts, base("h-0"), base("h-1"), base("h-2"))))
			end := hostCell(rowsOf(hosts, base("h-0"), changed, base("h-2")))
			if len(changed.Columns) > 0 {
				end = end.ended(store.Partial, "AccessDenied", "x:GetPolicy")
			}
			new := snap(t, end)
			got, s := run(t, old, new, registry, Options{All: c.all})
			expect(t, brief(got), c.want)
			if s.Differs() != (len(got) > 0 && got[0].Kind == Changed) || s.Same() != (len(got) == 0 && len(changed.Columns) == 0) {
				t.Errorf("differs %v, same %v", s.Differs(), s.Same())
			}
			want := Counts{Same: 3}
			if len(got) > 0 {
				want.Same--
			}
			if s.Differs() {
				want.Changed++
			}
			if len(changed.Columns) > 0 && len(got) > 0 {
				want.Unknown++
			}
			if s.Total != want {
				t.Errorf("counts %+v, want %+v", s.Total, want)
			}
		})
	}
}

func TestUnknownOnBothSides(t *testing.T) {
	hidden := with(base("h-1"), func(h *host) { h.Policy = nil; h.Unread(errDenied, "policy") })
	moved := with(hidden, func(h *host) { h.State = p("stopped") })
	side := func(h host) *store.Snapshot {
		return snap(t, hostCell(rowsOf(hosts, h)).ended(store.Partial, "AccessDenied", "x:GetPolicy"))
	}
	got, s := run(t, side(hidden), side(hidden), registry, Options{})
	expect(t, brief(got), "")
	if s.Comparable() || s.Same() || s.Differs() {
		t.Error("a partial cell was taken for a comparable one")
	}
	got, _ = run(t, side(hidden), side(hidden), registry, Options{All: true})
	expect(t, brief(got), "unknown host h-1 policy?both")
	got, _ = run(t, side(hidden), side(moved), registry, Options{})
	expect(t, brief(got), "changed host h-1 state")
	// The side that knows is shown, the other says why it does not.
	got, _ = run(t, side(base("h-1")), side(hidden), registry, Options{})
	expect(t, brief(got), "unknown host h-1 policy?new")
	if r := got[0].Unknown; r.State != store.Partial || r.Code != "AccessDenied" || r.Action != "x:GetPolicy" || r.Cell != "aws/111111111111/us-east-1/host" {
		t.Errorf("reason %+v", r)
	}
	if v := got[0].Properties[0]; v.Old == nil || v.New != nil {
		t.Errorf("property %+v", v)
	}
}

// Added and removed need the proof of a complete cell on the side that lacks
// the row, and only there.
func TestProof(t *testing.T) {
	both := rowsOf(hosts, base("h-1"), base("h-2"))
	first := rowsOf(hosts, base("h-1"))
	for _, c := range []struct {
		name     string
		old, new cell
		want     string
	}{
		{"added", hostCell(first), hostCell(both), "added host h-2"},
		{"removed", hostCell(both), hostCell(first), "removed host h-2"},
		{"added, new partial", hostCell(first), hostCell(both).ended(store.Partial, "X", ""), "added host h-2"},
		{"removed, old partial", hostCell(both).ended(store.Partial, "X", ""), hostCell(first), "removed host h-2"},
		{"old partial", hostCell(first).ended(store.Partial, "X", ""), hostCell(both), "unknown host h-2"},
		{"new partial", hostCell(both), hostCell(first).ended(store.Partial, "X", ""), "unknown host h-2"},
		{"new denied", hostCell(both), hostCell(nil).ended(store.Denied, "X", ""), "unknown host  rows=2"},
		{"new failed", hostCell(both), hostCell(nil).ended(store.Failed, "X", ""), "unknown host  rows=2"},
		{"new skipped", hostCell(both), hostCell(nil).ended(store.Skipped, "", ""), "unknown host  rows=2"},
		{"new unsupported", hostCell(both), hostCell(nil).ended(store.Unsupported, "", ""), "unknown host  rows=2"},
		{"new partial and empty", hostCell(both), hostCell(nil).ended(store.Partial, "X", ""), "unknown host  rows=2"},
		{"old denied", hostCell(nil).ended(store.Denied, "X", ""), hostCell(both), "unknown host  rows=2"},
		{"all removed", hostCell(first), hostCell(nil), "removed host h-1"},
		{"all added", hostCell(nil), hostCell(first), "added host h-1"},
		{"other region", in(acct, "eu-west-1", "host", first), hostCell(both), "unknown host  rows=1\nunknown host  rows=2"},
		{"both denied", hostCell(nil).ended(store.Denied, "X", ""), hostCell(nil).ended(store.Denied, "X", ""), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, s := run(t, snap(t, c.old), snap(t, c.new), registry, Options{})
			for i := range got { // what it is, not what it has
				got[i].Properties, got[i].Relations = nil, nil
			}
			expect(t, brief(got), c.want)
			whole := c.old.outcome.State == store.Complete && c.new.outcome.State == store.Complete && c.old.id == c.new.id
			if s.Comparable() != whole || (s.Cells.Comparable == 1) != whole || (len(s.Gaps) == 0) != whole {
				t.Errorf("comparable %v, cells %+v, gaps %+v", s.Comparable(), s.Cells, s.Gaps)
			}
			for _, ch := range got {
				if (ch.Kind == Unknown) != (ch.Unknown != nil) {
					t.Errorf("%s entry with reason %+v", ch.Kind, ch.Unknown)
				}
			}
		})
	}
}

func TestUnsupportedOnBothSides(t *testing.T) {
	empty := hostCell(nil).ended(store.Unsupported, "", "")
	subnetCell := in(acct, "us-east-1", "subnet", rowsOf(subnets, subnet{ID: "s"}))
	_, s := run(t, snap(t, empty, subnetCell), snap(t, empty, subnetCell), registry, Options{})
	if !s.Same() || s.Cells != (Cells{Total: 1, Comparable: 1, Unsupported: 1}) {
		t.Errorf("same %v, cells %+v", s.Same(), s.Cells)
	}
}

// A list of links is united from many rows: a cell that was not read to its
// end may lack some, and then nothing is said to be gone.
func TestLinksOfIncompleteCells(t *testing.T) {
	two := rowsOf(hostSubnets, hostSubnet{ID: "s-1", Hosts: []string{"h-1", "h-2"}})
	one := rowsOf(hostSubnets, hostSubnet{ID: "s-1", Hosts: []string{"h-1", "h-3"}})
	for _, c := range []struct {
		name     string
		old, new cell
		want     string
	}{
		{"complete", hostCell(two), hostCell(one), "changed host_subnet s-1 PART_OF ← Host(- h-2, + h-3)"},
		{"new partial", hostCell(two), hostCell(one).ended(store.Partial, "", ""), "changed host_subnet s-1 PART_OF ← Host(+ h-3) PART_OF ← Host(- h-2)?new"},
		{"old partial", hostCell(two).ended(store.Partial, "", ""), hostCell(one), "changed host_subnet s-1 PART_OF ← Host(- h-2) PART_OF ← Host(+ h-3)?old"},
		{"both partial", hostCell(two).ended(store.Partial, "", ""), hostCell(one).ended(store.Partial, "", ""), "unknown host_subnet s-1 PART_OF ← Host(+ h-3)?old PART_OF ← Host(- h-2)?new"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := run(t, snap(t, c.old), snap(t, c.new), registry, Options{})
			expect(t, brief(got), c.want)
		})
	}
}

// A stub's coming and going is its full table's to tell, where there is one.
func TestStubs(t *testing.T) {
	old := hostCell(rowsOf(hostSubnets, hostSubnet{ID: "s-1", Note: p("a"), Hosts: []string{"h-1"}}, hostSubnet{ID: "s-2", Hosts: []string{"h-2"}}, hostSubnet{ID: "s-4"}))
	new := hostCell(rowsOf(hostSubnets, hostSubnet{ID: "s-1", Note: p("b"), Hosts: []string{"h-1"}}, hostSubnet{ID: "s-3", Hosts: []string{"h-2"}}, hostSubnet{ID: "s-5"}))
	full := in(acct, "us-east-1", "subnet", rowsOf(subnets, subnet{ID: "s-1"}, subnet{ID: "s-2"}, subnet{ID: "s-3"}))
	denied := in(acct, "us-east-1", "subnet", nil).ended(store.Denied, "X", "")
	elsewhere := in(acct, "eu-west-1", "subnet", rowsOf(subnets, subnet{ID: "s-1"}))

	const links = "changed host_subnet s-2 PART_OF ← Host(- h-2)\nchanged host_subnet s-3 PART_OF ← Host(+ h-2)"
	got, s := run(t, snap(t, old, full), snap(t, new, full), registry, Options{})
	expect(t, brief(got), links)
	if s.Total.Added+s.Total.Removed != 0 || s.Total.Changed != 2 {
		t.Errorf("counts %+v", s.Total)
	}
	const ordinary = "changed host_subnet s-1 note\nremoved host_subnet s-2 PART_OF ← Host(- h-2)\nadded host_subnet s-3 PART_OF ← Host(+ h-2)\nremoved host_subnet s-4\nadded host_subnet s-5"
	for name, other := range map[string]cell{"denied": denied, "elsewhere": elsewhere} {
		t.Run(name, func(t *testing.T) {
			got, _ := run(t, snap(t, old, other), snap(t, new, other), registry, Options{})
			expect(t, brief(got), ordinary)
		})
	}
	got, _ = run(t, snap(t, old), snap(t, new), registry, Options{})
	expect(t, brief(got), ordinary)
	got, _ = run(t, snap(t, old, full), snap(t, new, denied), registry, Options{Tables: []string{"host_subnet"}})
	expect(t, brief(got), ordinary)
	// With a cell that is not complete even the links' end is unknown.
	got, _ = run(t, snap(t, old, full), snap(t, new.ended(store.Partial, "X", ""), full), registry, Options{})
	expect(t, brief(got), "unknown host_subnet s-2 PART_OF ← Host(- h-2)?new\nchanged host_subnet s-3 PART_OF ← Host(+ h-2)")
}

// Rows that are relationships have several key columns, one of them a number:
// order is the number's, not its text's.
func TestBetween(t *testing.T) {
	put := func(grantRows ...grant) cell { return in(acct, "", "iam", rowsOf(grants, grantRows...)) }
	old := snap(t, put(grant{Role: "a", Number: 2}, grant{Role: "a", Number: 10}, grant{Role: "b", Number: 1, Level: p("x")}))
	new := snap(t, put(grant{Role: "a", Number: 10}, grant{Role: "a", Number: 100}, grant{Role: "b", Number: 1, Level: p("y")}))
	got, _ := run(t, old, new, registry, Options{})
	expect(t, brief(got), "removed grant a 2\nadded grant a 100\nchanged grant b 1 level")
	if r := got[0].Relationship; r == nil || (&text{}).resource(got[0]) != "(Role a)-[ALLOWS]->(Level 2)" {
		t.Errorf("relationship %+v", r)
	}
}

func TestRegionOfGlobalRows(t *testing.T) {
	put := func(rows ...bucket) *store.Snapshot { return snap(t, in(acct, "", "bucket", rowsOf(buckets, rows...))) }
	got, _ := run(t, put(), put(bucket{ID: "b", Region: p("eu-west-1")}), registry, Options{})
	if len(got) != 1 || got[0].Region != "eu-west-1" {
		t.Errorf("changes %+v", got)
	}
}

func TestAccountOnOneSide(t *testing.T) {
	other := in("222222222222", "us-east-1", "host", rowsOf(hosts, base("h-1"), base("h-2")))
	mine := hostCell(rowsOf(hosts, base("h-1")))
	got, s := run(t, snap(t, mine), snap(t, mine, other), registry, Options{})
	expect(t, brief(got), "unknown   rows=2")
	if len(s.OnlyNew) != 1 || len(s.OnlyOld) != 0 || s.OnlyNew[0].ID != "222222222222" || s.Same() || s.Differs() {
		t.Errorf("summary %+v", s)
	}
	new := snapshot(t, registry, 6, nil, []store.Unresolved{{Profile: "prod", Error: "token expired"}}, mine)
	got, s = run(t, snap(t, mine, other), new, registry, Options{})
	expect(t, brief(got), "unknown   rows=2")
	if got[0].Unknown.Text != "account not collected: profile prod could not be resolved: token expired" || len(s.OnlyOld) != 1 {
		t.Errorf("reason %+v", got[0].Unknown)
	}
	// Asked only for the account that both have, nothing is missing.
	_, s = run(t, snap(t, mine), snap(t, mine, other), registry, Options{Accounts: []string{acct}})
	if !s.Same() {
		t.Errorf("summary %+v", s)
	}
}

func TestSelections(t *testing.T) {
	old := snap(t, hostCell(rowsOf(hosts, base("h-1"), base("h-2"))), in(acct, "", "iam", rowsOf(grants, grant{Role: "a", Number: 1})),
		in(acct, "eu-west-1", "host", rowsOf(hosts, base("h-8"))))
	new := snap(t, hostCell(rowsOf(hosts, with(base("h-1"), func(h *host) { h.State = nil }), base("h-3"))), in(acct, "", "iam", nil),
		in(acct, "eu-west-1", "host", nil).ended(store.Denied, "X", ""))
	for _, c := range []struct {
		name  string
		o     Options
		want  []Kind
		total Counts
	}{
		{"all", Options{}, []Kind{Unknown, Changed, Removed, Added, Removed}, Counts{Added: 1, Removed: 2, Changed: 1, Unknown: 1}},
		{"table", Options{Tables: []string{"grant"}}, []Kind{Removed}, Counts{Removed: 1}},
		{"region", Options{Regions: []string{"us-east-1"}}, []Kind{Changed, Removed, Added}, Counts{Added: 1, Removed: 1, Changed: 1}},
		{"global", Options{Regions: []string{"global"}}, []Kind{Removed}, Counts{Removed: 1}},
		{"only", Options{Only: []string{"added", "changed"}}, []Kind{Changed, Added}, Counts{Added: 1, Changed: 1, Unknown: 1}},
		{"only unknown", Options{Only: []string{"unknown"}}, []Kind{Unknown}, Counts{Unknown: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, s := run(t, old, new, registry, c.o)
			var kinds []Kind
			for _, ch := range got {
				kinds = append(kinds, ch.Kind)
			}
			if !slices.Equal(kinds, c.want) || s.Total != c.total {
				t.Errorf("kinds %v, counts %+v", kinds, s.Total)
			}
		})
	}
	for _, o := range []Options{{Tables: []string{"hots"}}, {Accounts: []string{"1"}}, {Regions: []string{"mars"}}, {Only: []string{"gone"}}} {
		if _, err := Compare(t.Context(), old, new, registry, o); err == nil {
			t.Errorf("no error for %+v", o)
		}
	}
}

func TestStopping(t *testing.T) {
	old, new := snap(t, hostCell(nil)), snap(t, hostCell(rowsOf(hosts, base("h-1"), base("h-2"))))
	c, err := Compare(t.Context(), old, new, registry, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range c.Changes() {
		break
	}
	for _, err := range c.Changes() {
		if err == nil {
			t.Error("a second run through gave a change")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	c, err = Compare(ctx, old, new, registry, Options{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	for _, err := range c.Changes() {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	}
}

// A table that another version feeds from another sync is still compared.
func TestTableOfAnotherSync(t *testing.T) {
	side := func(sync string, rows ...subnet) *store.Snapshot {
		var r kind.Registry
		table := kind.Of[subnet](kind.Table{Name: "subnet", Label: "Subnet"})
		r.Register(&kind.Sync{Name: sync, Tables: []*kind.Table{table.Table}})
		return snapshot(t, &r, 6, nil, nil, in(acct, "us-east-1", sync, rowsOf(table, rows...)))
	}
	got, s := run(t, side("vpc", subnet{ID: "s-1"}, subnet{ID: "s-2"}), side("subnet", subnet{ID: "s-2", CIDR: p("10/8")}), registry, Options{})
	expect(t, brief(got), "removed subnet s-1\nchanged subnet s-2 cidr")
	if s.Cells.Comparable != 0 || s.Comparable() {
		t.Errorf("cells %+v", s.Cells)
	}
}

func TestCompareKey(t *testing.T) {
	ascending := [][2]any{
		{"a", "b"}, {"", "a"}, {"10", "9"}, {int64(9), int64(10)}, {-1.5, 0.0}, {false, true}, {day(1), day(2)},
	}
	for _, pair := range ascending {
		a, b := pair[0], pair[1]
		if compareKey(a, b) >= 0 || compareKey(b, a) <= 0 || compareKey(a, a) != 0 || compareKey(b, b) != 0 {
			t.Errorf("%v and %v", a, b)
		}
	}
}

// The merge would call rows removed and added that are only in another order.
func TestUnsortedRows(t *testing.T) {
	for _, ids := range [][]string{{"b", "a"}, {"a", "a"}} {
		i := 0
		s := &stream{path: "x.parquet", keys: []int{0}, pull: func() (kind.Row, error, bool) {
			if i == len(ids) {
				return nil, nil, false
			}
			i++
			return kind.Row{ids[i-1]}, nil, true
		}}
		if _, err := s.next(); err != nil {
			t.Fatal(err)
		}
		if _, err := s.next(); err == nil || !strings.Contains(err.Error(), "x.parquet") {
			t.Errorf("%v: error %v", ids, err)
		}
	}
}
