package load

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// listsProperty names the properties of a node or relationship that hold an
// empty list, or with "=1" a list of one empty text: the importer takes both
// for nothing. The load that follows the import sets them.
const listsProperty = "_snap_lists"

// delimiters may part the elements of a list: they are in no text that is
// meant to be read. The importer cannot quote an element, so that the first one
// is taken that none of the snapshot's lists has.
var delimiters = func() []rune {
	all := []rune{0x1f, 0x1e, 0x1d, 0x1c}
	for r := rune(1); r < 0x1c; r++ {
		if r < '\t' || r > '\r' {
			all = append(all, r)
		}
	}
	for r := rune(0xfdd0); r <= 0xfdef; r++ { // not characters, for ever
		all = append(all, r)
	}
	return all
}()

// delimited says that a list has an element with the delimiter in it.
type delimited struct{ property string }

func (e *delimited) Error() string {
	return fmt.Sprintf("property %s: no control character is left to part the elements of lists: some list has each of them", e.property)
}

// csvFile is a header with its rows. A property gets a column when a row first
// has it: the header is written last, and earlier rows are shorter.
type csvFile struct {
	group string // the labels or the type, as the importer wants them
	ids   string // the columns before the properties
	path  string // in the directory, without ".csv"
	names []string
	types []string
	file  *os.File
	out   *bufio.Writer
}

// csvGroup tells the files of one set of labels or one type; there are several
// where a property has values of several types.
type csvGroup struct{ directory, group string }

// csvDirectory writes what the importer reads.
type csvDirectory struct {
	root      string
	delimiter rune

	files   map[csvGroup][]*csvFile
	order   []*csvFile
	used    map[string]bool // paths
	buf     []byte
	lines   bool // a text has several lines
	longest int  // bytes of a row
	bytes   int64
	lists   int64 // nodes and relationships with listsProperty
}

func newCSVDirectory(root string, delimiter rune) *csvDirectory {
	return &csvDirectory{root: root, delimiter: delimiter, files: map[csvGroup][]*csvFile{}, used: map[string]bool{}}
}

// csvType is what the importer calls the type of a value.
func csvType(v any) (string, error) {
	switch v.(type) {
	case string:
		return "string", nil
	case int64:
		return "long", nil
	case float64:
		return "double", nil
	case bool:
		return "boolean", nil
	case time.Time:
		return "datetime", nil
	case []string:
		return "string[]", nil
	case []int64:
		return "long[]", nil
	}
	return "", fmt.Errorf("the importer has no type for a %T", v)
}

// put writes a node or relationship, which ids name, with its properties. It
// may change p.
func (d *csvDirectory) put(at csvGroup, name, header string, p map[string]any, ids ...uint32) error {
	n, err := d.representable(p)
	if err != nil {
		return err
	}
	for _, f := range d.files[at] {
		fits, err := d.row(f, p, n, ids)
		if fits || err != nil {
			return err
		}
	}
	f, err := d.create(at, name, header)
	if err != nil {
		return err
	}
	_, err = d.row(f, p, n, ids)
	return err
}

// representable counts the properties that get a field. Of the others it makes
// a note.
func (d *csvDirectory) representable(p map[string]any) (n int, err error) {
	var lists []string
	for name, v := range p {
		switch v := v.(type) {
		case nil:
			continue
		case []int64:
			if len(v) == 0 {
				lists = append(lists, name)
				continue
			}
		case []string:
			if len(v) == 0 {
				lists = append(lists, name)
				continue
			}
			if len(v) == 1 && v[0] == "" {
				lists = append(lists, name+"=1")
				continue
			}
		}
		n++
	}
	if len(lists) > 0 {
		for _, name := range lists {
			delete(p, strings.TrimSuffix(name, "=1"))
		}
		slices.Sort(lists)
		p[listsProperty] = lists
		d.lists++
		n++
	}
	return n, nil
}

// row writes a row of n properties. fits is false where the file has one of
// them in another type.
func (d *csvDirectory) row(f *csvFile, p map[string]any, n int, ids []uint32) (fits bool, err error) {
	b := d.buf[:0]
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendUint(b, uint64(id), 10)
	}
	used := 0
	field := func(name, typ string) (bool, error) {
		b = append(b, ',')
		v := p[name]
		if v == nil {
			return true, nil
		}
		is, err := csvType(v)
		if err != nil {
			return false, fmt.Errorf("property %s: %w", name, err)
		}
		if is != typ {
			return false, nil
		}
		used++
		if b, err = d.value(b, v); err != nil {
			return false, &delimited{name}
		}
		return true, nil
	}
	for i, name := range f.names {
		if fits, err = field(name, f.types[i]); !fits || err != nil {
			d.buf = b
			return false, err
		}
	}
	if used < n {
		for _, name := range f.lacks(p) {
			typ, err := csvType(p[name])
			if err != nil {
				return false, fmt.Errorf("property %s: %w", name, err)
			}
			if _, err := field(name, typ); err != nil {
				return false, err
			}
			f.names, f.types = append(f.names, name), append(f.types, typ)
		}
	}
	for b[len(b)-1] == ',' { // a text ends with a quote
		b = b[:len(b)-1]
	}
	b = append(b, '\n')
	d.buf = b
	d.longest = max(d.longest, len(b))
	d.bytes += int64(len(b))
	_, err = f.out.Write(b)
	return true, err
}

// lacks are the properties for which the file has no column yet.
func (f *csvFile) lacks(p map[string]any) []string {
	var names []string
	for name, v := range p {
		if v != nil && !slices.Contains(f.names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// value appends a value as a field. It fails where the delimiter of lists is in
// an element.
func (d *csvDirectory) value(b []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		b = append(b, '"')
		b = d.text(b, v)
		return append(b, '"'), nil
	case int64:
		return strconv.AppendInt(b, v, 10), nil
	case float64:
		switch { // as Java has it
		case math.IsInf(v, 1):
			return append(b, "Infinity"...), nil
		case math.IsInf(v, -1):
			return append(b, "-Infinity"...), nil
		}
		return strconv.AppendFloat(b, v, 'g', -1, 64), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case time.Time:
		if v.Year() > 9999 {
			b = append(b, '+')
		}
		return v.AppendFormat(b, "2006-01-02T15:04:05.999999999Z07:00"), nil
	case []string:
		b = append(b, '"')
		for i, s := range v {
			if i > 0 {
				b = utf8.AppendRune(b, d.delimiter)
			}
			if strings.ContainsRune(s, d.delimiter) {
				return b, fmt.Errorf("it has the delimiter")
			}
			b = d.text(b, s)
		}
		return append(b, '"'), nil
	case []int64:
		for i, n := range v {
			if i > 0 {
				b = utf8.AppendRune(b, d.delimiter)
			}
			b = strconv.AppendInt(b, n, 10)
		}
	}
	return b, nil
}

// text appends a text as it stands between quotes. Nothing else has a meaning
// to the importer there.
func (d *csvDirectory) text(b []byte, s string) []byte {
	d.lines = d.lines || strings.ContainsAny(s, "\n\r")
	for {
		i := strings.IndexByte(s, '"')
		if i < 0 {
			return append(b, s...)
		}
		b = append(append(b, s[:i+1]...), '"')
		s = s[i+1:]
	}
}

// create begins a file.
func (d *csvDirectory) create(at csvGroup, name, header string) (*csvFile, error) {
	path := at.directory + "/" + name
	for n := 2; d.used[strings.ToLower(path)]; n++ { // some file systems do not tell A from a
		path = fmt.Sprintf("%s/%s-%d", at.directory, name, n)
	}
	d.used[strings.ToLower(path)] = true
	f := &csvFile{group: at.group, ids: header, path: path}
	full := filepath.Join(d.root, filepath.FromSlash(path))
	err := os.MkdirAll(filepath.Dir(full), 0o700)
	if err == nil {
		f.file, err = os.OpenFile(full+".csv", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	if err != nil {
		return nil, err
	}
	f.out = bufio.NewWriterSize(f.file, 1<<16)
	d.files[at] = append(d.files[at], f)
	d.order = append(d.order, f)
	return f, nil
}

// end writes the headers of the files that are open and closes these; no row
// can be put into them then.
func (d *csvDirectory) end() error {
	for at, files := range d.files {
		for _, f := range files {
			if err := f.end(d.root); err != nil {
				return err
			}
		}
		delete(d.files, at)
	}
	return nil
}

func (f *csvFile) end(root string) error {
	header := f.ids
	for i, name := range f.names {
		header += "," + name + ":" + f.types[i]
	}
	err := f.out.Flush()
	if e := f.file.Close(); err == nil {
		err = e
	}
	f.out = nil
	if err == nil {
		err = os.WriteFile(filepath.Join(root, filepath.FromSlash(f.path)+"-header.csv"), []byte(header+"\n"), 0o600)
	}
	return err
}

// abandon closes the files that are open.
func (d *csvDirectory) abandon() {
	for _, f := range d.order {
		if f.out != nil {
			_ = f.file.Close() // what led here is told
		}
	}
}

// bufferSize is what the importer has unless it is told otherwise: a row must
// fit into it.
const bufferSize = 4 << 20

// arguments is the text of the importer's argument file.
func (d *csvDirectory) arguments() string {
	var b strings.Builder
	fmt.Fprintf(&b, "--id-type=integer\n--array-delimiter=U+%04X\n--bad-tolerance=0\n", d.delimiter)
	if d.lines {
		b.WriteString("--multiline-fields=true\n")
	}
	if d.longest > bufferSize/2 {
		fmt.Fprintf(&b, "--read-buffer-size=%d\n", 2*d.longest)
	}
	for _, f := range d.order {
		directory, _, _ := strings.Cut(f.path, "/")
		fmt.Fprintf(&b, "--%s=%s=%s-header.csv,%s.csv\n", directory, f.group, f.path, f.path)
	}
	return b.String()
}
