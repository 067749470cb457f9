package load

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"snap/store"
	"snap/store/kind"
)

// accountLabel is the label of the nodes that own what no other node owns.
const accountLabel = "AWSAccount"

// edge is a kind of relationship: what its cleanup goes by.
type edge struct{ from, typ, to string }

// claim is one way in which the rows of a table assert an edge.
type claim struct {
	table *kind.Table
	link  kind.Link // of the row's node; unset for a Between
	owner bool
}

func (c claim) edge() edge {
	if b := c.table.Between; b != nil {
		return edge{b.From.Label, b.Type, b.To.Label}
	}
	if c.link.To != "" {
		return edge{c.table.Label, c.link.Type, c.link.To}
	}
	return edge{c.link.From, c.link.Type, c.table.Label}
}

// columns are those that say whether and where the relationship is.
func (c claim) columns() []string {
	if b := c.table.Between; b != nil {
		return slices.Concat(slices.Collect(maps.Values(b.From.On)), slices.Collect(maps.Values(b.To.On)))
	}
	return slices.Collect(maps.Values(c.link.On))
}

// links are the links that a table's rows assert, the owner's first.
func links(t *kind.Table) []claim {
	var all []claim
	if owner, ok := t.OwnerLink(); ok {
		all = append(all, claim{t, owner, true})
	}
	for _, l := range t.Links {
		all = append(all, claim{t, l, false})
	}
	return all
}

// claims are all that a table's rows assert.
func claims(t *kind.Table) []claim {
	if t.Between != nil {
		return []claim{{table: t}}
	}
	return links(t)
}

// plan is what follows from the declarations and the manifest alone: the order
// of the tables, and which cells prove what.
type plan struct {
	manifest *store.Manifest
	cells    []store.Cell               // in the order of writing
	tables   []*kind.Table              // those that the snapshot has, in the order of writing
	unknown  []string                   // the snapshot's tables that the registry lacks
	lacks    map[string]map[string]bool // by table: the columns that the snapshot lacks
	states   map[string]store.State     // by cell
	bySync   map[string][]store.CellID
	accounts []string // that have a cell, sorted
	pairs    map[[2]string]bool
	all      []*kind.Table // the registry's

	doubt map[edge]map[string]bool // cells that do not tell all of an edge although they ended complete
}

func newPlan(r *kind.Registry, m *store.Manifest) *plan {
	p := &plan{manifest: m, lacks: map[string]map[string]bool{}, states: map[string]store.State{}, bySync: map[string][]store.CellID{}, doubt: map[edge]map[string]bool{}}
	p.all = r.Tables()
	p.cells = inOrder(m)
	p.pairs = labelPairs(p.all)
	for _, info := range m.Tables {
		t := r.Table(info.Name)
		if t == nil {
			p.unknown = append(p.unknown, info.Name)
			continue
		}
		p.lacks[t.Name] = map[string]bool{}
		for _, c := range t.Columns {
			if !slices.ContainsFunc(info.Columns, func(has kind.Column) bool { return has.Name == c.Name }) {
				p.lacks[t.Name][c.Name] = true
			}
		}
		delete(p.lacks[t.Name], kind.Unknown)
	}
	for _, c := range m.Cells {
		p.states[c.CellID.String()] = c.State
		p.bySync[c.Sync] = append(p.bySync[c.Sync], c.CellID)
		if i, found := slices.BinarySearch(p.accounts, c.Account); !found {
			p.accounts = slices.Insert(p.accounts, i, c.Account)
		}
	}
	for _, t := range order(p.all) {
		if p.lacks[t.Name] != nil {
			p.tables = append(p.tables, t)
		}
	}
	return p
}

// inOrder sorts cells for writing: an account's regions as the collection was
// given them, as Cartography goes through them. Where two regions describe a
// node of one id, such as event subscriptions of one name, the last one stays.
func inOrder(m *store.Manifest) []store.Cell {
	at := map[[2]string]int{}
	for _, a := range m.Accounts {
		for i, region := range a.Regions {
			at[[2]string{a.ID, region}] = i
		}
	}
	cells := slices.Clone(m.Cells)
	slices.SortStableFunc(cells, func(a, b store.Cell) int {
		return cmp.Or(strings.Compare(a.Account, b.Account), cmp.Compare(at[[2]string{a.Account, a.Region}], at[[2]string{b.Account, b.Region}]))
	})
	return cells
}

// synced tells whether all the cells that the snapshot set out to collect of a
// sync in an account are complete.
func (p *plan) synced(sync, account string) bool {
	some := false
	for _, id := range p.bySync[sync] {
		if id.Account == account {
			if some = p.states[id.String()] == store.Complete; !some {
				return false
			}
		}
	}
	return some
}

// order sorts tables for writing: a label's owner before it, the stubs of a
// label before what describes it in full, relationships last; else by sync.
func order(tables []*kind.Table) []*kind.Table {
	var out []*kind.Table
	done := map[string]bool{}
	var visit func(label string)
	visit = func(label string) {
		if done[label] {
			return
		}
		done[label] = true
		var own []*kind.Table
		for _, t := range tables {
			if t.Label != label && slices.Contains(t.Aliases, label) {
				visit(t.Label)
			}
			if t.Label == label {
				own = append(own, t)
			}
		}
		for _, t := range own {
			if owner, ok := t.OwnerLink(); ok {
				visit(owner.Other())
			}
		}
		slices.SortStableFunc(own, func(a, b *kind.Table) int {
			if a.Stub != b.Stub {
				return map[bool]int{true: -1, false: 1}[a.Stub]
			}
			return strings.Compare(a.Sync, b.Sync)
		})
		out = append(out, own...)
	}
	for _, t := range tables {
		if t.Label != "" {
			visit(t.Label)
		}
	}
	for _, t := range tables {
		if t.Label == "" {
			out = append(out, t)
		}
	}
	return out
}

// before tells whether every node of a label is written before a table's.
func (p *plan) before(label string, t *kind.Table) bool {
	self := slices.Index(p.tables, t)
	for i, other := range p.tables {
		if i >= self && (other.Label == label || slices.Contains(other.Aliases, label)) {
			return false
		}
	}
	return true
}

// related tells whether one node may have both labels.
func (p *plan) related(a, b string) bool { return a == b || p.pairs[[2]string{a, b}] }

// labelPairs are the pairs of labels that some table's nodes have.
func labelPairs(tables []*kind.Table) map[[2]string]bool {
	pairs := map[[2]string]bool{}
	for _, t := range tables {
		all := append([]string{t.Label}, t.Aliases...)
		for _, a := range all {
			for _, b := range all {
				pairs[[2]string{a, b}] = true
			}
		}
	}
	return pairs
}

// evidence says which cells tell everything about something: by sync, whether
// the sync's cells do when they are complete. A sync whose table or column the
// snapshot lacks, because another version wrote it, tells nothing.
type evidence map[string]bool

func (e evidence) add(sync string, tells bool) {
	if before, ok := e[sync]; ok {
		tells = tells && before
	}
	e[sync] = tells
}

// ofLabel is the evidence about nodes of a label.
func (p *plan) ofLabel(label string) evidence {
	e := evidence{}
	for _, t := range p.all {
		if t.Label != "" && p.related(t.Label, label) {
			e.add(t.Sync, p.lacks[t.Name] != nil)
		}
	}
	return e
}

// asserting are the claims that an edge may come from.
func (p *plan) asserting(e edge) []claim {
	var all []claim
	for _, t := range p.all {
		for _, c := range claims(t) {
			o := c.edge()
			if o.typ == e.typ && p.related(o.from, e.from) && p.related(o.to, e.to) {
				all = append(all, c)
			}
		}
	}
	return all
}

func (p *plan) ofClaims(all []claim) evidence {
	e := evidence{}
	for _, c := range all {
		lacks := p.lacks[c.table.Name]
		e.add(c.table.Sync, lacks != nil && !slices.ContainsFunc(c.columns(), func(name string) bool { return lacks[name] }))
	}
	return e
}

// complete are the names of the cells that tell everything.
func (p *plan) complete(e evidence, doubt map[string]bool) []string {
	out := []string{}
	for _, sync := range slices.Sorted(maps.Keys(e)) {
		for _, id := range p.bySync[sync] {
			if name := id.String(); e[sync] && p.states[name] == store.Complete && !doubt[name] {
				out = append(out, name)
			}
		}
	}
	return out
}

// whole are the accounts about which the snapshot tells everything: all cells
// of all syncs are complete and no region was left out. Only there can a node
// be judged that does not say which cells assert it, since Cartography wrote it.
func (p *plan) whole(e evidence, doubt map[string]bool) []string {
	out := []string{}
	if len(p.manifest.Regions) > 0 || len(e) == 0 {
		return out
	}
	for _, account := range p.accounts {
		ok := true
		for sync, tells := range e {
			some := false
			for _, id := range p.bySync[sync] {
				if id.Account == account {
					some = true
					ok = ok && p.states[id.String()] == store.Complete && !doubt[id.String()]
				}
			}
			ok = ok && tells && some
		}
		if ok {
			out = append(out, account)
		}
	}
	return out
}

// state is how a cell ended, absent where the snapshot lacks it.
func (p *plan) state(cell string) store.State {
	if s, ok := p.states[cell]; ok {
		return s
	}
	return absent
}

// keeps tells whether no cleanup deletes the label's nodes.
func (p *plan) keeps(label string) bool {
	return slices.ContainsFunc(p.all, func(t *kind.Table) bool { return t.Keep && t.Label != "" && p.related(t.Label, label) })
}

// doubts notes that a cell does not tell all of an edge: a row's link column
// is unknown.
func (p *plan) doubts(e edge, cell string) {
	if p.doubt[e] == nil {
		p.doubt[e] = map[string]bool{}
	}
	p.doubt[e][cell] = true
}

func (p *plan) doubtOf(all []claim) map[string]bool {
	out := map[string]bool{}
	for _, c := range all {
		maps.Copy(out, p.doubt[c.edge()])
	}
	return out
}

// blocker is a cell because of which an account is not whole.
func (p *plan) blocker(e evidence, doubt map[string]bool, account string) (cell string, state store.State) {
	for _, sync := range slices.Sorted(maps.Keys(e)) {
		some := false
		for _, id := range p.bySync[sync] {
			if name := id.String(); id.Account == account {
				some = true
				if p.states[name] != store.Complete || doubt[name] || !e[sync] {
					return name, p.states[name]
				}
			}
		}
		if !some || len(p.manifest.Regions) > 0 {
			return store.CellID{Provider: "aws", Account: account, Region: "*", Sync: sync}.String(), absent
		}
	}
	return store.CellID{Provider: "aws", Account: account, Region: "*", Sync: "*"}.String(), absent
}
