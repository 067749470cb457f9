package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"snap/collect/aws/api"
	"snap/fixtures/fakeaws"
	"snap/fixtures/neo4jtest"
	"snap/load"
	"snap/store"
)

// TestEachCallFailing lets every API call of every sync fail in turn, in each
// way: the sync's cell is then not complete, and a load of that snapshot over
// the whole graph deletes nothing. The k-th calls of all syncs fail in one
// collection.
func TestEachCallFailing(t *testing.T) {
	one := everyone[0] // the management account: it reads the organization
	aws := estate(t, "small", one)
	server, _ := neo4jtest.Get(t)
	collect := func(codes ...int) string {
		dir := filepath.Join(t.TempDir(), "snap")
		must(t, codes, "collect", "--aws-sync-all-profiles", "--aws-regions", regions, "-o", dir)
		return dir
	}
	whole := collect(exitOK)
	must(t, []int{exitOK}, "load", whole, "--neo4j-uri", server.URI)
	made := aws.Calls()

	rounds := 0
	for _, s := range api.Registry.Syncs {
		rounds = max(rounds, len(s.Calls))
	}
	covered := map[string]bool{}
	for k := range rounds {
		for name, fault := range map[string]fakeaws.Rule{
			"denied":    {Code: "AccessDenied", Status: 403},
			"throttled": {Code: "ThrottlingException", Status: 429},
			"reset":     {Reset: true},
		} {
			t.Run(fmt.Sprintf("%s/%d", name, k+1), func(t *testing.T) {
				var rules []fakeaws.Rule
				broken := map[string]string{} // sync → operation
				for _, s := range api.Registry.Syncs {
					if k >= len(s.Calls) {
						continue
					}
					service, operation, _ := strings.Cut(s.Calls[k], ":")
					if !slices.ContainsFunc(keys(made), func(c fakeaws.Call) bool { return c.Operation == operation && serves(c.Service, service) }) {
						continue // asked only where another call failed, or of other estates; TestEveryCallIsMade lists them
					}
					rule := fault
					rule.Service, rule.Operation = service, operation
					rules = append(rules, rule)
					broken[s.Name] = operation
				}
				if len(rules) == 0 {
					t.Fatal("no sync makes such a call: the round is one too many")
				}
				if err := aws.SetFaults(rules...); err != nil {
					t.Fatal(err)
				}
				defer aws.SetFaults()
				dir := collect(exitIncomplete)
				snapshot, err := store.Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				defer snapshot.Close()
				for _, c := range snapshot.Manifest.Cells {
					if operation, ok := broken[c.Sync]; ok && c.State == store.Complete && asked(made, operation, c) {
						t.Errorf("%s is complete though %s failed", c.CellID, operation)
					}
				}
				for sync, operation := range broken {
					covered[sync+" "+operation] = true
				}
				var report load.Report
				text := must(t, []int{exitIncomplete}, "load", dir, "--neo4j-uri", server.URI, "--format", "json")
				if err := json.Unmarshal([]byte(text), &report); err != nil {
					t.Fatal(err)
				}
				for _, table := range report.Tables {
					if table.NodesDeleted+table.LinksDeleted > 0 {
						t.Errorf("%s: the load deleted %d nodes and %d relationships of an estate that did not change", table.Table, table.NodesDeleted, table.LinksDeleted)
					}
				}
			})
		}
	}
	if len(covered) < 40 {
		t.Errorf("only %d calls were made to fail", len(covered))
	}
}

// asked tells whether the cell, in the undisturbed run, made the call.
func asked(made map[fakeaws.Call]int, operation string, c store.Cell) bool {
	for call := range made {
		if call.Operation == operation && call.Account == c.Account && (c.Region == "" || call.Region == c.Region) {
			return true
		}
	}
	return false
}

// serves matches the service of a recorded call, named as botocore does, with
// that of a declared one, named as IAM does.
func serves(recorded, declared string) bool {
	return recorded == declared || declared == "elasticloadbalancing" && strings.HasPrefix(recorded, "elb") || declared == "s3" && recorded == "s3control"
}

func keys[K comparable, V any](m map[K]V) []K {
	var out []K
	for k := range m {
		out = append(out, k)
	}
	return out
}
