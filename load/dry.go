package load

import (
	"fmt"
	"maps"
	"slices"

	"snap/store/kind"
)

// dry remembers what a dry run would have written, so that what it would have
// left stale can be told.
type dry struct {
	nodes map[string]map[string]bool // by label: ids
	links map[string]bool
}

func newDry() *dry { return &dry{map[string]map[string]bool{}, map[string]bool{}} }

func (d *dry) node(label string, id any) {
	if d.nodes[label] == nil {
		d.nodes[label] = map[string]bool{}
	}
	d.nodes[label][key(id)] = true
}

func (d *dry) hasNode(p *plan, label string, id any) bool {
	for other, ids := range d.nodes {
		if p.related(other, label) && ids[key(id)] {
			return true
		}
	}
	return false
}

// name tells claims apart.
func (c claim) name() string {
	e := c.edge()
	keys := ""
	if b := c.table.Between; b != nil {
		keys = fmt.Sprint(onKeys(b.From.On), onKeys(b.To.On))
	} else {
		keys = fmt.Sprint(onKeys(c.link.On), c.link.To != "")
	}
	return key(c.table.Name, e.from, e.typ, e.to, keys)
}

func onKeys(on kind.On) []string { return slices.Sorted(maps.Keys(on)) }

func (d *dry) link(c claim, node any, values []any) {
	d.links[c.name()+key(append([]any{node}, values...)...)] = true
}

// hasLink tells whether a claim asserts the relationship from a to b, of which
// the properties are given that name them.
func (d *dry) hasLink(all []claim, a, b map[string]any) bool {
	for _, c := range all {
		var values []any
		add := func(node map[string]any, on kind.On) {
			for _, k := range onKeys(on) {
				values = append(values, node[k])
			}
		}
		switch between := c.table.Between; {
		case between != nil:
			values = append(values, nil)
			add(a, between.From.On)
			add(b, between.To.On)
		case c.link.To != "":
			values = append(values, a["id"])
			add(b, c.link.On)
		default:
			values = append(values, b["id"])
			add(a, c.link.On)
		}
		if d.links[c.name()+key(values...)] {
			return true
		}
	}
	return false
}
