package diff

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"snap/store"
	"snap/store/kind"
)

// view is a table as both snapshots and the program know it: every column that
// any of them has.
type view struct {
	table    string
	decl     *kind.Table    // nil where the program does not know the table
	own      [2]*kind.Table // as each snapshot describes it, nil where it does not
	keys     [2][]int       // of the key columns the index in each side's rows
	keyNames []string
	columns  []column // without the key and the column that names the unknown ones
	names    []string // columns that may hold a row's name, best first
	mismatch string   // why no two rows can be compared; empty where they can
}

// column is a column of a view.
type column struct {
	kind.Column
	old, new int  // index in the side's rows, -1 where the side lacks it
	mixed    bool // its type differs
	uses     []use
}

// use is a link that a column serves: by the far node's property on, or as the
// relationship's property prop.
type use struct {
	kind.Link
	on, prop string
}

func (u use) words() string { return linkWords(u.Type, u.Other(), u.To != "") }

func linkWords(typ, label string, out bool) string {
	if out {
		return typ + " → " + label
	}
	return typ + " ← " + label
}

func (v *view) stub() bool { return v.decl != nil && v.decl.Stub }

func (v *view) label() string {
	if v.decl == nil {
		return ""
	}
	return v.decl.Label
}

// viewOf is the view of a table, made once.
func (c *Comparison) viewOf(table string) *view {
	if v := c.views[table]; v != nil {
		return v
	}
	v := &view{table: table, decl: c.decls[table]}
	c.views[table] = v
	lists := [][]kind.Column{}
	if v.decl != nil {
		lists = append(lists, v.decl.Columns)
	}
	for _, i := range []int{1, 0} { // the newer snapshot's word on a column's nature counts more
		if info, ok := c.sides[i].tables[table]; ok {
			v.own[i] = &kind.Table{Name: info.Name, Sync: info.Sync, Columns: info.Columns}
			v.keys[i] = v.own[i].Keys()
			lists = append(lists, info.Columns)
		}
	}
	var keys [2][]string
	for i, own := range v.own {
		if own == nil {
			continue
		}
		v.keyNames = nil
		for _, k := range v.keys[i] {
			keys[i] = append(keys[i], own.Columns[k].Name+" "+string(own.Columns[k].Type))
			v.keyNames = append(v.keyNames, own.Columns[k].Name)
		}
	}
	if v.own[0] != nil && v.own[1] != nil && !slices.Equal(keys[0], keys[1]) {
		v.mismatch = fmt.Sprintf("the table's key is (%s) in the old snapshot and (%s) in the new one", strings.Join(keys[0], ", "), strings.Join(keys[1], ", "))
	}
	uses := usesOf(v.decl)
	seen := map[string]bool{kind.Unknown: true}
	for _, k := range v.keyNames {
		seen[k] = true
	}
	for _, list := range lists {
		for _, col := range list {
			if seen[col.Name] {
				continue
			}
			seen[col.Name] = true
			n := column{Column: col, uses: uses[col.Name], old: -1, new: -1}
			var types []kind.Type
			for i, at := range []*int{&n.old, &n.new} {
				if v.own[i] == nil {
					continue
				}
				if k, ok := v.own[i].Column(col.Name); ok {
					*at = k
					types = append(types, v.own[i].Columns[k].Type)
				}
			}
			n.mixed = len(types) == 2 && types[0] != types[1]
			if n.old >= 0 || n.new >= 0 {
				v.columns = append(v.columns, n)
			}
		}
	}
	v.names = []string{"name"}
	if v.decl != nil {
		v.names = append(v.names, v.decl.Ontology["name"].Columns...)
	}
	return v
}

// usesOf are the links of a table by column.
func usesOf(t *kind.Table) map[string][]use {
	uses := map[string][]use{}
	if t == nil {
		return uses
	}
	links := slices.Clone(t.Links)
	if t.Owner != nil {
		links = append(links, *t.Owner)
	}
	for _, l := range links {
		for _, property := range slices.Sorted(maps.Keys(l.On)) {
			uses[l.On[property]] = append(uses[l.On[property]], use{Link: l, on: property})
		}
		for _, property := range slices.Sorted(maps.Keys(l.Props)) {
			uses[l.Props[property]] = append(uses[l.Props[property]], use{Link: l, prop: property})
		}
	}
	return uses
}

// alone is the entry for a row that one side i has and the other lacks: k if
// that side is proof, unknown else.
func (m *merge) alone(i int, row kind.Row, k Kind) Change {
	ch := m.change(k)
	if other := 1 - i; !m.whole[other] {
		ch.Kind, ch.Perhaps, ch.Unknown = Unknown, k, m.why[other]
	}
	m.identify(&ch, i, row)
	unknown := m.view.own[i].UnknownColumns(row)
	for n, col := range m.view.columns {
		at := m.at[i][n]
		if col.mixed { // on its own a value is what it is
			at = [2]int{col.old, col.new}[i]
		}
		if at < 0 || m.skip[n] || col.Volatile && !m.c.options.All {
			continue
		}
		if slices.Contains(unknown, col.Name) {
			ch.Properties = append(ch.Properties, Property{Name: col.Name, Unknown: m.hidden(i)})
			continue
		}
		if row[at] == nil {
			continue
		}
		var sides [2]any
		sides[i] = row[at]
		if !col.Property() && len(col.uses) > 0 {
			if m.own(col, row[at]) {
				continue
			}
			ch.Relations = append(ch.Relations, relations(col, sides[0], sides[1])...)
			continue
		}
		p := Property{Name: col.Name, Links: linksOf(col)}
		*[2]**Value{&p.Old, &p.New}[i] = &Value{row[at]}
		ch.Properties = append(ch.Properties, p)
	}
	return ch
}

// own tells whether a value says no more than that a row belongs to the account
// that it is in.
func (m *merge) own(col column, v any) bool {
	owner := m.view.decl.Owner
	list, _ := v.([]string)
	return owner != nil && len(col.uses) == 1 && col.uses[0].Type == owner.Type && col.uses[0].Other() == owner.Other() && slices.Equal(list, []string{m.part.account})
}

// compare is the entry for two rows of one key, and whether there is anything
// to say. Of a stub one of them may be nil, which is a row without links.
func (m *merge) compare(old, new kind.Row) (ch Change, differs bool) {
	var unknown [2][]string
	for i, row := range []kind.Row{old, new} {
		if row != nil {
			unknown[i] = m.view.own[i].UnknownColumns(row)
		}
	}
	var properties []Property
	var links []Relation
	certain := false
	for n := range m.view.columns {
		col := &m.view.columns[n]
		if col.Volatile && !m.c.options.All || m.linksOnly && len(col.uses) == 0 {
			continue
		}
		if old != nil && m.at[0][n] < 0 || new != nil && m.at[1][n] < 0 {
			continue // said once for the table
		}
		var a, b any
		if old != nil {
			a = old[m.at[0][n]]
		}
		if new != nil {
			b = new[m.at[1][n]]
		}
		asLink := len(col.uses) > 0 && (!col.Property() || m.linksOnly)
		if hides := [2]bool{slices.Contains(unknown[0], col.Name), slices.Contains(unknown[1], col.Name)}; !m.skip[n] && (hides[0] || hides[1]) {
			why, i := m.hidden(0), slices.Index(hides[:], true)
			switch {
			case hides[0] && hides[1] && !m.c.options.All:
				continue
			case hides[0] && hides[1]:
				why.Side = Both
			default:
				why = m.hidden(i)
			}
			if asLink {
				for _, u := range col.uses {
					links = append(links, Relation{Type: u.Type, Direction: direction(u.Link), Label: u.Other(), On: u.on, Property: u.prop, Unknown: why})
				}
				continue
			}
			p := Property{Name: col.Name, Links: linksOf(*col), Unknown: why}
			if !hides[0] {
				p.Old = &Value{a}
			}
			if !hides[1] {
				p.New = &Value{b}
			}
			properties = append(properties, p)
			continue
		}
		if equal(a, b) {
			continue
		}
		if m.skip[n] {
			m.ignored()
			continue
		}
		if asLink {
			// Lists of links grow row by row as a cell is read, so one that is
			// not read to its end may lack some.
			united := isList(col.Type) || old == nil || new == nil
			for _, r := range relations(*col, a, b) {
				for _, half := range m.prove(r, united) {
					certain = certain || half.Unknown == nil
					links = append(links, half)
				}
			}
			continue
		}
		p := Property{Name: col.Name, Old: &Value{a}, New: &Value{b}, Links: linksOf(*col)}
		switch {
		case isList(col.Type):
			p.Added, p.Removed = sets(a, b)
		case col.Document:
			before, ok1 := document(a)
			after, ok2 := document(b)
			if ok1 && ok2 {
				var same bool
				if same, p.Diff = compareDocuments(before, after); same {
					continue
				}
			}
		}
		certain = true
		properties = append(properties, p)
	}
	if len(properties) == 0 && len(links) == 0 {
		return ch, false
	}
	ch = m.change(Changed)
	ch.Properties, ch.Relations = properties, links
	if !certain {
		ch.Kind = Unknown
		for _, r := range links {
			ch.Unknown = r.Unknown
		}
		for _, p := range properties {
			ch.Unknown = p.Unknown
		}
	}
	if new != nil {
		m.identify(&ch, 1, new)
	}
	if new == nil || ch.Name == "" && old != nil {
		m.identify(&ch, 0, old)
	}
	return ch, true
}

func isList(t kind.Type) bool { return t == kind.Strings || t == kind.Ints }

// document is a value of a document column as text, nil for null.
func document(v any) (*string, bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case string:
		return &v, true
	}
	return nil, false
}

// hidden is why side i marked a column of a row as unknown.
func (m *merge) hidden(i int) *Reason {
	r := *m.why[i]
	if r.State == store.Complete { // the cell does not say why, but the row says that it is so
		r.Text = "not readable"
	}
	return &r
}

func linksOf(col column) []string {
	var words []string
	for _, u := range col.uses {
		words = append(words, u.words())
	}
	return words
}

func direction(l kind.Link) string {
	if l.To != "" {
		return "out"
	}
	return "in"
}

// relations say what a column's change means for the links that it serves.
func relations(col column, old, new any) []Relation {
	var out []Relation
	for _, u := range col.uses {
		r := Relation{Type: u.Type, Direction: direction(u.Link), Label: u.Other(), On: u.on}
		if u.prop != "" {
			r.Property, r.Old, r.New = u.prop, &Value{old}, &Value{new}
			out = append(out, r)
			continue
		}
		if r.Added, r.Removed = sets(old, new); len(r.Added)+len(r.Removed) > 0 {
			out = append(out, r)
		}
	}
	return out
}

// prove splits a relation into what the cells prove and what they do not.
func (m *merge) prove(r Relation, united bool) []Relation {
	if !united || r.Property != "" {
		return []Relation{r}
	}
	sure, added, removed := r, r, r
	if !m.whole[0] {
		sure.Added = nil
	}
	if !m.whole[1] {
		sure.Removed = nil
	}
	added.Removed, added.Unknown = nil, m.why[0]
	removed.Added, removed.Unknown = nil, m.why[1]
	var out []Relation
	if len(sure.Added)+len(sure.Removed) > 0 {
		out = append(out, sure)
	}
	if !m.whole[0] && len(r.Added) > 0 {
		out = append(out, added)
	}
	if !m.whole[1] && len(r.Removed) > 0 {
		out = append(out, removed)
	}
	return out
}

// identify says which row a change is about, by the row of side i.
func (m *merge) identify(ch *Change, i int, row kind.Row) {
	own := m.view.own[i]
	if ch.Key == nil {
		for n, k := range m.view.keys[i] {
			ch.Key = append(ch.Key, Named{m.view.keyNames[n], Value{row[k]}})
		}
	}
	text := func(column string) string {
		n, ok := own.Column(column)
		if !ok {
			return ""
		}
		s, _ := row[n].(string)
		return s
	}
	for _, name := range m.view.names {
		if s := text(name); s != "" && ch.Name == "" && !slices.ContainsFunc(ch.Key, func(k Named) bool { return k.Value.V == any(s) }) {
			ch.Name = s
		}
	}
	if ch.Region == "" {
		ch.Region = text("region")
	}
	if m.view.decl == nil || m.view.decl.Between == nil || ch.Relationship != nil {
		return
	}
	b := m.view.decl.Between
	end := func(e kind.End) End {
		out := End{Label: e.Label}
		for _, property := range slices.Sorted(maps.Keys(e.On)) {
			var v any
			if n, ok := own.Column(e.On[property]); ok {
				v = row[n]
			} else if e.On[property] == kind.AccountColumn {
				v = m.part.account
			}
			out.On = append(out.On, Named{property, Value{v}})
		}
		return out
	}
	ch.Relationship = &Relationship{Type: b.Type, From: end(b.From), To: end(b.To)}
}
