package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"snap/store"
)

func pruneCommand() *command {
	var keep store.Keep
	var dryRun bool
	return &command{
		name: "prune", args: "DIR --keep-daily 7 …", short: "remove old runs of collect --store",
		long: `Removes the runs in DIR that no rule keeps. A rule keeps the last run of each of the
last so many days, weeks, months or years that have one, in UTC; a run is kept if any
rule keeps it. Never removed are the newest run in which every account is complete,
for each account the newest in which that one is, unfinished collections, and what
cannot be opened.`,
		flags: func(f *pflag.FlagSet) {
			f.IntVar(&keep.Last, "keep-last", 0, "keep the last `N` runs")
			f.IntVar(&keep.Daily, "keep-daily", 0, "keep the last run of each of the last `N` days")
			f.IntVar(&keep.Weekly, "keep-weekly", 0, "of each of the last `N` weeks")
			f.IntVar(&keep.Monthly, "keep-monthly", 0, "of each of the last `N` months")
			f.IntVar(&keep.Yearly, "keep-yearly", 0, "of each of the last `N` years")
			f.BoolVar(&dryRun, "dry-run", false, "remove nothing; say what would be removed")
		},
		run: func(ctx context.Context, args []string, out *terminal) error {
			switch {
			case len(args) != 1:
				return usage("prune takes one directory, that of collect --store")
			case min(keep.Last, keep.Daily, keep.Weekly, keep.Monthly, keep.Yearly) < 0:
				return usage("prune keeps a number of runs, not less than none")
			case keep == store.Keep{}:
				return usage("prune needs a rule, such as --keep-daily 7: without one it would keep nothing but what it must")
			}
			runs, err := store.Runs(args[0])
			if err != nil {
				return err
			}
			verb := "remove"
			if dryRun {
				verb = "would remove"
			}
			w := tabwriter.NewWriter(out.out, 0, 0, 2, ' ', 0)
			defer func() { _ = w.Flush() }() // to the terminal
			kept, removed := 0, 0
			for _, v := range keep.Apply(runs) {
				if ctx.Err() != nil {
					return interrupted(ctx, ctx.Err())
				}
				if len(v.Reasons) > 0 {
					kept++
					fmt.Fprintf(w, "keep\t%s\t%s\n", v.Name, strings.Join(v.Reasons, ", "))
					continue
				}
				if !dryRun {
					if err := v.Remove(); err != nil {
						return err
					}
				}
				removed++
				fmt.Fprintf(w, "%s\t%s\t\n", verb, v.Name)
			}
			fmt.Fprintf(w, "\n%s kept, %s %s\n", count(kept, "run"), count(removed, "run"), map[bool]string{false: "removed", true: "to be removed"}[dryRun])
			return nil
		},
	}
}

// listRuns prints a line, or an object, for each run of a directory.
func listRuns(out *terminal, runs []store.Run, format string) error {
	switch format {
	case "json":
		type run struct {
			Name     string          `json:"run"`
			ID       string          `json:"id,omitempty"`
			Error    string          `json:"error,omitempty"`
			Manifest *store.Manifest `json:"manifest,omitempty"`
		}
		var all []run
		for _, r := range runs {
			one := run{Name: r.Name, ID: r.ID}
			if r.Err != nil {
				one.Error = r.Err.Error()
			} else {
				one.Manifest = &r.Manifest
			}
			all = append(all, one)
		}
		encoder := json.NewEncoder(out.out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(all)
	case "text":
	default:
		return usage("--format is %q: use text or json", format)
	}
	w := tabwriter.NewWriter(out.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "run\taccounts\trows\tcells\tnot complete\ttook\tid")
	for _, r := range runs {
		switch {
		case errors.Is(r.Err, store.ErrUnfinished):
			fmt.Fprintf(w, "%s\tunfinished: collect --resume %s goes on, if none is under way\n", r.Name, r.Path)
			continue
		case r.Err != nil:
			fmt.Fprintf(w, "%s\t%s\n", r.Name, quote(r.Err.Error()))
			continue
		}
		m, rows := r.Manifest, int64(0)
		for _, c := range m.Cells {
			rows += c.Rows
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\t%.19s\n", r.Name, len(m.Accounts), rows, len(m.Cells), len(notComplete(m.Cells)), m.Finished.Sub(m.Started).Round(time.Second), r.ID)
	}
	_ = w.Flush() // to the terminal
	return nil
}
