package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// op is one operation on a disk that changes it.
type op struct {
	do       string // "mkdir", "create", "append", "write", "sync", "close", "rename", "remove", "syncdir", "flush", "lock", "unlock"
	name, to string
	names    []string // of flush
	data     []byte
}

// testDisk hands everything on to the disk itself, notes it, and fails where
// it is told to. It never syncs: what would be lost is worked out from ops.
type testDisk struct {
	disk
	mu    sync.Mutex
	ops   []op
	fault func(n int, o op) error // asked before each operation
}

func (d *testDisk) note(o op) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := len(d.ops)
	d.ops = append(d.ops, o)
	if d.fault != nil {
		return d.fault(n, o)
	}
	return nil
}

func (d *testDisk) Mkdir(name string) error {
	if err := d.note(op{do: "mkdir", name: name}); err != nil {
		return err
	}
	return d.disk.Mkdir(name)
}

func (d *testDisk) Create(name string) (file, error) {
	if err := d.note(op{do: "create", name: name}); err != nil {
		return nil, err
	}
	f, err := d.disk.Create(name)
	return &testFile{d, f, name}, err
}

func (d *testDisk) Append(name string) (file, error) {
	if err := d.note(op{do: "append", name: name}); err != nil {
		return nil, err
	}
	f, err := d.disk.Append(name)
	return &testFile{d, f, name}, err
}

func (d *testDisk) Scratch(name string) (scratch, error) {
	for _, do := range []string{"create", "remove"} {
		if err := d.note(op{do: do, name: name}); err != nil {
			return nil, err
		}
	}
	f, err := d.disk.Scratch(name)
	return &testScratch{f, d, name}, err
}

// testScratch has a name for itself for each operation: none of them changes
// what a crash leaves.
type testScratch struct {
	scratch
	d    *testDisk
	name string
}

func (f *testScratch) Write(b []byte) (int, error) {
	if err := f.d.note(op{do: "set aside", name: f.name}); err != nil {
		n, _ := f.scratch.Write(b[:len(b)/2])
		return n, err
	}
	return f.scratch.Write(b)
}

func (f *testScratch) ReadAt(b []byte, at int64) (int, error) {
	if err := f.d.note(op{do: "read aside", name: f.name}); err != nil {
		return 0, err
	}
	return f.scratch.ReadAt(b, at)
}

func (f *testScratch) Close() error {
	return errors.Join(f.d.note(op{do: "close aside", name: f.name}), f.scratch.Close())
}

func (d *testDisk) Rename(from, to string) error {
	if err := d.note(op{do: "rename", name: from, to: to}); err != nil {
		return err
	}
	return d.disk.Rename(from, to)
}

func (d *testDisk) Remove(name string) error {
	if err := d.note(op{do: "remove", name: name}); err != nil {
		return err
	}
	return d.disk.Remove(name)
}

func (d *testDisk) SyncDir(name string) error {
	return d.note(op{do: "syncdir", name: name})
}

func (d *testDisk) Flush(names []string) error {
	return d.note(op{do: "flush", names: names})
}

func (d *testDisk) List(name string) ([]fs.DirEntry, error) {
	if err := d.note(op{do: "list", name: name}); err != nil {
		return nil, err
	}
	return d.disk.List(name)
}

func (d *testDisk) Open(name string) (fs.File, error) {
	if err := d.note(op{do: "open", name: name}); err != nil {
		return nil, err
	}
	return d.disk.Open(name)
}

func (d *testDisk) Lock(name string) (release, error) {
	if err := d.note(op{do: "lock", name: name}); err != nil {
		return nil, err
	}
	unlock, err := d.disk.Lock(name)
	return func() error { return errors.Join(d.note(op{do: "unlock", name: name}), unlock()) }, err
}

type testFile struct {
	d    *testDisk
	f    file
	name string
}

func (f *testFile) Write(b []byte) (int, error) {
	if err := f.d.note(op{do: "write", name: f.name, data: slices.Clone(b)}); err != nil {
		n, _ := f.f.Write(b[:len(b)/2]) // a full disk takes a part
		return n, err
	}
	return f.f.Write(b)
}

func (f *testFile) Sync() error {
	return f.d.note(op{do: "sync", name: f.name})
}

func (f *testFile) Close() error {
	return errors.Join(f.d.note(op{do: "close", name: f.name}), f.f.Close())
}

// on makes an open function whose disk is d around the disk itself.
func on(d *testDisk) func(string) (disk, error) {
	return func(dir string) (disk, error) {
		real, err := openRooted(dir)
		d.disk = real
		return d, err
	}
}

// inode is a file: what was written and what of it is surely kept.
type inode struct{ data, kept []byte }

// tree maps paths to files; a nil inode is a directory.
type tree map[string]*inode

func load(t testing.TB, dir string) tree {
	t.Helper()
	out := tree{}
	ok(t, filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		if e.IsDir() {
			out[rel] = nil
			return nil
		}
		b, err := os.ReadFile(p)
		out[rel] = &inode{b, b}
		return err
	}))
	return out
}

func (s tree) store(t testing.TB, dir string) {
	t.Helper()
	ok(t, os.Mkdir(dir, 0o700))
	var paths []string
	for p := range s {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, p := range paths {
		if s[p] == nil {
			ok(t, os.Mkdir(filepath.Join(dir, p), 0o700))
		} else {
			ok(t, os.WriteFile(filepath.Join(dir, p), s[p].data, 0o600))
		}
	}
}

// after is what a crash after the operations leaves of begin, at best and at
// worst: everything (the process died); the names as they are, but the content
// only as far as it was synced; and only what was synced, names too.
func after(begin tree, ops []op) map[string]tree {
	now, kept := tree{}, tree{}
	for p, i := range begin {
		if i != nil {
			i = &inode{i.data, i.kept}
		}
		now[p], kept[p] = i, i
	}
	open := map[string]*inode{} // by the name that it was opened by
	syncdir := func(name string) {
		for p := range kept {
			if _, there := now[p]; !there && path.Dir(p) == name {
				delete(kept, p)
			}
		}
		for p, i := range now {
			if path.Dir(p) == name {
				kept[p] = i
			}
		}
	}
	for _, o := range ops {
		switch o.do {
		case "mkdir":
			now[o.name] = nil
		case "create":
			now[o.name] = &inode{}
			open[o.name] = now[o.name]
		case "append":
			open[o.name] = now[o.name]
		case "write":
			open[o.name].data = slices.Concat(open[o.name].data, o.data)
		case "sync":
			open[o.name].kept = open[o.name].data
		case "rename":
			now[o.to] = now[o.name]
			delete(now, o.name)
		case "remove":
			delete(now, o.name)
		case "lock":
			now[o.name] = &inode{}
		case "unlock":
			delete(now, o.name)
		case "syncdir":
			syncdir(o.name)
		case "flush":
			for _, name := range o.names {
				if i := now[name]; i != nil {
					i.kept = i.data
				} else {
					syncdir(name)
				}
			}
		}
	}
	cut, lost := tree{}, tree{}
	for p, i := range now {
		if i != nil {
			i = &inode{data: i.kept}
		}
		cut[p] = i
	}
	for p, i := range kept {
		whole := true
		for d := path.Dir(p); d != "."; d = path.Dir(d) {
			if _, there := kept[d]; !there {
				whole = false
			}
		}
		if !whole {
			continue
		}
		if i != nil {
			i = &inode{data: i.kept}
		}
		lost[p] = i
	}
	return map[string]tree{"process died": now, "content lost": cut, "names lost": lost}
}

// sound opens dir, which is a whole snapshot with one of the ids or none.
func sound(t *testing.T, dir string, ids ...string) (id string) {
	t.Helper()
	s, err := Open(dir)
	if errors.Is(err, ErrNotSnapshot) && slices.Contains(ids, "") {
		return ""
	}
	if err != nil {
		t.Errorf("open: %v", err)
		return ""
	}
	defer s.Close()
	if errs := s.Verify(context.Background(), true); errs != nil {
		t.Errorf("verify: %v", errs)
	}
	if !slices.Contains(ids, s.ID) {
		t.Errorf("opens as %s, want one of %q", s.ID, ids)
	}
	return s.ID
}

// finish continues what is in dir to the end, or begins it; the snapshot is
// then the same as without the interruption.
func finish(t *testing.T, dir string, finished time.Time, want string) {
	t.Helper()
	d := &testDisk{}
	w, err := resume(dir, on(d))
	if errors.Is(err, ErrNotSnapshot) {
		w, err = create(dir, head(), on(d))
	}
	if err != nil {
		t.Errorf("neither resumed nor begun: %v", err)
		return
	}
	if err := complete(w); err != nil {
		t.Errorf("resumed: %v", err)
	}
	id, err := w.Commit(all, finished)
	if err != nil || id != want {
		t.Errorf("resumed: %s, %v; want %s", id, err, want)
	}
	sound(t, dir, want)
	for _, p := range files(t, dir) {
		if p != manifestFile && !strings.HasSuffix(p, ".parquet") {
			t.Errorf("%s is left", p)
		}
	}
}

// complete collects what is not done, this time without a loss.
func complete(w *Writer) error {
	if err := fill(w); err != nil {
		return err
	}
	if c, done := w.Done(global); !done || c.Rows != 2 {
		g := w.Cell(global)
		g.Put(other, []any{"o", "us-east-1"})
		g.Put(other, []any{"p", nil})
		if err := g.Close(all[2:], outcome(Complete)); err != nil {
			return err
		}
	}
	return nil
}

var first, second = started.Add(time.Minute), started.Add(time.Hour)

// collect writes the first snapshot of the tests on d.
func collect(dir string, d *testDisk) (string, error) { return collectWithin(dir, d, memoryLimit) }

func collectWithin(dir string, d *testDisk, limit int64) (string, error) {
	if err := os.Mkdir(dir, 0o700); err != nil { // where Create would sync for real
		return "", err
	}
	w, err := create(dir, head(), on(d))
	if err != nil {
		return "", err
	}
	defer w.Close()
	w.limit = limit
	if err := fill(w); err != nil {
		return "", err
	}
	return w.Commit(all, first)
}

// again resumes it: the partial cell becomes complete.
func again(dir string, d *testDisk) (string, error) {
	w, err := resume(dir, on(d))
	if err != nil {
		return "", err
	}
	defer w.Close()
	if err := complete(w); err != nil {
		return "", err
	}
	return w.Commit(all, second)
}

// runs are the ways to write, each from its beginning.
func runs(t *testing.T) map[string]func(dir string, d *testDisk) (string, error) {
	return map[string]func(string, *testDisk) (string, error){"collect": collect, "again": again, "set aside": setAside}
}

// setAside is collect, of which every row is set aside.
func setAside(dir string, d *testDisk) (string, error) { return collectWithin(dir, d, 1) }

// ids are the ids that the two runs end with.
func ids(t *testing.T) (one, two string) {
	dir := filepath.Join(t.TempDir(), "snap")
	one = must(collect(dir, &testDisk{}))(t)
	two = must(again(dir, &testDisk{}))(t)
	if one == two {
		t.Fatal("the second snapshot is the first")
	}
	return one, two
}

// TestCrash stops after each operation and looks at each state that the disk
// may then be in.
func TestCrash(t *testing.T) {
	one, two := ids(t)
	for name, run := range runs(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "snap")
			begin := tree{}
			before := ""
			if name == "again" {
				must(collect(dir, &testDisk{}))(t)
				begin, before = load(t, dir), one
			}
			d := &testDisk{}
			end := must(run(dir, d))(t)
			if end != map[string]string{"again": two}[name] && end != one {
				t.Fatalf("it ends with %s", end)
			}
			if spilled := slices.ContainsFunc(d.ops, func(o op) bool { return o.do == "read aside" }); spilled != (name == "set aside") {
				t.Fatalf("rows were set aside: %t", spilled)
			}
			if len(d.ops) < 20 {
				t.Fatalf("%d operations", len(d.ops))
			}
			states, seen := 0, map[string]bool{}
			for n := range len(d.ops) + 1 {
				for how, state := range after(begin, d.ops[:n]) {
					key := ""
					for p, i := range state {
						key += p
						if i != nil {
							key += fmt.Sprint(":", len(i.data))
						}
					}
					last := op{}
					if n > 0 {
						last = d.ops[n-1]
					}
					at := filepath.Join(t.TempDir(), "snap")
					state.store(t, at)
					got := sound(t, at, before, end)
					if n == len(d.ops) && got != end {
						t.Errorf("%s after the end: opens as %q", how, got)
					}
					if !seen[key] || states%7 == 0 {
						finish(t, at, second, two)
					}
					seen[key] = true
					states++
					if t.Failed() {
						t.Fatalf("%s after operation %d (%s %s)", how, n, last.do, last.name)
					}
				}
			}
			t.Logf("%d operations, %d states", len(d.ops), states)
		})
	}
}

// TestFaults lets each operation fail, once and from then on.
func TestFaults(t *testing.T) {
	one, two := ids(t)
	for name, run := range runs(t) {
		for fault, once := range map[error]bool{syscall.ENOSPC: false, syscall.EIO: true} {
			t.Run(fmt.Sprintf("%s/%s", name, fault), func(t *testing.T) {
				t.Parallel()
				for n := 0; ; n++ {
					dir := filepath.Join(t.TempDir(), "snap")
					before := ""
					if name == "again" {
						before = must(collect(dir, &testDisk{}))(t)
					}
					var hit op
					d := &testDisk{fault: func(i int, o op) error {
						if i == n {
							hit = o
						}
						if i == n || i > n && !once {
							return fault
						}
						return nil
					}}
					_, err := run(dir, d)
					if hit.do == "" {
						if err != nil {
							t.Fatal(err)
						}
						break
					}
					// What cannot be read when resuming is collected again.
					if unread := hit.do == "open" && strings.HasSuffix(hit.name, ".parquet"); !errors.Is(err, fault) && !unread {
						t.Errorf("error %v", err)
					}
					sound(t, dir, before, one, two)
					finish(t, dir, second, two)
					if t.Failed() {
						t.Fatalf("%s %s failed, operation %d", hit.do, hit.name, n)
					}
				}
			})
		}
	}
}

// TestSynced finds files that are renamed before they are written, and what is
// not durable before the manifest is.
func TestSynced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snap")
	d := &testDisk{}
	must(collect(dir, d))(t)
	must(again(dir, d))(t)
	writing := map[string]bool{} // files that are open, by the name that they were opened by
	dirty := map[string]string{} // file or directory → what happened to it that is not durable
	named, committed := 0, 0
	for _, o := range d.ops {
		switch o.do {
		case "create", "append":
			writing[o.name] = true
			if o.do == "create" && !isTemp(o.name) && o.name != lockFile {
				named++
				dirty[path.Dir(o.name)] = "create " + o.name
			}
		case "write":
			dirty[o.name] = "write"
		case "sync":
			delete(dirty, o.name)
		case "close":
			delete(writing, o.name)
		case "rename":
			if writing[o.name] {
				t.Errorf("rename of %s before it is closed", o.name)
			}
			named++
			if what := dirty[o.name]; what != "" {
				dirty[o.to] = what
				delete(dirty, o.name)
			}
			dirty[path.Dir(o.to)] = "rename to " + o.to
			if o.to == manifestFile {
				committed++
				delete(dirty, ".") // synced next
				for name, what := range dirty {
					if name != journalFile {
						t.Errorf("there is a manifest before %s is durable: %s", name, what)
					}
				}
			}
		case "remove":
			delete(dirty, o.name)
		case "mkdir":
			dirty[path.Dir(o.name)] = "mkdir " + o.name
		case "syncdir":
			delete(dirty, o.name)
		case "flush":
			for _, name := range o.names {
				delete(dirty, name)
			}
		}
	}
	if named < 8 || committed != 2 || len(dirty) > 0 {
		t.Errorf("%d files named, %d manifests, in the end not durable: %v", named, committed, dirty)
	}
}

// TestFlush makes durable what is there, in both ways, and tells what is not.
func TestFlush(t *testing.T) {
	dir := t.TempDir()
	ok(t, os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700))
	ok(t, os.WriteFile(filepath.Join(dir, "a", "b", "f"), []byte("x"), 0o600))
	d := must(openRooted(dir))(t).(writable)
	names := []string{".", "a", "a/b", "a/b/f"}
	ok(t, d.Flush(names))
	ok(t, d.flushEach(names))
	if err := d.flushEach(append(names, "a/c")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	ok(t, d.Close())
	if d.Flush(names) == nil {
		t.Error("flushed after it was closed")
	}
}
