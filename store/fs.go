package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"
)

// disk is what the writer does to a snapshot's directory; names are relative to
// it, with slashes. Tests stand in for it to fail or to record each operation.
type disk interface {
	Mkdir(name string) error              // 0700
	Create(name string) (file, error)     // 0600; must not exist
	Append(name string) (file, error)     // must exist
	Scratch(name string) (scratch, error) // a file that is gone when it is closed, or the process dies; name must not exist
	Rename(from, to string) error         // replaces to
	Remove(name string) error             // a file or an empty directory
	SyncDir(name string) error            // makes creations, renames and removals in it durable
	Flush(names []string) error           // makes these files and directories durable; they are all that was written and not synced
	Lock(name string) (release, error)    // ErrLocked while another process holds it
	opener
	List(dir string) ([]fs.DirEntry, error) // by name
	Close() error
}

// opener opens regular files for reading.
type opener interface {
	Open(name string) (fs.File, error)
}

type file interface {
	io.Writer
	Sync() error
	Close() error
}

// scratch is a temporary file.
type scratch interface {
	io.Writer
	io.ReaderAt
	Close() error
}

var errIrregular = errors.New("not a regular file")

// release gives up a lock.
type release func() error

// rooted is the disk itself. os.Root keeps every name inside the directory,
// whatever links it contains.
type rooted struct{ *os.Root }

// writable is rooted for a writer.
type writable struct {
	rooted
	top *os.File // the directory, open from the beginning: Flush tells what could not be written since then
}

func openRooted(dir string) (disk, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	top, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return writable{rooted{root}, top}, nil
}

func (d writable) Close() error { return errors.Join(d.top.Close(), d.Root.Close()) }

func (d rooted) Mkdir(name string) error { return d.Root.Mkdir(name, 0o700) }

func (d rooted) Create(name string) (file, error) {
	return d.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

func (d rooted) Append(name string) (file, error) {
	return d.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
}

func (d rooted) Scratch(name string) (scratch, error) {
	f, err := d.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := d.Root.Remove(name); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (d rooted) SyncDir(name string) error {
	f, err := d.Root.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (d rooted) Open(name string) (fs.File, error) {
	// Looked at before it is opened: opening a pipe would wait for ever.
	info, err := d.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", name, errIrregular)
	}
	return d.Root.Open(name)
}

func (d rooted) List(dir string) ([]fs.DirEntry, error) { return fs.ReadDir(d.FS(), dir) }

func (d rooted) Lock(name string) (release, error) {
	for {
		f, err := d.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, err
		}
		if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
			f.Close()
			if errors.Is(err, syscall.EWOULDBLOCK) {
				err = ErrLocked
			}
			return nil, err
		}
		// Whoever held it may have removed the file between our open and our
		// lock; then the lock is on nothing.
		held, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, err
		}
		if named, err := d.Lstat(name); err != nil || !os.SameFile(held, named) {
			f.Close()
			continue
		}
		return func() error { return errors.Join(d.Root.Remove(name), f.Close()) }, nil
	}
}

// flushEach is Flush for a disk that cannot do it at once.
func (d rooted) flushEach(names []string) error {
	var g errgroup.Group
	g.SetLimit(32) // a disk makes many durable in the time of one
	for _, name := range names {
		g.Go(func() error { return d.SyncDir(name) })
	}
	return g.Wait()
}

// writeFile makes a file durable under its name or leaves the name as it was.
// write gives the name, which may depend on what was written.
func writeFile(d disk, temp string, write func(io.Writer) (name string, err error)) error {
	name, err := place(d, temp, true, write)
	if err != nil {
		return err
	}
	return d.SyncDir(path.Dir(name))
}

// place gives a file its name when it is whole: a temporary file beside it is
// written, synced if it is to be durable at once, and renamed. One that need not
// be durable yet and is small waits in memory for its name and is written under
// it: what breaks off then is named by nobody, and swept as a temporary file is.
func place(d disk, temp string, durable bool, write func(io.Writer) (name string, err error)) (name string, err error) {
	out := &placed{disk: d, temp: temp}
	if !durable {
		out.small, _ = smalls.Get().(*bytes.Buffer)
		defer func(b *bytes.Buffer) { b.Reset(); smalls.Put(b) }(out.small)
	}
	name, err = write(out)
	if err == nil && out.small != nil {
		if err = out.put(name); !errors.Is(err, fs.ErrExist) {
			return name, err
		}
		err = nil // to be replaced
	}
	if err == nil {
		err = out.open()
	}
	if err == nil && durable {
		err = out.file.Sync()
	}
	if out.file != nil {
		if closed := out.file.Close(); err == nil {
			err = closed
		}
		if err == nil {
			err = d.Rename(temp, name)
		}
		if err != nil {
			d.Remove(temp) // no more than tidy: what stays is swept when the collection resumes
		}
	}
	return name, err
}

// smallFile is the size in bytes up to which a file waits in memory.
const smallFile = 64 << 10

var smalls = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// placed is a file on its way: in memory, then in a temporary file.
type placed struct {
	disk  disk
	temp  string
	small *bytes.Buffer // nil: no longer in memory
	file  file
}

func (p *placed) Write(b []byte) (int, error) {
	if p.small != nil && p.small.Len()+len(b) <= smallFile {
		return p.small.Write(b)
	}
	if err := p.open(); err != nil {
		return 0, err
	}
	return p.file.Write(b)
}

// open goes over to the temporary file.
func (p *placed) open() (err error) {
	if p.file != nil {
		return nil
	}
	if p.file, err = p.disk.Create(p.temp); err != nil {
		p.file = nil
		return err
	}
	if p.small != nil {
		_, err = p.file.Write(p.small.Bytes())
		p.small = nil
	}
	return err
}

// put writes what is in memory under a name that must be free.
func (p *placed) put(name string) error {
	f, err := p.disk.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(p.small.Bytes())
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		p.disk.Remove(name) // no more than tidy, as in place
	}
	return err
}

// makeDir creates dir, where it is missing, as durably as its content will be.
func makeDir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		switch {
		case errors.Is(err, fs.ErrExist):
			return nil
		case !errors.Is(err, fs.ErrNotExist):
			return err
		}
		if err := makeDir(filepath.Dir(dir)); err != nil {
			return err
		}
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	parent, err := os.Open(filepath.Dir(dir))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}
