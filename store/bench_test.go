package store

import (
	"bytes"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"snap/store/kind"
)

// wide is like the table of a large resource kind.
func wide(n int) (*kind.Table, []kind.Row) {
	t := &kind.Table{Name: "wide", Sync: "things", Columns: []kind.Column{{Name: "id", Type: kind.String, Key: true, Required: true}}}
	for i := range 20 {
		t.Columns = append(t.Columns, kind.Column{Name: fmt.Sprintf("text%d", i), Type: kind.String})
	}
	for i := range 8 {
		t.Columns = append(t.Columns, kind.Column{Name: fmt.Sprintf("number%d", i), Type: kind.Int}, kind.Column{Name: fmt.Sprintf("flag%d", i), Type: kind.Bool})
	}
	t.Columns = append(t.Columns, kind.Column{Name: "at", Type: kind.Time}, kind.Column{Name: "groups", Type: kind.Strings}, kind.Column{Name: "doc", Type: kind.String, Document: true})
	var rows []kind.Row
	for i := range n {
		rows = append(rows, wideValues(t, i))
	}
	return t, rows
}

// wideValues is a row of it.
func wideValues(t *kind.Table, i int) kind.Row {
	r := kind.Row{fmt.Sprintf("arn:aws:ec2:us-east-1:111111111111:instance/i-%016x", i*7919)}
	for c := 1; c < len(t.Columns); c++ {
		var v any
		switch t.Columns[c].Type {
		case kind.String:
			v = fmt.Sprintf("value-%d", i%(c*c+1))
			if c < 4 {
				v = fmt.Sprintf("%x", i*c*104729)
			}
			if c > 10 && c < 15 {
				v = nil
			}
		case kind.Int:
			v = int64(i % (c + 1))
		case kind.Bool:
			v = i%c == 0
		case kind.Time:
			v = time.UnixMicro(int64(i) * 1e9).UTC()
		case kind.Strings:
			v = []string{fmt.Sprintf("sg-%d", i%100), "sg-default"}
		}
		if t.Columns[c].Document {
			v = fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"arn:aws:s3:::bucket-%d/*"}]}`, i)
		}
		r = append(r, v)
	}
	return r
}

// cpu is the processor time that this process has used.
func cpu(t testing.TB) time.Duration {
	var u syscall.Rusage
	ok(t, syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCell is what a small cell costs: its file, made durable, and its line
// in the journal; many end at the same time, as in a collection.
func BenchmarkCell(b *testing.B) {
	for _, columns := range []int{10, 40} {
		for _, n := range []int{1, 20} {
			table, rows := wide(n)
			table.Columns = table.Columns[:columns]
			for i := range rows {
				rows[i] = rows[i][:columns]
			}
			tables := []*kind.Table{table}
			b.Run(fmt.Sprintf("columns=%d/rows=%d", columns, n), func(b *testing.B) {
				b.ReportAllocs()
				w := must(Create(filepath.Join(b.TempDir(), "snap"), head()))(b)
				defer w.Close()
				var cells atomic.Int64
				b.SetParallelism(16)
				b.ResetTimer()
				began := cpu(b)
				b.RunParallel(func(p *testing.PB) {
					for p.Next() {
						i := cells.Add(1)
						c := w.Cell(CellID{Provider: "aws", Account: fmt.Sprintf("%012d", i/17), Region: fmt.Sprint("region-", i%17), Sync: "things"})
						for _, r := range rows {
							c.Put(table, r)
						}
						ok(b, c.Close(tables, outcome(Complete)))
					}
				})
				b.ReportMetric(float64((cpu(b)-began).Microseconds())/float64(b.N), "cpu-µs/op")
			})
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	for _, n := range []int{5, 1000, 100000} {
		table, rows := wide(n)
		s := must(newSchema(table.Name, table.Columns))(b)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			var out bytes.Buffer
			for b.Loop() {
				out.Reset()
				ok(b, s.writeAll(&out, rows, metadata(east, table.Name)))
			}
			b.ReportMetric(float64(out.Len()), "file-bytes")
		})
	}
}

func BenchmarkRead(b *testing.B) {
	for _, n := range []int{5, 1000, 100000} {
		table, rows := wide(n)
		s := must(newSchema(table.Name, table.Columns))(b)
		var out bytes.Buffer
		ok(b, s.writeAll(&out, rows, metadata(east, table.Name)))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				got := 0
				ok(b, s.decode(whole(out.Bytes()), east, File{Path: "x", Table: table.Name, Rows: int64(n)}, func(kind.Row) bool { got++; return true }))
				if got != n {
					b.Fatal(got)
				}
			}
		})
	}
}

// BenchmarkManifest reads the manifest of 100,000 cells, each with a file.
func BenchmarkManifest(b *testing.B) {
	m := manyCells(50, 20, 100)
	text := must(m.encode())(b)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		must(decodeManifest(text))(b)
	}
}

// manyCells is a manifest of so many cells, of whose files only path, size and
// checksum are made up.
func manyCells(accounts, regions, syncs int) Manifest {
	m := head()
	m.Format, m.MinReader, m.Finished, m.Accounts, m.Syncs = Format, MinReader, first, nil, nil
	for s := range syncs {
		name := fmt.Sprintf("sync-%02d", s)
		m.Syncs = append(m.Syncs, name)
		m.Tables = append(m.Tables, info(&kind.Table{Name: fmt.Sprintf("table_%02d", s), Sync: name, Columns: pair.Columns}))
	}
	for a := range accounts {
		account := fmt.Sprintf("%012d", a)
		m.Accounts = append(m.Accounts, Account{Provider: "aws", ID: account})
		for r := range regions {
			for s, table := range m.Tables {
				id := CellID{Provider: "aws", Account: account, Region: fmt.Sprintf("region-%02d", r), Sync: m.Syncs[s]}
				f := File{Table: table.Name, Rows: 1, Size: 1, SHA256: hexSHA256([]byte(id.String()))}
				f.Path = filePath(id, table.Name, f.SHA256)
				m.Cells = append(m.Cells, Cell{CellID: id, Outcome: outcome(Complete), Rows: 1, Files: []File{f}})
			}
		}
	}
	return m
}
