package diff

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"snap/store"
)

// schemaFile is the JSON Schema of the JSON outputs. It follows from the types
// and their comments: go test ./diff -run Schema -update writes it.
const schemaFile = "../docs/diff.schema.json"

// comments are those of the fields and types of a package's files.
func comments(t *testing.T, dir string) map[string]string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	text := func(groups ...*ast.CommentGroup) string {
		for _, g := range groups {
			if s := strings.Join(strings.Fields(g.Text()), " "); s != "" {
				return s
			}
		}
		return ""
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, s := range g.Specs {
				spec := s.(*ast.TypeSpec)
				out[spec.Name.Name] = text(spec.Doc, g.Doc)
				str, ok := spec.Type.(*ast.StructType)
				if !ok {
					continue
				}
				for _, f := range str.Fields.List {
					for _, n := range f.Names {
						out[spec.Name.Name+"."+n.Name] = text(f.Comment, f.Doc)
					}
				}
			}
		}
	}
	return out
}

type object = map[string]any

// schemaOf describes the JSON of a type; structs go into defs.
func schemaOf(t reflect.Type, words map[string]string, defs object) object {
	scalar := []any{"string", "number", "boolean", "null"}
	switch t {
	case reflect.TypeFor[Key]():
		return object{"type": "object", "additionalProperties": object{"type": scalar}}
	case reflect.TypeFor[Value]():
		return object{"type": append(slices.Clone(scalar), "array"), "items": object{"type": []any{"string", "number"}}}
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[Kind]():
		return object{"type": "string", "enum": []any{Added, Removed, Changed, Unknown}}
	case reflect.TypeFor[Side]():
		return object{"type": "string", "enum": []any{Old, New, Both}}
	case reflect.TypeFor[Severity]():
		return object{"type": "string", "enum": []any{Critical, High, Medium, Low}}
	case reflect.TypeFor[store.State]():
		return object{"type": "string", "enum": []any{store.Complete, store.Partial, store.Denied, store.Unsupported, store.Failed, store.Skipped}}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem(), words, defs)
	case reflect.Slice:
		return object{"type": "array", "items": schemaOf(t.Elem(), words, defs)}
	case reflect.Interface:
		return object{"type": scalar}
	case reflect.Struct:
		if defs[t.Name()] == nil {
			def := object{"type": "object", "additionalProperties": false, "description": words[t.Name()]}
			defs[t.Name()] = def // before its members, which may refer to it
			properties, required := object{}, []any{}
			members(t, func(in reflect.Type, f reflect.StructField, name string, optional bool) {
				p := schemaOf(f.Type, words, defs)
				if s := words[in.Name()+"."+f.Name]; s != "" {
					p = maps.Clone(p)
					p["description"] = s
				}
				properties[name] = p
				if !optional {
					required = append(required, name)
				}
			})
			def["properties"], def["required"] = properties, required
		}
		return object{"$ref": "#/$defs/" + t.Name()}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer"}
	}
	panic(t.String())
}

// members calls do for each member that a struct has in JSON.
func members(t reflect.Type, do func(in reflect.Type, f reflect.StructField, name string, optional bool)) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			members(f.Type, do)
		case f.IsExported() && name != "-":
			do(t, f, name, strings.Contains(options, "omitempty"))
		}
	}
}

// validator holds JSON against a schema, and notes which members it saw.
type validator struct {
	defs object
	seen map[string]bool
	errs []string
}

func (v *validator) check(at string, s object, value any) {
	if ref, ok := s["$ref"].(string); ok {
		at = strings.TrimPrefix(ref, "#/$defs/")
		s = v.defs[at].(object)
	}
	kind := map[bool]string{true: "null"}[value == nil]
	switch n := value.(type) {
	case string:
		kind = "string"
	case bool:
		kind = "boolean"
	case json.Number:
		kind = "number"
		if _, err := n.Int64(); err == nil {
			kind = "integer"
		}
	case []any:
		kind = "array"
	case object:
		kind = "object"
	}
	types, ok := s["type"].([]any)
	if !ok {
		types = []any{s["type"]}
	}
	if !slices.Contains(types, any(kind)) && !(kind == "integer" && slices.Contains(types, any("number"))) {
		v.errs = append(v.errs, fmt.Sprintf("%s is %s, not %v", at, kind, s["type"]))
		return
	}
	if enum, ok := s["enum"].([]any); ok && !slices.Contains(enum, value) {
		v.errs = append(v.errs, fmt.Sprintf("%s is %v, none of %v", at, value, enum))
	}
	switch value := value.(type) {
	case string:
		if _, err := time.Parse(time.RFC3339, value); s["format"] == "date-time" && err != nil {
			v.errs = append(v.errs, fmt.Sprintf("%s: %v", at, err))
		}
	case []any:
		for _, e := range value {
			v.check(at+"[]", s["items"].(object), e)
		}
	case object:
		properties, _ := s["properties"].(object)
		for name, e := range value {
			p, ok := properties[name].(object)
			if !ok {
				if p, ok = s["additionalProperties"].(object); !ok {
					v.errs = append(v.errs, fmt.Sprintf("%s.%s is not in the schema", at, name))
					continue
				}
			} else {
				v.seen[at+"."+name] = true
			}
			v.check(at+"."+name, p, e)
		}
		required, _ := s["required"].([]any)
		for _, name := range required {
			if _, ok := value[name.(string)]; !ok {
				v.errs = append(v.errs, fmt.Sprintf("%s lacks %s", at, name))
			}
		}
	}
}

// TestSchema: the schema says what the types are, the outputs are as it says,
// and nothing is in it that no output has.
func TestSchema(t *testing.T) {
	words := comments(t, ".")
	for name, text := range comments(t, "../store") {
		if words[name] == "" {
			words[name] = text
		}
	}
	defs := object{}
	root := object{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": Schema, "title": "snap diff --format json",
		"description": "The whole output of --format json. Of --format ndjson the first line is such an object without changes, and each line after it is a Change.",
		"$ref":        schemaOf(reflect.TypeFor[Report](), words, defs)["$ref"], "$defs": defs,
	}
	report := defs["Report"].(object)
	report["required"] = []any{"schema", "summary"} // ndjson's first line
	report["properties"].(object)["schema"] = object{"type": "string", "enum": []any{Schema}}
	for name, def := range defs {
		if def.(object)["description"] == "" {
			t.Errorf("%s has no comment", name)
		}
	}
	b, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	b = append(b, '\n')
	if *update {
		if err := os.WriteFile(schemaFile, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b, file) {
		t.Errorf("%s is not what the types say: go test ./diff -run Schema -update writes it anew", schemaFile)
	}
	decode := func(b []byte) (v any) {
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			t.Fatalf("%v: %.300s", err, b)
		}
		return v
	}
	v := &validator{defs: decode(file).(object)["$defs"].(object), seen: map[string]bool{}}
	old, new := example(t)
	stopped, grown := snap(t, hostCell(rowsOf(hosts, base("h-1")))), snap(t, hostCell(rowsOf(hosts, with(base("h-1"), func(h *host) {
		h.State, h.Since, h.Ports, h.Roles = p("stopped"), p("2024"), []int64{22}, []string{"r-1"}
	}))))
	unsupported := snap(t, in(acct, "us-east-1", "host", nil).ended(store.Unsupported, "", ""), in(acct, "", "bucket", rowsOf(buckets, bucket{ID: "b"})))
	was := snap(t, hostCell(rowsOf(hosts, with(base("h-1"), func(h *host) { h.State, h.Since, h.Roles = nil, p("2023"), []string{"r-1"} }))))
	gap := snap(t, hostCell(rowsOf(hosts, with(base("h-1"), func(h *host) { h.Unread(errDenied, "state") }))).ended(store.Partial, "AccessDenied", "x:Get"))
	lists := []Rule{{Name: "port", Text: "A port", Severity: High, Tables: []string{"host"}, Change: Gains, Of: "ports", Element: &Test{Is: []any{22.0}}},
		{Name: "stopped", Text: "It stopped", Severity: Low, Tables: []string{"host"}, Change: Becomes, Where: []Test{{Column: "state", Is: []any{"stopped"}}}}}
	for _, c := range []struct {
		old, new *store.Snapshot
		o        Options
	}{
		{old, new, Options{Rules: exampleRules}}, {new, old, Options{All: true}}, {old, old, Options{}},
		{stopped, grown, Options{Rules: lists, Outside: Outside{Nodes: 3, Cells: 1}}}, {was, grown, Options{Rules: lists}}, {gap, grown, Options{Rules: lists}}, {unsupported, unsupported, Options{}},
		{stopped, grown, Options{Ignore: []string{"host.state"}}},
	} {
		whole := decode([]byte(render1(t, func(b *bytes.Buffer, c *Comparison) error { return JSON(b, c) }, c.old, c.new, c.o)))
		v.check("", object{"$ref": "#/$defs/Report"}, whole)
		lines := strings.Split(strings.TrimSpace(render1(t, func(b *bytes.Buffer, c *Comparison) error { return NDJSON(b, c) }, c.old, c.new, c.o)), "\n")
		for i, line := range lines {
			v.check("", object{"$ref": "#/$defs/" + map[bool]string{true: "Report", false: "Change"}[i == 0]}, decode([]byte(line)))
		}
	}
	for _, e := range v.errs {
		t.Error(e)
	}
	for name, def := range v.defs {
		for member := range def.(object)["properties"].(object) {
			if !v.seen[name+"."+member] {
				t.Errorf("no output of this test has %s.%s", name, member)
			}
		}
	}
	// The validator can fail.
	v.errs = nil
	v.check("", object{"$ref": "#/$defs/Change"}, decode([]byte(`{"change": "melted", "provider": 1, "extra": true}`)))
	if len(v.errs) != 4 {
		t.Errorf("%d errors: %v", len(v.errs), v.errs)
	}
}
