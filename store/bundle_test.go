package store

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"
)

var ctx = context.Background()

// bundleOf is the bundle of the snapshot at path.
func bundleOf(t testing.TB, path string, o BundleOptions) []byte {
	t.Helper()
	s := must(Open(path))(t)
	defer s.Close()
	var b bytes.Buffer
	ok(t, s.WriteBundle(ctx, &b, o))
	return b.Bytes()
}

// inspectWith opens and verifies everything.
func inspectWith(path string, o OpenOptions) (id string, err error) {
	s, err := OpenWith(path, o)
	if err != nil {
		return "", err
	}
	defer s.Close()
	return s.ID, errors.Join(s.Verify(ctx, true)...)
}

// inspectBytes does so with a bundle, from a file and as a stream, which must
// agree. It fails the test if anything but the given name is said to be damaged.
func inspectBytes(t testing.TB, b []byte, o OpenOptions) (string, error) {
	t.Helper()
	at := filepath.Join(t.TempDir(), "x.snap")
	ok(t, os.WriteFile(at, b, 0o600))
	id, err := inspectWith(at, o)
	o.Stdin = bytes.NewReader(b)
	streamed, serr := inspectWith("-", o)
	if id != streamed || (err == nil) != (serr == nil) {
		t.Errorf("from a file %q, %v; as a stream %q, %v", id, err, streamed, serr)
	}
	return id, err
}

func same(t *testing.T, a, b string) {
	t.Helper()
	pa, pb := files(t, a), files(t, b)
	if !slices.Equal(pa, pb) || len(pa) == 0 {
		t.Fatalf("%q\n%q", pa, pb)
	}
	for _, p := range pa {
		if x, y := must(os.ReadFile(filepath.Join(a, p)))(t), must(os.ReadFile(filepath.Join(b, p)))(t); !bytes.Equal(x, y) {
			t.Errorf("%s differs", p)
		}
	}
}

func TestBundle(t *testing.T) {
	dir, id := small(t)
	b := bundleOf(t, dir, BundleOptions{})
	if got := must(inspectBytes(t, b, OpenOptions{}))(t); got != id {
		t.Errorf("id %s, want %s", got, id)
	}

	// Any tar reads it, and nothing in it depends on where and when it is made.
	var names []string
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		ok(t, err)
		names = append(names, h.Name)
		if h.Typeflag != tar.TypeReg || h.Mode != 0o600 || h.Uid != 0 || h.Uname != "" || h.ModTime.Unix() != 0 || h.PAXRecords != nil {
			t.Errorf("header %+v", h)
		}
		if want := must(os.ReadFile(filepath.Join(dir, h.Name)))(t); !bytes.Equal(want, must(io.ReadAll(r))(t)) {
			t.Errorf("%s differs", h.Name)
		}
	}
	want := files(t, dir)
	slices.Sort(want[:len(want)-1])
	if !slices.Equal(names, append([]string{manifestFile}, want[:len(want)-1]...)) {
		t.Errorf("names %q", names)
	}
	if !bytes.Equal(b, bundleOf(t, dir, BundleOptions{})) {
		t.Error("the same snapshot gives another bundle")
	}

	// Bundle, unbundle and bundle again: all the same, and rows are read alike.
	at := filepath.Join(t.TempDir(), "x.snap")
	paths := func() []string {
		s := must(Open(dir))(t)
		defer s.Close()
		return must(s.CreateBundle(ctx, at, BundleOptions{}))(t)
	}()
	if !slices.Equal(paths, []string{at}) || !bytes.Equal(must(os.ReadFile(at))(t), b) {
		t.Errorf("%q", paths)
	}
	s := must(Open(at))(t)
	defer s.Close()
	if got := readAll(t, s, thing, east); fmt.Sprint(got) != fmt.Sprint(edges()) {
		t.Errorf("rows %v", got)
	}
	copied := filepath.Join(t.TempDir(), "a", "b")
	ok(t, s.Unbundle(ctx, copied))
	same(t, dir, copied)
	ok(t, inspect(copied))
	if !bytes.Equal(b, bundleOf(t, copied, BundleOptions{})) || !bytes.Equal(b, bundleOf(t, at, BundleOptions{})) {
		t.Error("the bundle of a bundle is another")
	}

	// Nothing is overwritten.
	if _, err := s.CreateBundle(ctx, at, BundleOptions{}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a bundle: %v", err)
	}
	empty := t.TempDir()
	ok(t, s.Unbundle(ctx, empty))
	if same, err := Open(empty); err != nil || same.ID != s.ID {
		t.Errorf("into an empty directory: %v", err)
	}
	if err := s.Unbundle(ctx, copied); !errors.Is(err, ErrExists) {
		t.Errorf("over a snapshot: %v", err)
	}
	if err := s.Unbundle(ctx, filepath.Dir(copied)); err == nil || !strings.Contains(err.Error(), `"b"`) {
		t.Errorf("over a directory: %v", err)
	}
	if left := must(filepath.Glob(filepath.Join(filepath.Dir(at), "*")))(t); len(left) != 1 {
		t.Errorf("left: %q", left)
	}
	if _, err := Open(filepath.Join(dir, manifestFile)); !errors.Is(err, ErrNotSnapshot) {
		t.Errorf("a file that is no bundle: %v", err)
	}
}

// TestBundleOfDamaged makes none.
func TestBundleOfDamaged(t *testing.T) {
	dir := tiny(t)
	s := must(Open(dir))(t)
	defer s.Close()
	p := files(t, dir)[1]
	b := must(os.ReadFile(filepath.Join(dir, p)))(t)
	b[len(b)/2] ^= 1
	ok(t, os.WriteFile(filepath.Join(dir, p), b, 0o600))
	at := t.TempDir()
	_, err := s.CreateBundle(ctx, filepath.Join(at, "x.snap"), BundleOptions{SplitSize: 1024})
	blames(t, err, p)
	blames(t, s.Unbundle(ctx, filepath.Join(at, "x")), p)
	if left := must(os.ReadDir(at))(t); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// TestBundlePipe sends a bundle through a named pipe.
func TestBundlePipe(t *testing.T) {
	dir, id := small(t)
	pipe := filepath.Join(t.TempDir(), "pipe")
	ok(t, syscall.Mkfifo(pipe, 0o600))
	go func() {
		w, err := os.OpenFile(pipe, os.O_WRONLY, 0)
		if err == nil {
			s, err := Open(dir)
			if err == nil {
				_ = s.WriteBundle(ctx, w, BundleOptions{})
				s.Close()
			}
			w.Close()
		}
	}()
	if got := must(inspectWith(pipe, OpenOptions{}))(t); got != id {
		t.Errorf("id %s", got)
	}
}

func TestSplit(t *testing.T) {
	dir, id := small(t)
	whole := bundleOf(t, dir, BundleOptions{})
	for _, size := range []int64{512, 1000, int64(len(whole)) / 2, int64(len(whole)), 1 << 30} {
		at := filepath.Join(t.TempDir(), "x.snap")
		s := must(Open(dir))(t)
		paths := must(s.CreateBundle(ctx, at, BundleOptions{SplitSize: size}))(t)
		ok(t, s.Close())
		var joined []byte
		for i, p := range paths {
			b := must(os.ReadFile(p))(t)
			if int64(len(b)) != size && i < len(paths)-1 || p != partName(at, i+1) {
				t.Errorf("%s has %d bytes", p, len(b))
			}
			joined = append(joined, b...)
		}
		if !bytes.Equal(joined, whole) || len(paths) != (len(whole)+int(size)-1)/int(size) {
			t.Errorf("%d parts of %d bytes", len(paths), size)
		}
		for _, p := range []string{at, paths[0]} {
			if got := must(inspectWith(p, OpenOptions{}))(t); got != id {
				t.Errorf("id %s", got)
			}
		}
		if len(paths) < 3 {
			continue
		}
		// A part is missing, in the wrong place, or of another size.
		move := func(from, to string) { ok(t, os.Rename(from, to)) }
		last := paths[len(paths)-1]
		move(last, last+"x")
		if _, err := inspectWith(at, OpenOptions{}); !isDamaged(err) {
			t.Errorf("without the last part: %v", err)
		}
		move(last+"x", last)
		move(paths[1], paths[1]+"x")
		if _, err := inspectWith(at, OpenOptions{}); !isDamaged(err) {
			t.Errorf("without the second part: %v", err)
		}
		move(paths[1]+"x", paths[1])
		move(paths[0], paths[0]+"x")
		if _, err := inspectWith(at, OpenOptions{}); !errors.Is(err, ErrNotSnapshot) {
			t.Errorf("without the first part: %v", err)
		}
		move(paths[1], paths[0])
		move(paths[0]+"x", paths[1])
		if _, err := inspectWith(at, OpenOptions{}); err == nil {
			t.Error("with two parts exchanged")
		}
		move(paths[1], paths[0]+"x")
		move(paths[0], paths[1])
		move(paths[0]+"x", paths[0])
		ok(t, os.Truncate(paths[1], size-1))
		_, err := inspectWith(at, OpenOptions{})
		blames(t, err, paths[1])
	}
	s := must(Open(dir))(t)
	defer s.Close()
	base := t.TempDir()
	if _, err := s.CreateBundle(ctx, filepath.Join(base, "x"), BundleOptions{SplitSize: 511}); err == nil {
		t.Error("parts of 511 bytes")
	}
	// A part of another bundle would be taken for one of ours.
	old := partName(filepath.Join(base, "x"), 2)
	ok(t, os.WriteFile(old, nil, 0o600))
	if _, err := s.CreateBundle(ctx, filepath.Join(base, "x"), BundleOptions{SplitSize: 1 << 30}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("beside an old part: %v", err)
	}
	if left := must(os.ReadDir(base))(t); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

func isDamaged(err error) bool {
	d := (*DamagedError)(nil)
	return errors.As(err, &d)
}

// TestBundleDamaged flips each byte of a bundle, cuts it off at each length,
// and adds to it.
func TestBundleDamaged(t *testing.T) {
	b := bundleOf(t, tiny(t), BundleOptions{})
	at := filepath.Join(t.TempDir(), "x.snap")
	look := func(b []byte) error {
		ok(t, os.WriteFile(at, b, 0o600))
		_, err := inspectWith(at, OpenOptions{})
		return err
	}
	for i := range b {
		b[i] ^= 1 << (i % 8)
		err := look(b)
		if v := (*VersionError)(nil); !isDamaged(err) && !errors.As(err, &v) && !(i < 100 && errors.Is(err, ErrNotSnapshot)) {
			t.Fatalf("byte %d: %v", i, err)
		}
		if i%37 == 0 {
			if _, err := inspectWith("-", OpenOptions{Stdin: bytes.NewReader(b)}); err == nil {
				t.Fatalf("byte %d of a stream", i)
			}
		}
		b[i] ^= 1 << (i % 8)
	}
	for n := 0; n < len(b); n += 1 + n/40 {
		err := look(b[:n])
		if !isDamaged(err) && !(n < len(manifestFile)+1 && errors.Is(err, ErrNotSnapshot)) {
			t.Fatalf("%d of %d bytes: %v", n, len(b), err)
		}
		if _, err := inspectWith("-", OpenOptions{Stdin: bytes.NewReader(b[:n])}); err == nil {
			t.Fatalf("%d of %d bytes of a stream", n, len(b))
		}
	}
	for _, more := range []int{1, 512, 100000} {
		blames(t, look(append(slices.Clone(b), make([]byte, more)...)), "end of the bundle")
	}
	ok(t, look(b))
}

// forge makes a tar of a snapshot's files as somebody else's program would.
func forge(t *testing.T, dir string, change func(w *tar.Writer, name string, content []byte) bool) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range append([]string{manifestFile}, slices.DeleteFunc(files(t, dir), func(p string) bool { return p == manifestFile })...) {
		content := must(os.ReadFile(filepath.Join(dir, name)))(t)
		if !change(w, name, content) {
			ok(t, w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o600, Format: tar.FormatUSTAR}))
			must(w.Write(content))(t)
		}
	}
	ok(t, w.Close())
	return b.Bytes()
}

// TestBundleHostile opens bundles that were made to harm, and unpacks what opens.
func TestBundleHostile(t *testing.T) {
	dir := tiny(t)
	first := files(t, dir)[0]
	before := func(h tar.Header, content string) func(*tar.Writer, string, []byte) bool {
		return func(w *tar.Writer, name string, _ []byte) bool {
			if name == first {
				h.Size = int64(len(content))
				ok(t, w.WriteHeader(&h))
				must(io.WriteString(w, content))(t)
			}
			return false
		}
	}
	instead := func(of string, h tar.Header) func(*tar.Writer, string, []byte) bool {
		return func(w *tar.Writer, name string, content []byte) bool {
			if name != of {
				return false
			}
			if h.Typeflag == tar.TypeReg {
				h.Size = int64(len(content))
			}
			ok(t, w.WriteHeader(&h))
			if h.Typeflag == tar.TypeReg {
				must(w.Write(content))(t)
			}
			return true
		}
	}
	for name, change := range map[string]func(*tar.Writer, string, []byte) bool{
		"a path that escapes":   before(tar.Header{Name: "../../escaped", Mode: 0o600, Typeflag: tar.TypeReg}, "x"),
		"an absolute path":      before(tar.Header{Name: "/tmp/snap-escaped", Mode: 0o600, Typeflag: tar.TypeReg}, "x"),
		"a path through a file": before(tar.Header{Name: first + "/x", Mode: 0o600, Typeflag: tar.TypeReg}, "x"),
		"a foreign file":        before(tar.Header{Name: "notes.txt", Mode: 0o600, Typeflag: tar.TypeReg}, "x"),
		"a link":                before(tar.Header{Name: "aws", Linkname: "/etc", Typeflag: tar.TypeSymlink}, ""),
		"a hard link":           before(tar.Header{Name: "x", Linkname: "/etc/passwd", Typeflag: tar.TypeLink}, ""),
		"a device":              before(tar.Header{Name: "x", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 5}, ""),
		"a directory":           before(tar.Header{Name: "aws/", Typeflag: tar.TypeDir, Mode: 0o700}, ""),
		"a link for a file":     instead(first, tar.Header{Name: first, Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}),
		"a link for the manifest": instead(manifestFile, tar.Header{
			Name: manifestFile, Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}),
		"another mode":   instead(first, tar.Header{Name: first, Mode: 0o4755, Typeflag: tar.TypeReg}),
		"an owner":       instead(first, tar.Header{Name: first, Mode: 0o600, Uid: 1, Typeflag: tar.TypeReg}),
		"pax records":    instead(first, tar.Header{Name: first, Mode: 0o600, Typeflag: tar.TypeReg, PAXRecords: map[string]string{"SNAP.x": "y"}, Format: tar.FormatPAX}),
		"a missing file": func(_ *tar.Writer, name string, _ []byte) bool { return name == first },
		"a file twice": func(w *tar.Writer, name string, b []byte) bool {
			if name == first {
				instead(first, tar.Header{Name: first, Mode: 0o600, Typeflag: tar.TypeReg})(w, name, b)
			}
			return false
		},
		"no manifest":         func(_ *tar.Writer, name string, _ []byte) bool { return name == manifestFile },
		"another form of tar": instead(manifestFile, tar.Header{Name: manifestFile, Mode: 0o600, Typeflag: tar.TypeReg, Format: tar.FormatGNU}),
	} {
		t.Run(name, func(t *testing.T) {
			b := forge(t, dir, change)
			_, err := inspectBytes(t, b, OpenOptions{})
			if !isDamaged(err) && !errors.Is(err, ErrNotSnapshot) {
				t.Errorf("error %v", err)
			}
		})
	}
	ok(t, func() error {
		_, err := inspectBytes(t, forge(t, dir, func(*tar.Writer, string, []byte) bool { return false }), OpenOptions{})
		return err
	}())

	// Sizes that are announced are not allocated, nor waited for.
	head := must(entryHeader(manifestFile, maxManifest))(t)
	_, err := inspectBytes(t, head, OpenOptions{})
	blames(t, err, manifestFile)
	head = must(entryHeader(manifestFile, maxManifest+1))(t)
	_, err = inspectBytes(t, head, OpenOptions{})
	blames(t, err, manifestFile)
	// An endless stream ends where the manifest says that it ends.
	b := bundleOf(t, dir, BundleOptions{})
	endless := &zeros{}
	_, err = inspectWith("-", OpenOptions{Stdin: io.MultiReader(bytes.NewReader(b), endless)})
	blames(t, err, "end of the bundle")
	if endless.n > 1<<20 {
		t.Errorf("%d bytes were read of an endless stream", endless.n)
	}
	if _, err := os.Lstat("/tmp/snap-escaped"); err == nil {
		t.Error("something was written outside")
	}
}

type zeros struct{ n int }

func (z *zeros) Read(b []byte) (int, error) { clear(b); z.n += len(b); return len(b), nil }

func TestSigned(t *testing.T) {
	dir, id := small(t)
	key, stranger := must(GenerateKey())(t), must(GenerateKey())(t)
	public, other := key.Public(), stranger.Public()
	plain := bundleOf(t, dir, BundleOptions{})
	signed := bundleOf(t, dir, BundleOptions{Sign: &key})
	if !bytes.Equal(signed, bundleOf(t, dir, BundleOptions{Sign: &key})) {
		t.Error("signing again gives another bundle")
	}
	for _, o := range []OpenOptions{{}, {Key: &public}} {
		if got := must(inspectBytes(t, signed, o))(t); got != id {
			t.Errorf("id %s", got)
		}
	}
	for name, b := range map[string][]byte{"not signed": plain, "signed by another": bundleOf(t, dir, BundleOptions{Sign: &stranger})} {
		if _, err := inspectBytes(t, b, OpenOptions{Key: &public}); !errors.Is(err, ErrSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := inspectBytes(t, signed, OpenOptions{Key: &other}); !errors.Is(err, ErrSignature) {
		t.Errorf("another key: %v", err)
	}

	// The signature goes along when the bundle is unpacked and packed again, and
	// goes away when the snapshot is replaced.
	at := filepath.Join(t.TempDir(), "x.snap")
	ok(t, os.WriteFile(at, signed, 0o600))
	s := must(OpenWith(at, OpenOptions{Key: &public}))(t)
	defer s.Close()
	if by := must(SignedBy(must(s.Signature())(t)))(t); by != public.ID() {
		t.Errorf("signed by %s", by)
	}
	copied := filepath.Join(t.TempDir(), "snap")
	ok(t, s.Unbundle(ctx, copied))
	if got := must(inspectWith(copied, OpenOptions{Key: &public}))(t); got != id {
		t.Errorf("id %s", got)
	}
	if !bytes.Equal(signed, bundleOf(t, copied, BundleOptions{})) {
		t.Error("the signature is lost on the way")
	}
	w := must(Resume(copied))(t)
	if _, err := os.Stat(filepath.Join(copied, signatureFile)); err != nil {
		t.Errorf("the signature goes before there is another snapshot: %v", err)
	}
	ok(t, complete(w))
	must(w.Commit(all, second))(t)
	ok(t, inspect(copied))
	if _, err := inspectWith(copied, OpenOptions{Key: &public}); !errors.Is(err, ErrSignature) || len(files(t, copied)) != 4 {
		t.Errorf("resumed: %v", err)
	}

	// The signature of another snapshot.
	foreign := tiny(t)
	ok(t, os.WriteFile(filepath.Join(foreign, signatureFile), must(s.Signature())(t), 0o600))
	if _, err := inspectWith(foreign, OpenOptions{Key: &public}); !errors.Is(err, ErrSignature) {
		t.Errorf("another snapshot's signature: %v", err)
	}
	// The check comes before the manifest is looked at.
	ok(t, os.WriteFile(filepath.Join(foreign, manifestFile), []byte("{"), 0o600))
	if _, err := inspectWith(foreign, OpenOptions{Key: &public}); !errors.Is(err, ErrSignature) {
		t.Errorf("a broken manifest: %v", err)
	}
}

func TestEncrypted(t *testing.T) {
	dir, id := small(t)
	me, colleague, stranger := must(age.GenerateX25519Identity())(t), must(age.GenerateHybridIdentity())(t), must(age.GenerateX25519Identity())(t)
	key := must(GenerateKey())(t)
	public := key.Public()
	as := func(i age.Identity) OpenOptions { return OpenOptions{Identities: []age.Identity{i}, Key: &public} }
	b := bundleOf(t, dir, BundleOptions{Sign: &key, Recipients: []age.Recipient{me.Recipient()}})
	for _, o := range []OpenOptions{as(me), {Identities: []age.Identity{stranger, me}}} {
		if got := must(inspectBytes(t, b, o))(t); got != id {
			t.Errorf("id %s", got)
		}
	}
	for _, o := range []OpenOptions{{}, as(stranger)} {
		if _, err := inspectBytes(t, b, o); !errors.Is(err, ErrEncrypted) {
			t.Errorf("without the identity: %v", err)
		}
	}
	if got := must(inspectBytes(t, bundleOf(t, dir, BundleOptions{Sign: &key, Recipients: []age.Recipient{colleague.Recipient()}}), as(colleague)))(t); got != id {
		t.Errorf("id %s", got)
	}
	// Below the encryption is the bundle itself.
	r := must(age.Decrypt(bytes.NewReader(b), me))(t)
	if !bytes.Equal(must(io.ReadAll(r))(t), bundleOf(t, dir, BundleOptions{Sign: &key})) {
		t.Error("the plaintext is not the bundle")
	}
	// Split.
	at := filepath.Join(t.TempDir(), "x.snap")
	s := must(Open(dir))(t)
	defer s.Close()
	parts := must(s.CreateBundle(ctx, at, BundleOptions{SplitSize: 4000, Sign: &key, Recipients: []age.Recipient{me.Recipient()}}))(t)
	if got := must(inspectWith(at, as(me)))(t); got != id || len(parts) < 3 {
		t.Errorf("id %s of %d parts", got, len(parts))
	}
	for _, p := range parts {
		if bytes.Contains(must(os.ReadFile(p))(t), []byte("account=")) {
			t.Errorf("%s can be read", p)
		}
	}
	// Damaged.
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		c := slices.Clone(b)
		i := random.IntN(len(c))
		c[i] ^= 1 << random.IntN(8)
		if _, err := inspectBytes(t, c, as(me)); err == nil {
			t.Fatalf("byte %d", i)
		}
		if _, err := inspectBytes(t, c[:i], as(me)); err == nil {
			t.Fatalf("%d bytes", i)
		}
	}
	if _, err := inspectBytes(t, append(slices.Clone(b), 0), as(me)); err == nil {
		t.Error("with a byte more")
	}
	if _, err := inspectBytes(t, []byte(armorStart+"\nabc"), as(me)); !errors.Is(err, ErrEncrypted) {
		t.Errorf("armored: %v", err)
	}
}
