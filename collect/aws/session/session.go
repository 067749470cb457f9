package session

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"snap/collect"
	"snap/collect/aws/api"
	"snap/store"
	"snap/store/kind"
)

// Provider is the name of AWS in cells and accounts.
const Provider = "aws"

// Options choose what to collect.
type Options struct {
	AllProfiles bool     // every profile of the configuration files; else the standard credential chain
	Regions     []string // empty: the regions enabled in each account
	Syncs       []string // as Resolve returned them
	Settings    Settings
}

// Estate is what a collection will read: the accounts that could be reached and
// the profiles that could not.
type Estate struct {
	Accounts   []store.Account
	Unresolved []store.Unresolved

	options Options
	reached []*reached
}

// reached is an account with the means to ask it.
type reached struct {
	store.Account
	partition string
	home      string // the region for global syncs
	config    aws.Config
	requests  *requests
	disabled  map[string]bool // requested regions that the account has not enabled
	noRegions error           // why its regions could not be listed
	others    []string        // all accounts of the run
}

// Resolve checks the requested syncs, adds those that they need, and returns
// them sorted; none requested means all. The error lists the valid names.
func Resolve(requested []string) ([]string, error) {
	valid := map[string]bool{}
	for _, s := range api.Registry.Syncs {
		if !api.Find(s.Name).Always {
			valid[s.Name] = true
		}
	}
	if len(requested) == 0 {
		return slices.Sorted(maps.Keys(valid)), nil
	}
	chosen := map[string]bool{}
	var add func(name string) error
	add = func(name string) error {
		if !valid[name] {
			return fmt.Errorf("there is no sync %q; the syncs are %s", name, strings.Join(slices.Sorted(maps.Keys(valid)), ", "))
		}
		if chosen[name] {
			return nil
		}
		chosen[name] = true
		for _, need := range api.Find(name).Needs {
			if err := add(need); err != nil {
				return err
			}
		}
		return nil
	}
	for _, name := range requested {
		if err := add(name); err != nil {
			return nil, err
		}
	}
	return slices.Sorted(maps.Keys(chosen)), nil
}

// ErrNoAccount is Discover's error when no credentials lead to an account.
var ErrNoAccount = errors.New("no AWS account can be reached")

// Discover finds the accounts behind the credentials and their regions. A
// profile that leads to no account is noted and passed over; profiles of one
// account count once.
func Discover(ctx context.Context, o Options) (*Estate, error) {
	profiles := []string{os.Getenv("AWS_PROFILE")} // "" is the standard chain
	if o.AllProfiles {
		var err error
		if profiles, err = Profiles(); err != nil {
			return nil, err
		}
		// As Cartography has it: "default" is the hub that the others assume their roles from.
		profiles = slices.DeleteFunc(profiles, func(p string) bool { return p == "default" })
		if len(profiles) == 0 {
			return nil, fmt.Errorf("%w: the AWS configuration files name no profile besides \"default\"; add profiles, or leave out --aws-sync-all-profiles", ErrNoAccount)
		}
	}
	e := &Estate{options: o}
	requests := newRequests(o.Settings)
	type found struct {
		*reached
		err error
	}
	results, _ := api.Each(ctx, profiles, func(ctx context.Context, p string) (found, error) {
		r, err := reach(ctx, p, o, requests)
		return found{r, err}, nil
	})
	byAccount := map[string]*reached{}
	for i, r := range results {
		switch {
		case r.err != nil:
			e.Unresolved = append(e.Unresolved, store.Unresolved{Profile: profileName(profiles[i]), Error: explain(r.err)})
		case byAccount[r.ID] != nil:
			first := byAccount[r.ID]
			first.Profiles = append(first.Profiles, profileName(profiles[i]))
		default:
			byAccount[r.ID] = r.reached
			e.reached = append(e.reached, r.reached)
		}
	}
	if len(e.reached) == 0 {
		reasons := make([]string, len(e.Unresolved))
		for i, u := range e.Unresolved {
			reasons[i] = fmt.Sprintf("profile %s: %s", u.Profile, u.Error)
		}
		return nil, fmt.Errorf("%w: %s", ErrNoAccount, strings.Join(reasons, "; "))
	}
	slices.SortFunc(e.reached, func(a, b *reached) int { return strings.Compare(a.ID, b.ID) })
	if _, err := api.Each(ctx, e.reached, func(ctx context.Context, r *reached) (struct{}, error) {
		r.findRegions(ctx, o.Regions)
		return struct{}{}, nil
	}); err != nil {
		return nil, err
	}
	for _, r := range e.reached {
		e.Accounts = append(e.Accounts, r.Account)
	}
	return e, ctx.Err()
}

func profileName(p string) string {
	if p == "" {
		return "default"
	}
	return p
}

// explain makes one line of a credential error, with what to do about it.
func explain(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	switch {
	case strings.Contains(text, "InvalidGrantException"), strings.Contains(text, "SSOTokenProvider"), strings.Contains(text, "cached SSO token"), strings.Contains(text, "sso token"):
		return "the SSO session has expired: run `aws sso login`"
	case strings.Contains(text, "no EC2 IMDS role found"), strings.Contains(text, "failed to refresh cached credentials"):
		return "no credentials found: set AWS_PROFILE or AWS_ACCESS_KEY_ID, or run `aws configure` (" + text + ")"
	}
	return text
}

// reach loads a profile and asks STS whose credentials it gives.
func reach(ctx context.Context, profile string, o Options, q *requests) (*reached, error) {
	cfg, err := load(ctx, profile, q)
	if err != nil {
		return nil, err
	}
	identity, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, nil)
	if err != nil {
		return nil, err
	}
	partition := "aws"
	if who, err := arn.Parse(aws.ToString(identity.Arn)); err == nil {
		partition = who.Partition
	}
	r := &reached{
		Account: store.Account{
			Provider: Provider, ID: aws.ToString(identity.Account), Name: profileName(profile),
			Profiles: []string{profileName(profile)}, Identity: aws.ToString(identity.Arn), Endpoint: aws.ToString(cfg.BaseEndpoint),
		},
		partition: partition, home: cfg.Region, config: cfg, requests: q,
	}
	return r, nil
}

// load makes a profile's configuration.
func load(ctx context.Context, profile string, q *requests) (aws.Config, error) {
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(q.client),
		config.WithRetryer(retryer(q.settings.Retries)),
	}
	if profile != "" {
		options = append(options, config.WithSharedConfigProfile(profile))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return cfg, err
	}
	// Assuming a role needs a region even where the profile names none.
	if cfg.Region == "" {
		options = append(options, config.WithRegion("us-east-1"))
	}
	// The SDK makes the client that assumes roles before it reads the
	// configured endpoint, and would ask the real STS: tell it beforehand.
	if cfg.BaseEndpoint != nil {
		endpoint := *cfg.BaseEndpoint
		//nolint:staticcheck // the one hook that comes before the credentials
		options = append(options, config.WithEndpointResolverWithOptions(aws.EndpointResolverWithOptionsFunc(
			func(service, region string, _ ...any) (aws.Endpoint, error) {
				if service != sts.ServiceID {
					return aws.Endpoint{}, &aws.EndpointNotFoundError{}
				}
				return aws.Endpoint{URL: endpoint, SigningRegion: region, Source: aws.EndpointSourceCustom}, nil
			})))
	}
	if cfg.Region == "" || cfg.BaseEndpoint != nil {
		if cfg, err = config.LoadDefaultConfig(ctx, options...); err != nil {
			return cfg, err
		}
		cfg.EndpointResolverWithOptions = nil //nolint:staticcheck // see above: only for the credentials
	}
	cfg.APIOptions = append(cfg.APIOptions, q.middleware("", q.settings.ReadTimeout))
	return cfg, nil
}

// findRegions settles the regions of the account's regional cells.
func (r *reached) findRegions(ctx context.Context, wanted []string) {
	out, err := ec2.NewFromConfig(r.config).DescribeRegions(ctx, &ec2.DescribeRegionsInput{AllRegions: aws.Bool(len(wanted) > 0)})
	if err != nil {
		// With regions given the answer only saves calls to those not enabled.
		if r.Regions = wanted; len(wanted) == 0 {
			r.noRegions = err
			r.Regions = []string{r.home}
		}
		return
	}
	enabled := map[string]bool{}
	for _, region := range out.Regions {
		enabled[aws.ToString(region.RegionName)] = aws.ToString(region.OptInStatus) != "not-opted-in"
	}
	if len(wanted) == 0 {
		for name, on := range enabled {
			if on {
				r.Regions = append(r.Regions, name)
			}
		}
		slices.Sort(r.Regions)
		return
	}
	r.Regions = wanted
	r.disabled = map[string]bool{}
	for _, name := range wanted {
		if on, known := enabled[name]; known && !on {
			r.disabled[name] = true
		}
	}
}

// Syncs are the syncs that the run collects: the chosen ones and those that
// always run.
func (e *Estate) Syncs() []string {
	var names []string
	for _, s := range api.Registry.Syncs {
		if api.Find(s.Name).Always || slices.Contains(e.options.Syncs, s.Name) {
			names = append(names, s.Name)
		}
	}
	return names
}

// Tasks are the cells to collect: every sync in every account, in every region
// unless it is global.
func (e *Estate) Tasks() []collect.Task {
	var tasks []collect.Task
	ids := make([]string, len(e.reached))
	for i, r := range e.reached {
		ids[i] = r.ID
	}
	for _, r := range e.reached {
		r.others = ids
		for _, declared := range api.Registry.Syncs {
			sync := api.Find(declared.Name)
			if sync.Collect == nil || !sync.Always && !slices.Contains(e.options.Syncs, sync.Name) {
				continue
			}
			if sync.Global {
				tasks = append(tasks, r.task(sync, declared, ""))
				continue
			}
			for _, region := range r.Regions {
				tasks = append(tasks, r.task(sync, declared, region))
			}
		}
	}
	return tasks
}

func (r *reached) task(sync *api.Sync, declared *kind.Sync, region string) collect.Task {
	t := collect.Task{
		ID:      store.CellID{Provider: Provider, Account: r.ID, Region: region, Sync: sync.Name},
		Tables:  declared.Tables,
		Meaning: func(err error) store.Outcome { return meaning(sync, err) },
	}
	switch {
	case region != "" && r.noRegions != nil:
		o := meaning(nil, r.noRegions)
		o.Message = "the account's regions could not be listed: " + o.Message
		t.Settled = &o
		return t
	case r.disabled[region]:
		t.Settled = &store.Outcome{State: store.Unsupported, Code: "RegionDisabled", Message: "the region is not enabled in this account"}
		return t
	}
	t.Do = func(ctx context.Context, sink kind.Sink) (collect.Cost, error) {
		m := &meter{}
		at := &api.Cell{Account: r.ID, Name: r.Name, Region: region, Partition: r.partition, Accounts: r.others, Config: r.configFor(sync, region), Sink: sink}
		if at.Region == "" {
			at.Region = r.home
		}
		err := sync.Collect(context.WithValue(ctx, meterKey{}, m), at)
		return m.cost(), err
	}
	return t
}

// configFor is the account's configuration in a region, with the sync's own
// bounds.
func (r *reached) configFor(sync *api.Sync, region string) aws.Config {
	cfg := r.config.Copy()
	if region != "" {
		cfg.Region = region
	}
	timeout := r.requests.settings.ReadTimeout
	if sync.ReadTimeout > 0 {
		timeout = min(timeout, sync.ReadTimeout)
	}
	if sync.MaxAttempts > 0 {
		cfg.Retryer = retryer(min(r.requests.settings.Retries, sync.MaxAttempts))
	}
	// The last option is the one that load added, without the account.
	cfg.APIOptions = append(slices.Clone(r.config.APIOptions[:len(r.config.APIOptions)-1]), r.requests.middleware(r.ID, timeout))
	return cfg
}
