package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"snap/store"
)

// One account with very many waiting gets no more places than one with few.
func TestGateIsFair(t *testing.T) {
	g := newGate(1)
	if err := g.enter(t.Context(), "big"); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var order []string
	var all sync.WaitGroup
	wait := func(account string, n int) {
		for range n {
			all.Go(func() {
				if err := g.enter(t.Context(), account); err != nil {
					t.Error(err)
				}
				mu.Lock()
				order = append(order, account)
				mu.Unlock()
				g.leave()
			})
		}
	}
	waiting := func(account string, n int) {
		for {
			g.mu.Lock()
			have := len(g.waiting[account])
			g.mu.Unlock()
			if have == n {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}
	wait("big", 50)
	waiting("big", 50)
	wait("small", 3)
	waiting("small", 3)
	g.leave()
	all.Wait()
	last := 0
	for i, account := range order {
		if account == "small" {
			last = i
		}
	}
	if len(order) != 53 || last > 6 {
		t.Errorf("the small account's last request was number %d of %d; want it among the first 7", last+1, len(order))
	}
}

// A place goes to nobody who no longer waits, and none gets lost.
func TestGateForgetsWhoLeft(t *testing.T) {
	g := newGate(2)
	for range 2 {
		if err := g.enter(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for i := range 40 {
		all.Go(func() {
			if g.enter(ctx, fmt.Sprint(i%3)) == nil {
				g.leave()
			}
		})
	}
	time.Sleep(5 * time.Millisecond)
	all.Go(g.leave)
	stop()
	all.Wait()
	g.leave()
	if g.admit(); g.places != 2 {
		t.Errorf("%d places are free; want 2", g.places)
	}
}

func TestBucketsSlowDownAndRecover(t *testing.T) {
	var b buckets
	k := bucketKey{"111111111111", "us-east-1", "ec2", "DescribeVpcs"}
	full := limitOf("ec2", "DescribeVpcs")
	for range 20 { // under way together: one reason
		b.throttled(k)
	}
	one := b.own(k)
	if got := one.limiter.Limit(); got != full.refill/2 || one.limiter.Burst() != 1 {
		t.Errorf("after throttling %v a second, burst %d; want half of %v, and 1", got, one.limiter.Burst(), full.refill)
	}
	if other := b.own(bucketKey{"222222222222", "us-east-1", "ec2", "DescribeVpcs"}); other.limiter.Limit() != full.refill {
		t.Error("another account is slowed down too")
	}
	for range 3 {
		one.slowed = time.Now().Add(-3 * time.Second)
		if err := b.wait(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	if one.limiter.Limit() != full.refill || one.limiter.Burst() != full.burst || !one.slowed.IsZero() {
		t.Errorf("recovered to %v a second, burst %d; want %v", one.limiter.Limit(), one.limiter.Burst(), full)
	}
}

// What is throttled for longer than the patience is not waited for by each in
// its turn.
func TestThrottledForGood(t *testing.T) {
	var b buckets
	k := bucketKey{"111111111111", "us-east-1", "ec2", "DescribeVpcs"}
	b.throttled(k)
	if _, err := b.hopeless(k, time.Minute); err != nil {
		t.Errorf("given up at once: %v", err)
	}
	one := b.own(k)
	one.since = time.Now().Add(-2 * time.Minute)
	one.probed = time.Now()
	var gaveUp *errThrottled
	if _, err := b.hopeless(k, time.Minute); !errors.As(err, &gaveUp) {
		t.Errorf("error %v; want it given up", err)
	}
	one.probed = time.Now().Add(-time.Minute)
	if probe, err := b.hopeless(k, time.Minute); err != nil || !probe {
		t.Errorf("%v, %v; want one request let through", probe, err)
	}
	b.answered(k)
	if probe, err := b.hopeless(k, time.Minute); err != nil || probe {
		t.Errorf("%v, %v after an answer; want all let through", probe, err)
	}
}

func TestLimitsShareAndBound(t *testing.T) {
	b := buckets{most: 3}
	if n := len(b.of(bucketKey{"1", "us-east-1", "lambda", "ListFunctions"})); n != 3 {
		t.Errorf("%d buckets for lambda:ListFunctions; want its own, the control plane's and the account's", n)
	}
	if n := len(b.of(bucketKey{"1", "us-east-1", "lambda", "GetFunction"})); n != 2 {
		t.Errorf("%d buckets for lambda:GetFunction; want its own and the account's", n)
	}
	began := time.Now()
	for i := range 6 { // three at once, then three a second
		if err := b.wait(t.Context(), bucketKey{"1", "us-east-1", "ec2", fmt.Sprint("Describe", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if took := time.Since(began); took < 900*time.Millisecond {
		t.Errorf("6 requests at 3 a second took %s", took)
	}
	for key, l := range limits {
		if l.burst < 1 || l.refill <= 0 {
			t.Errorf("limit of %q: %+v", key, l)
		}
	}
}

func TestSilences(t *testing.T) {
	var s silences
	for range enoughSilence {
		if err := s.check("eu-west-1", "ec2"); err != nil {
			t.Errorf("given up too early: %v", err)
		}
		s.note("eu-west-1", "ec2", false, true)
	}
	for _, service := range []string{"ec2", "rds"} { // nothing of the region was ever answered
		if s.check("eu-west-1", service) == nil {
			t.Errorf("%s is still asked", service)
		}
	}
	if err := s.check("us-east-1", "ec2"); err != nil {
		t.Errorf("another region: %v", err)
	}
	s.note("eu-west-1", "rds", true, false)
	if err := s.check("eu-west-1", "rds"); err != nil {
		t.Errorf("the region has answered: %v", err)
	}
	if s.check("eu-west-1", "ec2") == nil {
		t.Error("the service in it has not")
	}
}

// Retries count for one request; being throttled does not count.
func TestRetries(t *testing.T) {
	coded := func(code string) error { return &smithy.GenericAPIError{Code: code} }
	q := &request{began: time.Now()}
	ctx := context.WithValue(t.Context(), requestKey{}, q)
	r := newRetryer(2, time.Minute)
	for range 10 {
		if _, err := r.GetRetryToken(ctx, coded("ThrottlingException")); err != nil {
			t.Fatalf("throttled: %v", err)
		}
	}
	for i, want := range []bool{true, true, false} {
		if _, err := r.GetRetryToken(ctx, coded("InternalError")); (err == nil) != want {
			t.Errorf("repetition %d: %v; want it allowed: %v", i+1, err, want)
		}
	}
	q.began = time.Now().Add(-2 * time.Minute)
	if _, err := r.GetRetryToken(ctx, coded("ThrottlingException")); err == nil {
		t.Error("throttled for longer than the patience, and repeated")
	}
	for code, want := range map[string]bool{"AccessDenied": false, "ExpiredToken": true, "SlowDown": true, "NoSuchBucket": false, "RequestTimeout": true} {
		if got := r.IsErrorRetryable(coded(code)); got != want {
			t.Errorf("%s is repeated: %v; want %v", code, got, want)
		}
	}
	for attempt, most := range map[int]time.Duration{1: 100 * time.Millisecond, 4: 800 * time.Millisecond, 40: longestPause} {
		if got, err := r.RetryDelay(attempt, coded("InternalError")); err != nil || got > most || got < most/2 {
			t.Errorf("pause after attempt %d: %s, %v; want %s or down to half", attempt, got, err, most)
		}
	}
}

type keys struct{ key string }

func (k keys) Retrieve(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: k.key, SecretAccessKey: "secret"}, nil
}

// Refused credentials are replaced once, by what the profile gives anew.
func TestRenewal(t *testing.T) {
	loads, next := 0, "new"
	c := &credentials{current: keys{"old"}, load: func(context.Context) (aws.CredentialsProvider, error) {
		loads++
		return keys{next}, nil
	}}
	old := aws.Credentials{AccessKeyID: "old"}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if !c.renew(t.Context(), old) {
				t.Error("not renewed")
			}
		})
	}
	all.Wait()
	if got, err := c.Retrieve(t.Context()); err != nil || got.AccessKeyID != "new" || loads != 1 {
		t.Errorf("credentials %s, %v after %d loads; want the new ones after one", got.AccessKeyID, err, loads)
	}
	for range 5 { // the profile has no others
		if c.renew(t.Context(), aws.Credentials{AccessKeyID: "new"}) {
			t.Error("renewed by the same")
		}
	}
	if loads != 2 {
		t.Errorf("the profile was read %d times; want 2", loads)
	}
}

// Who gives credentials may hang: nobody waits for it longer than for an answer.
func TestRenewalHangs(t *testing.T) {
	c := &credentials{current: keys{"old"}, timeout: 20 * time.Millisecond, load: func(ctx context.Context) (aws.CredentialsProvider, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	began := time.Now()
	for range 3 { // the others do not try again at once
		if c.renew(t.Context(), aws.Credentials{AccessKeyID: "old"}) {
			t.Error("renewed by nothing")
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("waited %s", took)
	}
}

// A service that is not there is asked once, and only that service, there.
func TestAbsences(t *testing.T) {
	var a absences
	k := bucketKey{"111111111111", "eu-west-1", "rds", "DescribeDBInstances"}
	a.note(k, &smithy.GenericAPIError{Code: "AccessDenied"})
	if err := a.check(k); err != nil {
		t.Errorf("what is denied is taken for not there: %v", err)
	}
	a.note(k, &smithy.GenericAPIError{Code: "OptInRequired"})
	k.operation = "DescribeDBClusters"
	if err := a.check(k); err == nil || meaning(nil, err).State != store.Unsupported {
		t.Errorf("another operation of it: %v; want it unsupported", err)
	}
	for _, other := range []bucketKey{{"111111111111", "eu-west-1", "ec2", "x"}, {"111111111111", "us-east-1", "rds", "x"}, {"222222222222", "eu-west-1", "rds", "x"}} {
		if err := a.check(other); err != nil {
			t.Errorf("%v: %v", other, err)
		}
	}
}

// Big answers are read a few at a time, small ones freely.
func TestBigAnswersWaitForEachOther(t *testing.T) {
	g := newGate(2)
	var reading, most atomic.Int32
	var all sync.WaitGroup
	for i := range 12 {
		size := 64 << 10
		if i%2 == 0 {
			size = 4 * bigAnswer
		}
		all.Go(func() {
			place := &bigPlace{enter: func() error {
				err := g.enter(t.Context(), "a")
				most.Store(max(most.Load(), reading.Add(1)))
				time.Sleep(time.Millisecond)
				return err
			}}
			n, err := io.Copy(io.Discard, &bigBody{ReadCloser: io.NopCloser(io.LimitReader(zeros{}, int64(size))), place: place, left: bigAnswer})
			if int(n) != size || err != nil || place.held != (size > bigAnswer) {
				t.Errorf("%d of %d bytes, %v, a place: %v", n, size, err, place.held)
			}
			if place.held {
				reading.Add(-1)
				g.leave()
			}
		})
	}
	all.Wait()
	if most.Load() > 2 || g.places != 2 {
		t.Errorf("%d were read at once, %d places are free; want 2", most.Load(), g.places)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
