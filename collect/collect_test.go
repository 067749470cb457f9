package collect

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"snap/store"
	"snap/store/kind"
)

type thing struct {
	ID   string  `snap:"id,key"`
	Name *string `snap:"name"`
}

var things = kind.Of[thing](kind.Table{Name: "thing", Label: "Thing"})

func init() {
	var r kind.Registry
	r.Register(&kind.Sync{Name: "things", Tables: []*kind.Table{things.Table}})
}

func task(account string, do func(context.Context, kind.Sink) (Cost, error)) Task {
	return Task{
		ID:     store.CellID{Provider: "aws", Account: account, Region: "us-east-1", Sync: "things"},
		Tables: []*kind.Table{things.Table},
		Do:     do,
		Meaning: func(err error) store.Outcome {
			state := store.Failed
			if strings.Contains(err.Error(), "denied") {
				state = store.Denied
			}
			return store.Outcome{State: state, Message: err.Error()}
		},
	}
}

// collected runs tasks into a snapshot and returns its cells by account.
func collected(t *testing.T, ctx context.Context, tasks []Task, o Options) (map[string]store.Cell, error) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "snap")
	w, err := store.Create(dir, store.Manifest{Program: "test", Started: time.Unix(1700000000, 0), Syncs: []string{"things"}, Accounts: accountsOf(tasks)})
	if err != nil {
		t.Fatal(err)
	}
	ran := Run(ctx, w, tasks, o)
	if _, err := w.Commit([]*kind.Table{things.Table}, time.Unix(1700000100, 0)); err != nil {
		t.Fatal(err)
	}
	snap, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	cells := map[string]store.Cell{}
	for _, c := range snap.Manifest.Cells {
		cells[c.Account] = c
	}
	return cells, ran
}

func accountsOf(tasks []Task) []store.Account {
	var out []store.Account
	seen := map[string]bool{}
	for _, t := range tasks {
		if !seen[t.ID.Account] {
			seen[t.ID.Account] = true
			out = append(out, store.Account{Provider: "aws", ID: t.ID.Account, Regions: []string{"us-east-1"}})
		}
	}
	return out
}

func put(s kind.Sink, n int) {
	for i := range n {
		things.Put(s, thing{ID: fmt.Sprint(i)})
	}
}

func TestOutcomes(t *testing.T) {
	settled := store.Outcome{State: store.Unsupported, Code: "RegionDisabled"}
	tasks := []Task{
		task("000000000001", func(_ context.Context, s kind.Sink) (Cost, error) { put(s, 3); return Cost{Calls: 2, Retries: 1}, nil }),
		task("000000000002", func(context.Context, kind.Sink) (Cost, error) { return Cost{Calls: 1}, errors.New("denied") }),
		task("000000000003", func(_ context.Context, s kind.Sink) (Cost, error) { put(s, 1); return Cost{}, errors.New("denied") }),
		task("000000000004", func(context.Context, kind.Sink) (Cost, error) { return Cost{}, errors.New("reset\nby peer") }),
		task("000000000005", func(_ context.Context, s kind.Sink) (Cost, error) {
			put(s, 2)
			s.Lose(errors.New("denied: policy"))
			s.Lose(errors.New("reset"))
			return Cost{}, nil
		}),
		task("000000000006", func(context.Context, kind.Sink) (Cost, error) {
			var none []int
			return Cost{}, fmt.Errorf("%d", none[3])
		}),
		task("000000000007", nil),
		task("000000000008", func(context.Context, kind.Sink) (Cost, error) { return Cost{}, nil }),
	}
	tasks[6].Settled = &settled
	cells, err := collected(t, t.Context(), tasks, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for account, want := range map[string]struct {
		state   store.State
		rows    int64
		errors  int
		message string
	}{
		"000000000001": {store.Complete, 3, 0, ""},
		"000000000002": {store.Denied, 0, 1, "denied"},
		"000000000003": {store.Partial, 1, 1, "denied"},
		"000000000004": {store.Failed, 0, 1, "reset by peer"},
		"000000000005": {store.Partial, 2, 2, "denied: policy"},
		"000000000006": {store.Failed, 0, 1, "panic: runtime error: index out of range"},
		"000000000007": {store.Unsupported, 0, 0, ""},
		"000000000008": {store.Complete, 0, 0, ""},
	} {
		got := cells[account]
		if got.State != want.state || got.Rows != want.rows || got.Errors != want.errors || !strings.HasPrefix(got.Message, want.message) {
			t.Errorf("%s: %s, %d rows, %d errors, %q; want %+v", account, got.State, got.Rows, got.Errors, got.Message, want)
		}
	}
	if got := cells["000000000001"]; got.Calls != 2 || got.Retries != 1 || got.Started.IsZero() || got.Finished.Before(got.Started) {
		t.Errorf("the cost is lost: %+v", got.Outcome)
	}
}

func TestStopSkipsWhatHasNotBegun(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var tasks []Task
	for i := range 20 {
		tasks = append(tasks, task(fmt.Sprintf("%012d", i), func(context.Context, kind.Sink) (Cost, error) { stop(); return Cost{}, nil }))
	}
	cells, err := collected(t, ctx, tasks, Options{Concurrency: 1})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Run returned %v; want the cancellation", err)
	}
	if cells["000000000000"].State != store.Complete || cells["000000000019"].State != store.Skipped {
		t.Errorf("first %s, last %s; want complete and skipped", cells["000000000000"].State, cells["000000000019"].State)
	}
}

// What is in line behind a sync that has its share runs meanwhile.
func TestSyncsShare(t *testing.T) {
	var tasks []Task
	for i := range 6 {
		id := task("000000000001", nil)
		id.ID.Region, id.ID.Sync = fmt.Sprint(i), []string{"heavy", "heavy", "heavy", "light", "light", "heavy"}[i]
		tasks = append(tasks, id)
	}
	l := newLine(tasks, 2)
	var got []string
	var given []Task
	take := func() {
		next, ok := l.take()
		if !ok {
			t.Fatal("nothing is left")
		}
		given = append(given, next)
		got = append(got, next.ID.Region)
	}
	for range 4 {
		take()
	}
	l.ended(given[0])
	take()
	l.ended(given[1])
	take()
	if text := strings.Join(got, " "); text != "0 1 3 4 2 5" {
		t.Errorf("the order is %s; want 0 1 3 4 2 5", text)
	}
	if next, ok := l.take(); ok {
		t.Errorf("%s is given out twice", next.ID)
	}
}

func TestConcurrencyIsBoundedAndFair(t *testing.T) {
	var running, most atomic.Int32
	var order []string
	var tasks []Task
	for i := range 30 {
		account := "000000000001"
		if i >= 27 {
			account = "000000000002" // the small account comes last, but need not wait
		}
		id := task(account, func(context.Context, kind.Sink) (Cost, error) {
			most.Store(max(most.Load(), running.Add(1)))
			time.Sleep(time.Millisecond)
			running.Add(-1)
			return Cost{}, nil
		})
		id.ID.Region = fmt.Sprintf("r-%d", i)
		tasks = append(tasks, id)
	}
	for _, task := range Fair(tasks) {
		order = append(order, task.ID.Account)
	}
	if got := strings.Join(order[:6], " "); strings.Count(got, "000000000002") != 3 {
		t.Errorf("the first six cells are of %s; want the accounts to take turns", got)
	}
	dir := filepath.Join(t.TempDir(), "snap")
	w, err := store.Create(dir, store.Manifest{Program: "test", Started: time.Unix(1700000000, 0), Accounts: accountsOf(tasks)})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := Run(t.Context(), w, tasks, Options{Concurrency: 3}); err != nil {
		t.Fatal(err)
	}
	if most.Load() > 3 || most.Load() < 2 {
		t.Errorf("%d cells ran at once; want 3", most.Load())
	}
}
