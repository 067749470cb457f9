package store

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
)

// Resume continues the collection in dir: one that was not committed, or a
// snapshot, whose cells it keeps and which stays valid until Commit replaces
// its manifest. Cells that are complete and whose files are as they were
// written are Done; Commit refuses while a cell whose files are not has not
// been collected again. Files that belong to no cell are removed. The error is
// ErrNotSnapshot where there is nothing to continue.
func Resume(dir string) (*Writer, error) { return resume(dir, openRooted) }

func resume(dir string, open func(string) (disk, error)) (*Writer, error) {
	w, err := newWriter(dir, open)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: there is no such directory", ErrNotSnapshot)
	}
	if err == nil {
		if err = w.resume(); err != nil {
			err = errors.Join(err, w.release())
		}
	}
	if err != nil {
		return nil, fmt.Errorf("snapshot %s: %w", dir, err)
	}
	return w, nil
}

func (w *Writer) resume() error {
	m, _, err := readManifest(w.disk, nil)
	switch {
	case err == nil:
		w.committed, w.old = true, m.Cells
		w.take(m)
	case !errors.Is(err, ErrNotSnapshot):
		return err
	}
	// A journal beside a manifest is of a later collection, or of the one that
	// made the manifest and could not remove it: it repeats or replaces.
	var bad error
	some, err := readJournal(w.disk, func(e entry) {
		if e.Head != nil && !w.committed {
			if bad = checkVersion(e.Head.Format, e.Head.MinReader, e.Head.Program); bad == nil {
				w.take(*e.Head)
			}
		}
		for _, t := range e.Tables {
			w.tables[t.Name] = t
		}
		if e.Cell != nil {
			w.cells[e.Cell.CellID] = *e.Cell
		}
	})
	if err = errors.Join(err, bad); err != nil {
		return err
	}
	if !some && !w.committed {
		return fmt.Errorf("%w: there is no %s to continue from", ErrNotSnapshot, journalFile)
	}
	keep := slices.Clone(w.old)
	for id, c := range w.cells {
		if err := w.verify(c); err != nil {
			delete(w.cells, id)
			w.pending[id] = err
			continue
		}
		keep = append(keep, c)
	}
	entries, err := w.disk.List(".")
	if err == nil {
		err = w.removeTemps(entries)
	}
	if err != nil {
		return err
	}
	if some {
		// Rewritten, so that what follows does not come after a torn line.
		if err := w.begin(); err != nil {
			return err
		}
	}
	return w.sweep(keep)
}

// take makes what a manifest or a journal's head says the collection's own.
func (w *Writer) take(m Manifest) {
	for _, t := range m.Tables {
		w.tables[t.Name] = t
	}
	for _, c := range m.Cells {
		w.cells[c.CellID] = c
	}
	w.head = m
	w.head.Tables, w.head.Cells, w.head.SHA256 = nil, nil, ""
}

// verify compares a cell's files with what was written.
func (w *Writer) verify(c Cell) error {
	tables := map[string]*TableInfo{}
	for name, t := range w.tables {
		tables[name] = &t
	}
	all := Manifest{Syncs: w.head.Syncs, Accounts: w.head.Accounts}
	if err := all.checkCell(c, tables); err != nil {
		return err
	}
	for _, f := range c.Files {
		if err := checkFile(w.disk, f); err != nil {
			return err
		}
	}
	return nil
}
