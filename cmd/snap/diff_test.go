package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// snapDiff runs the command.
func snapDiff(t *testing.T, args ...string) (code int, out, err string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(context.Background(), append([]string{"diff"}, args...), &terminal{out: &stdout, err: &stderr})
	return code, stdout.String(), stderr.String()
}

func TestDiffCommand(t *testing.T) {
	syncs := []string{"s3"}
	private, public := writeIn(t, syncs, bucket(r{"anonymous_access": false})), writeIn(t, syncs, bucket(r{"anonymous_access": true}))
	none := writeIn(t, nil, at{})
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	off := file("off.json", `{"rules": [{"name": "bucket-public", "severity": "off"}]}`)
	bad := file("bad.json", `{"rules": [{"name": "x", "severity": "loud"}]}`)
	ignore := file("ignore", "s3_bucket.anonymous_access # known\n")
	page := filepath.Join(dir, "page.html")
	for _, c := range []struct {
		args     []string
		code     int
		out, err string
	}{
		{[]string{private, private}, diffSame, "Nothing differs.", ""},
		{[]string{private, public}, diffDiffers, "critical A bucket's policy lets anybody in", ""},
		{[]string{private, none}, diffNotComparable, "could be compared", ""},
		{[]string{private, public, "--severity", "critical"}, diffDiffers, "1 changed", ""},
		{[]string{public, private, "--severity", "critical"}, diffSame, "Nothing differs", ""},
		{[]string{private, public, "--only", "removed"}, diffSame, "Nothing differs", ""},
		{[]string{private, public, "--rules", off, "--severity", "low"}, diffSame, "", ""},
		{[]string{private, public, "--ignore", "s3_bucket.anonymous_*"}, diffSame, "1 difference is ignored", ""},
		{[]string{private, public, "--ignore-file", ignore}, diffSame, "ignored", ""},
		{[]string{private, public, "--format", "markdown"}, diffDiffers, "### critical: 1 entry", ""},
		{[]string{private, public, "--format", "html", "-o", page}, diffDiffers, "", ""},
		{[]string{private, public, "--format", "json"}, diffDiffers, `"rule":"bucket-public"`, ""},
		{[]string{private, public, "--format", "yaml"}, diffFailed, "", "--format is"},
		{[]string{private, public, "--severity", "loud"}, diffFailed, "", "critical, high, medium and low"},
		{[]string{private, public, "--rules", bad}, diffFailed, "", "loud"},
		{[]string{private, public, "--rules", dir + "/none"}, diffFailed, "", "no such file"},
		{[]string{private, public, "--ignore", "a.b.c"}, diffFailed, "", "a.b.c"},
		{[]string{private, public, "--table", "s3_buckets"}, diffFailed, "", "s3_buckets"},
		{[]string{private}, diffFailed, "", "two snapshots"},
		{[]string{private, dir}, diffFailed, "", "snap:"},
	} {
		code, out, err := snapDiff(t, c.args...)
		if code != c.code || !strings.Contains(out, c.out) || !strings.Contains(err, c.err) || (c.err == "") != (err == "") {
			t.Errorf("%v: exit code %d, want %d\n%s%s", c.args, code, c.code, out, err)
		}
		if strings.Count(err, "\n") > 1 {
			t.Errorf("%v: more than a line: %s", c.args, err)
		}
	}
	if b, err := os.ReadFile(page); err != nil || !bytes.Contains(b, []byte("bucket-public")) {
		t.Error("no page", err)
	}
}
