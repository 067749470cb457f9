package aws

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// elbv2LoadBalancer is an Application, Network or Gateway Load Balancer. Its
// id is the DNS name as AWS writes it; dnsname is in lower case, to be compared
// with DNS records.
type elbv2LoadBalancer struct {
	ID                    string   `snap:"id,key" from:"DNSName" doc:"its DNS name, as AWS writes it"`
	ARN                   *string  `snap:"arn,index" from:"LoadBalancerArn"`
	Name                  *string  `snap:"name" from:"LoadBalancerName" doc:"its name, unique within account and region"`
	DNSName               string   `snap:"dnsname,index" doc:"its DNS name in lower case, to be compared with DNS records"`
	CanonicalHostedZoneID *string  `snap:"canonicalhostedzonenameid" from:"CanonicalHostedZoneId" doc:"the hosted zone that an alias record would name"`
	Type                  *string  `snap:"type" from:"Type" doc:"'application', 'network' or 'gateway'"`
	Scheme                *string  `snap:"scheme" from:"Scheme" doc:"'internet-facing' or 'internal'; null for a gateway one"`
	Region                string   `snap:"region"`
	CreatedTime           *string  `snap:"createdtime" from:"CreatedTime" as:"text" doc:"when it was made, as text"`
	GroupIDs              []string `snap:"_group_ids" from:"SecurityGroups"`
	SubnetIDs             []string `snap:"_subnet_ids" from:"AvailabilityZones.SubnetId"`
}

var elbv2LoadBalancers = kind.Of[elbv2LoadBalancer](kind.Table{
	Name: "elbv2_load_balancer", Label: "AWSLoadBalancerV2", Aliases: []string{"LoadBalancer", "LoadBalancerV2"},
	Doc: "An Application, Network or Gateway Load Balancer.",
	Ontology: kind.Ontology{
		"name": kind.Same("name"), "lb_type": kind.Same("type"), "scheme": kind.Mapped("scheme", loadBalancerSchemes),
		"dns_name": kind.Same("dnsname"), "region": kind.Same("region"),
	},
	Links: []kind.Link{
		{Type: "MEMBER_OF_EC2_SECURITY_GROUP", To: "AWSEC2SecurityGroup", On: kind.On{"groupid": "_group_ids"}},
		{Type: "SUBNET", To: "AWSEC2Subnet", On: kind.On{"subnetid": "_subnet_ids"}},
	},
})

// elbv2Listener is a port that a load balancer listens on.
type elbv2Listener struct {
	ID                         string  `snap:"id,key" from:"ListenerArn" doc:"its ARN"`
	Port                       *int64  `snap:"port" from:"Port" doc:"the port that it listens on"`
	Protocol                   *string `snap:"protocol" from:"Protocol" doc:"what it speaks there: 'HTTP', 'HTTPS', 'TCP', 'TLS', 'UDP', 'TCP_UDP' or 'GENEVE'"`
	SSLPolicy                  *string `snap:"ssl_policy" from:"SslPolicy" doc:"which protocols and ciphers it accepts, by the policy's name"`
	MutualAuthenticationMode   *string `snap:"mutual_authentication_mode" from:"MutualAuthentication.Mode" doc:"what it does with clients' certificates: 'off', 'verify' or 'passthrough'"`
	TrustStoreARN              *string `snap:"trust_store_arn" from:"MutualAuthentication.TrustStoreArn" doc:"the authorities by which it verifies clients' certificates"`
	IgnoreClientCertExpiry     *bool   `snap:"ignore_client_certificate_expiry" from:"MutualAuthentication.IgnoreClientCertificateExpiry" doc:"whether an expired client certificate will do"`
	TrustStoreAssociation      *string `snap:"trust_store_association_status" from:"MutualAuthentication.TrustStoreAssociationStatus" doc:"'active', or 'removed' where its owner took the trust store away"`
	AdvertiseTrustStoreCANames *string `snap:"advertise_trust_store_ca_names" from:"MutualAuthentication.AdvertiseTrustStoreCaNames" doc:"whether it tells clients which authorities it trusts, 'on' or 'off'"`
	LoadBalancerID             string  `snap:"_load_balancer_id"`
}

var elbv2Listeners = kind.Of[elbv2Listener](kind.Table{
	Name: "elbv2_listener", Label: "AWSELBV2Listener", Aliases: []string{"ELBV2Listener", "Endpoint"},
	Doc:   "A port that a load balancer listens on.",
	Links: []kind.Link{{Type: "ELBV2_LISTENER", From: "AWSLoadBalancerV2", On: kind.On{"id": "_load_balancer_id"}}},
})

// elbv2TargetGroup is a set of targets that load balancers send traffic to.
type elbv2TargetGroup struct {
	ID              string   `snap:"id,key" from:"TargetGroupArn" doc:"its ARN"`
	ARN             *string  `snap:"arn,index" from:"TargetGroupArn"`
	Name            *string  `snap:"name" from:"TargetGroupName" doc:"its name, unique within account and region"`
	TargetType      *string  `snap:"target_type" from:"TargetType" doc:"what its targets are: 'instance', 'ip', 'lambda' or 'alb'"`
	Protocol        *string  `snap:"protocol" from:"Protocol" doc:"what load balancers speak with its targets; null for functions"`
	Port            *int64   `snap:"port" from:"Port" doc:"the port of the targets that is used where a target names none"`
	VPCID           *string  `snap:"vpc_id" from:"VpcId" doc:"the VPC of its targets; null for functions"`
	Region          string   `snap:"region"`
	LoadBalancerIDs []string `snap:"_load_balancer_ids"`
}

var elbv2TargetGroups = kind.Of[elbv2TargetGroup](kind.Table{
	Name: "elbv2_target_group", Label: "AWSELBV2TargetGroup", Aliases: []string{"ELBV2TargetGroup"},
	Doc:   "A set of targets that load balancers send traffic to. One that no load balancer uses is left out.",
	Links: []kind.Link{{Type: "ELBV2_TARGET_GROUP", From: "AWSLoadBalancerV2", On: kind.On{"id": "_load_balancer_ids"}}},
})

// elbv2Target says that a load balancer sends traffic to a target. A target
// registered in several groups of a load balancer is one relationship, which
// tells of the last group.
type elbv2Target struct {
	LoadBalancerID string  `snap:"load_balancer_id,key" doc:"the load balancer's DNS name"`
	TargetID       string  `snap:"target_id,key" doc:"the target as it was registered: instance, address or ARN (of a function without version or alias)"`
	Port           *int64  `snap:"port" doc:"the target group's port"`
	Protocol       *string `snap:"protocol" doc:"the target group's protocol"`
	TargetGroupARN string  `snap:"target_group_arn" doc:"the target group that registers it; of several the last one"`
	VPCID          *string `snap:"vpc_id" doc:"the target group's VPC, in which an address is meant"`
}

// elbv2TargetTable makes the tables, which differ in what a target is.
func elbv2TargetTable(name, doc, label string, on kind.On) *kind.Typed[elbv2Target] {
	return kind.Of[elbv2Target](kind.Table{Name: name, Doc: doc, Between: &kind.Between{
		Type:  "EXPOSE",
		From:  kind.End{Label: "AWSLoadBalancerV2", On: kind.On{"id": "load_balancer_id"}},
		To:    kind.End{Label: label, On: on},
		Props: map[string]string{"port": "port", "protocol": "protocol", "target_group_arn": "target_group_arn"},
	}})
}

// An address is unique only inside a network; the load balancer's interfaces
// and targets in the same network may be listed by another sync or account.
var (
	elbv2InstanceTargets = elbv2TargetTable("elbv2_instance_target", "An instance that a load balancer sends traffic to.", "AWSEC2Instance", kind.On{"instanceid": "target_id"})
	elbv2LambdaTargets   = elbv2TargetTable("elbv2_lambda_target", "A function that a load balancer sends requests to.", "AWSLambda", kind.On{"id": "target_id"})
	elbv2ALBTargets      = elbv2TargetTable("elbv2_alb_target", "An Application Load Balancer that a Network Load Balancer sends traffic to.", "AWSLoadBalancerV2", kind.On{"arn": "target_id"})
	elbv2IPTargets       = elbv2TargetTable("elbv2_ip_target", "An address that a load balancer sends traffic to.", "AWSEC2PrivateIp", kind.On{"private_ip_address": "target_id", "vpc_id": "vpc_id"})

	elbv2Targets = map[types.TargetTypeEnum]*kind.Typed[elbv2Target]{
		types.TargetTypeEnumInstance: elbv2InstanceTargets, types.TargetTypeEnumLambda: elbv2LambdaTargets,
		types.TargetTypeEnumAlb: elbv2ALBTargets, types.TargetTypeEnumIp: elbv2IPTargets,
	}
)

var _ = api.Declare(api.Sync{
	Name: "ec2:load_balancer_v2",
	Calls: []string{
		"elasticloadbalancing:DescribeLoadBalancers", "elasticloadbalancing:DescribeListeners",
		"elasticloadbalancing:DescribeTargetGroups", "elasticloadbalancing:DescribeTargetHealth",
	},
	Needs: []string{"ec2:subnet", "ec2:instance"},
	Tables: []*kind.Table{
		elbv2LoadBalancers.Table, elbv2Listeners.Table, elbv2TargetGroups.Table,
		elbv2InstanceTargets.Table, elbv2LambdaTargets.Table, elbv2ALBTargets.Table, elbv2IPTargets.Table,
	},
	Collect: func(ctx context.Context, at *api.Cell) error {
		client := elbv2.NewFromConfig(at.Config)
		pages := elbv2.NewDescribeLoadBalancersPaginator(client, nil)
		balancers, err := api.All(ctx, pages, func(p *elbv2.DescribeLoadBalancersOutput) []types.LoadBalancer { return p.LoadBalancers })
		ids := map[string]string{}                                                                                         // ARN → id
		balancers = slices.DeleteFunc(balancers, func(b types.LoadBalancer) bool { return aws.ToString(b.DNSName) == "" }) // being provisioned
		for _, b := range balancers {
			row := elbv2LoadBalancers.From(b)
			row.Region, row.DNSName = at.Region, strings.ToLower(row.ID)
			elbv2LoadBalancers.Put(at, row)
			ids[aws.ToString(b.LoadBalancerArn)] = row.ID
		}
		if len(balancers) > 0 { // else there is nothing that listens or sends
			putELBv2Listeners(ctx, at, client, balancers)
			putELBv2TargetGroups(ctx, at, client, ids)
		}
		return err
	},
})

// The targets are collected with the load balancers, whose listing names them;
// links are made when every node is there. What is left of Cartography's second
// pass is its name.
var _ = api.Declare(api.Sync{
	Name:  "ec2:load_balancer_v2:expose",
	Needs: []string{"ec2:load_balancer_v2", "ec2:network_interface", "ec2:subnet"},
})

func putELBv2Listeners(ctx context.Context, at *api.Cell, client *elbv2.Client, balancers []types.LoadBalancer) {
	listeners, err := api.Each(ctx, balancers, func(ctx context.Context, b types.LoadBalancer) ([]types.Listener, error) {
		pages := elbv2.NewDescribeListenersPaginator(client, &elbv2.DescribeListenersInput{LoadBalancerArn: b.LoadBalancerArn})
		all, err := api.All(ctx, pages, func(p *elbv2.DescribeListenersOutput) []types.Listener { return p.Listeners })
		if err != nil && !api.Gone(err) {
			at.Lose(err)
		}
		return all, nil
	})
	if err != nil {
		at.Lose(err)
	}
	for i, b := range balancers {
		for _, l := range listeners[i] {
			row := elbv2Listeners.From(l)
			row.LoadBalancerID = aws.ToString(b.DNSName)
			elbv2Listeners.Put(at, row)
		}
	}
}

// putELBv2TargetGroups puts the target groups of the load balancers, whose ids
// are by ARN, and their targets. One listing serves all load balancers.
func putELBv2TargetGroups(ctx context.Context, at *api.Cell, client *elbv2.Client, ids map[string]string) {
	pages := elbv2.NewDescribeTargetGroupsPaginator(client, nil)
	groups, err := api.All(ctx, pages, func(p *elbv2.DescribeTargetGroupsOutput) []types.TargetGroup { return p.TargetGroups })
	if err != nil {
		at.Lose(err)
	}
	rows := make([]elbv2TargetGroup, 0, len(groups))
	used := groups[:0]
	for _, g := range groups {
		row := elbv2TargetGroups.From(g)
		row.Region = at.Region
		for _, arn := range g.LoadBalancerArns {
			if id, ok := ids[arn]; ok && !slices.Contains(row.LoadBalancerIDs, id) {
				row.LoadBalancerIDs = append(row.LoadBalancerIDs, id)
			}
		}
		if len(row.LoadBalancerIDs) > 0 { // Cartography knows target groups by their load balancers
			rows, used = append(rows, row), append(used, g)
		}
	}
	targets, err := api.Each(ctx, used, func(ctx context.Context, g types.TargetGroup) ([]string, error) {
		out, err := client.DescribeTargetHealth(ctx, &elbv2.DescribeTargetHealthInput{TargetGroupArn: g.TargetGroupArn})
		switch {
		case api.Gone(err):
			return nil, nil
		case err != nil:
			at.Lose(err)
			return nil, nil
		}
		var all []string
		for _, d := range out.TargetHealthDescriptions {
			if d.Target != nil && aws.ToString(d.Target.Id) != "" {
				all = append(all, *d.Target.Id)
			}
		}
		return all, nil
	})
	if err != nil {
		at.Lose(err)
	}
	for i, row := range rows {
		elbv2TargetGroups.Put(at, row)
		table := elbv2Targets[used[i].TargetType]
		if table == nil {
			continue
		}
		for _, target := range targets[i] {
			if table == elbv2LambdaTargets {
				target = unqualifiedFunction(target)
			}
			for _, id := range row.LoadBalancerIDs {
				table.Put(at, elbv2Target{LoadBalancerID: id, TargetID: target, Port: row.Port, Protocol: row.Protocol, TargetGroupARN: row.ID, VPCID: row.VPCID})
			}
		}
	}
}

// unqualifiedFunction is a function's ARN without the version or alias that a
// target may name.
func unqualifiedFunction(arn string) string {
	if parts := strings.SplitN(arn, ":", 8); len(parts) == 8 {
		return strings.Join(parts[:7], ":")
	}
	return arn
}
