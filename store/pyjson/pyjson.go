// Package pyjson reads JSON and writes it as Python's json.dumps does, which is
// how Cartography stores it in the graph.
package pyjson

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

// Object is a JSON object whose members keep the order of the document, in
// which Python writes them.
type Object []Member

// Member is one member of a Object.
type Member struct {
	Name  string
	Value any
}

// Get finds a member; ok is false where there is none.
func (o Object) Get(name string) (value any, ok bool) {
	i := slices.IndexFunc(o, func(m Member) bool { return m.Name == name })
	if i < 0 {
		return nil, false
	}
	return o[i].Value, true
}

// Text is the member if it is a string, else nil.
func (o Object) Text(name string) *string {
	if v, _ := o.Get(name); v != nil {
		if s, ok := v.(string); ok {
			return &s
		}
	}
	return nil
}

// Parse reads one JSON value: nil, bool, string, json.Number, []any or
// Object. Of members that repeat the last value stays, in the first one's
// place, as in Python.
func Parse(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	v, err := read(d)
	if err != nil {
		return nil, fmt.Errorf("not JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not JSON: more than one value")
	}
	return v, nil
}

func read(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := read(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	case json.Delim('{'):
		object, at := Object{}, map[string]int{}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			v, err := read(d)
			if err != nil {
				return nil, err
			}
			if i, ok := at[name.(string)]; ok {
				object[i].Value = v
				continue
			}
			at[name.(string)] = len(object)
			object = append(object, Member{name.(string), v})
		}
		_, err := d.Token()
		return object, err
	}
	return token, nil
}

// Dump is the text that Python's json.dumps makes of a value: what
// Parse returns, and int64, float64, []string, *string for values that are
// put together by hand. It panics on any other type.
func Dump(v any) string {
	var b strings.Builder
	write(&b, v)
	return b.String()
}

func write(b *strings.Builder, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case string:
		writeString(b, v)
	case *string:
		if v == nil {
			b.WriteString("null")
			return
		}
		writeString(b, *v)
	case int64:
		b.WriteString(strconv.FormatInt(v, 10))
	case float64:
		b.WriteString(float(v))
	case json.Number:
		b.WriteString(number(v.String()))
	case []string:
		writeList(b, v)
	case []any:
		writeList(b, v)
	case []Object:
		writeList(b, v)
	case Object:
		b.WriteByte('{')
		for i, m := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			writeString(b, m.Name)
			b.WriteString(": ")
			write(b, m.Value)
		}
		b.WriteByte('}')
	default:
		panic(fmt.Sprintf("pyjson: no JSON for %T", v))
	}
}

func writeList[E any](b *strings.Builder, list []E) {
	b.WriteByte('[')
	for i, v := range list {
		if i > 0 {
			b.WriteString(", ")
		}
		write(b, v)
	}
	b.WriteByte(']')
}

// writeString writes ASCII only, as json.dumps does unless told otherwise.
func writeString(b *strings.Builder, s string) {
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

// number is a number of a JSON text after Python has read it: an integer
// of any size, or a float.
func number(text string) string {
	if !strings.ContainsAny(text, ".eE") {
		if text == "-0" {
			return "0"
		}
		return text
	}
	f, _ := strconv.ParseFloat(text, 64) // out of range is ±infinity, in Python too
	return float(f)
}

// float is a float as Python prints it.
func float(f float64) string {
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
