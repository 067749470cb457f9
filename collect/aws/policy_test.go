package aws

import (
	"encoding/json"
	"os"
	"slices"
	"testing"
)

// testdata/policies.json holds policies and what policyuniverse 1.5.1 says of
// them.
func TestAnonymousAccess(t *testing.T) {
	text, err := os.ReadFile("testdata/policies.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Name    string
		Policy  json.RawMessage
		Access  bool
		Actions []string
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 90 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		access, actions, err := anonymousAccess(string(c.Policy))
		if err != nil || access != c.Access || actions == nil || !slices.Equal(actions, c.Actions) {
			t.Errorf("%s: got %t, %v, %v; want %t, %v: %s", c.Name, access, actions, err, c.Access, c.Actions, c.Policy)
		}
	}
}

// Policies that AWS takes and policyuniverse stumbles over, and no policies.
func TestAnonymousAccessOdd(t *testing.T) {
	for _, c := range []struct {
		policy string
		want   bool
	}{
		{`{"Statement": {"Effect": "Allow", "Principal": "*", "Condition": {"StringEquals": {"aws:SourceAccount": 111111111111}}}}`, false},
		{`{"Statement": {"Effect": "Allow", "Principal": {"AWS": 111111111111}}}`, false},
		{`{"Statement": {"Effect": "Allow", "Principal": {"AWS": null}}}`, false},
		{`{"Statement": {"Effect": "Allow", "Principal": "*", "Action": null}}`, true},
		{`{"Statement": null}`, false},
	} {
		got, actions, err := anonymousAccess(c.policy)
		if err != nil || got != c.want || len(actions) != 0 || actions == nil {
			t.Errorf("%s: got %t, %#v, %v; want %t", c.policy, got, actions, err, c.want)
		}
	}
	for _, policy := range []string{``, `x`, `[]`, `"*"`, `{"Statement": ["*"]}`, `{"Statement": []`} {
		if got, _, err := anonymousAccess(policy); err == nil {
			t.Errorf("%q: got %t, want an error", policy, got)
		}
	}
}
