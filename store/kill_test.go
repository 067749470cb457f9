package store

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// A collection in a process of its own, which the test kills. It begins or
// resumes childDir and says on standard output which cells it keeps.
const (
	childDir   = "SNAP_TEST_COLLECT"       // the directory
	childRound = "SNAP_TEST_COLLECT_ROUND" // 1: the partial cells stay so; 2: they become complete
	childBench = "SNAP_TEST_BENCH"         // what, cells, rows a cell and directory of benchRun
)

// benchRun is what a child does for the benchmarks; nil where they are not built.
var benchRun func(dir, what string, cells, rows int) error

func TestMain(m *testing.M) {
	if bench := os.Getenv(childBench); bench != "" {
		var what, dir string
		var cells, rows int
		_, err := fmt.Sscan(bench, &what, &cells, &rows, &dir)
		if err == nil {
			err = benchRun(dir, what, cells, rows)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir, os.Getenv(childRound)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// childCells are many regions, so that there is much to be interrupted.
func childCells() (ids []CellID) {
	for i := range 16 {
		ids = append(ids, CellID{Provider: "aws", Account: "111111111111", Region: fmt.Sprintf("region-%d", i), Sync: "things"})
	}
	return ids
}

func child(dir, round string) error {
	w, err := Resume(dir)
	if errors.Is(err, ErrNotSnapshot) {
		w, err = Create(dir, head())
	}
	if err != nil {
		return err
	}
	defer w.Close()
	for i, id := range childCells() {
		if _, done := w.Done(id); done {
			fmt.Println("kept", id)
			continue
		}
		fmt.Println("collected", id)
		c := w.Cell(id)
		for n := range 40 * (i + 1) {
			row := thingRow(fmt.Sprintf("%s-%04d", id.Region, n))
			row[2] = int64(i)
			c.Put(thing, row)
		}
		o := outcome(Complete)
		if i%4 == 3 && round == "1" {
			c.Lose(errors.New("half of it"))
			o = outcome(Partial)
		}
		if err := c.Close(things, o); err != nil {
			return err
		}
	}
	finished := map[string]time.Time{"1": first, "2": second}[round]
	id, err := w.Commit(things, finished)
	if err == nil {
		fmt.Println("committed", id)
	}
	return err
}

// start runs the child on dir and gives its output line by line.
func start(t *testing.T, dir, round string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	c := exec.Command(must(os.Executable())(t))
	c.Env = append(os.Environ(), childDir+"="+dir, childRound+"="+round)
	c.Stderr = os.Stderr
	out := must(c.StdoutPipe())(t)
	ok(t, c.Start())
	return c, bufio.NewScanner(out)
}

// TestKill kills collections with SIGKILL at random moments: what is left opens
// as the snapshot that was there before, as the new one, or as none that can be
// resumed, and resuming gives the very snapshot that nobody interrupted, keeps
// what was complete, and collects nothing else. SNAP_TEST_KILLS says how often.
func TestKill(t *testing.T) {
	kills := 10
	if n := os.Getenv("SNAP_TEST_KILLS"); n != "" {
		kills = must(strconv.Atoi(n))(t)
	}
	base := t.TempDir()
	undisturbed := func(dir, round string) (id string, took time.Duration) {
		c, out := start(t, dir, round)
		out.Scan()
		began := time.Now()
		for out.Scan() {
		}
		ok(t, c.Wait())
		took = time.Since(began)
		s := must(Open(dir))(t)
		defer s.Close()
		return s.ID, took
	}
	reference := filepath.Join(base, "reference")
	one, took := undisturbed(reference, "1")
	two, short := undisturbed(reference, "2")
	if one == two {
		t.Fatal("the second snapshot is the first")
	}
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1))
	left := map[string]int{}
	for i := range kills {
		dir := filepath.Join(base, fmt.Sprint(i))
		before, took := "", took
		if i%2 == 1 { // over a snapshot
			undisturbed(dir, "1")
			before, took = one, short
		}
		// Again and again until one is through.
		for try := 0; ; try++ {
			wait := time.Duration(random.Int64N(int64(took) + 1))
			c, out := start(t, dir, "2")
			if random.IntN(8) > 0 { // else while it starts
				out.Scan()
			}
			finished := make(chan bool)
			go func() { //nolint:errcheck // it is killed
				for out.Scan() {
				}
				finished <- out.Err() == nil
			}()
			select {
			case <-time.After(wait):
			case <-finished:
				finished = nil
			}
			_ = c.Process.Kill()
			if finished != nil {
				<-finished
			}
			killed := c.Wait() != nil
			id := sound(t, dir, before, two)
			switch {
			case t.Failed():
				t.Fatalf("killed after %s", wait)
			case id == two:
				left["new"]++
			case id == one:
				left["old"]++
			default:
				left["resumable"]++
			}
			if !killed || try == 3 {
				break
			}
		}
		// What an uninterrupted run would collect, but for what is kept.
		done := map[string]bool{}
		if w, err := Resume(dir); err == nil {
			for _, id := range childCells() {
				_, is := w.Done(id)
				done[id.String()] = is
			}
			ok(t, w.Close())
		} else if !errors.Is(err, ErrNotSnapshot) {
			t.Fatalf("resume: %v", err)
		}
		c, out := start(t, dir, "2")
		for out.Scan() {
			var what, id string
			if _, err := fmt.Sscan(out.Text(), &what, &id); err != nil && err != io.EOF {
				t.Fatal(err)
			}
			if what != "committed" && (what == "kept") != done[id] {
				t.Errorf("%s %s, although done is %t", what, id, done[id])
			}
		}
		ok(t, c.Wait())
		sound(t, dir, two)
		same(t, dir, reference)
		if t.Failed() {
			t.FailNow()
		}
		ok(t, os.RemoveAll(dir))
	}
	t.Logf("%d collections, found after a kill: %v", kills, left)
	if kills >= 100 && (left["old"] == 0 || left["resumable"] == 0 || left["new"] == 0) {
		t.Errorf("not every outcome was met: %v", left)
	}
}
