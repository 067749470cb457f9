package main

import (
	"context"
	"fmt"

	"github.com/spf13/pflag"

	"snap/store"
)

func verifyCommand() *command {
	var readData bool
	return &command{
		name: "verify", args: "DIR", short: "check a snapshot against its manifest",
		long: `Checks that every file of the manifest is there with its size, and no other. With
--read-data every byte is hashed and every row decoded as well. Exit code 1 when
something is not as it was written.`,
		flags: func(f *pflag.FlagSet) {
			f.BoolVar(&readData, "read-data", false, "hash and decode every file")
		},
		run: func(ctx context.Context, args []string, out *terminal) error {
			if len(args) != 1 {
				return usage("verify takes one snapshot directory")
			}
			snap, err := store.Open(args[0])
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
				return fmt.Errorf("%s: %s", args[0], count(len(problems), "problem"))
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
			fmt.Fprintf(out.out, "%s  %s\n%s, %d KiB: %s as written\n", args[0], snap.ID, count(files, "file"), (bytes+1023)/1024, depth)
			return nil
		},
	}
}
