package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// run makes a run of two accounts in dir; bad are those that end partial.
func run(t testing.TB, dir string, at time.Time, bad ...string) string {
	t.Helper()
	m := head()
	m.Started, m.Unresolved, m.Syncs = at, nil, []string{"others"}
	p := RunPath(dir, at)
	w := must(Create(p, m))(t)
	for _, a := range []string{"111111111111", "222222222222"} {
		state := Complete
		if slices.Contains(bad, a) {
			state = Partial
		}
		ok(t, w.Cell(CellID{Provider: "aws", Account: a, Sync: "others"}).Close(all[2:], outcome(state)))
	}
	must(w.Commit(all[2:], at.Add(time.Minute)))(t)
	return p
}

func TestRuns(t *testing.T) {
	dir := t.TempDir()
	if _, err := Runs(dir); !errors.Is(err, ErrNotSnapshot) {
		t.Errorf("no runs: %v", err)
	}
	if _, err := Open(dir + "@latest"); !errors.Is(err, ErrNotSnapshot) {
		t.Errorf("latest of none: %v", err)
	}
	day := time.Date(2026, 5, 4, 3, 2, 1, 999, time.UTC)
	first := run(t, dir, day)
	if filepath.Base(first) != "2026-05-04T03-02-01Z" {
		t.Errorf("name %s", first)
	}
	if _, err := Open(dir + "@previous"); !errors.Is(err, ErrNotSnapshot) || !strings.Contains(err.Error(), "1 finished") {
		t.Errorf("previous of one: %v", err)
	}
	second := run(t, dir, day.Add(time.Hour))
	third := run(t, dir, day.Add(2*time.Hour))
	unfinished := must(Create(RunPath(dir, day.Add(3*time.Hour)), head()))(t)
	defer unfinished.Close()
	for _, name := range []string{"notes", ".removed-x", "2026-05-04"} {
		ok(t, os.Mkdir(filepath.Join(dir, name), 0o700))
	}
	for ref, want := range map[string]string{"@latest": third, "/@latest": third, "@previous": second} {
		s := must(Open(dir + ref))(t)
		if s.Path != want {
			t.Errorf("%s is %s", ref, s.Path)
		}
		ok(t, s.Close())
	}
	t.Chdir(dir)
	s := must(Open("@latest"))(t)
	if s.Path != filepath.Base(third) {
		t.Errorf("@latest here is %s", s.Path)
	}
	ok(t, s.Close())
	// What really has the name is meant.
	ok(t, os.Rename(first, filepath.Join(dir, "x@latest")))
	s = must(Open(filepath.Join(dir, "x@latest")))(t)
	ok(t, s.Close())

	runs := must(Runs(dir))(t)
	if len(runs) != 3 || runs[0].Path != second || runs[1].ID == "" || !errors.Is(runs[2].Err, ErrUnfinished) {
		t.Errorf("runs: %+v", runs)
	}
	if err := runs[2].Remove(); !errors.Is(err, ErrLocked) {
		t.Errorf("removed while it is being written: %v", err)
	}
	ok(t, os.MkdirAll(filepath.Join(dir, removedPrefix+"2026-05-04T03-02-01Z", "left"), 0o700))
	ok(t, runs[0].Remove())
	var left []string
	for _, e := range must(os.ReadDir(dir))(t) {
		left = append(left, e.Name())
	}
	if want := []string{".removed-x", "2026-05-04", filepath.Base(third), runs[2].Name, "notes", "x@latest"}; !slices.Equal(left, want) {
		t.Errorf("left: %q, want %q", left, want)
	}
}

func TestKeep(t *testing.T) {
	dir := t.TempDir()
	at := func(month time.Month, day, hour int) time.Time {
		return time.Date(2026, month, day, hour, 0, 0, 0, time.UTC)
	}
	one, two := "111111111111", "222222222222"
	run(t, dir, at(1, 31, 23))                               // 0: the last of January, and of its week
	run(t, dir, at(2, 2, 0), one)                            // 1
	run(t, dir, at(2, 2, 12))                                // 2: the newest in which all are complete
	run(t, dir, at(2, 9, 1), one)                            // 3: of two
	run(t, dir, at(2, 10, 1), two)                           // 4: of one
	run(t, dir, at(2, 10, 2), one, two)                      // 5
	run(t, dir, at(2, 11, 1), one, two)                      // 6
	bad := run(t, dir, at(2, 11, 2), one)                    // 7: damaged below
	w := must(Create(RunPath(dir, at(2, 12, 1)), head()))(t) // 8
	ok(t, w.Close())
	ok(t, os.Truncate(filepath.Join(bad, manifestFile), 100))
	runs := must(Runs(dir))(t)
	if len(runs) != 9 {
		t.Fatalf("%d runs", len(runs))
	}
	always := map[int]string{2: "newest in which every account is complete", 3: "newest in which " + two + " is complete", 4: "newest in which " + one + " is complete", 7: "cannot be opened", 8: "unfinished"}
	for k, more := range map[Keep][]int{
		{}:                      nil,
		{Last: 1}:               {6},
		{Last: 3}:               {6, 5, 4},
		{Daily: 2}:              {6, 5},
		{Daily: 4}:              {6, 5, 3, 2},
		{Weekly: 2}:             {6, 2},
		{Weekly: 100}:           {6, 2, 0},
		{Monthly: 1}:            {6},
		{Monthly: 2}:            {6, 0},
		{Yearly: 5}:             {6},
		{Daily: 1, Monthly: 12}: {6, 0},
		{Last: 100}:             {0, 1, 2, 3, 4, 5, 6},
	} {
		for i, v := range k.Apply(runs) {
			reason, kept := always[i]
			if kept && !slices.Contains(v.Reasons, reason) {
				t.Errorf("%+v: run %d is kept for %q", k, i, v.Reasons)
			}
			if want := kept || slices.Contains(more, i); want != (len(v.Reasons) > 0) {
				t.Errorf("%+v: run %d: %q", k, i, v.Reasons)
			}
		}
	}
	// A profile that leads to no account may hide one: not every account is complete.
	runs[2].Manifest.Unresolved = []Unresolved{{Profile: "gone"}}
	if v := (Keep{}).Apply(runs); fmt.Sprint(v[0].Reasons) != "[newest in which every account is complete]" {
		t.Errorf("%q", v[0].Reasons)
	}
}

// TestKeepNarrow: a run of fewer syncs or regions, however complete, does not
// let go of one that read more.
func TestKeepNarrow(t *testing.T) {
	of := func(syncs, regions []string, state State, accounts ...string) Run {
		m := Manifest{Syncs: syncs, Regions: regions}
		for _, a := range accounts {
			m.Accounts = append(m.Accounts, Account{Provider: "aws", ID: a})
			m.Cells = append(m.Cells, Cell{CellID: CellID{Provider: "aws", Account: a, Sync: syncs[0]}, Outcome: Outcome{State: state}})
		}
		return Run{Manifest: m}
	}
	both, east, west := []string{"a", "b"}, []string{"us-east-1"}, []string{"eu-west-1", "us-east-1"}
	for name, c := range map[string]struct {
		runs []Run
		kept []int
	}{
		"the same":                   {[]Run{of(both, nil, Complete, "1"), of(both, nil, Complete, "1")}, []int{1}},
		"fewer syncs":                {[]Run{of(both, nil, Complete, "1"), of(both, nil, Complete, "1"), of(both[:1], nil, Complete, "1")}, []int{1, 2}},
		"more syncs":                 {[]Run{of(both[:1], nil, Complete, "1"), of(both, nil, Complete, "1")}, []int{1}},
		"one region of all":          {[]Run{of(both, nil, Complete, "1"), of(both, east, Complete, "1")}, []int{0, 1}},
		"one region of two":          {[]Run{of(both, west, Complete, "1"), of(both, east, Complete, "1")}, []int{0, 1}},
		"all regions":                {[]Run{of(both, east, Complete, "1"), of(both, nil, Complete, "1")}, []int{1}},
		"two regions":                {[]Run{of(both, east, Complete, "1"), of(both, west, Complete, "1")}, []int{1}},
		"fewer syncs, of one of two": {[]Run{of(both, nil, Complete, "1", "2"), of(both[:1], nil, Complete, "1")}, []int{0, 1}},
		"one of two accounts":        {[]Run{of(both, nil, Complete, "1", "2"), of(both, nil, Complete, "1")}, []int{0, 1}},
		"more, but not complete":     {[]Run{of(both[:1], nil, Complete, "1"), of(both, nil, Partial, "1")}, []int{0}},
		"syncs by turns":             {[]Run{of(both[:1], nil, Complete, "1"), of(both[1:], nil, Complete, "1"), of(both[:1], nil, Complete, "1")}, []int{1, 2}},
	} {
		var kept []int
		for i, v := range (Keep{}).Apply(c.runs) {
			if len(v.Reasons) > 0 {
				kept = append(kept, i)
			}
		}
		if !slices.Equal(kept, c.kept) {
			t.Errorf("%s: %v are kept, want %v", name, kept, c.kept)
		}
	}
}
