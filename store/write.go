package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"snap/store/kind"
)

// Writer writes a snapshot, cell by cell. A cell's files have their names
// before the journal has theirs, all are durable before the manifest, and that
// is last, so that whatever happens the directory is a whole snapshot, or one
// to be resumed, or none. The death of the process takes nothing that the
// journal names. That of the machine may: who resumes compares each file with
// its hash.
// It is safe for concurrent use.
type Writer struct {
	dir    string
	disk   disk
	unlock release
	temps  atomic.Int64
	held   atomic.Int64 // bytes of rows of cells that have not ended
	limit  int64        // of held

	// encoding has a place for each file that may be encoded at the same moment. A
	// Parquet writer takes some 100 KB and more: where processors are short,
	// hundreds of cells end meanwhile.
	encoding chan struct{}

	mu        sync.Mutex
	head      Manifest // without tables and cells
	tables    map[string]TableInfo
	schemas   map[string]*schema
	cells     map[CellID]Cell
	pending   map[CellID]error // begun or to be collected again; the error is why it did not end
	dirs      map[string]bool  // that exist
	committed bool             // there is a manifest
	resealed  bool             // the manifest is this collection's; a signature is another's
	old       []Cell           // the manifest's, whose files stay until Commit replaces it
	journal   file
	broken    error // after it nothing can be written
}

// Create begins a snapshot in dir, which must be empty or missing. Of m it
// takes Program, Started, Regions, Syncs, Options, Accounts and Unresolved. The error is
// ErrExists where dir holds a snapshot and ErrUnfinished where it holds a
// collection that Resume can continue. The caller ends with Commit or Close.
func Create(dir string, m Manifest) (*Writer, error) { return create(dir, m, openRooted) }

func create(dir string, m Manifest, open func(string) (disk, error)) (*Writer, error) {
	w, err := prepare(dir, open)
	if err != nil {
		return nil, err
	}
	w.head = Manifest{
		Format: Format, MinReader: MinReader, Program: m.Program, Started: m.Started.UTC().Round(0),
		Regions: m.Regions, Syncs: m.Syncs, Options: m.Options, Accounts: m.Accounts, Unresolved: m.Unresolved,
	}
	w.head.sort()
	if err := w.begin(); err != nil {
		w.release()
		return nil, fmt.Errorf("snapshot %s: %w", dir, err)
	}
	return w, nil
}

// prepare makes and locks dir and sees that nothing in it would be in the way.
func prepare(dir string, open func(string) (disk, error)) (_ *Writer, err error) {
	if err := makeDir(filepath.Clean(dir)); err != nil {
		return nil, fmt.Errorf("snapshot %s: %w", dir, err)
	}
	w, err := newWriter(dir, open)
	if err != nil {
		return nil, fmt.Errorf("snapshot %s: %w", dir, err)
	}
	defer func() {
		if err != nil {
			w.release()
			err = fmt.Errorf("snapshot %s: %w", dir, err)
		}
	}()
	entries, err := w.disk.List(".")
	if err != nil {
		return nil, err
	}
	names := map[string]bool{}
	for _, e := range entries {
		names[e.Name()] = e.Name() != lockFile
	}
	switch {
	case names[manifestFile]:
		return nil, ErrExists
	case names[journalFile]:
		return nil, ErrUnfinished
	}
	for _, e := range entries {
		// A temporary file is all that a collection leaves that ended before
		// its first line.
		if names[e.Name()] && !isTemp(e.Name()) {
			return nil, fmt.Errorf("the directory is not empty: it holds %q", e.Name())
		}
	}
	return w, w.removeTemps(entries)
}

// removeTemps removes what a writer that crashed left at the top, whose names
// are taken anew.
func (w *Writer) removeTemps(entries []fs.DirEntry) error {
	for _, e := range entries {
		if isTemp(e.Name()) {
			if err := w.disk.Remove(e.Name()); err != nil {
				return err
			}
		}
	}
	return nil
}

// newWriter opens and locks dir.
func newWriter(dir string, open func(string) (disk, error)) (*Writer, error) {
	d, err := open(dir)
	if err != nil {
		return nil, err
	}
	unlock, err := d.Lock(lockFile)
	if err != nil {
		d.Close()
		return nil, err
	}
	return &Writer{
		dir: dir, disk: d, unlock: unlock, limit: memoryLimit, encoding: make(chan struct{}, max(4, 2*runtime.GOMAXPROCS(0))),
		tables: map[string]TableInfo{}, schemas: map[string]*schema{}, cells: map[CellID]Cell{},
		pending: map[CellID]error{}, dirs: map[string]bool{".": true},
	}, nil
}

// Manifest is what the collection set out to do: all but tables, cells and the
// end. After Resume it is what Create was given.
func (w *Writer) Manifest() Manifest { return w.head }

// Done is a cell that an earlier run completed and whose files are as they
// were written.
func (w *Writer) Done(id CellID) (Cell, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, ok := w.cells[id]
	return c, ok && c.State == Complete && !w.isPending(id)
}

// Recorded tells whether there is an outcome of the cell, of whatever state.
func (w *Writer) Recorded(id CellID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.cells[id]
	return ok
}

func (w *Writer) isPending(id CellID) bool { _, ok := w.pending[id]; return ok }

// begin writes a journal of what there is and keeps it open. Before it nothing
// else is written. The caller holds mu or is alone.
func (w *Writer) begin() error {
	if w.journal != nil {
		return nil
	}
	err := writeFile(w.disk, w.temp("."), func(out io.Writer) (string, error) {
		var lines bytes.Buffer
		first := entry{Head: &w.head}
		for _, name := range slices.Sorted(maps.Keys(w.tables)) {
			first.Tables = append(first.Tables, w.tables[name])
		}
		if err := first.encode(&lines); err != nil {
			return "", err
		}
		for _, id := range slices.SortedFunc(maps.Keys(w.cells), compareCells) {
			c := w.cells[id]
			if err := (entry{Cell: &c}).encode(&lines); err != nil {
				return "", err
			}
		}
		_, err := out.Write(lines.Bytes())
		return journalFile, err
	})
	if err != nil {
		return err
	}
	w.journal, err = w.disk.Append(journalFile)
	return err
}

func (w *Writer) temp(dir string) string { return tempName(dir, w.temps.Add(1)) }

// record adds a cell that ended.
func (w *Writer) record(c Cell, tables []*kind.Table) error {
	e := entry{Cell: &c}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken != nil {
		return w.broken
	}
	for _, t := range tables {
		if _, ok := w.tables[t.Name]; !ok {
			e.Tables = append(e.Tables, w.schemas[t.Name].info(t.Sync))
		}
	}
	var line bytes.Buffer
	if err := e.encode(&line); err != nil {
		return err
	}
	if _, err := w.journal.Write(line.Bytes()); err != nil {
		w.broken = fmt.Errorf("%s: %w", journalFile, err) // lines after a torn one would not be read
		return w.broken
	}
	for _, t := range e.Tables {
		w.tables[t.Name] = t
	}
	w.cells[c.CellID] = c
	delete(w.pending, c.CellID)
	return nil
}

// schema is a table's schema. An error says that the table was another one
// when this collection began.
func (w *Writer) schema(t *kind.Table) (*schema, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.schemas[t.Name]
	same := s != nil && slices.Equal(s.columns, t.Columns)
	if was, ok := w.tables[t.Name]; ok && (!(same && was.Fingerprint == s.fingerprint) && was.Fingerprint != fingerprint(t.Columns) || was.Sync != t.Sync) {
		return nil, fmt.Errorf("table %s: its columns are not those with which this collection began (%s): finish it with that version, or collect anew", t.Name, w.head.Program)
	}
	switch {
	case same:
		return s, nil
	case s != nil:
		return nil, fmt.Errorf("table %s is declared in two ways", t.Name)
	case !isSegment(t.Name):
		return nil, fmt.Errorf("table %q: the name cannot be part of a path", t.Name)
	}
	s, err := newSchema(t.Name, slices.Clone(t.Columns))
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", t.Name, err)
	}
	w.schemas[t.Name] = s
	return s, nil
}

// sameTables makes sure that tables are those of the sync, and the ones with
// which cells of the sync were recorded: a table that was added since then
// would pass for collected.
func (w *Writer) sameTables(sync string, tables []*kind.Table) error {
	for _, t := range tables {
		if t.Sync != sync {
			return fmt.Errorf("table %s is of sync %q", t.Name, t.Sync)
		}
		if _, err := w.schema(t); err != nil {
			return err
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var were []string
	for _, t := range w.tables {
		if t.Sync == sync {
			were = append(were, t.Name)
		}
	}
	if len(were) == 0 {
		return nil
	}
	var are []string
	for _, t := range tables {
		are = append(are, t.Name)
	}
	slices.Sort(were)
	slices.Sort(are)
	if !slices.Equal(were, are) {
		return fmt.Errorf("sync %s: its tables (%s) are not those with which this collection began (%s, %s): finish it with that version, or collect anew",
			sync, strings.Join(are, " "), w.head.Program, strings.Join(were, " "))
	}
	return nil
}

// mkdirs makes a directory and those above it.
func (w *Writer) mkdirs(dir string) error {
	w.mu.Lock()
	there := w.dirs[dir]
	w.mu.Unlock()
	if there {
		return nil
	}
	if err := w.mkdirs(path.Dir(dir)); err != nil {
		return err
	}
	if err := w.disk.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dirs[dir] = true
	return nil
}

// CellWriter takes the rows of one cell. It implements kind.Sink.
type CellWriter struct {
	w  *Writer
	id CellID

	mu     sync.Mutex
	tables map[string]*rows
	losses []error
	err    error // the first row that cannot be written
	closed bool
}

// Cell begins a cell. What an earlier run or call wrote for it is replaced
// when it closes; until it does, Commit refuses.
func (w *Writer) Cell(id CellID) *CellWriter {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pending[id] = errors.New("it was not closed")
	return &CellWriter{w: w, id: id, tables: map[string]*rows{}}
}

// Put adds a row. One that does not fit its table, or cannot be set aside where
// rows take too much memory, is an error of Close.
func (c *CellWriter) Put(t *kind.Table, r kind.Row) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		// Too late to be written, which must not go unnoticed.
		c.w.fail(fmt.Errorf("cell %s: table %s: a row came after the cell's end", c.id, t.Name))
		return
	}
	if err := c.put(t, r); err != nil && c.err == nil {
		c.err = err
	}
}

func (w *Writer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken == nil {
		w.broken = err
	}
}

func (c *CellWriter) put(t *kind.Table, r kind.Row) error {
	if c.err != nil {
		return nil // nothing of the cell will be written
	}
	part := c.tables[t.Name]
	if part == nil {
		s, err := c.w.schema(t)
		if err != nil {
			return err
		}
		part = &rows{table: t, schema: s, at: map[string]int{}}
		c.tables[t.Name] = part
	}
	grown, err := part.put(r)
	if err != nil {
		return err
	}
	if held := c.w.held.Add(grown); held > c.w.limit && part.bytes >= c.w.limit/leastRun {
		freed, err := part.spill(func() (scratch, error) { return c.w.disk.Scratch(c.w.temp(".")) })
		c.w.held.Add(-freed)
		if err != nil {
			return fmt.Errorf("table %s: %w", t.Name, err)
		}
	}
	return nil
}

// full is a caller's list without room behind it: appending to it makes a copy
// the first time, and not each time, which would take the square of the time.
func full(v any) any {
	switch list := v.(type) {
	case []string:
		return slices.Clip(list)
	case []int64:
		return slices.Clip(list)
	}
	return v
}

// merge merges from into to, a row of the same key whose lists are nobody
// else's, as kind.Sink says.
func (s *schema) merge(to, from kind.Row) {
	for i, c := range s.columns {
		if from[i] == nil {
			continue
		}
		if !c.Property() {
			switch old := to[i].(type) {
			case nil:
				to[i] = full(from[i])
				continue
			case []string:
				if list, ok := from[i].([]string); ok {
					to[i] = append(old, list...)
					continue
				}
			case []int64:
				if list, ok := from[i].([]int64); ok {
					to[i] = append(old, list...)
					continue
				}
			}
		}
		to[i] = from[i]
	}
}

// Lose records that a part of the cell could not be read.
func (c *CellWriter) Lose(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.losses = append(c.losses, err)
}

// Losses is what Lose recorded, in order.
func (c *CellWriter) Losses() []error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.losses)
}

// Rows is how many rows there are after merging, or somewhat more where rows of
// one key came far apart in a very large cell.
func (c *CellWriter) Rows() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := int64(0)
	for _, part := range c.tables {
		n += part.count()
	}
	return n
}

// Close ends the cell: it writes a file for each table that has rows and then
// records the outcome. When it returns nil the death of the process takes
// nothing of it. tables are all tables of the cell's sync. After an error nothing of the cell is recorded; the
// caller may begin it again with Writer.Cell. Close takes place once.
func (c *CellWriter) Close(tables []*kind.Table, o Outcome) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := c.close(tables, o)
	for _, part := range c.tables {
		err = errors.Join(err, part.release())
		c.w.held.Add(-part.bytes)
	}
	c.tables = nil
	if err != nil {
		err = fmt.Errorf("cell %s: %w", c.id, err)
		c.w.mu.Lock()
		c.w.pending[c.id] = err
		c.w.mu.Unlock()
	}
	return err
}

func (c *CellWriter) close(tables []*kind.Table, o Outcome) error {
	if c.closed {
		return errors.New("it is closed already")
	}
	c.closed = true
	if c.err != nil {
		return c.err
	}
	cell := Cell{CellID: c.id, Outcome: o}
	cell.Started, cell.Finished = o.Started.UTC().Round(0), o.Finished.UTC().Round(0)
	for _, part := range c.tables {
		cell.Rows += part.count()
		if !slices.ContainsFunc(tables, func(t *kind.Table) bool { return t.Name == part.table.Name }) {
			return fmt.Errorf("table %s is none of the cell's", part.table.Name)
		}
	}
	if o.State == Complete && len(c.losses) > 0 {
		return fmt.Errorf("it cannot be complete: %w", c.losses[0])
	}
	if err := errors.Join(checkID(c.id), checkOutcome(o.State, cell.Rows)); err != nil {
		return err
	}
	c.w.mu.Lock()
	err := c.w.broken
	if err == nil {
		err = c.w.begin()
	}
	c.w.mu.Unlock()
	if err != nil {
		return err
	}
	if err := c.w.sameTables(c.id.Sync, tables); err != nil {
		return err
	}
	cell.Rows = 0
	for _, t := range tables {
		part := c.tables[t.Name]
		if part == nil || part.count() == 0 {
			continue
		}
		f, err := c.w.writeTable(c.id, part)
		if err = errors.Join(err, part.release()); err != nil {
			return err
		}
		cell.Files = append(cell.Files, f)
		cell.Rows += f.Rows
	}
	slices.SortFunc(cell.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return c.w.record(cell, tables)
}

// writeTable writes the rows of a table of a cell.
func (w *Writer) writeTable(id CellID, part *rows) (File, error) {
	f := File{Table: part.table.Name}
	dir := cellDir(id, f.Table)
	if err := w.mkdirs(dir); err != nil {
		return f, err
	}
	w.encoding <- struct{}{}
	defer func() { <-w.encoding }()
	// A file of the same content may be one of the snapshot that is there, which
	// has to hold whatever happens.
	_, err := place(w.disk, w.temp(dir), w.committed, func(out io.Writer) (_ string, err error) {
		h := sha256.New()
		counted := &counter{w: io.MultiWriter(out, h)}
		if f.Rows, err = part.schema.write(counted, part.all(), metadata(id, f.Table)); err != nil {
			return "", err
		}
		if counted.n > maxFile {
			return "", fmt.Errorf("table %s: %d bytes in one cell are more than a file may have", f.Table, counted.n)
		}
		f.Size, f.SHA256 = counted.n, hex.EncodeToString(h.Sum(nil))
		f.Path = filePath(id, f.Table, f.SHA256)
		return f.Path, nil
	})
	return f, err
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// Commit makes the directory a snapshot, or the snapshot the newer one, and
// ends the writer. tables are all tables of the collection's syncs. id is the
// snapshot's: "sha256:" and the hex SHA-256 of its manifest. After an error
// the collection can be resumed.
func (w *Writer) Commit(tables []*kind.Table, finished time.Time) (id string, err error) {
	bySync := map[string][]*kind.Table{}
	for _, t := range tables {
		bySync[t.Sync] = append(bySync[t.Sync], t)
	}
	for _, sync := range w.head.Syncs {
		if err := w.sameTables(sync, bySync[sync]); err != nil {
			return "", w.wrap(err)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	id, err = w.commit(tables, finished)
	return id, w.wrap(err)
}

func (w *Writer) wrap(err error) error {
	if err != nil {
		err = fmt.Errorf("snapshot %s: %w", w.dir, err)
	}
	return err
}

func (w *Writer) commit(tables []*kind.Table, finished time.Time) (string, error) {
	if w.broken != nil {
		return "", w.broken
	}
	for _, id := range slices.SortedFunc(maps.Keys(w.pending), compareCells) {
		return "", fmt.Errorf("cell %s has no outcome: %w", id, w.pending[id])
	}
	m := w.head
	m.Finished = finished.UTC().Round(0)
	fed := map[string]bool{}
	for _, c := range w.cells {
		m.Cells = append(m.Cells, c)
		fed[c.Sync] = true
	}
	for _, t := range tables {
		if fed[t.Sync] {
			m.Tables = append(m.Tables, info(t))
		}
	}
	b, err := m.encode()
	if err != nil {
		return "", err
	}
	if _, err := decodeManifest(b); err != nil {
		return "", err // better no snapshot than one that nobody can open
	}
	if err := w.begin(); err != nil {
		return "", err
	}
	if err := w.sweep(slices.Concat(w.old, m.Cells)); err != nil {
		return "", err
	}
	if err := w.disk.Flush(slices.Sorted(maps.Keys(named(m.Cells)))); err != nil {
		return "", err
	}
	err = writeFile(w.disk, w.temp("."), func(out io.Writer) (string, error) {
		_, err := out.Write(b)
		return manifestFile, err
	})
	if err != nil {
		return "", err
	}
	// From here on the directory is the snapshot. What is left is to remove
	// what it does not name and the signature of what it replaced, the journal
	// last: while there is one, readers put up with the rest.
	if w.resealed = true; w.committed { // else the sweep before was the same
		if err := w.sweep(m.Cells); err != nil {
			return "", err
		}
	}
	err = w.journal.Close()
	w.journal = nil
	if err == nil {
		err = w.disk.Remove(journalFile)
	}
	if err == nil {
		err = w.disk.SyncDir(".")
	}
	if err == nil {
		err = w.release()
	}
	w.broken = errors.New("it is committed")
	return "sha256:" + hexSHA256(b), err
}

// named are the cells' files and the directories in which they are.
func named(cells []Cell) map[string]bool {
	names := map[string]bool{".": true}
	for _, c := range cells {
		for _, f := range c.Files {
			for p := f.Path; !names[p]; p = path.Dir(p) {
				names[p] = true
			}
		}
	}
	return names
}

// sweep removes what the collection made and none of the given cells names.
// What somebody else put there is an error: no snapshot could be opened with it.
func (w *Writer) sweep(cells []Cell) error {
	keep := named(cells)
	var sweep func(dir string) error
	sweep = func(dir string) error {
		entries, err := w.disk.List(dir)
		if err != nil {
			return err
		}
		removed := false
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			if name == manifestFile || name == journalFile || name == lockFile || name == signatureFile && !w.resealed {
				continue
			}
			if name != signatureFile && !isOurs(name, e) {
				return fmt.Errorf("%s does not belong to the snapshot; remove it", name)
			}
			if e.IsDir() {
				if err := sweep(name); err != nil {
					return err
				}
			}
			if !keep[name] {
				if err := w.disk.Remove(name); err != nil {
					return err
				}
				delete(w.dirs, name)
				removed = true
			}
		}
		if removed {
			return w.disk.SyncDir(dir)
		}
		return nil
	}
	return sweep(".")
}

// Close leaves the collection as it is, to be resumed, and lets go of the
// directory. After Commit it does nothing.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var err error
	if w.journal != nil {
		err = w.journal.Close()
		w.journal = nil
	}
	if w.broken == nil {
		w.broken = errors.New("the writer is closed")
	}
	return w.wrap(errors.Join(err, w.release()))
}

func (w *Writer) release() error {
	if w.disk == nil {
		return nil
	}
	err := errors.Join(w.unlock(), w.disk.Close())
	w.disk = nil
	return err
}
