package store

import (
	"bytes"
	"fmt"
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
		rows = append(rows, r)
	}
	return t, rows
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
				ok(b, s.write(&out, rows, metadata(east, table.Name)))
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
		ok(b, s.write(&out, rows, metadata(east, table.Name)))
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				got := 0
				ok(b, s.decode(out.Bytes(), east, File{Path: "x", Table: table.Name, Rows: int64(n)}, func(kind.Row) bool { got++; return true }))
				if got != n {
					b.Fatal(got)
				}
			}
		})
	}
}
