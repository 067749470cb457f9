// Package load writes a snapshot into Neo4j as Cartography's graph: the same
// labels, properties and relationships, firstseen and lastupdated.
//
// Loading is repeatable: a second load of the same snapshot changes nothing,
// and an interrupted one is finished by running it again. What the snapshot
// does not show is deleted only where its cells prove that it is gone.
package load

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"snap/store"
	"snap/store/kind"
)

// Options say how to load.
type Options struct {
	Registry *kind.Registry // what the snapshot's tables become
	Jobs     []Job          // the analysis, in order

	Permissions []Permission // which permissions of principals become relationships, after the analysis
	UserJobs    []UserJob    // the user's own analysis, after all else

	Accounts []string // load only these accounts of the snapshot; empty: all
	Syncs    []string // load only these syncs, and "account", which everything belongs to; empty: all

	Tag       int64   // the update tag, Unix seconds; 0 is the snapshot's own
	Force     bool    // load although the graph holds a newer load of an account
	DryRun    bool    // write nothing, report what would be written and deleted
	NoCleanup bool    // delete nothing
	MaxDelete float64 // refuse to delete more than this share of a label's nodes in an account; 0: no limit. Up to guardFloor nodes may always go.

	// Writers is how many batches of a table, and of a job of the analysis how many
	// accounts, are under way to the server at the same time; 0 is DefaultWriters.
	// A batch may take the server some 20 MB.
	Writers int

	Progress func(Progress) // called from time to time; may be nil

	smallRows int // tests: instead of the constant; negative: no table is small
}

// Progress tells how far a load is.
type Progress struct {
	Phase string // "indexes", "nodes", "links", "cleanup" or "analysis"
	Table string // or the job's name
	Done  int64  // rows
	Total int64
}

// NewerError says that the graph already holds a newer load of an account.
type NewerError struct {
	Account string
	Holds   int64 // update tag, Unix seconds
	Tag     int64
}

func (e *NewerError) Error() string {
	at := func(tag int64) string { return time.Unix(tag, 0).UTC().Format(time.RFC3339) }
	return fmt.Sprintf("the graph already holds account %s as of %s, newer than this snapshot's %s: load a newer snapshot, or this one with --force", e.Account, at(e.Holds), at(e.Tag))
}

// source reads a snapshot's files; *store.Snapshot is one.
type source interface {
	Read(t *kind.Table, f store.File) (rows iter.Seq2[kind.Row, error], missing, extra []string)
}

type loader struct {
	graph  *Graph
	source source
	o      Options
	tag    int64
	plan   *plan
	report *Report
	tables map[string]int // table → index in report.Tables
	dry    *dry
	at     Progress

	nodesBefore int64 // in the graph when the load began
	small       map[string]bool
	few         map[string][]tableRow // by table
	asserted    []asserted            // by the rows of few
	ends        wanted                // of asserted, where they are not looked for with the nodes
	pool        *pool
	portion     portion
}

// Load writes a snapshot into the graph. The report tells what was done, also
// where an error ends the load early: what is written then stays, and loading
// again goes on from there.
func Load(ctx context.Context, g *Graph, snap *store.Snapshot, o Options) (*Report, error) {
	return load(ctx, g, &snap.Manifest, snap.ID, snap, o)
}

func load(ctx context.Context, g *Graph, m *store.Manifest, id string, s source, o Options) (*Report, error) {
	started := time.Now()
	l, err := newLoader(g, m, id, s, o)
	if err != nil {
		return nil, err
	}
	err = l.run(ctx)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err() // the driver says so in its own words
	}
	l.report.Seconds = time.Since(started).Seconds()
	return l.report, err
}

func newLoader(g *Graph, m *store.Manifest, id string, s source, o Options) (*loader, error) {
	m, err := selected(m, o.Accounts, o.Syncs)
	if err != nil {
		return nil, err
	}
	l := &loader{graph: g, source: s, o: o, tag: o.Tag, plan: newPlan(o.Registry, m), dry: newDry(), tables: map[string]int{}}
	if l.tag == 0 {
		l.tag = m.Tag()
	}
	l.o.Writers = cmp.Or(o.Writers, DefaultWriters)
	l.report = &Report{Snapshot: id, Tag: l.tag, DryRun: o.DryRun, Unknown: l.plan.unknown}
	for i, t := range l.plan.tables {
		l.tables[t.Name] = i
		l.report.Tables = append(l.report.Tables, TableReport{Table: t.Name, Label: t.Label, Sync: t.Sync})
	}
	return l, nil
}

// selected is the manifest of the chosen accounts and syncs: to the load, the
// snapshot lacks the other cells.
func selected(m *store.Manifest, accounts, syncs []string) (*store.Manifest, error) {
	if len(accounts)+len(syncs) == 0 {
		return m, nil
	}
	hasAccounts, hasSyncs := map[string]bool{}, map[string]bool{}
	part := *m
	part.Cells = nil
	for _, c := range m.Cells {
		hasAccounts[c.Account], hasSyncs[c.Sync] = true, true
		if (len(accounts) == 0 || slices.Contains(accounts, c.Account)) && (len(syncs) == 0 || c.Sync == "account" || slices.Contains(syncs, c.Sync)) {
			part.Cells = append(part.Cells, c)
		}
	}
	for _, a := range accounts {
		if !hasAccounts[a] {
			return nil, fmt.Errorf("the snapshot has no account %s; it has %s", a, strings.Join(slices.Sorted(maps.Keys(hasAccounts)), ", "))
		}
	}
	for _, s := range syncs {
		if !hasSyncs[s] {
			return nil, fmt.Errorf("the snapshot has no sync %s; it has %s", s, strings.Join(slices.Sorted(maps.Keys(hasSyncs)), ", "))
		}
	}
	return &part, nil
}

func (l *loader) run(ctx context.Context) error {
	rows, err := l.graph.read(ctx, "MATCH (n) RETURN count(n)", nil)
	if err != nil {
		return err
	}
	l.nodesBefore, _ = rows[0][0].(int64)
	if err := l.refuseOlder(ctx); err != nil {
		return err
	}
	l.report.Imported, err = l.imported(ctx)
	if err != nil {
		return err
	}
	l.phase("indexes", "")
	l.small = l.smallTables()
	if err := l.indexes(ctx); err != nil {
		return err
	}
	if !l.o.DryRun { // not before: an index that is created has the server forget its plans
		defer l.planAhead(ctx)()
	}
	if err := l.begin(ctx); err != nil {
		return err
	}
	if !l.report.Imported {
		if err := l.write(ctx); err != nil {
			return err
		}
	}
	since := time.Now()
	if err := l.analyse(ctx); err != nil {
		return err
	}
	if err := l.permissions(ctx); err != nil {
		return err
	}
	l.report.AnalysisSeconds = time.Since(since).Seconds()
	if err := l.finish(ctx); err != nil {
		return err
	}
	if l.report.Imported {
		if err := l.unmark(ctx); err != nil {
			return err
		}
	}
	since = time.Now()
	defer func() { l.report.AnalysisSeconds += time.Since(since).Seconds() }()
	return l.userJobs(ctx)
}

// write writes the nodes and relationships and deletes what is gone.
func (l *loader) write(ctx context.Context) error {
	l.count()
	if len(l.small) > 0 {
		since := time.Now()
		if err := l.smallNodes(ctx); err != nil {
			return err
		}
		l.share(since)
	}
	for _, t := range l.plan.tables {
		if t.Label != "" && !l.small[t.Name] {
			l.phase("nodes", t.Name)
			since := time.Now()
			if err := l.nodes(ctx, t); err != nil {
				return fmt.Errorf("load table %s: %w", t.Name, err)
			}
			l.table(t).Seconds += time.Since(since).Seconds()
		}
	}
	if len(l.small) > 0 {
		l.phase("links", "")
		since := time.Now()
		if err := l.smallLinks(ctx); err != nil {
			return fmt.Errorf("load relationships of tables of few rows: %w", err)
		}
		l.share(since)
	}
	for _, t := range l.plan.tables {
		if l.small[t.Name] {
			continue
		}
		l.phase("links", t.Name)
		since := time.Now()
		if err := l.links(ctx, t); err != nil {
			return fmt.Errorf("load relationships of table %s: %w", t.Name, err)
		}
		l.table(t).Seconds += time.Since(since).Seconds()
	}
	l.phase("cleanup", "")
	if !l.o.NoCleanup && l.nodesBefore > 0 {
		if err := l.clean(ctx); err != nil {
			return err
		}
	}
	return nil
}

// metadata is the id of Cartography's node that says when an account was
// synchronized, as a whole (AWSAccount) or for one label.
func metadata(account, label string) string { return accountLabel + "_" + account + "_" + label }

// refuseOlder refuses a snapshot older than what the graph holds, also of a
// load that was interrupted.
func (l *loader) refuseOlder(ctx context.Context) error {
	if l.o.Force || l.nodesBefore == 0 {
		return nil
	}
	ids := []string{}
	for _, a := range l.plan.accounts {
		ids = append(ids, metadata(a, accountLabel))
	}
	rows, err := l.graph.read(ctx, "MATCH (m:ModuleSyncMetadata) WHERE m.id IN $ids RETURN m.groupid, m.lastupdated, m._snap_begun ORDER BY m.groupid", map[string]any{"ids": ids})
	if err != nil {
		return err
	}
	for _, r := range rows {
		finished, _ := r[1].(int64)
		begun, _ := r[2].(int64)
		if holds := max(finished, begun); holds > l.tag {
			account, _ := r[0].(string)
			return &NewerError{Account: account, Holds: holds, Tag: l.tag}
		}
	}
	return nil
}

// begin notes that the load of these accounts has begun: it may be interrupted
// before finish.
func (l *loader) begin(ctx context.Context) error {
	return l.stamp(ctx, "_snap_begun", func(account string) []string { return []string{accountLabel} })
}

// finish notes when the accounts were loaded, and the labels that Cartography
// keeps a note of where all their cells are complete.
func (l *loader) finish(ctx context.Context) error {
	return l.stamp(ctx, "lastupdated", func(account string) []string {
		labels := []string{accountLabel}
		for _, s := range l.o.Registry.Syncs {
			if s.Synced != "" && l.plan.synced(s.Name, account) {
				labels = append(labels, s.Synced)
			}
		}
		return labels
	})
}

func (l *loader) stamp(ctx context.Context, property string, labels func(account string) []string) error {
	if l.o.DryRun {
		return nil
	}
	rows := []map[string]any{}
	for _, a := range l.plan.accounts {
		for _, label := range labels(a) {
			rows = append(rows, map[string]any{"id": metadata(a, label), "account": a, "label": label})
		}
	}
	_, _, err := l.graph.write(ctx, statement{"UNWIND $rows AS row MERGE (m:ModuleSyncMetadata {id: row.id}) ON CREATE SET m:SyncMetadata, m.firstseen = timestamp() " +
		"SET m.syncedtype = row.label, m.grouptype = '" + accountLabel + "', m.groupid = row.account, m." + property + " = $tag",
		map[string]any{"rows": rows, "tag": l.tag}})
	return err
}

// table is a table's part of the report.
func (l *loader) table(t *kind.Table) *TableReport { return &l.report.Tables[l.tables[t.Name]] }

// share divides the time since then among the small tables, by their rows.
func (l *loader) share(since time.Time) {
	rows, all := map[string]int64{}, int64(0)
	for _, c := range l.plan.cells {
		for _, f := range c.Files {
			if l.small[f.Table] {
				rows[f.Table] += f.Rows
				all += f.Rows
			}
		}
	}
	for name, n := range rows {
		l.report.Tables[l.tables[name]].Seconds += time.Since(since).Seconds() * float64(n) / float64(max(all, 1))
	}
}

// note records the columns that a file lacks or has beyond the declaration.
func (l *loader) note(t *kind.Table, missing, extra []string) {
	r := l.table(t)
	for _, name := range missing {
		if name != kind.Unknown {
			r.Missing = union(r.Missing, name)
		}
	}
	for _, name := range extra {
		r.Ignored = union(r.Ignored, name)
	}
}

// provider is the provider of a cell's name.
func (l *loader) provider(cell string) string {
	provider, _, _ := strings.Cut(cell, "/")
	return provider
}

// count adds up the rows that are to be read: a table's twice where its links
// take a second reading.
func (l *loader) count() {
	rows := map[string]int64{}
	for _, c := range l.plan.manifest.Cells {
		for _, f := range c.Files {
			rows[f.Table] += f.Rows
		}
	}
	for _, t := range l.plan.tables {
		if t.Label != "" {
			l.at.Total += rows[t.Name]
		}
		if n := len(claims(t)); n > 1 || n == 1 && (l.small[t.Name] || l.inline(t) == nil) {
			l.at.Total += rows[t.Name]
		}
	}
}

func (l *loader) phase(phase, table string) {
	l.at.Phase, l.at.Table = phase, table
	if l.o.Progress != nil {
		l.o.Progress(l.at)
	}
}

// step counts rows.
func (l *loader) step(rows int64) {
	l.at.Done += rows
	if l.o.Progress != nil && l.at.Done%1000 == 0 {
		l.o.Progress(l.at)
	}
}
