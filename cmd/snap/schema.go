package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/pflag"

	"snap/store/kind"
)

func schemaCommand() *command {
	var format, root string
	return &command{
		name: "schema", args: "[TABLE…]", short: "say what tables and columns there are and what they mean",
		long: `Prints the tables that this program collects, or the columns of the given ones: type,
what they are for, and what node and relationships a row becomes.`,
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&format, "format", "text", "text, json (the declarations), markdown (docs/schema.md), or what tells a query engine: duckdb, athena, spark or trino")
			f.StringVar(&root, "location", "snap", "for query engines: where the snapshot is, such as s3://bucket/snap")
		},
		run: func(_ context.Context, args []string, out *terminal) error {
			tables := registry().Tables()
			if len(args) > 0 {
				tables = nil
				for _, name := range args {
					t := registry().Table(name)
					if t == nil {
						return fmt.Errorf("there is no table %q; snap schema lists them", name)
					}
					tables = append(tables, t)
				}
			}
			switch {
			case format == "json":
				encoder := json.NewEncoder(out.out)
				encoder.SetEscapeHTML(false)
				encoder.SetIndent("", "  ")
				return encoder.Encode(tables)
			case format == "markdown":
				if len(args) > 0 {
					return usage("--format markdown describes every table: leave the names out")
				}
				return writeMarkdown(out.out, registry())
			case format == "duckdb" || engines[format].around != nil:
				for _, t := range tables {
					if err := writeSQL(out.out, format, t, root); err != nil {
						return err
					}
				}
				return nil
			case format != "text":
				return usage("--format is %q: use text, json, markdown, duckdb, athena, spark or trino", format)
			case len(args) == 0:
				listSchemas(out, tables)
			}
			for i, t := range tables {
				if len(args) > 0 {
					if i > 0 {
						fmt.Fprintln(out.out)
					}
					describeTable(out, t)
				}
			}
			return nil
		},
	}
}

func listSchemas(out *terminal, tables []*kind.Table) {
	tables = slices.SortedFunc(slices.Values(tables), func(a, b *kind.Table) int { return strings.Compare(a.Name, b.Name) })
	w := tabwriter.NewWriter(out.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "table\tcolumns\tsync\ta row is")
	for _, t := range tables {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", t.Name, len(t.Columns), t.Sync, rowIs(t))
	}
	_ = w.Flush() // to the terminal
}

// rowIs is what a row becomes in the graph.
func rowIs(t *kind.Table) string {
	if b := t.Between; b != nil {
		return fmt.Sprintf("(:%s)-[:%s]->(:%s)", b.From.Label, b.Type, b.To.Label)
	}
	return "(:" + strings.Join(append([]string{t.Label}, t.Aliases...), ":") + ")"
}

func describeTable(out *terminal, t *kind.Table) {
	fmt.Fprintf(out.out, "%s  %s\n", t.Name, rowIs(t))
	if t.Doc != "" {
		fmt.Fprintln(out.out, t.Doc)
	}
	scope := "once in each region"
	if t.Global {
		scope = "once an account"
	}
	fmt.Fprintf(out.out, "read by %s, %s", t.Sync, scope)
	if s := registry().Sync(t.Sync); s != nil && len(s.Calls) > 0 {
		fmt.Fprintf(out.out, ", with %s", strings.Join(s.Calls, ", "))
	}
	fmt.Fprintln(out.out)
	fmt.Fprintln(out.out)
	w := tabwriter.NewWriter(out.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "column\ttype\tnull\tmeaning")
	for _, c := range t.Columns {
		null := "yes"
		if c.Key || c.Required {
			null = "no"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", c.Name, c.Type, null, strings.Join(columnMeaning(t, c), "; "))
	}
	_ = w.Flush() // to the terminal
	links := withOwner(t)
	if len(links) > 0 {
		fmt.Fprintln(out.out)
	}
	for _, l := range links {
		arrow := fmt.Sprintf("-[:%s]->(:%s)", l.Type, l.To)
		if l.From != "" {
			arrow = fmt.Sprintf("<-[:%s]-(:%s)", l.Type, l.From)
		}
		fmt.Fprintf(out.out, "(row)%s where %s\n", arrow, conditions(l.On))
	}
	if b := t.Between; b != nil {
		fmt.Fprintf(out.out, "\nfrom (:%s) where %s, to (:%s) where %s\n", b.From.Label, conditions(b.From.On), b.To.Label, conditions(b.To.On))
	}
}

// columnMeaning is what a column is for, from its declaration.
func columnMeaning(t *kind.Table, c kind.Column) []string {
	var says []string
	is := func(holds bool, text string, a ...any) {
		if holds {
			says = append(says, fmt.Sprintf(text, a...))
		}
	}
	is(c.Key, "key")
	is(c.Name == kind.Unknown, "the columns of this row that could not be read")
	doc := registry().Doc(t, c.Name)
	is(c.Property() && doc != "", "%s", doc)
	is(c.Index, "indexed in the graph")
	is(c.Document, "JSON text")
	is(c.Volatile, "changes on its own: no drift")
	is(c.Bare != "", "in the graph its one element, not a list, where %s is true", c.Bare)
	for _, other := range t.Columns {
		is(other.Bare == c.Name, "tells whether %s is a list", other.Name)
	}
	for _, l := range withOwner(t) {
		for _, property := range sortedKeys(l.On) {
			is(l.On[property] == c.Name, "%s of the %s that %s leads to", property, l.Other(), l.Type)
		}
		for _, property := range sortedKeys(l.Props) {
			is(l.Props[property] == c.Name, "property %s of %s", property, l.Type)
		}
	}
	if b := t.Between; b != nil {
		for _, end := range []kind.End{b.From, b.To} {
			for _, property := range sortedKeys(end.On) {
				is(end.On[property] == c.Name, "%s of the %s", property, end.Label)
			}
		}
		for _, property := range sortedKeys(b.Props) {
			is(b.Props[property] == c.Name, "property %s of %s", property, b.Type)
		}
	}
	return says
}

func conditions(on kind.On) string {
	var parts []string
	for _, property := range sortedKeys(on) {
		column := on[property]
		if column == kind.AccountColumn {
			column = "the row's account"
		}
		parts = append(parts, property+" = "+column)
	}
	return strings.Join(parts, " and ")
}

func sortedKeys[M ~map[string]string](m M) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
