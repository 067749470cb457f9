package store

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"filippo.io/age"
)

// A bundle is a snapshot as one tar file: the manifest, the signature if there
// is one, the files by path. It follows from them byte for byte, so that a
// reader, once it has the manifest, knows what each header is and parses none.

const (
	tarBlock = 512
	tarEnd   = 2 * tarBlock // of zeros
	maxParts = 999

	ageStart   = "age-encryption.org/v1\n"
	armorStart = "-----BEGIN AGE ENCRYPTED FILE-----"
)

// entryHeader is the tar header of a file.
func entryHeader(name string, size int64) ([]byte, error) {
	var b bytes.Buffer
	err := tar.NewWriter(&b).WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o600, Format: tar.FormatUSTAR})
	if err != nil {
		return nil, fmt.Errorf("%s: its path does not fit into a bundle: %w", name, err)
	}
	return b.Bytes(), nil
}

// padding is how many zeros follow a file of the size.
func padding(size int64) int64 { return -size & (tarBlock - 1) }

// allFiles are the files of a manifest by path.
func allFiles(m *Manifest) []File {
	var all []File
	for _, c := range m.Cells {
		all = append(all, c.Files...)
	}
	slices.SortFunc(all, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return all
}

// BundleOptions are how a bundle is made.
type BundleOptions struct {
	// Sign signs the manifest; nil passes on a signature that the snapshot has.
	Sign *SecretKey
	// Recipients are whom the bundle is encrypted to; none leaves it readable.
	// An encrypted bundle has other bytes each time.
	Recipients []age.Recipient
	// SplitSize is the size of each part but the last, in bytes; 0 does not split.
	SplitSize int64
}

// WriteBundle writes the snapshot as a bundle. The manifest and every file are
// verified before they are written, so that a bundle is never worse than its
// snapshot; what came before an error is none.
func (s *Snapshot) WriteBundle(ctx context.Context, out io.Writer, o BundleOptions) error {
	if err := s.writeBundle(ctx, out, o); err != nil {
		return fmt.Errorf("snapshot %s: %w", s.Path, err)
	}
	return nil
}

func (s *Snapshot) writeBundle(ctx context.Context, out io.Writer, o BundleOptions) error {
	manifest, signature, err := s.top(o.Sign)
	if err != nil {
		return err
	}
	closed := func() error { return nil }
	if len(o.Recipients) > 0 {
		sealed, err := age.Encrypt(out, o.Recipients...)
		if err != nil {
			return err
		}
		out, closed = sealed, sealed.Close
	}
	zeros := make([]byte, tarEnd)
	put := func(name string, from content) error {
		h, err := entryHeader(name, from.Size())
		if err == nil {
			_, err = out.Write(h)
		}
		if err == nil {
			err = copyContent(out, from)
		}
		if err == nil {
			_, err = out.Write(zeros[:padding(from.Size())])
		}
		return err
	}
	if err := put(manifestFile, whole(manifest)); err != nil {
		return err
	}
	if signature != nil {
		if err := put(signatureFile, whole(signature)); err != nil {
			return err
		}
	}
	for _, f := range allFiles(&s.Manifest) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b, err := loadFile(s.from, f, s.whole, 0)
		if err != nil {
			return err
		}
		if err := errors.Join(put(f.Path, b), b.Close()); err != nil {
			return err
		}
	}
	if _, err := out.Write(zeros); err != nil {
		return err
	}
	return closed()
}

// top is the manifest as it was opened, and its signature, if there is to be one.
func (s *Snapshot) top(sign *SecretKey) (manifest, signature []byte, err error) {
	manifest, err = readSmall(s.from, manifestFile, maxManifest)
	if err != nil {
		return nil, nil, err
	}
	if "sha256:"+hexSHA256(manifest) != s.ID {
		return nil, nil, damaged(manifestFile, "it was replaced after it had been opened")
	}
	if sign != nil {
		return manifest, sign.sign(manifest), nil
	}
	signature, err = s.Signature()
	return manifest, signature, err
}

// CreateBundle writes the snapshot as a bundle to the file name, or, if it is
// split, to name.001, name.002 and so on, and returns the paths. None of them
// may exist. They are there when they are whole and durable, the first last.
func (s *Snapshot) CreateBundle(ctx context.Context, name string, o BundleOptions) (paths []string, err error) {
	if o.SplitSize < 0 || o.SplitSize > 0 && o.SplitSize < tarBlock {
		return nil, fmt.Errorf("parts of %d bytes are too small; %d are the least", o.SplitSize, tarBlock)
	}
	for _, p := range []string{name, partName(name, 1)} {
		if _, err := os.Lstat(p); err == nil {
			return nil, fmt.Errorf("%s: %w", p, fs.ErrExist)
		}
	}
	parts := &partWriter{name: name, size: o.SplitSize}
	defer func() {
		if err != nil {
			parts.discard()
		}
	}()
	if err := s.WriteBundle(ctx, parts, o); err != nil {
		return nil, err
	}
	return parts.commit()
}

// partName is the n-th part of a bundle that is split.
func partName(name string, n int) string { return fmt.Sprintf("%s.%03d", name, n) }

// partWriter writes to one file, or to as many as it takes.
type partWriter struct {
	name  string
	size  int64 // of a part; 0: one file
	temps []string
	now   *os.File
	left  int64
}

func (p *partWriter) Write(b []byte) (int, error) {
	done := 0
	for len(b) > 0 {
		if p.now == nil || p.size > 0 && p.left == 0 {
			if err := p.next(); err != nil {
				return done, err
			}
		}
		part := b
		if p.size > 0 {
			part = b[:min(int64(len(b)), p.left)]
		}
		n, err := p.now.Write(part)
		done, p.left, b = done+n, p.left-int64(n), b[n:]
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

func (p *partWriter) next() error {
	if err := p.end(); err != nil {
		return err
	}
	if len(p.temps) == maxParts {
		return fmt.Errorf("%s: parts of %d bytes make more than %d of them: choose larger ones", p.name, p.size, maxParts)
	}
	f, err := os.CreateTemp(filepath.Dir(p.name), "."+filepath.Base(p.name)+".temp-")
	if err != nil {
		return err
	}
	p.now, p.left, p.temps = f, p.size, append(p.temps, f.Name())
	return nil
}

func (p *partWriter) end() error {
	if p.now == nil {
		return nil
	}
	err := errors.Join(p.now.Sync(), p.now.Close())
	p.now = nil
	return err
}

func (p *partWriter) commit() ([]string, error) {
	if err := p.end(); err != nil {
		return nil, err
	}
	paths := []string{p.name}
	if p.size > 0 {
		paths = nil
		for i := range p.temps {
			paths = append(paths, partName(p.name, i+1))
		}
		// A part of an older bundle behind the last one would be taken for ours.
		if next := partName(p.name, len(paths)+1); len(paths) < maxParts {
			paths = append(paths, next)
		}
		for _, at := range paths {
			if _, err := os.Lstat(at); err == nil {
				return nil, fmt.Errorf("%s: %w", at, fs.ErrExist)
			}
		}
		paths = paths[:len(p.temps)]
	}
	for i, at := range slices.Backward(paths) {
		if err := os.Rename(p.temps[i], at); err != nil {
			return nil, err
		}
	}
	dir, err := os.Open(filepath.Dir(p.name))
	if err != nil {
		return nil, err
	}
	return paths, errors.Join(dir.Sync(), dir.Close())
}

// discard removes what was written; what cannot be removed stays, under a name
// that nobody reads.
func (p *partWriter) discard() {
	if p.now != nil {
		p.now.Close()
	}
	for _, t := range p.temps {
		os.Remove(t)
	}
}

// bundle is a snapshot as a bundle.
type bundle struct {
	in    io.ReaderAt
	size  int64
	free  func() error
	first int64 // where the files begin
	at    map[string]section
}

// section is where a file's content is.
type section struct{ offset, size int64 }

// openBundle takes over free, which lets go of in.
func openBundle(in io.ReaderAt, size int64, free func() error, identities []age.Identity) (_ *bundle, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, free())
		}
	}()
	start := make([]byte, min(size, int64(len(armorStart))))
	if _, err := in.ReadAt(start, 0); err != nil && err != io.EOF {
		return nil, err
	}
	b := &bundle{in: in, size: size, free: free}
	if encrypted, err := isEncrypted(start, identities); err != nil {
		return nil, err
	} else if encrypted {
		under := &lastError{ReaderAt: in}
		plain, n, err := age.DecryptReaderAt(under, size, identities...)
		if err != nil {
			return nil, under.blame(err)
		}
		b.in, b.size = decrypted{plain, under}, n
	}
	if err := b.readTop(); err != nil {
		return nil, err
	}
	return b, nil
}

// isEncrypted looks at how a file begins.
func isEncrypted(start []byte, identities []age.Identity) (bool, error) {
	switch {
	case bytes.HasPrefix(start, []byte(armorStart)):
		return false, fmt.Errorf("%w: the bundle is armored as text, which is for small files: age --decrypt it first", ErrEncrypted)
	case !bytes.HasPrefix(start, []byte(ageStart)):
		return false, nil
	case len(identities) == 0:
		return false, fmt.Errorf("%w: the bundle needs the identity of one of those it was encrypted to", ErrEncrypted)
	}
	return true, nil
}

// lastError tells errors of reading from those of decrypting.
type lastError struct {
	io.ReaderAt
	mu  sync.Mutex
	err error
}

func (r *lastError) ReadAt(b []byte, at int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(b, at)
	if err != nil && err != io.EOF {
		r.mu.Lock()
		r.err = err
		r.mu.Unlock()
	}
	return n, err
}

// blame says whose an error of decrypting is.
func (r *lastError) blame(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return r.err
	}
	return notDecrypted(err)
}

func notDecrypted(err error) error {
	var none *age.NoIdentityMatchError
	if errors.As(err, &none) {
		return fmt.Errorf("%w: to none of the identities", ErrEncrypted)
	}
	return damaged("encrypted bundle", "%v", err)
}

// decrypted gives errors of decrypting the form of damages.
type decrypted struct {
	io.ReaderAt
	under *lastError
}

func (d decrypted) ReadAt(b []byte, at int64) (int, error) {
	n, err := d.ReaderAt.ReadAt(b, at)
	if err != nil && err != io.EOF {
		err = d.under.blame(err)
	}
	return n, err
}

// readTop finds the manifest and the signature.
func (b *bundle) readTop() error {
	size, err := entrySize(b.in, 0, b.size, manifestFile, maxManifest)
	if err != nil {
		return err
	}
	b.at = map[string]section{manifestFile: {tarBlock, size}}
	b.first = tarBlock + size + padding(size)
	if b.first > b.size {
		return damaged(manifestFile, "the bundle is cut off in it")
	}
	if size, err = entrySize(b.in, b.first, b.size, signatureFile, maxSignature); err == nil {
		b.at[signatureFile] = section{b.first + tarBlock, size}
		b.first += tarBlock + size + padding(size)
	} else if !errors.Is(err, ErrNotSnapshot) {
		return err
	}
	return nil
}

// entrySize is the size of the file called name whose header is at offset; the
// error is ErrNotSnapshot where something else is.
func entrySize(in io.ReaderAt, offset, end int64, name string, most int64) (int64, error) {
	head := make([]byte, min(tarBlock, max(0, end-offset)))
	if _, err := in.ReadAt(head, offset); err != nil && err != io.EOF {
		return 0, err
	}
	return headSize(head, name, most)
}

// headSize is the size that the header of name says.
func headSize(head []byte, name string, most int64) (int64, error) {
	if !bytes.HasPrefix(head, append([]byte(name), 0)) {
		return 0, fmt.Errorf("%w: the file is no bundle, which begins with %s", ErrNotSnapshot, manifestFile)
	}
	if len(head) < tarBlock {
		return 0, damaged(name, "the bundle is cut off in its header")
	}
	const sizeAt, sizeDigits = 124, 11
	size, err := strconv.ParseInt(string(head[sizeAt:sizeAt+sizeDigits]), 8, 64)
	if err != nil || size < 0 {
		return 0, damaged(name, "the bundle does not say its size")
	}
	if size > most {
		return 0, damaged(name, "more than %d bytes", most)
	}
	if want, err := entryHeader(name, size); err != nil || !bytes.Equal(head, want) {
		return 0, damaged(name, "its header in the bundle is not as it is written")
	}
	return size, nil
}

func (b *bundle) lay(m *Manifest) {
	at := maps.Clone(b.at)
	offset := b.first
	for _, f := range allFiles(m) {
		at[f.Path] = section{offset + tarBlock, f.Size}
		offset += tarBlock + f.Size + padding(f.Size)
	}
	b.at = at
}

// bundleSize is how long a bundle is whose files begin at first.
func bundleSize(m *Manifest, first int64) int64 {
	n := first + tarEnd
	for _, c := range m.Cells {
		for _, f := range c.Files {
			n += tarBlock + f.Size + padding(f.Size)
		}
	}
	return n
}

// structure compares all that is between the files' contents.
func (b *bundle) structure(m *Manifest) []error {
	files := allFiles(m)
	// Zeros that fill up the file before, then a header.
	between := func(name string, from, to int64, want []byte) error {
		if to > b.size {
			return damaged(name, "the bundle is cut off here: it has %d bytes of %d", b.size, bundleSize(m, b.first))
		}
		got := make([]byte, to-from)
		if n, err := b.in.ReadAt(got, from); n < len(got) {
			if err == io.EOF {
				err = damaged(name, "the bundle is cut off here")
			}
			return err
		}
		if !bytes.Equal(got, want) {
			return damaged(name, "the bundle has something else in its place%s", found(got))
		}
		return nil
	}
	before := section{b.first, 0}
	if s, ok := b.at[signatureFile]; ok {
		before = s
	} else {
		before = b.at[manifestFile]
	}
	for _, f := range files {
		header, err := entryHeader(f.Path, f.Size)
		if err != nil {
			return []error{err}
		}
		here := b.at[f.Path]
		want := append(make([]byte, padding(before.size)), header...)
		if err := between(f.Path, before.offset+before.size, here.offset, want); err != nil {
			return []error{err} // what follows is somewhere else
		}
		before = here
	}
	end := padding(before.size) + tarEnd
	if err := between("end of the bundle", before.offset+before.size, before.offset+before.size+end, make([]byte, end)); err != nil {
		return []error{err}
	}
	return b.glance(m)
}

// glance compares the length with what the manifest says.
func (b *bundle) glance(m *Manifest) []error {
	want := bundleSize(m, b.first)
	switch {
	case b.size < want:
		return []error{damaged("end of the bundle", "the bundle is cut off: it has %d bytes of %d", b.size, want)}
	case b.size > want:
		return []error{damaged("end of the bundle", "%d bytes follow that do not belong to it", b.size-want)}
	}
	return nil
}

// found names what a header is of, if it is one.
func found(b []byte) string {
	if len(b) < tarBlock {
		return ""
	}
	h, err := tar.NewReader(bytes.NewReader(b[len(b)-tarBlock:])).Next()
	if err != nil {
		return ""
	}
	return fmt.Sprintf(": %q", short(h.Name))
}

func (b *bundle) Open(name string) (fs.File, error) {
	s, ok := b.at[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return bundled{io.NewSectionReader(b.in, s.offset, s.size), name}, nil
}

func (b *bundle) Close() error { return b.free() }

// bundled is a file in a bundle.
type bundled struct {
	*io.SectionReader
	name string
}

func (f bundled) Stat() (fs.FileInfo, error) { return f, nil }
func (f bundled) Close() error               { return nil }
func (f bundled) Name() string               { return path.Base(f.name) }
func (f bundled) Mode() fs.FileMode          { return 0o600 }
func (f bundled) ModTime() time.Time         { return time.Time{} }
func (f bundled) IsDir() bool                { return false }
func (f bundled) Sys() any                   { return nil }

// openParts opens a bundle that is split into name.001, name.002 and so on.
func openParts(name string, identities []age.Identity) (*bundle, error) {
	p := &partReader{starts: []int64{0}}
	for n := 1; n <= maxParts; n++ {
		at := partName(name, n)
		info, err := os.Stat(at)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err == nil && !info.Mode().IsRegular() {
			err = damaged(at, "not a regular file")
		}
		if err == nil && n > 2 && p.starts[n-1]-p.starts[n-2] != p.starts[1] {
			err = damaged(partName(name, n-1), "it has not the size of the first part, and is not the last")
		}
		if err == nil && n > 1 && info.Size() > p.starts[1] {
			err = damaged(at, "it is larger than the first part")
		}
		var f *os.File
		if err == nil {
			f, err = os.Open(at)
		}
		if err != nil {
			return nil, errors.Join(err, p.close())
		}
		p.files = append(p.files, f)
		p.starts = append(p.starts, p.starts[n-1]+info.Size())
	}
	if len(p.files) == 0 {
		return nil, fmt.Errorf("%w: the first part, %s, is missing", ErrNotSnapshot, partName(name, 1))
	}
	return openBundle(p, p.starts[len(p.files)], p.close, identities)
}

// partReader reads files as if they were one.
type partReader struct {
	files  []*os.File
	starts []int64 // of each file, and the end
}

func (p *partReader) ReadAt(b []byte, at int64) (int, error) {
	done := 0
	i, exact := slices.BinarySearch(p.starts, at)
	if !exact {
		i--
	}
	for ; i < len(p.files) && done < len(b); i++ {
		offset := at + int64(done) - p.starts[i]
		part := b[done:min(int64(len(b)), int64(done)+p.starts[i+1]-p.starts[i]-offset)]
		n, err := p.files[i].ReadAt(part, offset)
		done += n
		if n < len(part) {
			return done, err
		}
	}
	if done < len(b) {
		return done, io.EOF
	}
	return done, nil
}

func (p *partReader) close() error {
	var errs []error
	for _, f := range p.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// spoolBundle opens a bundle that comes as a stream: it is kept in a temporary
// file without a name, encrypted if it came so. No more is read than the
// manifest announces.
func spoolBundle(in io.Reader, o OpenOptions) (_ *bundle, err error) {
	f, err := os.CreateTemp("", "snap-bundle-")
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.Remove(f.Name()), spool(f, in, o)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return openBundle(f, size, f.Close, o.Identities)
}

// spool copies a bundle from in to f and reads along, to where its manifest
// says that it ends. What is wrong with it beyond that is found when it is opened.
func spool(f io.Writer, in io.Reader, o OpenOptions) error {
	start := make([]byte, len(armorStart))
	n, err := io.ReadFull(in, start)
	if err != nil && !isEnd(err) {
		return err
	}
	start = start[:n]
	encrypted, err := isEncrypted(start, o.Identities)
	if err != nil {
		return err
	}
	plain := io.TeeReader(io.MultiReader(bytes.NewReader(start), in), f)
	cause := func(err error) error { return err }
	if encrypted {
		cause = notDecrypted
		if plain, err = age.Decrypt(plain, o.Identities...); err != nil {
			return cause(err)
		}
	}
	entry := func(name string, most int64) (content, next []byte, err error) {
		head, err := readBlock(plain)
		if err != nil {
			return nil, nil, cause(err)
		}
		size, err := headSize(head, name, most)
		if err != nil {
			return nil, head, err
		}
		// What is announced may never come: no more is allocated than there is.
		var b bytes.Buffer
		if _, err := io.CopyN(&b, plain, size+padding(size)); isEnd(err) {
			return nil, nil, damaged(name, "the bundle is cut off in it")
		} else if err != nil {
			return nil, nil, cause(err)
		}
		return b.Bytes()[:size], nil, nil
	}
	manifest, _, err := entry(manifestFile, maxManifest)
	if err != nil {
		return err
	}
	seen := tarBlock + int64(len(manifest)) + padding(int64(len(manifest)))
	first := seen
	signature, next, err := entry(signatureFile, maxSignature)
	switch {
	case err == nil:
		seen += tarBlock + int64(len(signature)) + padding(int64(len(signature)))
		first = seen
	case next != nil && errors.Is(err, ErrNotSnapshot): // the first file
		seen += int64(len(next))
		if signature = nil; o.Key != nil {
			return fmt.Errorf("%w: there is no %s", ErrSignature, signatureFile)
		}
	default:
		return err
	}
	if o.Key != nil { // before the manifest is parsed
		if err := o.Key.verify(manifest, signature); err != nil {
			return err
		}
	}
	m, err := decodeManifest(manifest)
	if err != nil {
		return err
	}
	if _, err = io.CopyN(io.Discard, plain, bundleSize(&m, first)-seen+1); err == nil {
		return damaged("end of the bundle", "more follows than belongs to it")
	} else if err != io.EOF {
		return cause(err)
	}
	return nil
}

func isEnd(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }

// readBlock reads a header, or what there is of it.
func readBlock(in io.Reader) ([]byte, error) {
	b := make([]byte, tarBlock)
	n, err := io.ReadFull(in, b)
	if isEnd(err) {
		err = nil
	}
	return b[:n], err
}

// Unbundle writes the snapshot as a directory, which must be missing or empty.
// It is there when it is whole and durable; after an error it is as it was.
func (s *Snapshot) Unbundle(ctx context.Context, dir string) error {
	dir = filepath.Clean(dir)
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = makeDir(filepath.Dir(dir))
	case err == nil && slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == manifestFile }):
		err = ErrExists
	case err == nil && len(entries) > 0:
		err = fmt.Errorf("the directory is not empty: it holds %q", entries[0].Name())
	}
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", dir, err)
	}
	temp, err := os.MkdirTemp(filepath.Dir(dir), "."+filepath.Base(dir)+".temp-")
	if err != nil {
		return err
	}
	if err = s.copyTo(ctx, temp); err == nil {
		if err = os.Remove(dir); err == nil || errors.Is(err, fs.ErrNotExist) { // an empty one, which Rename would not replace
			err = os.Rename(temp, dir)
		}
	}
	if err != nil {
		return errors.Join(fmt.Errorf("snapshot %s: %w", s.Path, err), os.RemoveAll(temp))
	}
	parent, err := os.Open(filepath.Dir(dir))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}

func (s *Snapshot) copyTo(ctx context.Context, dir string) (err error) {
	d, err := openRooted(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	made := map[string]bool{".": true}
	var mkdirs func(dir string) error
	mkdirs = func(dir string) error {
		if made[dir] {
			return nil
		}
		made[dir] = true
		if err := mkdirs(path.Dir(dir)); err != nil {
			return err
		}
		return d.Mkdir(dir)
	}
	put := func(name string, from content) error {
		f, err := d.Create(name)
		if err != nil {
			return err
		}
		if err = copyContent(f, from); err == nil {
			err = f.Sync()
		}
		return errors.Join(err, f.Close())
	}
	for _, f := range allFiles(&s.Manifest) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		b, err := loadFile(s.from, f, s.whole, 0)
		if err != nil {
			return err
		}
		if err = mkdirs(path.Dir(f.Path)); err == nil {
			err = put(f.Path, b)
		}
		if err = errors.Join(err, b.Close()); err != nil {
			return err
		}
	}
	manifest, signature, err := s.top(nil)
	if err == nil && signature != nil {
		err = put(signatureFile, whole(signature))
	}
	if err == nil {
		err = put(manifestFile, whole(manifest))
	}
	for dir := range made {
		if err == nil {
			err = d.SyncDir(dir)
		}
	}
	return err
}
