package store

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

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

// codec is shared: it pools its encoders.
var codec = &zstd.Codec{Level: zstd.SpeedDefault}

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
	sets    []int // "_" columns that are lists: their elements have no order
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
			if !c.Property() {
				s.sets = append(s.sets, i)
			}
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

// write writes rows, which are sorted by key and of the schema's width. A row
// that does not fit the columns is an error that names table, key and column.
func (s *schema) write(out io.Writer, rows []kind.Row, meta map[string]string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("table %s: %v", s.table, r)
		}
	}()
	//nolint:staticcheck // see newWriter
	w, ok := s.writers.Get().(*parquet.Writer)
	if !ok {
		w = s.newWriter()
	}
	w.Reset(out)
	for _, key := range slices.Sorted(maps.Keys(meta)) { // replaces those of the file before
		w.SetKeyValueMetadata(key, meta[key])
	}
	var values []parquet.Value
	for rest := rows; len(rest) > 0; {
		part := rest[:min(len(rest), rowsPerGroup)]
		rest = rest[len(part):]
		columns := w.ColumnWriters()
		// Rows lie anywhere in memory: a few at a time are still near when their
		// next column is written.
		for len(part) > 0 {
			block := part[:min(len(part), blockRows)]
			part = part[len(block):]
			for i, column := range columns {
				for at := 0; at < len(block); {
					values = values[:0]
					for bytes := 0; at < len(block) && bytes < pageBytes; at++ {
						size := valueSize(block[at][i])
						if size > maxValue {
							return fmt.Errorf("table %s: row %s: column %s has %d bytes; %d are the most", s.table, s.keyText(block[at]), s.columns[i].Name, size, maxValue)
						}
						if values, err = s.appendValue(values, i, block[at]); err != nil {
							return err
						}
						bytes += size
					}
					if _, err := column.WriteRowValues(values); err != nil {
						return err
					}
				}
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if len(rows) <= reuseRows {
		s.reuse(w)
	}
	return nil
}

// appendValue appends the Parquet form of a row's column i.
func (s *schema) appendValue(to []parquet.Value, i int, row kind.Row) ([]parquet.Value, error) {
	c := &s.columns[i]
	present := 1
	if required(*c) {
		present = 0
	}
	switch v := row[i].(type) {
	case nil:
		if required(*c) {
			return to, s.wrong(row, c, "is null, which it must not be")
		}
		return append(to, parquet.Value{}.Level(0, 0, i)), nil
	case []string:
		if c.Type != kind.Strings {
			return to, s.wrong(row, c, "is a %T, not a %s", v, c.Type)
		}
		for n, element := range v {
			if !utf8.ValidString(element) {
				return to, s.wrong(row, c, "element %d is not valid UTF-8: %q", n, short(element))
			}
			to = append(to, parquet.ValueOf(element).Level(min(n, 1), present+1, i))
		}
		if len(v) == 0 {
			to = append(to, parquet.Value{}.Level(0, present, i))
		}
		return to, nil
	case []int64:
		if c.Type != kind.Ints {
			return to, s.wrong(row, c, "is a %T, not a %s", v, c.Type)
		}
		for n, element := range v {
			to = append(to, parquet.Int64Value(element).Level(min(n, 1), present+1, i))
		}
		if len(v) == 0 {
			to = append(to, parquet.Value{}.Level(0, present, i))
		}
		return to, nil
	case string:
		if !utf8.ValidString(v) {
			return to, s.wrong(row, c, "is not valid UTF-8: %q", short(v))
		}
		if c.Type == kind.String {
			return append(to, parquet.ValueOf(row[i]).Level(0, present, i)), nil
		}
	case int64:
		if c.Type == kind.Int {
			return append(to, parquet.Int64Value(v).Level(0, present, i)), nil
		}
	case float64:
		if c.Type == kind.Float {
			return append(to, parquet.DoubleValue(v).Level(0, present, i)), nil
		}
	case bool:
		if c.Type == kind.Bool {
			return append(to, parquet.BooleanValue(v).Level(0, present, i)), nil
		}
	case time.Time:
		if c.Type == kind.Time {
			return append(to, parquet.Int64Value(v.UnixMicro()).Level(0, present, i)), nil
		}
	}
	return to, s.wrong(row, c, "is a %T, not a %s", row[i], c.Type)
}

func (s *schema) wrong(row kind.Row, c *kind.Column, format string, args ...any) error {
	return fmt.Errorf("table %s: row %s: column %s: %s", s.table, s.keyText(row), c.Name, fmt.Sprintf(format, args...))
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

// valueSize is about how many bytes a value takes.
func valueSize(v any) int {
	switch v := v.(type) {
	case string:
		return len(v)
	case []int64:
		return 8 * len(v)
	case []string:
		n := 4 * len(v)
		for _, e := range v {
			n += len(e)
		}
		return n
	}
	return 8
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

// key is a row's key as text that no other key has; an error says what is
// wrong with it.
func (s *schema) key(row kind.Row) (string, error) {
	if len(row) != len(s.columns) {
		return "", fmt.Errorf("table %s: a row has %d values for %d columns", s.table, len(row), len(s.columns))
	}
	for _, k := range s.keys {
		if c := s.columns[k]; !fits(c.Type, row[k]) {
			return "", fmt.Errorf("table %s: row %s: key column %s is a %T, not a %s", s.table, s.keyText(row), c.Name, row[k], c.Type)
		}
	}
	if text, ok := row[s.keys[0]].(string); ok && len(s.keys) == 1 {
		return text, nil
	}
	var b strings.Builder
	for _, k := range s.keys {
		v := row[k]
		if at, ok := v.(time.Time); ok {
			v = at.UnixMicro()
		}
		text := fmt.Sprint(v)
		fmt.Fprintf(&b, "%d:%s", len(text), text)
	}
	return b.String(), nil
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
