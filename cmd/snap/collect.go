package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	gometrics "runtime/metrics"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"snap/collect"
	"snap/collect/aws/session"
	"snap/store"
	"snap/store/kind"
)

func collectCommand() *command {
	var f collectFlags
	return &command{
		name: "collect", args: "--aws-sync-all-profiles -o DIR | --store DIR",
		short: "read the cloud's APIs into a snapshot",
		long: `Reads the estate into a new snapshot directory. Without --aws-sync-all-profiles it
reads the one account of the standard credential chain (environment, AWS_PROFILE,
SSO, instance role); with it, the account of every profile in AWS_CONFIG_FILE and
AWS_SHARED_CREDENTIALS_FILE but "default". The policy SecurityAudit suffices.

Every account × region × sync is a cell. What could not be read costs its cell and
no other: the manifest says how each ended. Exit code 3: done, some are not complete.
Ctrl-C once ends in order: what is done is kept, and --resume goes on. Twice: at once.

--plan only says what would be read: accounts, regions, cells, operations, and how many
calls and how long that would be. It asks STS and DescribeRegions, nothing else.

Environment: CARTOGRAPHY_AWS_RETRY_MODE (standard), CARTOGRAPHY_AWS_MAX_ATTEMPTS (3),
CARTOGRAPHY_AWS_READ_TIMEOUT (120 s), or SNAP_AWS_… of the same, which wins.
SNAP_AWS_THROTTLE_PATIENCE (300 s): how long a throttled request is repeated; it does not
count as an attempt.`,
		flags: f.declare,
		run: func(ctx context.Context, args []string, out *terminal) error {
			if len(args) > 0 {
				return usage("collect takes no argument %q; the output goes to -o DIR", args[0])
			}
			how, err := f.collecting()
			if err != nil {
				return err
			}
			if f.planned {
				return runPlan(ctx, out, how.Options, f.like)
			}
			return runCollect(ctx, out, how)
		},
	}
}

// collectFlags are collect's flags as they were given.
type collectFlags struct {
	set                      *pflag.FlagSet
	output, resume, runs     string
	syncs, regions, leaveOut string
	organizations            string
	allProfiles, bestEffort  bool
	planned                  bool
	like                     string
	logFormat                string
	settings                 session.Settings
	cellTimeout              time.Duration
	metrics                  metrics
}

func (c *collectFlags) declare(f *pflag.FlagSet) {
	c.set = f
	f.StringVarP(&c.output, "output", "o", "", "the snapshot `DIR`ectory to make; it must not exist, or be empty")
	f.StringVar(&c.runs, "store", "", "make the snapshot in `DIR`, beside those of earlier runs, named by its time")
	f.StringVar(&c.resume, "resume", "", "finish the snapshot in `DIR`: redo exactly the cells that are not complete, as it was begun: no other flag is needed")
	f.BoolVar(&c.planned, "plan", false, "say what would be collected, and collect nothing")
	f.StringVar(&c.like, "like", "", "with --plan: estimate calls and time by those of an earlier `SNAPSHOT`")
	f.BoolVar(&c.allProfiles, "aws-sync-all-profiles", false, "collect the account of every profile")
	f.StringVar(&c.syncs, "aws-requested-syncs", "", "only these syncs and what they need, e.g. \"ec2:instance,s3\"")
	f.StringVar(&c.regions, "aws-regions", "", "only these regions, e.g. \"us-east-1,eu-west-1\"; else all that the account has enabled")
	f.StringVar(&c.organizations, "aws-organization-account-ids", "", "ask only these `ACCOUNTS` for their organization: the management account or a delegated administrator")
	f.StringVar(&c.leaveOut, "aws-leave-out-calls", "", "do not make these optional `CALLS`; what they tell is then unknown: "+strings.Join(session.Optional(), ", "))
	f.IntVar(&c.settings.Concurrency, "concurrency", session.DefaultConcurrency, "how many requests are under way at once, over all accounts")
	f.Float64Var(&c.settings.MaxRPS, "max-rps", 0, "how many requests a second are made in one account at most; 0: as AWS's limits allow")
	f.DurationVar(&c.cellTimeout, "cell-timeout", collect.DefaultCellTimeout, "how long one sync of one account and region may take")
	c.metrics.flags(f)
	f.StringVar(&c.logFormat, "log-format", "text", "text or json: how progress is told on standard error")
	f.BoolVar(&c.bestEffort, "aws-best-effort-mode", false, "accepted for Cartography's sake: snap always goes on")
}

// what are the options that settle what is collected beside accounts, regions
// and syncs, and how those that bound how it is collected. A collection that
// is resumed remembers both; how may be given anew.
var (
	whatOptions = []string{"aws-leave-out-calls", "aws-organization-account-ids"}
	howOptions  = []string{"cell-timeout", "concurrency", "max-rps"}
)

// collecting checks the flags and makes of them how the collection is run.
func (c *collectFlags) collecting() (*collecting, error) {
	switch {
	case c.output == "" && c.resume == "" && c.runs == "" && !c.planned:
		return nil, usage("collect needs -o DIR, the directory to make, or --store DIR")
	case c.output != "" && c.resume != "" || c.runs != "" && (c.output != "" || c.resume != ""):
		return nil, usage("collect takes one of -o DIR, --store DIR and --resume DIR")
	case c.planned && c.resume != "":
		return nil, usage("--plan is for a new collection: leave out --resume")
	case c.logFormat != "text" && c.logFormat != "json":
		return nil, usage("--log-format is %q: use text or json", c.logFormat)
	case c.like != "" && !c.planned:
		return nil, usage("--like is for --plan")
	}
	how := &collecting{
		started: time.Now().UTC(), dir: c.output, resume: c.resume != "", asJSON: c.logFormat == "json",
		metrics: c.metrics, remember: c.remember(), recall: c.recall,
	}
	if how.resume {
		how.dir = c.resume
	}
	if c.runs != "" {
		how.dir = store.RunPath(c.runs, how.started)
	}
	return how, c.into(how)
}

// into checks what is to be collected and how, and puts it into how.
func (c *collectFlags) into(how *collecting) error {
	switch {
	case c.settings.Concurrency < 1:
		return usage("--concurrency is %d: use 1 or more", c.settings.Concurrency)
	case c.settings.MaxRPS < 0:
		return usage("--max-rps is %g: use a positive number", c.settings.MaxRPS)
	case c.cellTimeout <= 0:
		return usage("--cell-timeout is %s: use a positive duration, such as 30m", c.cellTimeout)
	}
	for _, call := range list(c.leaveOut) {
		if !slices.Contains(session.Optional(), call) {
			return usage("--aws-leave-out-calls: %s cannot be left out; what can is %s", call, strings.Join(session.Optional(), ", "))
		}
	}
	for _, id := range list(c.organizations) {
		if len(id) != 12 || strings.Trim(id, "0123456789") != "" {
			return usage("--aws-organization-account-ids: %q is no account: use 12 digits", id)
		}
	}
	settings, err := session.SettingsFromEnv()
	if err != nil {
		return usage("%v", err)
	}
	settings.Concurrency, settings.MaxRPS = c.settings.Concurrency, c.settings.MaxRPS
	wanted, err := session.Resolve(list(c.syncs))
	if err != nil {
		return usage("--aws-requested-syncs: %v", err)
	}
	how.cellTimeout = c.cellTimeout
	how.Options = session.Options{
		AllProfiles: c.allProfiles, Regions: list(c.regions), Syncs: wanted, Settings: settings,
		Organizations: list(c.organizations), Without: list(c.leaveOut),
	}
	return nil
}

// remember are the options that were given, as a manifest has them.
func (c *collectFlags) remember() []string {
	var options []string
	for _, name := range slices.Concat(whatOptions, howOptions) {
		if c.set.Changed(name) {
			options = append(options, name+"="+normal(c.set.Lookup(name).Value.String()))
		}
	}
	return options
}

// normal is a list in one order, as it was given or not.
func normal(value string) string { return strings.Join(slices.Sorted(slices.Values(list(value))), ",") }

// recall takes on the options with which a collection was begun. The error is
// one of usage where what was given now would make another collection of it.
func (c *collectFlags) recall(m store.Manifest, how *collecting) error {
	other := func(name, was string) error {
		if was == "" {
			was = "without it"
		} else {
			was = "with " + was
		}
		return usage("--%s is not what this collection was begun with (%s): leave it out, or collect anew", name, was)
	}
	was := map[string]string{}
	for _, option := range m.Options {
		name, value, _ := strings.Cut(option, "=")
		if !slices.Contains(whatOptions, name) && !slices.Contains(howOptions, name) {
			return fmt.Errorf("the collection was begun with --%s, which this version does not know: finish it with the version that began it (%s)", name, m.Program)
		}
		was[name] = value
	}
	for _, name := range whatOptions {
		if c.set.Changed(name) && normal(c.set.Lookup(name).Value.String()) != was[name] {
			return other(name, was[name])
		}
	}
	if now := normal(c.regions); c.set.Changed("aws-regions") && now != strings.Join(m.Regions, ",") {
		return other("aws-regions", strings.Join(m.Regions, ","))
	}
	syncs, err := session.Known(m.Syncs)
	if err != nil {
		return err
	}
	if slices.Sort(syncs); c.set.Changed("aws-requested-syncs") && !slices.Equal(syncs, how.Syncs) {
		return other("aws-requested-syncs", strings.Join(syncs, ","))
	}
	for name, value := range was {
		if c.set.Changed(name) {
			continue
		}
		if err := c.set.Set(name, value); err != nil {
			return fmt.Errorf("the manifest's option %s=%s: %w", name, value, err)
		}
	}
	if err := c.into(how); err != nil {
		return err
	}
	how.Syncs, how.Regions, how.Again = syncs, m.Regions, m.Accounts
	return nil
}

// list splits a comma-separated flag.
func list(s string) []string {
	var items []string
	for _, item := range strings.Split(s, ",") {
		if item = strings.TrimSpace(item); item != "" && !slices.Contains(items, item) {
			items = append(items, item)
		}
	}
	return items
}

// collecting is how a collection is run.
type collecting struct {
	session.Options
	started     time.Time
	dir         string
	resume      bool
	asJSON      bool
	cellTimeout time.Duration
	metrics     metrics
	remember    []string                                // options, for the manifest
	recall      func(store.Manifest, *collecting) error // takes on those of a manifest
	after       func(*session.Estate)                   // for tests; nil: nothing
}

// begin finds the estate and opens the snapshot. A collection that goes on has
// the accounts, regions and syncs that it began with.
func (c *collecting) begin(ctx context.Context) (*session.Estate, *store.Writer, error) {
	if !c.resume {
		if err := store.CheckNew(c.dir); err != nil { // before any request is made
			return nil, nil, err
		}
		estate, err := session.Discover(ctx, c.Options)
		if err != nil {
			return nil, nil, interrupted(ctx, err)
		}
		w, err := store.Create(c.dir, store.Manifest{
			Program: program(), Started: c.started, Regions: c.Regions, Syncs: estate.Syncs(), Options: c.remember,
			Accounts: estate.Accounts, Unresolved: estate.Unresolved,
		})
		return estate, w, err
	}
	w, err := store.Resume(c.dir)
	if err != nil {
		return nil, nil, err
	}
	if err = c.recall(w.Manifest(), c); err == nil {
		var estate *session.Estate
		if estate, err = session.Discover(ctx, c.Options); err == nil {
			return estate, w, nil
		}
	}
	return nil, nil, errors.Join(interrupted(ctx, err), w.Close())
}

func runCollect(ctx context.Context, out *terminal, c *collecting) error {
	estate, w, err := c.begin(ctx)
	if err != nil {
		return err
	}
	defer w.Close()
	collected := func() {}
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		collected = roomForGarbage()
	}

	var tasks []collect.Task
	tables := map[string]*kind.Table{}
	kept := 0
	for _, t := range estate.Tasks() {
		for _, table := range t.Tables {
			tables[table.Name] = table
		}
		if _, done := w.Done(t.ID); done {
			kept++
			continue
		}
		tasks = append(tasks, t)
	}
	for _, t := range estate.Unreached() {
		for _, table := range t.Tables {
			tables[table.Name] = table
		}
		if !w.Recorded(t.ID) {
			tasks = append(tasks, t)
		}
	}
	p := newProgress(out, c.asJSON, len(tasks), "collecting")
	for _, u := range estate.Unresolved {
		p.say(fmt.Sprintf("profile %s leads to no account: %s%s", u.Profile, quote(u.Error), arrow(quote(u.Remedy))),
			map[string]any{"event": "unresolved", "profile": u.Profile, "error": u.Error, "remedy": u.Remedy})
	}
	for _, note := range estate.Notes {
		p.say(note, map[string]any{"event": "note", "message": note})
	}
	p.say(fmt.Sprintf("%s, %s to collect%s", count(len(estate.Accounts), "account"), count(len(tasks), "cell"), resumed(kept, c.resume)),
		map[string]any{"event": "planned", "accounts": len(estate.Accounts), "cells": len(tasks), "kept": kept})

	var rows int64
	var calls, throttles int
	err = collect.Run(ctx, w, tasks, collect.Options{CellTimeout: c.cellTimeout, Ended: func(id store.CellID, oc store.Outcome, n int64) {
		rows, calls, throttles = rows+n, calls+oc.Calls, throttles+oc.Throttles
		line := ""
		if oc.State != store.Complete && oc.State != store.Skipped && (oc.State != store.Unsupported || oc.Remedy != "") {
			line = describe(id, oc)
		}
		p.say(line, map[string]any{"event": "cell", "cell": id.String(), "state": oc.State, "code": oc.Code, "action": oc.Action,
			"message": oc.Message, "rows": n, "calls": oc.Calls, "retries": oc.Retries, "throttles": oc.Throttles, "seconds": oc.Finished.Sub(oc.Started).Seconds()})
		p.step(fmt.Sprintf("%d rows · %d calls · %d throttled", rows, calls, throttles))
	}})
	p.finish()
	collected()
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("the collection stopped: %w; what is done is kept: snap collect --resume %s goes on", err, c.dir)
	}
	id, err := w.Commit(slices.Collect(maps.Values(tables)), time.Now().UTC())
	if err != nil {
		return err
	}
	// Commit has just looked at every file.
	snap, err := store.OpenWith(c.dir, store.OpenOptions{ManifestOnly: true})
	if err != nil {
		return err
	}
	defer snap.Close()
	if c.after != nil {
		c.after(estate)
	}
	p.say("", map[string]any{"event": "committed", "snapshot": c.dir, "id": id, "rows": rows, "calls": calls, "services": byService(estate.Usage()), "seconds": time.Since(c.started).Seconds()})
	for _, g := range append(gapsOf(notComplete(snap.Manifest.Cells)), gapsOf(notThere(snap.Manifest.Cells))...) {
		p.say("", g.object())
	}
	if !c.asJSON {
		summarize(out, c.dir, snap, estate.Usage())
	}
	// The snapshot is whole whatever becomes of the figures about it.
	if err := c.metrics.send(snap.Manifest, estate.Usage(), time.Since(c.started)); err != nil {
		return fmt.Errorf("%s is written, but its figures are not: %w", c.dir, err)
	}
	switch {
	case ctx.Err() != nil:
		return &exit{exitInterrupted, fmt.Errorf("interrupted: what was collected is kept; snap collect --resume %s goes on", c.dir)}
	case len(notComplete(snap.Manifest.Cells)) > 0 || len(snap.Manifest.Unresolved) > 0:
		return &exit{code: exitIncomplete}
	}
	return nil
}

func resumed(kept int, resuming bool) string {
	if !resuming {
		return ""
	}
	return fmt.Sprintf(", %s kept", count(kept, "complete cell"))
}

// interrupted gives the exit code of Ctrl-C to an error that it caused.
func interrupted(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errInterrupted) {
		return &exit{exitInterrupted, errInterrupted}
	}
	return err
}

// roomForGarbage lets the heap grow to enoughHeap before any of it is
// collected, and to twice what lives beyond that: a hundred accounts must not
// take what one may. The function that it returns ends it, and gives back what
// is not needed: writing the manifest takes some times its size.
func roomForGarbage() (end func()) {
	ticker, done := time.NewTicker(100*time.Millisecond), make(chan struct{})
	live := []gometrics.Sample{{Name: "/gc/heap/live:bytes"}}
	set := func() {
		gometrics.Read(live)
		debug.SetGCPercent(garbage(live[0].Value.Uint64()))
	}
	set()
	go func() {
		for {
			select {
			case <-ticker.C:
				set()
			case <-done:
				return
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(done)
		debug.SetGCPercent(50)
		debug.FreeOSMemory()
	}
}

// enoughHeap is what the heap may always take, bytes.
const enoughHeap = 192 << 20

// garbage is how much garbage there may be, in percent of what lives.
func garbage(live uint64) int {
	live = max(live, 4<<20)
	if live >= enoughHeap/2 {
		return 100
	}
	return int((enoughHeap - live) * 100 / live)
}
