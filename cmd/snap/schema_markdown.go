package main

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"snap/store/kind"
)

// writeMarkdown describes every sync of the registry: docs/schema.md.
func writeMarkdown(w io.Writer, r *kind.Registry) error {
	d := &schemaDocument{r: r, w: w}
	d.line("# Schema")
	d.line("")
	d.line("What snap collects, and what it becomes in the graph. `make docs` makes this text from the declarations in `collect/aws`; `snap schema TABLE` tells the same of one table.")
	d.line("")
	d.line("The labels, properties and relationships are Cartography's. A table's columns are its node's properties; a column whose name begins with `_` serves relationships only, and is named there. Every type but that of a **key** or a *required* column may be null. `timestamp` is a zoned date-time in UTC, `strings` and `ints` are lists. A time *as text* is written `2024-01-02 03:04:05+00:00`, as Cartography does, with six decimals where there is a fraction. Besides these, each node has `firstseen`, `lastupdated` and `_snap_cells`, each relationship too; and analyses after a load add what follows from several tables, such as `exposed_internet`.")
	d.line("")
	d.line("- *indexed*: the graph has an index of it")
	d.line("- *volatile*: changes on its own, so `snap diff` does not call it drift")
	d.line("- *document*: JSON, compared by meaning")
	d.line("")
	d.line("## Index")
	d.line("")
	d.line("| service | sync | tables |")
	d.line("|---|---|---|")
	for _, s := range d.syncs() {
		var tables []string
		for _, t := range s.Tables {
			tables = append(tables, link(t.Name, t.Name))
		}
		if len(tables) == 0 {
			tables = []string{"none: it stands for " + strings.Join(quoted(s.Needs), ", ")}
		}
		d.line("| %s | %s | %s |", service(s), link("`"+s.Name+"`", anchor(s.Name)), strings.Join(tables, ", "))
	}
	d.line("")
	d.line("By label: %s.", strings.Join(d.labels(), ", "))
	for _, s := range d.syncs() {
		d.sync(s)
	}
	return d.err
}

type schemaDocument struct {
	r   *kind.Registry
	w   io.Writer
	err error
}

func (d *schemaDocument) line(format string, a ...any) {
	if d.err == nil {
		_, d.err = fmt.Fprintf(d.w, format+"\n", a...)
	}
}

// service is what a sync belongs to: the service of its first call, or what its
// name says.
func service(s *kind.Sync) string {
	if strings.HasPrefix(s.Name, "ec2:load_balancer") {
		return "elasticloadbalancing"
	}
	if len(s.Calls) == 0 {
		return strings.SplitN(s.Name, ":", 2)[0]
	}
	return strings.SplitN(s.Calls[0], ":", 2)[0]
}

// syncs are all syncs by service and name.
func (d *schemaDocument) syncs() []*kind.Sync {
	return slices.SortedFunc(slices.Values(d.r.Syncs), func(a, b *kind.Sync) int {
		return strings.Compare(service(a)+" "+a.Name, service(b)+" "+b.Name)
	})
}

// labels are all labels of tables, each leading to the table that tells most.
func (d *schemaDocument) labels() []string {
	all := map[string]string{}
	for _, t := range d.r.Tables() {
		if t.Label != "" {
			all[t.Label] = link(t.Label, d.describedBy(t.Label))
		}
	}
	var links []string
	for _, label := range slices.Sorted(maps.Keys(all)) {
		links = append(links, all[label])
	}
	return links
}

func (d *schemaDocument) sync(s *kind.Sync) {
	d.line("")
	d.line("## %s", s.Name)
	d.line("")
	scope := "Read once in each region"
	if s.Global {
		scope = "Read once an account"
	}
	switch {
	case len(s.Tables) == 0:
		scope = "Reads nothing itself"
	case len(s.Calls) > 0:
		scope += " with " + strings.Join(quoted(s.Calls), ", ")
	default:
		scope += ", without a call of its own"
	}
	if len(s.Needs) > 0 {
		var needs []string
		for _, n := range s.Needs {
			needs = append(needs, link("`"+n+"`", anchor(n)))
		}
		scope += ". Comes with " + strings.Join(needs, ", ")
	}
	d.line("%s.", scope)
	for _, t := range s.Tables {
		d.table(t)
	}
}

func (d *schemaDocument) table(t *kind.Table) {
	d.line("")
	d.line("### %s", t.Name)
	d.line("")
	labels := rowIs(t)
	if len(t.Aliases) > 0 {
		labels = "(:" + t.Label + ")`, also labelled `" + strings.Join(t.Aliases, "`, `")
	}
	d.line("`%s`. %s", labels, t.Doc)
	if t.Stub {
		d.line("Where another table describes the node in full, what that says wins.")
	}
	if t.Keep {
		d.line("No cleanup deletes it.")
	}
	if _, ok := t.Column(kind.Unknown); ok {
		d.line("Calls of their own tell some of the properties: where one fails, the graph keeps what it had.")
	}
	d.line("")
	d.line("| %s | type | meaning |", map[bool]string{true: "column", false: "property"}[t.Between != nil])
	d.line("|---|---|---|")
	for _, c := range t.Columns {
		if c.Property() {
			d.line("| %s | %s | %s |", columnName(c), c.Type, d.meaning(t, c))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.Ontology)) {
		m := t.Ontology[name]
		if len(m.Columns) > 0 {
			if _, has := t.Column(m.Columns[0]); !has {
				continue
			}
		}
		d.line("| `_ont_%s` | | %s |", name, markdown(m.String()))
	}
	if out := d.relationships(t); len(out) > 0 {
		d.line("")
		for _, l := range out {
			d.line("- %s", l)
		}
	}
}

func columnName(c kind.Column) string {
	name := "`" + c.Name + "`"
	switch {
	case c.Key:
		return "**" + name + "**"
	case c.Required:
		return "*" + name + "*"
	}
	return name
}

func (d *schemaDocument) meaning(t *kind.Table, c kind.Column) string {
	says := []string{markdown(d.r.Doc(t, c.Name))}
	for text, holds := range map[string]bool{"indexed": c.Index, "document": c.Document, "volatile": c.Volatile} {
		if holds {
			says = append(says, "*"+text+"*")
		}
	}
	slices.Sort(says[1:])
	if c.Bare != "" {
		says = append(says, "in the graph its one element, not a list, where the policy has no list")
	}
	return strings.Join(says, "; ")
}

// relationships are those of a table's nodes both ways: what its rows assert,
// and what the rows of other tables assert of nodes of its labels.
func (d *schemaDocument) relationships(t *kind.Table) []string {
	var all []string
	add := func(text string) {
		if !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	if b := t.Between; b != nil {
		text := fmt.Sprintf("%s `-[:%s%s]->` %s", d.label(b.From.Label), b.Type, props(b.Props), d.label(b.To.Label))
		return []string{text + fmt.Sprintf(", from where %s, to where %s", code(conditions(b.From.On)), code(conditions(b.To.On)))}
	}
	for _, l := range withOwner(t) {
		arrow := fmt.Sprintf("`-[:%s%s]->`", l.Type, props(l.Props))
		if l.From != "" {
			arrow = fmt.Sprintf("`<-[:%s%s]-`", l.Type, props(l.Props))
		}
		add(fmt.Sprintf("%s %s where %s", arrow, d.label(l.Other()), code(conditions(l.On))))
	}
	has := append([]string{t.Label}, t.Aliases...)
	for _, other := range d.r.Tables() {
		if b := other.Between; b != nil {
			if slices.Contains(has, b.To.Label) {
				add(fmt.Sprintf("`<-[:%s%s]-` %s, told by %s", b.Type, props(b.Props), d.label(b.From.Label), link(other.Name, other.Name)))
			}
			if slices.Contains(has, b.From.Label) {
				add(fmt.Sprintf("`-[:%s%s]->` %s, told by %s", b.Type, props(b.Props), d.label(b.To.Label), link(other.Name, other.Name)))
			}
			continue
		}
		for _, l := range withOwner(other) {
			switch {
			case slices.Contains(has, l.To):
				add(fmt.Sprintf("`<-[:%s%s]-` (:%s), told by %s", l.Type, props(l.Props), other.Label, link(other.Name, other.Name)))
			case slices.Contains(has, l.From) && l.Type != "RESOURCE":
				add(fmt.Sprintf("`-[:%s%s]->` (:%s), told by %s", l.Type, props(l.Props), other.Label, link(other.Name, other.Name)))
			}
		}
	}
	return all
}

// withOwner are a table's links, that to the owner first.
func withOwner(t *kind.Table) []kind.Link {
	if owner, ok := t.OwnerLink(); ok {
		return append([]kind.Link{owner}, t.Links...)
	}
	return t.Links
}

// describedBy is the table that tells most of nodes with a label, "" where no
// table makes such nodes.
func (d *schemaDocument) describedBy(label string) string {
	var best *kind.Table
	for _, t := range d.r.Tables() {
		switch {
		case t.Label != label && !slices.Contains(t.Aliases, label):
		case best == nil, best.Label != label && t.Label == label, best.Label == t.Label && best.Stub && !best.Keep && !t.Stub:
			best = t
		}
	}
	if best == nil {
		return ""
	}
	return best.Name
}

// label is a label as a pattern, with a link to its table.
func (d *schemaDocument) label(label string) string {
	if at := d.describedBy(label); at != "" {
		label = link(label, at)
	}
	return "(:" + label + ")"
}

func props(p map[string]string) string {
	if len(p) == 0 {
		return ""
	}
	return " {" + strings.Join(sortedKeys(p), ", ") + "}"
}

func quoted(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = code(s)
	}
	return out
}

func code(s string) string { return "`" + s + "`" }

func link(text, to string) string { return "[" + text + "](#" + to + ")" }

// anchor is where a heading of that text is.
func anchor(heading string) string { return strings.ReplaceAll(heading, ":", "") }

var singleQuoted = regexp.MustCompile(`(^|[\s(])'([^']+)'`)

// markdown is a meaning with its values as code.
func markdown(text string) string {
	return strings.ReplaceAll(singleQuoted.ReplaceAllString(text, "$1`$2`"), "|", `\|`)
}
