package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"snap/store/kind"
)

// large is a snapshot with a file of several parts, of rows that do not pack.
func large(t *testing.T) (dir string, want []kind.Row) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "snap")
	w := must(Create(dir, head()))(t)
	c := w.Cell(east)
	r := rand.New(rand.NewPCG(1, 1))
	text := func() string {
		b := make([]byte, 300)
		for i := range b {
			b[i] = byte(' ' + r.IntN(90))
		}
		return string(b)
	}
	for range 1200 {
		row := thingRow(text())
		row[1], row[6] = text(), []string{text(), text()}
		c.Put(thing, row)
	}
	ok(t, c.Close(things, outcome(Complete)))
	must(w.Commit(things, first))(t)
	s := must(Open(dir))(t)
	defer s.Close()
	want = readAll(t, s, thing, east)
	if f := s.Manifest.Cells[0].Files[0]; len(want) != 1200 || f.Size < 8*partSize {
		t.Fatalf("%d rows, %d bytes", len(want), f.Size)
	}
	return dir, want
}

// TestLargeFile: a file of which only parts are held is read as one that is
// held whole, and bundled, unbundled and resumed so.
func TestLargeFile(t *testing.T) {
	dir, want := large(t)
	s := must(Open(dir))(t)
	defer s.Close()
	s.whole = 0
	if got := readAll(t, s, thing, east); !reflect.DeepEqual(got, want) {
		t.Error("in parts it reads otherwise")
	}
	for _, err := range s.Verify(ctx, true) {
		t.Error(err)
	}
	var inParts, atOnce bytes.Buffer
	ok(t, s.WriteBundle(ctx, &inParts, BundleOptions{}))
	s.whole = heldWhole
	ok(t, s.WriteBundle(ctx, &atOnce, BundleOptions{}))
	if !bytes.Equal(inParts.Bytes(), atOnce.Bytes()) {
		t.Error("in parts it is bundled otherwise")
	}
	bundled := must(memory(inParts.Bytes()))(t)
	defer bundled.Close()
	bundled.whole = 0
	if got := readAll(t, bundled, thing, east); !reflect.DeepEqual(got, want) {
		t.Error("from a bundle, in parts, it reads otherwise")
	}
}

// inParts is content of which only parts are held.
func inParts(b []byte, f File) *parts {
	p := &parts{file: f, at: bytes.NewReader(b), held: map[int64]*part{}, most: heldParts}
	for at := 0; at < len(b); at += partSize {
		p.sums = append(p.sums, sha256.Sum256(b[at:min(len(b), at+partSize)]))
	}
	return p
}

// turncoat gives a file that changes, or fails, after it was read once.
type turncoat struct {
	source
	change func(at int64, b []byte) error
}

func (s turncoat) Open(name string) (fs.File, error) {
	f, err := s.source.Open(name)
	if err != nil || !strings.HasSuffix(name, ".parquet") {
		return f, err
	}
	return turncoatFile{f, f.(io.ReaderAt), s.change}, nil
}

type turncoatFile struct {
	fs.File
	at     io.ReaderAt
	change func(at int64, b []byte) error
}

// ReadAt is what decoding reads with; verifying reads with Read.
func (f turncoatFile) ReadAt(b []byte, at int64) (int, error) {
	n, err := f.at.ReadAt(b, at)
	if err := f.change(at, b[:n]); err != nil {
		return 0, err
	}
	return n, err
}

// TestLargeFileChanges: what changes after it was verified is not parsed.
func TestLargeFileChanges(t *testing.T) {
	dir, want := large(t)
	read := func(change func(at int64, b []byte) error) (n int, err error) {
		s := must(Open(dir))(t)
		defer s.Close()
		s.whole, s.from = 0, turncoat{s.from, change}
		own, _ := s.Own(thing.Name)
		rows, _, _ := s.Read(own, s.Manifest.Cells[0].Files[0])
		for r, e := range rows {
			if e != nil {
				err = e
				break
			}
			if !reflect.DeepEqual(r, want[n]) {
				t.Fatalf("row %d is another", n)
			}
			n++
		}
		return n, err
	}
	if n, err := read(func(int64, []byte) error { return nil }); n != len(want) || err != nil {
		t.Fatalf("%d rows, %v", n, err)
	}
	size := int64(0)
	ok(t, filepath.WalkDir(dir, func(p string, e os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(p, ".parquet") {
			size = must(os.Stat(p))(t).Size()
		}
		return err
	}))
	for flip := int64(0); flip < size; flip += size / 23 {
		_, err := read(func(at int64, b []byte) error {
			if flip >= at && flip < at+int64(len(b)) {
				b[flip-at] ^= 4
			}
			return nil
		})
		if !isDamaged(err) || !strings.Contains(err.Error(), "changed while") {
			t.Errorf("byte %d of %d changed: %v", flip, size, err)
		}
	}
	if _, err := read(func(at int64, b []byte) error { return syscall.EIO }); !errors.Is(err, syscall.EIO) || isDamaged(err) {
		t.Errorf("a disk that fails: %v", err)
	}
	if _, err := read(func(at int64, b []byte) error { clear(b); return io.EOF }); !isDamaged(err) {
		t.Errorf("a file that is cut off: %v", err)
	}
}
