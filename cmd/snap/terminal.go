package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// terminal is where a command talks to: results on out, the rest on err.
type terminal struct {
	out, err io.Writer
	columns  int  // 0 where out is no terminal
	tty      bool // err is a terminal
}

func newTerminal(out, err *os.File) *terminal {
	t := &terminal{out: out, err: err, tty: term.IsTerminal(int(err.Fd()))}
	if w, _, e := term.GetSize(int(out.Fd())); e == nil {
		t.columns = w
	}
	return t
}

// width is the columns to wrap text at.
func (t *terminal) width() int {
	if t.columns == 0 {
		return 100
	}
	return t.columns
}

// progress tells how a long command gets on: a bar on a terminal, now and then
// a line elsewhere, or one JSON object a line.
type progress struct {
	t     *terminal
	json  bool
	total int
	every time.Duration

	mu      sync.Mutex
	bar     *progressbar.ProgressBar
	done    int
	started time.Time
	last    time.Time
}

func newProgress(t *terminal, asJSON bool, total int, what string) *progress {
	p := &progress{t: t, json: asJSON, total: total, every: 5 * time.Second, started: time.Now(), last: time.Now()}
	if t.tty && !asJSON {
		p.bar = progressbar.NewOptions(total,
			progressbar.OptionSetWriter(t.err), progressbar.OptionSetDescription(what), progressbar.OptionSetWidth(24),
			progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(80*time.Millisecond),
			progressbar.OptionClearOnFinish(), progressbar.OptionSetElapsedTime(true))
	}
	return p
}

// step counts one thing as done; status describes the whole so far.
func (p *progress) step(status string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	switch {
	case p.bar != nil:
		p.bar.Describe(status)
		_ = p.bar.Add(1) // it only draws
	case !p.json && time.Since(p.last) >= p.every:
		p.last = time.Now()
		fmt.Fprintf(p.t.err, "%d of %d · %s · %s\n", p.done, p.total, status, time.Since(p.started).Round(time.Second))
	}
}

// say prints a line beside the progress; with --log-format json it is the
// object instead.
func (p *progress) say(line string, object map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.json {
		object["time"] = time.Now().UTC().Format(time.RFC3339Nano)
		if b, err := json.Marshal(object); err == nil {
			fmt.Fprintf(p.t.err, "%s\n", b)
		}
		return
	}
	if line == "" {
		return
	}
	if p.bar != nil {
		_ = p.bar.Clear() // it only draws
	}
	fmt.Fprintln(p.t.err, line)
}

func (p *progress) finish() {
	if p.bar != nil {
		_ = p.bar.Finish() // it only draws
	}
}
