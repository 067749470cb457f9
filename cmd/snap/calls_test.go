package main

import (
	"path/filepath"
	"strings"
	"testing"

	"snap/fixtures"
)

// TestFewerCalls compares the requests for the recorded estate with those that
// Cartography makes for the same syncs. Most of either's are one for each
// thing, where AWS has no way to ask for several; docs/benchmarks.md says which.
func TestFewerCalls(t *testing.T) {
	theirs, err := fixtures.CartographyCalls()
	if err != nil {
		t.Fatal(err)
	}
	aws := estate(t, "small", everyone...)
	collect := func(more ...string) (by map[string]int, all int) {
		aws.Reset()
		args := []string{"collect", "--aws-sync-all-profiles", "--aws-regions", "us-east-1,eu-west-1", "--aws-requested-syncs", strings.Join(theirs.Syncs, ","), "-o", filepath.Join(t.TempDir(), "snap")}
		must(t, []int{exitOK}, append(args, more...)...)
		noneMissing(t, aws)
		ours := fixtures.PeerCalls{Calls: map[string]int{}}
		for c, n := range aws.Calls() {
			ours.Calls[c.Service+":"+c.Operation] += n
			all += n
		}
		// Nothing is asked twice, but who one is when a role is assumed.
		for _, request := range aws.Repeated() {
			if !strings.Contains(request, "Action=AssumeRole") {
				t.Errorf("asked %s", request)
			}
		}
		return ours.ByService(), all
	}
	total := 0
	for _, n := range theirs.Calls {
		total += n
	}

	by, all := collect()
	before := theirs.ByService()
	for service, n := range by {
		if n > before[service] {
			t.Errorf("%s: %d requests; Cartography makes %d", service, n, before[service])
		}
	}
	if all*100 > total*93 {
		t.Errorf("%d requests; want at most 93 in 100 of Cartography's %d", all, total)
	}
	by, all = collect(leftOut)
	if all*100 > total*66 || by["iam"]*100 > before["iam"]*15 {
		t.Errorf("without last-accessed reports %d requests, %d of them IAM; want at most 66 in 100 of Cartography's %d, and 15 in 100 of %d", all, by["iam"], total, before["iam"])
	}
}
