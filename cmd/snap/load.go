package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"snap/load"
	"snap/store"
)

func loadCommand() *command {
	var (
		from           opening
		to             load.ConnectOptions
		o              load.Options
		passwordEnv    string
		passwordPrompt bool
		lifetime       int
		liveness       int
		format         string
		noAnalysis     bool
		permissions    string
		jobDirectory   string
	)
	return &command{
		name: "load", args: "SNAPSHOT... --neo4j-uri URI", short: "replay a snapshot into Neo4j, analyse, clean up",
		long: `Writes a snapshot's nodes and relationships into Neo4j as Cartography 0.143.0 has
them, deletes what complete cells prove gone and nothing else, and runs the analysis
whose input is complete. Loading a snapshot again changes nothing. Of several
snapshots the older ones are loaded first.

` + where,
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&to.URI, "neo4j-uri", "bolt://localhost:7687", "where Neo4j is: bolt://, neo4j:// or with +s for TLS")
			f.StringVar(&to.User, "neo4j-user", "", "the user; none where Neo4j wants no authentication")
			f.StringVar(&passwordEnv, "neo4j-password-env-var", "", "the `NAME` of the environment variable that holds the password")
			f.BoolVar(&passwordPrompt, "neo4j-password-prompt", false, "ask for the password; wins over --neo4j-password-env-var")
			f.StringVar(&to.Database, "neo4j-database", "", "the database; else the user's home database")
			f.IntVar(&lifetime, "neo4j-max-connection-lifetime", 3600, "after how many `seconds` a pooled connection is replaced")
			f.IntVar(&liveness, "neo4j-liveness-check-timeout", 0, "after how many idle `seconds` a pooled connection is tested before it is used again; 0: never")
			f.Int64Var(&o.Tag, "update-tag", 0, "the lastupdated of all that is written, `seconds` since 1970; else when the snapshot was begun")
			f.BoolVar(&o.Force, "force", false, "load although the graph holds a newer load of an account")
			f.BoolVar(&o.DryRun, "dry-run", false, "write nothing; say what would be written and deleted")
			f.BoolVar(&o.NoCleanup, "no-cleanup", false, "delete nothing")
			f.BoolVar(&noAnalysis, "no-analysis", false, "leave the analysis properties as they are")
			f.Float64Var(&o.MaxDelete, "max-delete", 0.3, "refuse to delete more than this share of a label's nodes in an account; 1 allows all. Ten nodes may always go")
			f.StringSliceVar(&o.Accounts, "selected-accounts", nil, "load only these accounts of the snapshot, by their `IDS`")
			f.StringSliceVar(&o.Syncs, "selected-syncs", nil, "load only these `SYNCS`, such as \"ec2:instance,s3\"; what the others loaded stays")
			f.StringVar(&permissions, "permission-relationships-file", "", "a `FILE` of permission relationships in Cartography's form; else its default ones")
			f.StringVar(&jobDirectory, "analysis-job-directory", "", "run the analysis jobs in the JSON files below this `DIR`, at the end")
			f.IntVar(&o.Writers, "writers", load.DefaultWriters, "how many batches, or accounts of the analysis, are under way to the server at the same time")
			f.StringVar(&format, "format", "text", "text or json: how the report is written")
			from.flags(f)
		},
		run: func(ctx context.Context, args []string, out *terminal) error {
			switch {
			case len(args) == 0:
				return usage("load takes a snapshot, or several")
			case format != "text" && format != "json":
				return usage("--format is %q: use text or json", format)
			case lifetime < 1:
				return usage("--neo4j-max-connection-lifetime is %d: use a positive number of seconds", lifetime)
			case liveness < 0:
				return usage("--neo4j-liveness-check-timeout is %d: use a number of seconds", liveness)
			case o.Writers < 1:
				return usage("--writers is %d: use a positive number", o.Writers)
			case o.MaxDelete == 0:
				return usage("--max-delete is 0: use --no-cleanup to delete nothing, or a share up to 1")
			case o.MaxDelete < 0 || o.MaxDelete > 1:
				return usage("--max-delete is %g: use a share between 0 and 1", o.MaxDelete)
			case to.User == "" && (passwordPrompt || passwordEnv != ""):
				return usage("a password needs --neo4j-user")
			}
			to.MaxConnectionLifetime, to.LivenessCheck = time.Duration(lifetime)*time.Second, time.Duration(liveness)*time.Second
			var err error
			if to.Password, err = password(out, passwordPrompt, passwordEnv); err != nil {
				return err
			}
			o.Registry = registry()
			if !noAnalysis {
				o.Jobs, o.Permissions = load.Analysis, load.Permissions
				if permissions != "" {
					if o.Permissions, err = load.ReadPermissions(permissions); err != nil {
						return err
					}
				}
				if jobDirectory != "" {
					if o.UserJobs, err = load.ReadUserJobs(jobDirectory); err != nil {
						return err
					}
				}
			}
			return runLoad(ctx, &from, args, out, to, o, format)
		},
	}
}

func password(out *terminal, prompt bool, variable string) (string, error) {
	switch {
	case prompt:
		fmt.Fprint(out.err, "Neo4j password: ")
		text, err := term.ReadPassword(syscall.Stdin)
		fmt.Fprintln(out.err)
		if err != nil {
			return "", fmt.Errorf("--neo4j-password-prompt: %w: standard input is no terminal; use --neo4j-password-env-var", err)
		}
		return string(text), nil
	case variable != "":
		text, ok := os.LookupEnv(variable)
		if !ok {
			return "", usage("--neo4j-password-env-var: the environment has no variable %s", variable)
		}
		return text, nil
	}
	return "", nil
}

func runLoad(ctx context.Context, from *opening, paths []string, out *terminal, to load.ConnectOptions, o load.Options, format string) error {
	var snaps []*store.Snapshot
	defer func() {
		for _, s := range snaps {
			s.Close()
		}
	}()
	for _, path := range paths {
		snap, err := from.open(path)
		if err != nil {
			return err
		}
		snaps = append(snaps, snap)
	}
	slices.SortStableFunc(snaps, func(a, b *store.Snapshot) int { return a.Manifest.Started.Compare(b.Manifest.Started) })
	graph, err := load.Connect(ctx, to)
	if err != nil {
		return interrupted(ctx, err)
	}
	defer graph.Close(context.WithoutCancel(ctx))
	var p *loadProgress
	if format == "text" {
		p = &loadProgress{t: out}
		o.Progress = p.show
	}
	incomplete := false
	jobs := o.UserJobs
	for i, snap := range snaps {
		if o.UserJobs = nil; i == len(snaps)-1 {
			o.UserJobs = jobs
		}
		report, err := load.Load(ctx, graph, snap, o)
		p.finish()
		if report != nil && format == "json" { // a document for each snapshot
			encoder := json.NewEncoder(out.out)
			encoder.SetIndent("", "  ")
			if e := encoder.Encode(report); e != nil {
				return errors.Join(err, e)
			}
		}
		var failed *load.UserJobsError
		if format == "text" && (err == nil || errors.As(err, &failed)) {
			printReport(out, snap, report)
		}
		if err != nil {
			return interrupted(ctx, err)
		}
		incomplete = incomplete || len(notComplete(snap.Manifest.Cells)) > 0
	}
	if incomplete {
		return &exit{code: exitIncomplete}
	}
	return nil
}

// loadProgress shows the phase and table that a load is at, on a terminal.
type loadProgress struct {
	t    *terminal
	last time.Time
}

func (p *loadProgress) show(at load.Progress) {
	if !p.t.tty || time.Since(p.last) < 100*time.Millisecond {
		return
	}
	p.last = time.Now()
	share := ""
	if at.Total > 0 {
		share = fmt.Sprintf(" %d of %d rows", at.Done, at.Total)
	}
	fmt.Fprintf(p.t.err, "\r\033[K%s %s%s", at.Phase, at.Table, share)
}

func (p *loadProgress) finish() {
	if p != nil && p.t.tty {
		fmt.Fprint(p.t.err, "\r\033[K")
	}
}

// sum adds up what two tables' parts count.
func sum(a, b load.TableReport) load.TableReport {
	return load.TableReport{
		Rows: a.Rows + b.Rows, NodesCreated: a.NodesCreated + b.NodesCreated, NodesUnchanged: a.NodesUnchanged + b.NodesUnchanged, NodesDeleted: a.NodesDeleted + b.NodesDeleted,
		Links: a.Links + b.Links, LinksCreated: a.LinksCreated + b.LinksCreated, LinksUnchanged: a.LinksUnchanged + b.LinksUnchanged, LinksDeleted: a.LinksDeleted + b.LinksDeleted,
		Seconds: a.Seconds + b.Seconds,
	}
}

func printReport(out *terminal, snap *store.Snapshot, r *load.Report) {
	if r.Imported {
		fmt.Fprintf(out.out, "%s: its import is complete: added %d indexes and the analysis, in %.1f s (update tag %d)\n", snap.Path, r.Indexes, r.Seconds, r.Tag)
		printAnalysis(out, r)
		return
	}
	byLabel := map[string]load.TableReport{}
	var all load.TableReport
	var order []string
	for _, t := range r.Tables {
		name := t.Label
		if name == "" {
			name = t.Table + " (relationships)"
		}
		if _, ok := byLabel[name]; !ok {
			order = append(order, name)
		}
		byLabel[name] = sum(byLabel[name], t)
		all = sum(all, t)
	}
	changes := func(created, unchanged, deleted int64) string {
		return fmt.Sprintf("%d new, %d unchanged, %d deleted", created, unchanged, deleted)
	}
	if r.DryRun {
		fmt.Fprintf(out.out, "%s: would load %d rows and %d relationships, would delete %d nodes and %d relationships (update tag %d)\n",
			snap.Path, all.Rows, all.Links, all.NodesDeleted, all.LinksDeleted, r.Tag)
	} else {
		fmt.Fprintf(out.out, "%s: loaded %d rows in %.1f s (update tag %d)\nnodes: %s; relationships: %s\n", snap.Path, all.Rows, r.Seconds, r.Tag,
			changes(all.NodesCreated, all.NodesUnchanged, all.NodesDeleted), changes(all.LinksCreated, all.LinksUnchanged, all.LinksDeleted))
	}

	w := tabwriter.NewWriter(out.out, 0, 0, 2, ' ', tabwriter.AlignRight|tabwriter.TabIndent)
	fmt.Fprintf(w, "\nrows\tnodes new\tunchanged\tdeleted\trelationships new\tunchanged\tdeleted\tseconds\t  label\n")
	for _, name := range order {
		if t := byLabel[name]; t.Rows+t.Links+t.NodesDeleted+t.LinksDeleted > 0 {
			fmt.Fprintf(w, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f\t  %s\n", t.Rows, t.NodesCreated, t.NodesUnchanged, t.NodesDeleted,
				t.LinksCreated, t.LinksUnchanged, t.LinksDeleted, t.Seconds, name)
		}
	}
	_ = w.Flush() // to the terminal

	if len(r.Unknown) > 0 {
		fmt.Fprintf(out.out, "\nNot loaded, this program does not know them: %s\n", strings.Join(r.Unknown, ", "))
	}
	kept := map[string]load.Kept{}
	var cells []string
	for _, t := range r.Tables {
		for _, k := range t.Kept {
			if _, ok := kept[k.Cell]; !ok {
				cells = append(cells, k.Cell)
			}
			sum := kept[k.Cell]
			sum.State, sum.Nodes, sum.Links = k.State, sum.Nodes+k.Nodes, sum.Links+k.Links
			kept[k.Cell] = sum
		}
	}
	if len(cells) > 0 {
		fmt.Fprintln(out.out, "\nKept although not seen, because the cell proves nothing gone:")
		for _, c := range cells {
			fmt.Fprintf(out.out, "  %s (%s): %d nodes, %d relationships\n", c, kept[c].State, kept[c].Nodes, kept[c].Links)
		}
	}
	printAnalysis(out, r)
}

// printAnalysis tells which jobs ran and which did not.
func printAnalysis(out *terminal, r *load.Report) {
	ran := 0
	for _, j := range r.Analysis {
		if j.Ran {
			ran++
		}
	}
	if ran > 0 {
		would := ""
		if r.DryRun {
			would = "would run "
		}
		fmt.Fprintf(out.out, "\nAnalysis: %s%d of %d jobs, in %.1f s (--format json lists them)\n", would, ran, len(r.Analysis), r.AnalysisSeconds)
	}
	var skipped []string // the jobs' names
	first, of := map[string]load.JobReport{}, map[string]int{}
	for _, j := range r.Analysis {
		if j.Ran || j.Cell == "" {
			continue
		}
		if of[j.Name]++; of[j.Name] == 1 {
			skipped, first[j.Name] = append(skipped, j.Name), j
		}
	}
	if len(skipped) > 0 {
		fmt.Fprintln(out.out, "\nAnalysis left as it was, because what it reads is not complete:")
	}
	for _, name := range skipped {
		j, where := first[name], ""
		switch {
		case of[name] > 1:
			where = fmt.Sprintf(" in %d accounts, first", of[name])
		case j.Account != "":
			where = " in " + j.Account
		}
		fmt.Fprintf(out.out, "  %s%s: %s is %s\n", name, where, j.Cell, j.State)
	}
}
