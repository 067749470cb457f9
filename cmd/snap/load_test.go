package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"snap/fixtures/fakeaws"
	"snap/fixtures/neo4jtest"
	"snap/load"
)

// reports are the documents that load --format json writes, one a snapshot.
func reports(t *testing.T, text string) (all []load.Report) {
	t.Helper()
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		var r load.Report
		if err := d.Decode(&r); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
}

// TestLoadCommand goes through the flags of load: what is loaded, from where,
// and what it says.
func TestLoadCommand(t *testing.T) {
	aws := estate(t, "small", everyone...)
	server, driver := neo4jtest.Get(t)
	collect := func(code int) string {
		dir := filepath.Join(t.TempDir(), "snap")
		must(t, []int{code}, "collect", "--aws-sync-all-profiles", "--aws-regions", "us-east-1,eu-west-1", "--aws-requested-syncs", "kms,lambda_function", "-o", dir)
		return dir
	}
	older := collect(exitOK)
	time.Sleep(time.Until(time.Unix(manifest(t, older).Started.Unix()+1, 0))) // update tags are seconds
	if err := aws.SetFaults(fakeaws.Rule{Service: "kms", Operation: "ListKeys", Account: "222222222222", Region: "us-east-1", Code: "AccessDenied"},
		fakeaws.Rule{Service: "kms", Operation: "ListKeys", Account: "111111111111", Code: "AccessDenied"}); err != nil {
		t.Fatal(err)
	}
	newer := collect(exitIncomplete)
	_ = aws.SetFaults()
	to := []string{"--neo4j-uri", server.URI}
	load := func(codes []int, args ...string) string {
		t.Helper()
		return must(t, codes, append(append([]string{"load"}, args...), to...)...)
	}
	keys := "MATCH (k:AWSKMSKey) RETURN count(k)"
	empty := func() {
		t.Helper()
		if err := neo4jtest.Empty(t.Context(), driver); err != nil {
			t.Fatal(err)
		}
	}

	// A dry run writes nothing.
	if out := load([]int{exitOK}, older, "--dry-run"); !strings.Contains(out, "would load") || one(t, driver, "MATCH (n) RETURN count(n)") != int64(0) {
		t.Errorf("a dry run: %s", out)
	}

	// Of several snapshots the older one comes first, whatever the order.
	first := manifest(t, older)
	all := reports(t, load([]int{exitIncomplete}, newer, older, "--format", "json"))
	if len(all) != 2 || all[0].Snapshot == all[1].Snapshot || all[0].Tag >= all[1].Tag || all[0].Tag != first.Tag() {
		t.Errorf("loaded %+v", all)
	}
	whole := one(t, driver, keys)
	if whole.(int64) < 6 {
		t.Fatalf("only %d keys", whole)
	}
	// What the denied cells hide stays, and the report says why.
	kept := map[string]int64{}
	for _, table := range all[1].Tables {
		for _, k := range table.Kept {
			if k.State != "denied" {
				t.Errorf("kept because of %+v", k)
			}
			kept[k.Cell] += k.Nodes
		}
		if table.Sync == "kms" && table.Rows > 0 && table.Seconds <= 0 {
			t.Errorf("%s took no time", table.Table)
		}
	}
	if kept["aws/222222222222/us-east-1/kms"] == 0 || kept["aws/111111111111/eu-west-1/kms"] == 0 {
		t.Errorf("kept %v", kept)
	}
	text := load([]int{exitIncomplete}, newer)
	for _, want := range []string{"nodes", "AWSKMSKey", "seconds", "Kept although not seen", "aws/222222222222/us-east-1/kms (denied): ", "Analysis left as it was", " is absent"} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}

	// A part of a snapshot.
	empty()
	load([]int{exitOK, exitIncomplete}, older, "--selected-accounts", "222222222222", "--selected-syncs", "kms")
	if one(t, driver, "MATCH (a:AWSAccount {id: '222222222222'})-[:RESOURCE]->(:AWSKMSKey) RETURN count(*) > 0") != true ||
		one(t, driver, "MATCH (n) WHERE n:AWSLambda OR n._snap_cells IS NOT NULL AND NONE(c IN n._snap_cells WHERE c STARTS WITH 'aws/222222222222/') RETURN count(n)") != int64(0) {
		t.Error("not the chosen account and sync alone")
	}
	for _, c := range []struct{ flag, value, want string }{
		{"--selected-accounts", "444444444444", "the snapshot has no account 444444444444; it has 111111111111, 222222222222, 333333333333"},
		{"--selected-syncs", "s4", "the snapshot has no sync s4; it has "},
		{"--max-delete", "2", "--max-delete is 2: use a share between 0 and 1"},
		{"--max-delete", "0", "use --no-cleanup to delete nothing"},
		{"--neo4j-database", "nowhere", "has no database nowhere"},
		{"--permission-relationships-file", "nowhere.yaml", "permission relationships: open nowhere.yaml"},
		{"--analysis-job-directory", "nowhere", "analysis jobs: stat nowhere"},
	} {
		code, _, text := snap(t.Context(), append([]string{"load", older, c.flag, c.value}, to...)...)
		if code == exitOK || code == exitIncomplete || !strings.Contains(text, c.want) || strings.Count(strings.TrimSpace(text), "\n") > 1 {
			t.Errorf("%s %s: exit code %d: %s", c.flag, c.value, code, text)
		}
	}

	// A bundle, and one from a pipe.
	empty()
	bundle := filepath.Join(t.TempDir(), "estate.snap")
	must(t, []int{exitOK}, "bundle", older, "-o", bundle)
	load([]int{exitOK}, bundle)
	if one(t, driver, keys) != whole {
		t.Errorf("a bundle gives %d keys, want %d", one(t, driver, keys), whole)
	}
	empty()
	data, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func(before *os.File) { os.Stdin = before }(os.Stdin)
	os.Stdin = r
	go func() { _, _ = io.Copy(w, bytes.NewReader(data)); w.Close() }()
	load([]int{exitOK}, "-")
	if one(t, driver, keys) != whole {
		t.Errorf("a pipe gives %d keys, want %d", one(t, driver, keys), whole)
	}
}
