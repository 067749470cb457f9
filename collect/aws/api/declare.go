// Package api is what an AWS kind is declared and fetched with: the
// declaration of a sync, the cell it runs in, paging, sub-calls and the
// meaning of errors. The kinds themselves are one file a sync in the package
// above.
package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"snap/store/kind"
)

// Sync declares one of Cartography's AWS syncs: which calls it makes, which
// tables it feeds, and how.
type Sync struct {
	Name   string // Cartography's name, "ec2:subnet"
	Global bool   // runs once an account; else once in every region
	Always bool   // runs whatever syncs are requested, and is not listed among them

	// Calls are the API operations that Collect makes, "ec2:DescribeSubnets".
	// The IAM policy, the rate limits and the documentation follow from them.
	// Where IAM calls the action otherwise: "s3:ListBuckets as s3:ListAllMyBuckets".
	Calls []string

	// Optional are those of Calls that the run may leave out. What they would
	// have told is then unknown, and the cell complete without it.
	Optional []string

	// Needs are the syncs whose nodes this one's links end at: requesting this
	// sync collects them too.
	Needs []string

	// Synced is the label for which Cartography notes in a ModuleSyncMetadata
	// node of its own when it was synchronized; for most it keeps none.
	Synced string

	Tables []*kind.Table

	// MaxAttempts and ReadTimeout bound this sync's requests more tightly than
	// the run's settings do; zero leaves those.
	MaxAttempts int
	ReadTimeout time.Duration

	// Collect puts the cell's rows. A nil error means that the cell was read
	// whole; rows put before an error are kept, and the cell ends partial.
	// A sync without Collect, Calls and Tables is but a name for its Needs: it
	// has no cells.
	Collect func(ctx context.Context, at *Cell) error
}

// Call is one API operation and the IAM action that allows it.
type Call struct{ Service, Operation, Action string }

// ParseCall reads one entry of Sync.Calls.
func ParseCall(s string) (Call, error) {
	name, action, _ := strings.Cut(s, " as ")
	service, operation, ok := strings.Cut(name, ":")
	if !ok || service == "" || operation == "" {
		return Call{}, fmt.Errorf("call %q is not service:Operation", s)
	}
	if action == "" {
		action = name
	}
	return Call{service, operation, action}, nil
}

// Registry holds every declared AWS sync.
var Registry kind.Registry

var syncs = map[string]*Sync{}

// everywhere are the meanings of columns that mean the same in every table.
var everywhere = map[string]string{
	"arn":    "its ARN",
	"region": "the region that it is in",
}

// Declare adds a sync to the Registry. It panics on a mistake in the
// declaration.
func Declare(s Sync) *Sync {
	calls := make([]string, len(s.Calls))
	for i, text := range s.Calls {
		c, err := ParseCall(text)
		if err != nil {
			panic(fmt.Sprintf("aws: sync %s: %v", s.Name, err))
		}
		calls[i] = c.Service + ":" + c.Operation
	}
	if s.Collect == nil && (len(s.Needs) == 0 || len(s.Calls) > 0 || len(s.Tables) > 0) {
		panic("aws: sync without Collect: " + s.Name)
	}
	for _, t := range s.Tables {
		for _, c := range t.Columns {
			if doc := everywhere[c.Name]; doc != "" && t.Docs[c.Name] == "" && c.Property() {
				if t.Docs == nil {
					t.Docs = map[string]string{}
				}
				t.Docs[c.Name] = doc
			}
		}
	}
	Registry.Register(&kind.Sync{Name: s.Name, Global: s.Global, Calls: calls, Synced: s.Synced, Needs: s.Needs, Tables: s.Tables})
	syncs[s.Name] = &s
	return &s
}

// Find returns the declaration of a sync, nil where there is none.
func Find(name string) *Sync { return syncs[name] }

// Cell is where a sync runs: one account and region.
type Cell struct {
	Account   string // 12 digits
	Name      string // the account's name: the profile it was reached by
	Region    string // of a global sync: the region its calls are signed for
	Partition string // "aws", "aws-cn", "aws-us-gov"

	// Accounts are all accounts of the run.
	Accounts []string

	// Sync is the sync's name, and Answers hold what it shares with others of
	// the account; without them it asks for itself.
	Sync    string
	Answers *Answers

	// Peers are the accounts that may be asked for their organization, and Once
	// is shared by the cells of all accounts: what concerns them together is
	// done by the first.
	Peers []*Peer
	Once  *Once

	Without []string // the optional calls that are left out

	// Config makes the clients: credentials, region, endpoint, retries, rate
	// limits and counting are in it.
	Config aws.Config

	kind.Sink
}

// Peer is another account of the run, with the means to ask it.
type Peer struct {
	Account string
	Config  aws.Config
}

// Once does something for all cells of a run; its zero value is ready.
type Once struct {
	turn sync.Mutex
	done bool
	all  any
}

// Do calls fn in the first cell that comes and returns what it made in every
// cell. A cell whose context ends meanwhile leaves it to the next one.
func (o *Once) Do(ctx context.Context, fn func(context.Context) any) (any, error) {
	o.turn.Lock()
	defer o.turn.Unlock()
	if !o.done && ctx.Err() == nil {
		all := fn(ctx)
		if ctx.Err() == nil {
			o.all, o.done = all, true
		}
	}
	if !o.done {
		return nil, ctx.Err()
	}
	return o.all, nil
}

// LeavesOut tells whether the run is not to make the call, one of the sync's
// Optional.
func (c *Cell) LeavesOut(call string) bool { return slices.Contains(c.Without, call) }

// Collected tells whether the run collects the account.
func (c *Cell) Collected(account string) bool { return slices.Contains(c.Accounts, account) }

// ARN is an Amazon Resource Name in the cell's account and region.
func (c *Cell) ARN(service, resource string) string {
	return "arn:" + c.Partition + ":" + service + ":" + c.Region + ":" + c.Account + ":" + resource
}
