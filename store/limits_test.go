//go:build bench

// The store against a bare parquet-go loop, and what it promises about size:
// make bench-store. Ratios are of the best of several turns in one run, in
// processor time, so that whoever else uses the machine does not count.

package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"snap/store/kind"
)

const (
	benchRows  = 1_000_000
	benchCells = 10 // that the rows are spread over
	benchTurns = 2
)

// wideRow is a row of wide as a struct, as a bare loop would have it: the
// struct's type is made of the table, so that both have the same columns.
func wideRow(t *kind.Table) reflect.Type {
	var fields []reflect.StructField
	for i, c := range t.Columns {
		of := map[kind.Type]reflect.Type{kind.String: reflect.TypeFor[*string](), kind.Int: reflect.TypeFor[*int64](), kind.Bool: reflect.TypeFor[*bool](), kind.Time: reflect.TypeFor[*int64](), kind.Strings: reflect.TypeFor[[]string]()}[c.Type]
		tag := c.Name + ",optional"
		switch {
		case c.Key:
			of, tag = of.Elem(), c.Name
		case c.Type == kind.Time:
			tag += ",timestamp(microsecond)"
		case c.Type == kind.Strings:
			tag += ",list"
		}
		fields = append(fields, reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: of, Tag: reflect.StructTag(fmt.Sprintf("parquet:%q", tag))})
	}
	return reflect.StructOf(fields)
}

// bareRows are rows as values of the struct type.
func bareRows(of reflect.Type, rows []kind.Row) []any {
	out := make([]any, len(rows))
	for n, r := range rows {
		v := reflect.New(of)
		for i, value := range r {
			f := v.Elem().Field(i)
			if at, ok := value.(time.Time); ok {
				value = at.UnixMicro()
			}
			switch {
			case value == nil:
			case f.Kind() == reflect.Pointer:
				f.Set(reflect.New(f.Type().Elem()))
				f.Elem().Set(reflect.ValueOf(value))
			default:
				f.Set(reflect.ValueOf(value))
			}
		}
		out[n] = v.Interface()
	}
	return out
}

func benchID(i int) CellID {
	return CellID{Provider: "aws", Account: "111111111111", Region: fmt.Sprintf("region-%d", i), Sync: "things"}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// best is the shortest of several turns of each, taken by turns.
func best(t *testing.T, ours, bare func() time.Duration) (a, b time.Duration) {
	for turn := range benchTurns {
		x, y := ours(), bare()
		t.Logf("turn %d: ours %s, bare %s", turn+1, seconds(x), seconds(y))
		if turn == 0 || x < a {
			a = x
		}
		if turn == 0 || y < b {
			b = y
		}
	}
	return a, b
}

func ratio(t *testing.T, what string, ours, bare time.Duration) {
	share := bare.Seconds() / ours.Seconds()
	fmt.Printf("%s: %s, bare %s: %.0f %% of its speed\n", what, seconds(ours), seconds(bare), 100*share)
	if share < 0.8 {
		t.Errorf("%s: %.0f %% of the bare loop's speed, want 80", what, 100*share)
	}
}

func TestBenchWriteRead(t *testing.T) {
	table, rows := wide(benchRows / benchCells)
	tables := []*kind.Table{table}
	if len(table.Columns) != 40 {
		t.Fatalf("%d columns", len(table.Columns))
	}
	of := wideRow(table)
	bare := bareRows(of, rows)
	base := t.TempDir()
	turn := 0
	var last string

	ours, theirs := best(t, func() time.Duration {
		turn++
		last = filepath.Join(base, fmt.Sprint("ours", turn))
		began := cpu(t)
		w := must(Create(last, head()))(t)
		for i := range benchCells {
			c := w.Cell(benchID(i))
			for _, r := range rows {
				c.Put(table, r)
			}
			ok(t, c.Close(tables, outcome(Complete)))
		}
		must(w.Commit(tables, first))(t)
		return cpu(t) - began
	}, func() time.Duration {
		began := cpu(t)
		for i := range benchCells {
			f := must(os.Create(filepath.Join(base, fmt.Sprint("bare", i))))(t)
			w := parquet.NewGenericWriter[any](f, parquet.SchemaOf(reflect.New(of).Interface()), parquet.Compression(codec))
			for rest := bare; len(rest) > 0; rest = rest[min(1000, len(rest)):] {
				must(w.Write(rest[:min(1000, len(rest))]))(t)
			}
			ok(t, w.Close())
			ok(t, f.Sync())
			ok(t, f.Close())
		}
		return cpu(t) - began
	})
	ratio(t, "write 1 M rows of 40 columns", ours, theirs)

	// Reading: ours verifies and decodes what we wrote, the bare loop hashes and
	// decodes what it wrote.
	ours, theirs = best(t, func() time.Duration {
		began := cpu(t)
		s := must(Open(last))(t)
		defer s.Close()
		n := 0
		for _, c := range s.Manifest.Cells {
			for _, f := range c.Files {
				rows, _, _ := s.Read(table, f)
				for _, err := range rows {
					ok(t, err)
					n++
				}
			}
		}
		if n != benchRows {
			t.Fatalf("%d rows", n)
		}
		return cpu(t) - began
	}, func() time.Duration {
		began := cpu(t)
		n := 0
		for i := range benchCells {
			b := must(os.ReadFile(filepath.Join(base, fmt.Sprint("bare", i))))(t)
			if sum := sha256.Sum256(b); sum == (sha256.Sum256(nil)) {
				t.Fatal("empty")
			}
			r := parquet.NewReader(bytes.NewReader(b), parquet.SchemaOf(reflect.New(of).Interface()))
			for {
				row := reflect.New(of)
				err := r.Read(row.Interface())
				if errors.Is(err, io.EOF) {
					break
				}
				ok(t, err)
				n++
			}
			ok(t, r.Close())
		}
		if n != benchRows {
			t.Fatalf("%d rows", n)
		}
		return cpu(t) - began
	})
	ratio(t, "read and verify 1 M rows of 40 columns", ours, theirs)
}

// TestBenchCells opens and lists a snapshot of 100,000 cells, each with a file.
func TestBenchCells(t *testing.T) {
	const accounts, regions, syncs = 50, 20, 100
	dir := filepath.Join(t.TempDir(), "snap")
	m := head()
	m.Format, m.MinReader, m.Finished, m.Accounts, m.Syncs = Format, MinReader, first, nil, nil
	for s := range syncs {
		name := fmt.Sprintf("sync-%02d", s)
		m.Syncs = append(m.Syncs, name)
		m.Tables = append(m.Tables, info(&kind.Table{Name: fmt.Sprintf("table_%02d", s), Sync: name, Columns: pair.Columns}))
	}
	schemas := map[string]*schema{}
	for _, t2 := range m.Tables {
		schemas[t2.Name] = must(newSchema(t2.Name, t2.Columns))(t)
	}
	var out bytes.Buffer
	for a := range accounts {
		account := fmt.Sprintf("%012d", a)
		m.Accounts = append(m.Accounts, Account{Provider: "aws", ID: account})
		for r := range regions {
			for s, table := range m.Tables {
				id := CellID{Provider: "aws", Account: account, Region: fmt.Sprintf("region-%02d", r), Sync: m.Syncs[s]}
				out.Reset()
				ok(t, schemas[table.Name].writeAll(&out, []kind.Row{{int64(a), started}}, metadata(id, table.Name)))
				f := File{Table: table.Name, Rows: 1, Size: int64(out.Len()), SHA256: hexSHA256(out.Bytes())}
				f.Path = filePath(id, table.Name, f.SHA256)
				at := filepath.Join(dir, f.Path)
				ok(t, os.MkdirAll(filepath.Dir(at), 0o700))
				ok(t, os.WriteFile(at, out.Bytes(), 0o600))
				m.Cells = append(m.Cells, Cell{CellID: id, Outcome: outcome(Complete), Rows: 1, Files: []File{f}})
			}
		}
	}
	b := must(m.encode())(t)
	ok(t, os.WriteFile(filepath.Join(dir, manifestFile), b, 0o600))
	list := func(path string) time.Duration {
		began := time.Now()
		s := must(OpenWith(path, OpenOptions{ManifestOnly: true}))(t) // as snap ls does
		defer s.Close()
		states := map[State]int{}
		for _, c := range s.Manifest.Cells {
			states[c.State]++
		}
		if states[Complete] != accounts*regions*syncs {
			t.Fatalf("%v", states)
		}
		return time.Since(began)
	}
	directory := min(list(dir), list(dir), list(dir))
	bundle := filepath.Join(t.TempDir(), "x.snap")
	s := must(Open(dir))(t)
	must(s.CreateBundle(ctx, bundle, BundleOptions{}))(t)
	ok(t, s.Close())
	packed := min(list(bundle), list(bundle), list(bundle))
	began := time.Now()
	ok(t, must(Open(dir))(t).Close())
	fmt.Printf("open and list 100,000 cells, each with a file (manifest %d MB): directory %s, bundle %s; with a look at each file of the directory %s\n",
		len(b)/1e6, seconds(directory), seconds(packed), seconds(time.Since(began)))
	if directory > 2*time.Second || packed > 2*time.Second {
		t.Error("want 2 s")
	}
}

// TestBenchMemory writes and reads more and more rows, in cells of various
// sizes, in a process of its own, whose greatest resident size must not grow.
func TestBenchMemory(t *testing.T) {
	for _, c := range []struct{ cells, rows int }{{50, 20_000}, {100, 100_000}, {1, 1_000_000}} {
		dir := filepath.Join(t.TempDir(), "snap")
		for _, what := range []string{"write", "read"} {
			child := benchChild(dir, what, c.cells, c.rows)
			mb := resident(t, must(child.Output())(t)) >> 10
			fmt.Printf("%s %d M rows of 40 columns, %d a cell: %d MB resident at most, %s\n", what, c.cells*c.rows/1_000_000, c.rows, mb, seconds(child.ProcessState.UserTime()))
			if mb > 300 {
				t.Errorf("%s: %d MB, want 300", what, mb)
			}
		}
		ok(t, os.RemoveAll(dir))
	}
}

// resident is VmHWM of /proc/self/status in kB, the child's last words. What
// wait tells of it is no less than what the parent had when it started it.
func resident(t *testing.T, status []byte) (kb int64) {
	t.Helper()
	_, after, _ := bytes.Cut(status, []byte("VmHWM:"))
	if _, err := fmt.Sscan(string(after), &kb); err != nil {
		t.Fatalf("%v: %s", err, status)
	}
	return kb
}

func init() {
	benchRun = func(dir, what string, cells, rows int) (err error) {
		defer func() {
			status, e := os.ReadFile("/proc/self/status")
			os.Stdout.Write(status)
			err = errors.Join(err, e)
		}()
		table, _ := wide(0)
		tables := []*kind.Table{table}
		if what == "read" {
			s, err := Open(dir)
			if err != nil {
				return err
			}
			return errors.Join(s.Verify(ctx, true)...)
		}
		w, err := Create(dir, head())
		if err != nil {
			return err
		}
		for i := range cells {
			c := w.Cell(benchID(i))
			for n := range rows {
				c.Put(table, wideValues(table, n))
			}
			if err := c.Close(tables, outcome(Complete)); err != nil {
				return err
			}
		}
		_, err = w.Commit(tables, first)
		return err
	}
}

// benchChild is a child that runs it, with the collector as snap sets it.
func benchChild(dir, what string, cells, rows int) *exec.Cmd {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "GOGC=200", fmt.Sprintf("%s=%s %d %d %s", childBench, what, cells, rows, dir))
	c.Stderr = os.Stderr
	return c
}
