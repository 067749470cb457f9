// Package kind is the vocabulary in which a resource kind is declared: a table
// of a snapshot, its columns, the nodes that its rows become and the
// relationships that they have. A declaration is data. What fetches the rows
// stands beside it in collect; load, diff and the documentation read only this.
//
// Words: a Sync is one of Cartography's AWS syncs ("ec2:instance") and feeds
// one or more Tables. A cell is one sync in one account and region. A Link is a
// relationship that a row asserts to a node that exists already; Cartography
// calls the owner's link the sub-resource relationship.
package kind

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Table is one table of a snapshot and what it becomes in the graph.
// Of fills Columns from the row's struct.
type Table struct {
	Name     string   `json:"name"`               // unique, snake case: "ec2_instance"
	Doc      string   `json:"doc,omitempty"`      // one sentence or two: what a row is
	Sync     string   `json:"sync"`               // the sync that feeds it; set by Register
	Global   bool     `json:"global,omitempty"`   // the sync runs once an account, not once a region; set by Register
	Columns  []Column `json:"columns"`            // key columns first, then as declared
	Label    string   `json:"label,omitempty"`    // the node's label; empty where rows are only relationships (Between)
	Aliases  []string `json:"aliases,omitempty"`  // further labels of the same node
	Owner    *Link    `json:"owner,omitempty"`    // the link to the node's owner; nil is the account's: (:AWSAccount)-[:RESOURCE]->(n)
	Unowned  bool     `json:"unowned,omitempty"`  // nodes that have no owner, such as a service principal
	Stub     bool     `json:"stub,omitempty"`     // nodes that another table describes in full: its properties win
	Keep     bool     `json:"keep,omitempty"`     // nodes that no cleanup deletes, such as accounts
	Links    []Link   `json:"links,omitempty"`    // relationships to other nodes
	Ontology Ontology `json:"ontology,omitempty"` // Cartography's cross-provider names of its properties
	Between  *Between `json:"between,omitempty"`  // rows that are relationships between two nodes of other tables

	// Docs say what columns mean, by name. A stub's may be left to the table that
	// describes its nodes in full: see Registry.Doc.
	Docs map[string]string `json:"docs,omitempty"`
}

// On pairs a property of the other node with the column that holds its value.
type On map[string]string

// Link is a relationship between a row's node and the nodes for which every
// pair of On holds; it comes to be only where such a node exists. A column
// that holds a list links to each of its elements. Exactly one of To and From
// is set: To is (row)-[Type]->(To), From is (From)-[Type]->(row).
type Link struct {
	Type  string            `json:"type"`
	To    string            `json:"to,omitempty"`
	From  string            `json:"from,omitempty"`
	On    On                `json:"on"`
	Props map[string]string `json:"props,omitempty"` // the relationship's property → column
}

// Other is the label at the far end of the link.
func (l Link) Other() string { return l.To + l.From }

// Between describes rows that are relationships and no nodes.
type Between struct {
	Type  string            `json:"type"`
	From  End               `json:"from"`
	To    End               `json:"to"`
	Props map[string]string `json:"props,omitempty"`
}

// End is one end of a Between relationship.
type End struct {
	Label string `json:"label"`
	On    On     `json:"on"`
}

// Type is what a column holds. Every type but a key may be null.
type Type string

// The column types, each with its Parquet and Neo4j form.
const (
	String  Type = "string"    // UTF-8 string · string
	Int     Type = "int"       // INT64 · integer
	Float   Type = "float"     // DOUBLE · float
	Bool    Type = "bool"      // BOOLEAN · boolean
	Time    Type = "timestamp" // TIMESTAMP(MICROS, UTC) · zoned date-time in UTC
	Strings Type = "strings"   // LIST of string · list of strings; null and empty differ
	Ints    Type = "ints"      // LIST of INT64 · list of integers
)

// Column is one column; its name is the node's property, but for columns whose
// name begins with "_", which serve links and never become a property.
type Column struct {
	Name     string `json:"name"`
	Type     Type   `json:"type"`
	Key      bool   `json:"key,omitempty"`      // part of the row's key; never null
	Required bool   `json:"required,omitempty"` // never null
	Index    bool   `json:"index,omitempty"`    // users match on it: the graph has an index
	Document bool   `json:"document,omitempty"` // JSON text such as a policy: compared by meaning
	Volatile bool   `json:"volatile,omitempty"` // changes on its own (last used, counters): no drift
	Bare     string `json:"bare,omitempty"`     // of a list: the bool column that tells that the property is its one element, not a list
}

// Property tells whether the column becomes a property of the node.
func (c Column) Property() bool { return !strings.HasPrefix(c.Name, "_") }

// Unknown is the column that names those columns of a row that could not be
// read (a denied sub-call). Unknown is not null: load leaves such a property as
// it was, diff says unknown. Tables have it when their row embeds Gaps.
const Unknown = "_unknown"

// Column finds a column by name; ok is false where there is none.
func (t *Table) Column(name string) (index int, ok bool) {
	i := slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == name })
	return i, i >= 0
}

// Value is what column i of the row becomes as a property of its node.
func (t *Table) Value(row Row, i int) any {
	name := t.Columns[i].Bare
	if name == "" {
		return row[i]
	}
	if bare, ok := t.Column(name); ok && row[bare] == true {
		switch list := row[i].(type) {
		case []string:
			if len(list) == 1 {
				return list[0]
			}
		case []int64:
			if len(list) == 1 {
				return list[0]
			}
		}
	}
	return row[i]
}

// Keys are the indices of the key columns, which come first.
func (t *Table) Keys() []int {
	var keys []int
	for i, c := range t.Columns {
		if c.Key {
			keys = append(keys, i)
		}
	}
	return keys
}

// OwnerLink is the link to the node's owner, and whether there is one.
func (t *Table) OwnerLink() (Link, bool) {
	switch {
	case t.Owner != nil:
		return *t.Owner, true
	case t.Label == "" || t.Unowned:
		return Link{}, false
	}
	return Link{Type: "RESOURCE", From: "AWSAccount", On: On{"id": AccountColumn}}, true
}

// AccountColumn stands in an owner's link for the account of the row's cell,
// which is no column of the file: the cell says it.
const AccountColumn = "$account"

// Sync is one unit of collection: Cartography's name, where it runs, and the
// tables that it feeds.
type Sync struct {
	Name   string   `json:"name"`
	Global bool     `json:"global,omitempty"`
	Calls  []string `json:"calls"`            // API operations, "service:Operation"
	Synced string   `json:"synced,omitempty"` // the label for which Cartography notes in a ModuleSyncMetadata node when it was synchronized
	Needs  []string `json:"needs,omitempty"`  // syncs whose nodes this one's links end at
	Tables []*Table `json:"tables"`
}

// Registry is a set of declared syncs: what load and diff know the graph by.
type Registry struct {
	Syncs []*Sync `json:"syncs"` // by name
}

// Register adds a sync and names it in its tables. It panics on a declaration
// that contradicts itself or another: that is a mistake in the program.
func (r *Registry) Register(s *Sync) {
	for _, t := range s.Tables {
		t.Sync, t.Global = s.Name, s.Global
		if err := t.check(); err != nil {
			panic(fmt.Sprintf("kind: sync %s: table %s: %v", s.Name, t.Name, err))
		}
		if r.Table(t.Name) != nil {
			panic("kind: table declared twice: " + t.Name)
		}
	}
	if r.Sync(s.Name) != nil {
		panic("kind: sync declared twice: " + s.Name)
	}
	r.Syncs = append(r.Syncs, s)
	slices.SortFunc(r.Syncs, func(a, b *Sync) int { return strings.Compare(a.Name, b.Name) })
}

// Sync finds a sync by name, nil where there is none.
func (r *Registry) Sync(name string) *Sync {
	for _, s := range r.Syncs {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// Table finds a table by name, nil where there is none.
func (r *Registry) Table(name string) *Table {
	for _, s := range r.Syncs {
		for _, t := range s.Tables {
			if t.Name == name {
				return t
			}
		}
	}
	return nil
}

// Doc is what a column of the table means: in its own words, or those of
// another table of the same nodes. Columns that serve links are told by these.
func (r *Registry) Doc(t *Table, column string) string {
	if doc := t.Docs[column]; doc != "" || t.Label == "" {
		return doc
	}
	var stub string
	for _, other := range r.Tables() {
		if doc := other.Docs[column]; other.Label == t.Label && doc != "" {
			if !other.Stub {
				return doc
			}
			stub = doc
		}
	}
	return stub
}

// Tables are all tables, by sync and then as declared.
func (r *Registry) Tables() []*Table {
	var all []*Table
	for _, s := range r.Syncs {
		all = append(all, s.Tables...)
	}
	return all
}

var identifier = regexp.MustCompile(`^[A-Za-z_$:][A-Za-z0-9_:]*$`)

// check finds contradictions inside one declaration.
func (t *Table) check() error {
	if (t.Label == "") == (t.Between == nil) {
		return fmt.Errorf("needs either a Label or a Between")
	}
	seen := map[string]bool{}
	for _, c := range t.Columns {
		switch {
		case seen[c.Name]:
			return fmt.Errorf("column %s declared twice", c.Name)
		case !identifier.MatchString(c.Name):
			return fmt.Errorf("column name %q", c.Name)
		}
		seen[c.Name] = true
		if i, ok := t.Column(c.Bare); c.Bare != "" && (!ok || t.Columns[i].Type != Bool || c.Type != Strings && c.Type != Ints) {
			return fmt.Errorf("column %s: bare needs a list and a bool column %s", c.Name, c.Bare)
		}
	}
	if len(t.Keys()) == 0 {
		return fmt.Errorf("no key column")
	}
	if i, ok := t.Column("id"); t.Label != "" && (!ok || !t.Columns[i].Key || len(t.Keys()) != 1) {
		return fmt.Errorf("a node's only key column is id")
	}
	links := slices.Clone(t.Links)
	if t.Owner != nil {
		links = append(links, *t.Owner)
	}
	if b := t.Between; b != nil {
		links = append(links, Link{Type: b.Type, From: b.From.Label, On: b.From.On, Props: b.Props}, Link{Type: b.Type, To: b.To.Label, On: b.To.On})
	}
	for _, l := range links {
		if (l.To == "") == (l.From == "") || l.Type == "" || len(l.On) == 0 {
			return fmt.Errorf("link %q needs a type, one of To and From, and On", l.Type)
		}
		for _, column := range slices.Concat(slices.Collect(maps.Values(l.On)), slices.Collect(maps.Values(l.Props))) {
			if !seen[column] && column != AccountColumn {
				return fmt.Errorf("link %s: no column %s", l.Type, column)
			}
		}
		for _, name := range append(append(slices.Collect(maps.Keys(l.On)), slices.Collect(maps.Keys(l.Props))...), l.Type, l.Other()) {
			if !identifier.MatchString(name) {
				return fmt.Errorf("link %s: name %q", l.Type, name)
			}
		}
	}
	return nil
}
