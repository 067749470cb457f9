package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"snap/store"
)

// Scope is over what a job runs.
type Scope string

// The scopes.
const (
	PerAccount Scope = "account" // once for each account of the snapshot: $account
	Estate     Scope = "estate"  // once for everything
)

// Job is an analysis: what follows in the graph from what was loaded, such as
// exposure to the internet. It runs only where every cell of the syncs that it
// reads is complete; elsewhere what it last found stays.
//
// Its Cypher has the parameters $tag and $UPDATE_TAG (both the update tag),
// $account (the account, null for the estate) and $accounts (those of the
// snapshot). All of it runs in one transaction, so that nobody sees a graph
// between Reset and Set, and in several accounts at the same time. Relationships
// that it merges need firstseen on creation and lastupdated = $tag; Clean deletes
// those with another lastupdated. In a graph that was empty there is nothing to
// forget: Reset and Clean are left out, each of which would cost the server a
// plan.
type Job struct {
	Name  string   `json:"name"`
	Doc   string   `json:"doc"`   // one sentence: what it finds
	Reads []string `json:"reads"` // syncs
	Scope Scope    `json:"scope"`
	Reset []string `json:"reset,omitempty"` // Cypher that forgets what the job found before
	Set   []string `json:"set"`             // Cypher that finds it anew
	Clean []string `json:"clean,omitempty"` // Cypher that deletes the relationships that Set did not merge again
}

// analyse runs the jobs in order, each in several accounts at the same time.
func (l *loader) analyse(ctx context.Context) error {
	for _, j := range l.o.Jobs {
		l.phase("analysis", j.Name)
		scopes := l.plan.scopes(j)
		reports := make([]JobReport, len(scopes))
		err := l.together(ctx, len(scopes), func(ctx context.Context, i int) error {
			r := JobReport{Name: j.Name, Account: scopes[i]}
			r.Cell, r.State = l.plan.hinders(j, r.Account)
			if r.Cell == "" {
				r.Ran = true
				started := time.Now()
				if err := l.runJob(ctx, j, r.Account); err != nil {
					return fmt.Errorf("analysis %s: %w", j.Name, err)
				}
				r.Seconds = time.Since(started).Seconds()
			}
			reports[i] = r
			return nil
		})
		if err != nil {
			return err
		}
		l.report.Analysis = append(l.report.Analysis, reports...)
	}
	return nil
}

// together does something for each of n, as many at the same time as there may
// be batches; that for which the server lacked the memory again, alone. After
// another error it begins no more.
func (l *loader) together(ctx context.Context, n int, do func(ctx context.Context, i int) error) error {
	alone := make([]bool, n)
	g, within := errgroup.WithContext(ctx)
	g.SetLimit(max(1, l.o.Writers))
	for i := range n {
		g.Go(func() error {
			if within.Err() != nil {
				return within.Err()
			}
			err := do(within, i)
			var large *tooLarge
			if alone[i] = errors.As(err, &large); alone[i] {
				return nil
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, again := range alone {
		if again {
			if err := do(ctx, i); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *loader) runJob(ctx context.Context, j Job, account string) error {
	if l.o.DryRun {
		return nil
	}
	var all []statement
	for _, cypher := range l.cyphers(j) {
		all = append(all, statement{cypher, l.jobParams(account)})
	}
	_, _, err := l.graph.write(ctx, all...)
	return err
}

// cyphers are those of a job that have something to do in this graph.
func (l *loader) cyphers(j Job) []string {
	if l.nodesBefore == 0 {
		return j.Set
	}
	return slices.Concat(j.Reset, j.Set, j.Clean)
}

func (l *loader) jobParams(account string) map[string]any {
	params := map[string]any{"tag": l.tag, "UPDATE_TAG": l.tag, "account": nil, "accounts": l.plan.accounts}
	if account != "" {
		params["account"] = account
	}
	return params
}

// scopes are the accounts that a job runs for; "" is the estate.
func (p *plan) scopes(j Job) []string {
	if j.Scope == PerAccount {
		return p.accounts
	}
	return []string{""}
}

// hinders is the first cell that the job reads and that is not complete, empty
// where there is none. A sync without any cell counts as an absent one; where
// the service does not exist there is nothing to read.
func (p *plan) hinders(j Job, account string) (cell string, state store.State) {
	accounts := p.accounts
	if account != "" {
		accounts = []string{account}
	}
	for _, account := range accounts {
		for _, sync := range j.Reads {
			some := false
			for _, id := range p.bySync[sync] {
				if id.Account == account {
					some = true
					if s := p.states[id.String()]; s != store.Complete && s != store.Unsupported {
						return id.String(), s
					}
				}
			}
			if !some {
				return store.CellID{Provider: "aws", Account: account, Region: "*", Sync: sync}.String(), absent
			}
		}
	}
	return "", ""
}
