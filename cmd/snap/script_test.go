package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"snap/fixtures/fakeaws"
)

// TestScripts runs testdata/script: command lines, what they print and their
// exit codes. Each has the recorded estate at hand. "exitcode N COMMAND"
// is exec that wants the exit code N.
func TestScripts(t *testing.T) {
	aws, err := fakeaws.Start("small")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = aws.Close() })
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: os.Getenv("UPDATE") != "",
		Cmds:          map[string]func(*testscript.TestScript, bool, []string){"exitcode": exitCode},
		Setup: func(e *testscript.Env) error {
			env, err := aws.Profiles(filepath.Join(e.WorkDir, "aws"), everyone...)
			if err != nil {
				return err
			}
			for _, v := range env {
				if key, value, _ := strings.Cut(v, "="); !strings.HasSuffix(key, "_PROXY") {
					e.Setenv(key, value)
				}
			}
			e.Setenv("CARTOGRAPHY_AWS_MAX_ATTEMPTS", "1")
			e.Setenv("SNAP_AWS_THROTTLE_PATIENCE", "1")
			e.Setenv("NOBODY", "bolt://"+nobody(t))
			return nil
		},
	})
}

// nobody is an address that nobody listens at.
func nobody(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// exitCode is the script command "exitcode N COMMAND ARG…".
func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode N COMMAND ARG…")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := 0
	var exited *exec.ExitError
	switch {
	case errors.As(err, &exited):
		got = exited.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if want, err := strconv.Atoi(args[0]); err != nil || got != want {
		ts.Fatalf("exit code %d, want %s", got, args[0])
	}
}
