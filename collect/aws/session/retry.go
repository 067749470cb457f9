package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"snap/collect/aws/api"
)

// request is one API request with all its attempts. It travels in the context;
// the attempts come one after another, so nothing of it is locked.
type request struct {
	began     time.Time
	attempts  int
	repeats   int  // for other reasons than throttling
	refreshed bool // its credentials had expired and were renewed
	renew     func(ctx context.Context, used aws.Credentials) bool
	used      aws.Credentials // the last attempt's
}

type requestKey struct{}

// retryer repeats single requests, never listings. The SDK's own retry quota
// is left out: it is shared by all requests of a client, and one failing
// operation would use up the retries of the others.
type retryer struct {
	retries  int
	patience time.Duration
	pause    time.Duration // before the first repetition; it doubles. Throttled: five times as long
}

func newRetryer(retries int, patience time.Duration) *retryer {
	return &retryer{retries, patience, 100 * time.Millisecond}
}

const longestPause = 20 * time.Second

var (
	throttleCodes = retry.IsErrorThrottles{retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}}
	usual         = retry.IsErrorRetryables(retry.DefaultRetryables)
)

func throttled(err error) bool {
	var answer *awshttp.ResponseError
	return throttleCodes.IsErrorThrottle(err) == aws.TrueTernary ||
		errors.As(err, &answer) && answer.HTTPStatusCode() == http.StatusTooManyRequests
}

// expired tells whether the credentials were good once.
func expired(err error) bool {
	return api.Is(err, "ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired")
}

// IsErrorRetryable adds to the SDK's rules what is safe since every request
// only reads: answers that break off or cannot be parsed.
func (r *retryer) IsErrorRetryable(err error) bool {
	var (
		silent    *errSilent
		hopeless  *errThrottled
		timeout   *errReadTimeout
		malformed *smithy.DeserializationError
		answered  smithy.APIError
	)
	switch {
	case errors.As(err, &silent), errors.As(err, &hopeless), errors.Is(err, context.Canceled):
		return false
	case errors.As(err, &timeout), expired(err), throttled(err):
		return true
	case errors.As(err, &answered):
	case errors.As(err, &malformed), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		return true
	}
	return usual.IsErrorRetryable(err) == aws.TrueTernary
}

// MaxAttempts is none: GetRetryToken knows what the attempts ended with.
func (r *retryer) MaxAttempts() int { return 0 }

// RetryDelay doubles from attempt to attempt, a random part of it left out.
func (r *retryer) RetryDelay(attempt int, err error) (time.Duration, error) {
	pause := r.pause
	switch {
	case expired(err):
		return 0, nil
	case throttled(err):
		pause *= 5
	}
	pause = min(longestPause, pause<<min(attempt-1, 10))
	return time.Duration((0.5 + rand.Float64()/2) * float64(pause)), nil
}

// GetInitialToken lets every first attempt pass.
func (r *retryer) GetInitialToken() func(error) error { return noToken }

func noToken(error) error { return nil }

// errGaveUp says why a request was not repeated once more.
type errGaveUp struct{ why string }

func (e *errGaveUp) Error() string { return e.why }

// GetRetryToken decides about one more attempt.
func (r *retryer) GetRetryToken(ctx context.Context, err error) (func(error) error, error) {
	q, _ := ctx.Value(requestKey{}).(*request)
	switch {
	case q == nil:
		return nil, &errGaveUp{"a request outside of a session"}
	case expired(err):
		if q.refreshed || q.renew == nil || !q.renew(ctx, q.used) {
			return nil, &errGaveUp{"the credentials could not be renewed"}
		}
		q.refreshed = true
	case throttled(err):
		if waited := time.Since(q.began); waited > r.patience {
			return nil, &errGaveUp{fmt.Sprintf("throttled for %s, %d attempts", waited.Round(time.Second), q.attempts)}
		}
	case q.repeats >= r.retries:
		return nil, &errGaveUp{fmt.Sprintf("after %d attempts", q.attempts)}
	default:
		q.repeats++
	}
	return noToken, nil
}

// errSilent is a request that was not made since the region or the service's
// host in it has let every request so far time out.
type errSilent struct{ what string }

func (e *errSilent) Error() string {
	return e.what + " does not answer: requests timed out, none was answered in this run"
}

// errThrottled is a request that was not made since AWS has throttled its
// operation for longer than the run's patience.
type errThrottled struct {
	operation string
	since     time.Duration
}

func (e *errThrottled) Error() string {
	return fmt.Sprintf("AWS has throttled %s for %s", e.operation, e.since.Round(time.Second))
}

// silences find out what does not answer, so that a dead region costs a few
// requests their time and not each its own.
type silences struct {
	mu  sync.Mutex
	all map[string]*silence
}

type silence struct {
	answered bool
	given    int // requests that timed out with all their attempts
}

// enoughSilence is how many requests must have been given up.
const enoughSilence = 3

func places(region, service string) []string { return []string{region, service + " in " + region} }

func (s *silences) check(region, service string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, place := range places(region, service) {
		if p := s.all[place]; p != nil && !p.answered && p.given >= enoughSilence {
			return &errSilent{place}
		}
	}
	return nil
}

// note takes down how a request, or one attempt of it, ended.
func (s *silences) note(region, service string, answered, givenUp bool) {
	if !answered && !givenUp {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]*silence{}
	}
	for _, place := range places(region, service) {
		p := s.all[place]
		if p == nil {
			p = &silence{}
			s.all[place] = p
		}
		p.answered = p.answered || answered
		if givenUp {
			p.given++
		}
	}
}

// absences are the services that an account does not have in a region, so that
// only the first request learns of it, and those that are under way with it.
type absences struct {
	mu  sync.Mutex
	all map[bucketKey]error // by account, region and service
}

// absent are the codes which say that an account has nothing of a service in a
// region, whatever is asked.
var absent = map[string]bool{"OptInRequired": true, "SubscriptionRequiredException": true}

func (a *absences) check(k bucketKey) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.all[bucketKey{k.account, k.region, k.service, ""}]
}

func (a *absences) note(k bucketKey, err error) {
	var dns *net.DNSError
	if err == nil || k.account == "" || !absent[api.Code(err)] && !(errors.As(err, &dns) && dns.IsNotFound) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all == nil {
		a.all = map[bucketKey]error{}
	}
	a.all[bucketKey{k.account, k.region, k.service, ""}] = err
}

// credentials are a profile's. Their refresh before they end is the SDK's;
// when AWS refuses them all the same, the profile is read anew: that asks its
// role, its process or its SSO session again, and finds keys that were renewed
// in the files meanwhile.
type credentials struct {
	load    func(context.Context) (aws.CredentialsProvider, error)
	timeout time.Duration // of replacing them; 0: the request's alone

	mu      sync.Mutex
	current aws.CredentialsProvider
	refused aws.Credentials // that could not be replaced
	since   time.Time
}

// hopeless is how long refused credentials that could not be replaced are not
// tried to be replaced again.
const hopeless = 10 * time.Second

// Retrieve implements aws.CredentialsProvider; what the SDK loads keeps them.
func (c *credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	c.mu.Lock()
	current := c.current
	c.mu.Unlock()
	got, err := current.Retrieve(ctx)
	if q, ok := ctx.Value(requestKey{}).(*request); ok && err == nil {
		q.used = got
	}
	return got, err
}

// renew replaces refused credentials, once for all requests that had them. It
// returns false when there are no others.
func (c *credentials) renew(ctx context.Context, refused aws.Credentials) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now, err := c.current.Retrieve(ctx); err == nil && !same(now, refused) {
		return true
	}
	if same(refused, c.refused) && time.Since(c.since) < hopeless {
		return false
	}
	if c.timeout > 0 { // who gives credentials may hang, and all requests wait here
		var done context.CancelFunc
		ctx, done = context.WithTimeout(ctx, c.timeout)
		defer done()
	}
	fresh, err := c.load(ctx)
	if err == nil {
		var got aws.Credentials
		if got, err = fresh.Retrieve(ctx); err == nil && !same(got, refused) {
			c.current = fresh
			return true
		}
	}
	c.refused, c.since = refused, time.Now()
	return false
}

func same(a, b aws.Credentials) bool {
	return a.AccessKeyID == b.AccessKeyID && a.SessionToken == b.SessionToken
}
