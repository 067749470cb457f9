package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"sync"
)

// A file up to heldWhole is read once and held while it is decoded. Of a larger
// one only parts are held: it is read through to verify its checksum, and each
// part's own checksum is kept, by which the part is verified again when it is
// read to be decoded. So whatever happens to the file meanwhile, nothing is
// parsed but the bytes whose checksum is the manifest's.
const (
	heldWhole = 16 << 20
	partSize  = 128 << 10
	heldParts = 64 // at least, and two for each column, since columns are read side by side
)

// content is a file's verified bytes.
type content interface {
	io.ReaderAt
	Size() int64
	// section is n bytes from at, which lie in it; valid until the next call.
	section(at, n int64) ([]byte, error)
	Close() error
}

// whole is content in memory.
type whole []byte

func (w whole) Size() int64                         { return int64(len(w)) }
func (w whole) section(at, n int64) ([]byte, error) { return w[at : at+n : at+n], nil }
func (w whole) Close() error                        { return nil }

func (w whole) ReadAt(b []byte, at int64) (int, error) {
	if at < 0 || at > int64(len(w)) {
		return 0, io.EOF
	}
	n := copy(b, w[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// parts is content of which a few parts are in memory.
type parts struct {
	file File
	in   fs.File
	at   io.ReaderAt
	sums [][sha256.Size]byte

	mu     sync.Mutex
	held   map[int64]*part
	most   int
	clock  int64
	failed error // of reading a part
	buffer []byte
}

type part struct {
	bytes []byte
	used  int64
}

func (p *parts) Size() int64  { return p.file.Size }
func (p *parts) Close() error { return p.in.Close() }

func (p *parts) section(at, n int64) ([]byte, error) {
	if int64(cap(p.buffer)) < n {
		p.buffer = make([]byte, n)
	}
	b := p.buffer[:n]
	_, err := p.ReadAt(b, at)
	return b, err
}

func (p *parts) ReadAt(b []byte, at int64) (n int, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for n < len(b) {
		if at < 0 || at >= p.file.Size {
			return n, io.EOF
		}
		held, err := p.part(at / partSize)
		if err != nil {
			p.failed = err
			return n, err
		}
		k := copy(b[n:], held[at%partSize:])
		n, at = n+k, at+int64(k)
	}
	return n, nil
}

// part reads and verifies a part, or gives the one that is held.
func (p *parts) part(i int64) ([]byte, error) {
	p.clock++
	if h := p.held[i]; h != nil {
		h.used = p.clock
		return h.bytes, nil
	}
	var h *part
	if len(p.held) < p.most {
		h = &part{bytes: make([]byte, partSize)}
	} else { // in the place of the one that was not used for longest
		oldest := int64(-1)
		for j, other := range p.held {
			if h == nil || other.used < h.used {
				h, oldest = other, j
			}
		}
		delete(p.held, oldest)
	}
	h.used = p.clock
	h.bytes = h.bytes[:min(partSize, p.file.Size-i*partSize)]
	if _, err := p.at.ReadAt(h.bytes, i*partSize); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if sha256.Sum256(h.bytes) != p.sums[i] {
		return nil, damaged(p.file.Path, "it was changed while it was being read")
	}
	p.held[i] = h
	return h.bytes, nil
}

// copyContent copies content, in small pieces.
func copyContent(to io.Writer, from content) error {
	for at := int64(0); at < from.Size(); at += partSize {
		b, err := from.section(at, min(partSize, from.Size()-at))
		if err != nil {
			return err
		}
		if _, err := to.Write(b); err != nil {
			return err
		}
	}
	return nil
}

// openFile opens a file that has its size.
func openFile(d opener, f File) (fs.File, error) {
	in, err := d.Open(f.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, damaged(f.Path, "is missing")
	case errors.Is(err, errIrregular):
		return nil, damaged(f.Path, "not a regular file")
	case err != nil:
		return nil, err
	}
	info, err := in.Stat()
	if err == nil && info.Size() != f.Size {
		err = damaged(f.Path, "has %d bytes, not the %d of the manifest", info.Size(), f.Size)
	}
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return in, nil
}

// verifyFile verifies a file's size and checksum, and gives each part to take.
func verifyFile(in io.Reader, f File, take func([]byte)) error {
	h := sha256.New()
	b := make([]byte, min(partSize, f.Size))
	for left := f.Size; left > 0; {
		b = b[:min(left, partSize)]
		if _, err := io.ReadFull(in, b); isEnd(err) {
			return damaged(f.Path, "is shorter than the manifest says")
		} else if err != nil {
			return err
		}
		left -= int64(len(b))
		h.Write(b)
		take(b)
	}
	if hex.EncodeToString(h.Sum(nil)) != f.SHA256 {
		return damaged(f.Path, "its content is not what was written: its SHA-256 differs from the manifest's")
	}
	return nil
}

// checkFile verifies a file's size and checksum.
func checkFile(d opener, f File) error {
	in, err := openFile(d, f)
	if err != nil {
		return err
	}
	return errors.Join(verifyFile(in, f, func([]byte) {}), in.Close())
}

// loadFile verifies a file's size and checksum and gives its content: held
// whole, up to most bytes. columns is how many are read side by side.
func loadFile(d opener, f File, most int64, columns int) (_ content, err error) {
	in, err := openFile(d, f)
	if err != nil {
		return nil, err
	}
	at, ok := in.(io.ReaderAt)
	if f.Size <= most || !ok {
		b := make(whole, 0, f.Size)
		err := verifyFile(in, f, func(part []byte) { b = append(b, part...) })
		if err = errors.Join(err, in.Close()); err != nil {
			return nil, err
		}
		return b, nil
	}
	p := &parts{file: f, in: in, at: at, held: map[int64]*part{}, most: max(heldParts, 2*columns)}
	if err := verifyFile(in, f, func(part []byte) { p.sums = append(p.sums, sha256.Sum256(part)) }); err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return p, nil
}
