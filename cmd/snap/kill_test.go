package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"snap/fixtures/fakeaws"
	"snap/store"
)

// child is the program in a process of its own: the test's own binary, which is
// the program when it is called so.
func child(t *testing.T, args ...string) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	c := &exec.Cmd{Path: self, Args: append([]string{"snap"}, args...), Stdout: &text, Stderr: &text}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c, &text
}

// outcomes are the cells of a snapshot and how they ended.
func outcomes(m store.Manifest) (cells []string) {
	for _, c := range m.Cells {
		cells = append(cells, fmt.Sprint(c.CellID, " ", c.State, " ", c.Rows))
	}
	return cells
}

// TestKill kills collections with SIGKILL at random moments, new ones and ones
// that finish an incomplete snapshot. What is left is no snapshot, which load
// refuses with one line that says what to do, or the snapshot that was there
// before, or the new one; and --resume makes of it what a collection makes that
// nobody kills. SNAP_TEST_KILLS says how often.
func TestKill(t *testing.T) {
	kills := 5
	if n := os.Getenv("SNAP_TEST_KILLS"); n != "" {
		var err error
		if kills, err = strconv.Atoi(n); err != nil {
			t.Fatal(err)
		}
	}
	aws := estate(t, "small", everyone...)
	nobody := nobody(t)
	base := t.TempDir()
	timed := func(args ...string) time.Duration {
		began := time.Now()
		if c, text := child(t, args...); c.Wait() != nil {
			t.Fatalf("snap %s: %s", strings.Join(args, " "), text)
		}
		return time.Since(began)
	}
	clean := filepath.Join(base, "clean")
	took := timed(collectArgs(clean)...)
	want := manifest(t, clean)

	// What is resumed: half of the services were denied.
	old := filepath.Join(base, "old")
	var denied []fakeaws.Rule
	for _, service := range []string{"s3", "iam", "rds", "lambda"} {
		denied = append(denied, fakeaws.Rule{Service: service, Code: "AccessDenied", Status: 403})
	}
	if err := aws.SetFaults(denied...); err != nil {
		t.Fatal(err)
	}
	must(t, []int{exitIncomplete}, collectArgs(old)...)
	if err := aws.SetFaults(); err != nil {
		t.Fatal(err)
	}
	oldID := openID(t, old)
	begin := func(i int) (dir, before string) {
		dir = filepath.Join(base, fmt.Sprint(i))
		if i%2 == 1 {
			if err := os.CopyFS(dir, os.DirFS(old)); err != nil {
				t.Fatal(err)
			}
			before = oldID
		}
		return dir, before
	}
	again, _ := begin(1)
	short := timed("collect", leftOut, "--resume", again)
	if err := os.RemoveAll(again); err != nil {
		t.Fatal(err)
	}

	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	left := map[string]int{}
	killed := 0
	for i := 0; killed < kills; i++ {
		dir, before := begin(i)
		most := took
		if before != "" {
			most = short
		}
		for try := 0; try < 3 && killed < kills; try++ {
			args := collectArgs(dir)
			if resumable(dir) {
				args = []string{"collect", leftOut, "--resume", dir}
			}
			c, text := child(t, args...)
			wait := time.Duration(random.Int64N(int64(most)))
			if random.IntN(4) == 0 { // more often near the end, where the snapshot comes to be
				wait = most - wait/5
			}
			time.Sleep(wait)
			_ = c.Process.Kill()
			err := c.Wait()
			if err == nil { // it was through before
				break
			}
			if c.ProcessState.Exited() {
				t.Fatalf("snap %s: %v\n%s", strings.Join(args, " "), err, text)
			}
			killed++
			s, err := store.Open(dir)
			switch {
			case err == nil && s.ID == before:
				left["old"]++
			case err == nil:
				left["new"]++
				if got := data(s.Manifest); !slices.Equal(got, data(want)) {
					t.Errorf("killed after %s: a new snapshot of %d data files, not %d", wait, len(got), len(data(want)))
				}
			case !errors.Is(err, store.ErrNotSnapshot) || before != "":
				t.Errorf("killed after %s: %v", wait, err)
			default:
				what, say := "nothing", "not a snapshot"
				if resumable(dir) {
					what, say = "resumable", "unfinished collection; resume it first"
				}
				left[what]++
				code, _, line := snap(t.Context(), "load", dir, "--neo4j-uri", nobody)
				if code != exitFailed || !strings.Contains(line, say) || !strings.Contains(line, dir) || strings.Count(line, "\n") != 1 {
					t.Errorf("killed after %s: load ends with %d: %s", wait, code, line)
				}
			}
			if err == nil {
				for _, err := range s.Verify(t.Context(), true) {
					t.Errorf("killed after %s: %v", wait, err)
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
		}
		if resumable(dir) {
			must(t, []int{exitOK}, "collect", leftOut, "--resume", dir)
		} else {
			must(t, []int{exitOK}, collectArgs(dir)...)
		}
		must(t, []int{exitOK}, "verify", dir, "--read-data")
		m := manifest(t, dir)
		if got := data(m); !slices.Equal(got, data(want)) {
			t.Errorf("%d data files differ from those of a run that nobody killed (%d)", len(got), len(data(want)))
		}
		if got := outcomes(m); !slices.Equal(got, outcomes(want)) {
			t.Errorf("its cells are\n%s\nand not\n%s", strings.Join(got, "\n"), strings.Join(outcomes(want), "\n"))
		}
		if t.Failed() {
			t.FailNow()
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	noneMissing(t, aws)
	t.Logf("%d kills in collections of %s and %s, found after them: %v", killed, took.Round(time.Millisecond), short.Round(time.Millisecond), left)
	if kills >= 100 && (left["old"] == 0 || left["resumable"] == 0) {
		t.Errorf("not every outcome was met: %v", left)
	}
}

// resumable tells whether a directory holds something for --resume.
func resumable(dir string) bool {
	for _, name := range []string{"journal.jsonl", "manifest.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

func openID(t *testing.T, dir string) string {
	t.Helper()
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return s.ID
}
