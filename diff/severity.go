package diff

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"snap/store/kind"
)

// Severity says how soon somebody should look at a change. The empty severity
// is that of a change of which no rule speaks.
type Severity string

// The severities.
const (
	Critical Severity = "critical" // open to the internet, or all power over an account
	High     Severity = "high"     // somebody new gets in, or a protection is off
	Medium   Severity = "medium"   // a protection is weaker, or a thing was made without it
	Low      Severity = "low"      // worth a look
)

// Severities are all severities, the gravest first.
var Severities = []Severity{Critical, High, Medium, Low}

// rank is greater for a graver severity, 0 for none.
func (s Severity) rank() int {
	if i := slices.Index(Severities, s); i >= 0 {
		return len(Severities) - i
	}
	return 0
}

// Finding is what a rule says of a change.
type Finding struct {
	Rule     string   `json:"rule"`
	Severity Severity `json:"severity"`
	Text     string   `json:"text"`               // the rule's sentence
	Elements []any    `json:"elements,omitempty"` // of a rule on what a list gained or lost: those elements

	// Perhaps tells that the new state is proven, but not that it is new: the
	// old snapshot does not know what there was.
	Perhaps bool `json:"perhaps,omitempty"`
}

// Trigger is the sort of change that a rule speaks of.
type Trigger string

// The triggers. "Meets" is about Rule.Where, Rule.OneOf and Rule.Unless.
const (
	Becomes  Trigger = "becomes"  // the row meets, and did not before; a new row counts
	Turns    Trigger = "turns"    // the row meets, and was there before and did not
	Appears  Trigger = "added"    // a row that was not there meets
	Vanishes Trigger = "removed"  // a row that met is gone
	Gains    Trigger = "gains"    // Of has elements that it had not, which meet Element, in a row that meets
	Loses    Trigger = "loses"    // Of lacks elements that it had, which meet Element, in a row that is still there and meets
	Modified Trigger = "modified" // Of, a property or a relationship, is another than before, in a row that was there and meets
)

var triggers = []Trigger{Becomes, Turns, Appears, Vanishes, Gains, Loses, Modified}

// Rule tells of which changes somebody should hear first. It is data: the
// rules of this package and those of a user's file have the same form.
type Rule struct {
	Name     string   `json:"name"`
	Text     string   `json:"text"` // one sentence: what has happened
	Severity Severity `json:"severity"`
	Tables   []string `json:"tables"`
	Change   Trigger  `json:"change"`

	// Of is the property, list or relationship type that "gains", "loses" and
	// "modified" are about; Element is what an element must meet.
	Of      string `json:"of,omitempty"`
	Element *Test  `json:"element,omitempty"`

	Where  []Test   `json:"where,omitempty"`  // all must hold of the row: of its new state, but of "removed" its last one
	OneOf  [][]Test `json:"one_of,omitempty"` // all of at least one of the lists, too
	Unless [][]Test `json:"unless,omitempty"` // and of none of these lists all
}

// Test is a condition on a value: all that is given must hold. A value that is
// not known, or a column that the table lacks, meets no test.
//
// Of a list and of a document (of which the texts and numbers that it holds
// count) one element must meet Is, Like, Outside, Min and Max together, and
// none may be in Not or match Unlike.
type Test struct {
	Column string `json:"column,omitempty"` // of the row; not given for an element

	Is      []any    `json:"is,omitempty"`      // one of these
	Not     []any    `json:"not,omitempty"`     // none of these
	Like    []string `json:"like,omitempty"`    // matches one of these in any case: "*" is any text, "?" any character, "\\*" a star
	Unlike  []string `json:"unlike,omitempty"`  // matches none of these
	Null    *bool    `json:"null,omitempty"`    // has no value (true), or has one (false)
	Outside *bool    `json:"outside,omitempty"` // names another AWS account than the row's own, or any ("*"); or does not
	Min     *float64 `json:"min,omitempty"`     // a number of at least this
	Max     *float64 `json:"max,omitempty"`     // a number of at most this
}

// ReadRules reads a user's rules: a JSON object whose "rules" are Rules. An
// error names the rule and what is wrong with it.
func ReadRules(r io.Reader) ([]Rule, error) {
	var file struct {
		Rules []Rule `json:"rules"`
	}
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(&file); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("there is something after the object")
	}
	seen := map[string]bool{}
	for i := range file.Rules {
		rule := &file.Rules[i]
		if err := rule.check(); err != nil {
			return nil, fmt.Errorf("rule %d (%q): %w", i+1, rule.Name, err)
		}
		if seen[rule.Name] {
			return nil, fmt.Errorf("rule %d (%q): another one has this name", i+1, rule.Name)
		}
		seen[rule.Name] = true
	}
	return file.Rules, nil
}

// Off is the severity by which a user's file takes out a rule of its name.
const Off Severity = "off"

// Extend is rules with more: one of the same name takes the other's place, or
// takes it out if its severity is Off.
func Extend(rules, more []Rule) []Rule {
	out := slices.Clone(rules)
	for _, r := range more {
		i := slices.IndexFunc(out, func(o Rule) bool { return o.Name == r.Name })
		switch {
		case i >= 0 && r.Severity == Off:
			out = slices.Delete(out, i, i+1)
		case i >= 0:
			out[i] = r
		case r.Severity != Off:
			out = append(out, r)
		}
	}
	return out
}

// check finds what would make a rule mean nothing or not what it says.
func (r *Rule) check() error {
	switch {
	case r.Name == "":
		return fmt.Errorf("it needs a name")
	case r.Severity == Off:
		return nil
	case r.Severity.rank() == 0:
		return fmt.Errorf("severity %q: use critical, high, medium, low, or off", r.Severity)
	case r.Text == "":
		return fmt.Errorf("it needs a text: one sentence that says what has happened")
	case len(r.Tables) == 0:
		return fmt.Errorf("it needs tables")
	case !slices.Contains(triggers, r.Change):
		return fmt.Errorf("change %q: use becomes, turns, added, removed, gains, loses or modified", r.Change)
	}
	listed := r.Change == Gains || r.Change == Loses
	if (listed || r.Change == Modified) != (r.Of != "") {
		return fmt.Errorf("of goes with the changes gains, loses and modified, and these need it")
	}
	if r.Element != nil && !listed {
		return fmt.Errorf("element goes with the changes gains and loses")
	}
	if r.Element != nil && r.Element.Column != "" {
		return fmt.Errorf("an element has no column")
	}
	if (r.Change == Becomes || r.Change == Turns) && len(r.Where)+len(r.OneOf) == 0 {
		return fmt.Errorf("%s needs where or one_of", r.Change)
	}
	tests := slices.Clone(r.Where)
	for _, list := range slices.Concat(r.OneOf, r.Unless) {
		tests = append(tests, list...)
	}
	for _, t := range tests {
		if t.Column == "" {
			return fmt.Errorf("a test needs a column")
		}
	}
	if r.Element != nil {
		tests = append(tests, *r.Element)
	}
	for _, t := range tests {
		if len(t.Is)+len(t.Not)+len(t.Like)+len(t.Unlike) == 0 && t.Null == nil && t.Outside == nil && t.Min == nil && t.Max == nil {
			return fmt.Errorf("the test of column %q tests nothing", t.Column)
		}
		for _, v := range slices.Concat(t.Is, t.Not) {
			switch v.(type) {
			case string, bool, float64, int, int64:
			default:
				return fmt.Errorf("the test of column %q: is and not take texts, numbers, true and false", t.Column)
			}
		}
	}
	return nil
}

// values are what a test of a row reads.
type values struct {
	account string // the row's own
	// get is a column's value; ok is false where it is not known or not there,
	// and document tells that it is JSON.
	get func(column string) (v any, document, ok bool)
}

// meets tells whether a row is as the rule wants it.
func (r *Rule) meets(v values) bool {
	all := func(tests []Test) bool {
		return !slices.ContainsFunc(tests, func(t Test) bool {
			value, document, ok := v.get(t.Column)
			return !ok || !t.holds(value, document, v.account)
		})
	}
	return all(r.Where) && (len(r.OneOf) == 0 || slices.ContainsFunc(r.OneOf, all)) && !slices.ContainsFunc(r.Unless, all)
}

// hides tells whether a row has a column of the rule's tests of which the
// value is not known.
func (r *Rule) hides(v values) bool {
	for _, list := range append([][]Test{r.Where}, r.OneOf...) {
		for _, t := range list {
			if _, _, ok := v.get(t.Column); !ok {
				return true
			}
		}
	}
	return false
}

// holds tells whether a value meets the test.
func (t *Test) holds(v any, document bool, account string) bool {
	if t.Null != nil && *t.Null != (v == nil) {
		return false
	}
	var parts []string
	if text, ok := v.(string); ok && document {
		parts = leaves(text)
	} else {
		for _, e := range elements(v) {
			parts = append(parts, valueText(e))
		}
	}
	in := func(list []any, s string) bool {
		return slices.ContainsFunc(list, func(v any) bool { return valueText(v) == s })
	}
	matches := func(patterns []string, s string) bool {
		return slices.ContainsFunc(patterns, func(p string) bool { return glob(strings.ToLower(p), strings.ToLower(s)) })
	}
	if slices.ContainsFunc(parts, func(s string) bool { return in(t.Not, s) || matches(t.Unlike, s) }) {
		return false
	}
	if len(t.Is) == 0 && len(t.Like) == 0 && t.Outside == nil && t.Min == nil && t.Max == nil {
		return true
	}
	return slices.ContainsFunc(parts, func(s string) bool {
		n, err := strconv.ParseFloat(s, 64)
		number := err == nil
		return (len(t.Is) == 0 || in(t.Is, s)) && (len(t.Like) == 0 || matches(t.Like, s)) &&
			(t.Outside == nil || *t.Outside == outside(s, account)) &&
			(t.Min == nil || number && n >= *t.Min) && (t.Max == nil || number && n <= *t.Max)
	})
}

// outside tells whether a principal is of another account than account: an ARN
// or an account's id of another one, or everybody. What names no account (a
// service) is not outside.
func outside(principal, account string) bool {
	if principal == "*" {
		return true
	}
	id := principal
	if parts := strings.SplitN(principal, ":", 6); len(parts) == 6 && parts[0] == "arn" {
		id = parts[4]
	}
	if id == "*" {
		return true
	}
	return len(id) == 12 && strings.Trim(id, "0123456789") == "" && id != account
}

// leaves are the texts, numbers and truth values that a document holds, or the
// text itself where it is no JSON.
func leaves(text string) []string {
	v, err := parseDocument(text)
	if err != nil {
		return []string{text}
	}
	var out []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		case nil:
		default:
			out = append(out, fmt.Sprint(v))
		}
	}
	walk(v)
	return out
}

// valueText is a scalar as text, the same for a value of a row and one of a
// rule's file.
func valueText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	}
	return fmt.Sprint(v)
}

// glob matches a text with a pattern in which "*" is any text, "?" any
// character, and what follows a backslash is itself.
func glob(pattern, s string) bool {
	type symbol struct {
		r    rune
		wild bool
	}
	var p []symbol
	escaped := false
	for _, r := range pattern {
		if r == '\\' && !escaped {
			escaped = true
			continue
		}
		p = append(p, symbol{r, !escaped && (r == '*' || r == '?')})
		escaped = false
	}
	t := []rune(s)
	star, mark := -1, 0
	i, j := 0, 0
	for j < len(t) {
		switch {
		case i < len(p) && p[i].wild && p[i].r == '*':
			star, mark = i, j
			i++
		case i < len(p) && (p[i].wild || p[i].r == t[j]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(p) && p[i].wild && p[i].r == '*' {
		i++
	}
	return i == len(p)
}

// rank asks the rules about an entry whose rows are known.
func (m *merge) rank(ch *Change, old, new kind.Row) {
	rules := m.c.rules[m.part.table]
	if len(rules) == 0 {
		return
	}
	sides := [2]values{m.values(0, old), m.values(1, new)}
	for _, r := range rules {
		f, ok := r.finding(ch, old != nil, new != nil, sides)
		if !ok {
			continue
		}
		// A row that the old snapshot may have missed is perhaps no news.
		f.Perhaps = f.Perhaps || old == nil && new != nil && !m.whole[0]
		ch.Findings = append(ch.Findings, f)
	}
	slices.SortStableFunc(ch.Findings, func(a, b Finding) int { return b.Severity.rank() - a.Severity.rank() })
	if len(ch.Findings) > 0 {
		ch.Severity = ch.Findings[0].Severity
	}
}

// finding is what the rule says of a change between two rows.
func (r *Rule) finding(ch *Change, was, is bool, sides [2]values) (f Finding, ok bool) {
	f = Finding{Rule: r.Name, Severity: r.Severity, Text: r.Text}
	switch r.Change {
	case Becomes, Turns:
		if !is || r.Change == Turns && !was || !r.meets(sides[1]) || was && r.meets(sides[0]) {
			return f, false
		}
		f.Perhaps = was && r.hides(sides[0])
		// A text of two unknown things would be a guess.
		return f, r.Change == Becomes || !f.Perhaps
	case Appears:
		return f, is && !was && r.meets(sides[1])
	case Vanishes:
		return f, was && !is && ch.Kind == Removed && r.meets(sides[0])
	case Modified:
		differs := slices.ContainsFunc(ch.Properties, func(p Property) bool { return p.Name == r.Of && p.Unknown == nil }) ||
			slices.ContainsFunc(ch.Relations, func(rel Relation) bool { return rel.Type == r.Of && rel.Unknown == nil })
		return f, was && is && differs && r.meets(sides[1])
	}
	if !is || !was && r.Change == Loses || !r.meets(sides[1]) {
		return f, false
	}
	sure := false
	take := func(list []any, certain bool) {
		for _, v := range list {
			if r.Element == nil || r.Element.holds(v, false, sides[1].account) {
				f.Elements = append(f.Elements, v)
				sure = sure || certain
			}
		}
	}
	for _, p := range ch.Properties {
		if p.Name != r.Of || p.Unknown != nil {
			continue
		}
		var before, after any
		if p.Old != nil {
			before = p.Old.V
		}
		if p.New != nil {
			after = p.New.V
		}
		added, removed := sets(before, after)
		if _, document, _ := sides[1].get(r.Of); document {
			added, removed = documentSets(before, after)
		}
		take(map[bool][]any{true: added, false: removed}[r.Change == Gains], true)
	}
	for _, rel := range ch.Relations {
		if rel.Type == r.Of && rel.Property == "" {
			take(map[bool][]any{true: rel.Added, false: rel.Removed}[r.Change == Gains], rel.Unknown == nil)
		}
	}
	f.Perhaps = !sure
	return f, len(f.Elements) > 0 && (sure || r.Change == Gains)
}

// documentSets are the texts and numbers that only one of two documents holds.
func documentSets(before, after any) (added, removed []any) {
	parts := func(v any) []string {
		text, ok := v.(string)
		if !ok {
			return []string{}
		}
		return leaves(text)
	}
	return sets(parts(before), parts(after))
}

// values are a row's, for rules to read.
func (m *merge) values(i int, row kind.Row) values {
	own := m.view.own[i]
	var unknown []string
	if row != nil {
		unknown = own.UnknownColumns(row)
	}
	return values{account: m.part.account, get: func(column string) (any, bool, bool) {
		if row == nil {
			return nil, false, false
		}
		n, ok := own.Column(column)
		if !ok || slices.Contains(unknown, column) || m.c.ignores(m.part.table, column) {
			return nil, false, false
		}
		return row[n], own.Columns[n].Document, true
	}}
}

// byTable are rules by the tables that they speak of.
func byTable(rules []Rule) map[string][]*Rule {
	out := map[string][]*Rule{}
	for i := range rules {
		for _, t := range rules[i].Tables {
			out[t] = append(out[t], &rules[i])
		}
	}
	return out
}
