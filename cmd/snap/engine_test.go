package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"snap/fixtures/fakeaws"
	"snap/store"
)

// someSyncs are enough for every way of asking: listings, items, batches,
// global and regional, XML and JSON.
const someSyncs = "iam,ec2:instance,ec2:load_balancer_v2,s3,s3accountpublicaccessblock,rds,kms,lambda_function"

func collectArgs(dir string) []string {
	return []string{"collect", "--aws-sync-all-profiles", "--aws-regions", "us-east-1,eu-west-1", "--aws-requested-syncs", someSyncs, leftOut, "-o", dir}
}

// leftOut leaves out what IAM's rate limit makes last seconds.
const leftOut = "--aws-leave-out-calls=iam:GenerateServiceLastAccessedDetails"

// manifest reads a snapshot's.
func manifest(t *testing.T, dir string) store.Manifest {
	t.Helper()
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return s.Manifest
}

// data are the data files of a snapshot, by path and hash.
func data(m store.Manifest) []string {
	var files []string
	for _, c := range m.Cells {
		for _, f := range c.Files {
			files = append(files, f.Path+" "+f.SHA256)
		}
	}
	slices.Sort(files)
	return files
}

// TestFaults has AWS fail in each way. The run ends in bounded time, each cell
// says how it ended, nothing else is affected, and when the fault is gone
// --resume makes of it what a run without faults makes: the same bytes.
func TestFaults(t *testing.T) {
	aws := estate(t, "small", everyone...)
	setenv(t, "SNAP_AWS_MAX_ATTEMPTS", "2")
	setenv(t, "SNAP_AWS_READ_TIMEOUT", "60")
	clean := filepath.Join(t.TempDir(), "snap")
	must(t, []int{exitOK}, collectArgs(clean)...)
	noneMissing(t, aws)
	whole := manifest(t, clean)

	type end struct {
		state  store.State
		code   string
		action string
	}
	for name, test := range map[string]struct {
		rules []fakeaws.Rule
		args  []string
		env   []string
		// what ends otherwise than complete: by "account/region/sync" as a glob
		// of one star; none: the faults are got over
		want map[string]end
	}{
		"denied": {rules: []fakeaws.Rule{{Service: "rds", Operation: "DescribeDBClusters", Account: "2*", Code: "AccessDenied"}, {Service: "s3", Operation: "ListBuckets", Code: "AccessDenied"}},
			want: map[string]end{"222222222222/*/rds": {store.Partial, "AccessDenied", "rds:DescribeDBClusters"}, "*/s3": {store.Denied, "AccessDenied", "s3:ListAllMyBuckets"}}},
		"denied for one item": {rules: []fakeaws.Rule{{Service: "s3", Operation: "GetBucketPolicy", Skip: 3, Times: 1, Account: "111111111111", Code: "AccessDenied"}},
			want: map[string]end{"111111111111//s3": {store.Partial, "AccessDenied", "s3:GetBucketPolicy"}}},
		"a throttling burst":   {rules: []fakeaws.Rule{{Service: "ec2", Code: "RequestLimitExceeded", Times: 12}, {Service: "kms", Code: "ThrottlingException", Times: 12}}, env: []string{"SNAP_AWS_THROTTLE_PATIENCE=60"}},
		"throttled throughout": {rules: []fakeaws.Rule{{Service: "kms", Operation: "ListKeys", Region: "us-east-1", Code: "ThrottlingException"}}, want: map[string]end{"*/us-east-1/kms": {store.Failed, "", "kms:ListKeys"}}},
		"expired once":         {rules: []fakeaws.Rule{{Service: "rds", Code: "ExpiredToken", Times: 1}, {Service: "iam", Code: "ExpiredToken", Skip: 20, Times: 1}, {Service: "kms", Code: "ExpiredTokenException", Skip: 9, Times: 1}}},
		"expired for good": {rules: []fakeaws.Rule{{Account: "333333333333", Service: "lambda", Code: "ExpiredTokenException"}},
			want: map[string]end{"333333333333/*/lambda_function": {store.Failed, "ExpiredTokenException", "lambda:ListFunctions"}}},
		"500 twice":            {rules: []fakeaws.Rule{{Service: "lambda", Operation: "ListFunctions", Status: 500, Times: 2}, {Service: "s3", Operation: "ListBuckets", Code: "InternalError", Times: 1}}},
		"500 throughout":       {rules: []fakeaws.Rule{{Service: "lambda", Operation: "ListFunctions", Region: "us-east-1", Code: "ServiceException"}}, want: map[string]end{"*/us-east-1/lambda_function": {store.Failed, "ServiceException", "lambda:ListFunctions"}}},
		"reset twice":          {rules: []fakeaws.Rule{{Service: "iam", Reset: true, Skip: 5, Times: 2}}},
		"reset throughout":     {rules: []fakeaws.Rule{{Service: "kms", Operation: "ListKeys", Account: "1*", Reset: true}}, want: map[string]end{"111111111111/*/kms": {store.Failed, "ConnectionReset", "kms:ListKeys"}}},
		"hangs once":           {rules: []fakeaws.Rule{{Service: "rds", Operation: "DescribeDBInstances", Hang: 60, Times: 1}}, env: []string{"SNAP_AWS_READ_TIMEOUT=4"}},
		"hangs throughout":     {rules: []fakeaws.Rule{{Service: "rds", Operation: "DescribeDBSnapshots", Account: "1*", Hang: 60}}, env: []string{"SNAP_AWS_READ_TIMEOUT=4"}, want: map[string]end{"111111111111/*/rds": {store.Partial, "ReadTimeout", "rds:DescribeDBSnapshots"}}},
		"truncated once":       {rules: []fakeaws.Rule{{Service: "ec2", Operation: "DescribeInstances", Truncate: 200, Times: 1}}},
		"truncated throughout": {rules: []fakeaws.Rule{{Service: "ec2", Operation: "DescribeInstances", Account: "2*", Truncate: 200}}, want: map[string]end{"222222222222/*/ec2:instance": {store.Failed, "AnswerTruncated", "ec2:DescribeInstances"}}},
		"malformed throughout": {rules: []fakeaws.Rule{{Service: "kms", Operation: "ListKeys", Account: "2*", Malformed: true}}, want: map[string]end{"222222222222/*/kms": {store.Failed, "AnswerMalformed", "kms:ListKeys"}}},
		"a region that never answers": {rules: []fakeaws.Rule{{Region: "eu-west-1", Hang: 60}}, env: []string{"SNAP_AWS_READ_TIMEOUT=4"},
			want: map[string]end{"*/eu-west-1/*": {state: store.Failed}, "*/s3": {store.Partial, "", ""}}}, // some buckets are there
		"a cell that takes too long": {rules: []fakeaws.Rule{{Service: "lambda", Operation: "ListFunctions", Account: "1*", Hang: 90}}, args: []string{"--cell-timeout", "15s"}, env: []string{"SNAP_AWS_READ_TIMEOUT=90"},
			want: map[string]end{"111111111111/*/lambda_function": {code: "CellTimeout"}}},
		"1 % of all calls": {rules: []fakeaws.Rule{{Probability: 0.01, Code: "InternalError", Status: 500}}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := aws.SetFaults(test.rules...); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = aws.SetFaults() })
			for _, v := range test.env {
				key, value, _ := strings.Cut(v, "=")
				setenv(t, key, value)
			}
			dir := filepath.Join(t.TempDir(), "snap")
			codes := []int{exitOK}
			if test.want != nil {
				codes = []int{exitIncomplete}
			}
			began := time.Now()
			out := must(t, codes, append(collectArgs(dir), test.args...)...)
			if took := time.Since(began); took > 90*time.Second {
				t.Errorf("the run took %s", took)
			}
			met := map[string]bool{}
			for _, c := range manifest(t, dir).Cells {
				id := strings.TrimPrefix(c.String(), "aws/")
				want, pattern := end{state: store.Complete}, ""
				for p, e := range test.want {
					if globMatch(p, id) && !(strings.HasSuffix(p, "*/*") && c.Region == "") {
						want, pattern = e, p
					}
				}
				if want.state != "" && c.State != want.state || want.state == "" && c.State == store.Complete || want.code != "" && c.Code != want.code || want.action != "" && c.Action != want.action {
					t.Errorf("%s: %s %s %s (%s); want %+v", id, c.State, c.Code, c.Action, c.Message, want)
				}
				if remedies := map[string]string{"AccessDenied": "allow " + c.Action + " to role audit", "ExpiredTokenException": "renew the access key of profile default", "CellTimeout": "use a longer --cell-timeout"}; c.Remedy != remedies[c.Code] && remedies[c.Code] != "" || !strings.Contains(out, c.Remedy) {
					t.Errorf("%s: %s, and what to do is %q; want %q, in the summary too", id, c.Code, c.Remedy, remedies[c.Code])
				}
				met[pattern] = true
			}
			for p := range test.want {
				if !met[p] {
					t.Errorf("no cell is %s", p)
				}
			}
			if test.want != nil && !strings.Contains(out, "→") {
				t.Errorf("the summary does not say what to do:\n%s", out)
			}
			if err := aws.SetFaults(); err != nil {
				t.Fatal(err)
			}
			if test.want != nil {
				must(t, []int{exitOK}, "collect", "--resume", dir)
			}
			if got, want := data(manifest(t, dir)), data(whole); !slices.Equal(got, want) {
				t.Errorf("%d data files differ from those of a run without faults (%d)", len(got), len(want))
			}
		})
	}
	noneMissing(t, aws)
}

// globMatch matches one star or two.
func globMatch(pattern, s string) bool {
	parts := strings.Split(pattern, "*")
	if !strings.HasPrefix(s, parts[0]) || !strings.HasSuffix(s, parts[len(parts)-1]) {
		return false
	}
	rest := s[len(parts[0]):]
	for _, p := range parts[1:] {
		i := strings.Index(rest, p)
		if i < 0 {
			return false
		}
		rest = rest[i+len(p):]
	}
	return true
}

// TestInterrupted stops runs at different moments: each leaves a snapshot, and
// --resume finishes it.
func TestInterrupted(t *testing.T) {
	aws := estate(t, "small", everyone...)
	clean := filepath.Join(t.TempDir(), "snap")
	must(t, []int{exitOK}, collectArgs(clean)...)
	aws.SetLatency(100 * time.Millisecond) // the buckets alone take three seconds then
	for _, after := range []time.Duration{150 * time.Millisecond, 400 * time.Millisecond, time.Second} {
		t.Run(fmt.Sprint(after), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "snap")
			ctx, stop := context.WithCancelCause(t.Context())
			time.AfterFunc(after, func() { stop(errInterrupted) })
			code, _, text := snap(ctx, collectArgs(dir)...)
			if code != exitInterrupted {
				t.Fatalf("exit code %d: %s", code, text)
			}
			if !strings.Contains(text, "--resume") { // so early that there is nothing to resume
				return
			}
			states := map[store.State]int{}
			for _, c := range manifest(t, dir).Cells {
				states[c.State]++
				if c.State == store.Failed || c.State == store.Denied {
					t.Errorf("%s: %s %s: nothing failed", c.CellID, c.State, c.Message)
				}
			}
			if states[store.Skipped]+states[store.Partial] == 0 {
				t.Errorf("the run was not stopped in the middle: %v", states)
			}
			must(t, []int{exitOK}, "collect", "--resume", dir)
			if got, want := data(manifest(t, dir)), data(manifest(t, clean)); !slices.Equal(got, want) {
				t.Errorf("%d data files differ from those of a run that was not stopped (%d)", len(got), len(want))
			}
		})
	}
}

// TestCtrlC sends the program itself the signal, once and twice, while
// requests hang: it ends at once, and what it leaves can be resumed.
func TestCtrlC(t *testing.T) {
	aws := estate(t, "small", everyone...)
	clean := filepath.Join(t.TempDir(), "snap")
	must(t, []int{exitOK}, collectArgs(clean)...)
	for _, times := range []int{1, 2} {
		t.Run(fmt.Sprint(times), func(t *testing.T) {
			aws.Reset()
			if err := aws.SetFaults(fakeaws.Rule{Service: "kms", Operation: "ListKeys", Hang: 100}); err != nil {
				t.Fatal(err)
			}
			dir := filepath.Join(t.TempDir(), "snap")
			c := exec.Command("snap", collectArgs(dir)...)
			var text strings.Builder
			c.Stderr = &text
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			for deadline := time.Now().Add(time.Minute); len(aws.Calls()) < 60; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					_ = c.Process.Kill()
					t.Fatalf("the collection does not get on: %s", text.String())
				}
			}
			began := time.Now()
			for range times {
				if err := c.Process.Signal(os.Interrupt); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Millisecond) // else the two would be one
			}
			_ = c.Wait() // the code is what counts
			if took := time.Since(began); c.ProcessState.ExitCode() != exitInterrupted || took > 10*time.Second {
				t.Errorf("exit code %d after %s; want %d at once\n%s", c.ProcessState.ExitCode(), took, exitInterrupted, text.String())
			}
			if _, err := os.Stat(filepath.Join(dir, "manifest.json")); times == 1 && err != nil {
				t.Errorf("stopped in order, and no snapshot: %v", err)
			}
			if err := aws.SetFaults(); err != nil {
				t.Fatal(err)
			}
			must(t, []int{exitOK}, "collect", "--resume", dir)
			if got, want := data(manifest(t, dir)), data(manifest(t, clean)); !slices.Equal(got, want) {
				t.Errorf("%d data files differ from those of a run that was not stopped (%d)", len(got), len(want))
			}
		})
	}
}

// TestRegionsNotEnabled: a region that the account has not enabled is asked
// nothing, and the summary and the manifest say what to do.
func TestRegionsNotEnabled(t *testing.T) {
	aws := estate(t, "small", everyone...)
	dir := filepath.Join(t.TempDir(), "snap")
	out := must(t, []int{exitOK}, "collect", "--aws-sync-all-profiles", "--aws-regions", "us-east-1,ap-east-1", "--aws-requested-syncs", "kms,rds", "-o", dir)
	for c := range aws.Calls() {
		if c.Region == "ap-east-1" {
			t.Errorf("%s is asked in a region that is not enabled", c)
		}
	}
	want := "111111111111, 222222222222, 333333333333 kms, rds in ap-east-1: unsupported RegionDisabled (the region is not enabled in this account) → enable the region"
	if !strings.Contains(out, want) {
		t.Errorf("the summary lacks %q:\n%s", want, out)
	}
	for _, c := range manifest(t, dir).Cells {
		if c.Region == "ap-east-1" && (c.State != store.Unsupported || c.Calls > 0 || !strings.HasPrefix(c.Remedy, "enable the region")) {
			t.Errorf("%s: %s after %d calls, %q", c.CellID, c.State, c.Calls, c.Remedy)
		}
	}
}

// TestResumeRemembers: what a collection was told holds when it goes on.
func TestResumeRemembers(t *testing.T) {
	aws := estate(t, "small", everyone...)
	if err := aws.SetFaults(fakeaws.Rule{Service: "iam", Code: "InternalError", Status: 500}, fakeaws.Rule{Service: "organizations", Operation: "ListRoots", Code: "InternalError", Status: 500}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "snap")
	must(t, []int{exitIncomplete}, "collect", "--aws-sync-all-profiles", "--aws-regions", "us-east-1", "--aws-requested-syncs", "kms,iam", leftOut,
		"--aws-organization-account-ids", "222222222222,111111111111", "--max-rps", "500", "--cell-timeout", "90s", "-o", dir)
	want := []string{"aws-leave-out-calls=iam:GenerateServiceLastAccessedDetails", "aws-organization-account-ids=111111111111,222222222222", "cell-timeout=1m30s", "max-rps=500"}
	if got := manifest(t, dir).Options; !slices.Equal(got, want) {
		t.Errorf("the manifest remembers %q; want %q", got, want)
	}
	if err := aws.SetFaults(); err != nil {
		t.Fatal(err)
	}
	for _, more := range []string{"--aws-leave-out-calls=", "--aws-organization-account-ids=333333333333", "--aws-regions=eu-west-1", "--aws-requested-syncs=kms"} {
		if code, _, text := snap(t.Context(), "collect", "--resume", dir, more); code != exitUsage || !strings.Contains(text, "begun with") {
			t.Errorf("%s: exit code %d, %s; want it refused: the collection was begun otherwise", more, code, text)
		}
	}
	aws.Reset()
	must(t, []int{exitOK}, "collect", "--resume", dir, "--cell-timeout", "2m")
	for c := range aws.Calls() {
		switch {
		case c.Service == "kms", strings.Contains(c.Operation, "LastAccessed"), c.Service == "organizations" && c.Account == "333333333333":
			t.Errorf("%s is asked when the collection goes on", c)
		}
	}
	if got := manifest(t, dir); !slices.Equal(got.Options, want) || len(notComplete(got.Cells)) > 0 {
		t.Errorf("after it went on: options %q, %d cells not complete", got.Options, len(notComplete(got.Cells)))
	}
}

// TestOrganization: the hierarchy is read once, by the management account, and
// only the accounts that the flag names are asked.
func TestOrganization(t *testing.T) {
	aws := estate(t, "small", everyone...)
	run := func(codes []int, args ...string) map[string]store.Cell {
		dir := filepath.Join(t.TempDir(), "snap")
		must(t, codes, append([]string{"collect", "--aws-sync-all-profiles", "--aws-regions", "us-east-1", "--aws-requested-syncs", "s3accountpublicaccessblock", "-o", dir}, args...)...)
		cells := map[string]store.Cell{}
		for _, c := range manifest(t, dir).Cells {
			if c.Sync == "organization" {
				cells[c.Account] = c
			}
		}
		return cells
	}
	asked := func() map[string]int {
		calls := map[string]int{}
		for c, n := range aws.Calls() {
			if c.Service == "organizations" {
				calls[c.Account] += n
			}
		}
		aws.Reset()
		return calls
	}

	cells := run([]int{exitOK})
	if all := asked(); cells["111111111111"].Rows == 0 || all["222222222222"] != 1 || all["333333333333"] != 1 {
		t.Errorf("the management account put %d rows, and the calls are %v; want rows, and of each other account one call", cells["111111111111"].Rows, all)
	}
	for account, c := range cells {
		if c.State != store.Complete || account != "111111111111" && c.Rows > 0 {
			t.Errorf("%s: %s, %d rows; want complete, with rows for the management account only", account, c.State, c.Rows)
		}
	}

	whole := cells["111111111111"].Rows
	cells = run([]int{exitOK}, "--aws-organization-account-ids", "111111111111")
	if all := asked(); len(all) != 1 || cells["111111111111"].Rows != whole {
		t.Errorf("calls %v, %d rows; want of the named account only, and %d rows", all, cells["111111111111"].Rows, whole)
	}

	// Nobody may read it: nothing is written, nothing proves it gone.
	if err := aws.SetFaults(fakeaws.Rule{Service: "organizations", Operation: "ListRoots", Code: "AccessDeniedException"}); err != nil {
		t.Fatal(err)
	}
	cells = run([]int{exitIncomplete})
	for account, want := range map[string]store.State{"111111111111": store.Denied, "222222222222": store.Unsupported, "333333333333": store.Unsupported} {
		if c := cells[account]; c.State != want || c.Rows != 0 {
			t.Errorf("%s: %s, %d rows; want %s and none", account, c.State, c.Rows, want)
		}
	}
	if all := asked(); all["222222222222"] != 2 {
		t.Errorf("calls %v; want each account tried", all)
	}
}

// TestReportCountsCalls: the summary and the JSON log tell the calls of each
// service, and they are those that AWS got.
func TestReportCountsCalls(t *testing.T) {
	aws := estate(t, "small", everyone...)
	args := []string{"collect", "--aws-sync-all-profiles", "--aws-regions", "us-east-1", "--aws-requested-syncs", "kms,s3accountpublicaccessblock"}
	out := must(t, []int{exitOK}, append(args, "-o", filepath.Join(t.TempDir(), "snap"))...)
	got := map[string]int{}
	for c, n := range aws.Calls() {
		if c.Operation != "AssumeRole" { // which is for credentials
			got[map[bool]string{true: "s3", false: c.Service}[c.Service == "s3control"]] += n
		}
	}
	aws.Reset()
	code, _, log := snap(t.Context(), append(args, "--log-format", "json", "-o", filepath.Join(t.TempDir(), "snap"))...)
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, log)
	}
	var committed struct{ Services map[string]int }
	for _, line := range strings.Split(log, "\n") {
		if strings.Contains(line, `"event":"committed"`) {
			if err := json.Unmarshal([]byte(line), &committed); err != nil {
				t.Fatal(err)
			}
		}
	}
	told := map[string]int{}
	for service, n := range committed.Services {
		told[map[bool]string{true: "s3", false: service}[service == "s3control"]] += n
		if want := fmt.Sprintf("%s %d", service, n); !strings.Contains(out, want) {
			t.Errorf("the summary lacks %q:\n%s", want, out)
		}
	}
	if !maps.Equal(told, got) {
		t.Errorf("the log tells %v; AWS got %v", told, got)
	}
}

// TestFigures: the metrics file and statsd tell what the manifest tells.
func TestFigures(t *testing.T) {
	aws := estate(t, "small", everyone...)
	statsd, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer statsd.Close()
	_, port, _ := net.SplitHostPort(statsd.LocalAddr().String())
	dir, file := filepath.Join(t.TempDir(), "snap"), filepath.Join(t.TempDir(), "snap.prom")
	must(t, []int{exitOK}, "collect", "--aws-sync-all-profiles", "--aws-regions", "us-east-1", "--aws-requested-syncs", "kms", "-o", dir,
		"--metrics-file", file, "--statsd-enabled", "--statsd-prefix", "corp", "--statsd-port", port)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	keys := 0
	for c, n := range aws.Calls() {
		if c.Account == "222222222222" && c.Operation == "DescribeKey" {
			keys += n
		}
	}
	for _, want := range []string{
		"# TYPE snap_collect_cells gauge\n", `snap_collect_cells{account="222222222222",state="complete"} 3` + "\n", `snap_collect_cells{account="222222222222",state="failed"} 0` + "\n",
		fmt.Sprintf(`snap_collect_requests{account="222222222222",service="kms",operation="DescribeKey"} %d`+"\n", keys), "\nsnap_collect_duration_seconds ",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the metrics file lacks %q", want)
		}
	}
	var all strings.Builder
	packet := make([]byte, 65536)
	for !strings.Contains(all.String(), "finished_timestamp_seconds") {
		if err := statsd.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, _, err := statsd.ReadFrom(packet)
		if err != nil {
			t.Fatalf("statsd got %q, then %v", all.String(), err)
		}
		all.Write(packet[:n])
		all.WriteByte('\n')
	}
	if want := "corp.snap.collect.cells.222222222222.complete:3|g\n"; !strings.Contains(all.String(), want) {
		t.Errorf("statsd did not get %q", want)
	}
}

// TestPlan: a plan asks who and where, and nothing else.
func TestPlan(t *testing.T) {
	aws := estate(t, "small", everyone...)
	out := must(t, []int{exitOK}, "collect", "--plan", "--aws-sync-all-profiles", "--aws-regions", "us-east-1,eu-west-1", "--aws-requested-syncs", "kms,s3")
	for c := range aws.Calls() {
		if c.Service != "sts" && c.Operation != "DescribeRegions" {
			t.Errorf("the plan called %s", c)
		}
	}
	for _, want := range []string{"222222222222  prod  2        5", "kms: DescribeKey, GetKeyPolicy", "s3: ", "estimate: "} {
		if !strings.Contains(out, want) {
			t.Errorf("the plan lacks %q:\n%s", want, out)
		}
	}
}

// TestServiceThatIsNotThere: the account's other requests to a service that it
// does not have in a region are not made.
func TestServiceThatIsNotThere(t *testing.T) {
	aws := estate(t, "small", everyone...)
	if err := aws.SetFaults(fakeaws.Rule{Service: "rds", Region: "eu-west-1", Account: "1*", Code: "OptInRequired", Status: 403},
		// Which regions are enabled cannot be listed: then a refusal tells it.
		fakeaws.Rule{Operation: "DescribeRegions", Account: "2*", Code: "UnauthorizedOperation", Status: 403},
		fakeaws.Rule{Region: "ap-east-1", Account: "2*", Code: "UnrecognizedClientException", Status: 403}); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "snap")
	must(t, []int{exitOK}, "collect", "--aws-sync-all-profiles", "--aws-regions", "us-east-1,eu-west-1,ap-east-1", "--aws-requested-syncs", "kms,rds", "-o", dir)
	for _, c := range manifest(t, dir).Cells {
		gone := c.Sync == "rds" && c.Region == "eu-west-1" && c.Account == "111111111111" || c.Region == "ap-east-1"
		if gone != (c.State == store.Unsupported) {
			t.Errorf("%s: %s %s %s", c.CellID, c.State, c.Code, c.Message)
		}
		if c.State == store.Unsupported && c.Calls > 5 {
			t.Errorf("%s: %d calls to find out that it is not there", c.CellID, c.Calls)
		}
	}
	for c, n := range aws.Calls() {
		if c.Service == "rds" && c.Region == "eu-west-1" && c.Account == "111111111111" && n > 1 {
			t.Errorf("%s: asked %d times", c, n)
		}
	}
}

// TestGentle: with --max-rps an account is asked no faster, whatever the
// limits of its operations.
func TestGentle(t *testing.T) {
	aws := estate(t, "small", everyone...)
	began := time.Now()
	must(t, []int{exitOK}, "collect", "--aws-sync-all-profiles", "--aws-regions", "us-east-1", "--aws-requested-syncs", "kms", "--max-rps", "8", "-o", filepath.Join(t.TempDir(), "snap"))
	took := time.Since(began)
	most := map[string]int{}
	for c, n := range aws.Calls() {
		if c.Service != "sts" {
			most[c.Account] += n
		}
	}
	for account, n := range most {
		if least := time.Duration(n-8-1) * time.Second / 8; n < 12 || took < least {
			t.Errorf("%s: %d requests in %s; want at least %s at 8 a second", account, n, took, least)
		}
	}
}
