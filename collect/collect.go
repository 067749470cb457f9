// Package collect runs the cells of a collection and writes how each ended. It
// knows no cloud: a provider plans the tasks and says what an error means.
package collect

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"snap/store"
	"snap/store/kind"
)

// Task is one cell to collect.
type Task struct {
	ID     store.CellID
	Tables []*kind.Table

	// Settled is the outcome of a cell that needs no collecting: its account
	// or region is known not to answer. Do is nil then.
	Settled *store.Outcome

	// Do puts the cell's rows into the sink and returns what it cost. A nil
	// error, with nothing lost in the sink, means that the cell was read whole.
	Do func(ctx context.Context, sink kind.Sink) (Cost, error)

	// Meaning tells what an error of Do means for the cell: its State is
	// Denied, Unsupported or Failed, and its Code, Action, Message and Remedy
	// are set.
	Meaning func(err error) store.Outcome
}

// Cost is what a cell took, in API requests.
type Cost struct{ Calls, Retries, Throttles int }

// Options bound a run.
type Options struct {
	// Concurrency is how many cells run at once; 0 means DefaultConcurrency.
	Concurrency int
	// PerSync is how many cells of one sync run at once; 0 means
	// DefaultPerSync. It bounds the memory: the cells of one sync are big at
	// the same moment.
	PerSync int
	// CellTimeout ends a cell that takes longer; 0 means DefaultCellTimeout.
	CellTimeout time.Duration
	// Now is the clock; nil means time.Now. Times go to the manifest only.
	Now func() time.Time
	// Ended is called after each cell, one call at a time.
	Ended func(store.CellID, store.Outcome, int64)
}

// DefaultConcurrency is how many cells run at once. A cell waits for the
// network or its rate limits nearly all its time; what bounds the requests is
// the provider's.
const DefaultConcurrency = 512

// DefaultPerSync is how many cells of one sync run at once. Those that wait
// for a rate limit, as IAM's do in every account, must not keep the others
// from waiting at the same time.
const DefaultPerSync = 128

// DefaultCellTimeout is how long a cell may take. It is there for what never
// ends, not for what is big: ten thousand requests at fifteen a second fit.
const DefaultCellTimeout = time.Hour

// errCellTimeout is the cause with which a cell's context ends.
type errCellTimeout struct{ after time.Duration }

func (e *errCellTimeout) Error() string {
	return fmt.Sprintf("the cell took longer than %s", e.after)
}

// Run collects the tasks and writes each cell to w. A cell's failure is its
// outcome and never Run's error: that is for what stops the run itself, such
// as a full disk. When ctx is cancelled the cells under way end as they are
// and the others as skipped; Run then returns ctx's error after writing them.
func Run(ctx context.Context, w *store.Writer, tasks []Task, o Options) error {
	if o.Concurrency == 0 {
		o.Concurrency = DefaultConcurrency
	}
	if o.PerSync == 0 {
		o.PerSync = DefaultPerSync
	}
	if o.CellTimeout == 0 {
		o.CellTimeout = DefaultCellTimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	var ended sync.Mutex
	var g errgroup.Group
	one := func(t Task) error {
		cell := w.Cell(t.ID)
		outcome := runTask(ctx, t, cell, o)
		rows := cell.Rows()
		if err := cell.Close(t.Tables, outcome); err != nil {
			return fmt.Errorf("%s: %w", t.ID, err)
		}
		if o.Ended != nil {
			ended.Lock()
			defer ended.Unlock()
			o.Ended(t.ID, outcome, rows)
		}
		return nil
	}
	next := newLine(Fair(tasks), o.PerSync)
	for range min(o.Concurrency, len(tasks)) {
		g.Go(func() error {
			for {
				t, ok := next.take()
				if !ok {
					return nil
				}
				err := one(t)
				next.ended(t)
				if err != nil {
					return err
				}
			}
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// Fair orders tasks so that the accounts take turns: a big account does not
// keep the others waiting.
func Fair(tasks []Task) []Task {
	turn := map[string]int{}
	type placed struct {
		Task
		turn int
	}
	order := make([]placed, len(tasks))
	for i, t := range tasks {
		order[i] = placed{t, turn[t.ID.Account]}
		turn[t.ID.Account]++
	}
	slices.SortStableFunc(order, func(a, b placed) int { return a.turn - b.turn })
	out := make([]Task, len(order))
	for i, p := range order {
		out[i] = p.Task
	}
	return out
}

// line gives out tasks in their order, but no more of one sync at once than
// each says: then those behind it come first.
type line struct {
	each int

	mu      sync.Mutex
	changed *sync.Cond
	waiting map[string][]int // by sync, in order: indices of tasks
	tasks   []Task
	left    int // not given out
	running map[string]int
}

func newLine(tasks []Task, each int) *line {
	l := &line{each: each, waiting: map[string][]int{}, tasks: tasks, left: len(tasks), running: map[string]int{}}
	l.changed = sync.NewCond(&l.mu)
	for i, t := range tasks {
		l.waiting[t.ID.Sync] = append(l.waiting[t.ID.Sync], i)
	}
	return l
}

// take waits for a task that may run; ok is false when all are given out.
func (l *line) take() (t Task, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.left > 0 {
		first := -1
		for sync, tasks := range l.waiting {
			if len(tasks) > 0 && l.running[sync] < l.each && (first < 0 || tasks[0] < first) {
				first = tasks[0]
			}
		}
		if first < 0 {
			l.changed.Wait()
			continue
		}
		t = l.tasks[first]
		l.waiting[t.ID.Sync] = l.waiting[t.ID.Sync][1:]
		l.running[t.ID.Sync]++
		if l.left--; l.left == 0 {
			l.changed.Broadcast()
		}
		return t, true
	}
	return t, false
}

func (l *line) ended(t Task) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running[t.ID.Sync]--
	l.changed.Broadcast()
}

func runTask(ctx context.Context, t Task, cell *store.CellWriter, o Options) store.Outcome {
	started := o.Now().UTC()
	var outcome store.Outcome
	switch {
	case t.Settled != nil:
		outcome = *t.Settled
	case ctx.Err() != nil:
		outcome = store.Outcome{State: store.Skipped, Message: "the run was stopped before this cell began"}
	default:
		bounded, cancel := context.WithTimeoutCause(ctx, o.CellTimeout, &errCellTimeout{o.CellTimeout})
		defer cancel()
		cost, err := guarded(bounded, t, cell)
		outcome = judge(t, err, cell.Losses(), cell.Rows())
		if outcome.State != store.Complete {
			cut(ctx, bounded, &outcome)
		}
		outcome.Calls, outcome.Retries, outcome.Throttles = cost.Calls, cost.Retries, cost.Throttles
	}
	outcome.Message = oneLine(outcome.Message)
	outcome.Started, outcome.Finished = started, o.Now().UTC()
	return outcome
}

// cut puts right the outcome of a cell that did not end by itself: what its
// requests say is that they were cancelled.
func cut(run, cell context.Context, o *store.Outcome) {
	var timeout *errCellTimeout
	switch {
	case run.Err() != nil:
		o.Code, o.Action, o.Message, o.Remedy = "Interrupted", "", "the run was stopped while this cell was under way", ""
		if o.State != store.Partial {
			o.State = store.Skipped
		}
	case errors.As(context.Cause(cell), &timeout):
		o.Code, o.Action, o.Message, o.Remedy = "CellTimeout", "", timeout.Error(), "use a longer --cell-timeout"
		if o.State != store.Partial {
			o.State = store.Failed
		}
	}
}

// judge makes the outcome of a cell from Do's error, what its sub-calls lost
// and whether there are rows.
func judge(t Task, err error, losses []error, rows int64) store.Outcome {
	switch {
	case err != nil:
		outcome := t.Meaning(err)
		outcome.Errors = 1 + len(losses)
		if rows > 0 {
			outcome.State = store.Partial
		}
		return outcome
	case len(losses) > 0:
		outcome := t.Meaning(losses[0])
		outcome.Errors = len(losses)
		outcome.State = store.Partial
		return outcome
	}
	return store.Outcome{State: store.Complete}
}

// Panicked is the error of a cell whose code panicked: a mistake in snap, which
// costs that cell and no other.
type Panicked struct {
	Value any
	Stack []byte
}

func (p *Panicked) Error() string { return fmt.Sprintf("panic: %v", p.Value) }

func guarded(ctx context.Context, t Task, cell *store.CellWriter) (cost Cost, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = errors.Join(&Panicked{v, debug.Stack()}, err)
		}
	}()
	return t.Do(ctx, cell)
}

// oneLine keeps messages to one line of bounded length.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	const most = 400
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
