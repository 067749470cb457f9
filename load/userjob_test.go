package load

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snap/store"
	"snap/store/kind"
)

// jobFiles writes files into a directory that it returns.
func jobFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Jobs run in the order of their paths, one that fails ends but itself.
func TestUserJobs(t *testing.T) {
	g := testGraph(t)
	dir := jobFiles(t, map[string]string{
		"a.json": `{"name": "first", "statements": [
			{"query": "UNWIND range(1, 25) AS i CREATE (:Made {i: i, tag: $UPDATE_TAG, by: $by, limit: $LIMIT_SIZE, half: $half})", "parameters": {"by": {"n": [12345678901234567]}, "half": 0.5, "by": 3}},
			{"query": "MATCH (n:Made) WHERE n.seen IS NULL WITH n LIMIT $LIMIT_SIZE SET n.seen = true CREATE (:Round)", "iterative": true, "iterationsize": 10}]}`,
		"b/later.json":  `{"name": "fails", "statements": [{"query": "MATCH (n:Made) SET n.b = 1"}, {"query": "MATCH (n:Made) SET n.c = "}, {"query": "MATCH (n:Made) SET n.d = 1"}]}`,
		"c.json":        `{"name": "old", "statements": [{"query": "MATCH (n:Made) SET n.never = 1"}, {"query": "MATCH (n) WHERE n.tag <> {UPDATE_TAG} DELETE n"}]}`,
		"d.json":        `{"name": `,
		"e.json":        `{"statements": [{"query": "RETURN 1"}]}`,
		"f.json":        `{"name": "no end", "statements": [{"query": "RETURN 1", "iterative": true}]}`,
		"g.json":        `{"name": "last", "statements": [{"query": "MATCH (n:Made) WITH count(n) AS made SET made = 1"}]}`,
		"z.json":        `{"name": "last", "statements": [{"query": "MATCH (n:Made) WHERE n.b = 1 SET n.z = true", "iterative": false, "iterationsize": 0}]}`,
		"not a job.txt": "{",
	})
	jobs, err := ReadUserJobs(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := newSnapshot(100).account("1")
	if _, err := s.try(g, Options{UserJobs: jobs, DryRun: true}); err == nil || query(t, g, "MATCH (n:Made) RETURN n") != "" {
		t.Errorf("a dry run: %v", err)
	}
	r, err := s.try(g, Options{UserJobs: jobs})
	var failed *UserJobsError
	if !errors.As(err, &failed) || len(failed.Failed) != 6 || failed.Of != 8 || strings.Contains(err.Error(), "\n") {
		t.Fatalf("error %v", err)
	}
	for i, want := range []string{"b/later.json: statement 2: neo4j: ", "c.json: statement 2 says {UPDATE_TAG}", "d.json: is no job", "e.json: is no job: it has no name", "f.json: statement 1 has the iterationsize 0", "g.json: statement 1: "} {
		if got := failed.Failed[i].Error(); !strings.Contains(got, want) || !strings.HasPrefix(got, dir) {
			t.Errorf("error %q, want %q", got, want)
		}
	}
	if !strings.Contains(failed.Failed[1].Error(), "write $UPDATE_TAG") {
		t.Error(failed.Failed[1])
	}
	expect(t, g, "MATCH (n:Made) RETURN count(n), n.tag, n.by, n.limit, n.half, n.seen, n.b, n.d, n.never, n.z", `[25,100,3,0,0.5,true,1,null,null,true]`)
	expect(t, g, "MATCH (n:Round) RETURN count(n)", `[25]`)
	// The load itself is done.
	expect(t, g, "MATCH (m:ModuleSyncMetadata) RETURN m.lastupdated", `[100]`)
	ran := ""
	for _, j := range r.Analysis {
		if j.Ran == (j.Error != "") {
			t.Errorf("report %+v", j)
		}
		if j.Ran {
			ran += filepath.Base(j.Name) + " "
		}
	}
	if ran != "a.json z.json " {
		t.Errorf("ran %s", ran)
	}
	for _, dir := range []string{filepath.Join(dir, "nowhere"), filepath.Join(dir, "a.json")} {
		if _, err := ReadUserJobs(dir); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// What is not chosen stays as it was: to the load, the snapshot lacks it.
func TestSelection(t *testing.T) {
	two := func(tag int64, vpcName string) *snapshot {
		return newSnapshot(tag).account("1").account("2").
			cell("1/r1/net", store.Complete, func(to kind.Sink) { vpcs.Put(to, vpcRow{ID: "v1", Name: &vpcName}) }).
			cell("2/r1/net", store.Complete, func(to kind.Sink) { vpcs.Put(to, vpcRow{ID: "v2", Name: &vpcName}) }).
			cell("1/r1/ec2:vm", store.Complete, func(to kind.Sink) { vms.Put(to, vmRow{ID: "m1", Type: &vpcName}) })
	}
	const all = "MATCH (n) WHERE n:AWSAccount OR n:Vpc OR n:Vm RETURN n.id, coalesce(n.name, n.type), n.lastupdated ORDER BY n.id"
	g := testGraph(t)
	two(100, "old").load(t, g, Options{})
	gone := newSnapshot(200).account("1").account("2").cell("1/r1/net", store.Complete, nil).cell("2/r1/net", store.Complete, nil).cell("1/r1/ec2:vm", store.Complete, nil)
	gone.load(t, g, Options{Accounts: []string{"1"}, Syncs: []string{"ec2:vm"}})
	expect(t, g, all, `["1","acc1",200]`, `["2","acc2",100]`, `["v1","old",100]`, `["v2","old",100]`)
	two(300, "new").load(t, g, Options{Accounts: []string{"2"}})
	expect(t, g, all, `["1","acc1",200]`, `["2","acc2",300]`, `["v1","old",100]`, `["v2","new",300]`)
	two(400, "newer").load(t, g, Options{Syncs: []string{"net"}})
	expect(t, g, all, `["1","acc1",400]`, `["2","acc2",400]`, `["v1","newer",400]`, `["v2","newer",400]`)
	for _, o := range []Options{{Accounts: []string{"3"}}, {Syncs: []string{"s3"}}} {
		if r, err := two(500, "x").try(g, o); err == nil || r != nil || !strings.Contains(err.Error(), "the snapshot has no ") {
			t.Errorf("%+v: %v", o, err)
		}
	}
}
