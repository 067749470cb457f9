package load

import (
	"context"
	"slices"
	"strings"
	"time"

	"snap/store/kind"
)

// pair is a row of both sides.
type pair struct {
	id   any
	cell *mirrorCell
	old  kind.Row  // the snapshot's; nil of a node that only the graph has
	live kind.Row  // the graph's; nil where it has no such node
	ends [][][]any // of each link the combinations of values that name its far nodes
	from [][]any   // of a row that is a relationship those of each end
	to   [][]any
}

// pair makes the snapshot's side of a row.
func (mt *mirrorTable) pair(view *kind.Table, row kind.Row, cell *mirrorCell) *pair {
	account := cell.Account
	p := &pair{cell: cell, old: make(kind.Row, len(mt.table.Columns))}
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

// fill reads the graph's side of some rows.
func (m *mirror) fill(ctx context.Context, mt *mirrorTable, batch []*pair) error {
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
		ends = append(ends, "["+strings.Replace(arrow(l.link), "(o)", "(o:"+quote(l.link.Other())+")", 1)+" WHERE o."+quote(l.match.keys[l.at])+" IS NOT NULL | [o."+quote(l.match.keys[l.at])+", r._snap_cells, elementId(r)]]")
	}
	var ids []any
	at := map[any][]*pair{}
	for _, p := range batch {
		if at[p.id] == nil {
			ids = append(ids, p.id)
		}
		at[p.id] = append(at[p.id], p)
	}
	rows, err := m.graph.read(ctx, "UNWIND $ids AS id MATCH (n:"+quote(mt.of.Label)+" {id: id}) RETURN n.id, ["+strings.Join(properties, ", ")+"] AS properties, n._snap_cells, ["+strings.Join(ends, ", ")+"] AS links", map[string]any{"ids": ids})
	if err != nil {
		return err
	}
	f := &filling{mirror: m, mt: mt, columns: columns, doubts: make([][]doubt, len(mt.links))}
	for _, r := range rows {
		for _, p := range at[r[0]] {
			f.row(p, r[1].([]any), r[2], r[3].([]any))
		}
	}
	if err := f.settleStrays(ctx); err != nil {
		return err
	}
	for i, list := range f.doubts {
		if err := m.settle(ctx, mt.links[i], list); err != nil {
			return err
		}
	}
	return nil
}

// filling is one batch of rows.
type filling struct {
	*mirror
	mt      *mirrorTable
	columns []int // of the properties, in mt.of
	doubts  [][]doubt
	strays  []stray
}

// doubt is a relationship that the graph lacks and the snapshot's row names.
type doubt struct {
	p     *pair
	value string
}

// stray is a relationship that only the graph has and that names no cells.
type stray struct {
	doubt
	link    mirrorLink
	element any
}

// row makes the graph's side of a row of a node's properties, cells and
// relationships.
func (f *filling) row(p *pair, properties []any, cells any, links []any) {
	mt := f.mt
	named := texts(cells)
	old := p.old
	if old == nil {
		old = make(kind.Row, len(mt.table.Columns))
		old[0] = p.id
	}
	live := slices.Clone(old)
	unknown, _ := old[len(old)-1].([]string)
	unknown = slices.Clone(unknown)
	for i, v := range properties {
		col := mt.of.Columns[f.columns[i]]
		at, _ := mt.table.Column(col.Name)
		if slices.Contains(unknown, col.Name) || p.old != nil && f.elsewhere(mt, p, col.Name, cells == nil, named) {
			continue
		}
		value, ok := columnValue(col.Type, v)
		if !ok {
			unknown = append(unknown, col.Name)
		}
		live[at] = value
	}
	covered := map[any]bool{} // relationships that some link of the snapshot's row names
	for i, found := range links {
		said, _ := old[mt.links[i].column].([]string)
		for _, r := range found.([]any) {
			r := r.([]any)
			covered[r[2]] = covered[r[2]] || slices.Contains(said, text(r[0]))
		}
	}
	for i, found := range links {
		l := mt.links[i]
		if slices.Contains(unknown, mt.table.Columns[l.column].Name) {
			continue
		}
		said, _ := old[l.column].([]string)
		has := map[string]bool{}
		list := []string{}
		for _, r := range found.([]any) {
			r := r.([]any)
			value, ok := r[0].(string)
			if !ok {
				continue
			}
			has[value] = true
			switch {
			case slices.Contains(said, value):
				list = union(list, value)
			case covered[r[2]] || l.group[0] != i || f.links.count(l.words(p.id, value)...) > 0: // another link or row says it
			case r[1] != nil && slices.Contains(texts(r[1]), p.cell.CellID.String()) || r[1] == nil && l.owner:
				list = union(list, value)
			case r[1] == nil && l.first:
				f.strays = append(f.strays, stray{doubt{p, value}, l, r[2]})
			}
		}
		for _, value := range said {
			if !has[value] {
				f.doubts[i] = append(f.doubts[i], doubt{p, value})
			}
		}
		live[l.column] = list
	}
	mt.setUnknown(live, unknown)
	p.live = live
}

// settleStrays puts relationships that name no cells to the rows of the
// account to which the far node belongs: the near one may be of several.
func (f *filling) settleStrays(ctx context.Context) error {
	for part := range slices.Chunk(f.strays, batchRows) {
		ids := []any{}
		for _, s := range part {
			ids = append(ids, s.element)
		}
		rows, err := f.graph.read(ctx, "UNWIND $ids AS id MATCH (a)-[r]->(b) WHERE elementId(r) = id RETURN elementId(r), "+f.plan.ownersOf("a")+" AS from, "+f.plan.ownersOf("b")+" AS to", map[string]any{"ids": ids})
		if err != nil {
			return err
		}
		owners := map[any][2][]string{}
		for _, r := range rows {
			owners[r[0]] = [2][]string{texts(r[1]), texts(r[2])}
		}
		for _, s := range part {
			far := owners[s.element][0]
			if s.link.link.To != "" {
				far = owners[s.element][1]
			}
			if len(far) == 0 || slices.Contains(far, s.p.cell.Account) {
				list, _ := s.p.live[s.link.column].([]string)
				s.p.live[s.link.column] = union(list, s.value)
			}
		}
	}
	return nil
}

// elsewhere tells whether a property of a node that the snapshot's row has was
// written last by another row, so that the row does not tell what it should be.
func (m *mirror) elsewhere(mt *mirrorTable, p *pair, column string, anonymous bool, cells []string) bool {
	others := mt.full[column]
	if others == nil {
		others = mt.contested[column]
	}
	if others != nil && anonymous {
		return true
	}
	if of, _ := rowWords(mt.of.Name, p.cell.CellID, []any{p.id}); anonymous && m.has.count(of...) > 1 {
		return true // several cells describe it
	}
	own := m.order[p.cell.CellID.String()]
	return slices.ContainsFunc(cells, func(cell string) bool {
		if slices.ContainsFunc(others, func(sync string) bool { return strings.HasSuffix(cell, "/"+sync) }) {
			return true
		}
		at, ok := m.order[cell]
		return ok && at > own && m.files[cell][mt.of.Name]
	})
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
