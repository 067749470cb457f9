package store

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	compress "github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"snap/store/kind"
)

// rowsPerGroup is how many rows a row group holds at most.
const rowsPerGroup = 1 << 17

// A page ends with the first block of rows, or in it with the first row, that
// brings it to pageBytes.
const (
	blockRows = 1 << 7
	pageBytes = parquet.DefaultPageBufferSize
)

// codec is shared by all writers and readers.
var codec = &pageCodec{Codec: zstd.Codec{Level: zstd.SpeedDefault}}

// pageCodec is parquet-go's codec but for how it encodes. That one takes an
// encoder of its own for each of the writers that are at it at the same moment,
// and each may hold 16 MB: here there are as many as there are processors, or 8.
// And small pages are compressed once: of a small cell most columns are null or
// have one value, and all cells of a table have the same pages of them.
type pageCodec struct {
	zstd.Codec
	mu    sync.RWMutex
	pages map[string][]byte // small ones, compressed, by what they were
}

// encoder makes the same bytes as parquet-go's.
var encoder = sync.OnceValues(func() (*compress.Encoder, error) {
	return compress.NewWriter(nil, compress.WithEncoderConcurrency(min(runtime.GOMAXPROCS(0), 8)), compress.WithEncoderLevel(compress.SpeedDefault),
		compress.WithZeroFrames(true), compress.WithEncoderCRC(false))
})

const (
	smallPage = 64       // bytes
	manyPages = 16 << 10 // that are remembered: 2 MB
)

// Encode implements parquet-go's compress.Codec.
func (c *pageCodec) Encode(dst, src []byte) ([]byte, error) {
	small := len(src) <= smallPage
	if small {
		c.mu.RLock()
		page, ok := c.pages[string(src)]
		c.mu.RUnlock()
		if ok {
			return append(dst[:0], page...), nil
		}
	}
	e, err := encoder()
	if err != nil {
		return dst, err
	}
	dst = e.EncodeAll(src, dst[:0])
	if small {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.pages == nil || len(c.pages) >= manyPages {
			c.pages = map[string][]byte{}
		}
		c.pages[string(src)] = bytes.Clone(dst)
	}
	return dst, nil
}

// info describes a table as the manifest does.
func info(t *kind.Table) TableInfo {
	return TableInfo{Name: t.Name, Sync: t.Sync, Columns: slices.Clone(t.Columns), Fingerprint: fingerprint(t.Columns)}
}

// info is the same of a table of the sync that has this schema.
func (s *schema) info(sync string) TableInfo {
	return TableInfo{Name: s.table, Sync: sync, Columns: s.columns, Fingerprint: s.fingerprint}
}

// fingerprint is the SHA-256, in hex, of what the columns are: a line for each
// with name, type and whether it is key or required.
func fingerprint(columns []kind.Column) string {
	h := sha256.New()
	for _, c := range columns {
		fmt.Fprintf(h, "%q %s %t %t\n", c.Name, c.Type, c.Key, c.Key || c.Required)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// group is a Parquet group that keeps its fields in order; parquet.Group sorts
// them by name.
type group struct {
	parquet.Group
	names []string
}

func (g group) Fields() []parquet.Field {
	fields := g.Group.Fields()
	byName := make(map[string]parquet.Field, len(fields))
	for _, f := range fields {
		byName[f.Name()] = f
	}
	ordered := make([]parquet.Field, len(g.names))
	for i, name := range g.names {
		ordered[i] = byName[name]
	}
	return ordered
}

func (g group) GoType() reflect.Type { return reflect.TypeFor[map[string]any]() }

// schema is how a table's columns are in Parquet.
type schema struct {
	table   string
	columns []kind.Column
	keys    []int
	parquet *parquet.Schema

	fingerprint string
	writers     sync.Pool // of *parquet.Writer, closed and reset
}

func newSchema(table string, columns []kind.Column) (*schema, error) {
	s := &schema{table: table, columns: columns, fingerprint: fingerprint(columns)}
	g := group{Group: parquet.Group{}}
	for i, c := range columns {
		var node parquet.Node
		switch c.Type {
		case kind.String, kind.Strings:
			// Measured: with zstd smaller than a dictionary, and every engine reads it.
			node = parquet.Encoded(parquet.String(), &parquet.Plain)
		case kind.Int, kind.Ints:
			node = parquet.Leaf(parquet.Int64Type)
		case kind.Float:
			node = parquet.Leaf(parquet.DoubleType)
		case kind.Bool:
			node = parquet.Leaf(parquet.BooleanType)
		case kind.Time:
			node = parquet.Timestamp(parquet.Microsecond)
		default:
			return nil, fmt.Errorf("column %s has the unknown type %q", c.Name, c.Type)
		}
		if isList(c) {
			node = parquet.List(node)
		}
		if required(c) {
			node = parquet.Required(node)
		} else {
			node = parquet.Optional(node)
		}
		if g.Group[c.Name] != nil {
			return nil, fmt.Errorf("two columns are called %s", c.Name)
		}
		if c.Key {
			if isList(c) {
				return nil, fmt.Errorf("the key column %s is a list", c.Name)
			}
			s.keys = append(s.keys, i)
		}
		g.Group[c.Name] = node
		g.names = append(g.names, c.Name)
	}
	if len(s.keys) == 0 {
		return nil, fmt.Errorf("it has no key column")
	}
	s.parquet = parquet.NewSchema(table, g)
	return s, nil
}

func isList(c kind.Column) bool   { return c.Type == kind.Strings || c.Type == kind.Ints }
func required(c kind.Column) bool { return c.Key || c.Required }

// leafPath is the path of the column's values in the Parquet schema.
func leafPath(c kind.Column) []string {
	if isList(c) {
		return []string{c.Name, "list", "element"}
	}
	return []string{c.Name}
}

// The keys of a file's own metadata. They tell a file apart that stands where
// another belongs; the manifest is what counts.
const (
	metaTable   = "snap.table"
	metaAccount = "snap.account"
	metaRegion  = "snap.region"
	metaSync    = "snap.sync"
	metaFormat  = "snap.format"
)

func metadata(id CellID, table string) map[string]string {
	return map[string]string{
		metaTable: table, metaAccount: id.Account, metaRegion: id.Region, metaSync: id.Sync,
		metaFormat: fmt.Sprint(Format),
	}
}

// newWriter is a Parquet writer whose bytes depend on nothing but the rows and
// the metadata that encode sets.
//
//nolint:staticcheck // the generic writer that should replace it wants a Go type a table
func (s *schema) newWriter() *parquet.Writer {
	options := []parquet.WriterOption{
		s.parquet,
		parquet.Compression(codec),
		parquet.CreatedBy("snap", fmt.Sprint(Format), ""), // the program's version would change every file
	}
	var sorting []parquet.SortingColumn
	for _, k := range s.keys {
		sorting = append(sorting, parquet.Ascending(s.columns[k].Name))
	}
	options = append(options, parquet.SortingWriterConfig(parquet.SortingColumns(sorting...)))
	for _, c := range s.columns {
		if c.Document { // least and greatest value would be stored whole, several times and not compressed
			options = append(options, parquet.SkipPageBounds(leafPath(c)...), parquet.SkipPageStatistics(leafPath(c)...))
		}
	}
	return parquet.NewWriter(io.Discard, options...)
}

// reuseRows is how many rows a writer may have written that is used again: most
// files are small, and what a writer of a large one holds is better let go.
const reuseRows = 1 << 12

// reuse makes a writer that was closed ready for another file. Without the
// first lines Reset would blank, in parquet-go v0.32.0, the path_in_schema and
// the sorting columns of every later file, which those of the last one share.
//
//nolint:staticcheck // see newWriter
func (s *schema) reuse(w *parquet.Writer) {
	groups := w.File().Metadata().RowGroups
	clear(groups[:cap(groups)])
	w.Reset(nil)
	s.writers.Put(w)
}

func (s *schema) wrong(row kind.Row, c *kind.Column, format string, args ...any) error {
	return fmt.Errorf("table %s: row %s: column %s: %w", s.table, s.keyText(row), c.Name, fmt.Errorf(format, args...))
}

// fits tells whether v, not nil, is a value of the type.
func fits(t kind.Type, v any) bool {
	switch v.(type) {
	case string:
		return t == kind.String
	case int64:
		return t == kind.Int
	case float64:
		return t == kind.Float
	case bool:
		return t == kind.Bool
	case time.Time:
		return t == kind.Time
	case []string:
		return t == kind.Strings
	case []int64:
		return t == kind.Ints
	}
	return false
}

// short is the beginning of a value for a message.
func short(s string) string {
	if len(s) > 64 {
		return s[:64]
	}
	return s
}

// keyText is a row's key in messages.
func (s *schema) keyText(row kind.Row) string {
	var parts []string
	for _, k := range s.keys {
		parts = append(parts, short(fmt.Sprintf("%v", row[k])))
	}
	return fmt.Sprintf("%q", strings.Join(parts, " "))
}

// compare orders rows by key.
func (s *schema) compare(a, b kind.Row) int {
	for _, k := range s.keys {
		if c := compareValues(a[k], b[k]); c != 0 {
			return c
		}
	}
	return 0
}

// compareValues orders two values of one scalar type.
func compareValues(a, b any) int {
	switch a := a.(type) {
	case string:
		return strings.Compare(a, b.(string))
	case int64:
		return cmp.Compare(a, b.(int64))
	case float64:
		return cmp.Compare(a, b.(float64))
	case time.Time:
		return a.Compare(b.(time.Time))
	case bool:
		switch {
		case a == b.(bool):
			return 0
		case a:
			return 1
		}
		return -1
	}
	panic(fmt.Sprintf("store: a key of type %T", a))
}
