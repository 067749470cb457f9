package diff

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"time"

	"snap/store"
)

// Kind is what happened to a row between two snapshots.
type Kind string

// The kinds. Unknown is an answer of its own: it stands where the snapshots do
// not prove what happened.
const (
	Added   Kind = "added"
	Removed Kind = "removed"
	Changed Kind = "changed"
	Unknown Kind = "unknown"
)

// Kinds are all kinds, in the order in which summaries count them.
var Kinds = []Kind{Added, Removed, Changed, Unknown}

// Side is one of the two snapshots.
type Side string

// The sides. Both says that neither snapshot knows.
const (
	Old  Side = "old"
	New  Side = "new"
	Both Side = "both"
)

// Change is one entry of a comparison: a row that was added, removed or
// changed, or something of which that cannot be told.
//
// An entry of kind Unknown is about one row (Key is set), about all rows of a
// table in one account and region (Rows says how many), about columns of a
// table (Properties names them), or about a whole account (Table is empty).
type Change struct {
	Kind     Kind   `json:"change"`
	Provider string `json:"provider"`
	Account  string `json:"account"`
	Region   string `json:"region,omitempty"` // the cell's; of a global sync the row's own, if it has one
	Sync     string `json:"sync,omitempty"`
	Table    string `json:"table,omitempty"`
	Label    string `json:"label,omitempty"` // the node's label, where the table is known to this program
	Key      Key    `json:"key,omitempty"`
	Name     string `json:"name,omitempty"` // where it is known and not the key

	// Relationship says what the row is where it is no node.
	Relationship *Relationship `json:"relationship,omitempty"`

	// Of a changed row what differs; of an added or removed row what it has,
	// null values left out.
	Properties []Property `json:"properties,omitempty"`
	Relations  []Relation `json:"relations,omitempty"`

	// What the rules say, the gravest first, and how grave that is.
	Severity Severity  `json:"severity,omitempty"`
	Findings []Finding `json:"findings,omitempty"`

	Unknown *Reason `json:"unknown,omitempty"` // of kind Unknown: why
	Perhaps Kind    `json:"perhaps,omitempty"` // of kind Unknown and one row: what it would be if the cell were complete
	Rows    int64   `json:"rows,omitempty"`    // of kind Unknown and no key: the rows that the other side has

	cell string // the region of the row's cell, "" for a global sync
}

// Property is a column of a row and what became of it.
type Property struct {
	Name string `json:"name"`
	Old  *Value `json:"old,omitempty"` // nil where the entry has no old side or the value is unknown
	New  *Value `json:"new,omitempty"`

	// Of a list, which is compared as a set: the elements on one side only.
	Added   []any `json:"added,omitempty"`
	Removed []any `json:"removed,omitempty"`

	// Of a document: lines that begin with " ", "+" or "-", and with "@" where
	// equal lines are left out. Both sides are laid out and ordered alike first.
	Diff []string `json:"diff,omitempty"`

	Links   []string `json:"links,omitempty"` // the relationships that the column also decides, "TYPE → Label"
	Unknown *Reason  `json:"unknown,omitempty"`
}

// Relation is a change of a row's relationships of one type.
type Relation struct {
	Type      string `json:"type"`
	Direction string `json:"direction"` // "out": from the row; "in": to it
	Label     string `json:"label"`     // the node at the far end
	On        string `json:"on"`        // the far node's property that the values below are values of

	Added   []any `json:"added,omitempty"`
	Removed []any `json:"removed,omitempty"`

	// Of a property of the relationship itself.
	Property string `json:"property,omitempty"`
	Old      *Value `json:"old,omitempty"`
	New      *Value `json:"new,omitempty"`

	// Unknown says why it cannot be told whether the elements of Added are new
	// or those of Removed gone, or why nothing can be told where there are none.
	Unknown *Reason `json:"unknown,omitempty"`
}

// Relationship is a row that is a relationship between two nodes.
type Relationship struct {
	Type string `json:"type"`
	From End    `json:"from"`
	To   End    `json:"to"`
}

// End is one end of a Relationship: the node of the label with those properties.
type End struct {
	Label string `json:"label"`
	On    Key    `json:"on"`
}

// Reason is why something is unknown.
type Reason struct {
	Side   Side        `json:"side"`             // the snapshot that does not know
	Cell   string      `json:"cell,omitempty"`   // provider/account/region/sync
	State  store.State `json:"state,omitempty"`  // how the cell ended; empty where there is none
	Code   string      `json:"code,omitempty"`   // the API's error code
	Action string      `json:"action,omitempty"` // what was denied or failed
	Text   string      `json:"text"`             // one line
}

// Named is a name and a value.
type Named struct {
	Name  string
	Value Value
}

// Key is a row's key, column by column. In JSON it is an object.
type Key []Named

// MarshalJSON implements json.Marshaler.
func (k Key) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, n := range k {
		name, err := json.Marshal(n.Name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(n.Value)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Value is a value of a row: nil, string, int64, float64, bool, time.Time,
// []string or []int64. In JSON a time is RFC 3339 text, and so is a number
// that JSON lacks ("NaN", "+Inf").
type Value struct{ V any }

// MarshalJSON implements json.Marshaler.
func (v Value) MarshalJSON() ([]byte, error) { return json.Marshal(plain(v.V)) }

// plain is a value that encoding/json takes.
func plain(v any) any {
	switch v := v.(type) {
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return strconv.FormatFloat(v, 'g', -1, 64)
		}
	}
	return v
}

// elements are a value as a set: of a list its elements, of null none, of
// anything else itself.
func elements(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []string:
		return set(v)
	case []int64:
		return set(v)
	}
	return []any{plain(v)}
}

func set[T string | int64](list []T) []any {
	sorted := slices.Clone(list)
	slices.Sort(sorted)
	out := make([]any, 0, len(sorted))
	for _, v := range slices.Compact(sorted) {
		out = append(out, v)
	}
	return out
}

// sets tells which elements only new and only old have.
func sets(old, new any) (added, removed []any) {
	before, after := elements(old), elements(new)
	return without(after, before), without(before, after)
}

func without(list, other []any) []any {
	if len(list) == 0 {
		return nil
	}
	in := make(map[any]bool, len(other))
	for _, v := range other {
		in[v] = true
	}
	var out []any
	for _, v := range list {
		if !in[v] {
			out = append(out, v)
		}
	}
	return out
}

// equal tells whether two values of one column are the same; lists are sets,
// but null is no empty list.
func equal(a, b any) bool {
	switch a := a.(type) {
	case string:
		b, ok := b.(string)
		return ok && a == b
	case time.Time:
		b, ok := b.(time.Time)
		return ok && a.Equal(b)
	case float64:
		b, ok := b.(float64)
		return ok && (a == b || a != a && b != b)
	case []string:
		b, ok := b.([]string)
		return ok && sameList(a, b)
	case []int64:
		b, ok := b.([]int64)
		return ok && sameList(a, b)
	}
	switch b.(type) {
	case []string, []int64:
		return false // a is of another type: comparing the two as interfaces would panic
	}
	return a == b
}

func sameList[T string | int64](a, b []T) bool {
	if slices.Equal(a, b) {
		return true
	}
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(slices.Compact(a), slices.Compact(b))
}
