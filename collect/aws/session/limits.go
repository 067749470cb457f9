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
// by service as IAM names it and by "service:Operation" where one differs.
// They are shared with whatever else runs in the account. Where AWS says only
// "so many a second" the burst is as many. Sources, all of them AWS's own
// documentation unless it says otherwise:
//
//	acm              AWS Certificate Manager quotas, "API rate quotas"
//	autoscaling      publishes none: the value is EC2's, halved since the console and the service itself share it
//	cloudformation   publishes none; users see throttling above 10 a second
//	cloudfront       measured by Steampipe's users (plugin aws, rate limiters): 5 a second
//	cloudtrail       CloudTrail quotas, "transactions per second": 10; LookupEvents 2
//	cloudwatch, logs CloudWatch and CloudWatch Logs quotas
//	cognito-idp      Cognito quotas, "UserPoolRead": 15
//	ec2              EC2 developer guide, "Request throttling": non-mutating actions 100 and 20
//	ecr              ECR service quotas: more than one collection asks for; the value is EC2's
//	ecs              ECS developer guide, "Request throttling": cluster reads 50 and 20
//	guardduty, wafv2 Steampipe's rate limiters: 5 a second
//	iam              publishes none. Steampipe's users: reads of roles 15 a second, of policies 35
//	kinesis          Kinesis quotas
//	kms              KMS request quotas
//	lambda           Lambda quotas, "API requests": GetFunction 100, GetPolicy 15
//	organizations    measured; the API's error says "try again" above some 8 a second
//	s3, s3control    thousands a second for one prefix; reads of bucket configuration are not published
//	secretsmanager   Secrets Manager quotas: ListSecrets 100, policies 50
//	securityhub      Security Hub quotas: GetFindings 3 and 6, others 10 and 30
//	servicequotas    Service Quotas reference: 10 a second; Steampipe's users were throttled above 5
//	ssm              Systems Manager quotas: the lowest of the Describe operations
//
// bedrock, codebuild, config, elasticfilesystem, elasticloadbalancing,
// elasticmapreduce, glue, sagemaker, ses, sso and identitystore publish none
// for reads, or by account only: the values are cautious guesses, which the
// feedback of throttling corrects. The others publish none, or more than is
// asked for: the value is EC2's.
var limits = map[string]limit{
	"":                                  {100, 20},
	"acm":                               {10, 10},
	"acm:ListCertificates":              {8, 8},
	"autoscaling":                       {50, 10},
	"bedrock":                           {10, 10},
	"cloudformation":                    {10, 10},
	"cloudfront":                        {5, 5},
	"cloudtrail":                        {10, 10},
	"cloudtrail:LookupEvents":           {2, 2},
	"cloudwatch":                        {50, 50},
	"cloudwatch:DescribeAlarms":         {9, 9},
	"codebuild":                         {20, 10},
	"cognito-idp":                       {15, 15},
	"config":                            {20, 10},
	"ecs":                               {50, 20},
	"elasticfilesystem":                 {20, 10},
	"elasticloadbalancing":              {40, 10},
	"elasticloadbalancing:DescribeTags": {40, 20},
	"elasticmapreduce":                  {10, 5},
	"elasticmapreduce:DescribeCluster":  {10, 10},
	"elasticmapreduce:ListInstances":    {10, 5},
	"glue":                              {20, 10},
	"guardduty":                         {5, 5},
	"iam":                               {30, 15},
	"iam:GetPolicy":                     {35, 35},
	"iam:GetPolicyVersion":              {35, 35},
	"identitystore":                     {20, 20},
	"kinesis:DescribeStream":            {10, 10},
	"kinesis:DescribeStreamSummary":     {20, 20},
	"kinesis:ListStreams":               {5, 5},
	"kinesis:ListTagsForStream":         {5, 5},
	"kms":                               {100, 100},
	"kms:DescribeKey":                   {500, 500},
	"kms:GetKeyPolicy":                  {500, 500},
	"kms:GetKeyRotationStatus":          {500, 500},
	"kms:ListGrants":                    {100, 100},
	"lambda":                            {15, 15},
	"lambda:GetFunction":                {100, 100},
	"logs":                              {10, 10},
	"organizations":                     {10, 5},
	"s3":                                {200, 100},
	"s3control":                         {50, 20},
	"sagemaker":                         {10, 10},
	"secretsmanager":                    {50, 50},
	"secretsmanager:GetResourcePolicy":  {25, 25},
	"securityhub":                       {30, 10},
	"securityhub:GetFindings":           {6, 3},
	"servicequotas":                     {5, 5},
	"ses":                               {1, 1},
	"ssm":                               {20, 10},
	"ssm:GetParametersByPath":           {40, 40},
	"sso":                               {20, 20},
	"sts":                               {100, 100},
	"wafv2":                             {5, 5},
}

// together are limits that all operations of a service share in an account and
// region. API Gateway: developer guide, quotas, "total operations", 10 a
// second with a burst of 40. Lambda: 15 a second for "the remainder of the
// control plane". Route 53: "all requests", 5 a second an account.
var together = map[string]limit{
	"apigateway": {40, 10},
	"lambda":     {15, 15},
	"route53":    {5, 5},
}

// apart are the operations that do not count against together.
var apart = map[string]bool{"lambda:GetFunction": true, "lambda:GetPolicy": true}

func limitOf(service, operation string) limit {
	for _, key := range []string{service + ":" + operation, service} {
		if l, ok := limits[key]; ok {
			return l
		}
	}
	if l, ok := together[service]; ok {
		return l
	}
	return limits[""]
}

// buckets hold the token buckets of a run: one for each account, region,
// service and operation, one for those that share a limit, and one for each
// account where the run is to be gentle.
type buckets struct {
	most float64 // requests a second in one account; 0: no such bound
	mu   sync.Mutex
	all  map[bucketKey]*bucket
}

type bucketKey struct{ account, region, service, operation string }

// bucket is a token bucket that slows down while AWS throttles.
type bucket struct {
	limiter *rate.Limiter
	limit   limit

	mu     sync.Mutex
	slowed time.Time // when it was slowed down or last recovered; zero: at full speed
	since  time.Time // since when every answer is that AWS throttles; zero: the last was another
	probed time.Time // when a request was let through to see
}

// own is the bucket of the request's operation.
func (b *buckets) own(k bucketKey) *bucket {
	return b.get(k, func() limit { return limitOf(k.service, k.operation) })
}

// get finds a bucket, or makes it with the limit.
func (b *buckets) get(k bucketKey, limit func() limit) *bucket {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.all == nil {
		b.all = map[bucketKey]*bucket{}
	}
	found, ok := b.all[k]
	if !ok {
		l := limit()
		found = &bucket{limiter: rate.NewLimiter(l.refill, l.burst), limit: l}
		b.all[k] = found
	}
	return found
}

// of are the buckets that a request takes a token from each.
func (b *buckets) of(k bucketKey) []*bucket {
	out := []*bucket{b.own(k)}
	if l, ok := together[k.service]; ok && !apart[k.service+":"+k.operation] {
		out = append(out, b.get(bucketKey{k.account, k.region, k.service, ""}, func() limit { return l }))
	}
	if b.most > 0 {
		most := limit{max(1, int(b.most)), rate.Limit(b.most)}
		out = append(out, b.get(bucketKey{account: k.account}, func() limit { return most }))
	}
	return out
}

// wait takes the tokens of a request.
func (b *buckets) wait(ctx context.Context, k bucketKey) error {
	for _, one := range b.of(k) {
		if err := one.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// wait takes a token, after recovering some of the speed that throttling took.
func (b *bucket) wait(ctx context.Context) error {
	b.mu.Lock()
	if !b.slowed.IsZero() && time.Since(b.slowed) > recovers {
		next := b.limiter.Limit() * 1.5
		b.slowed = time.Now()
		if next >= b.limit.refill {
			next, b.slowed = b.limit.refill, time.Time{}
			b.limiter.SetBurst(b.limit.burst)
		}
		b.limiter.SetLimit(next)
	}
	b.mu.Unlock()
	return b.limiter.Wait(ctx)
}

// A slowed bucket is at half its speed, half of that when AWS throttles it a
// second or more later, and so on down to the slowest; it wins half as much
// again whenever it recovers.
const (
	slowest  = rate.Limit(0.5)
	slows    = time.Second
	recovers = 2 * time.Second
)

// throttled slows down: requests under way when AWS began to throttle are one
// reason together, not one each.
func (b *buckets) throttled(k bucketKey) {
	one := b.own(k)
	one.mu.Lock()
	defer one.mu.Unlock()
	if !one.slowed.IsZero() && time.Since(one.slowed) < slows {
		return
	}
	one.slowed = time.Now()
	if one.since.IsZero() {
		one.since, one.probed = one.slowed, one.slowed
	}
	one.limiter.SetBurst(1) // what was saved up is what AWS refuses
	one.limiter.SetLimit(max(min(slowest, one.limit.refill), one.limiter.Limit()/2))
}

// answered ends what throttled began.
func (b *buckets) answered(k bucketKey) {
	one := b.own(k)
	one.mu.Lock()
	defer one.mu.Unlock()
	one.since = time.Time{}
}

// hopeless tells that the operation has been throttled for longer than the
// patience, so that what waits for it does not wait that long each in its
// turn. Now and then it lets a request through.
func (b *buckets) hopeless(k bucketKey, patience time.Duration) (probe bool, err error) {
	one := b.own(k)
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.since.IsZero() || time.Since(one.since) <= patience {
		return false, nil
	}
	if time.Since(one.probed) > patience/10+time.Second {
		one.probed = time.Now()
		return true, nil
	}
	return false, &errThrottled{k.service + ":" + k.operation, time.Since(one.since)}
}
