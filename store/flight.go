package store

import "sync"

// flight lets callers that come at the same time share one run of what they all
// need, such as a flush to disk: who comes while one is under way is served by
// the next, since that one may have begun before what the caller wrote.
type flight struct {
	mu    sync.Mutex
	next  *result
	turns sync.Mutex // held while one is under way
}

type result struct {
	done chan struct{}
	err  error
}

// do returns what a run of f returned that began after do was called. All
// callers give the same f.
func (s *flight) do(f func() error) error {
	s.mu.Lock()
	r := s.next
	first := r == nil
	if first {
		r = &result{done: make(chan struct{})}
		s.next = r
	}
	s.mu.Unlock()
	if !first {
		<-r.done
		return r.err
	}
	s.turns.Lock()
	s.mu.Lock()
	s.next = nil // who comes from here on is too late for this one
	s.mu.Unlock()
	r.err = f()
	s.turns.Unlock()
	close(r.done)
	return r.err
}
