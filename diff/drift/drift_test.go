package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const list = `{"changes": [
 {"account": "1", "region": "us-east-1", "type": "ec2:instance", "id": "i-1", "field": "state", "kind": "changed", "before": "running", "after": "terminated"},
 {"account": "1", "region": "us-east-1", "type": "ec2:security-group", "id": "sg-1", "field": "ingress", "kind": "added", "after": "tcp/22"},
 {"account": "1", "region": "us-east-1", "type": "iam:group", "id": "arn:aws:iam::1:group/g", "field": "member", "kind": "removed", "before": "arn:aws:iam::1:user/u"},
 {"account": "1", "region": "us-east-1", "type": "rds:instance", "id": "db-1", "field": "publicly_accessible", "kind": "changed", "before": false, "after": true},
 {"account": "1", "region": "us-east-1", "type": "quantum:computer", "id": "q", "field": null, "kind": "added"}
], "errors": []}`

var entries = []string{
	`{"change": "changed", "account": "1", "table": "ec2_instance", "key": {"id": "i-1"}, "properties": [{"name": "state", "old": "running", "new": "terminated"}]}`,
	`{"change": "removed", "account": "1", "table": "ec2_network_interface", "key": {"id": "eni-1"}, "relations": [{"type": "NETWORK_INTERFACE", "removed": ["i-1"]}]}`,
	`{"change": "removed", "account": "1", "table": "ec2_private_ip", "key": {"id": "eni-1:10.0.0.1"}, "properties": [{"name": "network_interface_id", "old": "eni-1"}]}`,
	`{"change": "added", "account": "1", "table": "ec2_ip_permission_inbound", "key": {"id": "sg-1/IpPermissions/2222tcp"}, "properties": [{"name": "groupid", "new": "sg-1"}]}`,
	`{"change": "changed", "account": "1", "table": "iam_user", "key": {"id": "arn:aws:iam::1:user/u"}, "relations": [{"type": "MEMBER_AWS_GROUP", "removed": ["arn:aws:iam::1:group/g"]}]}`,
	`{"change": "changed", "account": "1", "table": "rds_instance", "key": {"id": "arn:aws:rds:us-east-1:1:db:db-1"}, "properties": [{"name": "publicly_accessible", "old": false, "new": true}]}`,
}

func judged(t *testing.T, tables string, entries ...string) (ok bool, out string) {
	t.Helper()
	return judgedBut(t, "", tables, entries...)
}

func judgedBut(t *testing.T, except, tables string, entries ...string) (ok bool, out string) {
	t.Helper()
	dir := t.TempDir()
	paths := []string{filepath.Join(dir, "changes.json"), filepath.Join(dir, "report.json")}
	for i, text := range []string{list, `{"schema": "snap-diff/1", "changes": [` + strings.Join(entries, ",") + `]}`} {
		if err := os.WriteFile(paths[i], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var b strings.Builder
	ok, err := run(&b, paths, tables, except)
	if err != nil {
		t.Fatal(err)
	}
	return ok, b.String()
}

func parse(t *testing.T, text string) (e entry) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestJudge(t *testing.T) {
	if ok, out := judged(t, "", entries...); !ok || !strings.Contains(out, "5 changes: 4 found, 0 missed, 1 of resources") {
		t.Error(ok, out)
	}
	for i, what := range map[int]string{0: "ec2:instance i-1", 3: "ec2:security-group sg-1", 4: "iam:group", 5: "rds:instance db-1"} {
		without := append(append([]string{}, entries[:i]...), entries[i+1:]...)
		if ok, out := judged(t, "", without...); ok || !strings.Contains(out, "missed       1 us-east-1 "+what) {
			t.Errorf("without entry %d: %v %s", i, ok, out)
		}
	}
	for _, strange := range []string{
		`{"change": "changed", "account": "1", "table": "ec2_instance", "key": {"id": "i-2"}, "properties": [{"name": "state"}]}`,
		`{"change": "changed", "account": "2", "table": "ec2_instance", "key": {"id": "i-1"}, "properties": [{"name": "state"}]}`,
		`{"change": "removed", "account": "1", "table": "s3_bucket", "key": {"id": "i-1"}}`,
		`{"change": "removed", "account": "1", "table": "ec2_private_ip", "key": {"id": "eni-9:10.0.0.1"}}`,
		`{"change": "added", "account": "1", "table": "ec2_ip_permission_inbound", "key": {"id": "sg-11/IpPermissions/2222tcp"}}`,
		`{"change": "unknown", "account": "1", "table": "kms_key", "rows": 3}`,
	} {
		if ok, out := judged(t, "", append(entries, strange)...); ok || !strings.Contains(out, "1 not explained") {
			t.Errorf("%s: %v %s", strange, ok, out)
		}
	}
	// A device that is no longer a user's is a row that is gone.
	device := `{"change": "removed", "account": "1", "table": "iam_mfa_device", "key": {"id": "arn:aws:iam::1:mfa/m"}, "properties": [{"name": "user_arn", "old": "arn:aws:iam::1:user/u"}]}`
	if v := judge([]change{{Account: "1", Type: "iam:mfa-device", ID: "arn:aws:iam::1:mfa/m", Kind: "changed", Field: "state"}}, []entry{parse(t, device)}, nil); v.found != 1 {
		t.Errorf("%+v", v)
	}
	for except, want := range map[string]bool{"rds:instance db-1": true, "rds:instance db-2": false} {
		if ok, out := judgedBut(t, except, "", entries[:5]...); ok != want {
			t.Errorf("-except %s: %v %s", except, ok, out)
		}
	}
	// An IPv6 address that a changed instance got is explained; another is not.
	moved := `{"change": "changed", "account": "1", "table": "ec2_instance", "key": {"id": "i-1"}, "properties": [{"name": "state", "old": "running", "new": "terminated"}, {"name": "ipv6address", "old": "2001:db8::1", "new": "2001:db8::2"}]}`
	for address, explained := range map[string]bool{"2001:db8::2": true, "2001:db8::3": false} {
		got := `{"change": "added", "account": "1", "table": "ec2_ipv6_address", "key": {"id": "` + address + `"}}`
		if ok, out := judged(t, "", append([]string{moved, got}, entries[1:]...)...); ok != explained {
			t.Errorf("%s: %v %s", address, ok, out)
		}
	}
	if ok, out := judged(t, "ec2_instance,ec2_network_interface,ec2_private_ip", entries[:3]...); !ok || !strings.Contains(out, "4 of resources that are not collected") {
		t.Error(ok, out)
	}
}
