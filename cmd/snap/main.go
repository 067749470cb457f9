// Command snap takes a faithful, typed snapshot of a cloud estate, keeps it in
// plain files, and replays it into a graph.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
)

// The exit codes; README.md documents them. diff has its own meaning of 1 to 3.
const (
	exitOK          = 0
	exitFailed      = 1   // nothing, or not all, was done; one line on standard error says why
	exitUsage       = 2   // the command line cannot be understood
	exitIncomplete  = 3   // done, but some cells of the snapshot are not complete
	exitInterrupted = 130 // stopped by Ctrl-C; what was done is kept
)

// exit is an error that has been told already, or says its own exit code.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}
func (e *exit) Unwrap() error { return e.err }

func usage(format string, a ...any) error { return &exit{exitUsage, fmt.Errorf(format, a...)} }

// command is one verb of the command line.
type command struct {
	name, args, short string
	long              string
	flags             func(*pflag.FlagSet)
	run               func(ctx context.Context, args []string, out *terminal) error
}

// version is set when a release is built.
var version = "0.1.0-dev"

func program() string { return "snap " + version }

func main() {
	// A short-lived program with room: collect less often.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
	ctx, stop := interruptible()
	defer stop()
	os.Exit(run(ctx, os.Args[1:], newTerminal(os.Stdout, os.Stderr)))
}

// interruptible is cancelled by the first Ctrl-C or SIGTERM; the second one
// ends the program at once.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		cancel(errInterrupted)
		<-signals
		os.Exit(exitInterrupted)
	}()
	return ctx, func() { signal.Stop(signals); cancel(nil) }
}

var errInterrupted = errors.New("interrupted")

// commands are the verbs, in the order in which the help shows them.
func commands() []*command {
	return []*command{
		collectCommand(), lsCommand(), verifyCommand(), loadCommand(), exportCommand(), diffCommand(),
		bundleCommand(), unbundleCommand(), keygenCommand(), pruneCommand(), schemaCommand(), policyCommand(),
	}
}

func run(ctx context.Context, args []string, out *terminal) int {
	err := dispatch(ctx, args, out)
	if err == nil {
		return exitOK
	}
	code := exitFailed
	var coded *exit
	if errors.As(err, &coded) {
		code = coded.code
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(out.err, "snap: "+strings.TrimSpace(text))
	}
	return code
}

func dispatch(ctx context.Context, args []string, out *terminal) error {
	if len(args) == 0 || slices.Contains([]string{"help", "-h", "--help"}, args[0]) {
		if len(args) > 1 {
			args = []string{args[1], "--help"}
		} else {
			help(out.out)
			return nil
		}
	}
	if args[0] == "--version" || args[0] == "version" {
		fmt.Fprintln(out.out, program())
		return nil
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		flags := pflag.NewFlagSet(c.name, pflag.ContinueOnError)
		flags.SortFlags = false
		flags.SetOutput(io.Discard)
		c.flags(flags)
		err := flags.Parse(args[1:])
		if errors.Is(err, pflag.ErrHelp) {
			fmt.Fprintf(out.out, "Usage: snap %s %s\n\n%s\n\nFlags:\n%s", c.name, c.args, strings.TrimSpace(c.long), flags.FlagUsagesWrapped(out.width()))
			return nil
		}
		if err != nil {
			return usage("%s: %v; see snap %s --help", c.name, err, c.name)
		}
		return c.run(ctx, flags.Args(), out)
	}
	return usage("there is no command %q; see snap --help", args[0])
}

func help(w io.Writer) {
	fmt.Fprint(w, "snap takes a snapshot of a cloud estate, keeps it in plain files, and replays it into a graph.\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  snap %-10s%s\n", c.name, c.short)
	}
	fmt.Fprint(w, "\nsnap COMMAND --help tells more. Exit codes: 0 done, 1 failed, 2 bad command line,\n3 done but some cells of the snapshot are not complete, 130 interrupted.\n")
}
