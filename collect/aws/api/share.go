package api

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Shared is a question to the API whose answer several syncs read, such as the
// instances that there are. A run asks it once in each account and region.
type Shared[T any] struct {
	ask     func(context.Context, aws.Config) (T, error)
	readers []string
}

// Share declares a question and the syncs that read its answer; each of them
// lists its calls. Ask returns what it read also where it returns an error.
func Share[T any](ask func(context.Context, aws.Config) (T, error), readers ...string) *Shared[T] {
	return &Shared[T]{ask, readers}
}

// Read asks, or takes what another cell of the account and region was answered:
// the error too, which thus becomes that of every cell that reads it. The
// answer belongs to all readers: none may change it. The requests count for the
// cell that came first.
func (s *Shared[T]) Read(ctx context.Context, at *Cell) (T, error) {
	if at.Answers == nil { // a cell on its own
		return s.ask(ctx, at.Config)
	}
	if !slices.Contains(s.readers, at.Sync) {
		panic(fmt.Sprintf("aws: sync %q reads an answer that is shared by %q", at.Sync, s.readers))
	}
	key := answerKey{s, at.Region}
	for {
		a, first := at.Answers.take(key, s.readers, at.Sync)
		if first {
			at.Answers.settle(ctx, key, a, func() (any, error) { return s.ask(ctx, at.Config) })
		}
		select {
		case <-a.done:
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
		if first || !a.abandoned {
			value, _ := a.value.(T)
			return value, a.err
		}
	}
}

// Answers hold the shared answers of one account while a cell that is yet to
// come will read them.
type Answers struct {
	syncs []string
	mu    sync.Mutex
	held  map[answerKey]*answer
}

// NewAnswers makes the Answers of an account; syncs are those that the run
// collects there.
func NewAnswers(syncs []string) *Answers {
	return &Answers{syncs: syncs, held: map[answerKey]*answer{}}
}

type answerKey struct {
	question any // the *Shared
	region   string
}

type answer struct {
	done      chan struct{} // closed when what follows is settled
	value     any
	err       error
	abandoned bool // who asked was stopped: this answers nobody else

	unread []string // the syncs of the run that have not come for it; under Answers.mu
}

// take finds the answer for a reader, or makes it for the first one to settle.
// With the last reader of the run it is let go.
func (n *Answers) take(key answerKey, readers []string, reader string) (a *answer, first bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	a, ok := n.held[key]
	if !ok {
		a = &answer{done: make(chan struct{})}
		for _, r := range readers {
			if slices.Contains(n.syncs, r) {
				a.unread = append(a.unread, r)
			}
		}
		n.held[key] = a
	}
	a.unread = slices.DeleteFunc(a.unread, func(r string) bool { return r == reader })
	if len(a.unread) == 0 {
		delete(n.held, key)
	}
	return a, !ok
}

// settle asks. A panic or the end of ctx is the asker's own: the others ask
// again.
func (n *Answers) settle(ctx context.Context, key answerKey, a *answer, ask func() (any, error)) {
	a.abandoned = true
	defer func() {
		if a.abandoned {
			n.mu.Lock()
			if n.held[key] == a {
				delete(n.held, key)
			}
			n.mu.Unlock()
		}
		close(a.done)
	}()
	a.value, a.err = ask()
	a.abandoned = a.err != nil && ctx.Err() != nil
}
