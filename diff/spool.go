package diff

import (
	"bytes"
	"errors"
	"io"
	"os"
)

// spool holds what is written until it is read back: in memory at first, in a
// temporary file when it grows. A summary comes before the changes that it
// sums up, and those may be more than fit in memory.
type spool struct {
	mem  bytes.Buffer
	file *os.File
}

const spoolMemory = 4 << 20 // bytes

func (s *spool) Write(b []byte) (int, error) {
	if s.mem.Len()+len(b) > spoolMemory {
		if s.file == nil {
			f, err := os.CreateTemp("", "snap-diff-") // only its owner can read it
			if err != nil {
				return 0, err
			}
			s.file = f
		}
		if _, err := s.mem.WriteTo(s.file); err != nil {
			return 0, err
		}
	}
	return s.mem.Write(b)
}

// copyTo writes everything to w.
func (s *spool) copyTo(w io.Writer) error {
	if s.file != nil {
		if _, err := s.file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.Copy(w, s.file); err != nil {
			return err
		}
	}
	_, err := s.mem.WriteTo(w)
	return err
}

// close removes the file.
func (s *spool) close() error {
	if s.file == nil {
		return nil
	}
	return errors.Join(s.file.Close(), os.Remove(s.file.Name()))
}

// render runs the comparison: each entry goes through entry into a spool, and
// then out come head, which may use the summary, and the spool. Nothing is
// written when the comparison fails.
func render(w io.Writer, c *Comparison, entry func(io.Writer, Change) error, head, tail func(io.Writer) error) (err error) {
	var s spool
	defer func() { err = errors.Join(err, s.close()) }()
	for ch, err := range c.Changes() {
		if err != nil {
			return err
		}
		if err := entry(&s, ch); err != nil {
			return err
		}
	}
	if err := head(w); err != nil {
		return err
	}
	if err := s.copyTo(w); err != nil {
		return err
	}
	return tail(w)
}
