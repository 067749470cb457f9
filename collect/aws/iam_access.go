package aws

import (
	"context"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// iamAccess is which service a principal used last: nil for none, or why that
// is not known.
type iamAccess struct {
	last    *types.ServiceLastAccessed
	err     error
	leftOut bool // the run does not ask
}

// mark marks the columns of the last access as unknown if they are.
func (a iamAccess) mark(g *kind.Gaps) {
	switch columns := []string{"last_accessed_service_name", "last_accessed_service_namespace",
		"last_authenticated", "last_authenticated_entity", "last_authenticated_region"}; {
	case a.leftOut:
		g.Columns = append(g.Columns, columns...)
	case a.err != nil:
		g.Unread(a.err, columns...)
	}
}

// readIAMAccess has IAM write a report for each principal and reads them. It
// orders all before it reads the first, so that few have to be waited for.
func readIAMAccess(ctx context.Context, at *api.Cell, client *iam.Client, arns []string) (map[string]iamAccess, error) {
	if at.LeavesOut("iam:GenerateServiceLastAccessedDetails") {
		unknown := map[string]iamAccess{}
		for _, arn := range arns {
			unknown[arn] = iamAccess{leftOut: true}
		}
		return unknown, nil
	}
	type order struct {
		job *string
		err error
	}
	orders, err := api.Each(ctx, arns, func(ctx context.Context, arn string) (order, error) {
		out, err := client.GenerateServiceLastAccessedDetails(ctx, &iam.GenerateServiceLastAccessedDetailsInput{Arn: &arn})
		if api.Gone(err) {
			return order{}, nil
		} else if err != nil {
			return order{err: err}, ctx.Err()
		}
		return order{job: out.JobId}, nil
	})
	if err != nil {
		return nil, err
	}
	reports, err := api.Each(ctx, orders, func(ctx context.Context, o order) (iamAccess, error) {
		if o.job == nil {
			return iamAccess{err: o.err}, nil
		}
		report := newIAMAccessReport(client.GetServiceLastAccessedDetails, *o.job)
		last, err := lastIAMAccess(ctx, report)
		return iamAccess{last: last, err: err}, ctx.Err()
	})
	accesses := map[string]iamAccess{}
	for i, arn := range arns {
		accesses[arn] = reports[i]
	}
	return accesses, err
}

// lastIAMAccess is the service of a report that was used last, nil if none.
func lastIAMAccess(ctx context.Context, report *iamAccessReport) (*types.ServiceLastAccessed, error) {
	used, err := api.All(ctx, report, func(p *iam.GetServiceLastAccessedDetailsOutput) []types.ServiceLastAccessed {
		var used []types.ServiceLastAccessed
		for _, s := range p.ServicesLastAccessed {
			if s.LastAuthenticated != nil {
				used = append(used, s)
			}
		}
		return used
	})
	if err != nil || len(used) == 0 {
		return nil, err
	}
	last := used[0]
	for _, s := range used {
		if s.LastAuthenticated.After(*last.LastAuthenticated) {
			last = s
		}
	}
	if last.LastAuthenticatedEntity == nil { // Cartography writes the empty string
		last.LastAuthenticatedEntity = aws.String("")
	}
	if last.LastAuthenticatedRegion == nil {
		last.LastAuthenticatedRegion = aws.String("")
	}
	return &last, nil
}

// A report takes IAM some seconds. It is asked for every iamAccessPoll, for
// iamAccessPatience at most.
const (
	iamAccessPoll     = 2 * time.Second
	iamAccessPatience = time.Minute
)

type getIAMAccess func(context.Context, *iam.GetServiceLastAccessedDetailsInput, ...func(*iam.Options)) (*iam.GetServiceLastAccessedDetailsOutput, error)

// iamAccessReport pages through a report, once it is written.
type iamAccessReport struct {
	get   getIAMAccess
	input iam.GetServiceLastAccessedDetailsInput
	done  bool
}

func newIAMAccessReport(get getIAMAccess, job string) *iamAccessReport {
	return &iamAccessReport{get: get, input: iam.GetServiceLastAccessedDetailsInput{JobId: &job, MaxItems: aws.Int32(iamMaxItems)}}
}

// HasMorePages tells whether NextPage can be called.
func (r *iamAccessReport) HasMorePages() bool { return !r.done }

// NextPage waits for the report and reads a page of it.
func (r *iamAccessReport) NextPage(ctx context.Context, options ...func(*iam.Options)) (*iam.GetServiceLastAccessedDetailsOutput, error) {
	for start := time.Now(); ; {
		page, err := r.get(ctx, &r.input, options...)
		switch {
		case err != nil:
			return nil, err
		case page.JobStatus == types.JobStatusTypeCompleted:
			r.input.Marker = page.Marker
			r.done = !page.IsTruncated || aws.ToString(page.Marker) == ""
			return page, nil
		case page.JobStatus == types.JobStatusTypeFailed:
			reason := "no reason given"
			if page.Error != nil {
				reason = aws.ToString(page.Error.Code) + ": " + aws.ToString(page.Error.Message)
			}
			return nil, fmt.Errorf("iam: the report on the services last accessed (job %s) failed: %s", *r.input.JobId, reason)
		case time.Since(start) >= iamAccessPatience:
			return nil, fmt.Errorf("iam: the report on the services last accessed (job %s) was not ready after %s", *r.input.JobId, iamAccessPatience)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(iamAccessPoll):
		}
	}
}
