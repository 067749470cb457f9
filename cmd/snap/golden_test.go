package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"snap/load"
	"snap/store/kind"
)

// TestSchemaGolden compares the columns of each sync's tables, and the Cypher
// that writes them, with fixtures/golden/schema: what changes the format of
// snapshots or graph is seen in review. What snapshots of this format must not
// lose, and where one is still read, is in docs/format.md.
func TestSchemaGolden(t *testing.T) {
	const dir = "../../fixtures/golden/schema"
	var want []string
	for _, s := range registry().Syncs {
		if len(s.Tables) == 0 {
			continue
		}
		name := strings.ReplaceAll(s.Name, ":", "_") + ".txt"
		want = append(want, name)
		generated(t, filepath.Join(dir, name), []byte(syncText(s)), "make golden")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(want, e.Name()) {
			t.Errorf("%s/%s is of no sync: delete it", dir, e.Name())
		}
	}
	if len(want) < 30 {
		t.Errorf("only %d syncs", len(want))
	}
}

// syncText is what a sync's tables are, in full.
func syncText(s *kind.Sync) string {
	var b strings.Builder
	line := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	line("sync %s%s", s.Name, flags("global", s.Global))
	line("calls %s", strings.Join(s.Calls, " "))
	if len(s.Needs) > 0 {
		line("needs %s", strings.Join(s.Needs, " "))
	}
	if s.Synced != "" {
		line("synced %s", s.Synced)
	}
	for _, t := range s.Tables {
		line("\ntable %s %s%s", t.Name, rowIs(t), flags("stub", t.Stub, "unowned", t.Unowned, "keep", t.Keep))
		for _, c := range t.Columns {
			line("  %s %s%s%s", c.Name, c.Type, flags("key", c.Key, "required", c.Required && !c.Key, "index", c.Index, "document", c.Document, "volatile", c.Volatile), prefixed(" bare=", c.Bare))
		}
		for _, name := range sortedKeys(ontologyTexts(t)) {
			line("  _ont_%s %s", name, ontologyTexts(t)[name])
		}
		cypher := load.StatementsOf(registry(), t)
		for _, e := range cypher.Edges {
			line("edge %s", e)
		}
		if cypher.Keeps {
			line("no cleanup")
		}
		for _, c := range cypher.Nodes {
			line("nodes\n%s", clauses(c))
		}
		for _, c := range cypher.Links {
			line("links\n%s", clauses(c))
		}
	}
	return b.String()
}

// ontologyTexts are the table's cross-provider properties, in words.
func ontologyTexts(t *kind.Table) map[string]string {
	all := map[string]string{}
	for name, m := range t.Ontology {
		all[name] = m.String()
	}
	return all
}

// flags are the names of what holds, from pairs of name and bool.
func flags(pairs ...any) string {
	out := ""
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1].(bool) {
			out += " " + pairs[i].(string)
		}
	}
	return out
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// clauses puts each clause of Cypher on a line of its own.
func clauses(cypher string) string {
	for _, clause := range []string{"UNWIND", "MATCH", "MERGE", "ON CREATE", "SET", "WITH", "RETURN"} {
		cypher = strings.ReplaceAll(cypher, " "+clause+" ", "\n"+clause+" ")
	}
	cypher = strings.ReplaceAll(cypher, "ON CREATE\nSET", "ON CREATE SET")
	return "  " + strings.ReplaceAll(cypher, "\n", "\n  ")
}
