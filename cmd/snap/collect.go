package main

import (
	"context"
	"errors"
	"fmt"
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
	var (
		output, resume                  string
		syncs, regions                  string
		allProfiles, bestEffort, asJSON bool
		concurrency                     int
		logFormat                       string
	)
	return &command{
		name: "collect", args: "--aws-sync-all-profiles -o DIR",
		short: "read the cloud's APIs into a snapshot",
		long: `Reads the estate into a new snapshot directory. Without --aws-sync-all-profiles it
reads the one account of the standard credential chain (environment, AWS_PROFILE,
SSO, instance role); with it, the account of every profile in AWS_CONFIG_FILE and
AWS_SHARED_CREDENTIALS_FILE but "default". The policy SecurityAudit suffices.

Every account × region × sync is a cell. What could not be read costs its cell and
no other: the manifest says how each ended. Exit code 3: done, some are not complete.

Environment: CARTOGRAPHY_AWS_RETRY_MODE (standard), CARTOGRAPHY_AWS_MAX_ATTEMPTS (3),
CARTOGRAPHY_AWS_READ_TIMEOUT (120 s), or SNAP_AWS_… of the same, which wins.`,
		flags: func(f *pflag.FlagSet) {
			f.StringVarP(&output, "output", "o", "", "the snapshot `DIR`ectory to make; it must not exist, or be empty")
			f.StringVar(&resume, "resume", "", "finish the snapshot in `DIR`: redo exactly the cells that are not complete")
			f.BoolVar(&allProfiles, "aws-sync-all-profiles", false, "collect the account of every profile")
			f.StringVar(&syncs, "aws-requested-syncs", "", "only these syncs and what they need, e.g. \"ec2:instance,s3\"")
			f.StringVar(&regions, "aws-regions", "", "only these regions, e.g. \"us-east-1,eu-west-1\"; else all that the account has enabled")
			f.IntVar(&concurrency, "concurrency", collect.DefaultConcurrency, "how many cells are collected at once")
			f.StringVar(&logFormat, "log-format", "text", "text or json: how progress is told on standard error")
			f.BoolVar(&bestEffort, "aws-best-effort-mode", false, "accepted for Cartography's sake: snap always goes on")
		},
		run: func(ctx context.Context, args []string, out *terminal) error {
			switch {
			case len(args) > 0:
				return usage("collect takes no argument %q; the output goes to -o DIR", args[0])
			case output == "" && resume == "":
				return usage("collect needs -o DIR, the directory to make")
			case output != "" && resume != "":
				return usage("collect takes either -o DIR or --resume DIR")
			case logFormat != "text" && logFormat != "json":
				return usage("--log-format is %q: use text or json", logFormat)
			case concurrency < 1:
				return usage("--concurrency is %d: use 1 or more", concurrency)
			}
			asJSON = logFormat == "json"
			settings, err := session.SettingsFromEnv()
			if err != nil {
				return usage("%v", err)
			}
			wanted, err := session.Resolve(list(syncs))
			if err != nil {
				return usage("--aws-requested-syncs: %v", err)
			}
			o := session.Options{AllProfiles: allProfiles, Regions: list(regions), Syncs: wanted, Settings: settings}
			return runCollect(ctx, out, o, output, resume, concurrency, asJSON)
		},
	}
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

func runCollect(ctx context.Context, out *terminal, o session.Options, output, resume string, concurrency int, asJSON bool) error {
	started := time.Now().UTC()
	dir := output
	if resume != "" {
		dir = resume
	} else if err := store.CheckNew(dir); err != nil { // before any request is made
		return err
	}
	estate, err := session.Discover(ctx, o)
	if err != nil {
		return interrupted(ctx, err)
	}
	var w *store.Writer
	if resume != "" {
		w, err = store.Resume(dir)
	} else {
		w, err = store.Create(dir, store.Manifest{
			Program: program(), Started: started, Regions: o.Regions, Syncs: estate.Syncs(),
			Accounts: estate.Accounts, Unresolved: estate.Unresolved,
		})
	}
	if err != nil {
		return err
	}
	defer w.Close()

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
	p := newProgress(out, asJSON, len(tasks), "collecting")
	for _, u := range estate.Unresolved {
		p.say(fmt.Sprintf("profile %s leads to no account: %s", u.Profile, u.Error), map[string]any{"event": "unresolved", "profile": u.Profile, "error": u.Error})
	}
	p.say(fmt.Sprintf("%s, %s to collect%s", count(len(estate.Accounts), "account"), count(len(tasks), "cell"), resumed(kept, resume != "")),
		map[string]any{"event": "planned", "accounts": len(estate.Accounts), "cells": len(tasks), "kept": kept})

	var rows int64
	var calls, throttles int
	err = collect.Run(ctx, w, tasks, collect.Options{Concurrency: concurrency, Ended: func(id store.CellID, oc store.Outcome, n int64) {
		rows, calls, throttles = rows+n, calls+oc.Calls, throttles+oc.Throttles
		line := ""
		if oc.State != store.Complete && oc.State != store.Skipped {
			line = describe(id, oc)
		}
		p.say(line, map[string]any{"event": "cell", "cell": id.String(), "state": oc.State, "code": oc.Code, "action": oc.Action,
			"message": oc.Message, "rows": n, "calls": oc.Calls, "retries": oc.Retries, "throttles": oc.Throttles, "seconds": oc.Finished.Sub(oc.Started).Seconds()})
		p.step(fmt.Sprintf("%d rows · %d calls · %d throttled", rows, calls, throttles))
	}})
	p.finish()
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("the collection stopped: %w; what is done is kept: snap collect --resume %s goes on", err, dir)
	}
	var all []*kind.Table
	for _, t := range tables {
		all = append(all, t)
	}
	id, err := w.Commit(all, time.Now().UTC())
	if err != nil {
		return err
	}
	snap, err := store.Open(dir)
	if err != nil {
		return err
	}
	defer snap.Close()
	p.say("", map[string]any{"event": "committed", "snapshot": dir, "id": id, "rows": rows, "calls": calls, "seconds": time.Since(started).Seconds()})
	if !asJSON {
		summarize(out, dir, snap)
	}
	switch {
	case ctx.Err() != nil:
		return &exit{exitInterrupted, fmt.Errorf("interrupted: what was collected is kept; snap collect --resume %s goes on", dir)}
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
