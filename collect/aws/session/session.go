package session

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

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

	Without []string // optional calls to leave out, as Optional lists them

	// Organizations are the accounts that are asked for their organization;
	// empty: all of them.
	Organizations []string

	// Again are the accounts of a collection that goes on: only they are
	// reached, each by one of its profiles and with its regions.
	Again []store.Account
}

// Estate is what a collection will read: the accounts that could be reached and
// the profiles that could not.
type Estate struct {
	Accounts   []store.Account
	Unresolved []store.Unresolved
	Notes      []string // one line each, for the user

	options  Options
	reached  []*reached
	requests *requests
}

// Usage is what the run took so far, by account, sync and operation.
func (e *Estate) Usage() []Usage { return e.requests.list() }

// reached is an account with the means to ask it.
type reached struct {
	store.Account
	partition   string
	home        string     // the region for global syncs
	config      aws.Config // without what requests go through
	credentials *credentials
	requests    *requests
	renewal     string          // what gives its profile credentials again
	disabled    map[string]bool // requested regions that the account has not enabled
	unlisted    bool            // regions were requested, and which are enabled could not be listed
	noRegions   error           // why its regions could not be listed
	later       []string        // regions enabled since the collection began that goes on
	others      []string        // all accounts of the run
	peers       []*api.Peer     // the accounts to ask for their organization
	organized   *api.Once
	without     []string
	answers     *api.Answers
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

// Known are those of a collection's syncs that may be requested, all of which
// this version must know.
func Known(syncs []string) ([]string, error) {
	var known []string
	for _, name := range syncs {
		switch s := api.Find(name); {
		case s == nil:
			return nil, fmt.Errorf("the collection has a sync %q, which this version does not know: finish it with the version that began it", name)
		case !s.Always:
			known = append(known, name)
		}
	}
	return known, nil
}

// Optional are the calls that a run may leave out, sorted.
func Optional() []string {
	var calls []string
	for _, s := range api.Registry.Syncs {
		calls = append(calls, api.Find(s.Name).Optional...)
	}
	slices.Sort(calls)
	return slices.Compact(calls)
}

// ErrNoAccount is Discover's error when no credentials lead to an account.
var ErrNoAccount = errors.New("no AWS account can be reached")

// Discover finds the accounts behind the credentials and their regions. A
// profile that leads to no account is noted and passed over; profiles of one
// account count once.
func Discover(ctx context.Context, o Options) (*Estate, error) {
	profiles := []string{os.Getenv("AWS_PROFILE")} // "" is the standard chain
	switch {
	case len(o.Again) > 0:
		profiles = again(o)
	case o.AllProfiles:
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
	e.requests = requests
	type found struct {
		*reached
		why *store.Unresolved
	}
	results, _ := api.Each(ctx, profiles, func(ctx context.Context, p string) (found, error) {
		r, cfg, err := reach(ctx, p, requests)
		if err != nil {
			why := unresolved(p, cfg, err)
			return found{why: &why}, nil
		}
		return found{reached: r}, nil
	})
	byAccount := map[string]*reached{}
	for i, r := range results {
		switch {
		case r.reached == nil && r.why == nil: // the run was stopped
		case r.why != nil:
			e.Unresolved = append(e.Unresolved, *r.why)
		case len(o.Again) > 0 && !slices.ContainsFunc(o.Again, func(a store.Account) bool { return a.ID == r.ID }):
			e.Unresolved = append(e.Unresolved, store.Unresolved{Profile: profileName(profiles[i]), Error: "it leads to account " + r.ID + ", which is not of this collection"})
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
			if u.Remedy != "" {
				reasons[i] += ": " + u.Remedy
			}
		}
		return nil, fmt.Errorf("%w: %s", ErrNoAccount, strings.Join(reasons, "; "))
	}
	slices.SortFunc(e.reached, func(a, b *reached) int { return strings.Compare(a.ID, b.ID) })
	if _, err := api.Each(ctx, e.reached, func(ctx context.Context, r *reached) (struct{}, error) {
		r.findRegions(ctx, o)
		return struct{}{}, nil
	}); err != nil {
		return nil, err
	}
	e.checkOrganizations()
	for _, r := range e.reached {
		if len(r.later) > 0 {
			e.Notes = append(e.Notes, fmt.Sprintf("account %s: regions enabled since the collection began are not part of it: %s", r.ID, strings.Join(r.later, ", ")))
		}
	}
	for _, r := range e.reached {
		e.Accounts = append(e.Accounts, r.Account)
	}
	return e, ctx.Err()
}

// again are the profiles by which the accounts of a collection that goes on
// were reached.
func again(o Options) []string {
	var profiles []string
	for _, a := range o.Again {
		profile := a.Name
		if len(a.Profiles) > 0 {
			profile = a.Profiles[0]
		}
		if profile == profileName("") && !o.AllProfiles { // the standard chain
			profile = os.Getenv("AWS_PROFILE")
		}
		profiles = append(profiles, profile)
	}
	return profiles
}

// checkOrganizations notes the accounts to ask for their organization that are
// not among those reached.
func (e *Estate) checkOrganizations() {
	for _, id := range e.options.Organizations {
		if !slices.ContainsFunc(e.reached, func(r *reached) bool { return r.ID == id }) {
			e.Notes = append(e.Notes, fmt.Sprintf("--aws-organization-account-ids: account %s is not among those reached", id))
		}
	}
}

func profileName(p string) string {
	if p == "" {
		return "default"
	}
	return p
}

// explain makes one line of a credential error.
func explain(err error) string {
	text := strings.Join(strings.Fields(err.Error()), " ")
	switch {
	case strings.Contains(text, "InvalidGrantException"), strings.Contains(text, "SSOTokenProvider"), strings.Contains(text, "cached SSO token"),
		strings.Contains(text, "sso token"), strings.Contains(text, "SSO session has expired"), strings.Contains(text, "GetRoleCredentials") && strings.Contains(text, "UnauthorizedException"):
		return "the SSO session has expired"
	case strings.Contains(text, "no EC2 IMDS role found"):
		return "no credentials found (" + text + ")"
	}
	return text
}

// reach loads a profile and asks STS whose credentials it gives. With an error
// comes the configuration, as far as it could be loaded.
func reach(ctx context.Context, profile string, q *requests) (*reached, aws.Config, error) {
	cfg, err := load(ctx, profile, q)
	if err != nil {
		return nil, cfg, err
	}
	account := "" // once it is known, the profile must go on leading to it
	c := &credentials{current: cfg.Credentials, timeout: q.settings.ReadTimeout, load: func(ctx context.Context) (aws.CredentialsProvider, error) {
		again, err := load(ctx, profile, q)
		if err != nil || account == "" {
			return again.Credentials, err
		}
		who, err := sts.NewFromConfig(again).GetCallerIdentity(ctx, nil)
		if err == nil && aws.ToString(who.Account) != account {
			err = fmt.Errorf("profile %s leads to account %s by now", profileName(profile), aws.ToString(who.Account))
		}
		return again.Credentials, err
	}}
	cfg.Credentials = c
	identity, err := sts.NewFromConfig(q.with(cfg, "", q.settings.ReadTimeout, c)).GetCallerIdentity(ctx, nil)
	if err != nil {
		return nil, cfg, err
	}
	account = aws.ToString(identity.Account)
	partition := "aws"
	if who, err := arn.Parse(aws.ToString(identity.Arn)); err == nil {
		partition = who.Partition
	}
	r := &reached{
		Account: store.Account{
			Provider: Provider, ID: aws.ToString(identity.Account), Name: profileName(profile),
			Profiles: []string{profileName(profile)}, Identity: aws.ToString(identity.Arn), Endpoint: aws.ToString(cfg.BaseEndpoint),
		},
		partition: partition, home: cfg.Region, config: cfg, credentials: c, requests: q, renewal: renewal(profile, cfg),
	}
	return r, cfg, nil
}

// load makes a profile's configuration.
func load(ctx context.Context, profile string, q *requests) (aws.Config, error) {
	options := []func(*config.LoadOptions) error{
		config.WithHTTPClient(q.client),
		config.WithLogger(logging.Nop{}),                                      // errors are returned
		config.WithRetryer(func() aws.Retryer { return retry.NewStandard() }), // of what gets credentials
		config.WithCredentialsCacheOptions(func(o *aws.CredentialsCacheOptions) {
			// Renewed before they end, not all accounts' at one moment.
			o.ExpiryWindow, o.ExpiryWindowJitterFrac = cmp.Or(q.settings.RenewBefore, 2*time.Minute), 0.5
		}),
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
	// The SDK makes the clients that get credentials before it reads the
	// configured endpoint, and would ask the real STS and SSO: tell it
	// beforehand.
	if cfg.BaseEndpoint != nil {
		endpoint := *cfg.BaseEndpoint
		//nolint:staticcheck // the one hook that comes before the credentials
		options = append(options, config.WithEndpointResolverWithOptions(aws.EndpointResolverWithOptionsFunc(
			func(service, region string, _ ...any) (aws.Endpoint, error) {
				if service != sts.ServiceID && service != "SSO" && service != "SSO OIDC" {
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
	cfg.HTTPClient = sender{cfg.HTTPClient} // not before: AWS_CA_BUNDLE wants the SDK's own client
	// The run's own settings hold, not AWS_MAX_ATTEMPTS.
	cfg.Retryer, cfg.RetryMaxAttempts = func() aws.Retryer { return newRetryer(q.settings.Retries, q.settings.Patience) }, 0
	return cfg, nil
}

// with lets a configuration's requests go through q.
func (q *requests) with(cfg aws.Config, account string, timeout time.Duration, c *credentials) aws.Config {
	cfg = cfg.Copy()
	cfg.APIOptions = append(slices.Clone(cfg.APIOptions), q.middleware(account, timeout, c))
	return cfg
}

// regionsOfAll are the regions that every account of a partition has and
// cannot disable. Source: "Enable or disable AWS Regions in your account".
var regionsOfAll = map[string][]string{
	"aws": {
		"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1",
		"eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
	},
	"aws-cn":     {"cn-north-1", "cn-northwest-1"},
	"aws-us-gov": {"us-gov-east-1", "us-gov-west-1"},
}

// findRegions settles the regions of the account's regional cells.
func (r *reached) findRegions(ctx context.Context, o Options) {
	wanted := o.Regions
	for _, a := range o.Again {
		if a.ID == r.ID {
			wanted = a.Regions
		}
	}
	cfg := r.requests.with(r.config, r.ID, r.requests.settings.ReadTimeout, r.credentials)
	out, err := ec2.NewFromConfig(cfg).DescribeRegions(ctx, &ec2.DescribeRegionsInput{AllRegions: aws.Bool(len(wanted) > 0)})
	if err != nil {
		// With regions given the answer only saves calls to those not enabled.
		r.unlisted = true
		if r.Regions = wanted; len(wanted) == 0 {
			r.noRegions = err
			if r.Regions = regionsOfAll[r.partition]; r.Regions == nil {
				r.Regions = []string{r.home}
			}
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
	if len(o.Again) > 0 && len(o.Regions) == 0 {
		for _, name := range slices.Sorted(maps.Keys(enabled)) {
			if enabled[name] && !slices.Contains(wanted, name) {
				r.later = append(r.later, name)
			}
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
	organized := &api.Once{}
	var peers []*api.Peer
	for i, r := range e.reached {
		ids[i] = r.ID
		if len(e.options.Organizations) == 0 || slices.Contains(e.options.Organizations, r.ID) {
			peers = append(peers, &api.Peer{Account: r.ID, Config: r.configFor(&api.Sync{}, "")})
		}
	}
	for _, r := range e.reached {
		r.peers, r.organized, r.without = peers, organized, e.options.Without
		r.others, r.answers = ids, api.NewAnswers(e.Syncs())
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
	// What is read once an account is most of its requests: it comes first, so
	// that nothing waits for it at the end.
	slices.SortStableFunc(tasks, func(a, b collect.Task) int {
		return cmp.Compare(min(len(a.ID.Region), 1), min(len(b.ID.Region), 1))
	})
	return tasks
}

// Unreached are the cells of the accounts of a collection that goes on which
// could not be reached this time. They are for those that have no outcome yet.
func (e *Estate) Unreached() []collect.Task {
	var tasks []collect.Task
	for _, a := range e.options.Again {
		if slices.ContainsFunc(e.reached, func(r *reached) bool { return r.ID == a.ID }) {
			continue
		}
		settled := &store.Outcome{State: store.Skipped, Code: "Credentials", Message: "the account could not be reached", Remedy: e.remedyOf(a)}
		for _, declared := range api.Registry.Syncs {
			sync := api.Find(declared.Name)
			if sync.Collect == nil || !sync.Always && !slices.Contains(e.options.Syncs, sync.Name) {
				continue
			}
			regions := a.Regions
			if sync.Global {
				regions = []string{""}
			}
			for _, region := range regions {
				tasks = append(tasks, collect.Task{
					ID:     store.CellID{Provider: Provider, Account: a.ID, Region: region, Sync: sync.Name},
					Tables: declared.Tables, Settled: settled,
				})
			}
		}
	}
	return tasks
}

// closed are the codes with which a region that is not enabled refuses
// credentials that are good elsewhere.
var closed = map[string]bool{"AuthFailure": true, "UnrecognizedClientException": true, "InvalidClientTokenId": true}

// remedyOf is what to do so that an account can be reached again.
func (e *Estate) remedyOf(a store.Account) string {
	for _, u := range e.Unresolved {
		if slices.Contains(a.Profiles, u.Profile) || u.Profile == a.Name {
			return u.Remedy
		}
	}
	return ""
}

// meaning tells what an error means for a cell of the account.
func (r *reached) meaning(sync *api.Sync, err error) store.Outcome {
	o := meaning(sync, err)
	o.Remedy = remedy(o, r.Identity, r.renewal)
	return o
}

func (r *reached) task(sync *api.Sync, declared *kind.Sync, region string) collect.Task {
	t := collect.Task{
		ID:     store.CellID{Provider: Provider, Account: r.ID, Region: region, Sync: sync.Name},
		Tables: declared.Tables,
		Meaning: func(err error) store.Outcome {
			o := r.meaning(sync, err)
			if r.unlisted && closed[o.Code] && region != "" && !slices.Contains(regionsOfAll[r.partition], region) {
				o.State, o.Remedy = store.Unsupported, remedy(store.Outcome{Code: "RegionDisabled"}, "", "")
			}
			return o
		},
	}
	switch {
	case region != "" && r.noRegions != nil:
		o := r.meaning(nil, r.noRegions)
		o.Message = "the account's regions could not be listed: " + o.Message
		if o.Remedy != "" {
			o.Remedy += ", or name the regions in a new collection: --aws-regions"
		}
		t.Settled = &o
		return t
	case r.disabled[region]:
		t.Settled = &store.Outcome{State: store.Unsupported, Code: "RegionDisabled", Message: "the region is not enabled in this account"}
		t.Settled.Remedy = remedy(*t.Settled, r.Identity, r.renewal)
		return t
	}
	t.Do = func(ctx context.Context, sink kind.Sink) (collect.Cost, error) {
		m := &meter{sync: sync.Name}
		at := &api.Cell{
			Account: r.ID, Name: r.Name, Region: region, Partition: r.partition, Accounts: r.others,
			Sync: sync.Name, Answers: r.answers, Peers: r.peers, Once: r.organized, Without: r.without, Config: r.configFor(sync, region), Sink: sink,
		}
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
		retries := min(r.requests.settings.Retries, sync.MaxAttempts)
		cfg.Retryer = func() aws.Retryer { return newRetryer(retries, r.requests.settings.Patience) }
	}
	return r.requests.with(cfg, r.ID, timeout, r.credentials)
}
