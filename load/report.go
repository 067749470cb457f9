package load

import "snap/store"

// Report says what a load did, or with DryRun would do.
type Report struct {
	Snapshot string        `json:"snapshot"` // the snapshot's id
	Tag      int64         `json:"tag"`      // the update tag, Unix seconds
	DryRun   bool          `json:"dry_run,omitempty"`
	Imported bool          `json:"imported,omitempty"` // the graph was this snapshot's import, which the load has completed: it read no row
	Indexes  int           `json:"indexes_created"`
	Tables   []TableReport `json:"tables"`            // in the order they were written
	Unknown  []string      `json:"unknown,omitempty"` // the snapshot's tables that this program does not know: not loaded
	Analysis []JobReport   `json:"analysis,omitempty"`

	AnalysisSeconds float64 `json:"analysis_seconds"` // of all of it: jobs of several accounts run at the same time
	Seconds         float64 `json:"seconds"`          // of the load
}

// TableReport is one table's part. Tables that share a label or a relationship
// share its cleanup, which is told with the first that describes it.
type TableReport struct {
	Table          string   `json:"table"`
	Label          string   `json:"label,omitempty"`
	Sync           string   `json:"sync"`
	Rows           int64    `json:"rows"`            // rows read and written as nodes, or for a table of relationships as such; several may be about one node
	NodesCreated   int64    `json:"nodes_created"`   // a dry run does not know
	NodesUnchanged int64    `json:"nodes_unchanged"` // that had the same properties before, as this program wrote them. One that a stub names too counts with each table of many rows
	Links          int64    `json:"links"`           // relationships that rows assert; in a dry run whether their ends exist or not
	LinksCreated   int64    `json:"links_created"`
	LinksUnchanged int64    `json:"links_unchanged"`
	NodesDeleted   int64    `json:"nodes_deleted"`
	LinksDeleted   int64    `json:"links_deleted"`     // without those that went with their node
	Seconds        float64  `json:"seconds"`           // to write it; of tables that are written together the share by their rows
	Kept           []Kept   `json:"kept,omitempty"`    // what was not seen, yet stays
	Missing        []string `json:"missing,omitempty"` // columns that the snapshot lacks: their properties stay as they were
	Ignored        []string `json:"ignored,omitempty"` // columns of the snapshot that this program does not know
}

// Kept counts nodes and relationships that were not seen but that nothing
// proves gone, because of one cell. What several cells keep counts with each.
type Kept struct {
	Cell  string      `json:"cell"`
	State store.State `json:"state"` // "absent" where the snapshot lacks the cell
	Nodes int64       `json:"nodes,omitempty"`
	Links int64       `json:"links,omitempty"`
}

// absent is the state of a cell that the snapshot lacks.
const absent store.State = "absent"

// JobReport is one analysis job's part, for one account or the whole estate.
type JobReport struct {
	Name    string      `json:"name"`
	Account string      `json:"account,omitempty"` // empty: the estate
	Ran     bool        `json:"ran"`
	Cell    string      `json:"cell,omitempty"`  // the cell because of which it was skipped
	State   store.State `json:"state,omitempty"` // how that cell ended
	Error   string      `json:"error,omitempty"` // of a job of the user's
	Seconds float64     `json:"seconds"`
}
