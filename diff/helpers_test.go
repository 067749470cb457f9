package diff

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"snap/store"
	"snap/store/kind"
)

// The synthetic kinds. A host has every type of column, a volatile one, a
// document, links by property and by "_" columns, and may have gaps.
type host struct {
	ID       string     `snap:"id,key"`
	Name     *string    `snap:"name"`
	Region   string     `snap:"region"`
	State    *string    `snap:"state"`
	Size     *int64     `snap:"size"`
	Load     *float64   `snap:"load"`
	Public   *bool      `snap:"public"`
	Launched *time.Time `snap:"launched"`
	Groups   []string   `snap:"groups"`
	Ports    []int64    `snap:"ports"`
	Policy   *string    `snap:"policy,document"`
	LastUsed *string    `snap:"last_used,volatile"`
	SubnetID *string    `snap:"subnet_id"`
	Roles    []string   `snap:"_roles"`
	Since    *string    `snap:"_since"`
	kind.Gaps
}

// A subnet, in full and as its hosts tell of it.
type subnet struct {
	ID   string  `snap:"id,key"`
	CIDR *string `snap:"cidr"`
}

type hostSubnet struct {
	ID    string   `snap:"id,key"`
	Note  *string  `snap:"note"`
	Hosts []string `snap:"_hosts"`
}

// A grant is a relationship and no node.
type grant struct {
	Role   string  `snap:"role,key"`
	Number int64   `snap:"number,key"`
	Level  *string `snap:"level"`
}

type bucket struct {
	ID     string  `snap:"id,key"`
	Region *string `snap:"region"`
}

var (
	hosts = kind.Of[host](kind.Table{Name: "host", Label: "Host", Links: []kind.Link{
		{Type: "PART_OF", To: "Subnet", On: kind.On{"id": "subnet_id"}},
		{Type: "HAS_ROLE", To: "Role", On: kind.On{"arn": "_roles"}, Props: map[string]string{"since": "_since"}},
	}})
	hostSubnets = kind.Of[hostSubnet](kind.Table{Name: "host_subnet", Label: "Subnet", Stub: true, Links: []kind.Link{
		{Type: "PART_OF", From: "Host", On: kind.On{"id": "_hosts"}},
	}})
	subnets = kind.Of[subnet](kind.Table{Name: "subnet", Label: "Subnet"})
	grants  = kind.Of[grant](kind.Table{Name: "grant", Between: &kind.Between{
		Type: "ALLOWS", From: kind.End{Label: "Role", On: kind.On{"arn": "role"}}, To: kind.End{Label: "Level", On: kind.On{"id": "number"}},
	}})
	buckets = kind.Of[bucket](kind.Table{Name: "bucket", Label: "Bucket"})
)

var registry = func() *kind.Registry {
	var r kind.Registry
	r.Register(&kind.Sync{Name: "host", Tables: []*kind.Table{hosts.Table, hostSubnets.Table}})
	r.Register(&kind.Sync{Name: "subnet", Tables: []*kind.Table{subnets.Table}})
	r.Register(&kind.Sync{Name: "iam", Global: true, Tables: []*kind.Table{grants.Table}})
	r.Register(&kind.Sync{Name: "bucket", Global: true, Tables: []*kind.Table{buckets.Table}})
	return &r
}()

func p[T any](v T) *T { return &v }

// cell is one cell of a test's snapshot.
type cell struct {
	id      store.CellID
	outcome store.Outcome
	put     func(s kind.Sink)
}

func in(account, region, sync string, put func(s kind.Sink)) cell {
	return cell{id: store.CellID{Provider: "aws", Account: account, Region: region, Sync: sync}, outcome: store.Outcome{State: store.Complete}, put: put}
}

func (c cell) ended(s store.State, code, action string) cell {
	c.outcome.State, c.outcome.Code, c.outcome.Action = s, code, action
	return c
}

func rowsOf[R any](t *kind.Typed[R], rows ...R) func(kind.Sink) {
	return func(s kind.Sink) {
		for _, r := range rows {
			t.Put(s, r)
		}
	}
}

func all(puts ...func(kind.Sink)) func(kind.Sink) {
	return func(s kind.Sink) {
		for _, put := range puts {
			put(s)
		}
	}
}

const acct = "111111111111"

// snapshot writes and opens a snapshot of the cells. started is the hour.
func snapshot(t testing.TB, reg *kind.Registry, hour int, accounts []store.Account, unresolved []store.Unresolved, cells ...cell) *store.Snapshot {
	t.Helper()
	return write(t, reg, hour, accounts, unresolved, cells...).snapshot
}

// written is a snapshot and where it is.
type written struct {
	dir      string
	snapshot *store.Snapshot
}

func snapIn(t testing.TB, cells ...cell) written {
	t.Helper()
	return write(t, registry, 6, nil, nil, cells...)
}

func write(t testing.TB, reg *kind.Registry, hour int, accounts []store.Account, unresolved []store.Unresolved, cells ...cell) written {
	t.Helper()
	at := time.Date(2024, 5, 1, hour, 0, 0, 0, time.UTC)
	m := store.Manifest{Program: "snap 0.1.0", Started: at, Unresolved: unresolved, Accounts: accounts}
	for _, s := range reg.Syncs {
		m.Syncs = append(m.Syncs, s.Name)
	}
	for _, c := range cells {
		if !slices.ContainsFunc(m.Accounts, func(a store.Account) bool { return a.ID == c.id.Account }) {
			m.Accounts = append(m.Accounts, store.Account{Provider: "aws", ID: c.id.Account, Name: "prod", Regions: []string{"eu-west-1", "us-east-1"}})
		}
	}
	dir := filepath.Join(t.TempDir(), "snap")
	w, err := store.Create(dir, m)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cells {
		cw := w.Cell(c.id)
		if c.put != nil {
			c.put(cw)
		}
		c.outcome.Started, c.outcome.Finished = at, at
		if err := cw.Close(reg.Sync(c.id.Sync).Tables, c.outcome); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Commit(reg.Tables(), at.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return written{dir, s}
}

func snap(t testing.TB, cells ...cell) *store.Snapshot {
	t.Helper()
	return snapshot(t, registry, 6, nil, nil, cells...)
}

func run(t testing.TB, old, new *store.Snapshot, reg *kind.Registry, o Options) ([]Change, *Summary) {
	t.Helper()
	c, err := Compare(context.Background(), old, new, reg, o)
	if err != nil {
		t.Fatal(err)
	}
	var out []Change
	for ch, err := range c.Changes() {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, ch)
	}
	return out, c.Summary()
}

// brief is the changes as one line each: what a test compares.
func brief(changes []Change) string {
	var lines []string
	for _, ch := range changes {
		t := &text{}
		line := strings.Join([]string{string(ch.Kind), ch.Table, t.key(ch.Key)}, " ")
		if ch.Rows > 0 {
			line += " rows=" + t.value(ch.Rows)
		}
		for _, p := range ch.Properties {
			line += " " + p.Name
			if p.Unknown != nil {
				line += "?" + string(p.Unknown.Side)
			}
		}
		for _, r := range ch.Relations {
			line += " " + linkWords(r.Type, r.Label, r.Direction == "out") + "(" + t.sets(r.Added, r.Removed) + r.Property + ")"
			if r.Unknown != nil {
				line += "?" + string(r.Unknown.Side)
			}
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func render1(t testing.TB, write func(*bytes.Buffer, *Comparison) error, old, new *store.Snapshot, o Options) string {
	t.Helper()
	c, err := Compare(context.Background(), old, new, registry, o)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := write(&b, c); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// expect compares two texts.
func expect(t testing.TB, got, want string) {
	t.Helper()
	if strings.TrimSpace(got) != strings.TrimSpace(want) {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func day(n int) time.Time { return time.Date(2024, 4, n, 12, 0, 0, 0, time.UTC) }

// exampleRules rank something of every sort in the example.
var exampleRules = []Rule{
	{Name: "stopped", Text: "A host stopped", Severity: Critical, Tables: []string{"host"}, Change: Turns, Where: []Test{is("state", "stopped")}},
	{Name: "grant", Text: "There is a new grant", Severity: Medium, Tables: []string{"grant"}, Change: Appears},
}

// manyChanges are two snapshots with n changes of hosts.
func manyChanges(t testing.TB, n int) (old, new *store.Snapshot) {
	t.Helper()
	var before, after []host
	for i := range n {
		h := with(base(fmt.Sprintf("i-%08x", i*2654435761%(1<<32))), func(h *host) { h.Name = p(fmt.Sprintf("web-%d", i)) })
		if i%5 != 0 {
			before = append(before, h)
		}
		if i%5 == 1 {
			continue
		}
		after = append(after, with(h, func(h *host) {
			h.State, h.Groups = p([]string{"stopped", "terminated", "running 2"}[i%3]), []string{"sg-1", fmt.Sprintf("sg-%d", i%50)}
			h.Policy = p(fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::bucket-%d/*"}]}`, i))
		}))
	}
	return snap(t, hostCell(rowsOf(hosts, before...))), snap(t, hostCell(rowsOf(hosts, after...)))
}
