package store

import (
	"bufio"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"

	"snap/store/kind"
)

// Rows wait for their cell's end packed, a third of what they take as Go
// values and nothing that the garbage collector looks into. Where all cells
// together hold more than memoryLimit, the rows of a table are written, sorted,
// to a temporary file as a run, and the runs are merged when the cell ends.
const (
	memoryLimit = 24 << 20     // bytes that a writer's cells hold
	leastRun    = 64           // a run has at least this part of the limit, lest there be too many
	mergeBuffer = 16 << 20     // bytes that the runs of a table are read through
	refSize     = 64 + 64 + 16 // about what is kept beside a row's packed values
)

// rows are a table's rows in a cell, by key.
type rows struct {
	table  *kind.Table
	schema *schema
	at     map[string]int // in refs, by key
	refs   []ref
	packed arena
	buffer []byte
	bytes  int64 // held

	spilled scratch
	size    int64 // of spilled
	runs    []span
}

// ref is a row: packed, or as values once another was merged into it.
type ref struct {
	key    string
	packed []byte
	row    kind.Row
}

// span is a run in the temporary file.
type span struct{ from, size, rows int64 }

// count is how many rows there are; a row of which there are parts in several
// runs counts for each.
func (p *rows) count() int64 {
	n := int64(len(p.refs))
	for _, r := range p.runs {
		n += r.rows
	}
	return n
}

// put adds a row or merges it into that of its key. grown is by how much more
// is held.
func (p *rows) put(r kind.Row) (grown int64, err error) {
	key, err := p.schema.key(r)
	if err != nil {
		return 0, err
	}
	if p.buffer, err = p.schema.pack(p.buffer[:0], r); err != nil {
		return 0, err
	}
	grown = int64(len(p.buffer))
	i, seen := p.at[key]
	if !seen {
		p.at[key] = len(p.refs)
		p.refs = append(p.refs, ref{key: key, packed: p.packed.keep(p.buffer)})
		grown += int64(len(key)) + refSize
	} else {
		to := &p.refs[i]
		if to.row == nil {
			if to.row, err = p.schema.unpack(to.packed); err != nil {
				return 0, err
			}
			grown += int64(len(to.row)) * 32
			to.packed = nil
		}
		p.schema.merge(to.row, r)
	}
	p.bytes += grown
	return grown, nil
}

// sort brings the rows in memory into the order of their keys.
func (p *rows) sort() {
	slices.SortFunc(p.refs, func(a, b ref) int { return strings.Compare(a.key, b.key) })
}

// spill writes the rows in memory as a run and lets go of them; freed is how
// much was held. open makes the temporary file.
func (p *rows) spill(open func() (scratch, error)) (freed int64, err error) {
	if p.spilled == nil {
		if p.spilled, err = open(); err != nil {
			return 0, err
		}
	}
	p.sort()
	run := span{from: p.size, rows: int64(len(p.refs))}
	out := bufio.NewWriterSize(p.spilled, 256<<10)
	var head []byte
	for _, r := range p.refs {
		b, err := p.schema.packedRow(r, &p.buffer)
		if err != nil {
			return 0, err
		}
		head = binary.AppendUvarint(head[:0], uint64(len(r.key)))
		head = append(head, r.key...)
		head = binary.AppendUvarint(head, uint64(len(b)))
		if _, err := out.Write(head); err != nil {
			return 0, err
		}
		if _, err := out.Write(b); err != nil {
			return 0, err
		}
		run.size += int64(len(head) + len(b))
	}
	if err := out.Flush(); err != nil {
		return 0, err
	}
	p.size += run.size
	p.runs = append(p.runs, run)
	freed, p.bytes = p.bytes, 0
	clear(p.at)
	clear(p.refs)
	p.refs = p.refs[:0]
	p.packed.reset()
	return freed, nil
}

// release lets go of the temporary file.
func (p *rows) release() error {
	if p.spilled == nil {
		return nil
	}
	err := p.spilled.Close()
	p.spilled = nil
	return err
}

// packedRow is the packed form of a row; buffer is where it may lie.
func (s *schema) packedRow(r ref, buffer *[]byte) (b []byte, err error) {
	if r.row == nil {
		return r.packed, nil
	}
	*buffer, err = s.pack((*buffer)[:0], r.row)
	return *buffer, err
}

// all gives the rows, packed, in the order of their keys. A row is valid until
// the next is asked for.
func (p *rows) all() iter.Seq2[[]byte, error] {
	p.sort()
	if len(p.runs) == 0 {
		return func(yield func([]byte, error) bool) {
			for _, r := range p.refs {
				if b, err := p.schema.packedRow(r, &p.buffer); !yield(b, err) || err != nil {
					return
				}
			}
		}
	}
	return func(yield func([]byte, error) bool) {
		if err := p.merge(func(b []byte) bool { return yield(b, nil) }); err != nil {
			yield(nil, err)
		}
	}
}

// merge gives the rows of all runs and of memory to take until it returns false.
func (p *rows) merge(take func([]byte) bool) error {
	var runs runHeap
	size := max(4<<10, min(256<<10, mergeBuffer/len(p.runs)))
	for i, r := range p.runs {
		runs = append(runs, &sorted{age: i, in: bufio.NewReaderSize(io.NewSectionReader(p.spilled, r.from, r.size), size), left: r.rows})
	}
	runs = append(runs, &sorted{age: len(p.runs), schema: p.schema, refs: p.refs})
	for i := len(runs) - 1; i >= 0; i-- {
		if more, err := runs[i].next(); err != nil {
			return err
		} else if !more {
			runs = slices.Delete(runs, i, i+1)
		}
	}
	heap.Init(&runs)
	advance := func() error {
		more, err := runs[0].next()
		if more {
			heap.Fix(&runs, 0)
		} else {
			heap.Pop(&runs)
		}
		return err
	}
	var key, packed []byte
	for len(runs) > 0 {
		key, packed = append(key[:0], runs[0].key...), append(packed[:0], runs[0].packed...)
		if err := advance(); err != nil {
			return err
		}
		var row kind.Row
		for len(runs) > 0 && string(runs[0].key) == string(key) { // the older first
			if row == nil {
				var err error
				if row, err = p.schema.unpack(packed); err != nil {
					return err
				}
			}
			from, err := p.schema.unpack(runs[0].packed)
			if err != nil {
				return err
			}
			p.schema.merge(row, from)
			if err := advance(); err != nil {
				return err
			}
		}
		if row != nil {
			var err error
			if packed, err = p.schema.pack(packed[:0], row); err != nil {
				return err
			}
		}
		if !take(packed) {
			return nil
		}
	}
	return nil
}

// sorted reads a run, or the rows in memory, in order.
type sorted struct {
	age         int
	key, packed []byte // of the row that it is at

	in   *bufio.Reader
	left int64

	schema *schema
	refs   []ref
	buffer []byte
}

// next goes to the next row, which is valid until it is called again.
func (r *sorted) next() (more bool, err error) {
	if r.in == nil {
		if len(r.refs) == 0 {
			return false, nil
		}
		r.key = append(r.key[:0], r.refs[0].key...)
		r.packed, err = r.schema.packedRow(r.refs[0], &r.buffer)
		r.refs = r.refs[1:]
		return true, err
	}
	if r.left == 0 {
		return false, nil
	}
	r.left--
	if r.key, err = readPart(r.in, r.key); err == nil {
		r.packed, err = readPart(r.in, r.packed)
	}
	if err != nil {
		return false, fmt.Errorf("rows that were set aside: %w", noEnd(err))
	}
	return true, nil
}

func readPart(in *bufio.Reader, b []byte) ([]byte, error) {
	n, err := binary.ReadUvarint(in)
	if err != nil {
		return b, err
	}
	b = slices.Grow(b[:0], int(n))[:n]
	_, err = io.ReadFull(in, b)
	return b, err
}

// noEnd is an error for an end that comes too soon.
func noEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// runHeap has the run with the least key first, of the same the oldest.
type runHeap []*sorted

func (h runHeap) Len() int { return len(h) }
func (h runHeap) Less(i, j int) bool {
	if c := strings.Compare(string(h[i].key), string(h[j].key)); c != 0 {
		return c < 0
	}
	return h[i].age < h[j].age
}
func (h runHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(r any)   { *h = append(*h, r.(*sorted)) }
func (h *runHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// arena keeps bytes in few pieces.
type arena struct {
	chunks [][]byte
	at     int
}

func (a *arena) keep(b []byte) []byte {
	for ; a.at < len(a.chunks); a.at++ {
		if c := a.chunks[a.at]; cap(c)-len(c) >= len(b) {
			a.chunks[a.at] = append(c, b...)
			return a.chunks[a.at][len(c):]
		}
	}
	size := max(len(b), 1<<min(10+len(a.chunks), 20))
	a.chunks = append(a.chunks, append(make([]byte, 0, size), b...))
	return a.chunks[a.at]
}

// reset forgets what was kept, for the space to be used again.
func (a *arena) reset() {
	for i := range a.chunks {
		a.chunks[i] = a.chunks[i][:0]
	}
	a.at = 0
}

// key is a row's key as text that no other key has and that sorts as the keys
// do; an error says what is wrong with it.
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
	var b []byte
	for _, k := range s.keys {
		switch v := row[k].(type) {
		case string:
			b = append(b, strings.ReplaceAll(v, "\x00", "\x00\xff")...)
			b = append(b, "\x00\x01"...) // below every text that goes on
		case int64:
			b = binary.BigEndian.AppendUint64(b, uint64(v)^1<<63)
		case time.Time:
			b = binary.BigEndian.AppendUint64(b, uint64(v.UnixMicro())^1<<63)
		case float64:
			bits := math.Float64bits(v)
			if bits>>63 == 0 {
				bits |= 1 << 63
			} else {
				bits = ^bits
			}
			b = binary.BigEndian.AppendUint64(b, bits)
		case bool:
			b = append(b, map[bool]byte{true: 1}[v])
		}
	}
	return string(b), nil
}

// The packed form of a row: for each column what it is and its value.
const (
	packedNull = iota
	packedString
	packedInt
	packedFloat
	packedFalse
	packedTrue
	packedTime
	packedStrings
	packedInts
)

// pack appends the packed form of a row whose key is right. Lists of "_"
// columns, which are sets, get the one form that does not depend on the order
// in which they were put.
func (s *schema) pack(to []byte, row kind.Row) ([]byte, error) {
	for i := range s.columns {
		c := &s.columns[i]
		v := row[i]
		if v != nil && !fits(c.Type, v) {
			return to, s.wrong(row, c, "is a %T, not a %s", v, c.Type)
		}
		switch v := v.(type) {
		case nil:
			to = append(to, packedNull)
		case string:
			if !utf8.ValidString(v) {
				return to, s.wrong(row, c, "is not valid UTF-8: %q", short(v))
			}
			to = binary.AppendUvarint(append(to, packedString), uint64(len(v)))
			to = append(to, v...)
		case int64:
			to = binary.AppendVarint(append(to, packedInt), v)
		case float64:
			to = binary.LittleEndian.AppendUint64(append(to, packedFloat), math.Float64bits(v))
		case bool:
			if v {
				to = append(to, packedTrue)
			} else {
				to = append(to, packedFalse)
			}
		case time.Time:
			to = binary.AppendVarint(append(to, packedTime), v.UnixMicro())
		case []string:
			if !c.Property() {
				v = asSet(v)
			}
			to = binary.AppendUvarint(append(to, packedStrings), uint64(len(v)))
			for n, element := range v {
				if !utf8.ValidString(element) {
					return to, s.wrong(row, c, "element %d is not valid UTF-8: %q", n, short(element))
				}
				to = append(binary.AppendUvarint(to, uint64(len(element))), element...)
			}
		case []int64:
			if !c.Property() {
				v = asSet(v)
			}
			to = binary.AppendUvarint(append(to, packedInts), uint64(len(v)))
			for _, element := range v {
				to = binary.AppendVarint(to, element)
			}
		}
	}
	return to, nil
}

func asSet[E cmp.Ordered](list []E) []E {
	set := slices.Clone(list)
	slices.Sort(set)
	return slices.Compact(set)
}

// packedReader takes packed values off b. bad tells that it is none of ours.
type packedReader struct {
	b   []byte
	bad bool
}

func (r *packedReader) tag() byte {
	if len(r.b) == 0 {
		r.bad = true
		return packedNull
	}
	t := r.b[0]
	r.b = r.b[1:]
	return t
}

func (r *packedReader) uvarint() uint64 {
	if len(r.b) > 0 && r.b[0] < 0x80 {
		v := r.b[0]
		r.b = r.b[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *packedReader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *packedReader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.bad = true
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *packedReader) float() float64 {
	b := r.bytes(8)
	if r.bad {
		return 0
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b))
}

// size is how many elements come, each of a byte at least.
func (r *packedReader) size() int {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad = true
		return 0
	}
	return int(n)
}

var errPacked = errors.New("rows that were set aside: they are not as they were")

// unpack is a row as values, all of them fresh.
func (s *schema) unpack(b []byte) (kind.Row, error) {
	r := packedReader{b: b}
	row := make(kind.Row, len(s.columns))
	for i := range row {
		switch r.tag() {
		case packedNull:
		case packedString:
			row[i] = string(r.bytes(r.uvarint()))
		case packedInt:
			row[i] = r.varint()
		case packedFloat:
			row[i] = r.float()
		case packedFalse:
			row[i] = false
		case packedTrue:
			row[i] = true
		case packedTime:
			row[i] = time.UnixMicro(r.varint()).UTC()
		case packedStrings:
			list := make([]string, r.size())
			for n := range list {
				list[n] = string(r.bytes(r.uvarint()))
			}
			row[i] = list
		case packedInts:
			list := make([]int64, r.size())
			for n := range list {
				list[n] = r.varint()
			}
			row[i] = list
		default:
			r.bad = true
		}
	}
	if r.bad || len(r.b) > 0 {
		return nil, errPacked
	}
	return row, nil
}

// write writes packed rows, which come sorted by key, as a Parquet file and
// says how many there were. A row that does not fit the columns is an error
// that names table, key and column.
func (s *schema) write(out io.Writer, rows iter.Seq2[[]byte, error], meta map[string]string) (n int64, err error) {
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
	b := block{schema: s, columns: w.ColumnWriters()}
	for row, err := range rows {
		if err != nil {
			return n, err
		}
		b.add(row)
		n++
		if len(b.starts) == blockRows {
			if err := b.write(); err != nil {
				return n, err
			}
		}
		if n%rowsPerGroup == 0 {
			if err := w.Flush(); err != nil {
				return n, err
			}
		}
	}
	if err := b.write(); err != nil {
		return n, err
	}
	if n%rowsPerGroup > 0 {
		if err := w.Flush(); err != nil {
			return n, err
		}
	}
	if err := w.Close(); err != nil {
		return n, err
	}
	if n <= reuseRows {
		s.reuse(w)
	}
	return n, nil
}

// block is a few rows, which are written column by column.
type block struct {
	schema  *schema
	columns []*parquet.ColumnWriter
	packed  []byte
	starts  []int
	rest    []packedReader // of each row what the columns so far have left
	values  []parquet.Value
}

func (b *block) add(row []byte) {
	b.starts = append(b.starts, len(b.packed))
	b.packed = append(b.packed, row...)
}

// write writes the rows and forgets them.
func (b *block) write() error {
	b.rest = b.rest[:0]
	for i, start := range b.starts {
		end := len(b.packed)
		if i+1 < len(b.starts) {
			end = b.starts[i+1]
		}
		b.rest = append(b.rest, packedReader{b: b.packed[start:end]})
	}
	for i, column := range b.columns {
		for at := 0; at < len(b.rest); {
			b.values = b.values[:0]
			for bytes := 0; at < len(b.rest) && bytes < pageBytes; at++ {
				size, err := b.append(i, &b.rest[at])
				if err != nil {
					return b.blame(at, i, err)
				}
				bytes += size
			}
			if _, err := column.WriteRowValues(b.values); err != nil {
				return err
			}
		}
	}
	b.packed, b.starts = b.packed[:0], b.starts[:0]
	return nil
}

// blame names the row and column of an error.
func (b *block) blame(at, i int, err error) error {
	end := len(b.packed)
	if at+1 < len(b.starts) {
		end = b.starts[at+1]
	}
	row, bad := b.schema.unpack(b.packed[b.starts[at]:end])
	if bad != nil {
		return bad
	}
	return b.schema.wrong(row, &b.schema.columns[i], "%w", err)
}

// append takes the value of column i off r and appends it in Parquet's form;
// size is about how many bytes it takes.
func (b *block) append(i int, r *packedReader) (size int, err error) {
	c := &b.schema.columns[i]
	present := 1
	if required(*c) {
		present = 0
	}
	size = 8
	switch r.tag() {
	case packedNull:
		if present == 0 {
			return 0, errors.New("is null, which it must not be")
		}
		b.values = append(b.values, parquet.Value{}.Level(0, 0, i))
	case packedString:
		text := r.bytes(r.uvarint())
		size = len(text)
		b.values = append(b.values, parquet.ByteArrayValue(text).Level(0, present, i))
	case packedInt, packedTime:
		b.values = append(b.values, parquet.Int64Value(r.varint()).Level(0, present, i))
	case packedFloat:
		b.values = append(b.values, parquet.DoubleValue(r.float()).Level(0, present, i))
	case packedFalse:
		b.values = append(b.values, parquet.BooleanValue(false).Level(0, present, i))
	case packedTrue:
		b.values = append(b.values, parquet.BooleanValue(true).Level(0, present, i))
	case packedStrings:
		length := r.size()
		size = 4 * length
		for n := range length {
			text := r.bytes(r.uvarint())
			size += len(text)
			b.values = append(b.values, parquet.ByteArrayValue(text).Level(min(n, 1), present+1, i))
		}
		if length == 0 {
			b.values = append(b.values, parquet.Value{}.Level(0, present, i))
		}
	case packedInts:
		length := r.size()
		size = 8 * length
		for n := range length {
			b.values = append(b.values, parquet.Int64Value(r.varint()).Level(min(n, 1), present+1, i))
		}
		if length == 0 {
			b.values = append(b.values, parquet.Value{}.Level(0, present, i))
		}
	default:
		r.bad = true
	}
	if r.bad {
		return 0, errPacked
	}
	if size > maxValue {
		return 0, fmt.Errorf("has %d bytes; %d are the most", size, maxValue)
	}
	return size, nil
}
