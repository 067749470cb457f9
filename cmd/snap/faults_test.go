package main

import (
	"encoding/json"
	"fmt"
	"maps"
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

// TestEachCallFailing lets every API call of every sync fail in turn, in a
// different way in each account: the sync's cell is then not complete, and a
// load of that snapshot over the whole graph deletes nothing. The k-th calls of
// all syncs fail in one collection.
func TestEachCallFailing(t *testing.T) {
	aws := estate(t, "small", everyone...)
	setenv(t, "SNAP_AWS_THROTTLE_PATIENCE", "1")
	server, _ := neo4jtest.Get(t)
	collect := func(t *testing.T, code int, more ...string) string {
		dir := filepath.Join(t.TempDir(), "snap")
		must(t, []int{code}, append([]string{"collect", "--aws-sync-all-profiles", "--aws-regions", regions, "-o", dir}, more...)...)
		return dir
	}
	must(t, []int{exitOK}, "load", collect(t, exitOK), "--neo4j-uri", server.URI)
	made := aws.Calls() // by the undisturbed run
	faults := map[string]fakeaws.Rule{
		everyone[0].Account: {Code: "AccessDenied", Status: 403},
		everyone[1].Account: {Code: "ThrottlingException", Status: 429},
		everyone[2].Account: {Reset: true},
	}

	rounds := 0
	for _, s := range api.Registry.Syncs {
		rounds = max(rounds, len(s.Calls))
	}
	covered := map[string]bool{}
	for k := range rounds {
		t.Run(fmt.Sprint(k+1), func(t *testing.T) {
			var rules []fakeaws.Rule
			broken := map[string]call{} // by sync
			for _, s := range api.Registry.Syncs {
				if k >= len(s.Calls) {
					continue
				}
				service, operation, _ := strings.Cut(s.Calls[k], ":")
				broken[s.Name] = call{service, operation}
				for account, rule := range faults {
					rule.Account, rule.Service, rule.Operation = account, service, operation
					rules = append(rules, rule)
				}
			}
			if err := aws.SetFaults(rules...); err != nil {
				t.Fatal(err)
			}
			defer aws.SetFaults()
			var more []string
			if !strings.Contains(broken["iam"].operation, "ServiceLastAccessedDetails") {
				more = []string{"--aws-leave-out-calls", "iam:GenerateServiceLastAccessedDetails"} // they take nine tenths of the time
			}
			dir := collect(t, exitIncomplete, more...)
			snapshot, err := store.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer snapshot.Close()
			for _, c := range snapshot.Manifest.Cells {
				call, ok := broken[c.Sync]
				if !ok || !asked(made, call, c) {
					continue
				}
				covered[c.Sync+" "+call.operation] = true
				if c.State == store.Complete {
					t.Errorf("%s is complete though %s failed", c.CellID, call.operation)
				}
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
	// What is declared but not asked by this estate has tests beside its sync.
	if len(covered) < 60 {
		t.Errorf("only %d calls were made to fail: %v", len(covered), slices.Sorted(maps.Keys(covered)))
	}
}

// call is an operation of a service, as IAM names it.
type call struct{ service, operation string }

// asked tells whether the undisturbed run made the call for the cell.
func asked(made map[fakeaws.Call]int, c call, cell store.Cell) bool {
	for m := range made {
		// The recording names services as botocore does.
		same := m.Service == c.service || c.service == "elasticloadbalancing" && strings.HasPrefix(m.Service, "elb") || c.service == "s3" && m.Service == "s3control"
		if same && m.Operation == c.operation && m.Account == cell.Account && (cell.Region == "" || m.Region == cell.Region) {
			return true
		}
	}
	return false
}
