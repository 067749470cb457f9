package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Runs lie side by side in a directory, each a snapshot that is named by the
// second in which it began, so that names sort as times.
const runLayout = "2006-01-02T15-04-05Z"

// The ends of a path that mean a run in the directory before them.
const (
	latestRun   = "@latest"
	previousRun = "@previous"
)

// removedPrefix is how a run is called while it is being removed.
const removedPrefix = ".removed-"

// RunPath is where the run that begins at started lies in dir.
func RunPath(dir string, started time.Time) string {
	return filepath.Join(dir, started.UTC().Format(runLayout))
}

// Run is a snapshot, or an unfinished collection, among others in a directory.
type Run struct {
	Name     string // in the directory
	Path     string
	Started  time.Time // as the name says
	ID       string    // of the snapshot; empty where it could not be opened
	Manifest Manifest
	// Err is why it could not be opened: ErrUnfinished where the collection is
	// under way or was interrupted.
	Err error
}

// Runs are the runs in dir, the oldest first. The error is ErrNotSnapshot where
// there is none. What is not named as a run is passed over.
func Runs(dir string) ([]Run, error) {
	names, err := runNames(dir)
	if err != nil {
		return nil, err
	}
	var runs []Run
	for _, r := range names {
		s, err := Open(r.Path)
		if err != nil {
			r.Err = err
		} else {
			r.ID, r.Manifest = s.ID, s.Manifest
			if err := s.Close(); err != nil {
				return nil, err
			}
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// runNames are the runs by name, not opened.
func runNames(dir string) ([]Run, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w: there is no such directory", dir, ErrNotSnapshot)
	}
	if err != nil {
		return nil, err
	}
	var runs []Run
	for _, e := range entries {
		at, err := time.Parse(runLayout, e.Name())
		if err != nil || !e.IsDir() {
			continue
		}
		runs = append(runs, Run{Name: e.Name(), Path: filepath.Join(dir, e.Name()), Started: at})
	}
	if len(runs) == 0 {
		return nil, fmt.Errorf("%s: %w: nor does it hold runs", dir, ErrNotSnapshot)
	}
	slices.SortFunc(runs, func(a, b Run) int { return a.Started.Compare(b.Started) })
	return runs, nil
}

// resolve finds the run that DIR@latest or DIR@previous means; other paths, and
// what really has such a name, it leaves as they are.
func resolve(path string) (string, error) {
	var dir string
	back := 0
	if d, ok := strings.CutSuffix(path, latestRun); ok {
		dir = d
	} else if d, ok := strings.CutSuffix(path, previousRun); ok {
		dir, back = d, 1
	} else {
		return path, nil
	}
	if _, err := os.Lstat(path); err == nil {
		return path, nil
	}
	runs, err := runNames(cmp.Or(dir, "."))
	if err != nil {
		return "", err
	}
	// Only what is a snapshot counts, not what is still to become one; whether
	// it is whole is found out when it is opened.
	runs = slices.DeleteFunc(runs, func(r Run) bool {
		_, err := os.Lstat(filepath.Join(r.Path, manifestFile))
		return err != nil
	})
	if len(runs) <= back {
		return "", fmt.Errorf("%w: %s has %d finished runs", ErrNotSnapshot, dir, len(runs))
	}
	return runs[len(runs)-1-back].Path, nil
}

// Keep says which runs to keep: the last so many, and the last of each of the
// last so many days, weeks, months and years (in UTC) that have one.
type Keep struct{ Last, Daily, Weekly, Monthly, Yearly int }

// Verdict is what becomes of a run.
type Verdict struct {
	Run
	Reasons []string // why it is kept; none: it can be removed
}

// Apply decides for each run, which are in order, the oldest first. Whatever k
// says, it keeps the newest run in which every account is complete, for each
// account the newest in which that one is, and what cannot be opened. A run that
// set out to read fewer syncs or regions does not stand for one that read more.
func (k Keep) Apply(runs []Run) []Verdict {
	verdicts := make([]Verdict, len(runs))
	for i, r := range runs {
		verdicts[i].Run = r
	}
	keep := func(i int, reason string) { verdicts[i].Reasons = append(verdicts[i].Reasons, reason) }
	for _, rule := range []struct {
		reason string
		n      int
		period func(Run) string
	}{
		{"last", k.Last, func(r Run) string { return r.Name }},
		{"daily", k.Daily, func(r Run) string { return r.Started.Format(time.DateOnly) }},
		{"weekly", k.Weekly, func(r Run) string { y, w := r.Started.ISOWeek(); return fmt.Sprint(y, " ", w) }},
		{"monthly", k.Monthly, func(r Run) string { return r.Started.Format("2006-01") }},
		{"yearly", k.Yearly, func(r Run) string { return r.Started.Format("2006") }},
	} {
		last := ""
		for i, r := range slices.Backward(runs) {
			if rule.n == 0 {
				break
			}
			if r.Err != nil {
				continue
			}
			if p := rule.period(r); p != last {
				keep(i, rule.reason)
				last = p
				rule.n--
			}
		}
	}
	covered := map[string][]Manifest{} // of accounts, newer runs in which they are complete
	var whole []Manifest               // newer runs in which all are
	for i, r := range slices.Backward(runs) {
		switch {
		case errors.Is(r.Err, ErrUnfinished):
			keep(i, "unfinished")
			continue
		case r.Err != nil:
			keep(i, "cannot be opened")
			continue
		}
		complete, all := completeAccounts(r.Manifest)
		standsFor := func(newer Manifest) bool { return readsAllOf(newer, r.Manifest) }
		var first []string
		more := ""
		for _, a := range complete {
			if !slices.ContainsFunc(covered[a], standsFor) {
				if len(covered[a]) > 0 {
					more = moreThanNewer
				}
				covered[a] = append(covered[a], r.Manifest)
				first = append(first, a)
			}
		}
		switch {
		case all && !slices.ContainsFunc(whole, standsFor):
			if len(whole) > 0 {
				more = moreThanNewer
			}
			whole = append(whole, r.Manifest)
			keep(i, "newest in which every account is complete"+more)
		case len(first) > 0:
			keep(i, "newest in which "+strings.Join(first, ", ")+" is complete"+more)
		}
	}
	return verdicts
}

// moreThanNewer says why a run is kept although a newer one is complete.
const moreThanNewer = ", with syncs or regions that newer ones did not read"

// readsAllOf tells whether a run set out to read every sync and region that
// another did. Regions that were not asked for by name are all there are.
func readsAllOf(run, other Manifest) bool {
	for _, s := range other.Syncs {
		if !slices.Contains(run.Syncs, s) {
			return false
		}
	}
	if len(run.Regions) == 0 {
		return true
	}
	for _, r := range other.Regions {
		if !slices.Contains(run.Regions, r) {
			return false
		}
	}
	return len(other.Regions) > 0
}

// completeAccounts are the accounts all of whose cells are complete, or of a
// service that is not there; all tells whether these are all accounts and every
// profile led to one.
func completeAccounts(m Manifest) (complete []string, all bool) {
	cells, gaps := map[[2]string]int{}, map[[2]string]int{}
	for _, c := range m.Cells {
		key := [2]string{c.Provider, c.Account}
		cells[key]++
		if c.State != Complete && c.State != Unsupported {
			gaps[key]++
		}
	}
	for _, a := range m.Accounts {
		if key := [2]string{a.Provider, a.ID}; cells[key] > 0 && gaps[key] == 0 {
			complete = append(complete, a.ID)
		}
	}
	return complete, len(complete) > 0 && len(complete) == len(m.Accounts) && len(m.Unresolved) == 0
}

// Remove removes a run. It is renamed first, so that what a crash leaves of it
// passes for no snapshot; the next Remove in the directory sweeps that. The
// error is ErrLocked while somebody writes to it.
func (r Run) Remove() error {
	dir := filepath.Dir(r.Path)
	w, err := newWriter(r.Path, openRooted)
	if err == nil {
		gone := filepath.Join(dir, removedPrefix+r.Name)
		err = errors.Join(os.RemoveAll(gone), os.Rename(r.Path, gone), w.release())
	}
	if err == nil {
		err = sweepRemoved(dir)
	}
	if err != nil {
		return fmt.Errorf("run %s: %w", r.Path, err)
	}
	return nil
}

func sweepRemoved(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name(), removedPrefix)
		if _, err := time.Parse(runLayout, name); ok && err == nil && e.IsDir() {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}
