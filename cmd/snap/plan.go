package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"snap/collect"
	"snap/collect/aws/api"
	"snap/collect/aws/session"
	"snap/store"
)

// usualLatency is what an AWS call takes from somewhere near.
const usualLatency = 100 * time.Millisecond

// runPlan says what a collection would read. Of AWS it asks who the accounts
// are and which regions they have.
func runPlan(ctx context.Context, out *terminal, o session.Options, like string) error {
	var earlier *store.Manifest
	if like != "" {
		snap, err := store.Open(like)
		if err != nil {
			return err
		}
		defer snap.Close()
		earlier = &snap.Manifest
	}
	estate, err := session.Discover(ctx, o)
	if err != nil {
		return interrupted(ctx, err)
	}
	var tasks []collect.Task
	disabled := map[string]int{}
	for _, t := range estate.Tasks() {
		if t.Settled != nil { // costs nothing
			disabled[t.ID.Account]++
			continue
		}
		tasks = append(tasks, t)
	}
	e := estimate(tasks, earlier, o.Settings)

	w := tabwriter.NewWriter(out.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "account\tname\tregions\tcells\tcalls")
	for _, a := range estate.Accounts {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\n", a.ID, a.Name, len(a.Regions), e.cells[a.ID], e.calls[a.ID])
	}
	_ = w.Flush() // to the terminal
	for _, a := range estate.Accounts {
		fmt.Fprintf(out.out, "\n%s: %s", a.ID, strings.Join(a.Regions, ", "))
		if n := disabled[a.ID]; n > 0 {
			fmt.Fprintf(out.out, " (%s not asked: their region is not enabled, or the regions could not be listed)", count(n, "cell"))
		}
	}
	fmt.Fprintf(out.out, "\n\nsyncs: %s\n\noperations:\n", strings.Join(estate.Syncs(), ", "))
	for _, g := range session.Actions(o.Syncs, o.Without) {
		names := make([]string, len(g.Actions))
		for i, action := range g.Actions {
			_, names[i], _ = strings.Cut(action, ":")
		}
		fmt.Fprintf(out.out, "  %s: %s\n", g.Service, strings.Join(names, ", "))
	}
	fmt.Fprintf(out.out, "\nestimate: %s, some %s\n", count(e.total, "call"), e.took.Round(time.Second))
	if earlier == nil {
		fmt.Fprintln(out.out, "This counts one call for each operation of each cell. Listings have more pages and items more calls than a plan can\nknow: --like SNAPSHOT counts those of an earlier collection.")
	}
	for _, u := range estate.Unresolved {
		fmt.Fprintf(out.out, "\nprofile %s leads to no account: %s%s\n", u.Profile, quote(u.Error), arrow(quote(u.Remedy)))
	}
	for _, note := range estate.Notes {
		fmt.Fprintf(out.out, "\n%s\n", note)
	}
	if len(estate.Unresolved) > 0 {
		return &exit{code: exitIncomplete}
	}
	return nil
}

// estimated is what a collection would take.
type estimated struct {
	cells, calls map[string]int // by account
	total        int
	took         time.Duration
}

// estimate takes a cell's calls and time from the same cell of an earlier
// snapshot, else from the mean of its sync's cells there, else from the number
// of the sync's operations. The longest cell bounds the time, and so do the
// places and the bound of an account.
func estimate(tasks []collect.Task, earlier *store.Manifest, s session.Settings) estimated {
	type cost struct {
		calls int
		took  time.Duration
	}
	same := map[store.CellID]cost{}
	bySync := map[string][]cost{}
	if earlier != nil {
		for _, c := range earlier.Cells {
			if c.State == store.Complete {
				known := cost{c.Calls, c.Finished.Sub(c.Started)}
				same[c.CellID] = known
				bySync[c.Sync] = append(bySync[c.Sync], known)
			}
		}
	}
	e := estimated{cells: map[string]int{}, calls: map[string]int{}}
	for _, t := range tasks {
		c, known := same[t.ID]
		if !known {
			if others := bySync[t.ID.Sync]; len(others) > 0 {
				for _, o := range others {
					c.calls, c.took = c.calls+o.calls, c.took+o.took
				}
				c.calls, c.took = (c.calls+len(others)-1)/len(others), c.took/time.Duration(len(others))
			} else {
				c.calls = len(api.Find(t.ID.Sync).Calls)
				c.took = time.Duration(c.calls) * usualLatency
			}
		}
		e.cells[t.ID.Account]++
		e.calls[t.ID.Account] += c.calls
		e.total += c.calls
		e.took = max(e.took, c.took)
	}
	e.took = max(e.took, time.Duration(e.total)*usualLatency/time.Duration(s.Concurrency))
	if s.MaxRPS > 0 {
		for _, calls := range e.calls {
			e.took = max(e.took, time.Duration(float64(calls)/s.MaxRPS*float64(time.Second)))
		}
	}
	return e
}

// byService are the calls of each service.
func byService(used []session.Usage) map[string]int {
	calls := map[string]int{}
	for _, u := range used {
		calls[u.Service] += u.Calls
	}
	return calls
}

// busiest are the services, those with the most calls first: "iam 535, s3 507".
func busiest(used []session.Usage) string {
	calls := byService(used)
	services := slices.SortedFunc(maps.Keys(calls), func(a, b string) int { return cmp.Or(calls[b]-calls[a], strings.Compare(a, b)) })
	var texts []string
	for _, s := range services {
		texts = append(texts, fmt.Sprintf("%s %d", s, calls[s]))
	}
	return strings.Join(texts, ", ")
}
