package store

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Limits on what a manifest may claim. Nobody's snapshot comes near; a
// snapshot that someone made to exhaust a reader is refused.
const (
	maxManifest    = 1 << 30 // bytes
	maxFile        = 1 << 30 // bytes
	maxRowsPerByte = 16      // keys differ, so rows take space however well they compress
)

// columnName is what a column may be called; names come to stand in queries.
var columnName = regexp.MustCompile(`^[A-Za-z_$:][A-Za-z0-9_:]*$`)

// sort puts the manifest into its canonical order.
func (m *Manifest) sort() {
	m.Regions = slices.Sorted(slices.Values(m.Regions))
	m.Syncs = slices.Sorted(slices.Values(m.Syncs))
	m.Options = slices.Sorted(slices.Values(m.Options))
	m.Accounts = slices.SortedFunc(slices.Values(m.Accounts), compareAccounts)
	m.Unresolved = slices.SortedFunc(slices.Values(m.Unresolved), func(a, b Unresolved) int { return strings.Compare(a.Profile, b.Profile) })
	m.Tables = slices.SortedFunc(slices.Values(m.Tables), func(a, b TableInfo) int { return strings.Compare(a.Name, b.Name) })
	m.Cells = slices.SortedFunc(slices.Values(m.Cells), func(a, b Cell) int { return compareCells(a.CellID, b.CellID) })
}

func compareAccounts(a, b Account) int {
	return cmp.Or(strings.Compare(a.Provider, b.Provider), strings.Compare(a.ID, b.ID))
}

func compareCells(a, b CellID) int {
	return cmp.Or(strings.Compare(a.Provider, b.Provider), strings.Compare(a.Account, b.Account),
		strings.Compare(a.Region, b.Region), strings.Compare(a.Sync, b.Sync))
}

const (
	sumStart = `  "sha256": "`
	sumEnd   = "\"\n}\n"
)

// encode is the manifest's canonical form: JSON indented by two spaces, lists
// sorted, and the checksum of all that last.
func (m Manifest) encode() ([]byte, error) {
	m.sort()
	m.SHA256 = ""
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(m); err != nil {
		return nil, fmt.Errorf("%s: %w", manifestFile, err)
	}
	b.Truncate(b.Len() - len("\n}\n"))
	b.WriteString(",\n")
	sum := hexSHA256(b.Bytes())
	b.WriteString(sumStart + sum + sumEnd)
	return b.Bytes(), nil
}

// decodeManifest reads and checks a manifest. The version comes first: of a
// newer format nothing else is known.
func decodeManifest(b []byte) (Manifest, error) {
	at := len(b) - len(sumStart) - 64 - len(sumEnd)
	ends := at >= 0 && bytes.HasPrefix(b[at:], []byte(sumStart)) && bytes.HasSuffix(b, []byte(sumEnd))
	sum := make(chan string, 1)
	go func() { // both take long for a large manifest
		if ends {
			sum <- hexSHA256(b[:at])
		}
	}()
	var m Manifest
	whole := json.Unmarshal(b, &m)
	version := struct {
		Format    int    `json:"format"`
		MinReader int    `json:"min_reader"`
		Program   string `json:"program"`
	}{m.Format, m.MinReader, m.Program}
	if whole != nil { // perhaps it is another format's
		if err := json.Unmarshal(b, &version); err != nil {
			return Manifest{}, damaged(manifestFile, "not JSON: %v", err)
		}
	}
	if err := checkVersion(version.Format, version.MinReader, version.Program); err != nil {
		return Manifest{}, err
	}
	if !ends {
		return m, damaged(manifestFile, "does not end with its checksum")
	}
	if string(b[at+len(sumStart):len(b)-len(sumEnd)]) != <-sum {
		return m, damaged(manifestFile, "its checksum is not that of its content")
	}
	if whole != nil {
		return m, damaged(manifestFile, "%v", whole)
	}
	if err := m.check(); err != nil {
		return m, damaged(manifestFile, "%v", err)
	}
	return m, nil
}

func checkVersion(format, minReader int, program string) error {
	switch {
	case format < 1 || minReader < 1 || minReader > format:
		return damaged(manifestFile, "no format version (format %d, min_reader %d)", format, minReader)
	case minReader > Format:
		by := ""
		if program != "" {
			by = fmt.Sprintf(" (%s says %s wrote it)", manifestFile, short(program))
		}
		return &VersionError{Needs: fmt.Sprintf("a snap that reads format %d%s", minReader, by)}
	}
	return nil
}

// check finds what contradicts itself in a manifest.
func (m *Manifest) check() error {
	if m.Started.IsZero() || m.Finished.IsZero() {
		return fmt.Errorf("started or finished is missing")
	}
	for i, a := range m.Accounts {
		if i > 0 && compareAccounts(m.Accounts[i-1], a) >= 0 {
			return fmt.Errorf("account %q is out of order or there twice", a.ID)
		}
	}
	tables := map[string]*TableInfo{}
	for i := range m.Tables {
		t := &m.Tables[i]
		if i > 0 && m.Tables[i-1].Name >= t.Name {
			return fmt.Errorf("table %q is out of order or there twice", t.Name)
		}
		if err := m.checkTable(t); err != nil {
			return fmt.Errorf("table %q: %w", t.Name, err)
		}
		tables[t.Name] = t
	}
	for i, c := range m.Cells {
		if i > 0 && compareCells(m.Cells[i-1].CellID, c.CellID) >= 0 {
			return fmt.Errorf("cell %q is out of order or there twice", c.CellID)
		}
		if err := m.checkCell(c, tables); err != nil {
			return fmt.Errorf("cell %q: %w", c.CellID, err)
		}
	}
	return nil
}

func (m *Manifest) checkTable(t *TableInfo) error {
	if !isSegment(t.Name) {
		return fmt.Errorf("no name for a table")
	}
	if !slices.Contains(m.Syncs, t.Sync) {
		return fmt.Errorf("sync %q is none of the snapshot's", t.Sync)
	}
	for _, c := range t.Columns {
		if !columnName.MatchString(c.Name) {
			return fmt.Errorf("%q is no name for a column", short(c.Name))
		}
	}
	s, err := newSchema(t.Name, t.Columns)
	if err != nil {
		return err
	}
	if s.fingerprint != t.Fingerprint {
		return fmt.Errorf("its fingerprint is not that of its columns")
	}
	return nil
}

func (m *Manifest) checkCell(c Cell, tables map[string]*TableInfo) error {
	if err := checkID(c.CellID); err != nil {
		return err
	}
	if _, ok := slices.BinarySearchFunc(m.Accounts, Account{Provider: c.Provider, ID: c.Account}, compareAccounts); !ok {
		return fmt.Errorf("the account is none of the snapshot's")
	}
	if !slices.Contains(m.Syncs, c.Sync) {
		return fmt.Errorf("the sync is none of the snapshot's")
	}
	if err := checkOutcome(c.State, c.Rows); err != nil {
		return err
	}
	rows := int64(0)
	for i, f := range c.Files {
		t := tables[f.Table]
		switch {
		case t == nil || t.Sync != c.Sync:
			return fmt.Errorf("file %q: table %q is none of the sync's", f.Path, f.Table)
		case !isSum(f.SHA256) || f.Path != filePath(c.CellID, f.Table, f.SHA256):
			return fmt.Errorf("file %q: its path does not follow from its cell, table and checksum", f.Path)
		case i > 0 && c.Files[i-1].Path >= f.Path:
			return fmt.Errorf("file %q is out of order or there twice", f.Path)
		case i > 0 && c.Files[i-1].Table == f.Table: // sorted by path, a table's are neighbours
			return fmt.Errorf("file %q: it is the second of table %q", f.Path, f.Table)
		case f.Size <= 0 || f.Size > maxFile:
			return fmt.Errorf("file %q: its size is %d bytes; %d are the most", f.Path, f.Size, maxFile)
		case f.Rows <= 0 || f.Rows > f.Size*maxRowsPerByte:
			return fmt.Errorf("file %q: %d bytes cannot hold %d rows", f.Path, f.Size, f.Rows)
		}
		rows += f.Rows
	}
	if rows != c.Rows {
		return fmt.Errorf("%d rows, but its files have %d", c.Rows, rows)
	}
	return nil
}

// checkID refuses an id that is no safe path.
func checkID(id CellID) error {
	for _, s := range []string{id.Provider, id.Account} {
		if !isSegment(s) {
			return fmt.Errorf("%q cannot be part of a path", s)
		}
	}
	if id.Region != "" && !isSegment(id.Region) {
		return fmt.Errorf("%q cannot be part of a path", id.Region)
	}
	return nil
}

// checkOutcome keeps to what the states mean.
func checkOutcome(s State, rows int64) error {
	switch s {
	case Complete, Partial:
		return nil
	case Denied, Unsupported, Failed, Skipped:
		if rows > 0 {
			return fmt.Errorf("it has %d rows, so it is partial and not %s", rows, s)
		}
		return nil
	}
	return fmt.Errorf("unknown state %q", s)
}
