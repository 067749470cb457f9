package aws

import (
	"context"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	"github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// loadBalancerSchemes is the cross-provider vocabulary of a load balancer's scheme.
var loadBalancerSchemes = map[string]string{"internet-facing": "internet_facing", "internal": "internal"}

// elbLoadBalancer is a Classic Load Balancer. Its id is the DNS name as AWS
// writes it; dnsname is in lower case, to be compared with DNS records.
type elbLoadBalancer struct {
	ID                        string   `snap:"id,key" from:"DNSName" doc:"its DNS name, as AWS writes it"`
	Name                      *string  `snap:"name" from:"LoadBalancerName" doc:"its name, unique within account and region"`
	DNSName                   string   `snap:"dnsname,index" doc:"its DNS name in lower case, to be compared with DNS records"`
	CanonicalHostedZoneName   *string  `snap:"canonicalhostedzonename" from:"CanonicalHostedZoneName" doc:"the DNS name that an alias record would point to"`
	CanonicalHostedZoneNameID *string  `snap:"canonicalhostedzonenameid" from:"CanonicalHostedZoneNameID" doc:"the hosted zone of that name"`
	Scheme                    *string  `snap:"scheme,index" from:"Scheme" doc:"'internet-facing' or 'internal'"`
	Region                    string   `snap:"region"`
	CreatedTime               *string  `snap:"createdtime" from:"CreatedTime" as:"text" doc:"when it was made, as text"`
	SourceGroupName           *string  `snap:"_source_group_name" from:"SourceSecurityGroup.GroupName"`
	GroupIDs                  []string `snap:"_group_ids" from:"SecurityGroups"`
	InstanceIDs               []string `snap:"_instance_ids" from:"Instances.InstanceId"`
}

// The source security group is named by its name alone, which other networks
// and accounts use too; it is one of the load balancer's own groups.
var elbLoadBalancers = kind.Of[elbLoadBalancer](kind.Table{
	Name: "elb_load_balancer", Label: "AWSLoadBalancer", Aliases: []string{"LoadBalancer"},
	Doc: "A Classic Load Balancer.",
	Ontology: kind.Ontology{
		"name": kind.Same("name"), "lb_type": kind.Always("classic"), "scheme": kind.Mapped("scheme", loadBalancerSchemes),
		"dns_name": kind.Same("dnsname"), "region": kind.Same("region"),
	},
	Links: []kind.Link{
		{Type: "SOURCE_SECURITY_GROUP", To: "AWSEC2SecurityGroup", On: kind.On{"name": "_source_group_name", "groupid": "_group_ids"}},
		{Type: "MEMBER_OF_EC2_SECURITY_GROUP", To: "AWSEC2SecurityGroup", On: kind.On{"groupid": "_group_ids"}},
		{Type: "EXPOSE", To: "AWSEC2Instance", On: kind.On{"instanceid": "_instance_ids"}},
	},
})

// elbListener is a port that a Classic Load Balancer listens on: its id is the
// load balancer's, the port and the protocol in one.
type elbListener struct {
	ID               string   `snap:"id,key" doc:"the load balancer's id, the port and the protocol, in one"`
	Port             int64    `snap:"port" from:"Listener.LoadBalancerPort" doc:"the port that it listens on"`
	Protocol         *string  `snap:"protocol" from:"Listener.Protocol" doc:"what it speaks there: 'HTTP', 'HTTPS', 'TCP' or 'SSL'"`
	InstancePort     *int64   `snap:"instance_port" from:"Listener.InstancePort" doc:"the port of the instances that it sends to"`
	InstanceProtocol *string  `snap:"instance_protocol" from:"Listener.InstanceProtocol" doc:"what it speaks with the instances"`
	PolicyNames      []string `snap:"policy_names" from:"PolicyNames" doc:"the policies in force on it, such as of ciphers or stickiness"`
	LoadBalancerID   string   `snap:"_load_balancer_id"`
}

var elbListeners = kind.Of[elbListener](kind.Table{
	Name: "elb_listener", Label: "AWSELBListener", Aliases: []string{"ELBListener", "Endpoint"},
	Doc:   "A port that a Classic Load Balancer listens on.",
	Links: []kind.Link{{Type: "ELB_LISTENER", From: "AWSLoadBalancer", On: kind.On{"id": "_load_balancer_id"}}},
})

var _ = api.Declare(api.Sync{
	Name:   "ec2:load_balancer",
	Calls:  []string{"elasticloadbalancing:DescribeLoadBalancers"},
	Needs:  []string{"ec2:instance"},
	Tables: []*kind.Table{elbLoadBalancers.Table, elbListeners.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		pages := elb.NewDescribeLoadBalancersPaginator(elb.NewFromConfig(at.Config), nil)
		balancers, err := api.All(ctx, pages, func(p *elb.DescribeLoadBalancersOutput) []types.LoadBalancerDescription {
			return p.LoadBalancerDescriptions
		})
		for _, b := range balancers {
			row := elbLoadBalancers.From(b)
			row.Region, row.DNSName = at.Region, strings.ToLower(row.ID)
			elbLoadBalancers.Put(at, row)
			for _, l := range b.ListenerDescriptions {
				if l.Listener == nil {
					continue
				}
				listener := elbListeners.From(l)
				listener.ID = row.ID + strconv.FormatInt(listener.Port, 10) + aws.ToString(listener.Protocol)
				listener.LoadBalancerID = row.ID
				if listener.PolicyNames == nil {
					listener.PolicyNames = []string{}
				}
				elbListeners.Put(at, listener)
			}
		}
		return err
	},
})
