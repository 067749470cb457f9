// Package store is the snapshot: a directory of Parquet tables and the manifest
// that says what they are, where they came from and how each part of the
// collection ended. The manifest is the truth; directory names are a
// convenience for query engines.
package store

import (
	"time"

	"snap/store/kind"
)

// Format is the version of the format that this program writes; MinReader is
// the oldest version of a reader that understands it.
const (
	Format    = 1
	MinReader = 1
)

// Manifest is the top manifest, manifest.json. Writing it is what makes a
// directory a snapshot.
type Manifest struct {
	Format    int    `json:"format"`
	MinReader int    `json:"min_reader"`
	Program   string `json:"program"` // "snap 0.1.0"

	Started  time.Time `json:"started"` // UTC; its Unix second is the update tag
	Finished time.Time `json:"finished"`

	// Regions is what --aws-regions asked for; empty means every region that
	// is enabled in the account.
	Regions []string `json:"regions,omitempty"`
	Syncs   []string `json:"syncs"` // the syncs that this snapshot set out to collect, by name

	// Options are what else the collection was told, "name=value", sorted: one
	// that is resumed goes on with them. Absent are those that are as usual.
	Options []string `json:"options,omitempty"`

	Accounts   []Account    `json:"accounts"`             // by provider and id
	Unresolved []Unresolved `json:"unresolved,omitempty"` // by profile
	Tables     []TableInfo  `json:"tables"`               // every table that some cell feeds, by name
	Cells      []Cell       `json:"cells"`                // every cell that was intended, by provider, account, region and sync

	// SHA256 guards the manifest itself, hex. It stands on the last line but
	// one, and is over all bytes of the lines before.
	SHA256 string `json:"sha256,omitempty"`
}

// Tag is the update tag that nodes and relationships get as lastupdated: the
// Unix second in which the collection started.
func (m *Manifest) Tag() int64 { return m.Started.Unix() }

// Account is one account that the collection reached.
type Account struct {
	Provider string   `json:"provider"` // "aws"
	ID       string   `json:"id"`
	Name     string   `json:"name"`               // the profile it was reached by
	Profiles []string `json:"profiles,omitempty"` // every profile that leads to it
	Identity string   `json:"identity,omitempty"` // who asked: the caller's ARN
	Endpoint string   `json:"endpoint,omitempty"` // where it was asked, when not the cloud's own
	Regions  []string `json:"regions"`            // the regions of its regional cells
}

// Unresolved is a profile that leads to no account.
type Unresolved struct {
	Profile string `json:"profile"`
	Error   string `json:"error"`
	Remedy  string `json:"remedy,omitempty"` // what to do about it; one line
}

// TableInfo is the schema that a table's files were written with.
type TableInfo struct {
	Name        string        `json:"name"`
	Sync        string        `json:"sync"`
	Columns     []kind.Column `json:"columns"`
	Fingerprint string        `json:"fingerprint"` // SHA-256, hex, over the columns' names, types, whether they may be null, and order
}

// State is how a cell ended.
type State string

// The states. Only Complete proves that what is not there does not exist.
const (
	Complete    State = "complete"    // every page and every sub-call succeeded
	Partial     State = "partial"     // some rows, but not all or not all of them whole
	Denied      State = "denied"      // access denied; no row was read
	Unsupported State = "unsupported" // the region or the service is not there for this account
	Failed      State = "failed"      // another error; no row was read
	Skipped     State = "skipped"     // not attempted
)

// CellID names a cell.
type CellID struct {
	Provider string `json:"provider"`
	Account  string `json:"account"`
	Region   string `json:"region,omitempty"` // empty for a global sync
	Sync     string `json:"sync"`
}

// String is the cell's name in messages and in the graph:
// "aws/111111111111/us-east-1/ec2:instance"; a global sync has an empty region.
func (id CellID) String() string {
	return id.Provider + "/" + id.Account + "/" + id.Region + "/" + id.Sync
}

// Outcome is how a cell ended and what it took.
type Outcome struct {
	State     State     `json:"state"`
	Code      string    `json:"code,omitempty"`    // the API's error code
	Action    string    `json:"action,omitempty"`  // the IAM action that was denied or the operation that failed
	Message   string    `json:"message,omitempty"` // one line
	Remedy    string    `json:"remedy,omitempty"`  // what to do before the cell is collected again; one line
	Errors    int       `json:"errors,omitempty"`  // how many calls failed for good
	Calls     int       `json:"calls"`
	Retries   int       `json:"retries"`
	Throttles int       `json:"throttles"`
	Started   time.Time `json:"started"`
	Finished  time.Time `json:"finished"`
}

// Cell is one cell's outcome and its files; a table without rows has none.
type Cell struct {
	CellID
	Outcome
	Rows  int64  `json:"rows"`
	Files []File `json:"files,omitempty"` // by path
}

// File is one Parquet file.
type File struct {
	Table  string `json:"table"`
	Path   string `json:"path"` // relative to the snapshot, with slashes
	Rows   int64  `json:"rows"`
	Size   int64  `json:"size"`   // bytes
	SHA256 string `json:"sha256"` // hex
}
