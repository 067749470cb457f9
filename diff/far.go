package diff

import (
	"maps"
	"slices"

	"snap/store/kind"
)

// A table may tell of a link at the end where nobody looks for it: the subnet
// as instances name it says which instances are in it. When instance i moves,
// people want to read at i that it moved. So such links are collected first,
// wait for the row at their far end, and become part of that row's entry. Those
// for which no row comes are told where they were found.

// maxWaiting bounds the memory for links of one account; the rest is told at
// its own row.
const maxWaiting = 500_000

// shared are tables whose rows are only what others name: a row is there
// because of its links. All links of these and of stubs are told at the far
// end; of other tables those that a row says of a list of rows before it, as a
// group says of its members.
var shared = map[string]bool{"iam_managed_policy": true, "ec2_ip_range": true}

// waiting is a link that a row gained or lost, as it reads from its far end.
type waiting struct {
	typ, direction, label, on string // on is the key of the row that told of it
	value                     any    // that key's value
	gained                    bool
	why                       *Reason
	told                      bool
}

// place is where links wait: for the row of a label whose property has a value.
type place struct {
	label, on string
	value     any
}

type pending struct {
	n     int
	links map[place][]*waiting
	on    map[string]map[string]bool // label → properties
}

func newPending() *pending {
	return &pending{links: map[place][]*waiting{}, on: map[string]map[string]bool{}}
}

func (p *pending) add(at place, w *waiting) {
	if p.n == maxWaiting {
		return
	}
	p.n++
	p.links[at] = append(p.links[at], w)
	if p.on[at.label] == nil {
		p.on[at.label] = map[string]bool{}
	}
	p.on[at.label][at.on] = true
}

// far is a place in which links may wait for a table's rows, and the column
// that leads there.
type far struct {
	label, on, column string
}

// far are the places that a table's rows may have, none where it is a stub.
func (p *pending) far(v *view) []far {
	if v.decl == nil || v.decl.Stub || v.decl.Label == "" {
		return nil
	}
	var out []far
	for _, label := range append([]string{v.decl.Label}, v.decl.Aliases...) {
		for _, on := range slices.Sorted(maps.Keys(p.on[label])) {
			out = append(out, far{label, on, on})
		}
	}
	return out
}

// tells tells whether a table's links are told at the far end.
func (c *Comparison) tells(table string) bool {
	t := c.decls[table]
	if t == nil || t.Label == "" || len(t.Keys()) != 1 {
		return false
	}
	return slices.ContainsFunc(t.Links, func(l kind.Link) bool { return toldAway(t, l) })
}

func toldAway(t *kind.Table, l kind.Link) bool {
	if len(l.On) != 1 || len(l.Props) > 0 {
		return false
	}
	if t.Stub || shared[t.Name] {
		return true
	}
	for _, column := range l.On {
		if i, ok := t.Column(column); ok && l.From != "" && isList(t.Columns[i].Type) && !t.Columns[i].Property() {
			return true
		}
	}
	return false
}

// links completes an entry with the links that wait for its rows, and takes
// those out of it that were told elsewhere. It tells whether there is still
// anything to say. order tells which of the rows are of the key: the old one
// below 0, the new one above, both at 0.
func (m *merge) links(ch *Change, differs bool, old, new kind.Row, order int) bool {
	switch {
	case m.pass == comparing && len(m.far) > 0:
		return m.attach(ch, differs, sideOf(old, order <= 0), sideOf(new, order >= 0))
	case m.pass == comparing || !differs || m.view.decl == nil || len(ch.Key) != 1:
		return differs && m.pass != collecting
	}
	t := m.view.decl
	alone := ch.Kind == Added || ch.Kind == Removed || ch.Perhaps != ""
	if alone && !t.Stub && !shared[t.Name] { // the row's own coming and going says it
		return m.pass != collecting
	}
	told := 0
	var left []Relation
	for _, r := range ch.Relations {
		i := slices.IndexFunc(t.Links, func(l kind.Link) bool {
			return toldAway(t, l) && l.Type == r.Type && l.Other() == r.Label && l.On[r.On] != "" && direction(l) == r.Direction
		})
		if i < 0 || r.Property != "" || len(r.Added)+len(r.Removed) == 0 {
			left = append(left, r)
			continue
		}
		if m.pass == collecting {
			m.wait(ch, r)
			continue
		}
		n := len(r.Added) + len(r.Removed)
		r.Added = m.untold(ch, r, r.Added, true)
		r.Removed = m.untold(ch, r, r.Removed, false)
		told += n - len(r.Added) - len(r.Removed)
		if len(r.Added)+len(r.Removed) > 0 {
			left = append(left, r)
		}
	}
	if m.pass == collecting {
		return false
	}
	ch.Relations = left
	if told == 0 {
		return true
	}
	if alone {
		return len(left) > 0 || !shared[t.Name]
	}
	return len(ch.Properties)+len(left) > 0
}

// wait puts the elements of a row's relation where their rows will find them.
func (m *merge) wait(ch *Change, r Relation) {
	for _, half := range []struct {
		list   []any
		gained bool
	}{{r.Added, true}, {r.Removed, false}} {
		for _, v := range half.list {
			w := m.waiting(ch, r, half.gained)
			w.why = r.Unknown
			if w.why == nil && ch.Perhaps != "" {
				w.why = ch.Unknown
			}
			m.c.pending.add(place{r.Label, r.On, v}, &w)
		}
	}
}

func (m *merge) waiting(ch *Change, r Relation, gained bool) waiting {
	direction := "in"
	if r.Direction == "in" {
		direction = "out"
	}
	return waiting{typ: r.Type, direction: direction, label: m.view.label(), on: ch.Key[0].Name, value: plain(ch.Key[0].Value.V), gained: gained}
}

// untold are the elements of a relation that no row came for.
func (m *merge) untold(ch *Change, r Relation, list []any, gained bool) []any {
	is := m.waiting(ch, r, gained)
	return slices.DeleteFunc(slices.Clone(list), func(v any) bool {
		return slices.ContainsFunc(m.c.pending.links[place{r.Label, r.On, v}], func(w *waiting) bool {
			return w.told && w.typ == is.typ && w.direction == is.direction && w.label == is.label && w.value == is.value && w.gained == gained
		})
	})
}

// attach makes the links that wait for a row part of its entry.
func (m *merge) attach(ch *Change, differs bool, old, new kind.Row) bool {
	var found []*waiting
	seen := map[place]bool{}
	for _, f := range m.far {
		for i, row := range []kind.Row{old, new} {
			if row == nil || m.view.own[i] == nil {
				continue
			}
			n, ok := m.view.own[i].Column(f.column)
			if !ok || row[n] == nil || isList(m.view.own[i].Columns[n].Type) {
				continue
			}
			if at := (place{f.label, f.on, plain(row[n])}); !seen[at] {
				seen[at] = true
				found = append(found, m.c.pending.links[at]...)
			}
		}
	}
	var relations []Relation
	certain := false
	for _, w := range found {
		if w.told {
			continue // by another row of the same name
		}
		w.told = true
		if m.c.ignores(m.part.table, w.typ) {
			m.ignored()
			continue
		}
		certain = certain || w.why == nil
		i := slices.IndexFunc(relations, func(r Relation) bool {
			return r.Type == w.typ && r.Direction == w.direction && r.Label == w.label && r.On == w.on && sameReason(r.Unknown, w.why)
		})
		if i < 0 {
			i = len(relations)
			relations = append(relations, Relation{Type: w.typ, Direction: w.direction, Label: w.label, On: w.on, Unknown: w.why})
		}
		if w.gained {
			relations[i].Added = append(relations[i].Added, w.value)
		} else {
			relations[i].Removed = append(relations[i].Removed, w.value)
		}
	}
	if len(relations) == 0 {
		return differs
	}
	if !differs {
		*ch = m.change(Changed)
		if !certain {
			ch.Kind, ch.Unknown = Unknown, relations[0].Unknown
		}
		if new != nil {
			m.identify(ch, 1, new)
		}
		if new == nil || ch.Name == "" && old != nil {
			m.identify(ch, 0, old)
		}
	} else if certain && ch.Kind == Unknown && ch.Perhaps == "" {
		ch.Kind, ch.Unknown = Changed, nil
	}
	ch.Relations = append(ch.Relations, relations...)
	return true
}

func sameReason(a, b *Reason) bool { return a == b || a != nil && b != nil && *a == *b }

// ignored counts a difference that the user wants to ignore.
func (m *merge) ignored() {
	if m.pass != collecting {
		m.c.summary.Ignored++
	}
}

// without is a stub's view without the links of which the full table tells,
// too, and without its owner: that a stub has one says nothing of its own.
func (v *view) without(full *kind.Table) *view {
	out := *v
	out.columns = slices.Clone(v.columns)
	for i := range out.columns {
		out.columns[i].uses = slices.DeleteFunc(slices.Clone(out.columns[i].uses), func(u use) bool {
			if o := v.decl.Owner; o != nil && u.Type == o.Type && u.To == o.To && u.From == o.From {
				return true
			}
			return slices.ContainsFunc(full.Links, func(l kind.Link) bool { return l.Type == u.Type && l.To == u.To && l.From == u.From })
		})
	}
	return &out
}

// ignoring is a view without the relationships that the user wants to ignore,
// and which of its columns are left out.
func (v *view) ignoring(c *Comparison) (*view, []bool) {
	skip := make([]bool, len(v.columns))
	if len(c.options.Ignore) == 0 || v.own[0] == nil && v.own[1] == nil {
		return v, skip
	}
	out := *v
	out.columns = slices.Clone(v.columns)
	for i := range out.columns {
		col := &out.columns[i]
		had := len(col.uses)
		col.uses = slices.DeleteFunc(slices.Clone(col.uses), func(u use) bool { return c.ignores(v.table, u.Type) })
		skip[i] = c.ignores(v.table, col.Name) || had > 0 && len(col.uses) == 0 && !col.Property()
	}
	return &out, skip
}
