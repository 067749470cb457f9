package load

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"sync"

	"snap/store/kind"
)

// A batch is sent when it has this many rows or about this many bytes.
const (
	batchRows  = 5000
	batchBytes = 4 << 20
)

// entry is one row of a batch: the parameters of one node or relationship.
type entry map[string]any

// batch gathers the rows of one statement. No key is in it twice: rows of one
// key become one, since within a statement Cypher may read all of what it
// changes before it changes any.
type batch struct {
	send  func(rows []entry, alone map[string]bool) error
	rows  []entry
	order []string // by which they are sent
	at    map[string]int
	alone map[string]bool // the nodes that no other batch under way may have
	bytes int
}

func newBatch(send func(rows []entry, alone map[string]bool) error) *batch {
	return &batch{send: send, at: map[string]int{}, alone: map[string]bool{}}
}

// add gives the entry of a key to fill, a new one where there is none. alone
// names the node that the row is about, all of whose rows are best in one
// batch; order is by what the rows of a batch are sorted, so that transactions
// at the same time lock the nodes at the other end in one order.
func (b *batch) add(key, alone, order string, size int, fill func(e entry, fresh bool)) error {
	i, ok := b.at[key]
	if !ok {
		full := len(b.rows) >= batchRows || b.bytes+size > batchBytes && len(b.rows) > 0
		overfull := len(b.rows) >= 2*batchRows || b.bytes+size > 2*batchBytes
		if full && (overfull || !b.alone[alone]) {
			if err := b.flush(); err != nil {
				return err
			}
		}
		i = len(b.rows)
		b.at[key] = i
		b.rows, b.order = append(b.rows, entry{}), append(b.order, order)
		b.alone[alone] = true
	}
	b.bytes += size
	fill(b.rows[i], !ok)
	return nil
}

func (b *batch) flush() error {
	if len(b.rows) == 0 {
		return nil
	}
	rows, alone := b.rows, b.alone
	sort.Stable(byOrder{rows, b.order})
	b.rows, b.order, b.alone, b.bytes = nil, b.order[:0], map[string]bool{}, 0
	clear(b.at)
	return b.send(rows, alone)
}

type byOrder struct {
	rows  []entry
	order []string
}

func (b byOrder) Len() int           { return len(b.rows) }
func (b byOrder) Less(i, j int) bool { return b.order[i] < b.order[j] }
func (b byOrder) Swap(i, j int) {
	b.rows[i], b.rows[j] = b.rows[j], b.rows[i]
	b.order[i], b.order[j] = b.order[j], b.order[i]
}

// portion is how many rows the server has lately had the memory for: half after
// it lacked it, and twice as many again after a while. The zero value is no
// limit.
type portion struct {
	mu   sync.Mutex
	rows int
	good int // how many of that size went well
}

// growAfter is how many portions must have gone well before they grow: the
// server does the work of one that is too large for nothing.
const growAfter = 4

// of is how many of n rows to send.
func (p *portion) of(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rows > 0 {
		n = min(n, p.rows)
	}
	return n
}

// tooLarge notes that the server lacked the memory for n rows.
func (p *portion) tooLarge(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rows == 0 || n/2 < p.rows { // others at the same time may have found less room
		p.rows, p.good = n/2, 0
	}
}

// enough notes that it had it.
func (p *portion) enough(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.good++; p.rows > 0 && p.good > growAfter && n == p.rows {
		p.rows, p.good = 2*n, 0
	}
	if p.rows >= batchRows {
		p.rows, p.good = 0, 0
	}
}

// inPortions sends rows, in portions where the server lacks the memory for all.
func inPortions[R any](p *portion, rows []R, send func([]R) error) error {
	for len(rows) > 0 {
		n := p.of(len(rows))
		err := send(rows[:n])
		var large *tooLarge
		switch {
		case errors.As(err, &large) && n == 1:
			return fmt.Errorf("neo4j: the server lacks the memory for one row; raise db.memory.transaction.max, dbms.memory.transaction.total.max or its heap: %w", err)
		case errors.As(err, &large):
			p.tooLarge(n)
			continue
		case err != nil:
			return err
		}
		rows = rows[n:]
		p.enough(n)
	}
	return nil
}

// match is how the node at an end of a relationship is found: properties and
// the columns that hold their values, -1 for the cell's account.
type match struct {
	keys    []string
	columns []int
}

func newMatch(t *kind.Table, on kind.On) match {
	m := match{keys: slices.Sorted(maps.Keys(on))}
	for _, key := range m.keys {
		i, ok := t.Column(on[key])
		if !ok {
			i = -1 // kind's check lets only AccountColumn through
		}
		m.columns = append(m.columns, i)
	}
	return m
}

// cypher is the pattern of a node whose values are the fields <prefix>0,
// <prefix>1 … of variable row.
func (m match) cypher(node, label, row, prefix string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "(%s:%s {", node, quote(label))
	for i, key := range m.keys {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s: %s.%s%d", quote(key), row, prefix, i)
	}
	b.WriteString("})")
	return b.String()
}

// values are the combinations of values that a row's columns name: none where
// one is null, one for each element of a list. known is false where a column
// is unknown.
func (m match) values(t *kind.Table, row kind.Row, account string, unknown []string) (all [][]any, known bool) {
	all = [][]any{{}}
	for _, c := range m.columns {
		var options []any
		switch {
		case c < 0:
			options = []any{account}
		case slices.Contains(unknown, t.Columns[c].Name):
			return nil, false
		default:
			switch v := row[c].(type) {
			case nil:
			case []string:
				for _, e := range v {
					options = append(options, e)
				}
			case []int64:
				for _, e := range v {
					options = append(options, e)
				}
			default:
				options = []any{parameter(v)}
			}
		}
		var next [][]any
		for _, a := range all {
			for _, o := range options {
				next = append(next, append(slices.Clip(a), o))
			}
		}
		all = next
	}
	return all, true
}

// property is a column that becomes a property.
type property struct {
	name   string
	column int
}

func newProperties(t *kind.Table, props map[string]string) []property {
	var all []property
	for _, name := range slices.Sorted(maps.Keys(props)) {
		i, _ := t.Column(props[name])
		all = append(all, property{name, i})
	}
	return all
}

// take puts the known ones into a map, nulls too: they remove.
func take(into map[string]any, all []property, t *kind.Table, row kind.Row, unknown []string) (size int) {
	for _, p := range all {
		if !slices.Contains(unknown, t.Columns[p.column].Name) {
			v := parameter(t.Value(row, p.column))
			into[p.name] = v
			size += len(p.name) + sizeOf(v)
		}
	}
	return size
}

// sizeOf is about how many bytes a value takes on the wire.
func sizeOf(v any) int {
	switch v := v.(type) {
	case string:
		return len(v) + 5
	case []string:
		n := 5
		for _, s := range v {
			n += len(s) + 5
		}
		return n
	case []int64:
		return 9 * len(v)
	}
	return 9
}

// key joins values to one text that tells them apart.
func key(values ...any) string {
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, "%T:%q\x00", v, fmt.Sprint(v))
	}
	return b.String()
}

// seen makes missing columns unknown: it gives the table with a column for
// that, and what makes its rows of the file's rows.
func seen(t *kind.Table, missing []string) (*kind.Table, func(kind.Row) kind.Row) {
	if len(missing) == 0 || len(missing) == 1 && missing[0] == kind.Unknown {
		return t, func(r kind.Row) kind.Row { return r }
	}
	view := *t
	has := t.Columns[len(t.Columns)-1].Name == kind.Unknown
	if !has {
		view.Columns = append(slices.Clip(t.Columns), kind.Column{Name: kind.Unknown, Type: kind.Strings})
	}
	return &view, func(r kind.Row) kind.Row {
		names := slices.Concat(t.UnknownColumns(r), missing)
		if has {
			r = slices.Clone(r)
			r[len(r)-1] = names
			return r
		}
		return append(slices.Clip(r), names)
	}
}

// indexBytes is how long a text may be that an index is to hold; Neo4j refuses
// some more than 8,000 bytes when the transaction is committed.
const indexBytes = 8000

// tooLong is an error where a column that has an index holds a longer text,
// whether the graph has that index yet or not.
func tooLong(t *kind.Table, row kind.Row, cell string) error {
	for i, c := range t.Columns {
		if s, ok := row[i].(string); ok && len(s) > indexBytes && (c.Index || c.Key) {
			id, _ := row[0].(string)
			return fmt.Errorf("cell %s: the row %.60q has %d bytes in column %s, of which Neo4j has an index, and that holds %d", cell, id, len(s), c.Name, indexBytes)
		}
	}
	return nil
}

// tableRow is a row of a table in one of its cells.
type tableRow struct {
	view    *kind.Table // the table as the row's file has it
	row     kind.Row
	cell    string
	account string
}

// each calls do for every row of a table in the snapshot.
func (l *loader) each(ctx context.Context, t *kind.Table, do func(view *kind.Table, row kind.Row, cell, account string) error) error {
	for _, c := range l.plan.cells {
		for _, f := range c.Files {
			if f.Table != t.Name {
				continue
			}
			rows, missing, extra := l.source.Read(t, f)
			l.note(t, missing, extra)
			view, adapt := seen(t, missing)
			for row, err := range rows {
				if err != nil {
					return err
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := tooLong(t, row, c.CellID.String()); err != nil {
					return err
				}
				if err := do(view, adapt(row), c.CellID.String(), c.Account); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
