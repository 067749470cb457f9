package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// CheckNew tells whether Create can make a snapshot in dir: before hours of
// collecting, not after. Its errors are Create's; it leaves dir as it was.
func CheckNew(dir string) (err error) {
	_, before := os.Lstat(dir)
	w, err := prepare(dir, openRooted)
	if err != nil {
		return err
	}
	probe := w.temp(".")
	f, err := w.disk.Create(probe)
	if err == nil {
		_, werr := io.WriteString(f, "probe")
		err = errors.Join(werr, f.Sync(), f.Close(), w.disk.Remove(probe))
	}
	w.release()
	if errors.Is(before, fs.ErrNotExist) {
		err = errors.Join(err, os.Remove(filepath.Clean(dir)))
	}
	if err != nil {
		return fmt.Errorf("snapshot %s: %w", dir, err)
	}
	return nil
}
