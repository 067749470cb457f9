package store

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"testing"

	"snap/store/kind"
)

// heal gives a manifest the checksum that its content has: whoever makes a
// snapshot to harm its reader would, and what lies behind the check is to be
// reached.
func heal(b []byte) []byte {
	at := bytes.LastIndex(b, []byte(sumStart))
	if at < 0 {
		return b
	}
	return append(bytes.Clone(b[:at]), sumStart+hexSHA256(b[:at])+sumEnd...)
}

// expected fails the test for errors that no reader should have to expect.
func expected(t *testing.T, err error) {
	t.Helper()
	d, v := (*DamagedError)(nil), (*VersionError)(nil)
	if err != nil && !errors.As(err, &d) && !errors.As(err, &v) && !errors.Is(err, ErrNotSnapshot) {
		t.Fatalf("%T: %v", err, err)
	}
}

// FuzzManifest: a manifest is refused, or it is one that could have been
// written, all of whose paths are below its directory.
func FuzzManifest(f *testing.F) {
	dir, _ := small(f)
	f.Add(must(readSmall(must(openRooted(dir))(f), manifestFile, maxManifest))(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, err := decodeManifest(b)
		expected(t, err)
		m, err := decodeManifest(heal(b))
		expected(t, err)
		if err != nil {
			return
		}
		for _, c := range m.Cells {
			for _, f := range c.Files {
				if !fs.ValidPath(f.Path) || !filepath.IsLocal(f.Path) {
					t.Fatalf("path %q", f.Path)
				}
			}
		}
		again, err := m.encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeManifest(again); err != nil {
			t.Fatalf("it cannot be read again: %v\n%s", err, again)
		}
	})
}

// memory is a bundle in memory.
func memory(b []byte) (*Snapshot, error) {
	from, err := openBundle(bytes.NewReader(b), int64(len(b)), func() error { return nil }, nil)
	if err != nil {
		return nil, err
	}
	return openFrom(from, "memory", OpenOptions{})
}

// FuzzBundle: a bundle is refused, or it is whole, and then it is the only one
// of its snapshot; a stream of it is read as the file is.
func FuzzBundle(f *testing.F) {
	key := must(GenerateKey())(f)
	f.Add(bundleOf(f, tiny(f), BundleOptions{}))
	f.Add(bundleOf(f, tiny(f), BundleOptions{Sign: &key}))
	f.Fuzz(func(t *testing.T, b []byte) {
		look(t, b)
		// With the right size and checksum of the manifest.
		size := bytes.Index(b, []byte(sumEnd)) + len(sumEnd) - tarBlock
		if size < len(sumEnd) {
			return
		}
		manifest := heal(b[tarBlock : tarBlock+size])
		head, err := entryHeader(manifestFile, int64(len(manifest)))
		if err != nil {
			t.Fatal(err)
		}
		healed := append(append(head, manifest...), make([]byte, padding(int64(len(manifest))))...)
		if rest := int64(tarBlock+size) + padding(int64(size)); rest <= int64(len(b)) {
			healed = append(healed, b[rest:]...)
		}
		look(t, healed)
	})
}

func look(t *testing.T, b []byte) {
	t.Helper()
	s, err := memory(b)
	expected(t, err)
	streamed := spool(&bytes.Buffer{}, bytes.NewReader(b), OpenOptions{})
	expected(t, streamed)
	if err != nil {
		return
	}
	if streamed != nil {
		t.Fatalf("a file is a bundle, but not a stream: %v", streamed)
	}
	if errors.Join(s.Verify(context.Background(), true)...) == nil {
		var again bytes.Buffer
		if err := s.WriteBundle(context.Background(), &again, BundleOptions{}); err != nil || !bytes.Equal(again.Bytes(), b) {
			t.Fatalf("written again it is another bundle: %v", err)
		}
	}
}

// FuzzParquet: a file whose checksum is right is refused, or has as many rows
// as the manifest says, in order and of their types.
func FuzzParquet(f *testing.F) {
	schemas := map[string]*schema{}
	for _, t := range things {
		schemas[t.Name] = must(newSchema(t.Name, t.Columns))(f)
	}
	write := func(t *kind.Table, rows ...kind.Row) {
		var b bytes.Buffer
		ok(f, schemas[t.Name].writeAll(&b, rows, metadata(east, t.Name)))
		f.Add(t.Name == thing.Name, uint8(len(rows)), b.Bytes())
	}
	write(pair, kind.Row{int64(1), started})
	e := edges()
	e[3][1], e[3][9] = "x", "doc"
	write(thing, e...)
	f.Fuzz(func(t *testing.T, isThing bool, rows uint8, b []byte) {
		table := pair
		if isThing {
			table = thing
		}
		s := schemas[table.Name]
		n := 0
		err := s.decode(whole(b), east, File{Path: "fuzzed", Table: table.Name, Rows: int64(rows), Size: int64(len(b))}, func(r kind.Row) bool {
			n++
			for i, c := range s.columns {
				if r[i] == nil && required(c) || r[i] != nil && !fits(c.Type, r[i]) {
					t.Fatalf("column %s is %#v", c.Name, r[i])
				}
			}
			return true
		})
		expected(t, err)
		// Held in parts it is the same.
		f, m := File{Path: "fuzzed", Table: table.Name, Rows: int64(rows), Size: int64(len(b))}, 0
		if again := s.decode(inParts(b, f), east, f, func(kind.Row) bool { m++; return true }); m != n || (again == nil) != (err == nil) || err != nil && again.Error() != err.Error() {
			t.Fatalf("whole: %d rows, %v; in parts: %d rows, %v", n, err, m, again)
		}
		if n > int(rows) || err == nil && n != int(rows) {
			t.Fatalf("%d rows of %d, and %v", n, rows, err)
		}
	})
}
