package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strconv"
	"strings"

	"filippo.io/age"
	"github.com/spf13/pflag"

	"snap/store"
)

// where is what a snapshot may be given as; the help of the commands has it.
const where = `A SNAPSHOT is a directory, a bundle, the common name of a bundle's parts, "-" for a
bundle on standard input, or a run of collect --store: DIR@latest, DIR@previous.`

// opening are the flags of the commands that read snapshots.
type opening struct{ key, identity string }

func (o *opening) flags(f *pflag.FlagSet) {
	f.StringVar(&o.key, "verify-key", "", "refuse what is not signed by this public `KEY`: a file, or the key itself")
	f.StringVar(&o.identity, "identity", "", "the `FILE` with the age identity that decrypts an encrypted bundle")
}

// options reads the keys.
func (o *opening) options() (store.OpenOptions, error) {
	var with store.OpenOptions
	if o.key != "" {
		text, err := os.ReadFile(o.key)
		if errors.Is(err, fs.ErrNotExist) {
			text, err = []byte(o.key), nil
		}
		if err != nil {
			return with, fmt.Errorf("--verify-key: %w", err)
		}
		key, err := store.ParsePublicKey(text)
		if err != nil {
			return with, fmt.Errorf("--verify-key %s: %w", o.key, err)
		}
		with.Key = &key
	}
	if o.identity != "" {
		text, err := os.ReadFile(o.identity)
		if err != nil {
			return with, fmt.Errorf("--identity: %w", err)
		}
		if with.Identities, err = age.ParseIdentities(bytes.NewReader(text)); err != nil {
			return with, fmt.Errorf("--identity %s: %w", o.identity, err)
		}
	}
	return with, nil
}

// open opens a snapshot and says what to do where a key is missing.
func (o *opening) open(path string) (*store.Snapshot, error) { return o.openWith(path, false) }

// openWith is open, perhaps of a directory's manifest only.
func (o *opening) openWith(path string, manifestOnly bool) (*store.Snapshot, error) {
	with, err := o.options()
	if err != nil {
		return nil, err
	}
	with.ManifestOnly = manifestOnly
	snap, err := store.OpenWith(path, with)
	if errors.Is(err, store.ErrEncrypted) {
		err = fmt.Errorf("%w; --identity FILE names the identity to decrypt with", err)
	}
	return snap, err
}

func bundleCommand() *command {
	var from opening
	var output, key, size string
	var to []string
	return &command{
		name: "bundle", args: "SNAPSHOT -o FILE", short: "make one file of a snapshot, to be carried elsewhere",
		long: `Writes a snapshot as one file: a plain tar that ls, verify, load and diff read as it
is. Every byte is verified on the way. The same snapshot gives the same file, unless
it is encrypted. FILE must not exist; "-" is standard output.

` + where,
		flags: func(f *pflag.FlagSet) {
			f.StringVarP(&output, "output", "o", "", "the `FILE` to make, or - for standard output")
			f.StringVar(&size, "split-size", "", "make parts of this size, FILE.001 and so on: 4GiB, 700MB, …")
			f.StringVar(&key, "sign", "", "sign with this secret `KEY`, a file that keygen made")
			f.StringArrayVar(&to, "encrypt-to", nil, "encrypt to this age `RECIPIENT`, age1… or a file of them; may be repeated")
			from.flags(f)
		},
		run: func(ctx context.Context, args []string, out *terminal) error {
			switch {
			case len(args) != 1:
				return usage("bundle takes one snapshot")
			case output == "":
				return usage("bundle needs -o FILE, the file to make")
			case output == "-" && size != "":
				return usage("--split-size needs a file: standard output has no parts")
			}
			var o store.BundleOptions
			var err error
			if o.SplitSize, err = parseSize(size); err != nil {
				return usage("--split-size: %v", err)
			}
			if o.Recipients, err = recipients(to); err != nil {
				return err
			}
			if key != "" {
				text, err := os.ReadFile(key)
				if err != nil {
					return fmt.Errorf("--sign: %w", err)
				}
				secret, err := store.ParseSecretKey(text)
				if err != nil {
					return fmt.Errorf("--sign %s: %w", key, err)
				}
				o.Sign = &secret
			}
			snap, err := from.open(args[0])
			if err != nil {
				return err
			}
			defer snap.Close()
			if output == "-" {
				return interrupted(ctx, snap.WriteBundle(ctx, out.out, o))
			}
			paths, err := snap.CreateBundle(ctx, output, o)
			if err != nil {
				return interrupted(ctx, err)
			}
			fmt.Fprintf(out.out, "%s  %s\n", strings.Join(paths, " "), snap.ID)
			return nil
		},
	}
}

// parseSize reads "4GiB", "700MB" or a number of bytes; nothing is 0.
func parseSize(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	number, factor := text, int64(1)
	for _, unit := range []struct {
		name   string
		factor int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}} {
		if n, ok := strings.CutSuffix(text, unit.name); ok {
			number, factor = strings.TrimSpace(n), unit.factor
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > math.MaxInt64/factor {
		return 0, fmt.Errorf("%q is no size: use a number of bytes, or one with KB, MB, GB, TB, KiB, MiB, GiB or TiB", text)
	}
	return n * factor, nil
}

// recipients reads age recipients and files of them.
func recipients(list []string) ([]age.Recipient, error) {
	var all []age.Recipient
	for _, r := range list {
		text := []byte(r)
		if !strings.HasPrefix(r, "age1") {
			var err error
			if text, err = os.ReadFile(r); err != nil {
				return nil, fmt.Errorf("--encrypt-to: no recipient (age1…) and no file of them: %w", err)
			}
		}
		some, err := age.ParseRecipients(bytes.NewReader(text))
		if err != nil {
			return nil, fmt.Errorf("--encrypt-to %s: %w", r, err)
		}
		all = append(all, some...)
	}
	return all, nil
}

func unbundleCommand() *command {
	var from opening
	var output string
	return &command{
		name: "unbundle", args: "SNAPSHOT -o DIR", short: "make a directory of a bundle",
		long: `Writes a bundle as the directory that it was made of; query engines read that. Every
byte is verified on the way, and DIR, which must be missing or empty, is there when
it is whole.

` + where,
		flags: func(f *pflag.FlagSet) {
			f.StringVarP(&output, "output", "o", "", "the `DIR`ectory to make")
			from.flags(f)
		},
		run: func(ctx context.Context, args []string, out *terminal) error {
			switch {
			case len(args) != 1:
				return usage("unbundle takes one bundle")
			case output == "":
				return usage("unbundle needs -o DIR, the directory to make")
			}
			snap, err := from.open(args[0])
			if err != nil {
				return err
			}
			defer snap.Close()
			if err := snap.Unbundle(ctx, output); err != nil {
				return interrupted(ctx, err)
			}
			fmt.Fprintf(out.out, "%s  %s\n", output, snap.ID)
			return nil
		},
	}
}
