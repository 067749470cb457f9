package load

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"snap/store/kind"
)

// index is an index on properties of nodes with a label, or of relationships
// with a type.
type index struct {
	link bool
	on   string // label or type
	keys string // properties, joined by a comma
}

func (i index) cypher() string {
	keys := strings.Split(i.keys, ",")
	for k := range keys {
		keys[k] = "x." + quote(keys[k])
	}
	pattern := "(x:" + quote(i.on) + ")"
	if i.link {
		pattern = "()-[x:" + quote(i.on) + "]-()"
	}
	return "CREATE INDEX IF NOT EXISTS FOR " + pattern + " ON (" + strings.Join(keys, ", ") + ")"
}

// indexFrom is from how many nodes on a label has its indexes: to go through
// fewer takes a query less than a millisecond, while to create the 500 indexes
// of an estate takes a server 15 seconds.
const indexFrom = 500

// indexes creates what indexes the graph lacks: those that the statements of
// large tables need, and all of labels with many nodes.
func (l *loader) indexes(ctx context.Context) (err error) {
	many, err := l.many(ctx)
	if err != nil {
		return err
	}
	l.report.Indexes, err = createIndexes(ctx, l.graph, indexes(l.plan.tables, l.small, many), l.o.DryRun)
	return err
}

// many tells which labels have so many nodes, in the graph or the snapshot, that
// they need indexes.
func (l *loader) many(ctx context.Context) (func(label string) bool, error) {
	nodes, known, err := l.graph.counts(ctx, l.nodesBefore)
	if err != nil {
		return nil, err
	}
	rows := map[string]int64{}
	for _, c := range l.plan.cells {
		for _, f := range c.Files {
			if t := l.o.Registry.Table(f.Table); t != nil && t.Label != "" {
				for _, label := range append([]string{t.Label}, t.Aliases...) {
					rows[label] += f.Rows
				}
			}
		}
	}
	return func(label string) bool { return !known || max(rows[label], nodes[label]) >= indexFrom }, nil
}

// counts are the nodes of each label; known is false where to count them
// takes too long.
func (g *Graph) counts(ctx context.Context, nodes int64) (counts map[string]int64, known bool, err error) {
	counts = map[string]int64{}
	if nodes == 0 {
		return counts, true, nil
	}
	// The server keeps count, but tells it to administrators only.
	rows, err := g.read(ctx, "CALL db.stats.retrieve('GRAPH COUNTS') YIELD data UNWIND data.nodes AS n RETURN n.label, n.count", nil)
	if err != nil && nodes <= 100_000 && ctx.Err() == nil {
		rows, err = g.read(ctx, "MATCH (n) UNWIND labels(n) AS label RETURN label, count(*)", nil)
	}
	if err != nil {
		return counts, false, ctx.Err()
	}
	for _, r := range rows {
		label, _ := r[0].(string)
		counts[label], _ = r[1].(int64)
	}
	return counts, true, nil
}

// indexes are those that Cartography creates for the tables: on id and
// lastupdated of every label, on what links match, on columns that users match
// and on the cross-provider properties of the further labels. Of labels that do
// not have many nodes they are those by which tables that are not small find
// nodes.
func indexes(tables []*kind.Table, small map[string]bool, many func(label string) bool) []index {
	seen := map[index]bool{}
	for _, t := range tables {
		add := func(label string, keys ...string) {
			for _, key := range keys {
				if many(label) || !small[t.Name] && key != "lastupdated" && !strings.HasPrefix(key, "_ont_") {
					seen[index{on: label, keys: key}] = true
				}
			}
		}
		if t.Label != "" {
			for _, label := range append([]string{t.Label}, t.Aliases...) {
				add(label, "id", "lastupdated")
			}
			for _, c := range t.Columns {
				if c.Index {
					add(t.Label, c.Name)
				}
			}
			if t.Ontology != nil {
				for _, label := range t.Aliases {
					add(label, "_ont_source")
					for name := range t.Ontology {
						add(label, "_ont_"+name)
					}
				}
			}
		}
		for _, l := range links(t) {
			for key := range l.link.On {
				add(l.link.Other(), key)
			}
		}
		if b := t.Between; b != nil {
			for _, end := range []kind.End{b.From, b.To} {
				for key := range end.On {
					add(end.Label, key)
				}
			}
			if !small[t.Name] {
				seen[index{link: true, on: b.Type, keys: "_sub_resource_label,_sub_resource_id"}] = true
			}
		}
	}
	all := make([]index, 0, len(seen))
	for i := range seen {
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b index) int { return strings.Compare(a.cypher(), b.cypher()) })
	return all
}

// createIndexes creates the indexes that the graph lacks and waits until they
// can be used. It returns how many it lacked.
func createIndexes(ctx context.Context, g *Graph, wanted []index, dryRun bool) (int, error) {
	if len(wanted) == 0 {
		return 0, nil
	}
	rows, err := g.read(ctx, "SHOW INDEXES YIELD type, state, entityType, labelsOrTypes, properties WHERE type IN ['RANGE', 'BTREE'] AND state = 'ONLINE' RETURN entityType, labelsOrTypes, properties", nil)
	if err != nil {
		return 0, err
	}
	have := map[index]bool{}
	for _, r := range rows {
		on, keys := texts(r[1]), texts(r[2])
		if len(on) == 1 {
			have[index{link: r[0] == "RELATIONSHIP", on: on[0], keys: strings.Join(keys, ",")}] = true
		}
	}
	var missing []statement
	for _, i := range wanted {
		if !have[i] {
			missing = append(missing, statement{cypher: i.cypher()})
		}
	}
	if len(missing) == 0 || dryRun {
		return len(missing), nil
	}
	for part := range slices.Chunk(missing, 200) {
		if _, _, err := g.write(ctx, part...); err != nil {
			return 0, fmt.Errorf("create indexes: %w", err)
		}
	}
	_, err = g.read(ctx, "CALL db.awaitIndexes(3600)", nil)
	return len(missing), err
}

// quote makes a name of a declaration an identifier of Cypher.
func quote(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// texts is a list of strings as the driver returns it.
func texts(v any) []string {
	list, _ := v.([]any)
	out := make([]string, 0, len(list))
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}
