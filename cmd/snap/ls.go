package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"snap/collect/aws/session"
	"snap/store"
)

func lsCommand() *command {
	var from opening
	var format string
	var cells bool
	return &command{
		name: "ls", args: "SNAPSHOT", short: "say what a snapshot holds and how complete it is",
		long: `Prints the accounts, tables and cells of a snapshot. It reads the manifest only: snap
verify tells whether the files are there. Of a directory of collect --store it lists
the runs.

` + where,
		flags: func(f *pflag.FlagSet) {
			f.BoolVar(&cells, "cells", false, "list every cell, not only those that are not complete")
			f.StringVar(&format, "format", "text", "text or json (the manifest)")
			from.flags(f)
		},
		run: func(_ context.Context, args []string, out *terminal) error {
			if len(args) != 1 {
				return usage("ls takes one snapshot")
			}
			snap, err := from.openWith(args[0], true)
			if errors.Is(err, store.ErrNotSnapshot) {
				if runs, e := store.Runs(args[0]); e == nil {
					return listRuns(out, runs, format)
				}
			}
			if err != nil {
				return err
			}
			defer snap.Close()
			switch format {
			case "json":
				encoder := json.NewEncoder(out.out)
				encoder.SetIndent("", "  ")
				return encoder.Encode(snap.Manifest)
			case "text":
			default:
				return usage("--format is %q: use text or json", format)
			}
			m := snap.Manifest
			fmt.Fprintf(out.out, "%s  %s\ntaken by %s, %s to %s\n\n", snap.Path, snap.ID, m.Program, m.Started.Format(time.DateTime), m.Finished.Format(time.DateTime+" MST"))
			listAccounts(out, m)
			listTables(out, m)
			if cells {
				fmt.Fprintln(out.out)
				for _, c := range m.Cells {
					fmt.Fprintf(out.out, "%s: %s, %s, %s\n", c.CellID, c.State, count(int(c.Rows), "row"), count(c.Calls, "call"))
				}
			}
			listGaps(out, m)
			return nil
		},
	}
}

// summarize tells how a collection ended.
func summarize(out *terminal, dir string, snap *store.Snapshot, used []session.Usage) {
	m := snap.Manifest
	var rows int64
	var calls, retries, throttles int
	for _, c := range m.Cells {
		rows, calls, retries, throttles = rows+c.Rows, calls+c.Calls, retries+c.Retries, throttles+c.Throttles
	}
	fmt.Fprintf(out.out, "%s: %s in %s from %s, %s (%d repeated, %d throttled), %s\n", dir, count(int(rows), "row"), count(len(m.Tables), "table"),
		count(len(m.Accounts), "account"), count(calls, "call"), retries, throttles, m.Finished.Sub(m.Started).Round(time.Second/10))
	if len(used) > 0 { // none when all that is left could not be reached
		fmt.Fprintf(out.out, "calls of this run: %s\n", busiest(used))
	}
	fmt.Fprintln(out.out)
	listAccounts(out, m)
	listGaps(out, m)
}

var states = []store.State{store.Complete, store.Partial, store.Denied, store.Unsupported, store.Failed, store.Skipped}

// listAccounts prints a line an account: how many of its cells ended how.
func listAccounts(out *terminal, m store.Manifest) {
	by := map[string]map[store.State]int{}
	rows := map[string]int64{}
	seen := map[store.State]bool{store.Complete: true}
	for _, c := range m.Cells {
		if by[c.Account] == nil {
			by[c.Account] = map[store.State]int{}
		}
		by[c.Account][c.State]++
		rows[c.Account] += c.Rows
		seen[c.State] = true
	}
	w := tabwriter.NewWriter(out.out, 0, 0, 2, ' ', 0)
	fmt.Fprint(w, "account\tname\tregions\trows")
	for _, s := range states {
		if seen[s] {
			fmt.Fprintf(w, "\t%s", s)
		}
	}
	fmt.Fprintln(w)
	for _, a := range m.Accounts {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d", a.ID, a.Name, len(a.Regions), rows[a.ID])
		for _, s := range states {
			if seen[s] {
				fmt.Fprintf(w, "\t%d", by[a.ID][s])
			}
		}
		fmt.Fprintln(w)
	}
	_ = w.Flush() // to the terminal
}

// listTables prints the rows of each table that has any.
func listTables(out *terminal, m store.Manifest) {
	rows, size := map[string]int64{}, map[string]int64{}
	for _, c := range m.Cells {
		for _, f := range c.Files {
			rows[f.Table] += f.Rows
			size[f.Table] += f.Size
		}
	}
	w := tabwriter.NewWriter(out.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\ntable\trows\tKiB")
	for _, t := range slices.Sorted(maps.Keys(rows)) {
		fmt.Fprintf(w, "%s\t%d\t%d\n", t, rows[t], (size[t]+1023)/1024)
	}
	_ = w.Flush() // to the terminal
}

// listGaps prints what is not complete, and what to do about it.
func listGaps(out *terminal, m store.Manifest) {
	for _, u := range m.Unresolved {
		fmt.Fprintf(out.out, "\nprofile %s leads to no account: %s\n", u.Profile, u.Error)
	}
	gaps := gapsOf(m)
	if len(gaps) == 0 {
		return
	}
	fmt.Fprintf(out.out, "\nNot complete, so nothing of them will be deleted or called removed:\n")
	for _, g := range gaps {
		where := ""
		if len(g.Regions) > 0 {
			where = " in " + strings.Join(g.Regions, ", ")
		}
		fmt.Fprintf(out.out, "  %s %s%s: %s%s\n", g.Account, several(g.Syncs), where, reason(g.Outcome), arrow(g.Remedy))
	}
}

// several names up to five things, and counts more.
func several(names []string) string {
	if len(names) > 5 {
		return strings.Join(names[:4], ", ") + fmt.Sprintf(" and %d more syncs", len(names)-4)
	}
	return strings.Join(names, ", ")
}

func arrow(remedy string) string {
	if remedy == "" {
		return ""
	}
	return " → " + remedy
}

// gap is cells of one account that ended alike, and what to do about it.
type gap struct {
	Account        string
	Syncs, Regions []string
	Cells          int
	store.Outcome  // of the first
	Remedy         string
}

// object is the gap as --log-format json tells it.
func (g gap) object() map[string]any {
	return map[string]any{"event": "gap", "account": g.Account, "syncs": g.Syncs, "regions": g.Regions, "cells": g.Cells,
		"state": g.State, "code": g.Code, "action": g.Action, "message": g.Message, "remedy": g.Remedy}
}

// gapsOf are the cells that are not complete, by account.
func gapsOf(m store.Manifest) []gap {
	type alike struct {
		account, sync string
		state         store.State
		code, action  string
		remedy        string
	}
	at := map[alike]int{}
	var gaps []gap
	for _, c := range notComplete(m.Cells) {
		k := alike{c.Account, c.Sync, c.State, c.Code, c.Action, remedy(c.Outcome)}
		if k.action == "" { // what stopped it has to do with the account or the region, not with the sync
			k.sync = ""
		}
		i, ok := at[k]
		if !ok {
			i = len(gaps)
			at[k] = i
			gaps = append(gaps, gap{Account: c.Account, Outcome: c.Outcome, Remedy: k.remedy})
		}
		g := &gaps[i]
		g.Cells++
		if !slices.Contains(g.Syncs, c.Sync) {
			g.Syncs = append(g.Syncs, c.Sync)
		}
		if c.Region != "" && !slices.Contains(g.Regions, c.Region) {
			g.Regions = append(g.Regions, c.Region)
		}
	}
	return gaps
}

// notComplete are the cells that do not prove anything gone. A service that is
// not there has nothing to be read and is no gap.
func notComplete(cells []store.Cell) []store.Cell {
	var out []store.Cell
	for _, c := range cells {
		if c.State != store.Complete && c.State != store.Unsupported {
			out = append(out, c)
		}
	}
	return out
}

// describe says in one line how a cell ended.
func describe(id store.CellID, o store.Outcome) string {
	where := id.Account
	if id.Region != "" {
		where += " " + id.Region
	}
	return fmt.Sprintf("%s %s: %s", where, id.Sync, reason(o))
}

func reason(o store.Outcome) string {
	text := string(o.State)
	for _, more := range []string{o.Action, o.Code} {
		if more != "" {
			text += " " + more
		}
	}
	if o.Message != "" && o.State != store.Denied {
		text += " (" + quote(o.Message) + ")"
	}
	return text
}

// remedy is what the user can do about a cell.
func remedy(o store.Outcome) string {
	switch {
	case (o.State == store.Denied || o.State == store.Partial && strings.Contains(o.Code, "Denied")) && o.Action != "":
		return "allow " + o.Action + ", then collect --resume"
	case strings.HasPrefix(o.Code, "Expired"), o.Code == "Credentials", o.Code == "InvalidClientTokenId", o.Code == "UnrecognizedClientException":
		return "renew the credentials (aws sso login), then collect --resume"
	case o.Code == "CellTimeout":
		return "collect --resume with a longer --cell-timeout"
	case o.Code == "Throttled":
		return "collect --resume when less else is going on in the account, or with --max-rps"
	case o.Code == "Panic":
		return "this is a mistake in snap: please report it"
	case o.State == store.Skipped, o.State == store.Failed, o.State == store.Partial:
		return "collect --resume"
	}
	return ""
}

// quote keeps what comes from elsewhere from steering the terminal.
func quote(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 {
			return '�'
		}
		return r
	}, s)
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
