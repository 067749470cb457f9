package kind

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Row is one row, a value for each column of its table in order: nil for null,
// else string, int64, float64, bool, time.Time (UTC), []string or []int64.
type Row []any

// Gaps is embedded in a row whose columns come from sub-calls that may fail on
// their own. A column named in it is unknown, which is not null.
type Gaps struct {
	Columns []string
	Errs    []error
}

// Unread marks columns as unknown because of err. The cell that the row is put
// into then ends partial, with err as its reason.
func (g *Gaps) Unread(err error, columns ...string) {
	g.Columns = append(g.Columns, columns...)
	g.Errs = append(g.Errs, err)
}

// Sink takes the rows of a cell. It is safe for concurrent use.
//
// Rows of one key and table become one: lists in "_" columns are united, and
// of any other column the last non-null value stays.
type Sink interface {
	Put(t *Table, r Row)
	// Lose records that part of the cell could not be read: it will not end
	// complete.
	Lose(err error)
}

// Typed is a table whose rows are of the struct type R.
type Typed[R any] struct {
	*Table
	fields []field
	gaps   int // index of the embedded Gaps in R, or -1
}

type field struct {
	index  int // in R
	column int // in the table
	typ    Type
	from   string // path in the source, for From
	as     string
}

// Of declares a table whose columns are the fields of R that carry the tag
//
//	snap:"property[,key][,index][,document][,volatile][,bare=column]"
//
// in their order. A field of type string, int64, float64, bool or time.Time is
// never null; a pointer to one of them and a slice are null when nil. The tag
//
//	from:"Path.In.Source" as:"text|iso|epoch"
//
// lets Typed.From fill the field, and doc:"…" says what the column means, with
// values that it may have in 'single quotes'. Of panics on a struct it cannot
// map.
func Of[R any](t Table) *Typed[R] {
	typed := &Typed[R]{Table: &t, gaps: -1}
	rt := reflect.TypeFor[R]()
	for i := range rt.NumField() {
		f := rt.Field(i)
		if f.Type == reflect.TypeFor[Gaps]() {
			typed.gaps = i
			continue
		}
		tag, ok := f.Tag.Lookup("snap")
		if !ok {
			continue
		}
		parts := strings.Split(tag, ",")
		c := Column{Name: parts[0]}
		ft := f.Type
		if ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		} else if ft.Kind() != reflect.Slice {
			c.Required = true
		}
		switch {
		case ft == reflect.TypeFor[time.Time]():
			c.Type = Time
		case ft == reflect.TypeFor[[]string]():
			c.Type = Strings
		case ft == reflect.TypeFor[[]int64]():
			c.Type = Ints
		default:
			c.Type = map[reflect.Kind]Type{reflect.String: String, reflect.Int64: Int, reflect.Float64: Float, reflect.Bool: Bool}[ft.Kind()]
		}
		if c.Type == "" {
			panic(fmt.Sprintf("kind: table %s: field %s has type %s", t.Name, f.Name, f.Type))
		}
		for _, option := range parts[1:] {
			switch option {
			case "key":
				c.Key = true
			case "index":
				c.Index = true
			case "document":
				c.Document = true
			case "volatile":
				c.Volatile = true
			default:
				if c.Bare, ok = strings.CutPrefix(option, "bare="); !ok {
					panic(fmt.Sprintf("kind: table %s: field %s: option %q", t.Name, f.Name, option))
				}
			}
		}
		if c.Key && !c.Required {
			panic(fmt.Sprintf("kind: table %s: key %s may be null", t.Name, c.Name))
		}
		if doc := f.Tag.Get("doc"); doc != "" {
			if t.Docs == nil {
				t.Docs = map[string]string{}
			}
			t.Docs[c.Name] = doc
		}
		typed.fields = append(typed.fields, field{index: i, column: len(t.Columns), typ: c.Type, from: f.Tag.Get("from"), as: f.Tag.Get("as")})
		t.Columns = append(t.Columns, c)
	}
	if typed.gaps >= 0 {
		t.Columns = append(t.Columns, Column{Name: Unknown, Type: Strings})
	}
	return typed
}

// Put gives a row to the sink.
func (t *Typed[R]) Put(s Sink, r R) {
	v := reflect.ValueOf(r)
	row := make(Row, len(t.Columns))
	for _, f := range t.fields {
		row[f.column] = plain(v.Field(f.index))
	}
	if t.gaps >= 0 {
		g := v.Field(t.gaps).Interface().(Gaps)
		if len(g.Columns) > 0 {
			slices.Sort(g.Columns)
			row[len(row)-1] = slices.Compact(g.Columns)
		}
		for _, err := range g.Errs {
			s.Lose(err)
		}
	}
	s.Put(t.Table, row)
}

// plain is the column value of a struct's field.
func plain(v reflect.Value) any {
	if v.Kind() == reflect.Pointer || v.Kind() == reflect.Slice {
		if v.IsNil() {
			return nil
		}
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
	}
	if at, ok := v.Interface().(time.Time); ok {
		return at.UTC().Truncate(time.Microsecond)
	}
	return v.Interface()
}

// From makes a row of source, usually a struct of a cloud's SDK: each field
// with a from tag gets what its path leads to. A path goes through pointers
// and, for list columns, through slices, whose elements it collects. nil
// anywhere on the way gives null, and so does an enum's empty string, which is
// how the SDKs say that the API sent nothing. Times become text as the as tag
// says (see TimeText, TimeISO, TimeEpoch). From panics on a path that source
// lacks.
func (t *Typed[R]) From(source any) R {
	var r R
	v := reflect.ValueOf(&r).Elem()
	src := reflect.Indirect(reflect.ValueOf(source))
	for _, f := range t.fields {
		if f.from == "" {
			continue
		}
		if err := copyField(v.Field(f.index), src, f); err != nil {
			panic(fmt.Sprintf("kind: table %s: column %s: from %s of %s: %v", t.Name, t.Columns[f.column].Name, f.from, src.Type(), err))
		}
	}
	return r
}

type pathKey struct {
	source reflect.Type
	path   string
}

var paths sync.Map // pathKey → []int, the index of each step; steps restart at slices and pointers

// step finds the field name in a struct type, cached: From runs once a row.
func step(t reflect.Type, name string) (int, error) {
	key := pathKey{t, name}
	if i, ok := paths.Load(key); ok {
		return i.(int), nil
	}
	if t.Kind() == reflect.Struct {
		if f, ok := t.FieldByName(name); ok && len(f.Index) == 1 {
			paths.Store(key, f.Index[0])
			return f.Index[0], nil
		}
	}
	return 0, fmt.Errorf("no field %s in %s", name, t)
}

// copyField sets dst to what the path leads to.
func copyField(dst, src reflect.Value, f field) error {
	if f.typ == Strings || f.typ == Ints {
		out := reflect.MakeSlice(dst.Type(), 0, 0)
		found, err := collect(&out, src, f.from, f)
		if err == nil && found {
			dst.Set(out)
		}
		return err
	}
	path := f.from
	for path != "" {
		name, rest, _ := strings.Cut(path, ".")
		i, err := step(src.Type(), name)
		if err != nil {
			return err
		}
		src, path = src.Field(i), rest
		if src.Kind() == reflect.Pointer {
			if src.IsNil() {
				return nil
			}
			src = src.Elem()
		}
	}
	return set(dst, src, f.as)
}

// collect appends to out what path leads to, through slices; found is false
// where everything on the way was nil.
func collect(out *reflect.Value, src reflect.Value, path string, f field) (found bool, err error) {
	if src.Kind() == reflect.Pointer {
		if src.IsNil() {
			return false, nil
		}
		src = src.Elem()
	}
	if src.Kind() == reflect.Slice {
		if src.IsNil() {
			return false, nil
		}
		for i := range src.Len() {
			if _, err := collect(out, src.Index(i), path, f); err != nil {
				return false, err
			}
		}
		return true, nil
	}
	if path == "" {
		element := reflect.New(out.Type().Elem()).Elem()
		if err := set(element, src, f.as); err != nil {
			return false, err
		}
		*out = reflect.Append(*out, element)
		return true, nil
	}
	name, rest, _ := strings.Cut(path, ".")
	i, err := step(src.Type(), name)
	if err != nil {
		return false, err
	}
	return collect(out, src.Field(i), rest, f)
}

// set converts one scalar.
func set(dst, src reflect.Value, as string) error {
	if dst.Kind() == reflect.Pointer {
		if src.Kind() == reflect.String && src.String() == "" && src.Type().PkgPath() != "" {
			return nil // an enum that was not sent
		}
		dst.Set(reflect.New(dst.Type().Elem()))
		dst = dst.Elem()
	}
	if at, ok := src.Interface().(time.Time); ok {
		switch {
		case dst.Type() == src.Type():
			dst.Set(reflect.ValueOf(at.UTC()))
		case dst.Kind() == reflect.Int64 && as == "epoch":
			dst.SetInt(at.Unix())
		case dst.Kind() == reflect.String && as == "text":
			dst.SetString(TimeText(at))
		case dst.Kind() == reflect.String && as == "iso":
			dst.SetString(TimeISO(at))
		default:
			return fmt.Errorf("a time needs as:\"text\", \"iso\" or \"epoch\" to fit %s", dst.Type())
		}
		return nil
	}
	switch {
	case dst.Kind() == reflect.Float64 && src.Kind() == reflect.Float32:
		// The API sent a decimal: 0.1, not the 0.10000000149… that is nearest.
		f, err := strconv.ParseFloat(strconv.FormatFloat(src.Float(), 'g', -1, 32), 64)
		if err != nil {
			return err
		}
		dst.SetFloat(f)
	case dst.Kind() == src.Kind() || dst.CanInt() && src.CanInt() || dst.CanFloat() && src.CanFloat():
		dst.Set(src.Convert(dst.Type()))
	default:
		return fmt.Errorf("%s does not fit %s", src.Type(), dst.Type())
	}
	return nil
}

// TimeText is a time as Cartography's str(datetime) shows it:
// "2024-01-02 03:04:05+00:00", with six decimals where there is a fraction.
func TimeText(t time.Time) string { return pythonTime(t, "2006-01-02 15:04:05") }

// TimeISO is a time as datetime.isoformat() shows it: TimeText with a "T".
func TimeISO(t time.Time) string { return pythonTime(t, "2006-01-02T15:04:05") }

func pythonTime(t time.Time, layout string) string {
	t = t.UTC().Truncate(time.Microsecond)
	if t.Nanosecond() != 0 {
		layout += ".000000"
	}
	return t.Format(layout) + "+00:00"
}

// Text is an SDK enum as a column: nil where the API sent nothing.
func Text[S ~string](s S) *string {
	if s == "" {
		return nil
	}
	text := string(s)
	return &text
}
