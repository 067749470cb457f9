package main

import (
	"bytes"
	"os"
	"regexp"
	"strings"
	"testing"
)

// generated compares a file with what it is generated to be, or writes it.
func generated(t *testing.T, path string, want []byte, renew string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Errorf("%v: %s makes it", err, renew)
		return
	}
	if bytes.Equal(got, want) {
		return
	}
	is, is2 := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range is2 {
		if i >= len(is) || is[i] != is2[i] {
			had := "nothing"
			if i < len(is) {
				had = is[i]
			}
			t.Errorf("%s is stale: %s renews it. Line %d is\n\t%s\nand ought to be\n\t%s", path, renew, i+1, had, is2[i])
			return
		}
	}
	t.Errorf("%s is stale, it is too long: %s renews it", path, renew)
}

// docs/schema.md is what the declarations say.
func TestSchemaDocument(t *testing.T) {
	text := must(t, []int{exitOK}, "schema", "--format", "markdown")
	generated(t, "../../docs/schema.md", []byte(text), "make docs")
	// Every reference inside leads somewhere.
	at := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(text, -1) {
		at[strings.ToLower(anchor(m[1]))] = true
	}
	references := regexp.MustCompile(`\]\(#([^)]+)\)`).FindAllStringSubmatch(text, -1)
	if len(references) < 500 {
		t.Errorf("%d references: the text has lost its links", len(references))
	}
	for _, m := range references {
		if !at[m[1]] {
			t.Errorf("a reference to #%s, where nothing is", m[1])
		}
	}
}

// Every table and property says what it means, in words of its own.
func TestEverythingHasAMeaning(t *testing.T) {
	r := registry()
	for _, table := range r.Tables() {
		if len(table.Doc) < 10 {
			t.Errorf("table %s: Doc does not say what a row is", table.Name)
		}
		for _, c := range table.Columns {
			doc := r.Doc(table, c.Name)
			switch {
			case !c.Property():
			case doc == "":
				t.Errorf("table %s, column %s: no doc says what it means", table.Name, c.Name)
			case strings.ReplaceAll(doc, " ", "") == c.Name || len(doc) < 5 || strings.HasSuffix(doc, "."):
				t.Errorf("table %s, column %s: %q is no meaning", table.Name, c.Name, doc)
			}
		}
	}
}
