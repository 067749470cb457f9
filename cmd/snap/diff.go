package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"snap/diff"
)

// The exit codes of diff, which scripts read.
const (
	diffSame          = 0
	diffDiffers       = 1
	diffFailed        = 2
	diffNotComparable = 3
)

func diffCommand() *command {
	var o diffOptions
	return &command{
		name: "diff", args: "OLD NEW", short: "say what drifted between two snapshots",
		long: `Compares two snapshots row by row: added, removed, and changed with old → new for
each property. Nothing is called removed where the new snapshot's cell is not
complete, nor added where the old one's is not: that is unknown, with the reason.

One of the two may be a graph, bolt://localhost:7687: how it differs from what the
snapshot tells of it (docs/diff.md).

What widened access or took a protection away comes first: rules rank it as
critical, high, medium or low. A file of your own adds rules, changes or takes out
some (docs/severity.md has them all and the file's form).

Exit codes: 0 the same, 1 they differ, 2 failed, 3 they differ in nothing that could
be compared, but not everything could be. What --only and --severity leave out and
--ignore ignores is no difference; what they could not compare stays unknown.

` + where,
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&o.format, "format", "text", "text; markdown for a pull request; html, one page that needs no network; json (one object), or ndjson (one object a line)")
			f.StringVarP(&o.output, "output", "o", "", "write to this file instead of standard output")
			f.StringVar(&o.severity, "severity", "", "only what rules rank at least critical, high, medium or low")
			f.StringArrayVar(&o.rules, "rules", nil, "a JSON file with rules of your own; may be repeated")
			f.BoolVar(&o.All, "all", false, "show properties that change on their own, too (last used, counters)")
			f.StringSliceVar(&o.Tables, "table", nil, "only these tables")
			f.StringSliceVar(&o.Accounts, "account", nil, "only these accounts")
			f.StringSliceVar(&o.Regions, "region", nil, "only these regions; global syncs are in the region \"global\"")
			f.StringSliceVar(&o.Only, "only", nil, "only added, removed, changed or unknown")
			f.StringSliceVar(&o.Ignore, "ignore", nil, "ignore a property or relationship, 'table.column', or a table; * and ? as in a shell")
			f.StringArrayVar(&o.ignoreFiles, "ignore-file", nil, "a file with such patterns, one a line, # before a comment; may be repeated")
			f.BoolVar(&o.noColor, "no-color", false, "no colour on a terminal")
			o.graph.flags(f)
			o.from.flags(f)
		},
		run: func(ctx context.Context, args []string, out *terminal) error {
			code, err := runDiff(ctx, args, out, o)
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

// diffOptions are the flags of diff.
type diffOptions struct {
	diff.Options
	format, output, severity string
	rules, ignoreFiles       []string
	noColor                  bool
	from                     opening
	graph                    graphFlags
}

// read reads the files that the flags name.
func (o *diffOptions) read() error {
	o.Severity = diff.Severity(o.severity)
	o.Rules = diff.Rules()
	for _, path := range o.rules {
		more, err := readFile(path, diff.ReadRules)
		if err != nil {
			return fmt.Errorf("--rules %s: %w", path, err)
		}
		o.Rules = diff.Extend(o.Rules, more)
	}
	for _, path := range o.ignoreFiles {
		more, err := readFile(path, diff.ReadIgnore)
		if err != nil {
			return fmt.Errorf("--ignore-file %s: %w", path, err)
		}
		o.Ignore = append(o.Ignore, more...)
	}
	return nil
}

func readFile[T any](path string, read func(io.Reader) (T, error)) (T, error) {
	f, err := os.Open(path)
	if err != nil {
		var none T
		var where *fs.PathError
		if errors.As(err, &where) {
			err = where.Err // the caller names the file
		}
		return none, err
	}
	defer f.Close()
	return read(f)
}

// formats are the ways to write a comparison.
func (o *diffOptions) write(w io.Writer, c *diff.Comparison, out *terminal) error {
	switch o.format {
	case "json":
		return diff.JSON(w, c)
	case "ndjson":
		return diff.NDJSON(w, c)
	case "markdown":
		return diff.Markdown(w, c)
	case "html":
		return diff.HTML(w, c)
	}
	text := diff.TextOptions{}
	if o.output == "" {
		text = diff.TextOptions{Color: !o.noColor && out.columns > 0 && os.Getenv("NO_COLOR") == "", Width: out.columns}
	}
	return diff.Text(w, c, text)
}

func runDiff(ctx context.Context, args []string, out *terminal, o diffOptions) (code int, err error) {
	if len(args) != 2 {
		return 0, usage("diff takes two snapshots, or a snapshot and a graph, the old one first")
	}
	if formats := []string{"text", "markdown", "html", "json", "ndjson"}; !slices.Contains(formats, o.format) {
		return 0, usage("--format is %q: use %s", o.format, strings.Join(formats, ", "))
	}
	if err := o.read(); err != nil {
		return 0, err
	}
	sides, err := o.open(ctx, args, out)
	if err != nil {
		return 0, err
	}
	defer func() {
		if e := sides.close(); err == nil {
			err = e
		}
	}()
	o.Outside = sides.outside
	c, err := diff.Compare(ctx, sides.old, sides.new, sides.registry, o.Options)
	if err != nil {
		return 0, err
	}
	w := out.out
	if o.output != "" {
		f, err := os.OpenFile(o.output, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) // it may quote secrets
		if err != nil {
			return 0, err
		}
		defer func() {
			if e := f.Close(); err == nil {
				err = e
			}
		}()
		w = f
	}
	if err := o.write(w, c, out); err != nil {
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
