package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"filippo.io/age"
	"github.com/parquet-go/parquet-go"
	"golang.org/x/sync/semaphore"

	"snap/store/kind"
)

// Snapshot is a snapshot that was opened. It is safe for concurrent use.
type Snapshot struct {
	Manifest Manifest
	ID       string // "sha256:" and the hex SHA-256 of manifest.json
	Path     string // where it was found: Open's path, or what that refers to

	from   source
	tables map[string]*schema
	cells  map[CellID]int // in Manifest.Cells
	files  map[string]CellID
	whole  int64 // heldWhole, but in tests
}

// source is where a snapshot's files are: a directory or a bundle.
type source interface {
	opener
	// lay tells the manifest, once, before anything but the manifest and its
	// signature is opened.
	lay(*Manifest)
	// structure compares what is there with the manifest, but for the content
	// of files.
	structure(*Manifest) []error
	// glance is the part of it that takes no longer for many files.
	glance(*Manifest) []error
	Close() error
}

// OpenOptions are what a reader has besides the snapshot.
type OpenOptions struct {
	// Key is whose signature the snapshot must have; nil asks for none.
	Key *PublicKey
	// Identities decrypt a bundle that is encrypted.
	Identities []age.Identity
	// Stdin is what the path "-" reads; nil is os.Stdin.
	Stdin io.Reader
	// ManifestOnly leaves the other files alone, for those who ask nothing but
	// the manifest or call Verify next: looking at each file of very many takes
	// longer than all the rest. Of a bundle the length is checked. A file is
	// still verified before it is read.
	ManifestOnly bool
}

// Open opens the snapshot at path: a directory, a bundle, the first part or
// common name of a bundle that was split, "-" for a bundle from standard input,
// or DIR@latest and DIR@previous for a run in DIR. It checks the manifest, that
// each file is there in its size, and that there is nothing else; the files'
// content is checked when they are read. The error is ErrNotSnapshot, a
// *DamagedError or a *VersionError, or what the system says. The caller closes
// the snapshot.
func Open(path string) (*Snapshot, error) { return OpenWith(path, OpenOptions{}) }

// OpenWith is Open for a reader that has keys. The error may also be
// ErrSignature or ErrEncrypted.
func OpenWith(path string, o OpenOptions) (*Snapshot, error) {
	at, err := resolve(path)
	var s *Snapshot
	if err == nil {
		s, err = open(at, o)
	}
	if err != nil {
		return nil, fmt.Errorf("snapshot %s: %w", path, err)
	}
	return s, nil
}

func open(path string, o OpenOptions) (*Snapshot, error) {
	from, err := openSource(path, o)
	if err != nil {
		return nil, err
	}
	return openFrom(from, path, o)
}

// openFrom takes over from.
func openFrom(from source, path string, o OpenOptions) (_ *Snapshot, err error) {
	defer func() {
		if err != nil {
			from.Close()
		}
	}()
	m, id, err := readManifest(from, o.Key)
	if err != nil {
		return nil, err
	}
	from.lay(&m)
	s := &Snapshot{
		Manifest: m, ID: id, Path: path, from: from,
		tables: map[string]*schema{}, cells: map[CellID]int{}, files: map[string]CellID{}, whole: heldWhole,
	}
	for _, t := range m.Tables {
		if s.tables[t.Name], err = newSchema(t.Name, t.Columns); err != nil {
			return nil, damaged(manifestFile, "table %s: %v", t.Name, err)
		}
	}
	for i, c := range m.Cells {
		s.cells[c.CellID] = i
		for _, f := range c.Files {
			s.files[f.Path] = c.CellID
		}
	}
	look := from.structure
	if o.ManifestOnly {
		look = from.glance
	}
	if errs := look(&m); len(errs) > 0 {
		return nil, errs[0]
	}
	return s, nil
}

// openSource finds out what is at path.
func openSource(path string, o OpenOptions) (source, error) {
	if path == "-" {
		in := o.Stdin
		if in == nil {
			in = os.Stdin
		}
		return spoolBundle(in, o)
	}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(partName(path, 1)); err == nil {
			return openParts(path, o.Identities)
		}
		return nil, fmt.Errorf("%w: there is no such directory or file", ErrNotSnapshot)
	case err != nil:
		return nil, err
	case info.IsDir():
		root, err := os.OpenRoot(path)
		if err != nil {
			return nil, err
		}
		return directory{rooted{root}}, nil
	case info.Mode().IsRegular():
		if whole, ok := strings.CutSuffix(path, partName("", 1)); ok {
			return openParts(whole, o.Identities)
		}
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		return openBundle(f, info.Size(), f.Close, o.Identities)
	case info.Mode()&fs.ModeNamedPipe != 0:
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		return spoolBundle(f, o)
	}
	return nil, fmt.Errorf("%w: it is neither a directory nor a file", ErrNotSnapshot)
}

// readManifest reads the manifest, its signature first if there is a key; the
// error is ErrNotSnapshot where there is none.
func readManifest(from opener, key *PublicKey) (m Manifest, id string, err error) {
	b, err := readSmall(from, manifestFile, maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		if j, err := from.Open(journalFile); err == nil {
			j.Close()
			return m, "", fmt.Errorf("%w: %w; resume it first", ErrNotSnapshot, ErrUnfinished)
		}
		return m, "", fmt.Errorf("%w: there is no %s", ErrNotSnapshot, manifestFile)
	}
	if err != nil {
		return m, "", err
	}
	if key != nil {
		signature, err := readSmall(from, signatureFile, maxSignature)
		if errors.Is(err, fs.ErrNotExist) {
			return m, "", fmt.Errorf("%w: there is no %s", ErrSignature, signatureFile)
		}
		if err != nil {
			return m, "", err
		}
		if err := key.verify(b, signature); err != nil {
			return m, "", err
		}
	}
	if m, err = decodeManifest(b); err != nil {
		return m, "", err
	}
	return m, "sha256:" + hexSHA256(b), nil
}

// readSmall reads a file of the top directory whole.
func readSmall(from opener, name string, most int64) ([]byte, error) {
	f, err := from.Open(name)
	if errors.Is(err, errIrregular) {
		return nil, damaged(name, "not a regular file")
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > most {
		return nil, damaged(name, "more than %d bytes", most)
	}
	b := make([]byte, info.Size())
	n, err := io.ReadFull(f, b)
	if isEnd(err) { // it is being replaced; what it is then will tell
		err = nil
	}
	return b[:n], err
}

// Signature is the signature that came with the snapshot, of which nothing is
// known but that it is there; nil where there is none.
func (s *Snapshot) Signature() ([]byte, error) {
	b, err := readSmall(s.from, signatureFile, maxSignature)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// Close lets go of the directory or file.
func (s *Snapshot) Close() error { return s.from.Close() }

// Table is what the manifest says of a table.
func (s *Snapshot) Table(name string) (TableInfo, bool) {
	for _, t := range s.Manifest.Tables {
		if t.Name == name {
			return t, true
		}
	}
	return TableInfo{}, false
}

// Own is a table as the snapshot itself describes it, columns only, for
// readers that have no declaration of it.
func (s *Snapshot) Own(name string) (*kind.Table, bool) {
	t, ok := s.Table(name)
	if !ok {
		return nil, false
	}
	return &kind.Table{Name: t.Name, Sync: t.Sync, Columns: slices.Clone(t.Columns)}, true
}

// Cell is what the manifest says of a cell.
func (s *Snapshot) Cell(id CellID) (Cell, bool) {
	i, ok := s.cells[id]
	if !ok {
		return Cell{}, false
	}
	return s.Manifest.Cells[i], true
}

// directory is a snapshot as a directory.
type directory struct{ rooted }

func (directory) lay(*Manifest) {}

func (directory) glance(*Manifest) []error { return nil }

func (d directory) structure(m *Manifest) []error {
	var errs []error
	sizes := map[string]int64{}
	dirs := map[string]bool{".": true}
	for _, c := range m.Cells {
		for _, f := range c.Files {
			sizes[f.Path] = f.Size
			for p := path.Dir(f.Path); p != "."; p = path.Dir(p) {
				dirs[p] = true
			}
		}
	}
	entries, err := d.List(".")
	if err != nil {
		return []error{err}
	}
	// Another collection into the directory, which this snapshot outlives?
	underway := slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == journalFile && e.Type().IsRegular() })
	var mu sync.Mutex
	seen := map[string]bool{}
	wrong := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		errs = append(errs, err)
	}
	// There may be a directory for each of very many cells.
	places := semaphore.NewWeighted(int64(runtime.GOMAXPROCS(0) - 1))
	var look func(at *os.Root, dir string, entries []fs.DirEntry)
	walk := func(at *os.Root, dir string) {
		sub, err := at.OpenRoot(path.Base(dir)) // from the top it would be a step for each level
		if err != nil {
			wrong(err)
			return
		}
		defer sub.Close()
		entries, err := rooted{sub}.List(".")
		if err != nil {
			wrong(err)
			return
		}
		look(sub, dir, entries)
	}
	look = func(at *os.Root, dir string, entries []fs.DirEntry) {
		var under sync.WaitGroup // at stays open until they are done
		defer under.Wait()
		for _, e := range entries {
			name := path.Join(dir, e.Name())
			size, wanted := sizes[name]
			switch {
			case e.IsDir():
				if !dirs[name] && !(underway && isOurs(name, e)) {
					wrong(damaged(name, "does not belong to the snapshot"))
				} else if !places.TryAcquire(1) {
					walk(at, name)
				} else {
					under.Go(func() { defer places.Release(1); walk(at, name) })
				}
			case !e.Type().IsRegular():
				wrong(damaged(name, "neither a regular file nor a directory"))
			case wanted:
				info, err := e.Info()
				if err != nil {
					wrong(err)
				} else if info.Size() != size {
					wrong(damaged(name, "has %d bytes, not the %d of the manifest", info.Size(), size))
				}
				mu.Lock()
				seen[name] = true
				mu.Unlock()
			case name == manifestFile || name == signatureFile || name == journalFile || name == lockFile || dir == "." && isTemp(name):
				// All but the first two are left by a writer that crashed.
			case underway && isOurs(name, e):
			default:
				wrong(damaged(name, "does not belong to the snapshot"))
			}
		}
	}
	look(d.Root, ".", entries)
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	for _, c := range m.Cells {
		for _, f := range c.Files {
			if !seen[f.Path] {
				errs = append(errs, damaged(f.Path, "is missing"))
			}
		}
	}
	return errs
}

// Verify checks the snapshot again: the manifest and that all files are there
// in their size; with readData also every byte and row. It returns what it
// found, or the context's error.
func (s *Snapshot) Verify(ctx context.Context, readData bool) []error {
	_, id, err := readManifest(s.from, nil)
	if err == nil && id != s.ID {
		err = damaged(manifestFile, "it was replaced after it had been opened")
	}
	if err != nil {
		return []error{err}
	}
	errs := s.from.structure(&s.Manifest)
	if !readData {
		return errs
	}
	for _, c := range s.Manifest.Cells {
		for _, f := range c.Files {
			if ctx.Err() != nil {
				return append(errs, ctx.Err())
			}
			if slices.ContainsFunc(errs, func(err error) bool {
				d := (*DamagedError)(nil)
				return errors.As(err, &d) && d.Path == f.Path
			}) {
				continue
			}
			own, _ := s.Own(f.Table)
			rows, _, _ := s.Read(own, f)
			for _, err := range rows {
				if err == nil {
					err = ctx.Err()
				}
				if err != nil {
					errs = append(errs, err)
					break
				}
			}
		}
	}
	return errs
}

// Read streams the rows of a file of the snapshot by key, with the columns of
// t. The file's checksum is verified before anything of it is parsed; each row
// is fresh and may be kept. missing are columns of t that the file lacks: they
// are nil in the rows and mean unknown, not null. extra are columns of the file
// that t lacks. An error ends the rows; it is a *DamagedError where the file is
// not what the manifest says.
func (s *Snapshot) Read(t *kind.Table, f File) (rows iter.Seq2[kind.Row, error], missing, extra []string) {
	fail := func(err error) (iter.Seq2[kind.Row, error], []string, []string) {
		err = fmt.Errorf("snapshot %s: %w", s.Path, err)
		return func(yield func(kind.Row, error) bool) { yield(nil, err) }, missing, extra
	}
	id, ok := s.files[f.Path]
	own := s.tables[f.Table]
	if !ok || own == nil || !slices.Contains(s.Manifest.Cells[s.cells[id]].Files, f) {
		return fail(fmt.Errorf("%s is no file of it", f.Path))
	}
	if t.Name != f.Table {
		return fail(fmt.Errorf("%s: is of table %s, not %s", f.Path, f.Table, t.Name))
	}
	to := make([]int, len(own.columns)) // where a column of the file goes in a row of t, or -1
	for i, c := range own.columns {
		at, ok := t.Column(c.Name)
		if !ok {
			to[i] = -1
			extra = append(extra, c.Name)
			continue
		}
		if want := t.Columns[at].Type; want != c.Type {
			return fail(fmt.Errorf("%s: column %s is a %s; this program knows it as a %s", f.Path, c.Name, c.Type, want))
		}
		to[i] = at
	}
	for _, c := range t.Columns {
		if !slices.ContainsFunc(own.columns, func(o kind.Column) bool { return o.Name == c.Name }) {
			missing = append(missing, c.Name)
			if c.Key {
				return fail(fmt.Errorf("%s: lacks the key column %s", f.Path, c.Name))
			}
		}
	}
	return func(yield func(kind.Row, error) bool) {
		stopped := false
		err := s.read(own, id, f, func(r kind.Row) bool {
			row := make(kind.Row, len(t.Columns))
			for i, at := range to {
				if at >= 0 {
					row[at] = r[i]
				}
			}
			stopped = !yield(row, nil)
			return !stopped
		})
		if err != nil && !stopped {
			yield(nil, fmt.Errorf("snapshot %s: %w", s.Path, err))
		}
	}, missing, extra
}

// read gives the rows of a file to take, in the file's own columns, until it
// returns false. A row is valid until take returns; its values may be kept.
func (s *Snapshot) read(own *schema, id CellID, f File, take func(kind.Row) bool) error {
	b, err := loadFile(s.from, f, s.whole, len(own.columns))
	if err != nil {
		return err
	}
	defer b.Close()
	err = own.decode(b, id, f, take)
	if p, ok := b.(*parts); ok && p.failed != nil {
		return p.failed // not the decoder's opinion of it
	}
	return err
}

// readBatch is how many rows are put together at once.
const readBatch = 1 << 10

// decode parses a file whose checksum is right, and yet trusts nothing of it:
// whoever made the snapshot made the checksum too.
func (s *schema) decode(b content, id CellID, f File, take func(kind.Row) bool) (err error) {
	taking := false
	defer func() {
		if r := recover(); r != nil {
			if taking {
				panic(r) // not ours
			}
			err = damaged(f.Path, "cannot be decoded: %v", r)
		}
	}()
	// The library allocates what the footer's length says.
	const magic = 4
	if b.Size() < 3*magic {
		return damaged(f.Path, "no Parquet file")
	}
	end, err := b.section(b.Size()-2*magic, magic)
	if err != nil {
		return err
	}
	if int64(binary.LittleEndian.Uint32(end)) > b.Size()-3*magic {
		return damaged(f.Path, "no Parquet file")
	}
	file, err := parquet.OpenFile(b, b.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return damaged(f.Path, "no Parquet file: %v", err)
	}
	if got, want := file.Schema().String(), s.parquet.String(); got != want {
		return damaged(f.Path, "its columns are not those of the manifest")
	}
	says := metadata(id, f.Table)
	for _, key := range slices.Sorted(maps.Keys(says)) { // the same error each time
		want := says[key]
		if key == metaFormat {
			continue
		}
		if got, _ := file.Lookup(key); got != want {
			return damaged(f.Path, "says %s=%q, not %q", key, got, want)
		}
	}
	if file.NumRows() != f.Rows {
		return damaged(f.Path, "has %d rows, not the %d of the manifest", file.NumRows(), f.Rows)
	}
	for _, g := range file.Metadata().RowGroups {
		if len(g.Columns) != len(s.columns) {
			return damaged(f.Path, "a row group lacks columns")
		}
		for i, c := range s.columns {
			m := &g.Columns[i].MetaData
			if !isList(c) && m.NumValues != g.NumRows || m.NumValues < g.NumRows || m.NumValues > f.Rows+maxPage {
				return damaged(f.Path, "column %s: its count of values is wrong", c.Name)
			}
			if err := checkPages(b, c, m); err != nil {
				return damaged(f.Path, "column %s: %v", c.Name, err)
			}
		}
	}
	total := int64(0)
	var last kind.Row
	for _, g := range file.RowGroups() {
		total += g.NumRows()
		if total > f.Rows || g.NumRows() < 0 {
			return damaged(f.Path, "has more rows than the manifest says")
		}
		columns := make([]*column, len(s.columns))
		for i, chunk := range g.ColumnChunks() {
			columns[i] = &column{Column: s.columns[i], pages: chunk.Pages(), values: make([]parquet.Value, min(readBatch, g.NumRows()))}
			defer columns[i].close()
		}
		width := len(columns)
		buffer := make([]any, min(readBatch, g.NumRows())*int64(width))
		for left := g.NumRows(); left > 0; {
			n := int(min(left, readBatch))
			left -= int64(n)
			block := buffer[:n*width]
			clear(block)
			for i, c := range columns {
				if err := c.read(block[i:], width, n); err != nil {
					return damaged(f.Path, "column %s: %v", c.Name, err)
				}
			}
			for ; len(block) > 0; block = block[width:] {
				row := kind.Row(block[:width:width])
				if last != nil && s.compare(last, row) >= 0 {
					return damaged(f.Path, "row %s is out of order or there twice", s.keyText(row))
				}
				last = row
				taking = true
				if !take(row) {
					return nil
				}
				taking = false
			}
			last = slices.Clone(last)
		}
		for _, c := range columns {
			if err := c.end(); err != nil {
				return damaged(f.Path, "column %s: %v", c.Name, err)
			}
		}
	}
	if total != f.Rows {
		return damaged(f.Path, "has %d rows, not the %d of the manifest", total, f.Rows)
	}
	return nil
}

// column reads a column of a row group value by value.
type column struct {
	kind.Column
	pages  parquet.Pages
	page   parquet.Page
	reader parquet.ValueReader
	values []parquet.Value // buffer
	at, n  int             // what of it is still to be read
}

func (c *column) close() {
	parquet.Release(c.page)
	c.pages.Close()
}

// next is the next value without taking it; io.EOF at the end.
func (c *column) next() (parquet.Value, error) {
	for c.at == c.n {
		if c.reader == nil {
			parquet.Release(c.page)
			c.page = nil
			page, err := c.pages.ReadPage()
			if err != nil {
				return parquet.Value{}, err
			}
			c.page, c.reader = page, page.Values()
		}
		n, err := c.reader.ReadValues(c.values)
		if err != nil {
			c.reader = nil
			if err != io.EOF {
				return parquet.Value{}, err
			}
		} else if n == 0 {
			return parquet.Value{}, io.ErrNoProgress
		}
		c.at, c.n = 0, n
	}
	return c.values[c.at], nil
}

// end makes sure that there is no value left.
func (c *column) end() error {
	switch _, err := c.next(); err {
	case nil:
		return errors.New("it has more values than rows")
	case io.EOF:
		return nil
	default:
		return err
	}
}

// read sets every width-th element of to to the value of the next n rows.
func (c *column) read(to []any, width, n int) error {
	present := 1
	if required(c.Column) {
		present = 0
	}
	for i := range n {
		v, err := c.next()
		if err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		c.at++
		level := v.DefinitionLevel()
		if v.RepetitionLevel() != 0 {
			return errors.New("a row begins inside a list")
		}
		if level < present {
			continue // null
		}
		var value any
		switch c.Type {
		case kind.Strings:
			value, err = list(c, v, level > present, textOf)
		case kind.Ints:
			value, err = list(c, v, level > present, func(v parquet.Value) (int64, error) { return v.Int64(), nil })
		case kind.String:
			value, err = textOf(v)
		case kind.Int:
			value = v.Int64()
		case kind.Float:
			value = v.Double()
		case kind.Bool:
			value = v.Boolean()
		case kind.Time:
			value = time.UnixMicro(v.Int64()).UTC()
		}
		if err != nil {
			return err
		}
		to[i*width] = value
	}
	return nil
}

// list reads a list whose first value, if it has one, is first.
func list[E any](c *column, first parquet.Value, some bool, of func(parquet.Value) (E, error)) ([]E, error) {
	elements := []E{}
	if !some {
		return elements, nil
	}
	for v := first; ; c.at++ {
		e, err := of(v)
		if err != nil {
			return nil, err
		}
		elements = append(elements, e)
		if v, err = c.next(); err == io.EOF || err == nil && v.RepetitionLevel() == 0 {
			return elements, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func textOf(v parquet.Value) (string, error) {
	b := v.ByteArray()
	if !utf8.Valid(b) {
		return "", fmt.Errorf("not valid UTF-8: %q", short(string(b)))
	}
	return string(b), nil
}
