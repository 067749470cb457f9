package load

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"snap/store/kind"
)

// A server takes some 50 ms to plan a statement that it has not seen, as long
// as for writing a thousand nodes. A table with few rows therefore has no
// statement of its own: the few rows of all tables are written together, by
// statements that take labels and types as values. What they need to know of
// the graph is read beforehand in one pass over its nodes, which for a graph
// that is not large takes less than the plans of a hundred lookups, and needs
// no index.
const (
	smallRows  = 2000      // the rows of tables that share nodes
	smallTotal = 20_000    // those of all small tables, which are held in memory
	smallBytes = 8 << 20   // the size of their files
	smallGraph = 3_000_000 // the nodes of the graph
)

// smallTables are the tables that are written together. All those that may
// describe one node are, or none is.
func (l *loader) smallTables() map[string]bool {
	small := map[string]bool{}
	if l.o.DryRun || !l.graph.dynamic || l.nodesBefore > smallGraph || l.o.smallRows < 0 {
		return small
	}
	limit := int64(smallRows)
	if l.o.smallRows > 0 {
		limit = int64(l.o.smallRows)
	}
	rows, bytes := map[string]int64{}, map[string]int64{}
	for _, c := range l.plan.cells {
		for _, f := range c.Files {
			rows[f.Table] += f.Rows
			bytes[f.Table] += f.Size
		}
	}
	var total, size int64
	for _, group := range l.plan.groups() {
		var r, b int64
		for _, t := range group {
			r += rows[t.Name]
			b += bytes[t.Name]
		}
		if r > limit || total+r > smallTotal || size+b > smallBytes {
			continue
		}
		total, size = total+r, size+b
		for _, t := range group {
			small[t.Name] = true
		}
	}
	return small
}

// groups are the tables that may describe one node together.
func (p *plan) groups() [][]*kind.Table {
	var groups [][]*kind.Table
	for _, t := range p.tables {
		joined := []*kind.Table{t}
		groups = slices.DeleteFunc(groups, func(g []*kind.Table) bool {
			same := t.Label != "" && slices.ContainsFunc(g, func(o *kind.Table) bool {
				return o.Label == t.Label || slices.Contains(o.Aliases, t.Label) || slices.Contains(t.Aliases, o.Label)
			})
			if same {
				joined = append(joined, g...)
			}
			return same
		})
		groups = append(groups, joined)
	}
	return groups
}

// known is a node of the graph as far as this load needs to know it.
type known struct {
	element string // its element id; empty until it is created
	labels  []string
	values  map[string]any // of the properties by which links find nodes
	was     map[string]any // its properties in the graph; nil where that is not known
	cells   []string       // _snap_cells
	touched bool           // by this load, or by an earlier one of the same tag
	few     bool           // rows of small tables describe it
	created bool           // by this load: it has only the relationships of this load

	table  *TableReport // it is told with: of the first table whose rows describe it in this load
	told   bool
	p      map[string]any // what it is to have
	set    []string       // labels that it lacks
	queued bool
}

func (n *known) has(label string, by match, values []any) bool {
	for i, k := range by.keys {
		if n.values[k] != values[i] {
			return false
		}
	}
	return slices.Contains(n.labels, label)
}

// pool is what is known of the graph's nodes.
type pool struct {
	keys     []string // the properties by which nodes are found
	elements map[string]*known
	by       map[string][]*known
}

func (p *pool) add(n *known) {
	for _, k := range p.keys {
		if v := n.values[k]; v != nil {
			at := key(k, v)
			if !slices.Contains(p.by[at], n) {
				p.by[at] = append(p.by[at], n)
			}
		}
	}
}

// find are the nodes of a label whose properties have those values.
func (p *pool) find(label string, by match, values []any) []*known {
	var found []*known
	for _, n := range p.by[key(by.keys[0], values[0])] {
		if n.has(label, by, values) {
			found = append(found, n)
		}
	}
	return found
}

// wanted are the values of properties by which nodes are sought.
type wanted map[string]map[any]bool

func (w wanted) add(by match, values []any) {
	for i, k := range by.keys[:1] { // the first one finds enough
		if w[k] == nil {
			w[k] = map[any]bool{}
		}
		w[k][values[i]] = true
	}
}

// look reads the nodes that have one of the wanted values.
func (l *loader) look(ctx context.Context, p *pool, w wanted) error {
	if len(w) == 0 {
		return nil
	}
	params := map[string]any{}
	var where []string
	for i, k := range p.keys {
		if len(w[k]) > 0 {
			where = append(where, fmt.Sprintf("n.%s IN $k%d", quote(k), i))
			params[field("k", i)] = slices.Collect(maps.Keys(w[k]))
		}
	}
	rows, err := l.graph.read(ctx, "MATCH (n) WHERE "+strings.Join(where, " OR ")+" RETURN elementId(n), labels(n), properties(n)", params)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if p.elements[r[0].(string)] != nil {
			continue // as this load has left it
		}
		was := r[2].(map[string]any)
		n := &known{element: r[0].(string), labels: texts(r[1]), was: was, touched: was["lastupdated"] == l.tag, cells: texts(was["_snap_cells"]), values: map[string]any{}}
		for _, k := range p.keys {
			switch v := was[k].(type) {
			case string, int64, float64, bool:
				n.values[k] = v
			}
		}
		p.elements[n.element] = n
		p.add(n)
	}
	return nil
}

var byID = match{keys: []string{"id"}}

// smallNodes writes the nodes of the small tables. smallLinks completes it.
func (l *loader) smallNodes(ctx context.Context) error {
	l.few, l.pool = map[string][]tableRow{}, &pool{elements: map[string]*known{}, by: map[string][]*known{}}
	keys := map[string]bool{"id": true}
	sought := wanted{}
	for _, t := range l.plan.tables {
		if !l.small[t.Name] {
			continue
		}
		for _, c := range claims(t) {
			for _, on := range c.ons() {
				for k := range on {
					keys[k] = true
				}
			}
		}
		id, node := t.Column("id")
		err := l.each(ctx, t, func(view *kind.Table, row kind.Row, cell, account string) error {
			if node = node && t.Label != ""; node {
				if row[id] == nil {
					return fmt.Errorf("table %s of cell %s: a row without id", t.Name, cell)
				}
				sought.add(byID, []any{row[id]})
			}
			l.few[t.Name] = append(l.few[t.Name], tableRow{view, slices.Clone(row), cell, account})
			return nil
		})
		if err != nil {
			return fmt.Errorf("load table %s: %w", t.Name, err)
		}
	}
	l.pool.keys = slices.Sorted(maps.Keys(keys))
	ends := sought
	if len(l.small) < len(l.plan.tables) { // other tables may yet change what the ends are found by: smallLinks looks for them
		l.ends = wanted{}
		ends = l.ends
	}
	l.asserted = l.assertions(ends)
	if l.nodesBefore > 0 {
		if err := l.look(ctx, l.pool, sought); err != nil {
			return err
		}
	}
	q := &nodeQueue{l: l}
	for _, t := range l.plan.tables {
		if t.Label == "" || len(l.few[t.Name]) == 0 {
			continue
		}
		l.phase("nodes", t.Name)
		if err := l.smallTable(ctx, t, q); err != nil {
			return fmt.Errorf("load table %s: %w", t.Name, err)
		}
	}
	if err := q.flush(ctx); err != nil {
		return fmt.Errorf("load tables of few rows: %w", err)
	}
	return nil
}

// smallTable queues the nodes of one table. It decides what nodeStatement has
// the server decide.
func (l *loader) smallTable(ctx context.Context, t *kind.Table, q *nodeQueue) error {
	report := l.table(t)
	d := l.description(t, l.pool.keys)
	id, _ := t.Column("id")
	for _, r := range l.few[t.Name] {
		report.Rows++
		l.step(1)
		p, shared, size := d.properties(l.provider(r.cell), r.view, r.row)
		nodes := l.pool.find(t.Label, byID, []any{r.row[id]})
		if len(nodes) == 0 {
			nodes = []*known{{values: map[string]any{}}}
		}
		for _, n := range nodes {
			n.table = cmp.Or(n.table, report)
			d.add(n, r.row[id], p, shared, r.cell)
			l.pool.add(n)
			if err := q.add(ctx, n, size+60); err != nil {
				return err
			}
		}
	}
	return nil
}

// description is how the rows of a table describe nodes.
type description struct {
	shape
	complete map[string]bool // the cells that tell everything about the label
	labels   []string
	keys     []string // the properties by which links find nodes
}

func (l *loader) description(t *kind.Table, keys []string) description {
	d := description{shape: l.shape(t), complete: map[string]bool{}, labels: append([]string{t.Label}, t.Aliases...), keys: keys}
	for _, cell := range d.shape.complete {
		d.complete[cell] = true
	}
	return d
}

// add gives a node what a row says of it.
func (d description) add(n *known, id any, p, shared map[string]any, cell string) {
	described := len(shared) > 0 && slices.ContainsFunc(n.cells, func(c string) bool {
		part := strings.Split(c, "/")
		return len(part) > 3 && slices.Contains(d.describers, part[3]) && (n.touched || !d.complete[c])
	})
	if n.p == nil {
		n.p = map[string]any{}
	}
	maps.Copy(n.p, p)
	if !described {
		maps.Copy(n.p, shared)
	}
	n.few = true
	n.p["id"], n.values["id"] = id, id
	for _, k := range d.keys {
		if v, ok := n.p[k]; ok {
			n.values[k] = v
		}
	}
	if !n.touched {
		n.cells = slices.DeleteFunc(slices.Clone(n.cells), func(c string) bool { return d.complete[c] })
		n.touched = true
	}
	n.cells = union(slices.Clip(n.cells), cell)
	for _, label := range d.labels {
		if !slices.Contains(n.labels, label) {
			n.labels, n.set = append(n.labels, label), append(n.set, label)
		}
	}
}

// nodeQueue holds nodes that are to be written.
type nodeQueue struct {
	l     *loader
	nodes []*known
	bytes int
}

func (q *nodeQueue) add(ctx context.Context, n *known, size int) error {
	if !n.queued {
		if len(q.nodes) >= batchRows || q.bytes+size > batchBytes && len(q.nodes) > 0 {
			if err := q.flush(ctx); err != nil {
				return err
			}
		}
		n.queued = true
		q.nodes = append(q.nodes, n)
	}
	q.bytes += size
	return nil
}

func (q *nodeQueue) flush(ctx context.Context) error {
	nodes := q.nodes
	q.nodes, q.bytes = nil, 0
	err := inPortions(&q.l.portion, nodes, func(nodes []*known) error { return q.l.writeNodes(ctx, nodes) })
	for _, n := range nodes {
		n.p, n.set, n.queued = nil, nil, false
	}
	return err
}

const (
	updateFew = "UNWIND $rows AS row MATCH (n) WHERE elementId(n) = row.e AND n.id = row.id SET n += row.p, n:$(row.l) RETURN row.e"
	createFew = "UNWIND $rows AS row CREATE (n:$(row.l)) SET n = row.p, n.firstseen = timestamp() RETURN row.i, elementId(n)"
	// findFew: without OPTIONAL the planner goes through all relationships of
	// one end, which may be an account, instead of those between both.
	findFew   = "UNWIND $rows AS row MATCH (a) WHERE elementId(a) = row.a MATCH (b) WHERE elementId(b) = row.b OPTIONAL MATCH (a)-[r]->(b) WHERE type(r) = row.t RETURN row.i, elementId(r), properties(r)"
	relateFew = "UNWIND $rows AS row MATCH (a) WHERE elementId(a) = row.a MATCH (b) WHERE elementId(b) = row.b CREATE (a)-[r:$(row.t)]->(b) SET r = row.p, r.firstseen = timestamp()"
	assertFew = "UNWIND $rows AS row MATCH ()-[r]->() WHERE elementId(r) = row.e SET r += row.p"
)

// changes are the properties of p that a node or relationship lacks which had
// those of was; unchanged tells that they are at most the bookkeeping's.
func changes(was, p map[string]any) (lacking map[string]any, unchanged bool) {
	lacking, unchanged = map[string]any{}, was["_snap_cells"] != nil
	for k, v := range p {
		if !same(was[k], v) {
			lacking[k] = v
			unchanged = unchanged && (k == "_snap_cells" || k == "lastupdated")
		}
	}
	return lacking, unchanged
}

// same tells whether a property is as the driver returned it. Where it cannot
// tell, it is not, and is written again.
func same(was, v any) bool {
	switch v := v.(type) {
	case []string:
		list, ok := was.([]any)
		return ok && slices.EqualFunc(list, v, func(was any, s string) bool { return was == s })
	case []int64:
		list, ok := was.([]any)
		return ok && slices.EqualFunc(list, v, func(was any, i int64) bool { return was == i })
	case time.Time:
		t, ok := was.(time.Time)
		return ok && t.Equal(v) && t.Location().String() == v.Location().String()
	case nil, string, int64, float64, bool:
		return was == v
	}
	return false
}

// writeNodes writes nodes in one transaction. Creating one is nothing to be
// done twice: where it is in doubt whether the transaction was committed, or
// somebody has deleted a node meanwhile, it looks at the graph again.
func (l *loader) writeNodes(ctx context.Context, nodes []*known) error {
	for attempt := 1; ; attempt++ {
		var update, create []entry
		var there, fresh []*known
		for _, n := range nodes {
			n.p["_snap_cells"], n.p["lastupdated"] = n.cells, l.tag
			if n.element == "" {
				create = append(create, entry{"i": len(fresh), "l": n.set, "p": n.p})
				fresh = append(fresh, n)
				continue
			}
			p, unchanged := changes(n.was, n.p)
			if unchanged && !n.told {
				n.table.NodesUnchanged++
			}
			n.told = true
			if len(p)+len(n.set) > 0 {
				update = append(update, entry{"e": n.element, "id": n.values["id"], "l": n.set, "p": p})
				there = append(there, n)
			}
		}
		var all []statement
		if len(update) > 0 {
			all = append(all, statement{updateFew, with(nil, update)})
		}
		if len(create) > 0 {
			all = append(all, statement{createFew, with(nil, create)})
		}
		if len(all) == 0 {
			return nil
		}
		results, _, err := l.graph.writeOnce(ctx, all)
		if err == nil && (len(update) == 0 || len(results[0]) == len(update)) {
			for _, n := range there {
				n.was = nil // another table that describes it is written whole
			}
			if len(create) > 0 {
				for _, r := range results[len(results)-1] {
					n := fresh[r[0].(int64)]
					n.element, n.created, n.told = r[1].(string), true, true
					l.pool.elements[n.element] = n
					n.table.NodesCreated++
				}
			}
			return nil
		}
		if attempt == 5 && err == nil {
			return fmt.Errorf("nodes are deleted while they are written: end what else writes to the graph, then load again")
		}
		if err != nil && (attempt == 5 || !again(err)) {
			return l.graph.explain(err)
		}
		if err := l.recall(ctx, nodes); err != nil {
			return err
		}
	}
}

// recall looks again at which of the nodes the graph has.
func (l *loader) recall(ctx context.Context, nodes []*known) error {
	sought := wanted{}
	for _, n := range nodes {
		sought.add(byID, []any{n.values["id"]})
	}
	now := &pool{keys: []string{"id"}, elements: map[string]*known{}, by: map[string][]*known{}}
	if err := l.look(ctx, now, sought); err != nil {
		return err
	}
	for _, n := range nodes {
		if now.elements[n.element] != nil {
			continue
		}
		delete(l.pool.elements, n.element)
		n.element, n.was, n.set = "", nil, n.labels
		for _, found := range now.find(n.labels[0], byID, []any{n.values["id"]}) {
			if l.pool.elements[found.element] == nil {
				n.element, n.told = found.element, true // whether it was there before is not known
				l.pool.elements[n.element] = n
				break
			}
		}
	}
	return nil
}

// fewLink is a relationship that rows of small tables assert.
type fewLink struct {
	a, b  *known
	typ   string
	cells []string       // that assert it
	p     map[string]any // its properties
	edge  edge
	table *TableReport // it is told with: of the first row that asserts it
	found []foundLink  // in the graph, one unless another program wrote more
	size  int
}

type foundLink struct {
	element string
	was     map[string]any // its properties
}

// asserted is a relationship as a row of a small table asserts it.
type asserted struct {
	from, to end
	claim    claim
	row      tableRow
	props    []property
}

// end is how an end of a relationship is found.
type end struct {
	label  string
	by     match
	values []any
}

// assertions are the relationships that the rows of small tables assert; what
// finds their ends is added to sought.
func (l *loader) assertions(sought wanted) []asserted {
	var all []asserted
	for _, t := range l.plan.tables {
		if len(l.few[t.Name]) == 0 {
			continue
		}
		id, _ := t.Column("id")
		for _, c := range claims(t) {
			var near, far match
			var props []property
			if b := c.table.Between; b != nil {
				near, far, props = newMatch(t, b.From.On), newMatch(t, b.To.On), newProperties(t, b.Props)
			} else {
				far, props = newMatch(t, c.link.On), newProperties(t, c.link.Props)
			}
			for _, r := range l.few[t.Name] {
				unknown := r.view.UnknownColumns(r.row)
				others, known := far.values(r.view, r.row, r.account, unknown)
				var own [][]any
				if c.table.Between != nil {
					var too bool
					own, too = near.values(r.view, r.row, r.account, unknown)
					known = known && too
				} else {
					near, own = byID, [][]any{{r.row[id]}}
				}
				if !known {
					l.plan.doubts(c.edge(), r.cell)
					continue
				}
				for _, a := range own {
					for _, b := range others {
						p := asserted{claim: c, row: r, props: props}
						switch {
						case c.table.Between != nil:
							p.from, p.to = end{c.table.Between.From.Label, near, a}, end{c.table.Between.To.Label, far, b}
						case c.link.To != "":
							p.from, p.to = end{t.Label, near, a}, end{c.link.To, far, b}
						default:
							p.from, p.to = end{c.link.From, far, b}, end{t.Label, near, a}
						}
						sought.add(far, b)
						if c.table.Between != nil {
							sought.add(near, a)
						}
						all = append(all, p)
					}
				}
			}
		}
	}
	return all
}

// smallLinks writes the relationships that the rows of small tables assert.
func (l *loader) smallLinks(ctx context.Context) error {
	for _, t := range l.plan.tables {
		rows := int64(len(l.few[t.Name]))
		if t.Label == "" {
			l.table(t).Rows += rows
		}
		if len(claims(t)) > 0 {
			l.step(rows)
		}
	}
	all := l.asserted
	l.few, l.asserted = nil, nil
	if err := l.look(ctx, l.pool, l.ends); err != nil {
		return err
	}
	var links []*fewLink
	at := map[string]*fewLink{}
	for _, p := range all {
		e := p.claim.edge()
		for _, a := range l.pool.find(p.from.label, p.from.by, p.from.values) {
			for _, b := range l.pool.find(p.to.label, p.to.by, p.to.values) {
				name := a.element + e.typ + b.element
				n := at[name]
				if n == nil {
					n = &fewLink{a: a, b: b, typ: e.typ, edge: e, table: l.table(p.claim.table), p: map[string]any{}, size: 300}
					at[name] = n
					links = append(links, n)
				}
				n.size += take(n.p, p.props, p.row.view, p.row.row, p.row.view.UnknownColumns(p.row.row))
				if p.claim.table.Between != nil {
					n.p["_sub_resource_label"], n.p["_sub_resource_id"] = accountLabel, p.row.account
				}
				n.cells = union(n.cells, p.row.cell)
				l.table(p.claim.table).Links++
			}
		}
	}
	complete := map[edge]map[string]bool{}
	for _, n := range links {
		if complete[n.edge] == nil {
			complete[n.edge] = map[string]bool{}
			for _, cell := range l.plan.complete(l.plan.ofClaims(l.plan.asserting(n.edge)), nil) {
				complete[n.edge][cell] = true
			}
		}
	}
	for len(links) > 0 {
		n, size := 1, links[0].size
		for n < len(links) && n < batchRows && size+links[n].size <= batchBytes {
			size += links[n].size
			n++
		}
		err := inPortions(&l.portion, links[:n], func(part []*fewLink) error { return l.writeLinks(ctx, part, complete) })
		if err != nil {
			return err
		}
		links = links[n:]
	}
	return nil
}

// writeLinks writes relationships in one transaction, as writeNodes does nodes.
func (l *loader) writeLinks(ctx context.Context, links []*fewLink, complete map[edge]map[string]bool) error {
	for attempt := 1; ; attempt++ {
		var old []*fewLink
		var find []entry
		for _, n := range links {
			n.found = nil
			if isNew := n.a.few && n.b.few && (n.a.created || n.b.created); !isNew || attempt > 1 {
				find = append(find, entry{"i": len(old), "a": n.a.element, "b": n.b.element, "t": n.typ})
				old = append(old, n)
			}
		}
		if len(find) > 0 {
			rows, err := l.graph.read(ctx, findFew, with(nil, find))
			if err != nil {
				return err
			}
			for _, r := range rows {
				if r[1] == nil {
					continue
				}
				n := old[r[0].(int64)]
				n.found = append(n.found, foundLink{r[1].(string), r[2].(map[string]any)})
			}
		}
		var create, update []entry
		unchanged := map[*TableReport]int64{}
		for _, n := range links {
			n.p["lastupdated"] = l.tag
			if len(n.found) == 0 {
				n.p["_snap_cells"] = n.cells
				create = append(create, entry{"a": n.a.element, "b": n.b.element, "t": n.typ, "p": n.p})
			}
			for _, f := range n.found {
				cells := texts(f.was["_snap_cells"])
				if f.was["lastupdated"] != l.tag { // else this load has touched it, or an earlier one of the same tag
					cells = slices.DeleteFunc(cells, func(c string) bool { return complete[n.edge][c] })
				}
				for _, c := range n.cells {
					cells = union(cells, c)
				}
				n.p["_snap_cells"] = cells
				p, as := changes(f.was, n.p)
				if as {
					unchanged[n.table]++
				}
				if len(p) > 0 {
					update = append(update, entry{"e": f.element, "p": p})
				}
			}
		}
		var all []statement
		if len(update) > 0 {
			all = append(all, statement{assertFew, with(nil, update)})
		}
		if len(create) > 0 {
			all = append(all, statement{relateFew, with(nil, create)})
		}
		var err error
		if len(all) > 0 {
			_, _, err = l.graph.writeOnce(ctx, all)
		}
		if err == nil {
			for _, n := range links {
				if len(n.found) == 0 {
					n.table.LinksCreated++
				}
			}
			for table, n := range unchanged {
				table.LinksUnchanged += n
			}
			return nil
		}
		if attempt == 5 || !again(err) {
			return l.graph.explain(err)
		}
	}
}

// ons are the pairs by which the ends of a claim are found.
func (c claim) ons() []kind.On {
	if b := c.table.Between; b != nil {
		return []kind.On{b.From.On, b.To.On}
	}
	return []kind.On{c.link.On}
}
