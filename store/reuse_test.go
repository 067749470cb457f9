package store

import (
	"bytes"
	"testing"

	"snap/store/kind"
)

// TestReusedWriter: a file's bytes do not depend on what its Parquet writer
// wrote before.
func TestReusedWriter(t *testing.T) {
	table, rows := wide(reuseRows + 1)
	west := CellID{Provider: "aws", Account: "222222222222", Sync: "things"}
	files := []struct {
		id   CellID
		rows []kind.Row
	}{
		{east, rows[:1]}, {west, rows[:300]}, {east, rows[7:27]}, {east, rows[:reuseRows]}, {west, rows[:1]}, {west, rows}, {east, rows[:1]}, {east, nullRows(table, 3)}, {west, rows[:5]},
	}
	used := must(newSchema(table.Name, table.Columns))(t)
	for i, f := range files {
		for range 2 { // once more with what this one left
			var fresh, again bytes.Buffer
			ok(t, must(newSchema(table.Name, table.Columns))(t).writeAll(&fresh, f.rows, metadata(f.id, table.Name)))
			ok(t, used.writeAll(&again, f.rows, metadata(f.id, table.Name)))
			if !bytes.Equal(fresh.Bytes(), again.Bytes()) {
				t.Fatalf("file %d differs", i)
			}
		}
	}
	// After a row that cannot be written, too.
	bad := bytes.Buffer{}
	broken := append([]kind.Row{}, rows[:10]...)
	broken[9] = append(kind.Row{}, broken[9]...)
	broken[9][3] = int64(1)
	if err := used.writeAll(&bad, broken, metadata(east, table.Name)); err == nil {
		t.Fatal("a number passed for text")
	}
	var fresh, again bytes.Buffer
	ok(t, must(newSchema(table.Name, table.Columns))(t).writeAll(&fresh, rows[:2], metadata(east, table.Name)))
	ok(t, used.writeAll(&again, rows[:2], metadata(east, table.Name)))
	if !bytes.Equal(fresh.Bytes(), again.Bytes()) {
		t.Fatal("after an error the file differs")
	}
}

// nullRows have nothing but their keys.
func nullRows(t *kind.Table, n int) (rows []kind.Row) {
	for i := range n {
		r := make(kind.Row, len(t.Columns))
		r[0] = string(rune('a' + i))
		rows = append(rows, r)
	}
	return rows
}
