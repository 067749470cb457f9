package load

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"snap/store"
	"snap/store/kind"
)

// MirrorOptions select what Mirror reads.
type MirrorOptions struct {
	Registry *kind.Registry // what the snapshot's tables are in the graph
	Tables   []string       // only these; empty: all

	// Cells tells which cells are to be compared; nil: all. The others are in
	// both manifests, without rows.
	Cells func(store.CellID) bool
}

// Mirrored is a snapshot and a graph side by side, in one form: two snapshots
// that can be compared like any two. Close removes their files.
type Mirrored struct {
	Snapshot *store.Snapshot // what the graph should hold by the snapshot
	Graph    *store.Snapshot // what it holds of that
	Registry *kind.Registry  // the tables of both

	// Nodes that the graph has in cells which the snapshot lacks, and those
	// cells: other accounts, regions and syncs. They are not in Graph.
	OutsideNodes, OutsideCells int64

	dir string
}

// Close removes the files.
func (m *Mirrored) Close() error {
	var err error
	for _, s := range []*store.Snapshot{m.Snapshot, m.Graph} {
		if s != nil {
			err = errors.Join(err, s.Close())
		}
	}
	return errors.Join(err, os.RemoveAll(m.dir))
}

// noAccount stands for the account of nodes of which the graph does not say to
// which account they belong.
const noAccount = "none"

// Mirror reads from the graph what a snapshot speaks of, and writes both sides
// as snapshots into a temporary directory. Of what the graph cannot tell, such
// as a link to a node that it lacks, the snapshot's word stands on both sides.
// Memory is bounded by the largest cell and by what only the graph has, besides
// 16 bytes for each row and 8 for each link of the snapshot.
func Mirror(ctx context.Context, g *Graph, snap *store.Snapshot, o MirrorOptions) (_ *Mirrored, err error) {
	dir, err := os.MkdirTemp("", "snap-graph-") // only its owner can read it
	if err != nil {
		return nil, err
	}
	out := &Mirrored{dir: dir}
	defer func() {
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			err = ctx.Err() // the driver says so in its own words
		}
		err = errors.Join(err, out.Close())
	}()
	m := &mirror{graph: g, snap: snap, plan: newPlan(o.Registry, &snap.Manifest), out: out, only: map[store.CellID]map[string][]any{}, pairs: map[store.CellID]map[string][]kind.Row{}}
	m.wants = func(t *kind.Table) bool { return len(o.Tables) == 0 || slices.Contains(o.Tables, t.Name) }
	if m.cells = o.Cells; m.cells == nil {
		m.cells = func(store.CellID) bool { return true }
	}
	out.Registry = m.shapes(o.Registry)
	if err := m.survey(ctx); err != nil {
		return nil, err
	}
	if err := m.read(ctx); err != nil {
		return nil, err
	}
	if err := m.search(ctx); err != nil {
		return nil, err
	}
	if err := m.write(ctx, dir); err != nil {
		return nil, err
	}
	return out, nil
}

// mirror makes a Mirrored.
type mirror struct {
	graph *Graph
	snap  *store.Snapshot
	plan  *plan
	out   *Mirrored
	wants func(*kind.Table) bool
	cells func(store.CellID) bool

	tables map[string]*mirrorTable // by name
	named  map[string]bool         // cells that the graph names
	places map[string]bool         // their accounts and regions
	synced map[[2]string]bool      // account and label, by Cartography's notes
	owned  map[[2]string]bool      // account and label of nodes that name no cells
	order  map[string]int          // when a load writes a cell
	files  map[string]map[string]bool

	has   hashes // what rows the snapshot has: table, cell and key, and table and key
	links hashes // what relationships: type and ends

	only  map[store.CellID]map[string][]any      // ids of nodes that only the graph has, by table
	pairs map[store.CellID]map[string][]kind.Row // rows of relationships that only the graph has
}

// mirrorTable is a table as it is compared with the graph: each link has a
// column of its own, which holds the far nodes' values.
type mirrorTable struct {
	of        *kind.Table
	table     *kind.Table
	links     []mirrorLink
	full      map[string][]string // of a stub the columns that others describe, by their syncs
	contested map[string][]string // columns that tables of the same label have too, by their syncs
}

// mirrorLink is a link and its column.
type mirrorLink struct {
	claim
	match  match
	at     int // of match.keys the one whose values the column holds
	column int // in mirrorTable.table
	n      int // in mirrorTable.links

	first bool  // of the claims of the edge
	group []int // the table's links that assert the same edge, this one among them
}

// shapes makes the tables of both sides.
func (m *mirror) shapes(r *kind.Registry) *kind.Registry {
	m.tables = map[string]*mirrorTable{}
	out := &kind.Registry{}
	for _, s := range r.Syncs {
		sync := *s
		sync.Tables = nil
		for _, t := range s.Tables {
			mt := m.shape(t)
			m.tables[t.Name] = mt
			sync.Tables = append(sync.Tables, mt.table)
		}
		out.Syncs = append(out.Syncs, &sync)
	}
	return out
}

func (m *mirror) shape(t *kind.Table) *mirrorTable {
	table := *t
	mt := &mirrorTable{of: t, table: &table, full: m.plan.full(t), contested: map[string][]string{}}
	table.Columns = nil
	for _, c := range t.Columns {
		if c.Name != kind.Unknown {
			c.Required = c.Required && c.Key // by hand a node may lose any property
			table.Columns = append(table.Columns, c)
		}
	}
	table.Links, table.Owner, table.Unowned = nil, nil, true
	if t.Between == nil {
		for _, c := range links(t) {
			l := mirrorLink{claim: c, match: newMatch(t, c.link.On), column: len(table.Columns), n: len(mt.links)}
			for i, column := range l.match.columns { // a list names the nodes, the rest of the pairs are conditions
				if column >= 0 && t.Columns[column].Type == kind.Strings {
					l.at = i
				}
			}
			l.first = m.plan.asserting(c.edge())[0].table == t
			name := fmt.Sprintf("_link%d", len(mt.links))
			mt.links = append(mt.links, l)
			table.Columns = append(table.Columns, kind.Column{Name: name, Type: kind.Strings})
			link := c.link
			link.On = kind.On{l.match.keys[l.at]: name}
			if c.owner {
				table.Owner, table.Unowned = &link, false
			} else {
				table.Links = append(table.Links, link)
			}
		}
	}
	for i := range mt.links {
		for k, other := range mt.links {
			if other.edge() == mt.links[i].edge() {
				mt.links[i].group = append(mt.links[i].group, k)
			}
		}
	}
	table.Columns = append(table.Columns, kind.Column{Name: kind.Unknown, Type: kind.Strings})
	for _, other := range m.plan.all {
		if other == t || other.Label != t.Label || t.Label == "" || other.Stub || t.Stub {
			continue
		}
		for _, c := range other.Columns {
			if _, ok := t.Column(c.Name); ok && c.Property() && !c.Key {
				mt.contested[c.Name] = append(mt.contested[c.Name], other.Sync)
			}
		}
	}
	return mt
}

// survey finds which of the snapshot's cells the graph knows at all.
func (m *mirror) survey(ctx context.Context) error {
	m.named, m.places = map[string]bool{}, map[string]bool{}
	m.synced, m.owned = map[[2]string]bool{}, map[[2]string]bool{}
	m.order, m.files = map[string]int{}, map[string]map[string]bool{}
	for i, c := range m.plan.cells {
		name := c.CellID.String()
		m.order[name] = i
		m.files[name] = map[string]bool{}
		for _, f := range c.Files {
			m.files[name][f.Table] = true
		}
	}
	outside := map[string]bool{}
	name := func(r []any) {
		cell, _ := r[0].(string)
		parts := strings.SplitN(cell, "/", 4)
		if _, ok := m.order[cell]; ok {
			m.named[cell] = true
		} else if !outside[cell] {
			outside[cell] = true
			m.out.OutsideCells++
		}
		if len(parts) == 4 {
			m.places[parts[1]+"/"+parts[2]] = true
		}
	}
	types := []string{}
	for _, t := range m.plan.tables {
		if t.Between != nil {
			types = union(types, t.Between.Type)
		}
	}
	params := map[string]any{"accounts": m.plan.accounts, "types": types}
	for _, q := range []struct {
		cypher string
		take   func([]any)
	}{
		{"MATCH (n) WHERE n._snap_cells IS NOT NULL UNWIND n._snap_cells AS cell RETURN DISTINCT cell", name},
		{"MATCH ()-[r]->() WHERE type(r) IN $types AND r._snap_cells IS NOT NULL UNWIND r._snap_cells AS cell RETURN DISTINCT cell", name},
		{"MATCH (a:" + quote(accountLabel) + ")-[:" + m.plan.owning() + "]-(n) WHERE a.id IN $accounts AND n._snap_cells IS NULL UNWIND labels(n) AS label RETURN DISTINCT a.id, label", func(r []any) {
			m.owned[[2]string{text(r[0]), text(r[1])}] = true
		}},
		{"MATCH (m:ModuleSyncMetadata) WHERE m.groupid IN $accounts RETURN m.groupid, m.syncedtype", func(r []any) {
			m.synced[[2]string{text(r[0]), text(r[1])}] = true
		}},
	} {
		rows, err := m.graph.read(ctx, q.cypher, params)
		if err != nil {
			return err
		}
		for _, r := range rows {
			q.take(r)
		}
	}
	return nil
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// knows tells whether the graph was told of a cell: then what it lacks is not
// there. A cell without rows tells nothing that could be missing.
func (m *mirror) knows(c *store.Cell) bool {
	if len(c.Files) == 0 || m.named[c.CellID.String()] {
		return true
	}
	sync := m.snapSync(c.Sync)
	if sync == nil {
		return false
	}
	if sync.Synced != "" && m.synced[[2]string{c.Account, sync.Synced}] && (sync.Global || m.places[c.Account+"/"+c.Region] || len(m.places) == 0) {
		return true
	}
	return slices.ContainsFunc(sync.Tables, func(t *kind.Table) bool { return t.Label != "" && m.owned[[2]string{c.Account, t.Label}] })
}

func (m *mirror) snapSync(name string) *kind.Sync { return m.out.Registry.Sync(name) }

// hashes are a set of which 8 bytes of each element are kept.
type hashes struct {
	seed maphash.Seed
	all  []uint64
}

func (h *hashes) add(values ...any) { h.all = append(h.all, maphash.String(h.seed, key(values...))) }

func (h *hashes) sort() { slices.Sort(h.all) }

// count is how often an element was added.
func (h *hashes) count(values ...any) int {
	want := maphash.String(h.seed, key(values...))
	at, _ := slices.BinarySearch(h.all, want)
	n := 0
	for at+n < len(h.all) && h.all[at+n] == want {
		n++
	}
	return n
}

// rowWords are a row's in hashes: of the table, and in its cell.
func rowWords(table string, cell store.CellID, key []any) (of, in []any) {
	return append([]any{table}, key...), append([]any{table, cell.String()}, key...)
}

// read goes through the snapshot, for what it says somewhere is not only in the
// graph.
func (m *mirror) read(ctx context.Context) error {
	seed := maphash.MakeSeed()
	m.has.seed, m.links.seed = seed, seed
	for i := range m.plan.cells {
		c := &m.plan.cells[i]
		for _, f := range c.Files {
			mt := m.tables[f.Table]
			if mt == nil {
				continue
			}
			rows, missing, _ := m.snap.Read(mt.of, f)
			view, adapt := seen(mt.of, missing)
			keys := mt.of.Keys()
			for row, err := range rows {
				if err == nil {
					err = ctx.Err()
				}
				if err != nil {
					return err
				}
				row = adapt(row)
				of, in := rowWords(f.Table, c.CellID, row[:len(keys)])
				m.has.add(of...)
				m.has.add(in...)
				unknown := view.UnknownColumns(row)
				for _, l := range mt.links {
					ends, _ := l.match.values(view, row, c.Account, unknown)
					for _, values := range ends {
						m.links.add(l.words(row[0], values[l.at])...)
					}
				}
			}
		}
	}
	m.has.sort()
	m.links.sort()
	return nil
}

// words are a relationship's in hashes.
func (l mirrorLink) words(id, far any) []any {
	if l.link.To != "" {
		return []any{l.link.Type, id, far}
	}
	return []any{l.link.Type, far, id}
}

// search finds what only the graph has: it goes through all nodes of each
// label, and all relationships of each kind whose rows are relationships.
func (m *mirror) search(ctx context.Context) error {
	done := map[string]bool{}
	for _, t := range m.plan.tables {
		var family []*kind.Table
		wanted := false
		for _, other := range m.plan.tables {
			if other == t || t.Label != "" && other.Label == t.Label {
				family = append(family, other)
				wanted = wanted || m.wants(other)
			}
		}
		if !wanted || done[t.Label] {
			continue
		}
		var err error
		if t.Between != nil {
			err = m.searchPairs(ctx, t)
		} else {
			done[t.Label] = true
			err = m.searchNodes(ctx, family)
		}
		if err != nil {
			return fmt.Errorf("compare table %s: %w", t.Name, err)
		}
	}
	return nil
}

func (m *mirror) searchNodes(ctx context.Context, family []*kind.Table) error {
	label := quote(family[0].Label)
	elsewhere := "" // a node of this label that another table's label describes better
	for _, t := range m.plan.all {
		if slices.Contains(t.Aliases, family[0].Label) {
			elsewhere += " AND NOT n:" + quote(t.Label)
		}
	}
	var ids []any // of nodes that name no cells
	take := func(id any, labels, cells []string) {
		inside := false
		for _, cell := range cells {
			i, ok := m.order[cell]
			if !ok {
				continue
			}
			inside = true
			m.addNamed(family, m.plan.cells[i].CellID, id, labels)
		}
		if !inside && len(cells) > 0 {
			m.out.OutsideNodes++
		}
	}
	err := m.graph.stream(ctx, "MATCH (n:"+label+") WHERE true"+elsewhere+" RETURN n.id, labels(n), n._snap_cells", nil, func(r []any) {
		switch id, ok := r[0].(string); {
		case !ok: // it does not say which it is
		case r[2] != nil:
			take(id, texts(r[1]), texts(r[2]))
		case !slices.ContainsFunc(family, func(t *kind.Table) bool {
			of, _ := rowWords(t.Name, store.CellID{}, []any{id})
			return m.has.count(of...) > 0
		}):
			ids = append(ids, id)
		}
	})
	if err != nil {
		return err
	}
	for part := range slices.Chunk(ids, batchRows) {
		rows, err := m.graph.read(ctx, "UNWIND $ids AS id MATCH (n:"+label+" {id: id}) RETURN n.id, labels(n), "+m.plan.ownersOf("n")+", n.region, n.arn", map[string]any{"ids": part})
		if err != nil {
			return err
		}
		for _, r := range rows {
			for _, t := range m.of(family, texts(r[1]), func(*kind.Table) bool { return true }) {
				owners := texts(r[2])
				if len(owners) == 0 {
					owners = []string{noAccount}
				}
				for _, account := range owners {
					if !slices.Contains(m.plan.accounts, account) && account != noAccount {
						m.out.OutsideNodes++
						continue
					}
					if m.wants(t) {
						m.add(m.place(t, account, text(r[3]), text(r[4]), text(r[0])), t, r[0])
					}
				}
				break // such a node is told with the table that describes it best
			}
		}
	}
	return nil
}

// addNamed adds a node to a cell that it names, unless the snapshot has it
// there. Which of the sync's tables it was the graph does not say: a stub, if
// there is one, may be of any node.
func (m *mirror) addNamed(family []*kind.Table, cell store.CellID, id any, labels []string) {
	var tables []*kind.Table
	for _, t := range family {
		if t.Sync != cell.Sync {
			continue
		}
		tables = append(tables, t)
		if _, in := rowWords(t.Name, cell, []any{id}); m.has.count(in...) > 0 {
			return
		}
	}
	stub := slices.ContainsFunc(tables, func(t *kind.Table) bool { return t.Stub })
	for _, t := range m.of(tables, labels, func(t *kind.Table) bool { return t.Stub == stub }) {
		if m.wants(t) {
			m.add(cell, t, id)
		}
	}
}

// of are the tables that describe a node of those labels, the fullest first; a
// stub only where no other does.
func (m *mirror) of(family []*kind.Table, labels []string, wanted func(*kind.Table) bool) []*kind.Table {
	var full, stubs []*kind.Table
	for _, t := range family {
		switch {
		case !wanted(t) || slices.ContainsFunc(t.Aliases, func(a string) bool { return !slices.Contains(labels, a) }) && len(family) > 1:
		case t.Stub:
			stubs = append(stubs, t)
		default:
			full = append(full, t)
		}
	}
	slices.SortStableFunc(full, func(a, b *kind.Table) int { return len(b.Aliases) - len(a.Aliases) })
	if len(full) > 0 {
		return full
	}
	return stubs
}

// place is the cell to which a node or relationship belongs that names none.
func (m *mirror) place(t *kind.Table, account, region string, arns ...string) store.CellID {
	id := store.CellID{Provider: "aws", Account: account, Sync: t.Sync}
	if t.Global {
		return id
	}
	for _, arn := range arns {
		if parts := strings.SplitN(arn, ":", 6); region == "" && len(parts) == 6 && parts[0] == "arn" {
			region = parts[3]
		}
	}
	if strings.Trim(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" { // a property may be anything
		id.Region = region
	}
	return id
}

func (m *mirror) add(cell store.CellID, t *kind.Table, id any) {
	if m.only[cell] == nil {
		m.only[cell] = map[string][]any{}
	}
	m.only[cell][t.Name] = append(m.only[cell][t.Name], id)
}

// pairColumns are a table's columns in Cypher where its rows are relationships
// r from node n to node o.
func pairColumns(t *kind.Table) []string {
	out := make([]string, len(t.Columns))
	for i := range out {
		out[i] = "null"
	}
	set := func(variable string, of map[string]string) {
		for property, column := range of {
			if i, ok := t.Column(column); ok {
				out[i] = variable + "." + quote(property)
			}
		}
	}
	set("r", t.Between.Props)
	set("n", t.Between.From.On)
	set("o", t.Between.To.On)
	return out
}

func (m *mirror) searchPairs(ctx context.Context, t *kind.Table) error {
	b, keys, mt := t.Between, t.Keys(), m.tables[t.Name]
	cypher := "MATCH (n:" + quote(b.From.Label) + ")-[r:" + quote(b.Type) + "]->(o:" + quote(b.To.Label) + ") RETURN [" + strings.Join(pairColumns(t), ", ") + "], r._snap_cells, r._sub_resource_id, " + m.plan.ownersOf("n") + ", n.region"
	return m.graph.stream(ctx, cypher, nil, func(r []any) {
		row := make(kind.Row, len(mt.table.Columns))
		values, _ := r[0].([]any)
		var unknown []string
		for i := range t.Columns {
			if t.Columns[i].Name == kind.Unknown {
				continue
			}
			v, ok := columnValue(t.Columns[i].Type, values[i])
			if !ok {
				unknown = append(unknown, t.Columns[i].Name)
			}
			row[i] = v
		}
		var named []any
		for _, k := range keys {
			if row[k] == nil {
				return // it does not say which it is
			}
			named = append(named, row[k])
		}
		mt.setUnknown(row, unknown)
		if r[1] != nil {
			for _, cell := range texts(r[1]) {
				if i, ok := m.order[cell]; ok && m.plan.cells[i].Sync == t.Sync {
					if _, in := rowWords(t.Name, m.plan.cells[i].CellID, named); m.has.count(in...) == 0 {
						m.addPair(m.plan.cells[i].CellID, t, row)
					}
				}
			}
			return
		}
		if of, _ := rowWords(t.Name, store.CellID{}, named); m.has.count(of...) > 0 {
			return
		}
		account := text(r[2])
		if owners := texts(r[3]); account == "" && len(owners) > 0 {
			account = owners[0]
		}
		if slices.Contains(m.plan.accounts, account) {
			m.addPair(m.place(t, account, text(r[4]), text(named[0])), t, row)
		}
	})
}

func (m *mirror) addPair(cell store.CellID, t *kind.Table, row kind.Row) {
	if m.pairs[cell] == nil {
		m.pairs[cell] = map[string][]kind.Row{}
	}
	m.pairs[cell][t.Name] = append(m.pairs[cell][t.Name], row)
}

// write writes both sides, cell by cell.
func (m *mirror) write(ctx context.Context, dir string) error {
	head := m.snap.Manifest
	now := time.Now().UTC()
	accounts := slices.Clone(head.Accounts)
	if slices.ContainsFunc(slices.Collect(maps.Keys(m.only)), func(id store.CellID) bool { return id.Account == noAccount }) {
		accounts = append(accounts, store.Account{Provider: "aws", ID: noAccount, Name: "nodes of no account"})
	}
	sides := []struct {
		name string
		head store.Manifest
		to   **store.Snapshot
		w    *store.Writer
	}{
		{name: "snapshot", head: head, to: &m.out.Snapshot},
		{name: "graph", head: store.Manifest{Program: "Neo4j, " + m.graph.uri, Started: now, Syncs: head.Syncs, Accounts: accounts}, to: &m.out.Graph},
	}
	for i := range sides {
		w, err := store.Create(filepath.Join(dir, sides[i].name), sides[i].head)
		if err != nil {
			return err
		}
		defer w.Close()
		sides[i].w = w
	}
	cells := slices.Clone(m.plan.cells)
	known := map[store.CellID]bool{}
	for _, c := range cells {
		known[c.CellID] = true
	}
	more := map[store.CellID]bool{}
	for id := range m.only {
		more[id] = !known[id]
	}
	for id := range m.pairs {
		more[id] = !known[id]
	}
	for id, is := range more {
		if is {
			cells = append(cells, store.Cell{CellID: id, Outcome: store.Outcome{State: store.Complete}})
		}
	}
	slices.SortFunc(cells[len(known):], func(a, b store.Cell) int { return cmp.Compare(a.CellID.String(), b.CellID.String()) })
	rest := [2][]store.Cell{}
	var open []*mirrorCell
	var waiting int64 // rows of those
	flush := func() error {
		err := m.fillCells(ctx, open)
		for _, c := range open {
			for s, w := range c.to {
				if w != nil && err == nil {
					err = w.Close(c.tables, c.outcome[s])
				}
			}
		}
		open, waiting = nil, 0
		return err
	}
	for i := range cells {
		c := &mirrorCell{Cell: &cells[i]}
		sync := m.snapSync(c.Sync)
		if sync == nil {
			continue
		}
		for _, t := range sync.Tables { // the snapshot's version may lack some
			if _, ok := m.snap.Table(t.Name); ok {
				c.tables = append(c.tables, t)
			}
		}
		knows := m.knows(c.Cell)
		files := slices.ContainsFunc(c.Files, func(f store.File) bool { t := m.tables[f.Table]; return t != nil && m.wants(t.of) })
		more := m.only[c.CellID] != nil || m.pairs[c.CellID] != nil
		c.outcome = [2]store.Outcome{c.Outcome, {State: store.Complete, Started: now, Finished: now}}
		if !knows {
			c.outcome[1] = store.Outcome{State: store.Skipped, Message: notLoaded, Started: now, Finished: now}
		}
		files, more = files && m.cells(c.CellID), more && m.cells(c.CellID)
		has := [2]bool{files, (files || more) && knows}
		for s := range sides {
			switch {
			case has[s]:
				c.to[s] = sides[s].w.Cell(c.CellID)
			case s == 1 || known[c.CellID]:
				rest[s] = append(rest[s], store.Cell{CellID: c.CellID, Outcome: c.outcome[s]})
			}
		}
		if has[0] || has[1] {
			open = append(open, c)
		}
		if waiting += c.Rows; waiting >= mirrorTogether {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil {
		return err
	}
	var all []*kind.Table
	for _, s := range m.out.Registry.Syncs {
		for _, t := range s.Tables {
			if _, ok := m.snap.Table(t.Name); ok {
				all = append(all, t)
			}
		}
	}
	for i, s := range sides {
		if _, err := s.w.Commit(all, now); err != nil {
			return err
		}
		opened, err := store.Open(filepath.Join(dir, s.name))
		if err != nil {
			return err
		}
		*s.to = opened
		// Cells without rows, and tables, need no place on the disk.
		opened.Manifest.Cells = append(opened.Manifest.Cells, rest[i]...)
		for _, t := range all {
			if _, ok := opened.Table(t.Name); !ok {
				opened.Manifest.Tables = append(opened.Manifest.Tables, store.TableInfo{Name: t.Name, Sync: t.Sync, Columns: t.Columns})
			}
		}
	}
	m.out.Snapshot.ID, m.out.Snapshot.Path, m.out.Snapshot.Manifest.Finished = m.snap.ID, m.snap.Path, m.snap.Manifest.Finished
	m.out.Graph.ID, m.out.Graph.Path = "graph", m.graph.uri
	return nil
}

// mirrorCell is a cell that is being written on both sides.
type mirrorCell struct {
	*store.Cell
	tables  []*kind.Table
	outcome [2]store.Outcome
	to      [2]*store.CellWriter // the snapshot's and the graph's; nil where there is nothing to write
}

// Cells are filled together until they have mirrorTogether rows: a question to
// the graph about a table then is about the rows of all of them, of which it is
// asked mirrorRows at once.
const (
	mirrorTogether = 20_000
	mirrorRows     = 1000
)

const notLoaded = "no node of the graph names this cell: it was not loaded, or all that it told is gone"

// fillCells puts the rows of some cells into both sides.
func (m *mirror) fillCells(ctx context.Context, cells []*mirrorCell) error {
	for _, t := range m.plan.tables {
		if !m.wants(t) {
			continue
		}
		mt := m.tables[t.Name]
		var batch []*pair
		flush := func() error {
			if err := m.fill(ctx, mt, batch); err != nil {
				return fmt.Errorf("compare table %s: %w", t.Name, err)
			}
			for _, p := range batch {
				if p.live != nil {
					p.cell.to[1].Put(mt.table, p.live)
				}
			}
			batch = batch[:0]
			return nil
		}
		add := func(p *pair) error {
			if batch = append(batch, p); len(batch) < mirrorRows {
				return nil
			}
			return flush()
		}
		for _, c := range cells {
			for _, f := range c.Files {
				if f.Table != t.Name {
					continue
				}
				rows, missing, _ := m.snap.Read(t, f)
				view, adapt := seen(t, missing)
				for row, err := range rows {
					if err != nil {
						return err
					}
					p := mt.pair(view, adapt(row), c)
					c.to[0].Put(mt.table, p.old)
					if c.to[1] == nil {
						continue
					}
					if err := add(p); err != nil {
						return err
					}
				}
			}
			if c.to[1] == nil {
				continue
			}
			for _, id := range m.only[c.CellID][t.Name] {
				if err := add(&pair{id: id, cell: c}); err != nil {
					return err
				}
			}
			for _, row := range m.pairs[c.CellID][t.Name] {
				c.to[1].Put(mt.table, row)
			}
		}
		if err := flush(); err != nil {
			return err
		}
	}
	return nil
}
