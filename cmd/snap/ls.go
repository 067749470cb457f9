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
		fmt.Fprintf(out.out, "\nprofile %s leads to no account: %s%s\n", u.Profile, quote(u.Error), arrow(quote(u.Remedy)))
	}
	for _, group := range []struct {
		head string
		gaps []gap
	}{
		{"Not complete, so nothing of them will be deleted or called removed:", gapsOf(notComplete(m.Cells))},
		{"Not there for these accounts, and nothing of them will be deleted or called removed:", together(gapsOf(notThere(m.Cells)))},
	} {
		if len(group.gaps) > 0 {
			fmt.Fprintf(out.out, "\n%s\n", group.head)
		}
		printGaps(out, group.gaps)
	}
}

func printGaps(out *terminal, gaps []gap) {
	for _, g := range gaps {
		where := ""
		if len(g.Regions) > 0 {
			where = " in " + strings.Join(g.Regions, ", ")
		}
		fmt.Fprintf(out.out, "  %s %s%s: %s%s\n", g.Account, several(g.Syncs, "sync"), where, reason(g.Outcome), arrow(todo(g.Outcome)))
	}
}

// several names up to five things, and counts more.
func several(names []string, noun string) string {
	if len(names) > 5 {
		return strings.Join(names[:4], ", ") + fmt.Sprintf(" and %d more %ss", len(names)-4, noun)
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
}

// object is the gap as --log-format json tells it.
func (g gap) object() map[string]any {
	return map[string]any{"event": "gap", "account": g.Account, "syncs": g.Syncs, "regions": g.Regions, "cells": g.Cells,
		"state": g.State, "code": g.Code, "action": g.Action, "message": g.Message, "remedy": todo(g.Outcome)}
}

// gapsOf puts cells that are not complete together where they ended alike in
// one account.
func gapsOf(cells []store.Cell) []gap {
	type alike struct {
		account, sync string
		state         store.State
		code, action  string
		remedy        string
	}
	at := map[alike]int{}
	var gaps []gap
	for _, c := range cells {
		k := alike{c.Account, c.Sync, c.State, c.Code, c.Action, c.Remedy}
		if k.action == "" { // what stopped it has to do with the account or the region, not with the sync
			k.sync = ""
		}
		i, ok := at[k]
		if !ok {
			i = len(gaps)
			at[k] = i
			gaps = append(gaps, gap{Account: c.Account, Outcome: c.Outcome})
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

// notThere are the cells of regions and services that an account does not
// have, where something can be done about it.
func notThere(cells []store.Cell) []store.Cell {
	var out []store.Cell
	for _, c := range cells {
		if c.State == store.Unsupported && c.Remedy != "" {
			out = append(out, c)
		}
	}
	return out
}

// together puts the gaps of accounts that have the same ones into one.
func together(gaps []gap) []gap {
	var out []gap
	var accounts [][]string
	for _, g := range gaps {
		i := slices.IndexFunc(out, func(o gap) bool {
			return slices.Equal(o.Syncs, g.Syncs) && slices.Equal(o.Regions, g.Regions) && o.Code == g.Code && o.Action == g.Action && o.Remedy == g.Remedy
		})
		if i < 0 {
			i, out, accounts = len(out), append(out, g), append(accounts, nil)
		}
		accounts[i] = append(accounts[i], g.Account)
		out[i].Account = several(accounts[i], "account")
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

// todo is what the user can do about a cell.
func todo(o store.Outcome) string {
	switch {
	case o.State == store.Unsupported:
		return o.Remedy
	case o.Remedy != "":
		return o.Remedy + ", then collect --resume"
	}
	return "collect --resume"
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
