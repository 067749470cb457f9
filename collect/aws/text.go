package aws

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// jsonObject is a JSON object whose members keep the order of the document:
// Cartography stores JSON as Python's json.dumps writes it, which is in that
// order.
type jsonObject []jsonMember

// jsonMember is one member of a jsonObject.
type jsonMember struct {
	Name  string
	Value any
}

// get finds a member; ok is false where there is none.
func (o jsonObject) get(name string) (value any, ok bool) {
	i := slices.IndexFunc(o, func(m jsonMember) bool { return m.Name == name })
	if i < 0 {
		return nil, false
	}
	return o[i].Value, true
}

// text is the member if it is a string, else nil.
func (o jsonObject) text(name string) *string {
	if v, _ := o.get(name); v != nil {
		if s, ok := v.(string); ok {
			return &s
		}
	}
	return nil
}

// parseJSON reads one JSON value: nil, bool, string, json.Number, []any or
// jsonObject. Of members that repeat the last value stays, in the first one's
// place, as in Python.
func parseJSON(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	v, err := readJSON(d)
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not JSON: more than one value")
	}
	return v, nil
}

func readJSON(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := readJSON(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	case json.Delim('{'):
		object, at := jsonObject{}, map[string]int{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := readJSON(d)
			if err != nil {
				return nil, err
			}
			if i, ok := at[name.(string)]; ok {
				object[i].Value = v
				continue
			}
			at[name.(string)] = len(object)
			object = append(object, jsonMember{name.(string), v})
		}
		_, err := d.Token()
		return object, err
	}
	return token, nil
}

// dumpJSON is the text that Python's json.dumps makes of a value: what
// parseJSON returns, and int64, float64, []string, *string for values that are
// put together by hand. It panics on any other type.
func dumpJSON(v any) string {
	var b strings.Builder
	writeJSON(&b, v)
	return b.String()
}

func writeJSON(b *strings.Builder, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case string:
		writeJSONString(b, v)
	case *string:
		if v == nil {
			b.WriteString("null")
			return
		}
		writeJSONString(b, *v)
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case float64:
		b.WriteString(pythonFloat(v))
	case json.Number:
		b.WriteString(pythonNumber(v.String()))
	case []string:
		writeJSONList(b, v)
	case []any:
		writeJSONList(b, v)
	case []jsonObject:
		writeJSONList(b, v)
	case jsonObject:
		b.WriteByte('{')
		for i, m := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			writeJSONString(b, m.Name)
			b.WriteString(": ")
			writeJSON(b, m.Value)
		}
		b.WriteByte('}')
	default:
		panic(fmt.Sprintf("aws: no JSON for %T", v))
	}
}

func writeJSONList[E any](b *strings.Builder, list []E) {
	b.WriteByte('[')
	for i, v := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		writeJSON(b, v)
	}
	b.WriteByte(']')
}

// writeJSONString writes ASCII only, as json.dumps does unless told otherwise.
func writeJSONString(b *strings.Builder, s string) {
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\f':
			b.WriteString(`\f`)
		case r == '\b':
			b.WriteString(`\b`)
		case r >= ' ' && r <= '~':
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(b, `\u%04x`, r)
		}
	}
	b.WriteByte('"')
}

// pythonNumber is a number of a JSON text after Python has read it: an integer
// of any size, or a float.
func pythonNumber(text string) string {
	if !strings.ContainsAny(text, ".eE") {
		if text == "-0" {
			return "0"
		}
		return text
	}
	f, _ := strconv.ParseFloat(text, 64) // out of range is ±infinity, in Python too
	return pythonFloat(f)
}

// pythonFloat is a float as Python prints it.
func pythonFloat(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case math.IsNaN(f):
		return "NaN"
	}
	if a := math.Abs(f); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// policyStatements are the statements of a policy document, one or a list of
// them; AWS accepts both.
func policyStatements(document string) ([]jsonObject, error) {
	v, err := parseJSON(document)
	if err != nil {
		return nil, fmt.Errorf("policy document: %w", err)
	}
	policy, ok := v.(jsonObject)
	if !ok {
		return nil, fmt.Errorf("policy document: no object but %T", v)
	}
	statement, _ := policy.get("Statement")
	var statements []jsonObject
	for _, v := range listOf(statement) {
		s, ok := v.(jsonObject)
		if !ok {
			return nil, fmt.Errorf("policy document: a statement is no object but %T", v)
		}
		statements = append(statements, s)
	}
	return statements, nil
}

// listOf is the value if it is a list, else a list of it alone; null is the
// empty list.
func listOf(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

// stringsOf is a string or a list of strings, which policies use alike, as a
// list; any other element is its JSON text. null is nil.
func stringsOf(v any) []string {
	if v == nil {
		return nil
	}
	list := listOf(v)
	out := make([]string, len(list))
	for i, e := range list {
		s, ok := e.(string)
		if !ok {
			s = dumpJSON(e)
		}
		out[i] = s
	}
	return out
}
