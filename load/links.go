package load

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"snap/store/kind"
)

// link is one claim of a table with its statement.
type link struct {
	claim
	edge     edge
	from, to match // from is the other end's, or for a Between that of From
	props    []property
	batch    *batch
}

// linkStatement writes the relationships of one claim. Its text follows from
// the declaration alone; it returns what nodeStatement does.
func linkStatement(c claim, a, b match, props []property) string {
	head, tail := "", ""
	if between := c.table.Between; between != nil {
		head = "MATCH " + a.cypher("n", between.From.Label, "row", "k") + " MATCH " + b.cypher("o", between.To.Label, "row", "m") + " MERGE (n)-[r:" + quote(between.Type) + "]->(o)"
		tail = fmt.Sprintf(", r._sub_resource_label = '%s', r._sub_resource_id = row.account", accountLabel)
	} else {
		head = "MATCH (n:" + quote(c.table.Label) + " {id: row.id}) MATCH " + a.cypher("o", c.link.Other(), "row", "k") + " MERGE " + arrow(c.link)
	}
	text := "UNWIND $rows AS row " + head + " ON CREATE SET r.firstseen = timestamp()"
	same := "null"
	if len(props) > 0 {
		tail += ", r += row.p"
		text += " WITH r, row, " + equal("r", "row.p") + " AS same"
		same = "sum(CASE WHEN same THEN 1 ELSE 0 END)"
	}
	return text + " SET " + assert("r", "row", "complete") + ", r.lastupdated = $tag" + tail + " RETURN count(r), " + same + ", 0"
}

// links writes the relationships of a table's rows, but for those that the
// statement of its nodes has written. It takes some rows at a time and goes
// through them for one claim after another, so that what is under way at the
// same time is of one claim and about different nodes.
func (l *loader) links(ctx context.Context, t *kind.Table) error {
	way := &writers{most: l.o.Writers, into: l.table(t)}
	var all []*link
	for _, c := range claims(t) {
		if c.owner && l.inline(t) != nil {
			continue
		}
		k := &link{claim: c, edge: c.edge()}
		if b := t.Between; b != nil {
			k.from, k.to, k.props = newMatch(t, b.From.On), newMatch(t, b.To.On), newProperties(t, b.Props)
		} else {
			k.from, k.props = newMatch(t, c.link.On), newProperties(t, c.link.Props)
		}
		cypher := linkStatement(c, k.from, k.to, k.props)
		params := map[string]any{"tag": l.tag, "complete": l.plan.complete(l.plan.ofClaims(l.plan.asserting(k.edge)), nil)}
		tangled := l.plan.related(k.edge.from, k.edge.to) // a node may be at either end
		k.batch = newBatch(func(rows []entry, alone map[string]bool) error {
			if tangled {
				alone = nil
			}
			return way.start(alone, func() (done tally, err error) {
				err = inPortions(&l.portion, rows, func(rows []entry) error {
					found, n, err := l.graph.write(ctx, statement{cypher, with(params, rows)})
					if err == nil {
						done.took(found, n)
					}
					return err
				})
				return done, err
			})
		})
		all = append(all, k)
	}
	if len(all) == 0 {
		return nil
	}
	var rows []tableRow
	bytes := 0
	through := func() error {
		for _, k := range all {
			for _, r := range rows {
				if err := l.linksOf(k, r); err != nil {
					return err
				}
			}
		}
		rows, bytes = rows[:0], 0
		return nil
	}
	err := l.each(ctx, t, func(view *kind.Table, row kind.Row, cell, account string) error {
		l.step(1)
		rows = append(rows, tableRow{view, slices.Clone(row), cell, account})
		for _, v := range row {
			bytes += sizeOf(v)
		}
		if len(rows) < l.o.Writers*batchRows && bytes < l.o.Writers*batchBytes {
			return nil
		}
		return through()
	})
	if err == nil {
		err = through()
	}
	for _, k := range all {
		if err == nil {
			err = k.batch.flush()
		}
	}
	return cmp.Or(way.wait(), err)
}

// linksOf adds the relationships that a row asserts by one claim.
func (l *loader) linksOf(k *link, r tableRow) error {
	unknown := r.view.UnknownColumns(r.row)
	ends, known := k.from.values(r.view, r.row, r.account, unknown)
	others := [][]any{nil}
	if k.table.Between != nil {
		l.table(k.table).Rows++
		var too bool
		others, too = k.to.values(r.view, r.row, r.account, unknown)
		known = known && too
	}
	if !known {
		l.plan.doubts(k.edge, r.cell)
		return nil
	}
	for _, values := range ends {
		for _, others := range others {
			if err := l.link(k, r, values, others, unknown); err != nil {
				return err
			}
		}
	}
	return nil
}

// link adds one relationship to its batch.
func (l *loader) link(k *link, r tableRow, values, others []any, unknown []string) error {
	var node any
	self, far := key(values...), key(others...) // of a relationship of its own the one end and the other
	if k.table.Between == nil {
		id, _ := k.table.Column("id")
		node = r.row[id]
		self, far = key(node), key(values...)
	}
	if l.o.DryRun {
		l.table(k.table).Links++
		l.dry.link(k.claim, node, append(append([]any{}, values...), others...))
		return nil
	}
	props := map[string]any{}
	size := 60 + len(r.cell) + sizeOf(node) + take(props, k.props, r.view, r.row, unknown)
	for _, v := range values {
		size += sizeOf(v)
	}
	for _, v := range others {
		size += sizeOf(v)
	}
	return k.batch.add(self+far, self, far, size, func(e entry, fresh bool) {
		if !fresh {
			for name, v := range props {
				e["p"].(map[string]any)[name] = v
			}
			e["cs"] = union(e["cs"].([]string), r.cell)
		} else {
			e["cs"] = []string{r.cell}
			if len(k.props) > 0 {
				e["p"] = props
			}
		}
		if k.table.Between == nil {
			e["id"] = node
		} else {
			e["account"] = r.account
		}
		for i, v := range values {
			e[field("k", i)] = v
		}
		for i, v := range others {
			e[field("m", i)] = v
		}
	})
}
