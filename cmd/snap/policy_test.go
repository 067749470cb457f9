package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"snap/collect/aws/api"
	"snap/collect/aws/session"
)

// unmade are declared calls that a sync makes only where the recorded estate
// gives no occasion.
var unmade = map[string]string{
	"iam:GetPolicy":        "for a policy that is attached, and that the authorization details leave out",
	"iam:GetPolicyVersion": "likewise",
	"lambda:GetFunction":   "for container images: the listing does not name them",
}

// Every call that a sync makes is one that it declares, so that the policy
// suffices; every declared one is made or listed, so that it is the least.
func TestCallsAreDeclared(t *testing.T) {
	aws := estate(t, "small", everyone...)
	var c collecting
	syncs, err := session.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.Options = session.Options{AllProfiles: true, Regions: list("us-east-1,eu-west-1"), Syncs: syncs, Settings: session.Settings{Retries: 1, ReadTimeout: 30e9, Patience: 30e9}}
	c.started, c.dir, c.asJSON = time.Now(), filepath.Join(t.TempDir(), "snap"), true
	var used []session.Usage
	c.after = func(e *session.Estate) { used = e.Usage() }
	out := &terminal{out: &strings.Builder{}, err: &strings.Builder{}}
	if err := runCollect(t.Context(), out, &c); err != nil {
		t.Fatalf("%v\n%s", err, out.err)
	}
	noneMissing(t, aws)

	made := map[string]map[string]bool{}
	for _, u := range used {
		if u.Sync == "" { // finding out accounts and regions
			if call := u.Service + ":" + u.Operation; call != "sts:GetCallerIdentity" && call != "ec2:DescribeRegions" {
				t.Errorf("planning calls %s", call)
			}
			continue
		}
		if made[u.Sync] == nil {
			made[u.Sync] = map[string]bool{}
		}
		made[u.Sync][u.Service+":"+u.Operation] = true
	}
	for sync, calls := range made {
		var declared []string
		for _, text := range api.Find(sync).Calls {
			call, err := api.ParseCall(text)
			if err != nil {
				t.Fatal(err)
			}
			declared = append(declared, call.Service+":"+call.Operation)
		}
		for call := range calls {
			if !slices.Contains(declared, call) {
				t.Errorf("sync %s calls %s and does not declare it", sync, call)
			}
		}
	}
	anywhere := map[string]bool{}
	for _, calls := range made {
		for call := range calls {
			anywhere[call] = true
		}
	}
	declared := map[string]bool{}
	for _, sync := range append(syncs, "organization") {
		for _, text := range api.Find(sync).Calls {
			call, err := api.ParseCall(text)
			if err != nil {
				t.Fatal(err)
			}
			name := call.Service + ":" + call.Operation
			declared[name] = true
			if !anywhere[name] && unmade[name] == "" {
				t.Errorf("sync %s declares %s, which it never calls here: take it out, or give the reason in unmade", sync, name)
			}
		}
	}
	for call := range unmade {
		if anywhere[call] || !declared[call] {
			t.Errorf("unmade: %s is called, or not declared: take it out", call)
		}
	}
}

// The policy has the actions of the chosen syncs and no others.
func TestPolicy(t *testing.T) {
	var policy struct {
		Version   string
		Statement []struct {
			Sid, Effect, Resource string
			Action                []string
		}
	}
	actions := func(args ...string) (all []string) {
		policy.Statement = nil
		if err := json.Unmarshal([]byte(must(t, []int{exitOK}, append([]string{"policy"}, args...)...)), &policy); err != nil {
			t.Fatal(err)
		}
		for _, s := range policy.Statement {
			if s.Effect != "Allow" || s.Resource != "*" || strings.Trim(s.Sid, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
				t.Errorf("statement %+v", s)
			}
			all = append(all, s.Action...)
		}
		return all
	}
	few := actions("--aws-requested-syncs", "s3accountpublicaccessblock")
	want := []string{
		"ec2:DescribeRegions", "organizations:DescribeOrganization", "organizations:ListAccountsForParent",
		"organizations:ListOrganizationalUnitsForParent", "organizations:ListRoots", "s3:GetAccountPublicAccessBlock",
	}
	if !slices.Equal(few, want) {
		t.Errorf("the policy for s3accountpublicaccessblock allows %q; want %q", few, want)
	}
	all := actions()
	for _, action := range append(few, "iam:GenerateServiceLastAccessedDetails", "s3:ListAllMyBuckets") {
		if !slices.Contains(all, action) {
			t.Errorf("the whole policy lacks %s", action)
		}
	}
	if slices.Contains(actions("--aws-leave-out-calls", "iam:GenerateServiceLastAccessedDetails"), "iam:GenerateServiceLastAccessedDetails") {
		t.Error("a call that is left out is allowed")
	}
}
