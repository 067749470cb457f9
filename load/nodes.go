package load

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"snap/store/kind"
)

// What the graph keeps for the cleanup, on nodes and relationships alike:
// the property _snap_cells lists the cells that assert it. The first statement
// of a load to touch one takes those cells off that are complete in this
// snapshot, for they will assert it again if they still do; the others add to
// the list. One that no statement touches is gone if all its cells are
// complete.

// assert is the SET item that keeps the list of x for the cells row.cs. Most
// often it stays as it is.
func assert(x, row, complete string) string {
	list := "coalesce(" + x + "._snap_cells, [])"
	return fmt.Sprintf("%[1]s._snap_cells = CASE WHEN %[1]s._snap_cells = %[3]s.cs THEN %[3]s.cs WHEN %[1]s.lastupdated = $tag THEN %[2]s + [c IN %[3]s.cs WHERE NOT c IN %[2]s] "+
		"ELSE [c IN %[2]s WHERE NOT c IN $%[4]s AND NOT c IN %[3]s.cs] + %[3]s.cs END", x, list, row, complete)
}

// equal is Cypher that tells whether x had these properties already, as the map
// was says; sent are maps of properties.
func equal(was string, sent ...string) string {
	var all []string
	for _, p := range sent {
		all = append(all, fmt.Sprintf("all(k IN keys(%[2]s) WHERE (%[2]s)[k] = %[1]s[k] OR (%[2]s)[k] IS NULL AND %[1]s[k] IS NULL)", was, p))
	}
	// What another program wrote may be of another type and yet equal: 1 and 1.0.
	return fmt.Sprintf("CASE WHEN %s._snap_cells IS NULL THEN false ELSE coalesce(%s, false) END", was, strings.Join(all, " AND "))
}

// form is which of its nodes and owners a statement of nodes is for.
type form int

const (
	anyOwners form = iota // row.os lists the owners
	oneOwner              // each node has one owner, which the row names itself, and whose link the node's own cells assert
	newGraph              // the same, and most nodes are new
)

// nodeStatement writes the nodes of a table and, if not nil, their owners'
// links. Its text follows from the declaration alone. It returns how many
// owners' links there are, how many of them were there and the same (null: all
// that were not created), and how many nodes were; of these those that have
// their owner count.
//
// In a new graph nothing is the same, and to create the link of a node that has
// none locks a popular owner for a moment only, where MERGE would lock it to the
// end of the transaction.
func nodeStatement(t *kind.Table, shared bool, owner *claim, by match, f form) string {
	var b strings.Builder
	fmt.Fprintf(&b, "UNWIND $rows AS row MERGE (n:%s {id: row.id}) ON CREATE SET n.firstseen = timestamp()", quote(t.Label))
	described, sent := "", []string{"row.p"}
	if shared {
		b.WriteString(" WITH n, row, any(c IN coalesce(n._snap_cells, []) WHERE split(c, '/')[3] IN $full AND (n.lastupdated = $tag OR NOT c IN $complete)) AS described")
		described = ", described"
		sent = append(sent, "CASE WHEN described THEN {} ELSE row.s END")
	}
	if f != newGraph {
		fmt.Fprintf(&b, " WITH n, row%s, properties(n) AS was WITH n, row%s, %s AS same", described, described, equal("was", sent...))
	}
	fmt.Fprintf(&b, " SET %s", assert("n", "row", "complete"))
	for _, p := range sent {
		if f != newGraph {
			p = "CASE WHEN same THEN {} ELSE " + p + " END"
		}
		fmt.Fprintf(&b, ", n += %s", p)
	}
	b.WriteString(", n.lastupdated = $tag")
	for _, alias := range t.Aliases {
		fmt.Fprintf(&b, ", n:%s", quote(alias))
	}
	const unchanged = "count(DISTINCT CASE WHEN same THEN n END)"
	switch {
	case owner == nil:
		fmt.Fprintf(&b, " RETURN 0, null, %s", unchanged)
	case f == oneOwner:
		fmt.Fprintf(&b, " WITH n, row, same MATCH %s MERGE %s ON CREATE SET r.firstseen = timestamp() SET %s, r.lastupdated = $tag RETURN count(r), null, %s",
			by.cypher("o", owner.link.Other(), "row", "k"), arrow(owner.link), assert("r", "row", "owned"), unchanged)
	case f == newGraph:
		fmt.Fprintf(&b, " WITH n, row MATCH %s WITH n, row, o, CASE WHEN (n)--() THEN [] ELSE [1] END AS new"+
			" FOREACH (_ IN new | CREATE %s SET r.firstseen = timestamp(), r._snap_cells = row.cs, r.lastupdated = $tag)"+
			" FOREACH (_ IN CASE new WHEN [] THEN [1] ELSE [] END | MERGE %s ON CREATE SET r.firstseen = timestamp() SET %s, r.lastupdated = $tag) RETURN count(o), null, 0",
			by.cypher("o", owner.link.Other(), "row", "k"), arrow(owner.link), arrow(owner.link), assert("r", "row", "owned"))
	default:
		fmt.Fprintf(&b, " WITH n, row, same CALL { WITH n, row UNWIND row.os AS own MATCH %s MERGE %s ON CREATE SET r.firstseen = timestamp() WITH r, own, %s AS kept"+
			" SET %s, r += own.p, r.lastupdated = $tag RETURN count(r) AS links, sum(CASE WHEN kept THEN 1 ELSE 0 END) AS kept } RETURN sum(links), sum(kept), %s",
			by.cypher("o", owner.link.Other(), "own", "k"), arrow(owner.link), equal("r", "own.p"), assert("r", "own", "owned"), unchanged)
	}
	return b.String()
}

// arrow is the pattern of a link r from or to the row's node n.
func arrow(l kind.Link) string {
	if l.To != "" {
		return "(n)-[r:" + quote(l.Type) + "]->(o)"
	}
	return "(n)<-[r:" + quote(l.Type) + "]-(o)"
}

// inline is the owner's link that the statement of a table's nodes writes too:
// that of every table whose owners are written before it.
func (l *loader) inline(t *kind.Table) *claim {
	owner, ok := t.OwnerLink()
	if !ok || !l.plan.before(owner.Other(), t) {
		return nil
	}
	return &claim{t, owner, true}
}

// shape is how a table's rows become nodes.
type shape struct {
	own, shared []property // shared: those that only a stub's nodes without a full description get
	describers  []string   // the syncs that may describe a stub in full
	complete    []string   // the cells that tell everything about the label
}

func (l *loader) shape(t *kind.Table) shape {
	s := shape{describers: []string{}, complete: l.plan.complete(l.plan.ofLabel(t.Label), nil)}
	full := l.plan.full(t)
	for i, c := range t.Columns {
		switch {
		case !c.Property() || c.Name == "id":
		case full[c.Name] != nil:
			s.shared = append(s.shared, property{c.Name, i})
		default:
			s.own = append(s.own, property{c.Name, i})
		}
	}
	for _, syncs := range full {
		for _, sync := range syncs {
			s.describers = union(s.describers, sync)
		}
	}
	slices.Sort(s.describers)
	return s
}

// properties are those of a row's node and their size in bytes.
func (s shape) properties(provider string, view *kind.Table, row kind.Row) (own, shared map[string]any, size int) {
	own, shared = map[string]any{}, map[string]any{}
	unknown := view.UnknownColumns(row)
	id, _ := view.Column("id")
	size = sizeOf(row[id]) + take(own, s.own, view, row, unknown) + take(shared, s.shared, view, row, unknown)
	for name, v := range view.Concepts(provider, row) {
		into := own
		if len(s.shared) > 0 {
			into = shared
		}
		into[name] = parameter(v)
		size += len(name) + sizeOf(v)
	}
	return own, shared, size
}

// nodes writes the nodes of a table.
func (l *loader) nodes(ctx context.Context, t *kind.Table) error {
	report := l.table(t)
	shape := l.shape(t)
	params := map[string]any{"tag": l.tag, "complete": shape.complete, "full": shape.describers}
	owner := l.inline(t)
	var by match
	var ownerProps []property
	if owner != nil {
		by, ownerProps = newMatch(t, owner.link.On), newProperties(t, owner.link.Props)
		params["owned"] = l.plan.complete(l.plan.ofClaims(l.plan.asserting(owner.edge())), nil)
	}
	write := func(done *tally, cypher string, rows []entry) error {
		return inPortions(&l.portion, rows, func(rows []entry) error {
			found, n, err := l.graph.write(ctx, statement{cypher, with(params, rows)})
			if err == nil {
				done.took(found, n)
			}
			return err
		})
	}
	f := oneOwner
	if l.nodesBefore == 0 {
		f = newGraph
	}
	all, lone := nodeStatement(t, len(shape.shared) > 0, owner, by, anyOwners), nodeStatement(t, len(shape.shared) > 0, owner, by, f)
	way := &writers{most: l.o.Writers, into: report}
	send := func(rows []entry, own map[string]bool) error {
		one, others := []entry(nil), rows
		if owner != nil && len(ownerProps) == 0 {
			others = nil
			for _, e := range rows {
				if alone(e) {
					one = append(one, e)
				} else {
					others = append(others, e)
				}
			}
		}
		if owner != nil && len(others) > 0 {
			own = nil // several owners are locked in no order
		}
		return way.start(own, func() (done tally, err error) {
			if err = write(&done, lone, one); err == nil {
				err = write(&done, all, others)
			}
			return done, err
		})
	}
	b := newBatch(send)
	id, _ := t.Column("id")
	err := l.each(ctx, t, func(view *kind.Table, row kind.Row, cell, account string) error {
		report.Rows++
		l.step(1)
		if row[id] == nil {
			return fmt.Errorf("table %s of cell %s: a row without id", t.Name, cell)
		}
		unknown := view.UnknownColumns(row)
		var owners [][]any
		if owner != nil {
			known := false
			if owners, known = by.values(view, row, account, unknown); !known {
				l.plan.doubts(owner.edge(), cell)
			}
		}
		if l.o.DryRun {
			l.dry.node(t.Label, row[id])
			for _, o := range owners {
				report.Links++
				l.dry.link(*owner, row[id], o)
			}
			return nil
		}
		p, s, size := shape.properties(l.provider(cell), view, row)
		size += 40 + len(cell)
		order := ""
		if len(owners) > 0 {
			order = key(owners[0]...)
		}
		self := key(row[id])
		return b.add(self, self, order, size+len(owners)*(60+len(cell)), func(e entry, fresh bool) {
			if fresh {
				e["id"], e["p"], e["cs"], e["os"] = row[id], p, []string{cell}, []map[string]any{}
				if len(shape.shared) > 0 {
					e["s"] = s
				}
			} else {
				maps.Copy(e["p"].(map[string]any), p)
				if len(shape.shared) > 0 {
					maps.Copy(e["s"].(map[string]any), s)
				}
				e["cs"] = union(e["cs"].([]string), cell)
			}
			for _, values := range owners {
				props := map[string]any{}
				take(props, ownerProps, view, row, unknown)
				e["os"] = addOwner(e["os"].([]map[string]any), values, props, cell)
			}
		})
	})
	if err == nil {
		err = b.flush()
	}
	return cmp.Or(way.wait(), err)
}

// alone tells whether a node has one owner, whose link the node's own cells
// assert, and puts what names it into the node's row.
func alone(e entry) bool {
	owners := e["os"].([]map[string]any)
	if len(owners) != 1 || !slices.Equal(owners[0]["cs"].([]string), e["cs"].([]string)) {
		return false
	}
	for name, v := range owners[0] {
		if name != "p" && name != "cs" {
			e[name] = v
		}
	}
	delete(e, "os")
	return true
}

// addOwner adds one owner to those of a node, which has each but once.
func addOwner(all []map[string]any, values []any, props map[string]any, cell string) []map[string]any {
	for _, o := range all {
		same := true
		for i, v := range values {
			same = same && o[field("k", i)] == v
		}
		if same {
			maps.Copy(o["p"].(map[string]any), props)
			o["cs"] = union(o["cs"].([]string), cell)
			return all
		}
	}
	o := map[string]any{"p": props, "cs": []string{cell}}
	for i, v := range values {
		o[field("k", i)] = v
	}
	return append(all, o)
}

// full are, for a stub, the columns that a table describing the same nodes in
// full has too, each with the syncs of those tables. A stub leaves them alone
// where such a description stands.
func (p *plan) full(t *kind.Table) map[string][]string {
	out := map[string][]string{}
	if !t.Stub {
		return out
	}
	for _, other := range p.all {
		if other.Label != t.Label || other.Stub {
			continue
		}
		for _, c := range other.Columns {
			if i, ok := t.Column(c.Name); ok && t.Columns[i].Property() {
				out[c.Name] = append(out[c.Name], other.Sync)
			}
		}
	}
	return out
}

func union(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

func field(prefix string, i int) string { return fmt.Sprintf("%s%d", prefix, i) }

// with is a statement's parameters for some rows.
func with(params map[string]any, rows []entry) map[string]any {
	p := map[string]any{}
	maps.Copy(p, params)
	list := make([]map[string]any, len(rows))
	for i, r := range rows {
		list[i] = r
	}
	p["rows"] = list
	return p
}
