package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"snap/load"
)

func exportCommand() *command {
	var (
		from           opening
		output, format string
		o              load.ExportOptions
	)
	return &command{
		name: "export", args: "SNAPSHOT --format neo4j-admin -o DIR", short: "write files for neo4j-admin, the fast way into an empty Neo4j",
		long: `Writes a snapshot as the CSV files from which "neo4j-admin database import full" makes
a new database: the nodes and relationships that load would write into an empty one.
load then adds indexes, analysis and its notes, and reads no row again. DIR, which
must be missing or empty, is there when it is whole. Neo4j 5.26 and later.

` + where,
		flags: func(f *pflag.FlagSet) {
			f.StringVar(&format, "format", "", "neo4j-admin: the files that it imports")
			f.StringVarP(&output, "output", "o", "", "the `DIR`ectory to make")
			f.Int64Var(&o.Tag, "update-tag", 0, "the lastupdated of all that is written, `seconds` since 1970; else when the snapshot was begun")
			f.StringSliceVar(&o.Accounts, "selected-accounts", nil, "export only these accounts of the snapshot, by their `IDS`")
			f.StringSliceVar(&o.Syncs, "selected-syncs", nil, "export only these `SYNCS`, such as \"ec2:instance,s3\"")
			from.flags(f)
		},
		run: func(ctx context.Context, args []string, out *terminal) error {
			switch {
			case len(args) != 1:
				return usage("export takes one snapshot")
			case format == "":
				return usage("export needs --format neo4j-admin")
			case format != "neo4j-admin":
				return usage("--format is %q: use neo4j-admin", format)
			case output == "":
				return usage("export needs -o DIR, the directory to make")
			}
			snap, err := from.open(args[0])
			if err != nil {
				return err
			}
			defer snap.Close()
			o.Registry = registry()
			p := &loadProgress{t: out}
			o.Progress = p.show
			r, err := load.Export(ctx, snap, output, o)
			p.finish()
			if err != nil {
				return interrupted(ctx, err)
			}
			printExport(out, args[0], output, r, o)
			if len(notComplete(snap.Manifest.Cells)) > 0 {
				return &exit{code: exitIncomplete}
			}
			return nil
		},
	}
}

func printExport(out *terminal, snapshot, dir string, r *load.ExportReport, o load.ExportOptions) {
	fmt.Fprintf(out.out, "%s: %d nodes and %d relationships of %s, %.0f MB, in %.1f s (update tag %d)\n",
		dir, r.Nodes, r.Links, snapshot, float64(r.Bytes)/1e6, r.Seconds, r.Tag)
	if len(r.Unknown) > 0 {
		fmt.Fprintf(out.out, "\nNot exported, this program does not know them: %s\n", strings.Join(r.Unknown, ", "))
	}
	same := ""
	if o.Tag != 0 {
		same += fmt.Sprintf(" --update-tag %d", o.Tag)
	}
	if len(o.Accounts) > 0 {
		same += " --selected-accounts " + strings.Join(o.Accounts, ",")
	}
	if len(o.Syncs) > 0 {
		same += " --selected-syncs " + strings.Join(o.Syncs, ",")
	}
	fmt.Fprintf(out.out, `
Next, while Neo4j is stopped; --overwrite-destination replaces a database that is there:
  cd %s && neo4j-admin database import full neo4j @import.args

Then start Neo4j, and add indexes and analysis:
  snap load %s --neo4j-uri bolt://localhost:7687%s
`, shellWord(dir), shellWord(snapshot), same)
}

// shellWord is a path as a shell takes it for one word.
func shellWord(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-@:+,=", r)
	}
	if s != "" && strings.IndexFunc(s, func(r rune) bool { return !plain(r) }) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
