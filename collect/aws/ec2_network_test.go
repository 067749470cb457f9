package aws

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

func TestEC2IPRuleID(t *testing.T) {
	for want, got := range map[string]string{
		"sg-1/IpPermissions/8080tcp":          ec2IPRuleID("sg-1", "IpPermissions", aws.Int64(80), aws.Int64(80), "tcp"),
		"sg-1/IpPermissions/NoneNone-1":       ec2IPRuleID("sg-1", "IpPermissions", nil, nil, "-1"),
		"sg-1/IpPermissionsEgress/-1-1icmp":   ec2IPRuleID("sg-1", "IpPermissionsEgress", aws.Int64(-1), aws.Int64(-1), "icmp"),
		"sg-1/IpPermissionsEgress/00all":      ec2IPRuleID("sg-1", "IpPermissionsEgress", aws.Int64(0), aws.Int64(0), "all"),
		"sg-1/IpPermissions/1None58":          ec2IPRuleID("sg-1", "IpPermissions", aws.Int64(1), nil, "58"),
		"sg-1/IpPermissions/065535udp":        ec2IPRuleID("sg-1", "IpPermissions", aws.Int64(0), aws.Int64(65535), "udp"),
		"sg-1/IpPermissionsEgress/443443tcp6": ec2IPRuleID("sg-1", "IpPermissionsEgress", aws.Int64(443), aws.Int64(443), "tcp6"),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestInterfaceLoadBalancer(t *testing.T) {
	at := &api.Cell{Account: "111111111111", Region: "eu-west-1", Partition: "aws"}
	const managed = true
	for _, c := range []struct {
		description string
		managed     bool
		owner       *string
		want        string
	}{
		{"ELB app/web/50dc6c495c0c9188", managed, nil, "arn:aws:elasticloadbalancing:eu-west-1:111111111111:loadbalancer/app/web/50dc6c495c0c9188"},
		{"ELB net/my-nlb/0a", managed, aws.String("222222222222"), "arn:aws:elasticloadbalancing:eu-west-1:222222222222:loadbalancer/net/my-nlb/0a"},
		{"ELB gwy/g/0a", managed, nil, "arn:aws:elasticloadbalancing:eu-west-1:111111111111:loadbalancer/gwy/g/0a"},
		{"ELB classic-name", managed, nil, ""},              // the name alone
		{"ELB app/web/50dc6c495c0c9188", !managed, nil, ""}, // anyone may write this
		{"an ELB app/web/50dc6c495c0c9188", managed, nil, ""},
		{"", managed, nil, ""},
	} {
		got := interfaceLoadBalancer(at, types.NetworkInterface{Description: &c.description, RequesterManaged: &c.managed, OwnerId: c.owner})
		if aws.ToString(got) != c.want {
			t.Errorf("%q: got %s, want %s", c.description, aws.ToString(got), c.want)
		}
	}
	if got := interfaceLoadBalancer(at, types.NetworkInterface{}); got != nil {
		t.Errorf("no description: got %s", *got)
	}
}

func TestUnqualifiedFunction(t *testing.T) {
	const f = "arn:aws:lambda:eu-west-1:111111111111:function:f"
	for _, arn := range []string{f, f + ":live", f + ":12", f + ":$LATEST"} {
		if got := unqualifiedFunction(arn); got != f {
			t.Errorf("%s: got %s", arn, got)
		}
	}
}

// elbv2Sink keeps the rows' values as text, by table, and what was lost.
type elbv2Sink struct {
	mu   sync.Mutex
	rows map[string][]string
	lost []string
}

func (s *elbv2Sink) Put(t *kind.Table, r kind.Row) {
	seen.put(s, t, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	key := fmt.Sprint(r[0])
	if t.Between != nil {
		key += " " + fmt.Sprint(r[1])
	} else if i, ok := t.Column("_load_balancer_ids"); ok {
		key += " " + fmt.Sprint(r[i])
	}
	s.rows[t.Name] = append(s.rows[t.Name], key)
}

func (s *elbv2Sink) Lose(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = append(s.lost, api.Code(err))
}

// elbv2API answers the calls of two load balancers, "one" and "two", a third
// that has no DNS name yet, and their target groups; fail maps an operation
// with its resource ("DescribeListeners arn-one") to an error code.
func elbv2API(t *testing.T, fail map[string]string) (run func() (*elbv2Sink, error), calls func() []string) {
	var mu sync.Mutex
	var made []string
	answers := map[string]string{
		"DescribeLoadBalancers": `<LoadBalancers>
			<member><LoadBalancerArn>arn-one</LoadBalancerArn><DNSName>One.elb</DNSName></member>
			<member><LoadBalancerArn>arn-two</LoadBalancerArn><DNSName>two.elb</DNSName></member>
			<member><LoadBalancerArn>arn-new</LoadBalancerArn></member></LoadBalancers>`,
		"DescribeListeners arn-one": `<Listeners><member><ListenerArn>l1</ListenerArn><Port>443</Port></member></Listeners>`,
		"DescribeListeners arn-two": `<Listeners><member><ListenerArn>l2</ListenerArn></member></Listeners>`,
		"DescribeTargetGroups": `<TargetGroups>
			<member><TargetGroupArn>ips</TargetGroupArn><TargetType>ip</TargetType><VpcId>vpc-1</VpcId><LoadBalancerArns><member>arn-one</member><member>arn-two</member><member>arn-one</member></LoadBalancerArns></member>
			<member><TargetGroupArn>functions</TargetGroupArn><TargetType>lambda</TargetType><LoadBalancerArns><member>arn-two</member></LoadBalancerArns></member>
			<member><TargetGroupArn>unused</TargetGroupArn><TargetType>instance</TargetType></member></TargetGroups>`,
		"DescribeTargetHealth ips":       `<TargetHealthDescriptions><member><Target><Id>10.0.0.1</Id></Target></member><member/></TargetHealthDescriptions>`,
		"DescribeTargetHealth functions": `<TargetHealthDescriptions><member><Target><Id>arn:aws:lambda:r:1:function:f:live</Id></Target></member></TargetHealthDescriptions>`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		operation := r.FormValue("Action")
		call := strings.TrimSpace(operation + " " + r.FormValue("LoadBalancerArn") + r.FormValue("TargetGroupArn"))
		mu.Lock()
		made = append(made, call)
		mu.Unlock()
		if code := fail[call]; code != "" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, "<ErrorResponse><Error><Code>%s</Code></Error></ErrorResponse>", code)
			return
		}
		answer, ok := answers[call]
		if !ok {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "<%sResponse><%sResult>%s</%sResult></%sResponse>", operation, operation, answer, operation, operation)
	}))
	t.Cleanup(server.Close)
	run = func() (*elbv2Sink, error) {
		sink := &elbv2Sink{rows: map[string][]string{}}
		err := api.Find("ec2:load_balancer_v2").Collect(context.Background(), &api.Cell{
			Account: "111111111111", Region: "eu-west-1", Partition: "aws", Sink: sink,
			Config: noteCalls("ec2:load_balancer_v2", aws.Config{Region: "eu-west-1", Credentials: credentials.NewStaticCredentialsProvider("a", "b", ""), BaseEndpoint: &server.URL, RetryMaxAttempts: 1}),
		})
		return sink, err
	}
	return run, func() []string { slices.Sort(made); return made }
}

func TestELBv2(t *testing.T) {
	const (
		balancers = "elbv2_load_balancer"
		listeners = "elbv2_listener"
		groups    = "elbv2_target_group"
		ips       = "elbv2_ip_target"
		functions = "elbv2_lambda_target"
	)
	whole := map[string][]string{
		balancers: {"One.elb", "two.elb"}, listeners: {"l1", "l2"},
		groups: {"ips [One.elb two.elb]", "functions [two.elb]"},
		ips:    {"One.elb 10.0.0.1", "two.elb 10.0.0.1"}, functions: {"two.elb arn:aws:lambda:r:1:function:f"},
	}
	// Each call fails in turn: what it would have told is missing, all else is
	// there, and the cell tells, unless the thing is gone.
	for call, missing := range map[string]map[string][]string{
		"":                               {},
		"DescribeListeners arn-one":      {listeners: {"l2"}},
		"DescribeListeners arn-two":      {listeners: {"l1"}},
		"DescribeTargetGroups":           {groups: nil, ips: nil, functions: nil},
		"DescribeTargetHealth ips":       {ips: nil},
		"DescribeTargetHealth functions": {functions: nil},
		"DescribeLoadBalancers":          {balancers: nil, listeners: nil, groups: nil, ips: nil, functions: nil},
	} {
		for _, code := range []string{"AccessDenied", "LoadBalancerNotFound"} {
			run, calls := elbv2API(t, map[string]string{call: code})
			sink, err := run()
			for _, table := range []string{balancers, listeners, groups, ips, functions} {
				want, ok := missing[table]
				if !ok {
					want = whole[table]
				}
				if got := sink.rows[table]; !slices.Equal(got, want) {
					t.Errorf("%s fails with %s: %s has %v, want %v", call, code, table, got, want)
				}
			}
			told := err != nil || len(sink.lost) > 0
			passed := code == "LoadBalancerNotFound" && (strings.Contains(call, "Listeners") || strings.Contains(call, "Health"))
			if want := call != "" && !passed; told != want {
				t.Errorf("%s fails with %s: told %v (%v, lost %v), want %v", call, code, told, err, sink.lost, want)
			}
			if call == "" {
				want := []string{
					"DescribeListeners arn-one", "DescribeListeners arn-two", "DescribeLoadBalancers",
					"DescribeTargetGroups", "DescribeTargetHealth functions", "DescribeTargetHealth ips",
				}
				if got := calls(); !slices.Equal(got, want) {
					t.Errorf("calls %v, want %v", got, want)
				}
			}
		}
	}
}
