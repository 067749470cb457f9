package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"snap/store/kind"
)

var started = time.Date(2026, 5, 4, 3, 2, 1, 987654321, time.UTC)

// thing has a column of every type, null and not.
var thing = &kind.Table{Name: "thing", Sync: "things", Columns: []kind.Column{
	{Name: "id", Type: kind.String, Key: true, Required: true},
	{Name: "zone", Type: kind.String},
	{Name: "count", Type: kind.Int},
	{Name: "ratio", Type: kind.Float},
	{Name: "on", Type: kind.Bool},
	{Name: "at", Type: kind.Time},
	{Name: "names", Type: kind.Strings},
	{Name: "ports", Type: kind.Ints},
	{Name: "must", Type: kind.Int, Required: true},
	{Name: "doc", Type: kind.String, Document: true},
	{Name: "a", Type: kind.Bool, Required: true},
	{Name: "_refs", Type: kind.Strings},
	{Name: "_numbers", Type: kind.Ints},
	{Name: kind.Unknown, Type: kind.Strings},
}}

// pair has a key of two columns and nothing else.
var pair = &kind.Table{Name: "pair", Sync: "things", Columns: []kind.Column{
	{Name: "number", Type: kind.Int, Key: true, Required: true},
	{Name: "since", Type: kind.Time, Key: true, Required: true},
}}

// other is a global table.
var other = &kind.Table{Name: "other", Sync: "others", Global: true, Columns: []kind.Column{
	{Name: "id", Type: kind.String, Key: true, Required: true},
	{Name: "region", Type: kind.String},
}}

var (
	things = []*kind.Table{thing, pair}
	all    = []*kind.Table{thing, pair, other}

	east   = CellID{Provider: "aws", Account: "111111111111", Region: "us-east-1", Sync: "things"}
	west   = CellID{Provider: "aws", Account: "111111111111", Region: "eu-west-1", Sync: "things"}
	global = CellID{Provider: "aws", Account: "111111111111", Sync: "others"}
)

func head() Manifest {
	return Manifest{
		Program: "snap test", Started: started, Syncs: []string{"things", "others"},
		Accounts:   []Account{{Provider: "aws", ID: "222222222222"}, {Provider: "aws", ID: "111111111111", Name: "it's <me> & co", Regions: []string{"us-east-1", "eu-west-1"}}},
		Unresolved: []Unresolved{{Profile: "gone", Error: "no such role"}},
	}
}

func thingRow(id string) kind.Row {
	row := make(kind.Row, len(thing.Columns))
	row[0], row[8], row[10] = id, int64(7), false
	return row
}

// edge has the values at the edges of each type.
func edges() []kind.Row {
	var rows []kind.Row
	for i, r := range []kind.Row{
		thingRow(""),
		{nil, "", int64(0), 0.0, false, time.Time{}, []string{}, []int64{}, int64(0), "", true, []string{}, []int64{}, []string{}},
		{nil, "ü\x00\n\U0001F600", int64(math.MinInt64), -math.MaxFloat64, true, time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC), []string{""}, []int64{math.MaxInt64}, int64(math.MaxInt64), `{"a":1}`, true, []string{"a"}, []int64{1}, []string{"zone"}},
		{nil, strings.Repeat("x", 70000), int64(1), math.Inf(1), true, time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC), []string{"b", "", "a", "b"}, []int64{3, -1, 3}, int64(1), strings.Repeat("doc", 1000), true, []string{"a", "b"}, []int64{-1, 2}, []string{"a", "b"}},
		{nil, "y", int64(2), math.SmallestNonzeroFloat64, true, time.Unix(0, 0).UTC(), []string{"one"}, []int64{0}, int64(1), "[]", true, nil, nil, nil},
	} {
		r[0] = fmt.Sprintf("edge-%d", i)
		rows = append(rows, r)
	}
	return rows
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func outcome(s State) Outcome {
	return Outcome{State: s, Calls: 2, Started: started, Finished: started.Add(time.Second)}
}

// fill collects the three cells of the tests into w; every one that skip does
// not name.
func fill(w *Writer) error {
	if _, done := w.Done(east); !done {
		c := w.Cell(east)
		for _, r := range edges() {
			c.Put(thing, r)
		}
		c.Put(pair, kind.Row{int64(2), started.Truncate(time.Microsecond)})
		c.Put(pair, kind.Row{int64(-2), started.Truncate(time.Microsecond)})
		if err := c.Close(things, outcome(Complete)); err != nil {
			return err
		}
	}
	if _, done := w.Done(west); !done {
		if err := w.Cell(west).Close(things, Outcome{State: Denied, Code: "AccessDenied", Action: "things:List"}); err != nil {
			return err
		}
	}
	if _, done := w.Done(global); !done {
		c := w.Cell(global)
		c.Put(other, kind.Row{"o", "us-east-1"})
		c.Lose(errors.New("half of it"))
		if err := c.Close([]*kind.Table{other}, outcome(Partial)); err != nil {
			return err
		}
	}
	return nil
}

// small writes the tests' snapshot.
func small(t testing.TB) (dir, id string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "snap")
	w := must(Create(dir, head()))(t)
	ok(t, fill(w))
	return dir, must(w.Commit(all, started.Add(time.Minute)))(t)
}

// writeAll writes rows that are in order.
func (s *schema) writeAll(out io.Writer, rows []kind.Row, meta map[string]string) error {
	_, err := s.write(out, func(yield func([]byte, error) bool) {
		var b []byte
		for _, r := range rows {
			var err error
			b, err = s.pack(b[:0], r)
			if !yield(b, err) || err != nil {
				return
			}
		}
	}, meta)
	return err
}

func readAll(t testing.TB, s *Snapshot, table *kind.Table, id CellID) []kind.Row {
	t.Helper()
	c, found := s.Cell(id)
	if !found {
		t.Fatalf("no cell %s", id)
	}
	var out []kind.Row
	for _, f := range c.Files {
		if f.Table != table.Name {
			continue
		}
		rows, missing, extra := s.Read(table, f)
		if missing != nil || extra != nil {
			t.Fatalf("missing %v, extra %v", missing, extra)
		}
		for r, err := range rows {
			ok(t, err)
			out = append(out, r)
		}
	}
	return out
}

// files are the paths below dir.
func files(t testing.TB, dir string) []string {
	t.Helper()
	var paths []string
	ok(t, filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(dir, p)
			paths = append(paths, filepath.ToSlash(rel))
		}
		return err
	}))
	return paths
}

func TestRoundTrip(t *testing.T) {
	dir, id := small(t)
	s := must(Open(dir))(t)
	defer s.Close()
	if s.ID != id {
		t.Errorf("id %s, committed as %s", s.ID, id)
	}
	if got, want := readAll(t, s, thing, east), edges(); !reflect.DeepEqual(got, want) {
		for i := range want {
			for j := range want[i] {
				if i < len(got) && !reflect.DeepEqual(got[i][j], want[i][j]) {
					t.Errorf("row %d, %s: got %#v, want %#v", i, thing.Columns[j].Name, got[i][j], want[i][j])
				}
			}
		}
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
	at := started.Truncate(time.Microsecond)
	if got, want := readAll(t, s, pair, east), []kind.Row{{int64(-2), at}, {int64(2), at}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := readAll(t, s, other, global), []kind.Row{{"o", "us-east-1"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	c, _ := s.Cell(west)
	if c.State != Denied || c.Action != "things:List" || c.Files != nil {
		t.Errorf("the denied cell is %+v", c)
	}
	if m := s.Manifest; m.Tag() != started.Unix() || !m.Started.Equal(started) || m.Accounts[0].Name != "it's <me> & co" || m.Accounts[1].ID != "222222222222" || len(m.Tables) != 3 || m.Unresolved[0].Profile != "gone" {
		t.Errorf("manifest %+v", m)
	}
	if own, ok := s.Own("thing"); !ok || !reflect.DeepEqual(own.Columns, thing.Columns) {
		t.Errorf("own: %v", own)
	}
	if errs := s.Verify(context.Background(), true); errs != nil {
		t.Error(errs)
	}
	paths := files(t, dir)
	if len(paths) != 4 || paths[0] != "aws/other/account=111111111111/"+filepath.Base(paths[0]) || filepath.Dir(paths[1]) != "aws/pair/account=111111111111/region=us-east-1" {
		t.Errorf("files: %q", paths)
	}
	for _, p := range append(paths, ".", "aws", "aws/pair") {
		i := must(os.Stat(filepath.Join(dir, p)))(t)
		if want := map[bool]os.FileMode{true: 0o700, false: 0o600}[i.IsDir()]; i.Mode().Perm() != want {
			t.Errorf("%s has mode %o", p, i.Mode().Perm())
		}
	}
}

// TestMerge puts the parts of rows in random order from many goroutines: the
// bytes are always the same.
func TestMerge(t *testing.T) {
	var parts []kind.Row
	for i := range 200 {
		id := fmt.Sprintf("thing-%03d", i*7919%1000)
		zone := thingRow(id)
		zone[1] = "zone"
		zone[11] = []string{"b"}
		refs := thingRow(id)
		refs[11], refs[12], refs[13] = []string{"c", "a", "b"}, []int64{int64(i), 3}, []string{"zone", "doc"}
		names := thingRow(id)
		names[6], names[12], names[13] = []string{"z", "y"}, []int64{1, 3}, []string{"at"}
		parts = append(parts, zone, refs, names)
	}
	before := fmt.Sprint(parts)
	var sums []string
	for run := range 8 {
		dir := filepath.Join(t.TempDir(), "snap")
		w := must(Create(dir, head()))(t)
		c := w.Cell(east)
		order := rand.New(rand.NewPCG(1, uint64(run))).Perm(len(parts))
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Go(func() {
				for i := worker; i < len(order); i += 8 {
					c.Put(thing, parts[order[i]])
				}
			})
		}
		wg.Wait()
		if c.Rows() != 200 {
			t.Fatalf("%d rows", c.Rows())
		}
		ok(t, c.Close(things, outcome(Complete)))
		must(w.Commit(all, started.Add(time.Duration(run)*time.Hour)))(t)
		s := must(Open(dir))(t)
		cell, _ := s.Cell(east)
		sums = append(sums, cell.Files[0].SHA256)
		if run == 0 {
			row := readAll(t, s, thing, east)[0]
			want := kind.Row{"thing-000", "zone", nil, nil, nil, nil, []string{"z", "y"}, nil, int64(7), nil, false, []string{"a", "b", "c"}, []int64{0, 1, 3}, []string{"at", "doc", "zone"}}
			if !reflect.DeepEqual(row, want) {
				t.Errorf("got  %v\nwant %v", row, want)
			}
		}
		ok(t, s.Close())
	}
	if len(slices.Compact(sums)) != 1 {
		t.Errorf("the same rows gave different files: %q", sums)
	}
	if after := fmt.Sprint(parts); after != before {
		t.Error("rows that were put have changed")
	}
}
