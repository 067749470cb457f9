//go:build duckdb

// Needs SNAP_TEST_PYTHON, a Python that has the package duckdb: make test-duckdb.

package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"snap/store/kind"
)

const runSQL = `
import duckdb, json, sys
db = duckdb.connect()
db.execute("SET TimeZone = 'UTC'")
cursor = db.execute(sys.stdin.read())
print(json.dumps(cursor.fetchall()))
`

// ask runs a query and gives its rows as JSON has them.
func ask(t *testing.T, sql string) [][]any {
	t.Helper()
	python := os.Getenv("SNAP_TEST_PYTHON")
	c := exec.Command(python, "-c", runSQL)
	c.Stdin = strings.NewReader(sql)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", sql, err, errs.String())
	}
	var rows [][]any
	ok(t, json.Unmarshal(out.Bytes(), &rows))
	return rows
}

// glob is the documented way to read a table of the snapshots in dirs.
func glob(table string, dirs ...string) string {
	var paths []string
	for _, d := range dirs {
		paths = append(paths, "'"+d+"/aws/"+table+"/**/*.parquet'")
	}
	return fmt.Sprintf("read_parquet([%s], hive_partitioning = true, hive_types = {'account': VARCHAR}, union_by_name = true)", strings.Join(paths, ", "))
}

func TestDuckDB(t *testing.T) {
	monday, _ := small(t)
	// On Tuesday the table has a column more, and an account whose id begins with 0.
	tuesday := filepath.Join(t.TempDir(), "tuesday")
	more := &kind.Table{Name: thing.Name, Sync: thing.Sync, Columns: append([]kind.Column{{Name: "size", Type: kind.Int}}, thing.Columns...)}
	m := head()
	m.Accounts = append(m.Accounts, Account{Provider: "aws", ID: "012345678901"})
	w := must(Create(tuesday, m))(t)
	c := w.Cell(CellID{Provider: "aws", Account: "012345678901", Region: "eu-west-1", Sync: "things"})
	c.Put(more, append(kind.Row{int64(42)}, thingRow("new")...))
	ok(t, c.Close([]*kind.Table{more, pair}, outcome(Complete)))
	must(w.Commit([]*kind.Table{more, pair, other}, first))(t)

	check := func(sql string, want ...[]any) {
		t.Helper()
		if got := ask(t, sql); !reflect.DeepEqual(got, want) {
			t.Errorf("%s\ngot  %v\nwant %v", sql, got, want)
		}
	}
	// Types as documented.
	types := map[kind.Type]string{
		kind.String: "VARCHAR", kind.Int: "BIGINT", kind.Float: "DOUBLE", kind.Bool: "BOOLEAN",
		kind.Time: "TIMESTAMP WITH TIME ZONE", kind.Strings: "VARCHAR[]", kind.Ints: "BIGINT[]",
	}
	var want [][]any
	for _, col := range thing.Columns {
		want = append(want, []any{col.Name, types[col.Type]})
	}
	want = append(want, []any{"account", "VARCHAR"}, []any{"region", "VARCHAR"})
	check("SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM "+glob("thing", monday)+")", want...)

	// Values, at the edges too; null and empty differ.
	check("SELECT id, account, region, count::VARCHAR, ratio::VARCHAR, \"on\", \"at\"::VARCHAR, names, ports::VARCHAR, _unknown FROM "+glob("thing", monday)+" WHERE id <> 'edge-3' ORDER BY id",
		[]any{"edge-0", "111111111111", "us-east-1", nil, nil, nil, nil, nil, nil, nil},
		[]any{"edge-1", "111111111111", "us-east-1", "0", "0.0", false, "0001-01-01 00:00:00+00", []any{}, "[]", []any{}},
		[]any{"edge-2", "111111111111", "us-east-1", "-9223372036854775808", "-1.7976931348623157e+308", true, "9999-12-31 23:59:59.999999+00", []any{""}, "[9223372036854775807]", []any{"zone"}},
		[]any{"edge-4", "111111111111", "us-east-1", "2", "5e-324", true, "1970-01-01 00:00:00+00", []any{"one"}, "[0]", nil})
	check("SELECT length(zone), doc = repeat('doc', 1000), zone IS NULL FROM "+glob("thing", monday)+" WHERE id = 'edge-3'", []any{70000.0, true, false})

	// A key of two columns; a global table, whose own column region is not shadowed.
	check("SELECT number, since::VARCHAR FROM "+glob("pair", monday)+" ORDER BY number", []any{-2.0, "2026-05-04 03:02:01.987654+00"}, []any{2.0, "2026-05-04 03:02:01.987654+00"})
	check("SELECT * FROM "+glob("other", monday), []any{"o", "us-east-1", "111111111111"})

	// Two snapshots with other columns, by name; the account keeps its zero.
	check("SELECT id, size, account FROM "+glob("thing", monday, tuesday)+" WHERE id IN ('new', 'edge-0') ORDER BY id", []any{"edge-0", nil, "111111111111"}, []any{"new", 42.0, "012345678901"})

	// The manifest tells what a table cannot: what was read.
	check("SELECT c.sync, c.region, c.state, c.action FROM (SELECT unnest(cells) AS c FROM read_json('"+monday+"/manifest.json', maximum_object_size = 1073741824)) WHERE c.state <> 'complete' ORDER BY 1",
		[]any{"others", nil, "partial", nil}, []any{"things", "eu-west-1", "denied", "things:List"})
}
