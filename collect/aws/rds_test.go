package aws

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

func TestProcessorFeatures(t *testing.T) {
	feature := func(name, value string) types.ProcessorFeature {
		return types.ProcessorFeature{Name: aws.String(name), Value: aws.String(value)}
	}
	for _, c := range []struct {
		name string
		in   []types.ProcessorFeature
		want *string
	}{
		{"not sent", nil, nil},
		{"none", []types.ProcessorFeature{}, aws.String("[]")},
		{"one", []types.ProcessorFeature{feature("coreCount", "2")}, aws.String("[{'Name': 'coreCount', 'Value': '2'}]")},
		{
			"two", []types.ProcessorFeature{feature("coreCount", "2"), feature("threadsPerCore", "1")},
			aws.String("[{'Name': 'coreCount', 'Value': '2'}, {'Name': 'threadsPerCore', 'Value': '1'}]"),
		},
		{"without value", []types.ProcessorFeature{{Name: aws.String("coreCount")}}, aws.String("[{'Name': 'coreCount'}]")},
	} {
		got := processorFeatures(c.in)
		if (got == nil) != (c.want == nil) || aws.ToString(got) != aws.ToString(c.want) {
			t.Errorf("%s: %q, want %q", c.name, aws.ToString(got), aws.ToString(c.want))
		}
	}
}

// fakeRDS answers for two instances of one subnet group and four snapshots:
// an automated one, a public one, one whose attributes are denied and one that
// was deleted since it was listed. Clusters are denied.
func fakeRDS(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, code string) {
		w.WriteHeader(status)
		fmt.Fprintf(w, `<ErrorResponse><Error><Code>%s</Code><Message>the test says so</Message></Error></ErrorResponse>`, code)
	}
	answer := func(body string) {
		action := r.FormValue("Action")
		fmt.Fprintf(w, `<%[1]sResponse><%[1]sResult>%[2]s</%[1]sResult></%[1]sResponse>`, action, body)
	}
	instance := func(name string) string {
		return fmt.Sprintf(`<DBInstance><DBInstanceArn>arn:%[1]s</DBInstanceArn><DBInstanceIdentifier>%[1]s</DBInstanceIdentifier><DBSubnetGroup>
			<DBSubnetGroupName>group</DBSubnetGroupName><Subnets><Subnet><SubnetIdentifier>subnet-1</SubnetIdentifier></Subnet></Subnets></DBSubnetGroup></DBInstance>`, name)
	}
	snapshot := func(name, kind string) string {
		return fmt.Sprintf(`<DBSnapshot><DBSnapshotArn>%[1]s</DBSnapshotArn><DBSnapshotIdentifier>%[1]s</DBSnapshotIdentifier><SnapshotType>%[2]s</SnapshotType></DBSnapshot>`, name, kind)
	}
	switch r.FormValue("Action") {
	case "DescribeDBClusters":
		fail(http.StatusForbidden, "AccessDenied")
	case "DescribeDBInstances":
		answer(`<DBInstances>` + instance("one") + instance("two") + `</DBInstances>`)
	case "DescribeDBSnapshots":
		answer(`<DBSnapshots>` + snapshot("automated", "automated") + snapshot("public", "manual") +
			snapshot("hidden", "manual") + snapshot("deleted", "manual") + `</DBSnapshots>`)
	case "DescribeEventSubscriptions":
		answer(`<EventSubscriptionsList><EventSubscription><CustSubscriptionId>all</CustSubscriptionId><SourceIdsList/></EventSubscription>
			<EventSubscription><CustSubscriptionId>some</CustSubscriptionId><SourceType>db-snapshot</SourceType><SourceIdsList><SourceId>public</SourceId></SourceIdsList></EventSubscription></EventSubscriptionsList>`)
	case "DescribeDBSnapshotAttributes":
		switch r.FormValue("DBSnapshotIdentifier") {
		case "public":
			answer(`<DBSnapshotAttributesResult><DBSnapshotAttributes><DBSnapshotAttribute><AttributeName>restore</AttributeName>
				<AttributeValues><AttributeValue>222222222222</AttributeValue><AttributeValue>all</AttributeValue></AttributeValues></DBSnapshotAttribute></DBSnapshotAttributes></DBSnapshotAttributesResult>`)
		case "hidden":
			fail(http.StatusForbidden, "AccessDenied")
		default:
			fail(http.StatusNotFound, "DBSnapshotNotFound")
		}
	}
}

// A denied listing leaves the others whole, and denied attributes cost a
// snapshot one column.
func TestRDSThatDeniesOrVanishes(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(fakeRDS))
	defer server.Close()
	var got rowSink
	at := &api.Cell{Account: "111111111111", Region: "us-east-1", Partition: "aws", Sink: &got, Config: noteCalls("rds", aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL), Credentials: credentials.NewStaticCredentialsProvider("id", "secret", ""),
	})}
	if err := api.Find("rds").Collect(context.Background(), at); !api.Is(err, "AccessDenied") {
		t.Fatalf("error %v, want the clusters' AccessDenied", err)
	}

	if ids := got.ids("rds_instance"); !slices.Equal(ids, []string{"arn:one", "arn:two"}) {
		t.Errorf("instances %q", ids)
	}
	const group = "arn:aws:rds:us-east-1:111111111111:subgrp:group"
	if ids := got.ids("rds_subnet_group"); !slices.Equal(ids, []string{group, group}) {
		t.Errorf("subnet groups %q, want one row an instance for the store to unite", ids)
	}
	if ids := got.ids("rds_snapshot"); !slices.Equal(ids, []string{"automated", "hidden", "public"}) {
		t.Errorf("snapshots %q", ids)
	}
	for id, want := range map[string]any{"automated": false, "public": true, "hidden": nil} {
		if public := got.row(t, "rds_snapshot", id)["ispublic"]; public != want {
			t.Errorf("snapshot %s: public %v, want %v", id, public, want)
		}
	}
	if names, _ := got.row(t, "rds_snapshot", "hidden")[kind.Unknown].([]string); !slices.Equal(names, []string{"ispublic"}) {
		t.Errorf("snapshot hidden: unknown %q", names)
	}
	if len(got.losses) != 1 || !api.Is(got.losses[0], "AccessDenied") {
		t.Errorf("losses %v, want the snapshot's alone", got.losses)
	}
	if ids := got.row(t, "rds_event_subscription", "all")["source_ids"]; ids != nil {
		t.Errorf("subscription to every source: source_ids %v, want null", ids)
	}
	if ids := got.row(t, "rds_event_subscription", "some")["source_ids"]; !reflect.DeepEqual(ids, []string{"public"}) {
		t.Errorf("subscription to a snapshot: source_ids %v", ids)
	}
}
