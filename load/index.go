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

// indexes are those that Cartography creates for the tables: on id and
// lastupdated of every label, on what links match, on columns that users match
// and on the cross-provider properties of the further labels.
func indexes(tables []*kind.Table) []index {
	seen := map[index]bool{}
	add := func(label string, keys ...string) {
		for _, key := range keys {
			seen[index{on: label, keys: key}] = true
		}
	}
	for _, t := range tables {
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
			seen[index{link: true, on: b.Type, keys: "_sub_resource_label,_sub_resource_id"}] = true
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
	rows, err := g.read(ctx, "SHOW INDEXES YIELD type, state, entityType, labelsOrTypes, properties WHERE type = 'RANGE' AND state = 'ONLINE' RETURN entityType, labelsOrTypes, properties", nil)
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
	for part := range slices.Chunk(missing, 50) {
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
