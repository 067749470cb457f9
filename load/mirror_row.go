package load

import (
	"context"
	"slices"
	"strings"
	"time"

	"snap/store"
	"snap/store/kind"
)

// pair is a row of both sides.
type pair struct {
	id   any
	old  kind.Row  // the snapshot's; nil of a node that only the graph has
	live kind.Row  // the graph's; nil where it has no such node
	ends [][][]any // of each link the combinations of values that name its far nodes
	from [][]any   // of a row that is a relationship those of each end
	to   [][]any
}

// pair makes the snapshot's side of a row.
func (mt *mirrorTable) pair(view *kind.Table, row kind.Row, account string) *pair {
	p := &pair{old: make(kind.Row, len(mt.table.Columns))}
	for i, c := range mt.table.Columns {
		if n, ok := view.Column(c.Name); ok && c.Name != kind.Unknown {
			p.old[i] = row[n]
		}
	}
	unknown := slices.Clone(view.UnknownColumns(row))
	if b := mt.of.Between; b != nil {
		p.from, _ = newMatch(mt.of, b.From.On).values(view, row, account, unknown)
		p.to, _ = newMatch(mt.of, b.To.On).values(view, row, account, unknown)
		mt.setUnknown(p.old, unknown)
		return p
	}
	id, _ := view.Column("id")
	p.id = row[id]
	for _, l := range mt.links {
		ends, known := l.match.values(view, row, account, unknown)
		if !known {
			unknown = append(unknown, mt.table.Columns[l.column].Name)
		}
		p.ends = append(p.ends, ends)
		list := []string{}
		for _, values := range ends {
			if s, ok := values[l.at].(string); ok {
				list = union(list, s)
			}
		}
		p.old[l.column] = list
	}
	mt.setUnknown(p.old, unknown)
	return p
}

func (mt *mirrorTable) setUnknown(row kind.Row, names []string) {
	if len(names) > 0 {
		row[len(row)-1] = names
	}
}

// fill reads the graph's side of some rows of a cell.
func (m *mirror) fill(ctx context.Context, mt *mirrorTable, c *store.Cell, batch []*pair) error {
	if len(batch) == 0 {
		return nil
	}
	if mt.of.Between != nil {
		return m.fillPairs(ctx, mt, batch)
	}
	var properties, ends []string
	var columns []int
	for i, col := range mt.of.Columns {
		if col.Property() && !col.Key {
			properties, columns = append(properties, "n."+quote(col.Name)), append(columns, i)
		}
	}
	for _, l := range mt.links {
		ends = append(ends, "["+strings.Replace(arrow(l.link), "(o)", "(o:"+quote(l.link.Other())+")", 1)+" WHERE o."+quote(l.match.keys[l.at])+" IS NOT NULL | [o."+quote(l.match.keys[l.at])+", r._snap_cells, "+m.plan.ownersOf("o")+", elementId(r)]]")
	}
	ids := make([]any, len(batch))
	at := map[any]*pair{}
	for i, p := range batch {
		ids[i], at[p.id] = p.id, p
	}
	rows, err := m.graph.read(ctx, "UNWIND $ids AS id MATCH (n:"+quote(mt.of.Label)+" {id: id}) RETURN n.id, ["+strings.Join(properties, ", ")+"] AS properties, n._snap_cells, ["+strings.Join(ends, ", ")+"] AS links", map[string]any{"ids": ids})
	if err != nil {
		return err
	}
	doubts := make([][]doubt, len(mt.links))
	for _, r := range rows {
		p := at[r[0]]
		if p == nil {
			continue
		}
		named := texts(r[2])
		old := p.old
		if old == nil {
			old = make(kind.Row, len(mt.table.Columns))
			old[0] = p.id
		}
		live := slices.Clone(old)
		unknown, _ := old[len(old)-1].([]string)
		unknown = slices.Clone(unknown)
		for i, v := range r[1].([]any) {
			col := mt.of.Columns[columns[i]]
			at, _ := mt.table.Column(col.Name)
			if slices.Contains(unknown, col.Name) || p.old != nil && m.elsewhere(mt, c, p.id, col.Name, r[2] == nil, named) {
				continue
			}
			value, ok := columnValue(col.Type, v)
			if !ok {
				unknown = append(unknown, col.Name)
			}
			live[at] = value
		}
		all := r[3].([]any)
		covered := map[any]bool{} // relationships that some link of the snapshot's row names
		for i, found := range all {
			for _, f := range found.([]any) {
				said, _ := old[mt.links[i].column].([]string)
				f := f.([]any)
				covered[f[3]] = covered[f[3]] || slices.Contains(said, text(f[0]))
			}
		}
		for i, found := range all {
			l := mt.links[i]
			if slices.Contains(unknown, mt.table.Columns[l.column].Name) {
				continue
			}
			said, _ := old[l.column].([]string)
			has := map[string]bool{}
			list := []string{}
			for _, f := range found.([]any) {
				f := f.([]any)
				value, ok := f[0].(string)
				if !ok {
					continue
				}
				has[value] = true
				more := l.group[0] == i && !covered[f[3]] && m.asserts(l, p.id, f, c)
				if slices.Contains(said, value) || more {
					list = union(list, value)
				}
			}
			for _, value := range said {
				if !has[value] {
					doubts[i] = append(doubts[i], doubt{p, value})
				}
			}
			live[l.column] = list
		}
		mt.setUnknown(live, unknown)
		p.live = live
	}
	for i, list := range doubts {
		if err := m.settle(ctx, mt.links[i], list); err != nil {
			return err
		}
	}
	return nil
}

// elsewhere tells whether a property of a node that the snapshot's row has was
// written last by another row, so that the row does not tell what it should be.
func (m *mirror) elsewhere(mt *mirrorTable, c *store.Cell, id any, column string, anonymous bool, cells []string) bool {
	others := mt.full[column]
	if others == nil {
		others = mt.contested[column]
	}
	if others != nil && anonymous {
		return true
	}
	if of, _ := rowWords(mt.of.Name, c.CellID, []any{id}); anonymous && m.has.count(of...) > 1 {
		return true // several cells describe it
	}
	own := m.order[c.CellID.String()]
	return slices.ContainsFunc(cells, func(cell string) bool {
		if slices.ContainsFunc(others, func(sync string) bool { return strings.HasSuffix(cell, "/"+sync) }) {
			return true
		}
		at, ok := m.order[cell]
		return ok && at > own && m.files[cell][mt.of.Name]
	})
}

// asserts tells whether a relationship of which the snapshot's row says nothing
// is to be told with that row. The relationship is the far node's value, the
// cells that assert it and the far node's owners.
func (m *mirror) asserts(l mirrorLink, id any, found []any, c *store.Cell) bool {
	if m.links.count(l.words(id, found[0])...) > 0 {
		return false // another row says it
	}
	if found[1] != nil {
		return slices.Contains(texts(found[1]), c.CellID.String())
	}
	// A node of several accounts has relationships that belong to another's row.
	owners := texts(found[2])
	return l.owner || l.first && (len(owners) == 0 || slices.Contains(owners, c.Account))
}

// doubt is a relationship that the graph lacks and the snapshot's row names.
type doubt struct {
	p     *pair
	value string
}

// settle lets stand the relationships to nodes that the graph lacks: that a
// node is gone is told at the node.
func (m *mirror) settle(ctx context.Context, l mirrorLink, list []doubt) error {
	if len(list) == 0 {
		return nil
	}
	var rows []entry
	at := map[string]int{}
	for _, d := range list {
		for _, values := range d.p.ends[l.n] {
			k := key(values...)
			if _, ok := at[k]; ok || values[l.at] != d.value {
				continue
			}
			at[k] = len(rows)
			e := entry{"i": len(rows)}
			for i, v := range values {
				e[field("k", i)] = v
			}
			rows = append(rows, e)
		}
	}
	there := map[int64]bool{}
	for part := range slices.Chunk(rows, batchRows) {
		found, err := m.graph.read(ctx, "UNWIND $rows AS row MATCH "+l.match.cypher("o", l.link.Other(), "row", "k")+" RETURN DISTINCT row.i", with(nil, part))
		if err != nil {
			return err
		}
		for _, r := range found {
			there[r[0].(int64)] = true
		}
	}
	for _, d := range list {
		gone := true
		for _, values := range d.p.ends[l.n] {
			if i, ok := at[key(values...)]; ok && values[l.at] == d.value {
				gone = gone && !there[int64(i)]
			}
		}
		if gone {
			list, _ := d.p.live[l.column].([]string)
			d.p.live[l.column] = union(list, d.value)
		}
	}
	return nil
}

// fillPairs is fill for rows that are relationships.
func (m *mirror) fillPairs(ctx context.Context, mt *mirrorTable, batch []*pair) error {
	b := mt.of.Between
	from, to := newMatch(mt.of, b.From.On), newMatch(mt.of, b.To.On)
	var rows []entry
	for i, p := range batch {
		p.live = p.old // a row of which an end is not in the graph is no relationship there
		if len(p.from) != 1 || len(p.to) != 1 {
			continue
		}
		e := entry{"i": i}
		for k, v := range p.from[0] {
			e[field("k", k)] = v
		}
		for k, v := range p.to[0] {
			e[field("m", k)] = v
		}
		rows = append(rows, e)
	}
	found, err := m.graph.read(ctx, "UNWIND $rows AS row MATCH "+from.cypher("n", b.From.Label, "row", "k")+" MATCH "+to.cypher("o", b.To.Label, "row", "m")+
		" OPTIONAL MATCH (n)-[r:"+quote(b.Type)+"]->(o) RETURN row.i, r IS NOT NULL, ["+strings.Join(pairColumns(mt.of), ", ")+"]", with(nil, rows))
	if err != nil {
		return err
	}
	for _, r := range found {
		p := batch[r[0].(int64)]
		if r[1] == false {
			p.live = nil
			continue
		}
		live := slices.Clone(p.old)
		unknown, _ := live[len(live)-1].([]string)
		unknown = slices.Clone(unknown)
		for _, column := range b.Props {
			i, _ := mt.of.Column(column)
			if slices.Contains(unknown, column) {
				continue
			}
			v, ok := columnValue(mt.of.Columns[i].Type, r[2].([]any)[i])
			if !ok {
				unknown = append(unknown, column)
			}
			live[i] = v
		}
		mt.setUnknown(live, unknown)
		p.live = live
	}
	return nil
}

// columnValue is a property as a column of the type holds it; ok is false
// where it is of another type.
func columnValue(t kind.Type, v any) (value any, ok bool) {
	if v == nil {
		return nil, true
	}
	switch t {
	case kind.String:
		value, ok = v.(string)
	case kind.Int:
		value, ok = v.(int64)
	case kind.Float:
		if n, is := v.(int64); is {
			v = float64(n)
		}
		value, ok = v.(float64)
	case kind.Bool:
		value, ok = v.(bool)
	case kind.Time:
		var at time.Time
		if at, ok = v.(time.Time); ok {
			value = at.UTC().Truncate(time.Microsecond)
		}
	case kind.Strings:
		return listOf[string](v)
	case kind.Ints:
		return listOf[int64](v)
	}
	if !ok {
		return nil, false
	}
	return value, true
}

// listOf is a list, also of the one element that a property may hold instead.
func listOf[E string | int64](v any) (any, bool) {
	if one, ok := v.(E); ok {
		return []E{one}, true
	}
	all, ok := v.([]any)
	if !ok {
		return nil, false
	}
	list := make([]E, 0, len(all))
	for _, e := range all {
		one, ok := e.(E)
		if !ok {
			return nil, false
		}
		list = append(list, one)
	}
	return list, true
}
