package load

import (
	"cmp"
	"context"
	"fmt"

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
// the declaration alone.
func linkStatement(c claim, a, b match, props []property) string {
	head, tail := "", ""
	if between := c.table.Between; between != nil {
		head = "MATCH " + a.cypher("n", between.From.Label, "row", "k") + " MATCH " + b.cypher("o", between.To.Label, "row", "m") + " MERGE (n)-[r:" + quote(between.Type) + "]->(o)"
		tail = fmt.Sprintf(", r._sub_resource_label = '%s', r._sub_resource_id = row.account", accountLabel)
	} else {
		head = "MATCH (n:" + quote(c.table.Label) + " {id: row.id}) MATCH " + a.cypher("o", c.link.Other(), "row", "k") + " MERGE " + arrow(c.link)
	}
	if len(props) > 0 {
		tail += ", r += row.p"
	}
	return "UNWIND $rows AS row " + head + " ON CREATE SET r.firstseen = timestamp() SET " + assert("r", "row", "complete") +
		", r.lastupdated = $tag" + tail + " RETURN count(r)"
}

// links writes the relationships of a table's rows, but for those that the
// statement of its nodes has written.
func (l *loader) links(ctx context.Context, t *kind.Table) error {
	report := l.table(t)
	var all []*link
	var way lane // one for all, so that no two writers wait for each other
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
		send := func(rows []entry) error {
			return inPortions(&l.portion, rows, func(rows []entry) error {
				found, _, err := l.graph.write(ctx, statement{cypher, with(params, rows)})
				if err == nil {
					report.Links += found[0][0].(int64)
				}
				return err
			})
		}
		k.batch = newBatch(func(rows []entry) error { return way.start(func() error { return send(rows) }) })
		all = append(all, k)
	}
	if len(all) == 0 {
		return nil
	}
	id, _ := t.Column("id")
	err := l.each(ctx, t, func(view *kind.Table, row kind.Row, cell, account string) error {
		l.step(1)
		unknown := view.UnknownColumns(row)
		if t.Between != nil {
			report.Rows++
		}
		for _, k := range all {
			ends, known := k.from.values(view, row, account, unknown)
			others := [][]any{nil}
			if t.Between != nil {
				var too bool
				others, too = k.to.values(view, row, account, unknown)
				known = known && too
			}
			if !known {
				l.plan.doubts(k.edge, cell)
				continue
			}
			for _, values := range ends {
				for _, others := range others {
					if err := l.link(k, view, row, id, values, others, unknown, cell, account, report); err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
	for _, k := range all {
		if err == nil {
			err = k.batch.flush()
		}
	}
	return cmp.Or(way.wait(), err)
}

// link adds one relationship to its batch.
func (l *loader) link(k *link, view *kind.Table, row kind.Row, id int, values, others []any, unknown []string, cell, account string, report *TableReport) error {
	var node any
	if k.table.Between == nil {
		node = row[id]
	}
	if l.o.DryRun {
		report.Links++
		l.dry.link(k.claim, node, append(append([]any{}, values...), others...))
		return nil
	}
	props := map[string]any{}
	size := 60 + len(cell) + sizeOf(node) + take(props, k.props, view, row, unknown)
	for _, v := range values {
		size += sizeOf(v)
	}
	for _, v := range others {
		size += sizeOf(v)
	}
	return k.batch.add(key(append(append([]any{node}, values...), others...)...), size, func(e entry, fresh bool) {
		if !fresh {
			for name, v := range props {
				e["p"].(map[string]any)[name] = v
			}
			e["cs"] = union(e["cs"].([]string), cell)
		} else {
			e["cs"] = []string{cell}
			if len(k.props) > 0 {
				e["p"] = props
			}
		}
		if k.table.Between == nil {
			e["id"] = node
		} else {
			e["account"] = account
		}
		for i, v := range values {
			e[field("k", i)] = v
		}
		for i, v := range others {
			e[field("m", i)] = v
		}
	})
}
