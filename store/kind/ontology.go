package kind

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Ontology says what Cartography's cross-provider vocabulary calls a node's
// properties: each entry becomes the property "_ont_<name>" of the node, and
// "_ont_source" names the provider. Tables that share a label share it; an
// entry whose column a table lacks is left out there.
// Source: cartography/models/ontology/mapping.
type Ontology map[string]Meaning

// Meaning is how one entry of an Ontology follows from the row.
type Meaning struct {
	Op      Op                `json:"op"`
	Columns []string          `json:"columns,omitempty"`
	Values  []string          `json:"values,omitempty"` // for OneOf
	Map     map[string]string `json:"map,omitempty"`    // for Mapped
	Value   any               `json:"value,omitempty"`  // for Always
}

// Op is a way to follow.
type Op string

// The ways, with Cypher's treatment of null.
const (
	opSame   Op = "same"
	opAlways Op = "always"
	opTruth  Op = "truth"
	opNot    Op = "not"
	opOneOf  Op = "one of"
	opAny    Op = "any"
	opNone   Op = "none"
	opMapped Op = "mapped"
	opFirst  Op = "first"
)

// Same is the column's value.
func Same(column string) Meaning { return Meaning{Op: opSame, Columns: []string{column}} }

// Always is a constant.
func Always(value any) Meaning { return Meaning{Op: opAlways, Value: value} }

// Truth is the column as a boolean: what is neither true nor false counts as
// true, null as false.
func Truth(column string) Meaning { return Meaning{Op: opTruth, Columns: []string{column}} }

// Not is true unless the column is true.
func Not(column string) Meaning { return Meaning{Op: opNot, Columns: []string{column}} }

// OneOf tells whether the column's value is one of values; null gives null.
func OneOf(column string, values ...string) Meaning {
	return Meaning{Op: opOneOf, Columns: []string{column}, Values: values}
}

// Any tells whether one of the columns is true.
func Any(columns ...string) Meaning { return Meaning{Op: opAny, Columns: columns} }

// None tells whether no column is true.
func None(columns ...string) Meaning { return Meaning{Op: opNone, Columns: columns} }

// Mapped is what m calls the column's value; null where m does not know it.
func Mapped(column string, m map[string]string) Meaning {
	return Meaning{Op: opMapped, Columns: []string{column}, Map: m}
}

// First is the first column that is not null.
func First(columns ...string) Meaning { return Meaning{Op: opFirst, Columns: columns} }

// Of is the meaning's value for a row, whose columns get reads.
func (m Meaning) of(get func(column string) any) any {
	var v any
	if len(m.Columns) > 0 {
		v = get(m.Columns[0])
	}
	switch m.Op {
	case opAlways:
		return m.Value
	case opTruth:
		b, ok := truth(v)
		return b || !ok && v != nil
	case opNot:
		b, _ := truth(v)
		return !b
	case opOneOf:
		if v == nil {
			return nil
		}
		s, _ := v.(string)
		return slices.Contains(m.Values, s)
	case opAny, opNone:
		some := slices.ContainsFunc(m.Columns, func(c string) bool { b, _ := truth(get(c)); return b })
		return some == (m.Op == opAny)
	case opMapped:
		if s, ok := v.(string); ok {
			if to, ok := m.Map[s]; ok {
				return to
			}
		}
		return nil
	case opFirst:
		for _, c := range m.Columns {
			if v := get(c); v != nil {
				return v
			}
		}
		return nil
	}
	return v
}

// String says it in words, with columns and values in 'single quotes'.
func (m Meaning) String() string {
	quote := func(list []string) []string {
		out := make([]string, len(list))
		for i, s := range list {
			out[i] = "'" + s + "'"
		}
		return out
	}
	columns := quote(m.Columns)
	switch m.Op {
	case opAlways:
		return fmt.Sprintf("always '%v'", m.Value)
	case opTruth:
		return "whether " + columns[0] + " is true"
	case opNot:
		return "whether " + columns[0] + " is not true"
	case opOneOf:
		return "whether " + columns[0] + " is " + strings.Join(quote(m.Values), " or ")
	case opAny:
		return "whether " + strings.Join(columns, " or ") + " is true"
	case opNone:
		return "whether none of " + strings.Join(columns, ", ") + " is true"
	case opMapped:
		var pairs []string
		for _, from := range slices.Sorted(maps.Keys(m.Map)) {
			pairs = append(pairs, "'"+from+"' → '"+m.Map[from]+"'")
		}
		return columns[0] + " in the words that all providers share: " + strings.Join(pairs, ", ")
	case opFirst:
		return "the first of " + strings.Join(columns, ", ") + " that is not null"
	}
	return columns[0]
}

// truth is Cypher's toBooleanOrNull.
func truth(v any) (value, ok bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case int64:
		return v != 0, true
	case string:
		switch strings.ToLower(v) {
		case "true":
			return true, true
		case "false":
			return false, true
		}
	}
	return false, false
}

// Concepts are the "_ont_" properties of a row's node. It leaves out those that
// rest on a column that is missing or unknown.
func (t *Table) Concepts(provider string, row Row) map[string]any {
	if t.Ontology == nil {
		return nil
	}
	unknown := t.UnknownColumns(row)
	out := map[string]any{"_ont_source": provider}
	for _, name := range slices.Sorted(maps.Keys(t.Ontology)) {
		m := t.Ontology[name]
		readable := m.Op == opAlways
		for i, c := range m.Columns {
			_, has := t.Column(c)
			if slices.Contains(unknown, c) {
				readable = false
				break
			}
			readable = readable || i == 0 && has
		}
		if readable {
			out["_ont_"+name] = m.of(func(c string) any {
				if i, ok := t.Column(c); ok {
					return row[i]
				}
				return nil
			})
		}
	}
	return out
}

// UnknownColumns are the columns of the row that could not be read.
func (t *Table) UnknownColumns(row Row) []string {
	if i := len(t.Columns) - 1; t.Columns[i].Name == Unknown {
		names, _ := row[i].([]string)
		return names
	}
	return nil
}
