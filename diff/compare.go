// Package diff tells how two snapshots differ: which rows were added, removed
// or changed, and what of that the snapshots do not prove. It reads both sides
// as sorted streams, so memory does not grow with the number of rows.
//
// Absence is only proven by a complete cell: a row that the new snapshot lacks
// was removed if the new cell is complete, and is unknown else; likewise a row
// that the old one lacks.
package diff

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"snap/store"
	"snap/store/kind"
)

// Options select what is compared and shown. An empty list selects all.
type Options struct {
	All      bool     // volatile columns too, and columns that neither side knows
	Tables   []string // by name
	Accounts []string // by id
	Regions  []string // of the cells; "global" is those of global syncs
	Only     []string // kinds of entries: added, removed, changed, unknown
	Ignore   []string // patterns "table.column" or "table" of what is not compared; see ReadIgnore

	Outside Outside // what of a graph the comparison leaves out; only reported

	Rules    []Rule   // what ranks entries; Rules() are this package's own
	Severity Severity // only entries that a rule ranks so at least; empty is all
}

// Comparison is a comparison of two snapshots, made by Compare. Its Changes
// can be run through once.
type Comparison struct {
	ctx      context.Context
	sides    [2]*side
	decls    map[string]*kind.Table
	options  Options
	accounts []account
	views    map[string]*view
	rules    map[string][]*Rule
	pending  *pending // the links of the account that is being compared, to be told at their far ends
	summary  Summary
	ran      bool
}

// side is one snapshot, indexed.
type side struct {
	name     Side
	snapshot *store.Snapshot
	cells    map[store.CellID]*store.Cell
	tables   map[string]store.TableInfo
	bySync   map[string][]string // sync → its tables
	syncs    map[string]bool     // those that some cell is of
}

// account is an account to compare, with its parts in order.
type account struct {
	provider, id, name string
	has                [2]bool // the sides that have it
	rows               int64
	parts              []*part
}

// part is a table's rows in one account and region: one file on each side at
// most.
type part struct {
	provider, account, name, region, sync, table string

	id    [2]store.CellID
	cells [2]*store.Cell // nil where the side has no such cell
	files [2]*store.File // nil where the side has no rows
}

// complete tells whether the side proves that what it lacks is not there.
func (p *part) complete(c *Comparison, i int) bool {
	_, known := c.sides[i].tables[p.table]
	return known && p.cells[i] != nil && p.cells[i].State == store.Complete
}

// Compare prepares a comparison of two snapshots. reg says how rows become
// nodes and relationships; of a table that it lacks, or all when it is nil, the
// snapshots' own description is used. An error is a selection that selects
// nothing that the snapshots have.
func Compare(ctx context.Context, old, new *store.Snapshot, reg *kind.Registry, o Options) (*Comparison, error) {
	c := &Comparison{ctx: ctx, options: o, decls: map[string]*kind.Table{}, views: map[string]*view{}, rules: byTable(o.Rules)}
	if reg != nil {
		for _, t := range reg.Tables() {
			c.decls[t.Name] = t
		}
	}
	c.sides = [2]*side{index(Old, old), index(New, new)}
	c.summary.Old, c.summary.New = describe(old), describe(new)
	if o.Outside != (Outside{}) {
		c.summary.Outside = &o.Outside
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	c.plan()
	return c, nil
}

// Summary is what the comparison found. It is whole once Changes has been run
// to its end.
func (c *Comparison) Summary() *Summary { return &c.summary }

func index(name Side, s *store.Snapshot) *side {
	d := &side{name: name, snapshot: s, cells: map[store.CellID]*store.Cell{}, tables: map[string]store.TableInfo{}, bySync: map[string][]string{}, syncs: map[string]bool{}}
	for i := range s.Manifest.Cells {
		cell := &s.Manifest.Cells[i]
		d.cells[cell.CellID] = cell
		d.syncs[cell.Sync] = true
	}
	for _, t := range s.Manifest.Tables {
		d.tables[t.Name] = t
		d.bySync[t.Sync] = append(d.bySync[t.Sync], t.Name)
	}
	return d
}

func describe(s *store.Snapshot) Snapshot {
	m := &s.Manifest
	return Snapshot{ID: s.ID, Program: m.Program, Started: m.Started, Finished: m.Finished}
}

// check refuses a selection of what neither snapshot has: most likely it is
// misspelt, and would make a drift look like none.
func (c *Comparison) check() error {
	tables, accounts, regions := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, s := range c.sides {
		for name := range s.tables {
			tables[name] = true
		}
		for id := range s.cells {
			accounts[id.Account], regions[regionName(id.Region)] = true, true
		}
		for _, a := range s.snapshot.Manifest.Accounts {
			accounts[a.ID] = true
		}
	}
	for _, selection := range []struct {
		what   string
		wanted []string
		has    map[string]bool
	}{{"table", c.options.Tables, tables}, {"account", c.options.Accounts, accounts}, {"region", c.options.Regions, regions}} {
		for _, w := range selection.wanted {
			if !selection.has[w] {
				return fmt.Errorf("diff: no %s %q in either snapshot", selection.what, w)
			}
		}
	}
	for _, w := range c.options.Only {
		if !slices.Contains(Kinds, Kind(w)) {
			return fmt.Errorf("diff: no kind of change %q: there are added, removed, changed and unknown", w)
		}
	}
	if s := c.options.Severity; s != "" && s.rank() == 0 {
		return fmt.Errorf("diff: no severity %q: there are critical, high, medium and low", s)
	}
	for _, p := range c.options.Ignore {
		if err := checkPattern(p); err != nil {
			return fmt.Errorf("diff: %w", err)
		}
	}
	return nil
}

func regionName(region string) string { return cmp.Or(region, "global") }

func selected(list []string, name string) bool { return len(list) == 0 || slices.Contains(list, name) }

// plan finds what there is to compare, and fills the parts of the summary that
// follow from the manifests alone.
func (c *Comparison) plan() {
	type accountKey struct{ provider, id string }
	type partKey struct{ provider, account, table, region string }
	accounts := map[accountKey]*account{}
	parts := map[partKey]*part{}
	at := func(provider, id string, i int) *account {
		a := accounts[accountKey{provider, id}]
		if a == nil {
			a = &account{provider: provider, id: id}
			accounts[accountKey{provider, id}] = a
		}
		a.has[i] = true
		return a
	}
	for i, s := range c.sides {
		for _, a := range s.snapshot.Manifest.Accounts {
			if selected(c.options.Accounts, a.ID) {
				at(a.Provider, a.ID, i).name = a.Name
			}
		}
		for n := range s.snapshot.Manifest.Cells {
			cell := &s.snapshot.Manifest.Cells[n]
			if !c.selects(cell.CellID) {
				continue
			}
			a := at(cell.Provider, cell.Account, i)
			for f := range cell.Files {
				file := &cell.Files[f]
				if !selected(c.options.Tables, file.Table) || c.ignores(file.Table, "") {
					continue
				}
				a.rows += file.Rows
				key := partKey{cell.Provider, cell.Account, file.Table, cell.Region}
				p := parts[key]
				if p == nil {
					p = &part{provider: cell.Provider, account: cell.Account, region: cell.Region, table: file.Table}
					parts[key] = p
					a.parts = append(a.parts, p)
				}
				p.cells[i], p.files[i], p.sync = cell, file, cell.Sync
			}
		}
	}
	for _, p := range parts {
		for i, s := range c.sides { // a table may have moved to another sync between versions
			p.id[i] = store.CellID{Provider: p.provider, Account: p.account, Region: p.region, Sync: cmp.Or(s.tables[p.table].Sync, p.sync)}
			if p.cells[i] == nil {
				p.cells[i] = s.cells[p.id[i]]
			}
		}
	}
	for _, a := range accounts {
		for _, p := range a.parts {
			p.name = a.name
		}
		slices.SortFunc(a.parts, func(p, q *part) int {
			return cmp.Or(cmp.Compare(p.sync, q.sync), cmp.Compare(p.table, q.table), cmp.Compare(p.region, q.region))
		})
		c.accounts = append(c.accounts, *a)
	}
	slices.SortFunc(c.accounts, func(a, b account) int {
		return cmp.Or(cmp.Compare(a.provider, b.provider), cmp.Compare(a.id, b.id))
	})
	for _, a := range c.accounts {
		one := Account{Provider: a.provider, ID: a.id, Name: a.name, Rows: a.rows}
		switch {
		case !a.has[1]:
			c.summary.OnlyOld = append(c.summary.OnlyOld, one)
		case !a.has[0]:
			c.summary.OnlyNew = append(c.summary.OnlyNew, one)
		}
	}
	seen := map[store.CellID]bool{}
	for _, s := range c.sides {
		for n := range s.snapshot.Manifest.Cells {
			id := s.snapshot.Manifest.Cells[n].CellID
			if seen[id] || !c.selects(id) {
				continue
			}
			seen[id] = true
			old, new := c.sides[0].cells[id], c.sides[1].cells[id]
			if old != nil && new != nil && old.State == store.Unsupported && new.State == store.Unsupported {
				c.summary.Cells.Unsupported++
				continue
			}
			c.summary.Cells.Total++
			gap := Gap{CellID: id}
			if old == nil || old.State != store.Complete {
				gap.Old = c.reason(0, id, old)
			}
			if new == nil || new.State != store.Complete {
				gap.New = c.reason(1, id, new)
			}
			if gap.Old == nil && gap.New == nil {
				c.summary.Cells.Comparable++
			} else if accounts[accountKey{id.Provider, id.Account}].has == [2]bool{true, true} {
				c.summary.Gaps = append(c.summary.Gaps, gap)
			}
		}
	}
	slices.SortFunc(c.summary.Gaps, func(a, b Gap) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Account, b.Account), cmp.Compare(a.Sync, b.Sync), cmp.Compare(a.Region, b.Region))
	})
}

// selects tells whether the options select a cell.
func (c *Comparison) selects(id store.CellID) bool {
	if !selected(c.options.Accounts, id.Account) || !selected(c.options.Regions, regionName(id.Region)) {
		return false
	}
	if len(c.options.Tables) == 0 {
		return true
	}
	for _, s := range c.sides {
		if slices.ContainsFunc(s.bySync[id.Sync], func(t string) bool { return slices.Contains(c.options.Tables, t) }) {
			return true
		}
	}
	return false
}

// reason says why a side does not know what is in a cell.
func (c *Comparison) reason(i int, id store.CellID, cell *store.Cell) *Reason {
	s := c.sides[i]
	r := &Reason{Side: s.name, Cell: id.String()}
	if cell != nil {
		r.State, r.Code, r.Action = cell.State, cell.Code, cell.Action
		r.Text = string(cell.State)
		if why := cmp.Or(cell.Code, cell.Message); why != "" {
			r.Text += ", " + why
		}
		if cell.Action != "" {
			r.Text += " on " + cell.Action
		}
		return r
	}
	m := &s.snapshot.Manifest
	switch has := slices.IndexFunc(m.Accounts, func(a store.Account) bool { return a.ID == id.Account && a.Provider == id.Provider }); {
	case has < 0:
		r.Text = "account not collected"
		if profile, err := c.unresolved(i, id); profile != "" {
			r.Text += fmt.Sprintf(": profile %s could not be resolved: %s", profile, err)
		}
	case !s.syncs[id.Sync]:
		r.Text = id.Sync + " not collected"
	case id.Region != "":
		r.Text = id.Region + " not collected"
	default:
		r.Text = "not collected"
	}
	return r
}

// unresolved finds the profile through which the other side reached an account
// and which this side could not resolve.
func (c *Comparison) unresolved(i int, id store.CellID) (profile, message string) {
	for _, a := range c.sides[1-i].snapshot.Manifest.Accounts {
		if a.ID != id.Account || a.Provider != id.Provider {
			continue
		}
		for _, u := range c.sides[i].snapshot.Manifest.Unresolved {
			if u.Profile == a.Name || slices.Contains(a.Profiles, u.Profile) {
				return u.Profile, u.Error
			}
		}
	}
	return "", ""
}

// errStopped ends the comparison when nobody listens any more.
var errStopped = errors.New("stopped")

// Changes runs the comparison: entries by account, and in it by sync, table,
// region and key; tables whose links are told at the far end (see far.go) come
// after the others. An error ends it.
func (c *Comparison) Changes() iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		if c.ran {
			yield(Change{}, errors.New("diff: Changes can be run through once"))
			return
		}
		c.ran = true
		err := c.run(func(ch Change) error {
			if !yield(ch, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && err != errStopped {
			yield(Change{}, err)
		}
	}
}

func (c *Comparison) run(yield func(Change) error) error {
	for _, a := range c.accounts {
		if i := slices.Index(a.has[:], false); i >= 0 {
			ch := Change{Kind: Unknown, Provider: a.provider, Account: a.id, Rows: a.rows}
			ch.Unknown = c.reason(i, store.CellID{Provider: a.provider, Account: a.id}, nil)
			ch.Unknown.Cell = ""
			if err := c.emit(ch, a.name, yield); err != nil {
				return err
			}
			continue
		}
		if err := c.compareAccount(a, yield); err != nil {
			return err
		}
	}
	return nil
}

// compareAccount compares an account's parts. Tables that tell of links which
// people look for at the far end are read first for those links, and last for
// the rest of what they say.
func (c *Comparison) compareAccount(a account, yield func(Change) error) error {
	c.pending = newPending()
	for _, p := range a.parts {
		if c.tells(p.table) {
			if err := (&merge{c: c, part: p, pass: collecting}).run(); err != nil {
				return err
			}
		}
	}
	columns := map[string]bool{} // tables whose missing columns were reported in this account
	for _, pass := range []pass{comparing, telling} {
		for _, p := range a.parts {
			if c.tells(p.table) != (pass == telling) {
				continue
			}
			if err := (&merge{c: c, part: p, pass: pass, yield: yield, columns: columns}).run(); err != nil {
				return err
			}
		}
	}
	return nil
}

// pass is what a merge of a part is for.
type pass int

const (
	comparing  pass = iota // the part's entries, with the links that wait for its rows
	collecting             // only the links that are told at their far ends
	telling                // the part's entries, without the links that were told there
)

// emit counts an entry and hands it on, unless the options leave it out.
func (c *Comparison) emit(ch Change, accountName string, yield func(Change) error) error {
	wanted := selected(c.options.Only, string(ch.Kind)) && ch.Severity.rank() >= c.options.Severity.rank()
	n := Counts{}
	switch ch.Kind {
	case Added:
		n.Added++
	case Removed:
		n.Removed++
	case Changed:
		n.Changed++
	}
	if !wanted {
		n = Counts{}
	}
	if ch.Kind == Unknown || ch.Kind == Changed && ch.uncertain() {
		n.Unknown++
	}
	c.summary.count(ch.Provider, ch.Account, accountName, ch.Sync, ch.Table, n)
	if !wanted {
		return nil
	}
	c.summary.find(&ch)
	return yield(ch)
}

// uncertain tells whether a part of a changed row is unknown.
func (ch *Change) uncertain() bool {
	return slices.ContainsFunc(ch.Properties, func(p Property) bool { return p.Unknown != nil }) ||
		slices.ContainsFunc(ch.Relations, func(r Relation) bool { return r.Unknown != nil })
}

// merge compares one part: it walks both sides in key order.
type merge struct {
	c       *Comparison
	part    *part
	view    *view
	pass    pass
	yield   func(Change) error
	columns map[string]bool

	at        [2][]int // of each of the view's columns the index in the side's rows, -1 where it cannot be compared
	skip      []bool   // of each of the view's columns, that it is ignored
	far       []far    // where links may wait for this table's rows
	linksOnly bool     // a stub whose full table is compared: only its links say something of their own
	whole     [2]bool  // the side's cell is complete
	why       [2]*Reason
}

func (m *merge) run() error {
	c, p := m.c, m.part
	m.view = c.viewOf(p.table)
	for i, s := range c.sides {
		m.whole[i] = p.complete(c, i)
		if _, known := s.tables[p.table]; known || p.cells[i] == nil {
			m.why[i] = c.reason(i, p.id[i], p.cells[i])
		} else {
			m.why[i] = &Reason{Side: s.name, Cell: p.id[i].String(), Text: fmt.Sprintf("has no table %s (%s)", p.table, s.snapshot.Manifest.Program)}
		}
	}
	full := c.fullTable(m.view, p)
	m.linksOnly = full != nil
	if m.linksOnly {
		m.view = m.view.without(full)
	}
	m.view, m.skip = m.view.ignoring(c)
	if m.pass == comparing {
		m.far = c.pending.far(m.view)
	}
	for i := range c.sides {
		if p.files[i] == nil && !m.whole[i] {
			return m.unread(p.files[1-i].Rows, m.why[i])
		}
	}
	if m.view.mismatch != "" {
		return m.unread(max(rows(p.files[0]), rows(p.files[1])), &Reason{Side: Both, Text: m.view.mismatch})
	}

	var streams [2]*stream
	for i := range c.sides {
		s, err := m.open(i)
		if err != nil {
			return err
		}
		if s != nil {
			defer s.stop()
		}
		streams[i] = s
	}
	if old, new := p.files[0], p.files[1]; old != nil && new != nil {
		if err := m.missing(); err != nil {
			return err
		}
		if old.SHA256 == new.SHA256 && old.Rows == new.Rows && !c.options.All && len(m.far) == 0 {
			if m.pass == collecting {
				return nil
			}
			// The same bytes: reading the first row of each is what verifies them.
			for _, s := range streams {
				if _, err := s.next(); err != nil {
					return err
				}
			}
			c.summary.count(p.provider, p.account, p.name, p.sync, p.table, Counts{Same: old.Rows})
			return nil
		}
	}
	return m.walk(streams)
}

func rows(f *store.File) int64 {
	if f == nil {
		return 0
	}
	return f.Rows
}

// walk is the merge itself.
func (m *merge) walk(streams [2]*stream) error {
	old, err := streams[0].next()
	if err != nil {
		return err
	}
	new, err := streams[1].next()
	if err != nil {
		return err
	}
	var same int64
	for n := 0; old != nil || new != nil; n++ {
		if n%1024 == 0 {
			if err := m.c.ctx.Err(); err != nil {
				return err
			}
		}
		order := -1
		switch {
		case old == nil:
			order = 1
		case new != nil:
			order = compareKeys(old, m.view.keys[0], new, m.view.keys[1])
		}
		var ch Change
		differs := true
		switch {
		case order == 0:
			ch, differs = m.compare(old, new)
		case m.linksOnly && order < 0:
			ch, differs = m.compare(old, nil)
		case m.linksOnly:
			ch, differs = m.compare(nil, new)
		case order < 0:
			ch = m.alone(0, old, Removed)
		default:
			ch = m.alone(1, new, Added)
		}
		switch differs = m.links(&ch, differs, old, new, order); {
		case !differs && order == 0:
			same++
		case differs:
			m.rank(&ch, sideOf(old, order <= 0), sideOf(new, order >= 0))
			if err := m.c.emit(ch, m.part.name, m.yield); err != nil {
				return err
			}
		}
		if order <= 0 {
			if old, err = streams[0].next(); err != nil {
				return err
			}
		}
		if order >= 0 {
			if new, err = streams[1].next(); err != nil {
				return err
			}
		}
	}
	if same > 0 && m.pass != collecting {
		p := m.part
		m.c.summary.count(p.provider, p.account, p.name, p.sync, p.table, Counts{Same: same})
	}
	return nil
}

// sideOf is the row if it is of the key that is compared, nil else.
func sideOf(row kind.Row, is bool) kind.Row {
	if is {
		return row
	}
	return nil
}

// unread is the entry for a table of which one side has rows and the other
// neither rows nor the proof that there are none.
func (m *merge) unread(rows int64, why *Reason) error {
	if m.pass == collecting {
		return nil
	}
	ch := m.change(Unknown)
	ch.Rows, ch.Unknown = rows, why
	return m.c.emit(ch, m.part.name, m.yield)
}

// missing reports the columns that only one side has: other versions of the
// program wrote the snapshots.
func (m *merge) missing() error {
	if m.pass == collecting || m.columns[m.part.table] {
		return nil
	}
	ch := m.change(Unknown)
	ch.Region = ""
	for n, col := range m.view.columns {
		lacks := [2]bool{m.at[0][n] < 0, m.at[1][n] < 0}
		if m.skip[n] || col.Volatile && !m.c.options.All || m.linksOnly && len(col.uses) == 0 || lacks[0] == lacks[1] && !col.mixed {
			continue
		}
		why := &Reason{Side: Both, Text: "has another type on each side"}
		for i := range lacks {
			if !col.mixed && lacks[i] {
				why = &Reason{Side: m.c.sides[i].name, Text: fmt.Sprintf("not in the %s snapshot (%s)", m.c.sides[i].name, m.c.sides[i].snapshot.Manifest.Program)}
			}
		}
		ch.Properties = append(ch.Properties, Property{Name: col.Name, Unknown: why})
	}
	if len(ch.Properties) == 0 {
		return nil
	}
	m.columns[m.part.table] = true
	ch.Unknown = ch.Properties[0].Unknown
	return m.c.emit(ch, m.part.name, m.yield)
}

func (m *merge) change(k Kind) Change {
	p := m.part
	return Change{Kind: k, Provider: p.provider, Account: p.account, Region: p.region, Sync: p.sync, Table: p.table, Label: m.view.label(), cell: p.region}
}

// fullTable is the table that describes the nodes of a stub in full, if it is
// complete on both sides: then that one says which appear and disappear.
func (c *Comparison) fullTable(stub *view, p *part) *kind.Table {
	if !stub.stub() {
		return nil
	}
	for _, t := range c.decls {
		if t.Stub || t.Label != stub.decl.Label {
			continue
		}
		complete := 0
		for _, s := range c.sides {
			info, ok := s.tables[t.Name]
			for _, region := range slices.Compact([]string{p.region, ""}) {
				cell := s.cells[store.CellID{Provider: p.provider, Account: p.account, Region: region, Sync: info.Sync}]
				if ok && cell != nil && cell.State == store.Complete {
					complete++
					break
				}
			}
		}
		if complete == 2 {
			return t
		}
	}
	return nil
}

// stream reads one side's rows one by one and checks their order.
type stream struct {
	path string
	pull func() (kind.Row, error, bool)
	stop func()
	keys []int
	last kind.Row
}

// open starts reading a side; nil where it has no rows.
func (m *merge) open(i int) (*stream, error) {
	own := m.view.own[i]
	m.at[i] = make([]int, len(m.view.columns))
	for n, col := range m.view.columns {
		m.at[i][n] = [2]int{col.old, col.new}[i]
		if col.mixed {
			m.at[i][n] = -1
		}
	}
	file := m.part.files[i]
	if file == nil {
		return nil, nil
	}
	if own == nil {
		return nil, fmt.Errorf("diff: %s: %s snapshot: its manifest does not describe table %s", file.Path, m.c.sides[i].name, file.Table)
	}
	rows, lacks, _ := m.c.sides[i].snapshot.Read(own, *file)
	for n, col := range m.view.columns {
		if slices.Contains(lacks, col.Name) {
			m.at[i][n] = -1
		}
	}
	s := &stream{path: file.Path, keys: m.view.keys[i]}
	s.pull, s.stop = iter.Pull2(rows)
	return s, nil
}

// next is the next row, nil at the end.
func (s *stream) next() (kind.Row, error) {
	if s == nil {
		return nil, nil
	}
	row, err, ok := s.pull()
	if !ok {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if s.last != nil && compareKeys(s.last, s.keys, row, s.keys) >= 0 {
		return nil, fmt.Errorf("diff: %s: rows are not sorted by their key: the snapshot is damaged", s.path)
	}
	s.last = row
	return row, nil
}

// compareKeys orders two rows by their keys, as files are sorted.
func compareKeys(a kind.Row, aKeys []int, b kind.Row, bKeys []int) int {
	for n, i := range aKeys {
		if order := compareKey(a[i], b[bKeys[n]]); order != 0 {
			return order
		}
	}
	return 0
}

func compareKey(a, b any) int {
	switch a := a.(type) {
	case string:
		if b, ok := b.(string); ok {
			return strings.Compare(a, b)
		}
	case int64:
		if b, ok := b.(int64); ok {
			return cmp.Compare(a, b)
		}
	case float64:
		if b, ok := b.(float64); ok {
			return cmp.Compare(a, b)
		}
	case time.Time:
		if b, ok := b.(time.Time); ok {
			return a.Compare(b)
		}
	case bool:
		if b, ok := b.(bool); ok && a != b {
			if b {
				return -1
			}
			return 1
		}
	}
	return 0
}
