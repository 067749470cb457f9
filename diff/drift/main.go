// Command drift holds a report of snap diff against a list of what was really
// changed, as the drift of the test estate writes it: every change must be
// found, and nothing else reported.
//
//	snap diff --format json OLD NEW > report.json
//	go run ./diff/drift changes.json report.json
//
// It exits with 1 where a change is missed or an entry not explained, and
// lists both. A change of a kind of resource that the snapshots have no table
// of is counted apart, and listed: the tables are those in which the report's
// summary has a row, or -tables.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
)

func main() {
	tables := flag.String("tables", "", "tables that the snapshots can have, by comma; empty: those of the report's summary")
	except := flag.String("except", "", "a part of the lines of changes that may be missed; empty: none may")
	flag.Parse()
	ok, err := run(os.Stdout, flag.Args(), *tables, *except)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "drift:", err)
		os.Exit(2)
	case !ok:
		os.Exit(1)
	}
}

func run(w io.Writer, paths []string, tables, except string) (ok bool, err error) {
	if len(paths) != 2 {
		return false, errors.New("give changes.json and the report of snap diff --format json")
	}
	var list struct {
		Changes []change `json:"changes"`
		Errors  []string `json:"errors"`
	}
	var out report
	for i, into := range []any{&list, &out} {
		b, err := os.ReadFile(paths[i])
		if err != nil {
			return false, err
		}
		if err := json.Unmarshal(b, into); err != nil {
			return false, fmt.Errorf("%s: %w", paths[i], err)
		}
	}
	if len(list.Errors) > 0 {
		return false, fmt.Errorf("%s: the drift itself had errors: %s", paths[0], strings.Join(list.Errors, "; "))
	}
	if len(list.Changes) == 0 {
		return false, fmt.Errorf("%s: no changes", paths[0])
	}
	if !strings.HasPrefix(out.Schema, "snap-diff/") {
		return false, fmt.Errorf("%s: no report of snap diff", paths[1])
	}
	has := strings.Split(tables, ",")
	if tables == "" {
		has = nil
		for _, a := range out.Summary.Accounts {
			for _, y := range a.Syncs {
				for _, t := range y.Tables {
					has = append(has, t.Table)
				}
			}
		}
	}
	v := judge(list.Changes, out.Changes, has)
	v.missed = slices.DeleteFunc(v.missed, func(c change) bool {
		excepted := except != "" && strings.Contains(c.String(), except)
		if excepted {
			v.unread = append(v.unread, c)
		}
		return excepted
	})
	v.print(w, len(list.Changes), len(out.Changes))
	return len(v.missed)+len(v.unexplained) == 0, nil
}

// change is one entry of the list of what was changed.
type change struct {
	Account string `json:"account"`
	Region  string `json:"region"`
	Type    string `json:"type"`
	ID      string `json:"id"`
	Field   string `json:"field"` // "" for the whole resource
	Kind    string `json:"kind"`  // added, removed, changed
	Before  any    `json:"before"`
	After   any    `json:"after"`
	Owner   string `json:"owner"`
	Implied bool   `json:"implied"`
}

func (c change) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s %s", c.Account, c.Region, c.Type, c.ID, c.Kind, c.Field))
}

// report is what is read of snap diff's JSON.
type report struct {
	Schema  string `json:"schema"`
	Summary struct {
		Accounts []struct {
			Syncs []struct {
				Tables []struct {
					Table string `json:"table"`
				} `json:"tables"`
			} `json:"syncs"`
		} `json:"accounts"`
	} `json:"summary"`
	Changes []entry `json:"changes"`
}

type entry struct {
	Change       string         `json:"change"`
	Account      string         `json:"account"`
	Region       string         `json:"region"`
	Table        string         `json:"table"`
	Key          map[string]any `json:"key"`
	Relationship *struct {
		From, To struct{ On map[string]any }
	} `json:"relationship"`
	Properties []struct {
		Name     string
		Old, New any
	} `json:"properties"`
	Relations []struct {
		Type           string
		Added, Removed []any
	} `json:"relations"`
}

func (e *entry) String() string {
	return fmt.Sprintf("%s %s %s %s %s", e.Account, e.Region, e.Change, e.Table, strings.Join(e.key(), " "))
}

func (e *entry) key() []string {
	var out []string
	for _, v := range e.Key {
		out = append(out, fmt.Sprint(v))
	}
	slices.Sort(out)
	return out
}

// names are all values that the entry says something of: its key, its ends,
// its properties' values, and the far ends of its relations.
func (e *entry) names() []string {
	out := e.key()
	add := func(v any) {
		switch v := v.(type) {
		case string:
			out = append(out, v)
		case []any:
			for _, x := range v {
				out = append(out, fmt.Sprint(x))
			}
		}
	}
	if r := e.Relationship; r != nil {
		for _, on := range []map[string]any{r.From.On, r.To.On} {
			for _, v := range on {
				add(v)
			}
		}
	}
	for _, p := range e.Properties {
		add(p.Old)
		add(p.New)
	}
	for _, r := range e.Relations {
		add(r.Added)
		add(r.Removed)
	}
	return out
}

// belongings are what belongs to whatever the entry does: its key, the
// addresses that it lost, the IPv6 addresses that it got, which no other has,
// and the reservation with which a new instance came.
func (e *entry) belongings() []string {
	out := e.key()
	for _, p := range e.Properties {
		if s, ok := p.Old.(string); ok && net.ParseIP(s) != nil && p.New == nil {
			out = append(out, s)
		}
		for _, v := range []any{p.Old, p.New} {
			if s, ok := v.(string); ok && strings.Contains(s, ":") && net.ParseIP(s) != nil {
				out = append(out, s)
			}
		}
	}
	for _, p := range e.Properties {
		if s, ok := p.Old.(string); ok && e.Table == "ec2_ipv6_address" && p.Name == "network_interface_id" {
			out = append(out, s) // the interface's other addresses
		}
	}
	for _, r := range e.Relations {
		for _, v := range r.Added {
			if s, ok := v.(string); ok && e.Change == "added" && r.Type == "MEMBER_OF_EC2_RESERVATION" {
				out = append(out, s)
			}
		}
		for _, v := range r.Removed {
			if s, ok := v.(string); ok && e.Table == "iam_role" && r.Type == "TRUSTS_AWS_PRINCIPAL" {
				out = append(out, s) // whom no other role may name
			}
		}
	}
	return out
}

// says tells whether the entry is about a property or relationship.
func (e *entry) says(names []string) bool {
	for _, p := range e.Properties {
		if slices.Contains(names, p.Name) {
			return true
		}
	}
	for _, r := range e.Relations {
		if slices.Contains(names, r.Type) {
			return true
		}
	}
	return false
}

// same tells whether a value names a resource: it is the id, ends in it after
// a separator, or goes on after it with one.
func same(value, id string) bool {
	if id == "" || !strings.Contains(value, id) {
		return false
	}
	if value == id {
		return true
	}
	if rest, ok := strings.CutPrefix(value, id); ok && strings.ContainsAny(rest[:1], "/:|") {
		return true
	}
	rest, ok := strings.CutSuffix(value, id)
	return ok && strings.ContainsAny(rest[len(rest)-1:], "/:|")
}

func anySame(values []string, id string) bool {
	return slices.ContainsFunc(values, func(v string) bool { return same(v, id) || same(id, v) && len(v) > 7 })
}

// verdict is what came out.
type verdict struct {
	found       int
	missed      []change
	unread      []change // of resources that no table is of
	unexplained []entry
}

// judge matches changes with entries. has are the tables that there can be;
// empty is all.
func judge(changes []change, entries []entry, has []string) verdict {
	var v verdict
	explained := make([]bool, len(entries))
	ids := make([][]string, len(changes)) // what is known to belong to a change
	for n, c := range changes {
		t, ok := typeOf(c)
		if ok && len(has) > 0 {
			t.tables = slices.DeleteFunc(slices.Clone(t.tables), func(name string) bool { return !slices.Contains(has, name) })
		}
		ids[n] = []string{c.ID}
		for _, also := range []any{c.Before, c.After, c.Owner} {
			// A member's or owner's ARN names a resource; other texts are values.
			if s, ok := also.(string); ok && strings.HasPrefix(s, "arn:") && t.pair {
				ids[n] = append(ids[n], s)
			}
		}
		if !ok || len(t.tables) == 0 {
			v.unread = append(v.unread, c)
			continue
		}
		found := false
		for i := range entries {
			e := &entries[i]
			if e.Account != c.Account || !slices.Contains(t.tables, e.Table) {
				continue
			}
			whole := e.key()
			if t.anywhere {
				whole = e.names()
			}
			if !slices.ContainsFunc(ids[n], func(id string) bool { return anySame(whole, id) }) {
				continue
			}
			if len(t.says) > 0 && !e.says(t.says) && (e.Change == "changed" || t.pair) {
				continue
			}
			if len(t.says) == 0 && e.Change != c.Kind {
				continue
			}
			found, explained[i] = true, true
			ids[n] = append(ids[n], e.belongings()...)
		}
		if found {
			v.found++
		} else {
			v.missed = append(v.missed, c)
		}
	}
	// What follows from a change is in the tables that its type allows, and
	// names what belongs to it; that belongs to it, too.
	for again := true; again; {
		again = false
		for i := range entries {
			e := &entries[i]
			if explained[i] {
				continue
			}
			for n, c := range changes {
				t, _ := typeOf(c)
				if e.Account != c.Account && !(t.across && slices.Contains(e.key(), c.ID)) || !slices.ContainsFunc(slices.Concat(t.tables, t.follow), func(p string) bool { return matches(p, e.Table) }) {
					continue
				}
				names := e.names()
				if slices.ContainsFunc(ids[n], func(id string) bool { return anySame(names, id) }) {
					explained[i], again = true, true
					ids[n] = append(ids[n], e.belongings()...)
					break
				}
			}
		}
	}
	for i, e := range entries {
		if !explained[i] {
			v.unexplained = append(v.unexplained, e)
		}
	}
	return v
}

// matches matches a table with a name or a name's beginning and "*".
func matches(pattern, table string) bool {
	if head, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(table, head)
	}
	return pattern == table
}

func (v verdict) print(w io.Writer, changes, entries int) {
	fmt.Fprintf(w, "%d changes: %d found, %d missed, %d of resources that are not collected. %d entries: %d not explained.\n",
		changes, v.found, len(v.missed), len(v.unread), entries, len(v.unexplained))
	for _, c := range v.missed {
		fmt.Fprintf(w, "  missed       %s\n", c)
	}
	for _, e := range v.unexplained {
		fmt.Fprintf(w, "  unexplained  %s\n", e.String())
	}
	for _, c := range v.unread {
		fmt.Fprintf(w, "  not collected %s\n", c)
	}
}
