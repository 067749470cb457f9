package api

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// Cells of an account and region ask once, whoever comes first, and share what
// came of it; the answer goes with its last reader.
func TestShared(t *testing.T) {
	denied := errors.New("denied")
	var asked atomic.Int64
	question := Share(func(_ context.Context, cfg aws.Config) (string, error) {
		asked.Add(1)
		return cfg.Region, denied
	}, "a", "b", "not run")
	one, two := NewAnswers([]string{"a", "b", "other"}), NewAnswers([]string{"a", "b", "other"})
	var cells []*Cell
	for _, answers := range []*Answers{one, two} { // two accounts
		for _, region := range []string{"r1", "r2"} {
			for _, sync := range []string{"a", "b"} {
				cells = append(cells, &Cell{Region: region, Sync: sync, Answers: answers, Config: aws.Config{Region: region}})
			}
		}
	}
	var wg sync.WaitGroup
	for _, at := range cells {
		wg.Go(func() {
			if got, err := question.Read(context.Background(), at); got != at.Region || err != denied {
				t.Errorf("%s in %s reads %q, %v", at.Sync, at.Region, got, err)
			}
		})
	}
	wg.Wait()
	if asked.Load() != 4 {
		t.Errorf("asked %d times, want once in each of two regions of two accounts", asked.Load())
	}
	if len(one.held)+len(two.held) != 0 {
		t.Errorf("%d answers are kept that nobody will read", len(one.held)+len(two.held))
	}

	alone := &Cell{Region: "r3", Sync: "a", Config: aws.Config{Region: "r3"}}
	if got, err := question.Read(context.Background(), alone); got != "r3" || err != denied || asked.Load() != 5 {
		t.Errorf("a cell on its own reads %q, %v", got, err)
	}
}

// A sync that did not declare that it reads an answer would get one that may
// be gone.
func TestSharedWithOthers(t *testing.T) {
	question := Share(func(context.Context, aws.Config) (int, error) { return 1, nil }, "a")
	defer func() {
		if recover() == nil {
			t.Error("a sync that is no reader read the answer")
		}
	}()
	_, _ = question.Read(context.Background(), &Cell{Sync: "b", Answers: NewAnswers([]string{"a", "b"})})
}

// One that was stopped while it asked, or panicked, does not speak for others.
func TestSharedAskerStops(t *testing.T) {
	for _, panics := range []bool{false, true} {
		begun, goOn := make(chan struct{}), make(chan struct{})
		var mu sync.Mutex
		var results []int
		question := Share(func(ctx context.Context, _ aws.Config) (int, error) {
			mu.Lock()
			results = append(results, len(results))
			n := len(results)
			mu.Unlock()
			if n > 1 {
				return n, nil
			}
			close(begun)
			<-goOn
			if panics {
				panic("a mistake")
			}
			return 0, ctx.Err()
		}, "a", "b")
		answers := NewAnswers([]string{"a", "b"})
		ctx, stop := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		wg.Go(func() {
			defer func() {
				if (recover() != nil) != panics {
					t.Errorf("the panic was not the asker's own")
				}
			}()
			if _, err := question.Read(ctx, &Cell{Sync: "a", Answers: answers}); !errors.Is(err, context.Canceled) {
				t.Errorf("stopped, and read %v", err)
			}
		})
		<-begun
		wg.Go(func() {
			if got, err := question.Read(context.Background(), &Cell{Sync: "b", Answers: answers}); got != 2 || err != nil {
				t.Errorf("read %d, %v of one that was stopped", got, err)
			}
		})
		if !panics {
			stop()
		}
		close(goOn)
		wg.Wait()
		stop()
		if !slices.Equal(results, []int{0, 1}) {
			t.Errorf("asked %d times, want twice", len(results))
		}
	}
}

// One that waits for another's answer can be stopped.
func TestSharedWaiterStops(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	question := Share(func(context.Context, aws.Config) (int, error) { close(begun); <-goOn; return 1, nil }, "a", "b")
	answers := NewAnswers([]string{"a", "b"})
	var wg sync.WaitGroup
	wg.Go(func() {
		if got, err := question.Read(context.Background(), &Cell{Sync: "a", Answers: answers}); got != 1 || err != nil {
			t.Errorf("read %d, %v", got, err)
		}
	})
	<-begun
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := question.Read(ctx, &Cell{Sync: "b", Answers: answers}); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped, and read %v", err)
	}
	close(goOn)
	wg.Wait()
}
