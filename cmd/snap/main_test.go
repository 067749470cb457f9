package main

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"snap/fixtures/fakeaws"
	"snap/fixtures/neo4jtest"
)

func TestMain(m *testing.M) {
	testscript.Main(withNeo4j{m}, map[string]func(){"snap": main})
}

// withNeo4j stops the test server, if one was started, after the tests.
type withNeo4j struct{ m *testing.M }

func (w withNeo4j) Run() int { return neo4jtest.Run(w.m) }

// everyone are the profiles of the recorded estate.
var everyone = []fakeaws.Profile{{Name: "mgmt", Account: "111111111111"}, {Name: "prod", Account: "222222222222"}, {Name: "dev", Account: "333333333333"}}

// estate serves a recorded estate to this process.
func estate(t testing.TB, name string, profiles ...fakeaws.Profile) *fakeaws.Server {
	t.Helper()
	aws, err := fakeaws.Start(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = aws.Close() })
	env, err := aws.Profiles(t.TempDir(), profiles...)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range env {
		key, value, _ := strings.Cut(e, "=")
		if !strings.HasSuffix(key, "_PROXY") { // read once a process; snap does without
			setenv(t, key, value)
		}
	}
	setenv(t, "CARTOGRAPHY_AWS_MAX_ATTEMPTS", "1")
	setenv(t, "SNAP_AWS_THROTTLE_PATIENCE", "1")
	return aws
}

func setenv(t testing.TB, key, value string) {
	t.Helper()
	old, had := os.LookupEnv(key)
	if err := os.Setenv(key, value); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if had {
			_ = os.Setenv(key, old)
		} else {
			_ = os.Unsetenv(key)
		}
	})
}

// snap runs the program in this process and returns its exit code, standard
// output and standard error.
func snap(ctx context.Context, args ...string) (code int, out, err string) {
	var stdout, stderr bytes.Buffer
	code = run(ctx, args, &terminal{out: &stdout, err: &stderr})
	return code, stdout.String(), stderr.String()
}

// must runs the program and wants one of the exit codes.
func must(t testing.TB, codes []int, args ...string) (out string) {
	t.Helper()
	code, out, err := snap(t.Context(), args...)
	if !slices.Contains(codes, code) {
		t.Fatalf("snap %s: exit code %d, want %v\n%s%s", strings.Join(args, " "), code, codes, out, err)
	}
	return out
}

// noneMissing fails the test when the estate lacked an answer: what was
// collected is then not what would be.
func noneMissing(t testing.TB, aws *fakeaws.Server) {
	t.Helper()
	if missing := aws.Missing(); len(missing) > 0 {
		t.Errorf("the recording lacks %d answers, e.g. %+v: record it anew (fixtures/README.md)", len(missing), missing[0])
	}
}
