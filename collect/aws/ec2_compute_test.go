package aws

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"snap/collect/aws/api"
)

// computeAPI is a fake EC2, Auto Scaling and Elastic Load Balancing: answers by the operation and the
// values of its parameters in order; "code NAME" is an error.
type computeAPI map[string]string

// callName is a request's key in a computeAPI.
func callName(r *http.Request) string {
	_ = r.ParseForm()
	var keys []string
	for key := range r.PostForm {
		switch key {
		case "Action", "Version", "MaxResults", "Attribute", "IncludeDeprecated":
		default:
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	name := r.PostForm.Get("Action")
	if r.PostForm.Get("Version") == "2012-06-01" {
		name = "Classic" + name // load balancers of either kind have an operation of that name
	}
	for _, key := range keys {
		name += " " + r.PostForm.Get(key)
	}
	return name
}

// collect runs syncs, one after the other, as cells of one account and region,
// and returns the calls that they made.
func (a computeAPI) collect(t *testing.T, fail string, syncs ...string) (*rowSink, []string, error) {
	t.Helper()
	var mu sync.Mutex
	var calls []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := callName(r)
		mu.Lock()
		calls = append(calls, name)
		mu.Unlock()
		answer, ok := a[name]
		if !ok {
			t.Errorf("call %s: not expected", name)
		}
		if name == fail {
			answer = "code UnauthorizedOperation"
		}
		action := r.PostForm.Get("Action")
		if code, failed := strings.CutPrefix(answer, "code "); failed {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, "<Response><Errors><Error><Code>%[1]s</Code></Error></Errors><Error><Code>%[1]s</Code></Error></Response>", code)
			return
		}
		// EC2 answers in the first element, the others in the second.
		if r.PostForm.Get("Version") != "2016-11-15" {
			answer = "<" + action + "Result>" + answer + "</" + action + "Result>"
		}
		fmt.Fprintf(w, "<%[1]sResponse>%[2]s</%[1]sResponse>", action, answer)
	}))
	defer server.Close()
	sink := &rowSink{}
	answers := api.NewAnswers(syncs)
	var first error
	for _, name := range syncs {
		if err := api.Find(name).Collect(context.Background(), &api.Cell{
			Account: "111111111111", Region: "eu-west-1", Partition: "aws", Sync: name, Answers: answers, Sink: sink,
			Config: noteCalls(name, aws.Config{
				Region: "eu-west-1", BaseEndpoint: &server.URL, HTTPClient: server.Client(),
				Credentials: credentials.NewStaticCredentialsProvider("k", "s", ""), RetryMaxAttempts: 1,
			}),
		}); err != nil && first == nil {
			first = err
		}
	}
	slices.Sort(calls)
	return sink, calls, first
}

// each fails every call in turn: the cell tells, and the tables keep all that
// missing does not say. whole has the ids of each table when nothing fails.
func (a computeAPI) each(t *testing.T, sync string, whole map[string][]string, missing map[string]map[string][]string) {
	t.Helper()
	expect := func(sink *rowSink, fail string) {
		t.Helper()
		for table, ids := range whole {
			if rest, changed := missing[fail][table]; changed {
				ids = rest
			}
			if got := sink.ids(table); !slices.Equal(got, ids) {
				t.Errorf("%q fails: %s has %v, want %v", fail, table, got, ids)
			}
		}
	}
	sink, calls, err := a.collect(t, "", sync)
	if err != nil || len(sink.losses) > 0 {
		t.Errorf("nothing fails: %v, lost %v", err, sink.losses)
	}
	if len(slices.Compact(slices.Clone(calls))) != len(calls) {
		t.Errorf("a call is made twice: %v", calls)
	}
	expect(sink, "")
	for call := range missing {
		if !slices.Contains(calls, call) {
			t.Errorf("%s: not called", call)
		}
	}
	for _, call := range calls {
		if strings.HasPrefix(a[call], "code ") {
			continue // fails already
		}
		if _, ok := missing[call]; !ok {
			t.Errorf("%s: what its failure costs is not said", call)
		}
		sink, _, err := a.collect(t, call, sync)
		if err == nil && len(sink.losses) == 0 {
			t.Errorf("%s fails, and the cell ends complete", call)
		}
		expect(sink, call)
	}
}

// set is a list in an answer of EC2 or, of members, of Auto Scaling.
func set(list, item string, values ...string) string {
	for i, v := range values {
		values[i] = "<" + item + ">" + v + "</" + item + ">"
	}
	return "<" + list + ">" + strings.Join(values, "") + "</" + list + ">"
}

func el(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		b.WriteString("<" + pairs[i] + ">" + pairs[i+1] + "</" + pairs[i] + ">")
	}
	return b.String()
}

func TestEC2Volumes(t *testing.T) {
	attached := func(instance, state string) string {
		return el("instanceId", instance, "status", state)
	}
	a := computeAPI{"DescribeVolumes": set("volumeSet", "item",
		el("volumeId", "vol-1", "size", "8", "status", "in-use", "snapshotId", "snap-1")+set("attachmentSet", "item", attached("i-1", "attached"), attached("i-2", "attached"), attached("i-3", "detaching")),
		el("volumeId", "vol-2", "snapshotId", ""))}
	a.each(t, "ec2:volumes", map[string][]string{"ec2_volume": {"vol-1", "vol-2"}}, map[string]map[string][]string{"DescribeVolumes": {"ec2_volume": nil}})
	sink, _, _ := a.collect(t, "", "ec2:volumes")
	one, two := sink.row(t, "ec2_volume", "vol-1"), sink.row(t, "ec2_volume", "vol-2")
	if got := one["_instance_ids"]; !reflect.DeepEqual(got, []string{"i-1", "i-2"}) {
		t.Errorf("attached to %v", got)
	}
	if one["arn"] != "arn:aws:ec2:eu-west-1:111111111111:volume/vol-1" || one["size"] != int64(8) || two["_instance_ids"] != nil {
		t.Errorf("%v\n%v", one, two)
	}
}

// snapshotAPI has four own snapshots, of which the listing of public ones names
// three (one is not, one was deleted since), and volumes made from an own one
// and from another account's.
var snapshotAPI = computeAPI{
	"DescribeSnapshots self": set("snapshotSet", "item", el("snapshotId", "s1", "ownerId", "111111111111"), el("snapshotId", "s2", "ownerId", "111111111111"),
		el("snapshotId", "s3", "ownerId", "111111111111"), el("snapshotId", "s4", "ownerId", "111111111111"), el("snapshotId", "s5", "ownerId", "222222222222")),
	"DescribeSnapshots self all":   set("snapshotSet", "item", el("snapshotId", "s2"), el("snapshotId", "s3"), el("snapshotId", "s4")),
	"DescribeSnapshotAttribute s2": set("createVolumePermission", "item", el("userId", "222222222222"), el("group", "all")),
	"DescribeSnapshotAttribute s3": set("createVolumePermission", "item", el("userId", "222222222222")),
	"DescribeSnapshotAttribute s4": "code InvalidSnapshot.NotFound",
	"DescribeVolumes": set("volumeSet", "item", el("volumeId", "v1", "snapshotId", "s1"), el("volumeId", "v2", "snapshotId", "s9"),
		el("volumeId", "v3", "snapshotId", "s9"), el("volumeId", "v4", "snapshotId", ""), el("volumeId", "v5")),
	"DescribeSnapshots snapshot-id s9": set("snapshotSet", "item", el("snapshotId", "s9", "ownerId", "222222222222")),
}

func TestEC2Snapshots(t *testing.T) {
	all := []string{"s1", "s2", "s3", "s5", "s9"}
	sink, calls, err := snapshotAPI.collect(t, "", "ec2:snapshots")
	if err != nil || len(sink.losses) > 0 || !slices.Equal(sink.ids("ec2_snapshot"), all) || len(calls) != len(snapshotAPI) {
		t.Errorf("%v, lost %v: %v after %v", err, sink.losses, sink.ids("ec2_snapshot"), calls)
	}
	for id, want := range map[string]any{"s1": false, "s2": true, "s3": false, "s5": nil, "s9": nil} {
		if row := sink.row(t, "ec2_snapshot", id); row["ispublic"] != want || row["_unknown"] != nil {
			t.Errorf("%s: public %v, unknown %v", id, row["ispublic"], row["_unknown"])
		}
	}
	for call, want := range map[string]struct {
		ids     []string
		unknown []string
	}{
		"DescribeSnapshots self all":       {[]string{"s1", "s2", "s3", "s4", "s5", "s9"}, []string{"s1", "s2", "s3", "s4"}},
		"DescribeSnapshotAttribute s2":     {all, []string{"s2"}},
		"DescribeSnapshotAttribute s3":     {all, []string{"s3"}},
		"DescribeVolumes":                  {[]string{"s1", "s2", "s3", "s5"}, nil},
		"DescribeSnapshots snapshot-id s9": {[]string{"s1", "s2", "s3", "s5"}, nil},
	} {
		sink, _, err := snapshotAPI.collect(t, call, "ec2:snapshots")
		if err != nil || len(sink.losses) != 1 || !slices.Equal(sink.ids("ec2_snapshot"), want.ids) {
			t.Errorf("%s fails: %v, lost %v, rows %v", call, err, sink.losses, sink.ids("ec2_snapshot"))
		}
		var unknown []string
		for _, id := range sink.ids("ec2_snapshot") {
			if row := sink.row(t, "ec2_snapshot", id); row["_unknown"] != nil {
				unknown = append(unknown, id)
				if row["ispublic"] != nil {
					t.Errorf("%s fails: %s is unknown and %v", call, id, row["ispublic"])
				}
			}
		}
		if !slices.Equal(unknown, want.unknown) {
			t.Errorf("%s fails: unknown of %v, want %v", call, unknown, want.unknown)
		}
	}
	// Without the own ones, a volume's own snapshot is found as a used one.
	unlisted := computeAPI{
		"DescribeSnapshots self": "code UnauthorizedOperation", "DescribeVolumes": snapshotAPI["DescribeVolumes"],
		"DescribeSnapshots snapshot-id s1 s9": set("snapshotSet", "item", el("snapshotId", "s1"), el("snapshotId", "s9")),
	}
	sink, _, err = unlisted.collect(t, "", "ec2:snapshots")
	if !api.Is(err, "UnauthorizedOperation") || !slices.Equal(sink.ids("ec2_snapshot"), []string{"s1", "s9"}) {
		t.Errorf("own ones unlisted: %v, rows %v", err, sink.ids("ec2_snapshot"))
	}
	// A volume's snapshot and the volume are asked for once.
	_, calls, err = snapshotAPI.collect(t, "", "ec2:snapshots", "ec2:volumes")
	if err != nil || len(calls) != len(snapshotAPI) {
		t.Errorf("%v, calls %v", err, calls)
	}
}

// version is one version of a launch template.
func version(template, number, image string) string {
	return el("launchTemplateId", template, "versionNumber", number, "createTime", "2024-01-02T03:04:05Z", "launchTemplateData", el("imageId", image))
}

// templateAPI has templates with one version, with the latest and the default
// one, with others besides, with a first one that was deleted, and one that was
// deleted itself since it was listed.
var templateAPI = computeAPI{
	"DescribeLaunchTemplates": set("launchTemplates", "item",
		el("launchTemplateId", "one", "latestVersionNumber", "1", "createTime", "2024-01-02T03:04:05Z"), el("launchTemplateId", "two", "latestVersionNumber", "2"),
		el("launchTemplateId", "more", "latestVersionNumber", "3"), el("launchTemplateId", "later", "latestVersionNumber", "2"), el("launchTemplateId", "gone", "latestVersionNumber", "5")),
	"DescribeLaunchTemplateVersions $Latest $Default": set("launchTemplateVersionSet", "item", version("one", "1", "ami-1"), version("one", "1", "ami-1"),
		version("two", "2", "ami-2"), version("two", "1", "ami-3"), version("more", "3", "ami-4"), version("later", "2", "ami-5"), version("gone", "5", "ami-6")),
	"DescribeLaunchTemplateVersions more":  set("launchTemplateVersionSet", "item", version("more", "1", "ami-1"), version("more", "2", "resolve:ssm:ami"), version("more", "3", "ami-4")),
	"DescribeLaunchTemplateVersions later": set("launchTemplateVersionSet", "item", version("later", "2", "ami-5")),
	"DescribeLaunchTemplateVersions gone":  "code InvalidLaunchTemplateId.NotFound",

	// Asked only where the listing fails.
	"DescribeLaunchTemplateVersions one": set("launchTemplateVersionSet", "item", version("one", "1", "ami-1")),
	"DescribeLaunchTemplateVersions two": set("launchTemplateVersionSet", "item", version("two", "1", "ami-3"), version("two", "2", "ami-2")),
}

func TestLaunchTemplates(t *testing.T) {
	const templates, versions = "ec2_launch_template", "ec2_launch_template_version"
	whole := map[string][]string{
		templates: {"later", "more", "one", "two"},
		versions:  {"later-2", "more-1", "more-2", "more-3", "one-1", "two-1", "two-2"},
	}
	templateAPI.each(t, "ec2:launch_templates", whole, map[string]map[string][]string{
		"DescribeLaunchTemplates":                         {templates: nil, versions: nil},
		"DescribeLaunchTemplateVersions more":             {versions: {"later-2", "more-3", "one-1", "two-1", "two-2"}},
		"DescribeLaunchTemplateVersions later":            {}, // the listing has all that is left
		"DescribeLaunchTemplateVersions $Latest $Default": {}, // each template is asked by itself
	})
	sink, _, _ := templateAPI.collect(t, "", "ec2:launch_templates")
	row := sink.row(t, versions, "one-1")
	if row["create_time"] != "1704164645" || row["image_id"] != "ami-1" || row["_launch_template_id"] != "one" || row["security_group_ids"] != nil {
		t.Errorf("version %v", row)
	}
	if row := sink.row(t, templates, "one"); row["create_time"] != "1704164645" || sink.row(t, templates, "two")["create_time"] != nil {
		t.Errorf("template %v", row)
	}
}

func TestEC2Images(t *testing.T) {
	a := computeAPI{
		"DescribeImages self": set("imagesSet", "item", el("imageId", "ami-1", "platform", "windows"), el("imageId", "ami-0")),
		"DescribeInstances": set("reservationSet", "item",
			set("instancesSet", "item", el("instanceId", "i-1", "imageId", "ami-1"), el("instanceId", "i-2", "imageId", "ami-7"), el("instanceId", "i-3", "imageId", "ami-7"), el("instanceId", "i-4"))),
		"DescribeLaunchTemplates":                         set("launchTemplates", "item", el("launchTemplateId", "one", "latestVersionNumber", "2")),
		"DescribeLaunchTemplateVersions $Latest $Default": set("launchTemplateVersionSet", "item", version("one", "1", "ami-8"), version("one", "2", "resolve:ssm:/a")),
		"DescribeLaunchConfigurations":                    set("LaunchConfigurations", "member", el("LaunchConfigurationName", "c", "ImageId", "ami-9")),
		"DescribeImages image-id ami-7 ami-8 ami-9":       set("imagesSet", "item", el("imageId", "ami-7"), el("imageId", "ami-9")), // ami-8 is gone

		// Asked only where another call fails.
		"DescribeLaunchTemplateVersions one":              set("launchTemplateVersionSet", "item", version("one", "1", "ami-8")),
		"DescribeImages image-id ami-1 ami-7 ami-8 ami-9": set("imagesSet", "item", el("imageId", "ami-1"), el("imageId", "ami-7")),
		"DescribeImages image-id ami-8 ami-9":             set("imagesSet", "item", el("imageId", "ami-9")),
		"DescribeImages image-id ami-7 ami-9":             set("imagesSet", "item", el("imageId", "ami-7"), el("imageId", "ami-9")),
		"DescribeImages image-id ami-7 ami-8":             set("imagesSet", "item", el("imageId", "ami-7")),
	}
	const images = "ec2_image"
	ids := func(names ...string) []string {
		for i, name := range names {
			names[i] = "ami-" + name + "|eu-west-1"
		}
		return names
	}
	a.each(t, "ec2:images", map[string][]string{images: ids("0", "1", "7", "9")}, map[string]map[string][]string{
		"DescribeImages self":                             {images: ids("1", "7")},
		"DescribeInstances":                               {images: ids("0", "1", "9")},
		"DescribeLaunchTemplates":                         {},
		"DescribeLaunchTemplateVersions $Latest $Default": {},
		"DescribeLaunchConfigurations":                    {images: ids("0", "1", "7")},
		"DescribeImages image-id ami-7 ami-8 ami-9":       {images: ids("0", "1")},
	})

	// With the syncs whose lists it reads, each is asked for once; and what
	// fails is lost to each of the two.
	a["DescribeAutoScalingGroups"] = ""
	syncs := []string{"ec2:autoscalinggroup", "ec2:images", "ec2:instance", "ec2:launch_templates"}
	sink, calls, err := a.collect(t, "", syncs...)
	if err != nil || len(sink.losses) > 0 || len(calls) != 7 || len(sink.rows["ec2_instance"]) != 4 {
		t.Errorf("%v, lost %v, calls %v", err, sink.losses, calls)
	}
	for call, losses := range map[string]int{
		"DescribeInstances": 1, "DescribeLaunchTemplates": 1, "DescribeLaunchConfigurations": 1, // to ec2:images; the other's error is its end
		"DescribeLaunchTemplateVersions $Latest $Default": 2,
	} {
		sink, calls, err := a.collect(t, call, syncs...)
		if (err != nil) != (losses == 1) || len(sink.losses) != losses {
			t.Errorf("%s fails: %v, lost %v", call, err, sink.losses)
		}
		if len(slices.Compact(slices.Clone(calls))) != len(calls) {
			t.Errorf("%s fails: a call is made twice: %v", call, calls)
		}
	}
}

func TestByFilter(t *testing.T) {
	var ids []string
	for i := range 401 {
		ids = append(ids, fmt.Sprint(i))
	}
	list := func(_ context.Context, filters []types.Filter) ([]string, error) {
		if len(filters) != 1 || *filters[0].Name != "id" {
			t.Errorf("filters %v", filters)
		}
		if values := filters[0].Values; len(values) > 200 {
			t.Errorf("%d values in a filter", len(values))
		} else if values[0] == "200" {
			return values[:1], errors.New("the second fails")
		}
		return filters[0].Values, nil
	}
	got, err := byFilter(context.Background(), "id", ids[:200], list)
	if err != nil || !slices.Equal(got, ids[:200]) {
		t.Errorf("one part: %d, %v", len(got), err)
	}
	if got, err = byFilter(context.Background(), "id", nil, list); err != nil || len(got) != 0 {
		t.Errorf("no ids: %v, %v", got, err)
	}
	if got, err = byFilter(context.Background(), "id", ids, list); err == nil || !slices.Equal(got, ids[:201]) {
		t.Errorf("the second part fails: %d of %d, %v", len(got), len(ids), err)
	}
}

func TestAutoScalingGroups(t *testing.T) {
	a := computeAPI{
		"DescribeAutoScalingGroups": set("AutoScalingGroups", "member",
			el("AutoScalingGroupARN", "arn:g1", "LaunchConfigurationName", "c", "VPCZoneIdentifier", "subnet-1,subnet-2", "CreatedTime", "2024-01-02T03:04:05.678Z")+set("Instances", "member", el("InstanceId", "i-1"), el("InstanceId", "i-2")),
			el("AutoScalingGroupARN", "arn:g2", "VPCZoneIdentifier", "subnet-2")+"<LaunchTemplate>"+el("LaunchTemplateId", "lt-1", "Version", "$Latest")+"</LaunchTemplate>",
			el("AutoScalingGroupARN", "arn:g3", "VPCZoneIdentifier", "")),
		"DescribeLaunchConfigurations": set("LaunchConfigurations", "member", el("LaunchConfigurationARN", "arn:c", "LaunchConfigurationName", "c")+set("SecurityGroups", "member", "sg-1")),
	}
	whole := map[string][]string{
		"autoscaling_group": {"arn:g1", "arn:g2", "arn:g3"}, "autoscaling_instance": {"i-1", "i-2"},
		"autoscaling_subnet": {"subnet-1", "subnet-2", "subnet-2"}, "autoscaling_launch_configuration": {"arn:c"},
	}
	a.each(t, "ec2:autoscalinggroup", whole, map[string]map[string][]string{
		"DescribeAutoScalingGroups":    {"autoscaling_group": nil, "autoscaling_instance": nil, "autoscaling_subnet": nil},
		"DescribeLaunchConfigurations": {"autoscaling_launch_configuration": nil},
	})
	sink, _, _ := a.collect(t, "", "ec2:autoscalinggroup")
	one, two := sink.row(t, "autoscaling_group", "arn:g1"), sink.row(t, "autoscaling_group", "arn:g2")
	if one["createdtime"] != "2024-01-02 03:04:05.678000+00:00" || one["launchconfigurationname"] != "c" || two["launchtemplateid"] != "lt-1" || two["launchtemplateversion"] != "$Latest" {
		t.Errorf("%v\n%v", one, two)
	}
	if row := sink.row(t, "autoscaling_instance", "i-2"); row["_group_arn"] != "arn:g1" || row["region"] != "eu-west-1" {
		t.Errorf("%v", row)
	}
}

func TestSplitList(t *testing.T) {
	for text, want := range map[string][]string{
		"": nil, ",": nil, "a": {"a"}, "a,b": {"a", "b"}, "a, b,": {"a", "b"},
	} {
		if got := splitList(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// The syncs of one call.
func TestEC2Lists(t *testing.T) {
	for sync, c := range map[string]struct {
		call, answer, table, id string
		want                    map[string]any
	}{
		"ec2:keypair": {
			"DescribeKeyPairs", set("keySet", "item", el("keyName", "k", "keyFingerprint", "aa:bb")),
			"ec2_key_pair", "arn:aws:ec2:eu-west-1:111111111111:key-pair/k", map[string]any{"keyname": "k", "keyfingerprint": "aa:bb"},
		},
		"ec2:reserved_instances": {
			"DescribeReservedInstances", set("reservedInstancesSet", "item", el("reservedInstancesId", "r", "fixedPrice", "0.1", "instanceCount", "2", "end", "2025-01-02T03:04:05Z")),
			"ec2_reserved_instance", "r", map[string]any{"fixedprice": 0.1, "count": int64(2), "end": "2025-01-02 03:04:05+00:00", "start": nil},
		},
		"elastic_ip_addresses": {
			"DescribeAddresses", set("addressesSet", "item", el("publicIp", "192.0.2.1", "allocationId", "eipalloc-1", "instanceId", "")),
			"ec2_elastic_ip_address", "192.0.2.1", map[string]any{"public_ip": "192.0.2.1", "instance_id": "", "network_interface_id": nil},
		},
	} {
		a := computeAPI{c.call: c.answer}
		a.each(t, sync, map[string][]string{c.table: {c.id}}, map[string]map[string][]string{c.call: {c.table: nil}})
		sink, _, _ := a.collect(t, "", sync)
		for column, want := range c.want {
			if got := sink.row(t, c.table, c.id)[column]; got != want {
				t.Errorf("%s: %s is %v, want %v", sync, column, got, want)
			}
		}
	}
	carrier := computeAPI{"DescribeAddresses": set("addressesSet", "item", el("carrierIp", "192.0.2.2", "allocationId", "eipalloc-2"))}
	sink, _, _ := carrier.collect(t, "", "elastic_ip_addresses")
	if row := sink.row(t, "ec2_elastic_ip_address", "eipalloc-2"); row["public_ip"] != nil || row["carrier_ip"] != "192.0.2.2" {
		t.Errorf("an address of a carrier's network: %v", row)
	}
}
