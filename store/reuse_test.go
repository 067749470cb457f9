package store

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/parquet-go/parquet-go/compress/zstd"

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

// TestPageCodec: a page is what parquet-go's codec makes of it, also where many
// ask and more small pages come than are kept.
func TestPageCodec(t *testing.T) {
	plain, used := &zstd.Codec{Level: zstd.SpeedDefault}, &pageCodec{Codec: zstd.Codec{Level: zstd.SpeedDefault}}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			var out []byte // belongs to the caller, who writes over it
			for i := range manyPages + 100 {
				page := bytes.Repeat(fmt.Append(nil, i/2), i%(smallPage/3))
				if i%1000 == 0 {
					page = bytes.Repeat(page, 50000)
				}
				want, _ := plain.Encode(nil, page)
				var err error
				if out, err = used.Encode(out, page); err != nil || !bytes.Equal(out, want) {
					t.Errorf("page %d: %x, not %x; error %v", i, out, want, err)
					return
				}
				clear(out)
			}
		})
	}
	all.Wait()
	if len(used.pages) > manyPages {
		t.Errorf("%d pages are remembered", len(used.pages))
	}
}

// TestPlaced: a file that waited in memory is as one that did not, and both
// replace what has their name.
func TestPlaced(t *testing.T) {
	dir := t.TempDir()
	d := must(openRooted(dir))(t)
	defer d.Close()
	for _, size := range []int{0, 1, smallFile, smallFile + 1, 3 * smallFile} {
		content := bytes.Repeat([]byte{byte(size)}, size)
		for _, durable := range []bool{false, false, true, false} {
			name, err := place(d, tempName(".", int64(size)), durable, func(out io.Writer) (string, error) {
				for part := content; len(part) > 0; part = part[min(len(part), 10000):] {
					if _, err := out.Write(part[:min(len(part), 10000)]); err != nil {
						return "", err
					}
				}
				return fmt.Sprint("file", size), nil
			})
			ok(t, err)
			if got := must(os.ReadFile(filepath.Join(dir, name)))(t); !bytes.Equal(got, content) {
				t.Errorf("%d bytes, durable %v: there are %d", size, durable, len(got))
			}
			ok(t, os.WriteFile(filepath.Join(dir, name), []byte("torn"), 0o600))
		}
	}
	if left := must(os.ReadDir(dir))(t); len(left) != 5 {
		t.Errorf("%v is there", left)
	}
}
