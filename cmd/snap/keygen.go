package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"filippo.io/age"
	"github.com/spf13/pflag"

	"snap/store"
)

func keygenCommand() *command {
	var output string
	var encryption bool
	return &command{
		name: "keygen", args: "-o NAME", short: "make keys to sign snapshots with, or to encrypt them to",
		long: `Makes a key pair for bundle --sign NAME.key and --verify-key NAME.pub, in minisign's
form. With --encryption it makes an age identity instead: NAME.age for --identity, and
prints the recipient for bundle --encrypt-to. Secret keys have no password: their
files are readable by you alone, and must stay so.`,
		flags: func(f *pflag.FlagSet) {
			f.StringVarP(&output, "output", "o", "", "what the files are called, without the end")
			f.BoolVar(&encryption, "encryption", false, "an age identity, to decrypt with")
		},
		run: func(_ context.Context, args []string, out *terminal) error {
			switch {
			case len(args) > 0:
				return usage("keygen takes no argument %q; -o NAME says where the keys go", args[0])
			case output == "":
				return usage("keygen needs -o NAME: it makes NAME.key and NAME.pub")
			}
			if encryption {
				identity, err := age.GenerateX25519Identity()
				if err != nil {
					return err
				}
				text := fmt.Appendf(nil, "# public key: %s\n%s\n", identity.Recipient(), identity)
				if err := writeNew(output+".age", text, 0o600); err != nil {
					return err
				}
				fmt.Fprintf(out.out, "%s.age  decrypts what is encrypted to\n%s\n", output, identity.Recipient())
				return nil
			}
			key, err := store.GenerateKey()
			if err != nil {
				return err
			}
			if err := writeNew(output+".key", key.File(), 0o600); err != nil {
				return err
			}
			if err := writeNew(output+".pub", key.Public().File(), 0o644); err != nil {
				return errors.Join(err, os.Remove(output+".key"))
			}
			fmt.Fprintf(out.out, "%s.key  signs, %s.pub verifies: key %s\n%s\n", output, output, key.Public().ID(), key.Public())
			return nil
		},
	}
}

// writeNew makes a file durable that must not exist.
func writeNew(path string, content []byte, mode os.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
