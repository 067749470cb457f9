package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"snap/store/kind"
)

var writeGolden = flag.Bool("golden", false, "write the golden snapshot of this format, where there is none")

// A golden snapshot, fixtures/format-N, is what the first release of a format
// wrote. It is never written again: every later version of the program has to
// read it.
const goldens = "../fixtures/format-%d"

// goldenRow is a row as JSON, with times as RFC 3339.
type goldenRow struct {
	Table string            `json:"table"`
	Cell  string            `json:"cell"`
	Row   map[string]string `json:"row"` // column → Go syntax of the value
}

func goldenRows(t *testing.T, s *Snapshot) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	for _, c := range s.Manifest.Cells {
		for _, f := range c.Files {
			own, _ := s.Own(f.Table)
			rows, missing, extra := s.Read(own, f)
			if missing != nil || extra != nil {
				t.Errorf("%s: missing %q, extra %q", f.Path, missing, extra)
			}
			for r, err := range rows {
				ok(t, err)
				row := goldenRow{Table: f.Table, Cell: c.String(), Row: map[string]string{}}
				for i, v := range r {
					text := fmt.Sprintf("%#v", v)
					if own.Columns[i].Type == kind.Time && v != nil {
						text = fmt.Sprint(v)
					}
					if len(text) > 200 {
						text = fmt.Sprintf("%d bytes, sha256 %s", len(text), hexSHA256([]byte(text)))
					}
					row.Row[own.Columns[i].Name] = text
				}
				ok(t, e.Encode(row))
			}
		}
	}
	return b.Bytes()
}

// makeGolden writes the golden snapshot of the format that we write.
func makeGolden(t *testing.T, dir string) {
	t.Helper()
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s is there; it is never written again", dir)
	}
	snap := filepath.Join(dir, "snapshot")
	w := must(Create(snap, head()))(t)
	ok(t, fill(w))
	must(w.Commit(all, first))(t)
	s := must(Open(snap))(t)
	defer s.Close()
	key := must(GenerateKey())(t)
	identity := must(age.GenerateX25519Identity())(t)
	must(s.CreateBundle(ctx, filepath.Join(dir, "bundle.snap"), BundleOptions{}))(t)
	must(s.CreateBundle(ctx, filepath.Join(dir, "signed.snap"), BundleOptions{Sign: &key}))(t)
	must(s.CreateBundle(ctx, filepath.Join(dir, "encrypted.snap"), BundleOptions{Sign: &key, Recipients: []age.Recipient{identity.Recipient()}, SplitSize: 8000}))(t)
	write := func(name string, b []byte) { ok(t, os.WriteFile(filepath.Join(dir, name), b, 0o644)) }
	write("id", []byte(s.ID+"\n"))
	write("rows.jsonl", goldenRows(t, s))
	write("key.pub", key.Public().File())
	write("identity.age", fmt.Appendf(nil, "# for tests only\n%s\n", identity))
	write(".gitattributes", []byte("* -text\n"))
}

// TestGolden reads the golden snapshot of each format up to ours, in each of
// the forms that it is carried in.
func TestGolden(t *testing.T) {
	if *writeGolden {
		makeGolden(t, fmt.Sprintf(goldens, Format))
	}
	for n := 1; n <= Format; n++ {
		dir := fmt.Sprintf(goldens, n)
		read := func(name string) []byte { return must(os.ReadFile(filepath.Join(dir, name)))(t) }
		id := strings.TrimSpace(string(read("id")))
		key := must(ParsePublicKey(read("key.pub")))(t)
		identities := must(age.ParseIdentities(bytes.NewReader(read("identity.age"))))(t)
		for name, o := range map[string]OpenOptions{
			"snapshot": {}, "bundle.snap": {}, "signed.snap": {Key: &key}, "encrypted.snap": {Key: &key, Identities: identities},
		} {
			t.Run(fmt.Sprintf("%d/%s", n, name), func(t *testing.T) {
				s := must(OpenWith(filepath.Join(dir, name), o))(t)
				defer s.Close()
				if s.ID != id || s.Manifest.MinReader != n {
					t.Errorf("id %s, min_reader %d", s.ID, s.Manifest.MinReader)
				}
				if errs := s.Verify(ctx, true); errs != nil {
					t.Error(errs)
				}
				if got := goldenRows(t, s); !bytes.Equal(got, read("rows.jsonl")) {
					t.Errorf("rows:\n%s", got)
				}
			})
		}
	}
	// What we write today is what the first release wrote, byte for byte.
	dir, id := small(t)
	if want := strings.TrimSpace(string(must(os.ReadFile(filepath.Join(fmt.Sprintf(goldens, Format), "id")))(t))); id != want {
		t.Errorf("the same snapshot has now the id %s: a dependency that changes bytes, or a change of the format", id)
	}
	same(t, dir, filepath.Join(fmt.Sprintf(goldens, Format), "snapshot"))
}
