package load

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"snap/store"
	"snap/store/kind"
)

// ExportOptions say what to export.
type ExportOptions struct {
	Registry *kind.Registry // what the snapshot's tables become

	Accounts []string // only these accounts of the snapshot; empty: all
	Syncs    []string // only these syncs, and "account"; empty: all
	Tag      int64    // the update tag, Unix seconds; 0 is the snapshot's own

	Progress func(Progress) // called from time to time, with the phases "numbers", "nodes" and "links"; may be nil

	held int // tests: instead of heldBytes
}

// ExportReport says what an export wrote.
type ExportReport struct {
	Snapshot string   // the snapshot's id
	Tag      int64    // the update tag, Unix seconds
	Nodes    int64    // of the snapshot; those that note its accounts are not counted
	Links    int64    // relationships
	Bytes    int64    // of the files of rows
	Unknown  []string // the snapshot's tables that this program does not know: not exported
	Seconds  float64
}

// heldBytes is about how much of nodes and relationships that several rows
// describe waits in memory for the last of these rows. What comes beyond that
// is left for another reading.
const heldBytes = 64 << 20

// argumentsFile is the importer's argument file in an export's directory.
const argumentsFile = "import.args"

// Export writes a snapshot into a new directory, as the files from which
// "neo4j-admin database import full" makes the graph that Load would write into
// an empty database, before its analysis. The Load that follows completes it.
// The directory, which must be missing or empty, is there when it is whole.
//
// Memory is bounded by heldBytes and by what finds nodes again: some 60 bytes
// for each node, and 8 for each relationship that several rows may assert.
func Export(ctx context.Context, snap *store.Snapshot, dir string, o ExportOptions) (*ExportReport, error) {
	return export(ctx, &snap.Manifest, snap.ID, snap, dir, o)
}

func export(ctx context.Context, m *store.Manifest, id string, s source, dir string, o ExportOptions) (*ExportReport, error) {
	started := time.Now()
	dir = filepath.Clean(dir)
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = os.MkdirAll(filepath.Dir(dir), 0o700)
	case err == nil && len(entries) > 0:
		err = fmt.Errorf("export to %s: the directory is not empty: it holds %q", dir, entries[0].Name())
	}
	if err != nil {
		return nil, err
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".temp-")
	if err != nil {
		return nil, err
	}
	var e *exporter
	for i, delimiter := range delimiters {
		part := filepath.Join(temp, fmt.Sprint(i))
		if e, err = newExporter(m, id, s, newCSVDirectory(part, delimiter), o); err != nil {
			break
		}
		if err = e.run(ctx); err == nil {
			if err = os.Remove(dir); err == nil || errors.Is(err, fs.ErrNotExist) { // an empty one
				err = os.Rename(part, dir)
			}
			break
		}
		e.out.abandon()
		var taken *delimited
		if !errors.As(err, &taken) {
			break
		}
		if e := os.RemoveAll(part); e != nil {
			err = e
			break
		}
	}
	if err = errors.Join(err, os.RemoveAll(temp)); err != nil {
		return nil, err
	}
	return &ExportReport{Snapshot: id, Tag: e.tag, Nodes: int64(len(e.sets)), Links: e.related, Bytes: e.out.bytes, Unknown: e.plan.unknown, Seconds: time.Since(started).Seconds()}, nil
}

// exporter does with files what the loader does with the server. It reads the
// snapshot four times: to number the nodes, to write them, to find the
// relationships that several rows assert, and to write all of these.
type exporter struct {
	*loader
	out  *csvDirectory
	now  int64 // firstseen, in milliseconds
	held int

	ends   *ends
	byID   int // the kind of ends
	labels *labelSets
	claims map[string][]*exportClaim // by table
	finds  []find

	sets  []uint16 // of each node the labels
	rows  []uint32 // how many rows describe it
	state []state
	of    map[string]*rowNodes // by table

	types   []string // of relationships
	pairs   [][]uint64
	several []map[uint64]shared // of each type the pairs of nodes that several rows relate
	related int64
}

// state is how far a node or relationship is that several rows describe.
type state uint8

const (
	open state = iota
	deferred
	done
)

// find is a way to find nodes of a label besides their id.
type find struct {
	label string
	kind  int
	keys  []string
}

// rowNodes are the nodes that a table's rows describe, in the rows' order.
type rowNodes struct {
	first []uint32
	more  map[int][]uint32 // of rows that describe several
}

func (r *rowNodes) at(i int) (first uint32, more []uint32) { return r.first[i], r.more[i] }

// exportClaim is a claim with what its relationships are made of.
type exportClaim struct {
	claim
	edge                   edge
	near, far              match // near is unset where it is the row's own node
	nearLabel, farLabel    string
	nearKind, farKind, typ int
	forward                bool // from near to far
	props                  []property
	alone                  bool // only the rows of a relationship's near node assert it
}

// shared is a relationship that several rows assert.
type shared struct {
	rows  uint32
	state state
}

func newExporter(m *store.Manifest, id string, s source, out *csvDirectory, o ExportOptions) (*exporter, error) {
	l, err := newLoader(nil, m, id, s, Options{Registry: o.Registry, Accounts: o.Accounts, Syncs: o.Syncs, Tag: o.Tag, Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	if len(l.plan.accounts) == 0 {
		return nil, fmt.Errorf("the snapshot has no account: there is nothing to import")
	}
	e := &exporter{loader: l, out: out, now: time.Now().UnixMilli(), held: cmp.Or(o.held, heldBytes), ends: newEnds(), labels: newLabelSets(),
		claims: map[string][]*exportClaim{}, of: map[string]*rowNodes{}}
	e.byID = e.ends.kind(byID.keys)
	e.prepare()
	return e, nil
}

// prepare makes of the declarations what rows need.
func (e *exporter) prepare() {
	kindOf := func(label string, m match) int {
		k := e.ends.kind(m.keys)
		if k != e.byID && !slices.ContainsFunc(e.finds, func(f find) bool { return f.label == label && f.kind == k }) {
			e.finds = append(e.finds, find{label, k, m.keys})
		}
		return k
	}
	for _, t := range e.plan.tables {
		for _, c := range claims(t) {
			x := &exportClaim{claim: c, edge: c.edge(), forward: true, nearLabel: t.Label, nearKind: e.byID}
			if b := t.Between; b != nil {
				x.near, x.far, x.props = newMatch(t, b.From.On), newMatch(t, b.To.On), newProperties(t, b.Props)
				x.nearLabel, x.farLabel = b.From.Label, b.To.Label
				x.nearKind = kindOf(x.nearLabel, x.near)
			} else {
				x.far, x.props = newMatch(t, c.link.On), newProperties(t, c.link.Props)
				x.farLabel, x.forward = c.link.Other(), c.link.To != ""
			}
			x.farKind = kindOf(x.farLabel, x.far)
			if x.typ = slices.Index(e.types, x.edge.typ); x.typ < 0 {
				x.typ = len(e.types)
				e.types = append(e.types, x.edge.typ)
				e.pairs, e.several = append(e.pairs, nil), append(e.several, nil)
			}
			e.claims[t.Name] = append(e.claims[t.Name], x)
		}
	}
	// A node is described by the tables of one group. Claims of one type whose
	// near node is at the same end meet in that node; others may anywhere.
	groups := map[string][]int{} // by label
	for i, g := range e.plan.groups() {
		for _, t := range g {
			for _, label := range append([]string{t.Label}, t.Aliases...) {
				groups[label] = append(groups[label], i)
			}
		}
	}
	meet := func(a, b string) bool {
		return slices.ContainsFunc(groups[a], func(g int) bool { return slices.Contains(groups[b], g) })
	}
	of := make([][]*exportClaim, len(e.types))
	for _, all := range e.claims {
		for _, c := range all {
			of[c.typ] = append(of[c.typ], c)
		}
	}
	for _, all := range of {
		for _, c := range all {
			c.alone = c.table.Between == nil && !slices.ContainsFunc(all, func(o *exportClaim) bool {
				return (o.table.Between != nil || o.forward != c.forward) && meet(o.edge.from, c.edge.from) && meet(o.edge.to, c.edge.to)
			})
		}
	}
}

// nodeGroups are the tables of nodes, those together that may describe one
// node; each group in the order of writing.
func (e *exporter) nodeGroups() [][]*kind.Table {
	var groups [][]*kind.Table
	for _, g := range e.plan.groups() {
		if g[0].Label != "" {
			slices.SortFunc(g, func(a, b *kind.Table) int { return cmp.Compare(e.tables[a.Name], e.tables[b.Name]) })
			groups = append(groups, g)
		}
	}
	return groups
}

func (e *exporter) run(ctx context.Context) error {
	e.total()
	groups := e.nodeGroups()
	for _, g := range groups {
		for _, t := range g {
			e.phase("numbers", t.Name)
			if err := e.number(ctx, t); err != nil {
				return fmt.Errorf("export table %s: %w", t.Name, err)
			}
		}
	}
	e.state = make([]state, len(e.sets))
	for _, g := range groups {
		if err := e.writeNodes(ctx, g); err != nil {
			return err
		}
		if err := e.out.end(); err != nil {
			return err
		}
	}
	e.state = nil
	if err := e.count(ctx); err != nil {
		return err
	}
	if err := e.writeLinks(ctx); err != nil {
		return err
	}
	if err := e.mark(); err != nil {
		return err
	}
	if err := e.out.end(); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(e.out.root, argumentsFile), []byte(e.out.arguments()), 0o600)
}

// total adds up the rows that are to be read for certain.
func (e *exporter) total() {
	for _, c := range e.plan.cells {
		for _, f := range c.Files {
			if t := e.o.Registry.Table(f.Table); t != nil {
				if t.Label != "" {
					e.at.Total += 2 * f.Rows
				}
				if len(e.claims[t.Name]) > 0 {
					e.at.Total += f.Rows
				}
			}
		}
	}
}

// number gives each node a number and finds out which rows describe it, as
// MERGE would: by the id and the table's first label.
func (e *exporter) number(ctx context.Context, t *kind.Table) error {
	id, _ := t.Column("id")
	labels := append([]string{t.Label}, t.Aliases...)
	of := &rowNodes{more: map[int][]uint32{}}
	e.of[t.Name] = of
	var found []uint32
	return e.each(ctx, t, func(view *kind.Table, row kind.Row, cell, account string) error {
		e.step(1)
		if row[id] == nil {
			return fmt.Errorf("table %s of cell %s: a row without id", t.Name, cell)
		}
		found = e.nodes(found[:0], t.Label, e.byID, []any{row[id]})
		if len(found) == 0 {
			if len(e.sets) == math.MaxUint32 {
				return fmt.Errorf("more than %d nodes: export fewer accounts or syncs at a time", len(e.sets))
			}
			node := uint32(len(e.sets))
			e.sets, e.rows = append(e.sets, 0), append(e.rows, 0)
			e.ends.add(e.byID, []any{row[id]}, node)
			found = append(found, node)
		}
		if len(found) > 1 {
			of.more[len(of.first)] = slices.Clone(found[1:])
		}
		of.first = append(of.first, found[0])
		for _, node := range found {
			e.sets[node] = e.labels.with(e.sets[node], t.Name, labels)
			e.rows[node]++
		}
		return nil
	})
}

// nodes appends those of a label that have the values.
func (e *exporter) nodes(to []uint32, label string, kind int, values []any) []uint32 {
	from := len(to)
	to = e.ends.find(to, kind, values)
	kept := to[:from]
	for _, node := range to[from:] {
		if e.labels.has(e.sets[node], label) {
			kept = append(kept, node)
		}
	}
	return kept
}

// heldNode is one of which not all rows have been read.
type heldNode struct {
	*known
	left uint32
	size int
}

// writeNodes writes the nodes of a group of tables.
func (e *exporter) writeNodes(ctx context.Context, group []*kind.Table) error {
	for again := true; again; {
		again = false
		held, holds := map[uint32]*heldNode{}, 0
		for _, t := range group {
			e.phase("nodes", t.Name)
			d := e.description(t, nil)
			id, _ := t.Column("id")
			of, at := e.of[t.Name], -1
			err := e.each(ctx, t, func(view *kind.Table, row kind.Row, cell, account string) error {
				e.step(1)
				at++
				first, more := of.at(at)
				for i := -1; i < len(more); i++ {
					node := first
					if i >= 0 {
						node = more[i]
					}
					if e.state[node] != open {
						continue
					}
					h := held[node]
					if h == nil {
						if e.rows[node] > 1 && holds > e.held {
							e.state[node], again = deferred, true
							continue
						}
						h = &heldNode{known: &known{values: map[string]any{}}, left: e.rows[node]}
						if h.left > 1 {
							held[node] = h
						}
					}
					p, others, size := d.properties(e.provider(cell), view, row)
					d.add(h.known, row[id], p, others, cell)
					h.size += size + 500
					holds += size + 500
					if h.left--; h.left > 0 {
						continue
					}
					holds -= h.size
					delete(held, node)
					e.state[node] = done
					if err := e.writeNode(node, h.known, t); err != nil {
						return fmt.Errorf("table %s: the row %.60q of cell %s: %w", t.Name, row[id], cell, err)
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		for i, s := range e.state {
			if s == deferred {
				e.state[i] = open
			}
		}
	}
	return nil
}

func (e *exporter) writeNode(node uint32, n *known, t *kind.Table) error {
	set := e.sets[node]
	for _, f := range e.finds {
		if e.labels.has(set, f.label) {
			values := make([]any, len(f.keys))
			for i, k := range f.keys {
				values[i] = n.p[k]
			}
			e.ends.add(f.kind, values, node)
		}
	}
	n.p["_snap_cells"], n.p["lastupdated"], n.p["firstseen"] = n.cells, e.tag, e.now
	return e.out.put(csvGroup{"nodes", e.labels.names[set]}, e.labels.sets[set][0], ":ID", n.p, node)
}

// relation is a relationship as one row asserts it.
type relation struct {
	claim *exportClaim
	a, b  uint32
	near  uint32
	p     map[string]any
}

// pair is what tells relationships of one type apart.
func (r relation) pair() uint64 { return uint64(r.a)<<32 | uint64(r.b) }

// lone tells whether no other row can assert the relationship.
func (e *exporter) lone(r relation) bool { return r.claim.alone && e.rows[r.near] == 1 }

// relate gives do the relationships that each row of a table asserts, each
// once a row.
func (e *exporter) relate(ctx context.Context, t *kind.Table, do func(all []relation, cell string) error) error {
	id, _ := t.Column("id")
	var all []relation
	var near, far []uint32
	return e.each(ctx, t, func(view *kind.Table, row kind.Row, cell, account string) error {
		e.step(1)
		all = all[:0]
		unknown := view.UnknownColumns(row)
		for _, c := range e.claims[t.Name] {
			others, known := c.far.values(view, row, account, unknown)
			near = near[:0]
			if t.Between == nil {
				near = e.nodes(near, c.nearLabel, c.nearKind, []any{row[id]})
			} else {
				own, too := c.near.values(view, row, account, unknown)
				known = known && too
				for _, values := range own {
					near = e.nodes(near, c.nearLabel, c.nearKind, values)
				}
			}
			if !known {
				continue
			}
			far = far[:0]
			for _, values := range others {
				far = e.nodes(far, c.farLabel, c.farKind, values)
			}
			for _, n := range near {
				for _, f := range far {
					r := relation{claim: c, a: n, b: f, near: n}
					if !c.forward {
						r.a, r.b = f, n
					}
					i := slices.IndexFunc(all, func(o relation) bool { return o.claim.typ == c.typ && o.a == r.a && o.b == r.b })
					if i < 0 {
						i = len(all)
						r.p = map[string]any{}
						all = append(all, r)
					}
					take(all[i].p, c.props, view, row, unknown)
					if t.Between != nil {
						all[i].p["_sub_resource_label"], all[i].p["_sub_resource_id"] = accountLabel, account
					}
				}
			}
		}
		return do(all, cell)
	})
}

// count finds the relationships that several rows assert.
func (e *exporter) count(ctx context.Context) error {
	for _, t := range e.plan.tables {
		lone := !slices.ContainsFunc(e.claims[t.Name], func(c *exportClaim) bool { return !c.alone })
		if len(e.claims[t.Name]) == 0 || lone && !slices.ContainsFunc(e.of[t.Name].first, func(node uint32) bool { return e.rows[node] > 1 }) {
			continue
		}
		e.phase("links", t.Name)
		err := e.relate(ctx, t, func(all []relation, cell string) error {
			for _, r := range all {
				if !e.lone(r) {
					e.pairs[r.claim.typ] = append(e.pairs[r.claim.typ], r.pair())
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("export relationships of table %s: %w", t.Name, err)
		}
	}
	for typ, pairs := range e.pairs {
		slices.Sort(pairs)
		e.several[typ] = map[uint64]shared{}
		for i, p := range pairs {
			if i > 0 && pairs[i-1] == p {
				s := e.several[typ][p]
				e.several[typ][p] = shared{rows: max(s.rows, 1) + 1}
			}
		}
		e.pairs[typ] = nil
	}
	return nil
}

// heldLink is a relationship of which not all rows have been read.
type heldLink struct {
	p     map[string]any
	cells []string
	left  uint32
	size  int
}

// writeLinks writes the relationships.
func (e *exporter) writeLinks(ctx context.Context) error {
	type name struct {
		typ  int
		pair uint64
	}
	for first, again := true, true; again; first = false {
		again = false
		held, holds := map[name]*heldLink{}, 0
		for _, t := range e.plan.tables {
			if len(e.claims[t.Name]) == 0 {
				continue
			}
			e.phase("links", t.Name)
			err := e.relate(ctx, t, func(all []relation, cell string) error {
				for _, r := range all {
					at := name{r.claim.typ, r.pair()}
					s, several := e.several[at.typ][at.pair]
					if !several {
						if first {
							if err := e.writeLink(r.claim, r.a, r.b, r.p, []string{cell}); err != nil {
								return fmt.Errorf("a row of cell %s: %w", cell, err)
							}
						}
						continue
					}
					if s.state != open {
						continue
					}
					h := held[at]
					if h == nil {
						if holds > e.held {
							s.state, again = deferred, true
							e.several[at.typ][at.pair] = s
							continue
						}
						h = &heldLink{p: map[string]any{}, left: s.rows}
						held[at] = h
					}
					size := 300
					for _, v := range r.p {
						size += sizeOf(v)
					}
					h.size += size
					holds += size
					maps.Copy(h.p, r.p)
					h.cells = union(h.cells, cell)
					if h.left--; h.left > 0 {
						continue
					}
					holds -= h.size
					delete(held, at)
					s.state = done
					e.several[at.typ][at.pair] = s
					if err := e.writeLink(r.claim, r.a, r.b, h.p, h.cells); err != nil {
						return fmt.Errorf("a row of cell %s: %w", cell, err)
					}
				}
				return nil
			})
			if err != nil {
				return fmt.Errorf("export relationships of table %s: %w", t.Name, err)
			}
		}
		for _, pairs := range e.several {
			for p, s := range pairs {
				if s.state == deferred {
					s.state = open
					pairs[p] = s
				}
			}
		}
	}
	return nil
}

func (e *exporter) writeLink(c *exportClaim, a, b uint32, p map[string]any, cells []string) error {
	e.related++
	p["_snap_cells"], p["lastupdated"], p["firstseen"] = cells, e.tag, e.now
	return e.out.put(csvGroup{"relationships", c.edge.typ}, c.edge.typ, ":START_ID,:END_ID", p, a, b)
}

// mark notes, as a load does that has begun, that the accounts are being
// loaded, and of what export the graph is, by which the load knows it.
func (e *exporter) mark() error {
	name, err := e.name()
	if err != nil {
		return err
	}
	text, err := json.Marshal(importMark{Load: name, Nodes: int64(len(e.sets) + len(e.plan.accounts)), Links: e.related, Lists: e.out.lists})
	if err != nil {
		return err
	}
	labels := []string{"ModuleSyncMetadata", "SyncMetadata"}
	for i, account := range e.plan.accounts {
		p := map[string]any{"id": metadata(account, accountLabel), "syncedtype": accountLabel, "grouptype": accountLabel, "groupid": account,
			"firstseen": e.now, "_snap_begun": e.tag, markProperty: string(text)}
		if err := e.out.put(csvGroup{"nodes", strings.Join(labels, ":")}, labels[0], ":ID", p, uint32(len(e.sets)+i)); err != nil {
			return err
		}
	}
	return nil
}
