package load

import (
	"snap/store"
	"snap/store/kind"
)

// Statements is the Cypher that writes the rows of one table where they are
// many. Tables of few rows are written together, by statements that are the
// same for all of them.
type Statements struct {
	Nodes []string // the first writes nodes, with their owners if those are written before; the second where each node has but one owner; the third does so into an empty graph
	Links []string // in the order of declaration, the owner's first where the nodes' statement does not write it
	Edges []string // what the cleanup of relationships goes by, "(From)-[TYPE]->(To)"
	Keeps bool     // no cleanup deletes the nodes
}

// StatementsOf are the statements of a table of the registry. They follow from
// the declarations alone, which is why a snapshot is not asked for.
func StatementsOf(r *kind.Registry, t *kind.Table) Statements {
	m := &store.Manifest{}
	for _, t := range r.Tables() {
		m.Tables = append(m.Tables, store.TableInfo{Name: t.Name, Sync: t.Sync, Columns: t.Columns})
	}
	l := &loader{plan: newPlan(r, m)}
	var out Statements
	owner := l.inline(t)
	if t.Label != "" {
		shared := len(l.shape(t).shared) > 0
		var by match
		if owner != nil {
			by = newMatch(t, owner.link.On)
		}
		forms := []form{anyOwners}
		if owner != nil && len(owner.link.Props) == 0 {
			forms = []form{anyOwners, oneOwner, newGraph}
		}
		for _, f := range forms {
			out.Nodes = append(out.Nodes, nodeStatement(t, shared, owner, by, f))
		}
		out.Keeps = l.plan.keeps(t.Label)
	}
	for _, c := range claims(t) {
		e := c.edge()
		out.Edges = append(out.Edges, "("+e.from+")-["+e.typ+"]->("+e.to+")")
		if c.owner && owner != nil {
			continue
		}
		from, to, props := newMatch(t, c.link.On), match{}, newProperties(t, c.link.Props)
		if b := t.Between; b != nil {
			from, to, props = newMatch(t, b.From.On), newMatch(t, b.To.On), newProperties(t, b.Props)
		}
		out.Links = append(out.Links, linkStatement(c, from, to, props))
	}
	return out
}
