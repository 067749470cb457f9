package load

import (
	"encoding/binary"
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"time"
)

// ends finds the nodes that have some values. Of these it keeps 16 bytes of
// hashes: that two share them does not happen.
type ends struct {
	seeds [2]maphash.Seed
	kinds map[string]int // by the properties' names
	one   map[[2]uint64]uint32
	more  map[[2]uint64][]uint32 // besides one
	buf   []byte
}

func newEnds() *ends {
	return &ends{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, kinds: map[string]int{}, one: map[[2]uint64]uint32{}, more: map[[2]uint64][]uint32{}}
}

// kind is a number for the properties by which nodes are found.
func (e *ends) kind(keys []string) int {
	name := strings.Join(keys, ",")
	n, ok := e.kinds[name]
	if !ok {
		n = len(e.kinds)
		e.kinds[name] = n
	}
	return n
}

// hash is false where no node can be found by the values: null equals nothing,
// and no link names a list.
func (e *ends) hash(kind int, values []any) (h [2]uint64, ok bool) {
	b := binary.AppendUvarint(e.buf[:0], uint64(kind))
	for _, v := range values {
		switch v := v.(type) {
		case string:
			b = binary.AppendUvarint(append(b, 's'), uint64(len(v)))
			b = append(b, v...)
		case int64:
			b = binary.AppendVarint(append(b, 'i'), v)
		case float64:
			if v != v {
				return h, false
			}
			if v == 0 {
				v = 0 // and not -0, which equals it
			}
			b = binary.BigEndian.AppendUint64(append(b, 'f'), math.Float64bits(v))
		case bool:
			b = append(b, 'b', map[bool]byte{true: 1}[v])
		case time.Time:
			b = binary.AppendVarint(append(b, 't'), v.UnixMicro())
		default:
			return h, false
		}
	}
	e.buf = b
	return [2]uint64{maphash.Bytes(e.seeds[0], b), maphash.Bytes(e.seeds[1], b)}, true
}

// add notes that a node has the values.
func (e *ends) add(kind int, values []any, node uint32) {
	h, ok := e.hash(kind, values)
	if !ok {
		return
	}
	switch before, has := e.one[h]; {
	case !has:
		e.one[h] = node
	case before != node && !slices.Contains(e.more[h], node):
		e.more[h] = append(e.more[h], node)
	}
}

// find appends the nodes that have the values.
func (e *ends) find(to []uint32, kind int, values []any) []uint32 {
	h, ok := e.hash(kind, values)
	if !ok {
		return to
	}
	if node, ok := e.one[h]; ok {
		to = append(append(to, node), e.more[h]...)
	}
	return to
}

// labelSets gives numbers to the sets of labels that nodes have.
type labelSets struct {
	sets  [][]string
	names []string // joined as the importer wants them
	next  map[labelStep]uint16
}

// labelStep is a table's row on a node that has a set.
type labelStep struct {
	set   uint16
	table string
}

func newLabelSets() *labelSets {
	return &labelSets{sets: [][]string{nil}, names: []string{""}, next: map[labelStep]uint16{}}
}

// with is the set with a table's labels added.
func (l *labelSets) with(set uint16, table string, labels []string) uint16 {
	step := labelStep{set, table}
	if to, ok := l.next[step]; ok {
		return to
	}
	all := slices.Clone(l.sets[set])
	for _, label := range labels {
		all = union(all, label)
	}
	to := slices.IndexFunc(l.sets, func(s []string) bool { return slices.Equal(s, all) })
	if to < 0 {
		to = len(l.sets)
		l.sets = append(l.sets, all)
		l.names = append(l.names, strings.Join(all, ":"))
	}
	l.next[step] = uint16(to)
	return uint16(to)
}

func (l *labelSets) has(set uint16, label string) bool { return slices.Contains(l.sets[set], label) }
