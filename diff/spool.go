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

func (s *spool) empty() bool { return s.file == nil && s.mem.Len() == 0 }

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

// output is a way to write a comparison. Entries are grouped by severity, the
// gravest first, then those without; groups are numbered so.
type output struct {
	entry func(to io.Writer, group int, ch Change) error
	end   func(to io.Writer, group int) error // after a group's last entry; may be nil
	head  func(to io.Writer) error            // may use the summary
	title func(to io.Writer, group int) error // before a group that is not empty; may be nil
	tail  func(to io.Writer) error
	skip  int // bytes of the first group that are left out: a separator
}

const groups = 5 // the severities and none

func groupOf(ch *Change) int { return groups - 1 - ch.Severity.rank() }

// render runs the comparison: each entry goes into its group's spool, and then
// out come the head and the spools. Nothing is written when the comparison
// fails.
func render(w io.Writer, c *Comparison, o output) (err error) {
	var spools [groups]spool
	defer func() {
		for i := range spools {
			err = errors.Join(err, spools[i].close())
		}
	}()
	for ch, err := range c.Changes() {
		if err != nil {
			return err
		}
		g := groupOf(&ch)
		if err := o.entry(&spools[g], g, ch); err != nil {
			return err
		}
	}
	if err := o.head(w); err != nil {
		return err
	}
	for g := range spools {
		s := &spools[g]
		if s.empty() {
			continue
		}
		if o.end != nil {
			if err := o.end(s, g); err != nil {
				return err
			}
		}
		if o.title != nil {
			if err := o.title(w, g); err != nil {
				return err
			}
		}
		if err := s.copyTo(&dropper{w, o.skip}); err != nil {
			return err
		}
		o.skip = 0
	}
	return o.tail(w)
}

// dropper leaves out the first n bytes.
type dropper struct {
	w io.Writer
	n int
}

func (d *dropper) Write(b []byte) (int, error) {
	drop := min(d.n, len(b))
	d.n -= drop
	n, err := d.w.Write(b[drop:])
	return drop + n, err
}
