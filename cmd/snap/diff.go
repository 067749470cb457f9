package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"snap/diff"
	"snap/store"
)

// The exit codes of diff, which scripts read.
const (
	diffSame          = 0
	diffDiffers       = 1
	diffFailed        = 2
	diffNotComparable = 3
)

func diffCommand() *command {
	var o diff.Options
	var format string
	var noColor bool
	return &command{
		name: "diff", args: "OLD NEW", short: "say what drifted between two snapshots",
		long: `Compares two snapshots row by row: added, removed, and changed with old → new for
each property. Nothing is called removed where the new snapshot's cell is not
complete, nor added where the old one's is not: that is unknown, with the reason.

Exit codes: 0 the same, 1 they differ, 2 failed, 3 they differ in nothing that could
be compared, but not everything could be.`,
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&format, "format", "text", "text, json (one object), or ndjson (one object a line)")
			f.BoolVar(&o.All, "all", false, "show properties that change on their own, too (last used, counters)")
			f.StringSliceVar(&o.Tables, "table", nil, "only these tables")
			f.StringSliceVar(&o.Accounts, "account", nil, "only these accounts")
			f.StringSliceVar(&o.Regions, "region", nil, "only these regions; global syncs are in the region \"global\"")
			f.StringSliceVar(&o.Only, "only", nil, "only added, removed, changed or unknown")
			f.BoolVar(&noColor, "no-color", false, "no colour on a terminal")
		},
		run: func(ctx context.Context, args []string, out *terminal) error {
			code, err := runDiff(ctx, args, out, o, format, !noColor && out.columns > 0 && os.Getenv("NO_COLOR") == "")
			switch {
			case err == nil && code == diffSame:
				return nil
			case err == nil:
				return &exit{code: code}
			case errors.Is(context.Cause(ctx), errInterrupted):
				return &exit{exitInterrupted, errInterrupted}
			}
			return &exit{diffFailed, err}
		},
	}
}

func runDiff(ctx context.Context, args []string, out *terminal, o diff.Options, format string, color bool) (int, error) {
	if len(args) != 2 {
		return 0, usage("diff takes two snapshots, the old one first")
	}
	before, err := store.Open(args[0])
	if err != nil {
		return 0, err
	}
	defer before.Close()
	after, err := store.Open(args[1])
	if err != nil {
		return 0, err
	}
	defer after.Close()
	c, err := diff.Compare(ctx, before, after, registry(), o)
	if err != nil {
		return 0, err
	}
	switch format {
	case "text":
		err = diff.Text(out.out, c, diff.TextOptions{Color: color})
	case "json":
		err = diff.JSON(out.out, c)
	case "ndjson":
		err = diff.NDJSON(out.out, c)
	default:
		return 0, fmt.Errorf("--format is %q: use text, json or ndjson", format)
	}
	if err != nil {
		return 0, err
	}
	switch s := c.Summary(); {
	case s.Differs():
		return diffDiffers, nil
	case s.Same():
		return diffSame, nil
	}
	return diffNotComparable, nil
}
