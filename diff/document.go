package diff

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/sergi/go-diff/diffmatchpatch"
)

// compareDocuments tells whether two JSON texts mean the same, and if not how
// they differ, line by line. Texts that are no JSON are compared as they are;
// nil is no document.
func compareDocuments(old, new *string) (same bool, lines []string) {
	if old == nil && new == nil || old != nil && new != nil && *old == *new {
		return true, nil
	}
	var sides [2]any
	var texts [2][]string
	whole := true
	for i, text := range []*string{old, new} {
		if text == nil {
			continue
		}
		v, err := parseDocument(*text)
		if err != nil {
			whole = false
			texts[i] = strings.Split(printable(strings.TrimSuffix(*text, "\n"), "\n"), "\n")
			continue
		}
		sides[i] = meaning(v)
		texts[i] = layout(sides[i])
	}
	if whole && old != nil && new != nil {
		aligned := align(sides[0], sides[1])
		if canonical(sides[0]) == canonical(aligned) {
			return true, nil
		}
		texts[1] = layout(aligned)
	}
	return false, diffLines(texts[0], texts[1])
}

func parseDocument(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("text after the document")
	}
	return v, nil
}

// meaning is a document without what makes no difference. In any document that
// is how numbers are written; in a policy also the order and one-or-many of what
// Action, Resource, Principal and the values of conditions list. The order of
// statements means nothing either: align takes care of it.
func meaning(v any) any {
	switch v := v.(type) {
	case json.Number:
		if f, err := strconv.ParseFloat(v.String(), 64); err == nil && f == float64(int64(f)) && f < 1<<53 && f > -1<<53 {
			return json.Number(strconv.FormatInt(int64(f), 10))
		}
	case []any:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = meaning(e)
		}
		return out
	case map[string]any:
		if isConditions(v) {
			return conditions(v)
		}
		out := make(map[string]any, len(v))
		for k, e := range v {
			out[k] = meaning(e)
		}
		if s, ok := statements(v); ok {
			out["Statement"] = s
		}
		return out
	}
	return v
}

// statements are a policy's statements; ok is false for what is no policy.
func statements(policy map[string]any) (list []any, ok bool) {
	list, ok = policy["Statement"].([]any)
	if !ok {
		if _, ok := policy["Statement"].(map[string]any); !ok {
			return nil, false
		}
		list = []any{policy["Statement"]}
	}
	out := []any{}
	for _, e := range list {
		s, ok := e.(map[string]any)
		if !ok {
			return nil, false
		}
		st := make(map[string]any, len(s))
		for k, v := range s {
			switch k {
			case "Action", "NotAction", "Resource", "NotResource":
				st[k] = asSet(v)
			case "Principal", "NotPrincipal":
				st[k] = meaning(v)
				if kinds, ok := v.(map[string]any); ok {
					st[k] = eachAsSet(kinds)
				}
			case "Condition":
				st[k] = meaning(v)
				if operators, ok := v.(map[string]any); ok {
					st[k] = conditions(operators)
				}
			default:
				st[k] = meaning(v)
			}
		}
		out = append(out, st)
	}
	return out, true
}

// operators are the names of IAM's condition operators, without the
// ForAllValues: and ForAnyValue: before and the IfExists after.
var operators = map[string]bool{
	"StringEquals": true, "StringNotEquals": true, "StringEqualsIgnoreCase": true, "StringNotEqualsIgnoreCase": true,
	"StringLike": true, "StringNotLike": true, "NumericEquals": true, "NumericNotEquals": true, "NumericLessThan": true,
	"NumericLessThanEquals": true, "NumericGreaterThan": true, "NumericGreaterThanEquals": true, "DateEquals": true,
	"DateNotEquals": true, "DateLessThan": true, "DateLessThanEquals": true, "DateGreaterThan": true,
	"DateGreaterThanEquals": true, "Bool": true, "BinaryEquals": true, "IpAddress": true, "NotIpAddress": true,
	"ArnEquals": true, "ArnLike": true, "ArnNotEquals": true, "ArnNotLike": true, "Null": true,
}

// isConditions tells whether a document is a policy statement's Condition on
// its own, which is how statements keep theirs.
func isConditions(v map[string]any) bool {
	for name, e := range v {
		_, ok := e.(map[string]any)
		name = strings.TrimPrefix(strings.TrimPrefix(name, "ForAllValues:"), "ForAnyValue:")
		if !ok || !operators[strings.TrimSuffix(name, "IfExists")] {
			return false
		}
	}
	return len(v) > 0
}

// conditions are a Condition with the values of each key as a set of texts:
// IAM takes true and "true" for the same.
func conditions(v map[string]any) any {
	out := make(map[string]any, len(v))
	for operator, e := range v {
		keys, ok := e.(map[string]any)
		if !ok {
			out[operator] = meaning(e)
			continue
		}
		texts := make(map[string]any, len(keys))
		for key, values := range keys {
			list, ok := values.([]any)
			if !ok {
				list = []any{values}
			}
			list = slices.Clone(list)
			for i, value := range list {
				switch value := value.(type) {
				case bool:
					list[i] = strconv.FormatBool(value)
				case json.Number:
					list[i] = value.String()
				}
			}
			texts[key] = asSet(list)
		}
		out[operator] = texts
	}
	return out
}

func eachAsSet(v map[string]any) any {
	out := make(map[string]any, len(v))
	for k, e := range v {
		out[k] = asSet(e)
	}
	return out
}

// asSet is a value or a list of values, sorted and each once.
func asSet(v any) any {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	out := make([]any, len(list))
	for i, e := range list {
		out[i] = meaning(e)
	}
	slices.SortFunc(out, func(a, b any) int { return cmp.Compare(canonical(a), canonical(b)) })
	return slices.CompactFunc(out, func(a, b any) bool { return canonical(a) == canonical(b) })
}

// canonical is a value as text, the same for equal values.
func canonical(v any) string {
	b, err := json.Marshal(v) // sorts keys; cannot fail for what was JSON
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// align puts the statements of a new policy in the order of the old one's:
// equal ones first, then those of the same Sid, then in turn those without.
// So moves are no change, and a diff shows what changed where it was.
func align(old, new any) any {
	was, ok1 := old.(map[string]any)
	is, ok2 := new.(map[string]any)
	if !ok1 || !ok2 {
		return new
	}
	out := make(map[string]any, len(is))
	for k, v := range is {
		out[k] = align(was[k], v)
	}
	before, ok1 := was["Statement"].([]any)
	after, ok2 := is["Statement"].([]any)
	if !ok1 || !ok2 || !isPolicy(before) || !isPolicy(after) {
		return out
	}
	slots := make([]any, len(before))
	left := slices.Clone(after)
	take := func(same func(a, b any) bool) {
		for i := range before {
			if slots[i] != nil {
				continue
			}
			if j := slices.IndexFunc(left, func(s any) bool { return same(before[i], s) }); j >= 0 {
				slots[i] = left[j]
				left = slices.Delete(left, j, j+1)
			}
		}
	}
	take(func(a, b any) bool { return canonical(a) == canonical(b) })
	take(func(a, b any) bool { return sid(a) != "" && sid(a) == sid(b) })
	take(func(a, b any) bool { return sid(a) == "" && sid(b) == "" })
	out["Statement"] = append(slices.DeleteFunc(slots, func(s any) bool { return s == nil }), left...)
	return out
}

func isPolicy(statements []any) bool {
	return !slices.ContainsFunc(statements, func(s any) bool { _, ok := s.(map[string]any); return !ok })
}

func sid(statement any) string {
	s, _ := statement.(map[string]any)
	id, _ := s["Sid"].(string)
	return id
}

// layout is a document in lines, indented, without the commas at their ends:
// those would make a line differ when another is added after it.
func layout(v any) []string {
	var lines []string
	var walk func(indent, name string, v any)
	walk = func(indent, name string, v any) {
		switch v := v.(type) {
		case map[string]any:
			if len(v) == 0 {
				break
			}
			lines = append(lines, indent+name+"{")
			for _, k := range slices.SortedFunc(maps.Keys(v), byCustom) {
				walk(indent+"  ", literal(k)+": ", v[k])
			}
			lines = append(lines, indent+"}")
			return
		case []any:
			if len(v) == 0 {
				break
			}
			lines = append(lines, indent+name+"[")
			for _, e := range v {
				walk(indent+"  ", "", e)
			}
			lines = append(lines, indent+"]")
			return
		}
		lines = append(lines, indent+name+literal(v))
	}
	walk("", "", v)
	return lines
}

// literal is a scalar (or an empty list or object) as JSON on one line.
func literal(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Sprintf("%q", fmt.Sprint(v))
	}
	return printable(strings.TrimSuffix(b.String(), "\n"), "")
}

// custom is the order in which people write a policy.
var custom = []string{"Version", "Id", "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition", "Statement"}

func byCustom(a, b string) int {
	i, j := slices.Index(custom, a), slices.Index(custom, b)
	switch {
	case i >= 0 && j >= 0:
		return i - j
	case i >= 0:
		return -1
	case j >= 0:
		return 1
	}
	return cmp.Compare(a, b)
}

const (
	contextLines = 3
	maxDiffLines = 20_000 // above it the texts' common ends are found and the rest is replaced: the search is quadratic
)

// diffLines is a line diff in which equal lines far from a change are left out.
func diffLines(old, new []string) []string {
	type run struct {
		mark  string
		lines []string
	}
	var runs []run
	if len(old)+len(new) > maxDiffLines {
		head := 0
		for head < min(len(old), len(new)) && old[head] == new[head] {
			head++
		}
		tail := 0
		for tail < min(len(old), len(new))-head && old[len(old)-1-tail] == new[len(new)-1-tail] {
			tail++
		}
		runs = []run{{" ", old[:head]}, {"-", old[head : len(old)-tail]}, {"+", new[head : len(new)-tail]}, {" ", old[len(old)-tail:]}}
	} else {
		dmp := diffmatchpatch.New()
		dmp.DiffTimeout = 0 // with one, the answer depends on the machine's load
		a, b, table := dmp.DiffLinesToRunes(joinLines(old), joinLines(new))
		for _, d := range dmp.DiffCharsToLines(dmp.DiffMainRunes(a, b, false), table) {
			mark := map[diffmatchpatch.Operation]string{diffmatchpatch.DiffDelete: "-", diffmatchpatch.DiffInsert: "+", diffmatchpatch.DiffEqual: " "}[d.Type]
			runs = append(runs, run{mark, strings.Split(strings.TrimSuffix(d.Text, "\n"), "\n")})
		}
	}
	runs = slices.DeleteFunc(runs, func(r run) bool { return len(r.lines) == 0 })
	var out []string
	for i, r := range runs {
		keep := func(lines []string) {
			for _, l := range lines {
				out = append(out, r.mark+l)
			}
		}
		before, after := contextLines, contextLines
		if i == 0 {
			before = 0
		}
		if i == len(runs)-1 {
			after = 0
		}
		if cut := len(r.lines) - before - after; r.mark == " " && cut > 1 {
			keep(r.lines[:before])
			gap := fmt.Sprintf("@ %d lines are the same", cut)
			for _, l := range slices.Backward(r.lines[before : before+cut]) {
				if name, ok := strings.CutPrefix(strings.TrimSpace(l), `"Sid": `); ok && i < len(runs)-1 {
					gap += ", then in " + name // the statement that the next lines are of
					break
				}
			}
			out = append(out, gap)
			keep(r.lines[len(r.lines)-after:])
			continue
		}
		keep(r.lines)
	}
	return out
}

func joinLines(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return strings.Join(lines, "\n") + "\n"
}

// printable escapes what a terminal would obey or hide: control and
// bidirectional characters, other spaces than " ", invalid UTF-8. What keep
// lists stays.
func printable(s, keep string) string {
	clean := true
	for _, r := range s {
		if !strconv.IsPrint(r) && !strings.ContainsRune(keep, r) || r == '\uFFFD' {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\uFFFD' && !strings.HasPrefix(s[i:], "\uFFFD"):
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case strconv.IsPrint(r) || strings.ContainsRune(keep, r):
			b.WriteRune(r)
		case r > 0xFFFF:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
