package store

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"snap/store/kind"
)

// keyed has a key of a column of every scalar type.
var keyed = &kind.Table{Name: "keyed", Sync: "things", Columns: []kind.Column{
	{Name: "n", Type: kind.Int, Key: true}, {Name: "text", Type: kind.String, Key: true}, {Name: "more", Type: kind.String, Key: true}, {Name: "f", Type: kind.Float, Key: true},
	{Name: "b", Type: kind.Bool, Key: true}, {Name: "at", Type: kind.Time, Key: true}, {Name: "_refs", Type: kind.Ints}, {Name: "last", Type: kind.Int},
}}

func randomKeyed(r *rand.Rand) kind.Row {
	texts := []string{"", "\x00", "a", "a\x00", "a\x00b", "a\x00\xc3\xbf", "a\x01", "b", "é", "\x01"}
	pick := func() string { return texts[r.IntN(len(texts))] }
	return kind.Row{
		[]int64{math.MinInt64, -1, 0, 1, 255, 256, math.MaxInt64}[r.IntN(7)], pick(), pick(), []float64{math.Inf(-1), -2, -1e-300, 0, 5e-324, 1, 2, math.Inf(1)}[r.IntN(8)],
		r.IntN(2) == 0, time.UnixMicro(int64(r.IntN(3)-1) * 1e12).UTC(), nil, nil,
	}
}

// TestKeysSort: keys as text sort as the values do, and differ as they do.
func TestKeysSort(t *testing.T) {
	s := must(newSchema(keyed.Name, keyed.Columns))(t)
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		a, b := randomKeyed(r), randomKeyed(r)
		for i := range 6 { // mostly alike
			if r.IntN(3) > 0 {
				b[i] = a[i]
			}
		}
		if want, got := s.compare(a, b), strings.Compare(must(s.key(a))(t), must(s.key(b))(t)); want != got {
			t.Fatalf("%q and %q compare as %d, their keys as %d", a, b, want, got)
		}
	}
}

// TestPacked: what is packed comes back as it was, and what is cut off or
// changed is an error, or other values, but never a panic.
func TestPacked(t *testing.T) {
	s := must(newSchema(thing.Name, thing.Columns))(t)
	r := rand.New(rand.NewPCG(1, 3))
	for _, row := range edges() {
		b := must(s.pack(nil, row))(t)
		if got := must(s.unpack(b))(t); !reflect.DeepEqual(got, row) {
			t.Errorf("got %v\nwant %v", got, row)
		}
		for n := range b[:min(len(b), 300)] {
			if _, err := s.unpack(b[:n]); err == nil {
				t.Errorf("cut off at %d of %d it is read", n, len(b))
			}
			bad := slices.Clone(b)
			bad[n] ^= byte(1 + r.IntN(255))
			_, _ = s.unpack(bad)
		}
	}
}

// collectIn puts the rows of both tables into one cell, with the limit of what
// may be held, and gives the snapshot's files and how many runs there were.
func collectIn(t *testing.T, limit int64, tables []*kind.Table, put func(*CellWriter)) (sums []File, runs int) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "snap")
	w := must(Create(dir, head()))(t)
	w.limit = limit
	c := w.Cell(east)
	put(c)
	for _, p := range c.tables {
		runs += len(p.runs)
	}
	ok(t, c.Close(tables, outcome(Complete)))
	if held := w.held.Load(); held != 0 {
		t.Errorf("%d bytes are held after the last cell", held)
	}
	must(w.Commit(tables, first))(t)
	s := must(Open(dir))(t)
	defer s.Close()
	for _, err := range s.Verify(ctx, true) {
		t.Error(err)
	}
	for _, e := range must(os.ReadDir(dir))(t) {
		if isTemp(e.Name()) {
			t.Errorf("%s is left", e.Name())
		}
	}
	cell, _ := s.Cell(east)
	return cell.Files, runs
}

// TestSpill: rows that were set aside in runs give the very files that rows in
// memory give, rows of one key in several runs too.
func TestSpill(t *testing.T) {
	tables := []*kind.Table{thing, pair, keyed}
	put := func(c *CellWriter) {
		r := rand.New(rand.NewPCG(7, 8))
		for i := range 6000 {
			row := thingRow(fmt.Sprintf("thing-%d", r.IntN(1500)))
			if r.IntN(2) == 0 {
				row[1] = strings.Repeat("zone", r.IntN(20))
			}
			if r.IntN(2) == 0 {
				row[2] = int64(i)
			}
			if r.IntN(3) == 0 {
				row[6] = []string{"a", fmt.Sprint(i)}[:r.IntN(3)]
			}
			if r.IntN(2) == 0 {
				row[11], row[12] = []string{fmt.Sprint(r.IntN(9)), "a"}, []int64{int64(r.IntN(50)), 3}
			}
			c.Put(thing, row)
			if i%2 == 0 {
				k := randomKeyed(r)
				k[6], k[7] = []int64{int64(i % 13)}, int64(i)
				c.Put(keyed, k)
			}
			c.Put(pair, kind.Row{int64(r.IntN(4000) - 2000), started.Add(time.Duration(r.IntN(3)) * time.Hour)})
		}
	}
	want, runs := collectIn(t, memoryLimit, tables, put)
	if runs != 0 || len(want) != 3 {
		t.Fatalf("%d files, %d runs", len(want), runs)
	}
	for _, limit := range []int64{1, 50_000, 700_000, 1_500_000} {
		got, runs := collectIn(t, limit, tables, put)
		if runs < 2 {
			t.Errorf("limit %d: %d runs", limit, runs)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("limit %d, %d runs: the files are\n%v\nand not\n%v", limit, runs, got, want)
		}
		t.Logf("limit %d: %d runs", limit, runs)
	}
}

// TestSpillManyCells: cells under way at the same time share the limit.
func TestSpillManyCells(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snap")
	w := must(Create(dir, head()))(t)
	defer w.Close()
	w.limit = 1 << 20
	var cells []*CellWriter
	for i := range 20 {
		cells = append(cells, w.Cell(CellID{Provider: "aws", Account: "111111111111", Region: fmt.Sprintf("region-%02d", i), Sync: "things"}))
	}
	most := int64(0)
	for n := range 2000 {
		for _, c := range cells {
			c.Put(thing, thingRow(fmt.Sprintf("thing-%d", n)))
			most = max(most, w.held.Load())
		}
	}
	if limit := w.limit + 20*(w.limit/leastRun+1000); most > limit {
		t.Errorf("%d bytes were held, more than %d", most, limit)
	}
	sums := map[string]bool{}
	for _, c := range cells {
		ok(t, c.Close(things, outcome(Complete)))
		done, _ := w.Done(c.id)
		if done.Rows != 2000 {
			t.Errorf("%s: %d rows", c.id, done.Rows)
		}
	}
	for i := range 20 { // but for the region in the metadata they are the same
		c, _ := w.Done(CellID{Provider: "aws", Account: "111111111111", Region: fmt.Sprintf("region-%02d", i), Sync: "things"})
		b := must(os.ReadFile(filepath.Join(dir, c.Files[0].Path)))(t)
		sums[hexSHA256(bytes.ReplaceAll(b, fmt.Appendf(nil, "region-%02d", i), nil))] = true
	}
	if len(sums) != 1 {
		t.Errorf("%d different files", len(sums))
	}
}
