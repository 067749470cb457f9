package store

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
)

// entry is a line of the journal: the first has the head, the others a cell
// and those tables of its sync that no line before has. A later line about a
// cell replaces an earlier one.
type entry struct {
	Head   *Manifest   `json:"head,omitempty"` // without tables and cells
	Tables []TableInfo `json:"tables,omitempty"`
	Cell   *Cell       `json:"cell,omitempty"`
}

func (e entry) encode(to *bytes.Buffer) error {
	j := json.NewEncoder(to)
	j.SetEscapeHTML(false)
	return j.Encode(e)
}

// readJournal gives each line to take, up to the first that is not whole: a
// crash may have cut off the end, and what it cut off is collected again. ok
// is false where there is no journal or not even its first line.
func readJournal(d disk, take func(entry)) (ok bool, err error) {
	f, err := d.Open(journalFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	for r := bufio.NewReader(f); ; {
		line, err := r.ReadBytes('\n')
		if err == io.EOF {
			return ok, nil
		}
		if err != nil {
			return false, err
		}
		var e entry
		if json.Unmarshal(line, &e) != nil || !ok && e.Head == nil {
			return ok, nil
		}
		ok = true
		take(e)
	}
}
