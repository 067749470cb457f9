package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"snap/store/kind"
)

// tiny writes a snapshot of few bytes.
func tiny(t testing.TB) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "snap")
	w := must(Create(dir, head()))(t)
	c := w.Cell(east)
	c.Put(pair, kind.Row{int64(1), started})
	c.Put(pair, kind.Row{int64(2), started})
	ok(t, c.Close(things, outcome(Complete)))
	g := w.Cell(global)
	g.Put(other, kind.Row{"o", nil})
	ok(t, g.Close(all[2:], outcome(Complete)))
	must(w.Commit(all, first))(t)
	return dir
}

// inspect opens and verifies everything, and returns what is wrong.
func inspect(dir string) error {
	s, err := Open(dir)
	if err != nil {
		return err
	}
	defer s.Close()
	return errors.Join(s.Verify(context.Background(), true)...)
}

// blames fails the test unless err says that the file name is damaged.
func blames(t *testing.T, err error, name string) {
	t.Helper()
	d := (*DamagedError)(nil)
	if !errors.As(err, &d) || d.Path != name || !strings.Contains(err.Error(), name) {
		t.Fatalf("%s is damaged, but the error is %v", name, err)
	}
}

func TestFlippedBytes(t *testing.T) {
	dir := tiny(t)
	ok(t, inspect(dir))
	paths := files(t, dir)
	if len(paths) != 3 {
		t.Fatalf("files: %q", paths)
	}
	for _, p := range paths {
		f := must(os.OpenFile(filepath.Join(dir, p), os.O_RDWR, 0))(t)
		content := must(io.ReadAll(f))(t)
		for i, b := range content {
			must(f.WriteAt([]byte{b ^ 1<<(i%8)}, int64(i)))(t)
			err := inspect(dir)
			if v := (*VersionError)(nil); p == manifestFile && errors.As(err, &v) {
				if !strings.Contains(err.Error(), manifestFile) {
					t.Fatalf("byte %d of %s: %v", i, p, err)
				}
			} else {
				blames(t, err, p)
			}
			must(f.WriteAt([]byte{b}, int64(i)))(t)
		}
		ok(t, f.Close())
	}
	ok(t, inspect(dir))
}

func TestTruncated(t *testing.T) {
	dir := tiny(t)
	for _, p := range files(t, dir) {
		at := filepath.Join(dir, p)
		content := must(os.ReadFile(at))(t)
		for n := 0; n < len(content); n += 1 + len(content)/100 {
			ok(t, os.Truncate(at, int64(n)))
			blames(t, inspect(dir), p)
			ok(t, os.WriteFile(at, content, 0o600))
		}
		ok(t, os.WriteFile(at, append(slices.Clone(content), 0), 0o600))
		blames(t, inspect(dir), p)
		ok(t, os.WriteFile(at, content, 0o600))
	}
	ok(t, inspect(dir))
}

// TestMutated decodes files that somebody damaged and gave the right checksum:
// whatever comes of it, it is no panic and no row too many.
func TestMutated(t *testing.T) {
	s := must(newSchema(thing.Name, thing.Columns))(t)
	var out bytes.Buffer
	rows := edges()
	rows[3][1], rows[3][9] = "x", "doc"
	ok(t, s.writeAll(&out, rows, metadata(east, thing.Name)))
	random := rand.New(rand.NewPCG(1, 2))
	failed := 0
	for range 5000 {
		b := slices.Clone(out.Bytes())
		for range 1 + random.IntN(3) {
			i := random.IntN(len(b))
			if random.IntN(2) == 0 { // in the footer
				i = len(b) - 1 - random.IntN(len(b)/2)
			}
			b[i] ^= 1 << random.IntN(8)
		}
		n := 0
		err := s.decode(whole(b), east, File{Path: "mutated", Table: thing.Name, Rows: int64(len(rows)), Size: int64(len(b))}, func(r kind.Row) bool {
			n++
			for i, c := range s.columns {
				if r[i] == nil && required(c) || r[i] != nil && !fits(c.Type, r[i]) {
					t.Fatalf("column %s is %#v", c.Name, r[i])
				}
			}
			return true
		})
		if err != nil {
			failed++
			blames(t, err, "mutated")
		}
		if n > len(rows) || err == nil && n != len(rows) {
			t.Fatalf("%d rows and %v", n, err)
		}
	}
	if failed < 1000 {
		t.Errorf("only %d of 5000 were noticed", failed)
	}
}

// TestForeign changes what is in the directory.
func TestForeign(t *testing.T) {
	pairs, others := "aws/pair/account=111111111111/region=us-east-1", "aws/other/account=111111111111"
	file := func(t *testing.T, dir, in string) string {
		for _, p := range files(t, dir) {
			if path.Dir(p) == in {
				return p
			}
		}
		t.Fatalf("no file in %s", in)
		return ""
	}
	outside := filepath.Join(t.TempDir(), "outside")
	ok(t, os.WriteFile(outside, []byte("outside"), 0o600))
	for name, change := range map[string]func(t *testing.T, dir string) (blamed string){
		"missing": func(t *testing.T, dir string) string {
			p := file(t, dir, pairs)
			ok(t, os.Remove(filepath.Join(dir, p)))
			return p
		},
		"missing manifest": func(t *testing.T, dir string) string {
			ok(t, os.Remove(filepath.Join(dir, manifestFile)))
			return ""
		},
		"extra at the top": func(t *testing.T, dir string) string {
			ok(t, os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600))
			return "notes.txt"
		},
		"extra beside a file": func(t *testing.T, dir string) string {
			p := pairs + "/part-000000000000.parquet"
			ok(t, os.WriteFile(filepath.Join(dir, p), nil, 0o600))
			return p
		},
		"extra directory": func(t *testing.T, dir string) string {
			ok(t, os.Mkdir(filepath.Join(dir, "aws/pair/account=333333333333"), 0o700))
			return "aws/pair/account=333333333333"
		},
		"swapped": func(t *testing.T, dir string) string {
			a, b := file(t, dir, pairs), file(t, dir, others)
			ok(t, os.Rename(filepath.Join(dir, a), filepath.Join(dir, "x")))
			ok(t, os.Rename(filepath.Join(dir, b), filepath.Join(dir, a)))
			ok(t, os.Rename(filepath.Join(dir, "x"), filepath.Join(dir, b)))
			return b
		},
		"a link to the file": func(t *testing.T, dir string) string {
			p := file(t, dir, pairs)
			moved := filepath.Join(t.TempDir(), "moved")
			ok(t, os.Rename(filepath.Join(dir, p), moved))
			ok(t, os.Symlink(moved, filepath.Join(dir, p)))
			return p
		},
		"a link inside": func(t *testing.T, dir string) string {
			p := file(t, dir, pairs)
			ok(t, os.Symlink(path.Base(p), filepath.Join(dir, pairs, "part-000000000000.parquet")))
			return pairs + "/part-000000000000.parquet"
		},
		"a linked directory": func(t *testing.T, dir string) string {
			moved := filepath.Join(t.TempDir(), "moved")
			ok(t, os.Rename(filepath.Join(dir, pairs), moved))
			ok(t, os.Symlink(moved, filepath.Join(dir, pairs)))
			return pairs
		},
		"a linked manifest": func(t *testing.T, dir string) string {
			moved := filepath.Join(t.TempDir(), "moved")
			ok(t, os.Rename(filepath.Join(dir, manifestFile), moved))
			ok(t, os.Symlink(moved, filepath.Join(dir, manifestFile)))
			return manifestFile
		},
		"a directory for a file": func(t *testing.T, dir string) string {
			p := file(t, dir, pairs)
			ok(t, os.Remove(filepath.Join(dir, p)))
			ok(t, os.Mkdir(filepath.Join(dir, p), 0o700))
			return p
		},
		"a link to the lock": func(t *testing.T, dir string) string {
			ok(t, os.Symlink(outside, filepath.Join(dir, lockFile)))
			return lockFile
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tiny(t)
			blamed := change(t, dir)
			err := inspect(dir)
			if blamed == "" {
				if !errors.Is(err, ErrNotSnapshot) {
					t.Error(err)
				}
				return
			}
			blames(t, err, blamed)
		})
	}
}

// edit rewrites a snapshot's manifest with a right checksum, as whoever makes
// a snapshot to harm its reader would.
func edit(t *testing.T, dir string, change func(*Manifest)) {
	t.Helper()
	at := filepath.Join(dir, manifestFile)
	var m Manifest
	ok(t, json.Unmarshal(must(os.ReadFile(at))(t), &m))
	change(&m)
	ok(t, os.WriteFile(at, must(m.encode())(t), 0o600))
}

func TestForged(t *testing.T) {
	cell := func(m *Manifest) *Cell {
		return &m.Cells[slices.IndexFunc(m.Cells, func(c Cell) bool { return c.CellID == east })]
	}
	for name, change := range map[string]func(m *Manifest){
		"escaping path":      func(m *Manifest) { cell(m).Files[0].Path = "../../etc/passwd" },
		"absolute path":      func(m *Manifest) { cell(m).Files[0].Path = "/etc/passwd" },
		"another cell's":     func(m *Manifest) { cell(m).Files = m.Cells[0].Files },
		"escaping account":   func(m *Manifest) { cell(m).Account = "../x" },
		"unknown account":    func(m *Manifest) { m.Accounts = m.Accounts[:0] },
		"unknown sync":       func(m *Manifest) { m.Syncs = m.Syncs[1:] },
		"unknown state":      func(m *Manifest) { cell(m).State = "done" },
		"denied with rows":   func(m *Manifest) { cell(m).State = Denied },
		"file listed twice":  func(m *Manifest) { c := cell(m); c.Files, c.Rows = append(c.Files, c.Files[0]), 2*c.Rows },
		"cell listed twice":  func(m *Manifest) { m.Cells = append(m.Cells, m.Cells[0]) },
		"another row count":  func(m *Manifest) { cell(m).Rows++ },
		"rows for the sky":   func(m *Manifest) { cell(m).Rows, cell(m).Files[0].Rows = 1<<40, 1<<40 },
		"bytes for the sky":  func(m *Manifest) { cell(m).Files[0].Size = 1 << 40 },
		"another schema":     func(m *Manifest) { m.Tables[1].Columns[0].Name = "n" },
		"table without key":  func(m *Manifest) { m.Tables[1].Columns[0].Key, m.Tables[1].Columns[1].Key = false, false },
		"path in table name": func(m *Manifest) { m.Tables[1].Name = "a/../b" },
		"no format":          func(m *Manifest) { m.Format, m.MinReader = 0, 0 },
	} {
		t.Run(name, func(t *testing.T) {
			dir := tiny(t)
			edit(t, dir, change)
			blames(t, inspect(dir), manifestFile)
		})
	}
	// These are whole in themselves; the files tell.
	for name, change := range map[string]func(m *Manifest){
		"rows":    func(m *Manifest) { cell(m).Rows, cell(m).Files[0].Rows = 1, 1 },
		"columns": func(m *Manifest) { c := m.Tables[1].Columns; c[0].Name = "n"; m.Tables[1].Fingerprint = fingerprint(c) },
		"types": func(m *Manifest) {
			c := m.Tables[1].Columns
			c[1].Type = kind.Int
			m.Tables[1].Fingerprint = fingerprint(c)
		},
	} {
		t.Run("other "+name, func(t *testing.T) {
			dir := tiny(t)
			path := ""
			edit(t, dir, func(m *Manifest) { change(m); path = cell(m).Files[0].Path })
			blames(t, inspect(dir), path)
		})
	}
	t.Run("moved to another cell", func(t *testing.T) {
		dir := tiny(t)
		path := ""
		edit(t, dir, func(m *Manifest) {
			c := cell(m)
			c.Region = "eu-west-1"
			path = filePath(c.CellID, "pair", c.Files[0].SHA256)
			ok(t, os.Mkdir(filepath.Join(dir, filepath.Dir(filepath.Dir(path)), "region=eu-west-1"), 0o700))
			ok(t, os.Rename(filepath.Join(dir, c.Files[0].Path), filepath.Join(dir, path)))
			ok(t, os.Remove(filepath.Join(dir, filepath.Dir(c.Files[0].Path))))
			c.Files[0].Path = path
		})
		blames(t, inspect(dir), path)
	})
}

func TestVersions(t *testing.T) {
	dir := tiny(t)
	edit(t, dir, func(m *Manifest) { m.Format, m.MinReader, m.Program = 7, 7, "snap 9.1" })
	v := (*VersionError)(nil)
	if _, err := Open(dir); !errors.As(err, &v) || !strings.Contains(err.Error(), "format 7") || !strings.Contains(err.Error(), "snap 9.1") {
		t.Errorf("a newer format: %v", err)
	}
	if _, err := Resume(dir); !errors.As(err, &v) {
		t.Errorf("resuming a newer format: %v", err)
	}
	// A format of which nothing but the version is known.
	ok(t, os.WriteFile(filepath.Join(dir, manifestFile), []byte(`{"cells":"elsewhere","min_reader":2,"format":3}`), 0o600))
	if _, err := Open(dir); !errors.As(err, &v) || !strings.Contains(err.Error(), "format 2") {
		t.Errorf("an unknown format: %v", err)
	}
	// A newer program that older readers understand may add fields.
	dir = tiny(t)
	edit(t, dir, func(m *Manifest) { m.Format = 2 })
	at := filepath.Join(dir, manifestFile)
	b := bytes.Replace(must(os.ReadFile(at))(t), []byte("{\n"), []byte("{\n  \"novelty\": [1],\n"), 1)
	b = b[:bytes.LastIndex(b, []byte(sumStart))]
	ok(t, os.WriteFile(at, []byte(string(b)+sumStart+hexSHA256(b)+sumEnd), 0o600))
	ok(t, inspect(dir))
}

func TestColumnsOfAnotherVersion(t *testing.T) {
	dir, _ := small(t)
	s := must(Open(dir))(t)
	defer s.Close()
	c, _ := s.Cell(east)
	f := c.Files[slices.IndexFunc(c.Files, func(f File) bool { return f.Table == "thing" })]
	newer := &kind.Table{Name: "thing", Sync: "things", Columns: []kind.Column{
		{Name: "count", Type: kind.Int}, {Name: "id", Type: kind.String, Key: true, Required: true}, {Name: "size", Type: kind.Int}, {Name: "names", Type: kind.Strings},
	}}
	rows, missing, extra := s.Read(newer, f)
	if !slices.Equal(missing, []string{"size"}) || len(extra) != len(thing.Columns)-3 || slices.Contains(extra, "names") {
		t.Errorf("missing %q, extra %q", missing, extra)
	}
	var got []kind.Row
	for r, err := range rows {
		ok(t, err)
		got = append(got, r)
	}
	for i, e := range edges() {
		if want := (kind.Row{e[2], e[0], nil, e[6]}); !reflect.DeepEqual(got[i], want) {
			t.Errorf("got %v, want %v", got[i], want)
		}
	}
	for what, columns := range map[string][]kind.Column{
		"count is a int; this program knows it as a string": {{Name: "id", Type: kind.String, Key: true}, {Name: "count", Type: kind.String}},
		"lacks the key column arn":                          {{Name: "arn", Type: kind.String, Key: true}},
	} {
		rows, _, _ := s.Read(&kind.Table{Name: "thing", Columns: columns}, f)
		for r, err := range rows {
			if err == nil || r != nil || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), f.Path) {
				t.Errorf("got %v, %v; want %s", r, err, what)
			}
		}
	}
	f.Rows++
	rows, _, _ = s.Read(thing, f)
	for _, err := range rows {
		if err == nil || !strings.Contains(err.Error(), "no file of it") {
			t.Errorf("a file of elsewhere: %v", err)
		}
	}
}

// TestUnfit puts rows that cannot be written: Close says table, key and column.
func TestUnfit(t *testing.T) {
	w := must(Create(filepath.Join(t.TempDir(), "snap"), head()))(t)
	defer w.Close()
	with := func(i int, v any) kind.Row { r := thingRow("i-1"); r[i] = v; return r }
	for name, c := range map[string]struct {
		row  kind.Row
		want []string
	}{
		"not UTF-8":         {with(1, "a\xff"), []string{"thing", "i-1", "zone", "UTF-8"}},
		"key not UTF-8":     {with(0, "a\xff"), []string{"thing", "column id", "UTF-8"}},
		"element not UTF-8": {with(6, []string{"a", "\xff"}), []string{"thing", "i-1", "names", "element 1", "UTF-8"}},
		"null":              {with(8, nil), []string{"thing", "i-1", "must", "null"}},
		"null key":          {with(0, nil), []string{"thing", "id"}},
		"wrong type":        {with(2, 3), []string{"thing", "i-1", "count", "int"}},
		"wrong list":        {with(6, []int64{1}), []string{"thing", "i-1", "names"}},
		"text for a list":   {with(6, "x"), []string{"thing", "i-1", "names"}},
		"too short":         {kind.Row{"i-1"}, []string{"thing", "1 values for 14 columns"}},
	} {
		cell := w.Cell(east)
		cell.Put(thing, thingRow("i-0"))
		cell.Put(thing, c.row)
		err := cell.Close(things, outcome(Complete))
		if err == nil {
			t.Errorf("%s: written", name)
			continue
		}
		for _, s := range append(c.want, east.String()) {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: the error lacks %q: %v", name, s, err)
			}
		}
	}
	if _, err := w.Commit(all, first); err == nil || !strings.Contains(err.Error(), east.String()) {
		t.Errorf("committed without an outcome of the cell: %v", err)
	}
	cell := w.Cell(east)
	cell.Lose(errors.New("a page is missing"))
	if err := cell.Close(things, outcome(Complete)); err == nil || !strings.Contains(err.Error(), "a page is missing") {
		t.Errorf("complete with a loss: %v", err)
	}
	if l := cell.Losses(); len(l) != 1 {
		t.Errorf("losses: %v", l)
	}
	cell = w.Cell(east)
	cell.Put(thing, thingRow("i-0"))
	if err := cell.Close(things, outcome(Failed)); err == nil || !strings.Contains(err.Error(), "partial") {
		t.Errorf("failed with rows: %v", err)
	}
	cell = w.Cell(east)
	cell.Put(other, kind.Row{"x", nil})
	if err := cell.Close(things, outcome(Complete)); err == nil || !strings.Contains(err.Error(), "other") {
		t.Errorf("a row of another sync's table: %v", err)
	}
	ok(t, w.Cell(east).Close(things, outcome(Failed)))
	cell.Put(thing, thingRow("late"))
	if _, err := w.Commit(all, first); err == nil || !strings.Contains(err.Error(), "after the cell's end") {
		t.Errorf("committed without a row that came late: %v", err)
	}
}

// TestWhere tells apart what a directory may hold.
func TestWhere(t *testing.T) {
	base := t.TempDir()
	dir := filepath.Join(base, "not", "yet", "there")
	if _, err := Open(dir); !errors.Is(err, ErrNotSnapshot) {
		t.Errorf("open of nothing: %v", err)
	}
	if _, err := Resume(dir); !errors.Is(err, ErrNotSnapshot) {
		t.Errorf("resume of nothing: %v", err)
	}
	ok(t, CheckNew(dir))
	if _, err := os.Stat(dir); err == nil {
		t.Error("the check leaves a directory")
	}
	w := must(Create(dir, head()))(t)
	if err := CheckNew(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("check beside a writer: %v", err)
	}
	if _, err := Create(dir, head()); !errors.Is(err, ErrLocked) {
		t.Errorf("create beside a writer: %v", err)
	}
	if _, err := Resume(dir); !errors.Is(err, ErrLocked) {
		t.Errorf("resume beside a writer: %v", err)
	}
	ok(t, w.Close())
	if _, err := Create(dir, head()); !errors.Is(err, ErrUnfinished) {
		t.Errorf("create over a collection: %v", err)
	}
	if _, err := Open(dir); !errors.Is(err, ErrNotSnapshot) || !errors.Is(err, ErrUnfinished) {
		t.Errorf("open of a collection: %v", err)
	}
	w = must(Resume(dir))(t)
	if m := w.Manifest(); !m.Started.Equal(started) || !slices.Equal(m.Syncs, []string{"others", "things"}) {
		t.Errorf("the resumed manifest is %+v", m)
	}
	id := must(w.Commit(all, first))(t)
	if _, err := w.Commit(all, first); err == nil {
		t.Error("committed twice")
	}
	ok(t, w.Close())
	if err := CheckNew(dir); !errors.Is(err, ErrExists) {
		t.Errorf("check over a snapshot: %v", err)
	}
	if _, err := Create(dir, head()); !errors.Is(err, ErrExists) {
		t.Errorf("create over a snapshot: %v", err)
	}
	sound(t, dir, id)
	if _, err := Create(base, head()); err == nil || !strings.Contains(err.Error(), `"not"`) {
		t.Errorf("create in a directory that is not empty: %v", err)
	}
	plain := filepath.Join(base, "file")
	ok(t, os.WriteFile(plain, nil, 0o600))
	if _, err := Create(plain, head()); err == nil {
		t.Error("create on a file")
	}
	if _, err := Open(plain); !errors.Is(err, ErrNotSnapshot) {
		t.Errorf("open of a file: %v", err)
	}
}

func TestResume(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snap")
	w := must(Create(dir, head()))(t)
	ok(t, fill(w))
	ok(t, w.Close())
	journal := filepath.Join(dir, journalFile)
	whole := must(os.ReadFile(journal))(t)

	// A torn last line is as if it were not there.
	ok(t, os.WriteFile(journal, whole[:len(whole)-2], 0o600))
	stray := filepath.Join(dir, "aws/thing/account=111111111111/region=us-east-1/part-000000000000.parquet")
	ok(t, os.WriteFile(stray, nil, 0o600))
	ok(t, os.WriteFile(filepath.Join(dir, tempName(".", 1)), nil, 0o600)) // of a resumption that was killed
	w = must(Resume(dir))(t)
	if _, err := os.Stat(stray); err == nil {
		t.Error("a file of no cell is not swept")
	}
	c, done := w.Done(east)
	if !done || c.Rows != 7 || len(c.Files) != 2 {
		t.Errorf("%s: %+v", east, c)
	}
	for _, id := range []CellID{west, global} {
		if _, done := w.Done(id); done {
			t.Errorf("%s is done", id)
		}
	}
	ok(t, w.Close())

	// A file that changed makes its cell one to be collected again.
	damagedFile := filepath.Join(dir, c.Files[0].Path)
	content := must(os.ReadFile(damagedFile))(t)
	content[len(content)/2] ^= 1
	ok(t, os.WriteFile(damagedFile, content, 0o600))
	w = must(Resume(dir))(t)
	if _, done := w.Done(east); done {
		t.Error("done with a damaged file")
	}
	if _, err := w.Commit(all, first); err == nil || !strings.Contains(err.Error(), east.String()) {
		t.Errorf("committed without a cell: %v", err)
	}
	ok(t, fill(w))
	must(w.Commit(all, first))(t)
	ok(t, inspect(dir))

	// Another version of the program has other columns or tables.
	w = must(Resume(dir))(t)
	more := &kind.Table{Name: "more", Sync: "others", Columns: other.Columns}
	if err := w.Cell(global).Close([]*kind.Table{other, more}, outcome(Complete)); err == nil || !strings.Contains(err.Error(), "snap test") {
		t.Errorf("a table was added: %v", err)
	}
	longer := &kind.Table{Name: "other", Sync: "others", Columns: append(slices.Clone(other.Columns), kind.Column{Name: "new", Type: kind.Int})}
	if err := w.Cell(global).Close([]*kind.Table{longer}, outcome(Complete)); err == nil || !strings.Contains(err.Error(), "snap test") {
		t.Errorf("a column was added: %v", err)
	}
	// What did not end leaves the snapshot as it was.
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	ok(t, inspect(dir))
}

// TestReplace resumes a snapshot: it stays whole until the new manifest.
func TestReplace(t *testing.T) {
	dir, before := small(t)
	w := must(Resume(dir))(t)
	if m := w.Manifest(); m.Tag() != started.Unix() {
		t.Errorf("tag %d", m.Tag())
	}
	if _, done := w.Done(global); done {
		t.Error("a partial cell is done")
	}
	old := must(Open(dir))(t)
	defer old.Close()
	ok(t, complete(w))
	sound(t, dir, before)
	after := must(w.Commit(all, second))(t)
	sound(t, dir, after)
	s := must(Open(dir))(t)
	defer s.Close()
	c, _ := s.Cell(global)
	if c.State != Complete || c.Rows != 2 || len(c.Files) != 1 || len(files(t, dir)) != 4 || s.Manifest.Tag() != started.Unix() || !s.Manifest.Finished.Equal(second) {
		t.Errorf("cell %+v, files %q", c, files(t, dir))
	}
	if errs := old.Verify(context.Background(), false); len(errs) == 0 {
		t.Error("the snapshot was replaced, and the old one does not notice")
	}
}

// TestRepeatable writes the same twice, at another time: the files are the same.
func TestRepeatable(t *testing.T) {
	a, _ := small(t)
	b := filepath.Join(t.TempDir(), "snap")
	m := head()
	m.Started = started.Add(time.Hour)
	w := must(Create(b, m))(t)
	ok(t, fill(w))
	must(w.Commit(all, m.Started))(t)
	if x, y := files(t, a), files(t, b); !slices.Equal(x, y) || len(x) != 4 {
		t.Errorf("%q\n%q", x, y)
	}
	for i, p := range files(t, a)[:3] {
		if x, y := must(os.ReadFile(filepath.Join(a, p)))(t), must(os.ReadFile(filepath.Join(b, p)))(t); !bytes.Equal(x, y) {
			t.Errorf("file %d: %s differs", i, p)
		}
	}
}

// TestManyRows spans batches, pages and row groups.
func TestManyRows(t *testing.T) {
	s := must(newSchema(thing.Name, thing.Columns))(t)
	const n = rowsPerGroup + 3*readBatch + 17
	rows := make([]kind.Row, n)
	for i := range rows {
		rows[i] = thingRow(fmt.Sprintf("i-%08d", i))
		rows[i][2] = int64(i)
		if i%3 == 0 {
			rows[i][6] = []string{"a", fmt.Sprint(i)}
		} else if i%3 == 1 {
			rows[i][6] = []string{}
		}
	}
	var out bytes.Buffer
	ok(t, s.writeAll(&out, rows, metadata(east, thing.Name)))
	i := 0
	f := File{Path: "many", Table: thing.Name, Rows: n}
	ok(t, s.decode(whole(out.Bytes()), east, f, func(r kind.Row) bool {
		if !reflect.DeepEqual(r, rows[i]) {
			t.Fatalf("row %d: got %v, want %v", i, r, rows[i])
		}
		i++
		return true
	}))
	if i != n {
		t.Errorf("%d rows", i)
	}
	// Rows out of order are noticed, across batches too.
	rows[readBatch-1], rows[readBatch] = rows[readBatch], rows[readBatch-1]
	out.Reset()
	ok(t, s.writeAll(&out, rows, metadata(east, thing.Name)))
	blames(t, s.decode(whole(out.Bytes()), east, f, func(kind.Row) bool { return true }), "many")
}

// TestManifestOnly: a directory opens by its manifest alone, however its other
// files are; Verify then names all that is wrong with them, and none is read
// that is not as it was written.
func TestManifestOnly(t *testing.T) {
	dir, id := small(t)
	paths := files(t, dir)
	var data []string
	for _, p := range paths {
		if strings.HasSuffix(p, ".parquet") {
			data = append(data, p)
		}
	}
	ok(t, os.Remove(filepath.Join(dir, data[0])))
	ok(t, os.Truncate(filepath.Join(dir, data[1]), 7))
	ok(t, os.WriteFile(filepath.Join(dir, "aws", "letter"), nil, 0o600))
	if _, err := Open(dir); !isDamaged(err) {
		t.Errorf("Open: %v", err)
	}
	s := must(OpenWith(dir, OpenOptions{ManifestOnly: true}))(t)
	defer s.Close()
	if s.ID != id {
		t.Errorf("id %s", s.ID)
	}
	text := errors.Join(s.Verify(ctx, false)...).Error()
	for _, name := range []string{data[0], data[1], "aws/letter"} {
		if !strings.Contains(text, name) {
			t.Errorf("Verify does not name %s: %s", name, text)
		}
	}
	read := 0
	for _, c := range s.Manifest.Cells {
		for _, f := range c.Files {
			own, _ := s.Own(f.Table)
			rows, _, _ := s.Read(own, f)
			for _, err := range rows {
				if f.Path == data[0] || f.Path == data[1] {
					blames(t, err, f.Path)
				} else {
					ok(t, err)
					read++
				}
			}
		}
	}
	if read == 0 {
		t.Error("nothing else was read")
	}
	// The manifest itself is never let pass.
	b := must(os.ReadFile(filepath.Join(dir, manifestFile)))(t)
	b[len(b)/2] ^= 1
	ok(t, os.WriteFile(filepath.Join(dir, manifestFile), b, 0o600))
	if _, err := OpenWith(dir, OpenOptions{ManifestOnly: true}); !isDamaged(err) {
		t.Errorf("with a changed manifest: %v", err)
	}
}

// TestManifestOnlyBundle: of a bundle the length is looked at, too.
func TestManifestOnlyBundle(t *testing.T) {
	b := bundleOf(t, tiny(t), BundleOptions{})
	only := OpenOptions{ManifestOnly: true}
	if _, err := inspectBytes(t, b[:len(b)-1], only); !isDamaged(err) || !strings.Contains(err.Error(), "cut off") {
		t.Errorf("cut off: %v", err)
	}
	if _, err := inspectBytes(t, append(slices.Clone(b), 0), only); !isDamaged(err) {
		t.Errorf("with a byte more: %v", err)
	}
	// Whatever else is wrong Verify finds, in each header and all that fills up.
	for _, at := range []int{len(b) - 1, len(b) - tarEnd - 1} {
		bad := slices.Clone(b)
		bad[at] ^= 1
		path := filepath.Join(t.TempDir(), "x.snap")
		ok(t, os.WriteFile(path, bad, 0o600))
		s := must(OpenWith(path, only))(t)
		if errors.Join(s.Verify(ctx, false)...) == nil {
			t.Errorf("byte %d of %d: not noticed", at, len(b))
		}
		ok(t, s.Close())
	}
}
