package main

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"
)

func verifyCommand() *command {
	var from opening
	var readData bool
	return &command{
		name: "verify", args: "SNAPSHOT", short: "check a snapshot against its manifest",
		long: `Checks that every file of the manifest is there with its size, and no other. With
--read-data every byte is hashed and every row decoded as well. Exit code 1 when
something is not as it was written.

` + where,
		flags: func(f *pflag.FlagSet) {
			f.BoolVar(&readData, "read-data", false, "hash and decode every file")
			from.flags(f)
		},
		run: func(ctx context.Context, args []string, out *terminal) error {
			if len(args) != 1 {
				return usage("verify takes one snapshot")
			}
			snap, err := from.openWith(args[0], true) // Verify finds all that is wrong, not only the first
			if err != nil {
				return err
			}
			defer snap.Close()
			problems := snap.Verify(ctx, readData)
			if err := ctx.Err(); err != nil {
				return interrupted(ctx, err)
			}
			for _, p := range problems {
				fmt.Fprintln(out.err, p)
			}
			if len(problems) > 0 {
				return fmt.Errorf("%s: %s", snap.Path, count(len(problems), "problem"))
			}
			files, bytes := 0, int64(0)
			for _, c := range snap.Manifest.Cells {
				for _, file := range c.Files {
					files, bytes = files+1, bytes+file.Size
				}
			}
			depth := "sizes"
			if readData {
				depth = "every byte and row"
			}
			fmt.Fprintf(out.out, "%s  %s\n%s, %d KiB: %s as written\n", snap.Path, snap.ID, count(files, "file"), (bytes+1023)/1024, depth)
			switch signature, err := snap.Signature(); {
			case err != nil:
				return err
			case from.key != "":
				fmt.Fprintln(out.out, "signed by the key that was given")
			case signature != nil:
				fmt.Fprintln(out.out, "signed, which says nothing without --verify-key KEY")
			}
			return nil
		},
	}
}
