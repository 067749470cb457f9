package store

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFuzzScript has fuzz.sh run something else than go: only the outcome that
// it knows is run again, and only once.
func TestFuzzScript(t *testing.T) {
	const progress = "fuzz: elapsed: 0s, gathering baseline coverage: 0/12 completed\nfuzz: elapsed: 3s, execs: 40304 (0/sec), new interesting: 104 (total: 108)\n"
	const stumble = progress + "--- FAIL: FuzzIt (3.20s)\n    context deadline exceeded\nFAIL\nexit status 1\nFAIL\tsnap/store\t3.202s\nFAIL\n"
	const pass = progress + "PASS\nok  \tsnap/store\t3.1s\n"
	const found = progress + "--- FAIL: FuzzIt (1.02s)\n    --- FAIL: FuzzIt (0.00s)\n        fuzz_test.go:1: it panics\n    \n    Failing input written to testdata/fuzz/FuzzIt/abc\nFAIL\nexit status 1\nFAIL\tsnap/store\t1.1s\nFAIL\n"
	type turn struct {
		out  string
		code int
		make bool // a new input
	}
	for name, c := range map[string]struct {
		turns []turn
		ok    bool
		runs  int
	}{
		"pass":                     {[]turn{{pass, 0, false}}, true, 1},
		"found":                    {[]turn{{found, 1, true}}, false, 1},
		"a failure without input":  {[]turn{{found, 1, false}}, false, 1},
		"stumbled":                 {[]turn{{stumble, 1, false}, {pass, 0, false}}, true, 2},
		"stumbled twice":           {[]turn{{stumble, 1, false}, {stumble, 1, false}, {pass, 0, false}}, false, 2},
		"stumbled, then found":     {[]turn{{stumble, 1, false}, {found, 1, true}}, false, 2},
		"stumbled with an input":   {[]turn{{stumble, 1, true}, {pass, 0, false}}, false, 1},
		"stumbled and says more":   {[]turn{{strings.Replace(stumble, "FAIL\n", "fuzz_test.go:1: it panics\nFAIL\n", 1), 1, false}, {pass, 0, false}}, false, 1},
		"another deadline":         {[]turn{{strings.Replace(stumble, "FuzzIt", "FuzzOther", 1), 1, false}, {pass, 0, false}}, false, 1},
		"it cannot even be built":  {[]turn{{"# snap/store\nsyntax error\nFAIL\tsnap/store [build failed]\nFAIL\n", 1, false}}, false, 1},
		"killed, and said nothing": {[]turn{{"", 137, false}}, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			ok(t, os.WriteFile(filepath.Join(dir, "fuzz.sh"), must(os.ReadFile("fuzz.sh"))(t), 0o700))
			ok(t, os.MkdirAll(filepath.Join(dir, "testdata/fuzz/FuzzIt"), 0o700))
			// The n-th time it says and does what the n-th turn says.
			script := "#!/bin/sh\nn=$(cat n 2> /dev/null || echo 0)\necho $((n+1)) > n\ncat out$n\nif [ -f make$n ]; then touch testdata/fuzz/FuzzIt/abc; fi\nexit $(cat code$n)\n"
			ok(t, os.WriteFile(filepath.Join(dir, "go"), []byte(script), 0o700))
			for n, turn := range c.turns {
				ok(t, os.WriteFile(filepath.Join(dir, fmt.Sprint("out", n)), []byte(turn.out), 0o600))
				ok(t, os.WriteFile(filepath.Join(dir, fmt.Sprint("code", n)), []byte(fmt.Sprint(turn.code)), 0o600))
				if turn.make {
					ok(t, os.WriteFile(filepath.Join(dir, fmt.Sprint("make", n)), nil, 0o600))
				}
			}
			sh := exec.Command(filepath.Join(dir, "fuzz.sh"), "FuzzIt", "3s")
			sh.Env = append(os.Environ(), "GO="+filepath.Join(dir, "go"))
			out, err := sh.CombinedOutput()
			if (err == nil) != c.ok {
				t.Errorf("%v\n%s", err, out)
			}
			if runs := strings.TrimSpace(string(must(os.ReadFile(filepath.Join(dir, "n")))(t))); runs != fmt.Sprint(c.runs) {
				t.Errorf("%s runs, want %d", runs, c.runs)
			}
			if !strings.Contains(string(out), c.turns[0].out) {
				t.Errorf("what it says is not shown: %s", out)
			}
		})
	}
}
