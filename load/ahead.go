package load

import (
	"context"
	"sync/atomic"
)

// planAhead has the server plan, on a connection of its own, what the analysis
// will ask, while the nodes are written: to plan takes a server that was just
// started longer than to write a small estate, and one processor. The plans are
// kept by their text and the types of their parameters. Who asks one of the
// statements meanwhile waits for its plan, which the server would else make
// twice. The returned function ends it.
func (l *loader) planAhead(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	all := l.foreseen()
	made := map[string]chan struct{}{}
	for _, s := range all {
		made[s.cypher] = make(chan struct{})
	}
	l.graph.plans.Store(&made)
	done := make(chan struct{})
	go func() {
		defer close(done)
		failed := false
		for _, s := range all {
			// What fails here fails there too, and is told there.
			failed = failed || l.graph.explainOnly(ctx, s) != nil
			close(made[s.cypher])
		}
	}()
	return func() { cancel(); <-done; l.graph.plans.Store(nil) }
}

// plans are the statements that are being planned, by their text; closed once
// they are.
type plans struct {
	atomic.Pointer[map[string]chan struct{}]
}

// planned waits until a statement that is being planned is.
func (g *Graph) planned(ctx context.Context, cypher string) {
	made := g.plans.Load()
	if made == nil || (*made)[cypher] == nil {
		return
	}
	select {
	case <-(*made)[cypher]:
	case <-ctx.Done():
	}
}

// foreseen are the statements of the analysis, in their order, each once.
func (l *loader) foreseen() []statement {
	var all []statement
	seen := map[string]bool{}
	add := func(cypher string, params map[string]any) {
		if !seen[cypher] {
			seen[cypher] = true
			all = append(all, statement{cypher, params})
		}
	}
	for _, j := range l.o.Jobs {
		for _, account := range l.plan.scopes(j) {
			if cell, _ := l.plan.hinders(j, account); cell == "" {
				for _, cypher := range l.cyphers(j) {
					add(cypher, l.jobParams(account))
				}
			}
		}
	}
	for _, account := range l.plan.accounts {
		of := map[string]any{"account": account}
		tagged := map[string]any{"account": account, "tag": l.tag}
		for _, p := range l.o.Permissions {
			syncs, ok := l.reads(p)
			if !ok {
				continue
			}
			if cell, _ := l.plan.hinders(Job{Reads: syncs}, account); cell != "" {
				continue
			}
			add(l.holders(), of)
			add(l.held(), of)
			add(l.targets(p), tagged)
			add(l.mayText(p), with(tagged, []entry{}))
			if l.nodesBefore > 0 {
				add(p.mayNot(), tagged)
			}
		}
	}
	return all
}
