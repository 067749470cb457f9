package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	smithy "github.com/aws/smithy-go/middleware"

	"snap/collect"
)

// meter counts the requests of one cell. It travels in the context.
type meter struct {
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
}

func newRequests(s Settings) *requests {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConns, t.MaxIdleConnsPerHost = 512, 128
		t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, withoutAccount(address))
		}
	})
	return &requests{settings: s, client: client, buckets: buckets{adaptive: s.Adaptive}}
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

// retryer repeats single requests, never listings. The SDK's own retry quota
// is left out: it is shared by all requests of a client, and one failing
// operation would use up the retries of the others.
func retryer(retries int) func() aws.Retryer {
	return func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = retries + 1
			o.RateLimiter = ratelimit.None
			o.MaxBackoff = 20 * time.Second
		})
	}
}

// errReadTimeout is an attempt that took longer than the read timeout. It
// counts as a timeout, so that the retryer repeats it.
type errReadTimeout struct{ after time.Duration }

func (e *errReadTimeout) Error() string   { return fmt.Sprintf("no answer within %s", e.after) }
func (e *errReadTimeout) Timeout() bool   { return true }
func (e *errReadTimeout) Temporary() bool { return true }

var throttleCodes = retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}

// middleware makes each attempt of a request wait for its token, bounds it in
// time and counts it.
func (q *requests) middleware(account string, timeout time.Duration) func(*smithy.Stack) error {
	attempt := smithy.FinalizeMiddlewareFunc("snap.Attempt", func(ctx context.Context, in smithy.FinalizeInput, next smithy.FinalizeHandler) (smithy.FinalizeOutput, smithy.Metadata, error) {
		key := bucketKey{account, middleware.GetRegion(ctx), serviceName(middleware.GetServiceID(ctx)), middleware.GetOperationName(ctx)}
		if err := q.buckets.wait(ctx, key); err != nil {
			return smithy.FinalizeOutput{}, smithy.Metadata{}, err
		}
		m, counted := ctx.Value(meterKey{}).(*meter)
		counted = counted && key.service != "sts" // credentials are the run's cost, not the cell's
		if counted {
			m.calls.Add(1)
		}
		bounded, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		out, metadata, err := next.HandleFinalize(bounded, in)
		if err != nil && ctx.Err() == nil && errors.Is(bounded.Err(), context.DeadlineExceeded) {
			err = &errReadTimeout{timeout}
		}
		if err != nil && throttleCodes.IsErrorThrottle(err) == aws.TrueTernary {
			q.buckets.throttled(key)
			if counted {
				m.throttles.Add(1)
			}
		}
		return out, metadata, err
	})
	// Outside the retries: how many attempts a request took.
	whole := smithy.FinalizeMiddlewareFunc("snap.Request", func(ctx context.Context, in smithy.FinalizeInput, next smithy.FinalizeHandler) (smithy.FinalizeOutput, smithy.Metadata, error) {
		out, metadata, err := next.HandleFinalize(ctx, in)
		if m, ok := ctx.Value(meterKey{}).(*meter); ok {
			if results, ok := retry.GetAttemptResults(metadata); ok && len(results.Results) > 1 {
				m.retries.Add(int64(len(results.Results) - 1))
			}
		}
		return out, metadata, err
	})
	return func(stack *smithy.Stack) error {
		if err := stack.Finalize.Insert(attempt, "Retry", smithy.After); err != nil {
			return err
		}
		return stack.Finalize.Insert(whole, "Retry", smithy.Before)
	}
}

// serviceName is the SDK's service id as IAM and the rate limits spell it.
func serviceName(id string) string {
	name := strings.ToLower(strings.ReplaceAll(id, " ", ""))
	if name == "elasticloadbalancingv2" {
		return "elasticloadbalancing"
	}
	return name
}
