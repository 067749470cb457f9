package session

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limit is a token bucket: burst requests at once, then refill a second.
type limit struct {
	burst  int
	refill rate.Limit
}

// limits are AWS's request limits for one operation in one account and region,
// by service as the SDK signs it and by "service:Operation" where one differs.
// They are shared with whatever else runs in the account.
//
// Sources: EC2: Amazon EC2 API throttling, "non-mutating actions". Lambda:
// Lambda quotas, "GetPolicy" and "remainder of the control plane API", 15 a
// second. IAM publishes none: 15 a second is what AWS's users measured. S3 and
// KMS allow far more than one collection asks for. The others publish none;
// the value is EC2's.
var limits = map[string]limit{
	"":                   {100, 20},
	"iam":                {30, 15},
	"lambda":             {15, 15},
	"lambda:GetFunction": {100, 100},
	"s3":                 {200, 100},
	"s3control":          {50, 20},
	"kms":                {200, 100},
	"sts":                {100, 100},
	"organizations":      {10, 5},
}

func limitOf(service, operation string) limit {
	for _, key := range []string{service + ":" + operation, service} {
		if l, ok := limits[key]; ok {
			return l
		}
	}
	return limits[""]
}

// buckets hold the token buckets of a run, one for each account, region,
// service and operation.
type buckets struct {
	adaptive bool
	mu       sync.Mutex
	all      map[bucketKey]*bucket
}

type bucketKey struct{ account, region, service, operation string }

type bucket struct {
	limiter *rate.Limiter
	limit   limit
	slowed  time.Time // when AWS last throttled
}

func (b *buckets) get(k bucketKey) *bucket {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		b.all = map[bucketKey]*bucket{}
	}
	found, ok := b.all[k]
	if !ok {
		l := limitOf(k.service, k.operation)
		found = &bucket{limiter: rate.NewLimiter(l.refill, l.burst), limit: l}
		b.all[k] = found
	}
	return found
}

// wait takes a token, after recovering speed that throttling took away.
func (b *buckets) wait(ctx context.Context, k bucketKey) error {
	found := b.get(k)
	if b.adaptive {
		b.mu.Lock()
		if !found.slowed.IsZero() && time.Since(found.slowed) > 2*time.Second {
			found.limiter.SetLimit(min(found.limit.refill, found.limiter.Limit()*1.5))
			found.slowed = time.Now()
		}
		b.mu.Unlock()
	}
	return found.limiter.Wait(ctx)
}

// throttled halves the bucket's rate, down to one request in two seconds.
func (b *buckets) throttled(k bucketKey) {
	if !b.adaptive {
		return
	}
	found := b.get(k)
	b.mu.Lock()
	defer b.mu.Unlock()
	found.limiter.SetLimit(max(0.5, found.limiter.Limit()/2))
	found.slowed = time.Now()
}
