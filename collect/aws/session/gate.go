package session

import (
	"context"
	"sync"
)

// gate lets so many requests through at once. Who waits for it takes turns by
// account: one with thousands of requests waiting gets as many places as one
// with a few.
type gate struct {
	mu      sync.Mutex
	places  int // free
	waiting map[string][]*waiter
	turns   []string // the accounts that wait, next first
}

type waiter struct {
	ready chan struct{} // closed when it has its place
	gone  bool          // no longer wants one
}

func newGate(places int) *gate {
	return &gate{places: places, waiting: map[string][]*waiter{}}
}

// enter waits for a place, which leave gives back. Without an error the caller
// has it.
func (g *gate) enter(ctx context.Context, account string) error {
	g.mu.Lock()
	if g.places > 0 && len(g.turns) == 0 {
		g.places--
		g.mu.Unlock()
		return nil
	}
	w := &waiter{ready: make(chan struct{})}
	if len(g.waiting[account]) == 0 {
		g.turns = append(g.turns, account)
	}
	g.waiting[account] = append(g.waiting[account], w)
	g.mu.Unlock()
	select {
	case <-w.ready:
		return nil
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-w.ready: // given at the same moment
		g.places++
		g.admit()
	default:
		w.gone = true
	}
	return ctx.Err()
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.places++
	g.admit()
}

// admit gives the free places to those whose turn it is.
func (g *gate) admit() {
	for g.places > 0 && len(g.turns) > 0 {
		account := g.turns[0]
		g.turns = g.turns[1:]
		queue := g.waiting[account]
		for len(queue) > 0 && queue[0].gone {
			queue = queue[1:]
		}
		if len(queue) > 0 {
			g.places--
			close(queue[0].ready)
			queue = queue[1:]
		}
		if len(queue) == 0 {
			delete(g.waiting, account)
			continue
		}
		g.waiting[account] = queue
		g.turns = append(g.turns, account)
	}
}

// gates are a gate for each of the services' hosts.
type gates struct {
	each int // places
	mu   sync.Mutex
	all  map[string]*gate
}

func (g *gates) of(host string) *gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	found := g.all[host]
	if found == nil {
		found = newGate(g.each)
		if g.all == nil {
			g.all = map[string]*gate{}
		}
		g.all[host] = found
	}
	return found
}
