package session

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	smithy "github.com/aws/smithy-go/middleware"

	"snap/collect"
)

// Usage is what one operation of one sync took in one account, over its
// regions.
type Usage struct {
	Account   string
	Sync      string // "" for finding out the regions
	Service   string // as IAM names it, "elasticloadbalancing"
	Operation string
	Calls     int // requests, repeated ones included
	Retries   int
	Throttles int
	Waited    time.Duration // for the rate limits and the places
	Took      time.Duration // of AWS, summed
}

type usageKey struct{ account, sync, service, operation string }

// meter counts the requests of one cell. It travels in the context.
type meter struct {
	sync                      string
	calls, retries, throttles atomic.Int64
}

func (m *meter) cost() collect.Cost {
	return collect.Cost{Calls: int(m.calls.Load()), Retries: int(m.retries.Load()), Throttles: int(m.throttles.Load())}
}

type meterKey struct{}

// requests is what every request of a run goes through.
type requests struct {
	settings Settings
	client   *awshttp.BuildableClient
	buckets  buckets
	total    *gate
	hosts    gates
	big      *gate // for answers that are being read
	silences silences
	absences absences

	mu    sync.Mutex
	usage map[usageKey]*Usage
}

// perHost is how many requests are under way to one service in one region.
const perHost = 128

func newRequests(s Settings) *requests {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	if s.Concurrency == 0 {
		s.Concurrency = DefaultConcurrency
	}
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConns, t.MaxIdleConnsPerHost = 2*s.Concurrency, s.Concurrency
		t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, withoutAccount(address))
		}
	})
	return &requests{
		settings: s, client: client, buckets: buckets{most: s.MaxRPS},
		total: newGate(s.Concurrency), hosts: gates{each: min(perHost, s.Concurrency)}, big: newBigAnswers(), usage: map[usageKey]*Usage{},
	}
}

// accountPrefix is what S3 Control puts before the host name.
var accountPrefix = regexp.MustCompile(`^\d{12}\.(\d+\.\d+\.\d+\.\d+:|localhost:)`)

// withoutAccount takes the account off an address that is a configured
// endpoint's: "111111111111.127.0.0.1:5000" is no name that resolves.
func withoutAccount(address string) string {
	if accountPrefix.MatchString(address) {
		return address[len("111111111111."):]
	}
	return address
}

// sender sends a request with a body of its own. smithy-go (v1.28) closes the
// request's as soon as the answer's head is there; where net/http has not read it
// to its end by then, it closes the connection under the rest of the answer.
type sender struct{ aws.HTTPClient }

func (s sender) Do(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return s.HTTPClient.Do(r)
	}
	body, err := io.ReadAll(r.Body) // in memory anyway
	if err != nil {
		return nil, err
	}
	own := *r
	own.Body = io.NopCloser(bytes.NewReader(body))
	return s.HTTPClient.Do(&own)
}

// errReadTimeout is an attempt that took longer than the read timeout. It
// counts as a timeout, so that the retryer repeats it.
type errReadTimeout struct{ after time.Duration }

func (e *errReadTimeout) Error() string   { return fmt.Sprintf("no answer within %s", e.after) }
func (e *errReadTimeout) Timeout() bool   { return true }
func (e *errReadTimeout) Temporary() bool { return true }

// middleware makes each attempt of a request wait for its tokens and its place,
// bounds it in time and counts it. account is "" while the account is not
// known yet.
func (q *requests) middleware(account string, timeout time.Duration, c *credentials) func(*smithy.Stack) error {
	attempt := smithy.FinalizeMiddlewareFunc("snap.Attempt", func(ctx context.Context, in smithy.FinalizeInput, next smithy.FinalizeHandler) (smithy.FinalizeOutput, smithy.Metadata, error) {
		return q.attempt(ctx, account, timeout, in, next)
	})
	// Outside the retries.
	whole := smithy.FinalizeMiddlewareFunc("snap.Request", func(ctx context.Context, in smithy.FinalizeInput, next smithy.FinalizeHandler) (smithy.FinalizeOutput, smithy.Metadata, error) {
		ctx = context.WithValue(ctx, requestKey{}, &request{began: time.Now(), renew: c.renew})
		out, metadata, err := next.HandleFinalize(ctx, in)
		var timedOut *errReadTimeout
		q.silences.note(middleware.GetRegion(ctx), serviceName(middleware.GetServiceID(ctx)), false, errors.As(err, &timedOut))
		return out, metadata, err
	})
	return func(stack *smithy.Stack) error {
		if err := stack.Finalize.Insert(attempt, "Retry", smithy.After); err != nil {
			return err
		}
		if err := stack.Deserialize.Insert(boundAnswers, "OperationDeserializer", smithy.After); err != nil {
			return err
		}
		return stack.Finalize.Insert(whole, "Retry", smithy.Before)
	}
}

func (q *requests) attempt(ctx context.Context, account string, timeout time.Duration, in smithy.FinalizeInput, next smithy.FinalizeHandler) (out smithy.FinalizeOutput, metadata smithy.Metadata, err error) {
	key := bucketKey{account, middleware.GetRegion(ctx), serviceName(middleware.GetServiceID(ctx)), middleware.GetOperationName(ctx)}
	if err := q.silences.check(key.region, key.service); err != nil {
		return out, metadata, err
	}
	if err := q.absences.check(key); err != nil {
		return out, metadata, err
	}
	probe, err := q.buckets.hopeless(key, q.settings.Patience)
	if err != nil {
		return out, metadata, err
	}
	asked := time.Now()
	if err := q.buckets.wait(ctx, key); err != nil {
		return out, metadata, stopped(ctx, err)
	}
	host := q.hosts.of(key.service + " " + key.region)
	if !probe { // it may be so by now
		if _, err := q.buckets.hopeless(key, q.settings.Patience); err != nil {
			return out, metadata, err
		}
	}
	if err := host.enter(ctx, account); err != nil {
		return out, metadata, err
	}
	defer host.leave()
	if err := q.total.enter(ctx, account); err != nil {
		return out, metadata, err
	}
	defer q.total.leave()

	began := time.Now()
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	place := &bigPlace{enter: func() error { return q.big.enter(bounded, account) }}
	out, metadata, err = next.HandleFinalize(context.WithValue(bounded, bigPlaceKey{}, place), in)
	if place.held {
		q.big.leave()
	}
	if err != nil && ctx.Err() == nil && errors.Is(bounded.Err(), context.DeadlineExceeded) {
		err = &errReadTimeout{timeout}
	}
	if middleware.GetRawResponse(metadata) != nil {
		q.silences.note(key.region, key.service, true, false)
	}
	q.absences.note(key, err)
	slow := err != nil && throttled(err)
	switch {
	case slow:
		q.buckets.throttled(key)
	case middleware.GetRawResponse(metadata) != nil:
		q.buckets.answered(key)
	}
	q.count(ctx, key, began.Sub(asked), time.Since(began), slow)
	return out, metadata, err
}

// stopped is the error of a wait that would outlast the cell.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %w", context.DeadlineExceeded, err)
}

// count takes down an attempt. Credentials are the run's cost, not the cell's.
func (q *requests) count(ctx context.Context, key bucketKey, waited, took time.Duration, throttle bool) {
	again := false
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		r.attempts++
		again = r.attempts > 1
	}
	m, counted := ctx.Value(meterKey{}).(*meter)
	if !counted || key.service == "sts" {
		m = &meter{}
	}
	m.calls.Add(1)
	if again {
		m.retries.Add(1)
	}
	if throttle {
		m.throttles.Add(1)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	k := usageKey{key.account, m.sync, key.service, key.operation}
	u := q.usage[k]
	if u == nil {
		u = &Usage{Account: k.account, Sync: k.sync, Service: k.service, Operation: k.operation}
		q.usage[k] = u
	}
	u.Calls++
	if again {
		u.Retries++
	}
	if throttle {
		u.Throttles++
	}
	u.Waited += waited
	u.Took += took
}

// list is what was used so far, sorted.
func (q *requests) list() []Usage {
	q.mu.Lock()
	defer q.mu.Unlock()
	var out []Usage
	for u := range maps.Values(q.usage) {
		out = append(out, *u)
	}
	slices.SortFunc(out, func(a, b Usage) int {
		return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Sync, b.Sync), cmp.Compare(a.Service, b.Service), cmp.Compare(a.Operation, b.Operation))
	})
	return out
}

// names are the services whose IAM prefix is not the SDK's service id in lower
// case without its spaces.
var names = map[string]string{
	"apigatewayv2": "apigateway", "applicationautoscaling": "application-autoscaling", "bedrockagent": "bedrock",
	"cloudwatchlogs": "logs", "cognitoidentity": "cognito-identity", "cognitoidentityprovider": "cognito-idp",
	"configservice": "config", "databasemigrationservice": "dms", "directoryservice": "ds", "ecrpublic": "ecr-public",
	"efs": "elasticfilesystem", "elasticloadbalancingv2": "elasticloadbalancing", "elasticsearchservice": "es", "emr": "elasticmapreduce",
	"eventbridge": "events", "mwaa": "airflow", "opensearch": "es", "resourcegroupstaggingapi": "tag", "sesv2": "ses",
	"sfn": "states", "ssoadmin": "sso",
}

// serviceName is the SDK's service id as IAM and the rate limits spell it.
func serviceName(id string) string {
	name := strings.ToLower(strings.ReplaceAll(id, " ", ""))
	if n := names[name]; n != "" {
		return n
	}
	return name
}
