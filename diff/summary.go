package diff

import (
	"fmt"
	"slices"
	"time"

	"snap/store"
)

// Summary is what a comparison found, by account, sync and table, and how much
// of the two snapshots could be compared.
type Summary struct {
	Old     Snapshot `json:"old"`
	New     Snapshot `json:"new"`
	Total   Counts   `json:"total"`
	Cells   Cells    `json:"cells"`
	Ignored int64    `json:"ignored,omitempty"` // properties and relationships that differ and that the user wants to ignore

	// Outside is what a graph that is compared has beyond the snapshot.
	Outside *Outside `json:"outside,omitempty"`

	// Severities count the entries that a rule ranks, the gravest first.
	Severities []SeverityCount `json:"severities,omitempty"`

	Accounts []AccountSummary `json:"accounts"`           // those with an entry or rows that are the same, by id
	OnlyOld  []Account        `json:"only_old,omitempty"` // accounts that only the old snapshot has
	OnlyNew  []Account        `json:"only_new,omitempty"`

	// Gaps are the cells of accounts on both sides that are not complete on
	// both, by account, sync and region.
	Gaps []Gap `json:"gaps,omitempty"`
}

// Outside counts what of a graph is not compared, since the snapshot lacks its
// account, region or sync.
type Outside struct {
	Nodes int64 `json:"nodes"`
	Cells int64 `json:"cells"`
}

// String is a sentence.
func (o *Outside) String() string {
	return fmt.Sprintf("Not compared: %s that only the graph has, in %s of accounts, regions or syncs that the snapshot lacks.", count(o.Nodes, "node", "nodes"), count(o.Cells, "cell", "cells"))
}

// SeverityCount counts the entries of one severity.
type SeverityCount struct {
	Severity Severity `json:"severity"`
	Entries  int64    `json:"entries"`
}

// Snapshot says which snapshot a side is.
type Snapshot struct {
	ID       string    `json:"id"`
	Program  string    `json:"program"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
}

// Counts count entries. Where only some kinds were asked for, the others are 0;
// Unknown is counted all the same.
type Counts struct {
	Added   int64 `json:"added"`
	Removed int64 `json:"removed"`
	Changed int64 `json:"changed"`
	Unknown int64 `json:"unknown"` // entries of kind unknown, and changed rows of which something else is unknown
	Same    int64 `json:"same"`    // rows in which nothing that is compared differs
}

func (c *Counts) add(o Counts) {
	c.Added += o.Added
	c.Removed += o.Removed
	c.Changed += o.Changed
	c.Unknown += o.Unknown
	c.Same += o.Same
}

// Cells count account × region × sync.
type Cells struct {
	Total       int `json:"total"`       // on either side, without Unsupported
	Comparable  int `json:"comparable"`  // complete on both
	Unsupported int `json:"unsupported"` // on both sides the region or service is not there: nothing to compare
}

// Account is an account of one or both snapshots.
type Account struct {
	Provider string `json:"provider"`
	ID       string `json:"id"`
	Name     string `json:"name,omitempty"`
	Rows     int64  `json:"rows"` // of an account on one side only: how many rows were not compared
}

// AccountSummary counts one account's entries.
type AccountSummary struct {
	Provider string `json:"provider"`
	ID       string `json:"id"`
	Name     string `json:"name,omitempty"`
	Counts
	Syncs []SyncSummary `json:"syncs,omitempty"`
}

// SyncSummary counts one sync's entries in an account.
type SyncSummary struct {
	Sync string `json:"sync"`
	Counts
	Tables []TableSummary `json:"tables"`
}

// TableSummary counts one table's entries in an account.
type TableSummary struct {
	Table string `json:"table"`
	Counts
}

// Gap is a cell that could not be compared, and why.
type Gap struct {
	store.CellID
	Old *Reason `json:"old,omitempty"` // nil where that side is complete
	New *Reason `json:"new,omitempty"`
}

// Differs tells whether anything was added, removed or changed.
func (s *Summary) Differs() bool { return s.Total.Added+s.Total.Removed+s.Total.Changed > 0 }

// Comparable tells whether every cell was compared and nothing is unknown.
func (s *Summary) Comparable() bool {
	return s.Cells.Comparable == s.Cells.Total && s.Total.Unknown == 0 && s.Cells.Total+s.Cells.Unsupported > 0
}

// Same tells whether the snapshots are proven to hold the same: nothing
// differs, and everything was comparable.
func (s *Summary) Same() bool { return !s.Differs() && s.Comparable() }

// count adds to an account's table; entries of one account and table need not
// follow one another.
func (s *Summary) count(provider, account, name, sync, table string, c Counts) {
	s.Total.add(c)
	a := find(&s.Accounts, func(a *AccountSummary) bool { return a.ID == account && a.Provider == provider },
		AccountSummary{Provider: provider, ID: account, Name: name})
	a.add(c)
	if table == "" {
		return
	}
	y := find(&a.Syncs, func(y *SyncSummary) bool { return y.Sync == sync }, SyncSummary{Sync: sync})
	y.add(c)
	t := find(&y.Tables, func(t *TableSummary) bool { return t.Table == table }, TableSummary{Table: table})
	t.add(c)
}

// find counts what rules say of an entry.
func (s *Summary) find(ch *Change) {
	if ch.Severity == "" {
		return
	}
	i, found := slices.BinarySearchFunc(s.Severities, ch.Severity, func(c SeverityCount, v Severity) int { return v.rank() - c.Severity.rank() })
	if !found {
		s.Severities = slices.Insert(s.Severities, i, SeverityCount{Severity: ch.Severity})
	}
	s.Severities[i].Entries++
}

// find is the last element that is wanted, appended where there is none:
// entries come sorted, so it is nearly always the last one.
func find[T any](list *[]T, wanted func(*T) bool, otherwise T) *T {
	for i := len(*list) - 1; i >= 0; i-- {
		if wanted(&(*list)[i]) {
			return &(*list)[i]
		}
	}
	*list = append(*list, otherwise)
	return &(*list)[len(*list)-1]
}
