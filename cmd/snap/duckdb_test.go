//go:build duckdb

// Needs SNAP_TEST_PYTHON, a Python that has the package duckdb: make test-duckdb.

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"snap/store"
	"snap/store/kind"
)

const askDuckDB = `
import duckdb, json, sys
db = duckdb.connect()
answers = []
for statement in json.load(sys.stdin):
    answers.append(db.execute(statement).fetchall())
print(json.dumps(answers))
`

// TestDuckDB has DuckDB read every table of a collected estate by the statement
// that snap schema prints for it: all rows are there, and the columns are of
// the types that docs/query.md promises.
func TestDuckDB(t *testing.T) {
	estate(t, "small", everyone...)
	dir := filepath.Join(t.TempDir(), "snap")
	must(t, []int{exitOK}, "collect", "--aws-sync-all-profiles", "--aws-regions", regions, leftOut, "-o", dir)
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	types := map[kind.Type]string{
		kind.String: "VARCHAR", kind.Int: "BIGINT", kind.Float: "DOUBLE", kind.Bool: "BOOLEAN",
		kind.Time: "TIMESTAMP WITH TIME ZONE", kind.Strings: "VARCHAR[]", kind.Ints: "BIGINT[]",
	}
	rows, regional := map[string]int64{}, map[string]bool{}
	for _, c := range s.Manifest.Cells {
		for _, f := range c.Files {
			rows[f.Table] += f.Rows
			regional[f.Table] = c.Region != ""
		}
	}
	var statements []string
	var tables []store.TableInfo
	for _, table := range s.Manifest.Tables {
		if rows[table.Name] == 0 {
			continue // no file: nothing for a glob to find
		}
		tables = append(tables, table)
		view := must(t, []int{exitOK}, "schema", table.Name, "--format", "duckdb", "--location", dir)
		statements = append(statements, view,
			fmt.Sprintf("SELECT count(*), count(DISTINCT account) FROM %s", table.Name),
			fmt.Sprintf("SELECT column_name, column_type FROM (DESCRIBE %s)", table.Name))
	}
	if len(tables) < 40 {
		t.Fatalf("only %d tables have rows", len(tables))
	}
	in, err := json.Marshal(statements)
	if err != nil {
		t.Fatal(err)
	}
	python := exec.Command(os.Getenv("SNAP_TEST_PYTHON"), "-c", askDuckDB)
	python.Stdin = bytes.NewReader(in)
	python.Stderr = os.Stderr
	out, err := python.Output()
	if err != nil {
		t.Fatal(err)
	}
	var answers [][][]any
	if err := json.Unmarshal(out, &answers); err != nil {
		t.Fatal(err)
	}
	for i, table := range tables {
		counted, described := answers[3*i+1], answers[3*i+2]
		if n := int64(counted[0][0].(float64)); n != rows[table.Name] {
			t.Errorf("%s: DuckDB finds %d rows, the manifest says %d", table.Name, n, rows[table.Name])
		}
		var got, want []string
		for _, c := range described {
			got = append(got, fmt.Sprint(c[0], " ", c[1]))
		}
		partitions := []string{"account VARCHAR"}
		if regional[table.Name] {
			partitions = append(partitions, "region VARCHAR")
		}
		for _, c := range table.Columns {
			want = append(want, fmt.Sprint(c.Name, " ", types[c.Type]))
		}
		// A column that the path tells, too, is there once.
		for _, p := range partitions {
			found := false
			for _, w := range want {
				found = found || w == p
			}
			if !found {
				want = append(want, p)
			}
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("%s: DuckDB sees\n%s\nand not\n%s", table.Name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	t.Logf("%d tables", len(tables))
}
