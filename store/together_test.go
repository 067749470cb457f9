package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// TestTogether ends many cells at once: all are recorded, before and after an
// interruption.
func TestTogether(t *testing.T) {
	const n = 64
	id := func(i int) CellID {
		return CellID{Provider: "aws", Account: "111111111111", Region: fmt.Sprintf("region-%02d", i), Sync: "things"}
	}
	dir := filepath.Join(t.TempDir(), "snap")
	d := &testDisk{}
	w := must(create(dir, head(), on(d)))(t)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			c := w.Cell(id(i))
			c.Put(thing, thingRow("a"))
			if err := c.Close(things, outcome(Complete)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	ok(t, w.Close())
	// Whenever the journal is written to, the files of every cell that it names
	// are there.
	named := map[File]bool{}
	for i, o := range d.ops {
		if o.do != "write" || o.name != journalFile {
			continue
		}
		for line := range bytes.Lines(o.data) {
			var e entry
			ok(t, json.Unmarshal(line, &e))
			for _, f := range e.Cell.Files {
				named[f] = true
			}
		}
		left := after(tree{}, d.ops[:i])["process died"]
		for f := range named {
			if kept := left[f.Path]; kept == nil || hexSHA256(kept.data) != f.SHA256 {
				t.Fatalf("operation %d: the journal names %s before it is there", i, f.Path)
			}
		}
	}
	if len(named) != n {
		t.Errorf("the journal names %d files", len(named))
	}
	w = must(Resume(dir))(t)
	defer w.Close()
	for i := range n {
		if _, done := w.Done(id(i)); !done {
			t.Errorf("%s was not recorded", id(i))
		}
	}
	must(w.Commit(things, first))(t)
	s := must(Open(dir))(t)
	defer s.Close()
	if len(s.Manifest.Cells) != n {
		t.Errorf("%d cells", len(s.Manifest.Cells))
	}
	ok(t, errors.Join(s.Verify(ctx, true)...))
}

// TestTogetherFails: after the journal could not be written, no cell passes for
// recorded.
func TestTogetherFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "snap")
	d := &testDisk{}
	w := must(create(dir, head(), on(d)))(t)
	var closed, failed atomic.Int64
	d.fault = func(_ int, o op) error {
		if o.do == "write" && o.name == journalFile && closed.Load()+failed.Load() == 0 {
			return errors.New("no")
		}
		return nil
	}
	var all sync.WaitGroup
	for i := range 32 {
		all.Go(func() {
			c := w.Cell(CellID{Provider: "aws", Account: "111111111111", Region: fmt.Sprint("region-", i), Sync: "things"})
			c.Put(thing, thingRow("a"))
			if err := c.Close(things, outcome(Complete)); err != nil {
				failed.Add(1)
			} else {
				closed.Add(1)
			}
		})
	}
	all.Wait()
	if failed.Load() != 32 {
		t.Fatalf("%d closed, %d failed", closed.Load(), failed.Load())
	}
	if _, err := w.Commit(things, first); err == nil {
		t.Error("it was committed")
	}
	ok(t, w.Close())
}
