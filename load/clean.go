package load

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"snap/store"
	"snap/store/kind"
)

// guardFloor is how many nodes of a label and account may go whatever share
// of them that is.
const guardFloor = 10

// deleteRows is how many nodes or relationships one transaction deletes: each
// node may take many relationships along.
const deleteRows = 1000

// stale are the nodes or relationships told with one table that this load did
// not touch, as its cells judge them.
type stale struct {
	gone  []string // element ids
	prune []pruned // those that stay, without the cells that proved that they no longer assert them
}

// pruned is a node or relationship and the cells that it keeps.
type pruned struct {
	id   string
	open []string
}

// clean deletes what complete cells prove gone: nodes first, then the
// relationships of those that stay. All nodes are judged, and the guard asked,
// before the first is deleted.
//
// The graph is searched as a whole, once for nodes and once for relationships:
// a query for each label and relationship type would read no less and take the
// server the planning of hundreds of queries.
func (l *loader) clean(ctx context.Context) error {
	var nodes, links map[string]*stale
	err := l.repeat(func() (err error) {
		nodes, err = l.staleNodes(ctx)
		return err
	})
	if err != nil {
		return err
	}
	gone := map[string]bool{}
	for _, t := range l.described() {
		s := nodes[t.Name]
		if s == nil {
			continue
		}
		for _, id := range s.gone {
			gone[id] = true
		}
		n, err := l.remove(ctx, s, "MATCH (x)", "DETACH DELETE x")
		l.table(t).NodesDeleted += n.nodesDeleted
		if err != nil {
			return fmt.Errorf("delete nodes %s: %w", t.Label, err)
		}
	}
	err = l.repeat(func() (err error) {
		links, err = l.staleLinks(ctx, gone)
		return err
	})
	if err != nil {
		return fmt.Errorf("find relationships that are gone: %w", err)
	}
	for _, t := range l.described() {
		if s := links[t.Name]; s != nil {
			n, err := l.remove(ctx, s, "MATCH ()-[x]->()", "DELETE x")
			l.table(t).LinksDeleted += n.linksDeleted
			if err != nil {
				return fmt.Errorf("delete relationships of table %s: %w", t.Name, err)
			}
		}
	}
	return nil
}

// repeat does again what reads a stream that broke off, and forgets what the
// first attempt has counted.
func (l *loader) repeat(do func() error) error {
	kept := map[string][]Kept{}
	for _, r := range l.report.Tables {
		kept[r.Table] = slices.Clone(r.Kept)
	}
	return whole(func() error {
		for i := range l.report.Tables {
			l.report.Tables[i].Kept = slices.Clone(kept[l.report.Tables[i].Table])
		}
		return do()
	})
}

// whole does again what reads a stream that broke off.
func whole(do func() error) error {
	for attempt := 1; ; attempt++ {
		err := do()
		var lost *lostStream
		if attempt == 5 || !errors.As(err, &lost) {
			return err
		}
	}
}

// described are the snapshot's tables, those in full before the stubs, so that
// a label's cleanup is told with the table that describes it.
func (l *loader) described() []*kind.Table {
	all := slices.Clone(l.plan.tables)
	slices.SortStableFunc(all, func(a, b *kind.Table) int {
		if a.Stub == b.Stub {
			return 0
		}
		return map[bool]int{true: 1, false: -1}[a.Stub]
	})
	return all
}

// remove deletes and prunes, or for a dry run counts.
func (l *loader) remove(ctx context.Context, s *stale, find, remove string) (n counts, err error) {
	if l.o.DryRun {
		n.nodesDeleted, n.linksDeleted = int64(len(s.gone)), int64(len(s.gone))
		return n, nil
	}
	for part := range slices.Chunk(s.gone, deleteRows) {
		err := inPortions(&l.portion, part, func(ids []string) error {
			_, c, err := l.graph.write(ctx, statement{find + " WHERE " + l.graph.among("x", "$ids") + " AND x.lastupdated <> $tag " + remove, map[string]any{"ids": ids, "tag": l.tag}})
			n.nodesDeleted += c.nodesDeleted
			n.linksDeleted += c.linksDeleted
			return err
		})
		if err != nil {
			return n, err
		}
	}
	for part := range slices.Chunk(s.prune, batchRows) {
		err := inPortions(&l.portion, part, func(part []pruned) error {
			ids, open := []string{}, map[string]any{}
			for _, p := range part {
				ids = append(ids, p.id)
				open[p.id] = p.open
			}
			_, _, err := l.graph.write(ctx, statement{find + " WHERE " + l.graph.among("x", "$ids") + " SET x._snap_cells = $open[" + l.graph.id("x") + "]", map[string]any{"ids": ids, "open": open}})
			return err
		})
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// verdict is what the cells of a snapshot prove about a label's nodes or an
// edge's relationships.
type verdict struct {
	table    *kind.Table // it is told with
	evidence evidence
	doubt    map[string]bool
	complete map[string]bool
	whole    []string
}

func (p *plan) verdict(t *kind.Table, e evidence, doubt map[string]bool) *verdict {
	v := &verdict{t, e, doubt, map[string]bool{}, p.whole(e, doubt)}
	for _, cell := range p.complete(e, doubt) {
		v.complete[cell] = true
	}
	return v
}

// staleNodes judges the nodes that this load did not touch, by table.
func (l *loader) staleNodes(ctx context.Context) (map[string]*stale, error) {
	verdicts := map[string]*verdict{} // by label; nil: its nodes stay
	for _, t := range l.described() {
		if _, done := verdicts[t.Label]; t.Label != "" && !done {
			verdicts[t.Label] = nil
			if !l.plan.keeps(t.Label) {
				verdicts[t.Label] = l.plan.verdict(t, l.plan.ofLabel(t.Label), nil)
			}
		}
	}
	found := map[string]*stale{}
	gone := map[*kind.Table]map[string]int64{} // by account
	node := func(labels []string, id any, judge func(v *verdict, s *stale) (gone bool, accounts []string)) {
		for _, label := range labels {
			v := verdicts[label]
			if v == nil || l.dry.hasNode(l.plan, label, id) {
				continue
			}
			s := found[v.table.Name]
			if s == nil {
				s = &stale{}
				found[v.table.Name], gone[v.table] = s, map[string]int64{}
			}
			if yes, accounts := judge(v, s); yes {
				for _, a := range accounts {
					gone[v.table][a]++
				}
			}
			return
		}
	}
	params := map[string]any{"tag": l.tag, "accounts": l.plan.accounts}
	err := l.graph.stream(ctx, "MATCH (n) WHERE n.lastupdated <> $tag AND any(c IN n._snap_cells WHERE split(c, '/')[1] IN $accounts) "+
		"RETURN "+l.graph.id("n")+", labels(n), n.id, n._snap_cells", params, func(r []any) {
		node(texts(r[1]), r[2], func(v *verdict, s *stale) (bool, []string) {
			cells := texts(r[3])
			return l.judge(s, v, r[0].(string), cells, func(k *Kept) { k.Nodes++ }), accountsOf(cells)
		})
	})
	if err != nil {
		return nil, fmt.Errorf("find nodes that are gone: %w", err)
	}
	// What Cartography wrote names no cells; its owners stand for them.
	err = l.graph.stream(ctx, "MATCH (a:"+quote(accountLabel)+")-[:"+l.plan.owning()+"]-(n) WHERE a.id IN $accounts AND n.lastupdated <> $tag AND n._snap_cells IS NULL WITH DISTINCT n "+
		"RETURN "+l.graph.id("n")+", labels(n), n.id, "+l.plan.ownersOf("n"), params, func(r []any) {
		node(texts(r[1]), r[2], func(v *verdict, s *stale) (bool, []string) {
			owners := texts(r[3])
			if open := foreign(owners, v.whole); open != "" {
				cell, state := l.plan.blocker(v.evidence, v.doubt, open)
				l.keep(v.table, cell, state, func(k *Kept) { k.Nodes++ })
				return false, nil
			}
			s.gone = append(s.gone, r[0].(string))
			return true, owners
		})
	})
	if err != nil {
		return nil, fmt.Errorf("find nodes that are gone: %w", err)
	}
	for _, t := range l.described() {
		if err := l.guard(ctx, t, gone[t]); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// ownersOf is a Cypher list of the accounts that own a node; an account is its
// own.
func (p *plan) ownersOf(node string) string {
	return "CASE WHEN " + node + ":" + quote(accountLabel) + " THEN [" + node + ".id] ELSE [(" + node + ")-[:" + p.owning() + "]-(owner:" + quote(accountLabel) + ") | owner.id] END"
}

// owning are the types of an account's links to what it owns.
func (p *plan) owning() string {
	types := []string{quote("RESOURCE")}
	for _, t := range p.all {
		if l, ok := t.OwnerLink(); ok && l.Other() == accountLabel {
			types = union(types, quote(l.Type))
		}
	}
	return strings.Join(types, "|")
}

// judge decides by the cells that assert it.
func (l *loader) judge(s *stale, v *verdict, element string, cells []string, kept func(*Kept)) (gone bool) {
	open := []string{}
	for _, c := range cells {
		if !v.complete[c] {
			open = append(open, c)
		}
	}
	if len(open) == 0 {
		s.gone = append(s.gone, element)
		return true
	}
	if len(open) < len(cells) {
		s.prune = append(s.prune, pruned{element, open})
	}
	for _, cell := range open {
		l.keep(v.table, cell, l.plan.state(cell), kept)
	}
	return false
}

func (l *loader) keep(t *kind.Table, cell string, state store.State, count func(*Kept)) {
	r := l.table(t)
	i, found := slices.BinarySearchFunc(r.Kept, cell, func(k Kept, cell string) int { return strings.Compare(k.Cell, cell) })
	if !found {
		r.Kept = slices.Insert(r.Kept, i, Kept{Cell: cell, State: state})
	}
	count(&r.Kept[i])
}

// guard refuses to delete more than the allowed share of a label's nodes in an
// account.
func (l *loader) guard(ctx context.Context, t *kind.Table, gone map[string]int64) error {
	if l.o.MaxDelete <= 0 || l.o.MaxDelete >= 1 {
		return nil
	}
	for _, account := range slices.Sorted(maps.Keys(gone)) {
		if gone[account] <= guardFloor {
			continue
		}
		rows, err := l.graph.read(ctx, "MATCH (n:"+quote(t.Label)+") WHERE n.lastupdated IS NOT NULL AND "+
			"(any(c IN n._snap_cells WHERE split(c, '/')[1] = $account) OR n._snap_cells IS NULL AND EXISTS { (n)-[:"+l.plan.owning()+"]-(:"+quote(accountLabel)+" {id: $account}) }) RETURN count(n)",
			map[string]any{"account": account})
		if err != nil {
			return err
		}
		if all := rows[0][0].(int64); float64(gone[account]) > l.o.MaxDelete*float64(all) {
			return &GuardError{Table: t.Name, Label: t.Label, Account: account, Gone: gone[account], Of: all, Max: l.o.MaxDelete}
		}
	}
	return nil
}

// GuardError says that a load would delete more than Options.MaxDelete allows.
// Nothing has been deleted then.
type GuardError struct {
	Table, Label, Account string
	Gone, Of              int64
	Max                   float64
}

func (e *GuardError) Error() string {
	return fmt.Sprintf("table %s, account %s: %d of %d nodes %s would be deleted, more than the %g%% that are allowed: nothing was deleted; check the snapshot, or raise --max-delete",
		e.Table, e.Account, e.Gone, e.Of, e.Label, 100*e.Max)
}

// linkVerdict is what is known about the relationships of an edge.
type linkVerdict struct {
	edge edge
	all  []claim
	*verdict
	from, to, between *verdict // for what Cartography wrote: of the tables of each end, nil where none asserts it
}

// staleLinks judges the relationships that this load did not touch, by table,
// but for those that go with their nodes.
func (l *loader) staleLinks(ctx context.Context, gone map[string]bool) (map[string]*stale, error) {
	byType := map[string][]*linkVerdict{}
	keys := map[string]bool{}
	for _, t := range l.described() {
		for _, c := range claims(t) {
			e := c.edge()
			if slices.ContainsFunc(byType[e.typ], func(v *linkVerdict) bool { return v.edge == e }) {
				continue
			}
			byType[e.typ] = append(byType[e.typ], l.linkVerdict(t, e, keys))
		}
	}
	ends := ""
	if l.o.DryRun { // what names the ends, to know those that would be asserted again
		names := ".id"
		for _, k := range slices.Sorted(maps.Keys(keys)) {
			names += ", ." + quote(k)
		}
		ends = ", a{" + names + "}, b{" + names + "}"
	}
	found := map[string]*stale{}
	err := l.graph.stream(ctx, "MATCH (a)-[r]->(b) WHERE type(r) IN $types AND r.lastupdated <> $tag "+
		"AND (r._snap_cells IS NULL OR any(c IN r._snap_cells WHERE split(c, '/')[1] IN $accounts)) "+
		"WITH a, r, b, CASE WHEN r._snap_cells IS NULL THEN "+l.plan.ownersOf("a")+" END AS from, CASE WHEN r._snap_cells IS NULL THEN "+l.plan.ownersOf("b")+" END AS to "+
		"WHERE r._snap_cells IS NOT NULL OR any(o IN from + to + [r._sub_resource_id] WHERE o IN $accounts) "+
		"RETURN "+l.graph.id("r")+", type(r), "+l.graph.id("a")+", labels(a), "+l.graph.id("b")+", labels(b), r._snap_cells, from, to, r._sub_resource_id"+ends,
		map[string]any{"tag": l.tag, "accounts": l.plan.accounts, "types": slices.Sorted(maps.Keys(byType))}, func(r []any) {
			if gone[r[2].(string)] || gone[r[4].(string)] {
				return
			}
			from, to := texts(r[3]), texts(r[5])
			for _, v := range byType[r[1].(string)] {
				if !slices.Contains(from, v.edge.from) || !slices.Contains(to, v.edge.to) {
					continue
				}
				if l.o.DryRun && l.dry.hasLink(v.all, r[10].(map[string]any), r[11].(map[string]any)) {
					return
				}
				s := found[v.table.Name]
				if s == nil {
					s = &stale{}
					found[v.table.Name] = s
				}
				if r[6] != nil {
					l.judge(s, v.verdict, r[0].(string), texts(r[6]), func(k *Kept) { k.Links++ })
				} else if l.proved(v, texts(r[7]), texts(r[8]), r[9]) {
					s.gone = append(s.gone, r[0].(string))
				}
				return
			}
		})
	return found, err
}

// linkVerdict adds the properties that name the ends to keys.
func (l *loader) linkVerdict(t *kind.Table, e edge, keys map[string]bool) *linkVerdict {
	v := &linkVerdict{edge: e, all: l.plan.asserting(e)}
	doubt := l.plan.doubtOf(v.all)
	v.verdict = l.plan.verdict(t, l.plan.ofClaims(v.all), doubt)
	var from, to, between []claim
	for _, c := range v.all {
		switch b := c.table.Between; {
		case b != nil:
			between = append(between, c)
			for _, on := range []kind.On{b.From.On, b.To.On} {
				for k := range on {
					keys[k] = true
				}
			}
		case c.link.To != "":
			from = append(from, c)
		default:
			to = append(to, c)
		}
		for k := range c.link.On {
			keys[k] = true
		}
	}
	for _, side := range []struct {
		claims []claim
		v      **verdict
	}{{from, &v.from}, {to, &v.to}, {between, &v.between}} {
		if len(side.claims) > 0 {
			*side.v = l.plan.verdict(t, l.plan.ofClaims(side.claims), doubt)
		}
	}
	return v
}

// proved tells whether a relationship that Cartography wrote is proved gone:
// the owners of the nodes whose rows assert it stand for its cells, or for a
// Between the account that it names.
func (l *loader) proved(v *linkVerdict, from, to []string, account any) bool {
	type side struct {
		*verdict
		owners []string
	}
	sides := []side{{v.from, from}, {v.to, to}}
	if id, ok := account.(string); ok && v.between != nil {
		sides = []side{{v.between, []string{id}}}
	}
	proved, asked := true, false
	for _, s := range sides {
		if s.verdict == nil {
			continue
		}
		asked = true
		if len(s.owners) == 0 {
			proved = false
		} else if open := foreign(s.owners, s.whole); open != "" {
			proved = false
			cell, state := l.plan.blocker(s.evidence, s.doubt, open)
			l.keep(v.table, cell, state, func(k *Kept) { k.Links++ })
		}
	}
	return proved && asked
}

// foreign is the first of some accounts that is not among others; empty where
// all are.
func foreign(accounts, among []string) string {
	for _, a := range accounts {
		if !slices.Contains(among, a) {
			return a
		}
	}
	return ""
}

// accountsOf are the accounts of cells.
func accountsOf(cells []string) []string {
	var all []string
	for _, c := range cells {
		if parts := strings.Split(c, "/"); len(parts) > 1 {
			all = union(all, parts[1])
		}
	}
	return all
}
