package aws

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// ec2TransitGatewayRouteTable says where a transit gateway sends the traffic of
// the attachments that are associated with the table.
type ec2TransitGatewayRouteTable struct {
	ID        string  `snap:"id,key" from:"TransitGatewayRouteTableId" doc:"the table, 'tgw-rtb-…'"`
	GatewayID *string `snap:"transit_gateway_id" from:"TransitGatewayId" doc:"the transit gateway that it is part of"`
	State     *string `snap:"state" from:"State" doc:"'available', 'pending', 'deleting' or 'deleted'"`
	Region    string  `snap:"region"`
}

var ec2TransitGatewayRouteTables = kind.Of[ec2TransitGatewayRouteTable](kind.Table{
	Name: "ec2_transit_gateway_route_table", Label: "AWSTransitGatewayRouteTable",
	Doc:   "Where a transit gateway sends the traffic of the attachments that the table directs.",
	Links: []kind.Link{{Type: "CONTAINS", From: "AWSTransitGateway", On: kind.On{"tgw_id": "transit_gateway_id"}}},
})

// ec2TransitGatewayRoute is one destination of a transit gateway's route table.
// Its id is "table|destination".
type ec2TransitGatewayRoute struct {
	ID                   string  `snap:"id,key" doc:"table and destination, joined by '|'"`
	RouteTableID         string  `snap:"transit_gateway_route_table_id" doc:"the table that it is part of"`
	DestinationCIDRBlock *string `snap:"destination_cidr_block" from:"DestinationCidrBlock" doc:"the range that it is about, of IPv4 or IPv6"`
	State                *string `snap:"state" from:"State" doc:"'active', or 'blackhole' for what is dropped, …"`
	Target               *string `snap:"target" doc:"the first attachment that it leads to; null: the traffic is dropped"`
	Region               string  `snap:"region"`
	GatewayID            *string `snap:"_tgw_id"`
}

var ec2TransitGatewayRoutes = kind.Of[ec2TransitGatewayRoute](kind.Table{
	Name: "ec2_transit_gateway_route", Label: "AWSTransitGatewayRoute",
	Doc: "One destination of a transit gateway's route table.",
	Links: []kind.Link{
		{Type: "ROUTES_TO_TGW_ATTACHMENT", To: "AWSTransitGatewayAttachment", On: kind.On{"id": "target"}},
		{Type: "ROUTES_TO_TGW", To: "AWSTransitGateway", On: kind.On{"tgw_id": "_tgw_id"}},
		{Type: "HAS_ROUTE", From: "AWSTransitGatewayRouteTable", On: kind.On{"id": "transit_gateway_route_table_id"}},
	},
})

// ec2TransitGatewayAssociation says that the table directs an attachment's
// traffic. Its id is "table|attachment".
type ec2TransitGatewayAssociation struct {
	ID           string  `snap:"id,key" doc:"table and attachment, joined by '|'"`
	RouteTableID string  `snap:"route_table_id" doc:"the table"`
	AttachmentID *string `snap:"attachment_id" from:"TransitGatewayAttachmentId" doc:"the attachment whose traffic the table directs"`
	ResourceID   *string `snap:"resource_id" from:"ResourceId" doc:"what is attached, such as a VPC"`
	ResourceType *string `snap:"resource_type" from:"ResourceType" doc:"the kind of what is attached: 'vpc', 'vpn', 'peering', …"`
	State        *string `snap:"state" from:"State" doc:"'associated', or on the way to or from it"`
	Region       string  `snap:"region"`
}

var ec2TransitGatewayAssociations = kind.Of[ec2TransitGatewayAssociation](kind.Table{
	Name: "ec2_transit_gateway_route_table_association", Label: "AWSTransitGatewayRouteTableAssociation",
	Doc:   "That a route table directs an attachment's traffic.",
	Links: []kind.Link{{Type: "ASSOCIATED_WITH", To: "AWSTransitGatewayRouteTable", On: kind.On{"id": "route_table_id"}}},
})

// ec2TransitGatewayPropagation says that the table learns an attachment's
// routes. Its id is "table|attachment".
type ec2TransitGatewayPropagation struct {
	ID           string  `snap:"id,key" doc:"table and attachment, joined by '|'"`
	RouteTableID string  `snap:"route_table_id" doc:"the table"`
	AttachmentID *string `snap:"attachment_id" from:"TransitGatewayAttachmentId" doc:"the attachment whose routes the table learns"`
	State        *string `snap:"state" from:"State" doc:"'enabled', 'disabled', or on the way"`
	Region       string  `snap:"region"`
}

var ec2TransitGatewayPropagations = kind.Of[ec2TransitGatewayPropagation](kind.Table{
	Name: "ec2_transit_gateway_route_table_propagation", Label: "AWSTransitGatewayRouteTablePropagation",
	Doc:   "That a route table learns an attachment's routes.",
	Links: []kind.Link{{Type: "PROPAGATES", From: "AWSTransitGatewayRouteTable", On: kind.On{"id": "route_table_id"}}},
})

var _ = api.Declare(api.Sync{
	Name: "ec2:tgw_route_table",
	Calls: []string{
		"ec2:DescribeTransitGatewayRouteTables", "ec2:SearchTransitGatewayRoutes",
		"ec2:GetTransitGatewayRouteTableAssociations", "ec2:GetTransitGatewayRouteTablePropagations",
	},
	Tables: []*kind.Table{
		ec2TransitGatewayRouteTables.Table, ec2TransitGatewayRoutes.Table,
		ec2TransitGatewayAssociations.Table, ec2TransitGatewayPropagations.Table,
	},
	Collect: func(ctx context.Context, at *api.Cell) error {
		client := ec2.NewFromConfig(at.Config)
		pages := ec2.NewDescribeTransitGatewayRouteTablesPaginator(client, nil)
		tables, err := api.All(ctx, pages, func(p *ec2.DescribeTransitGatewayRouteTablesOutput) []types.TransitGatewayRouteTable {
			return p.TransitGatewayRouteTables
		})
		var parts []func(context.Context, *api.Cell) error
		for _, t := range tables {
			row := ec2TransitGatewayRouteTables.From(t)
			row.Region = at.Region
			ec2TransitGatewayRouteTables.Put(at, row)
			if t.State == types.TransitGatewayRouteTableStateDeleted {
				continue // it is listed for a while, and nothing else answers for it
			}
			for _, put := range [...]func(context.Context, *api.Cell, *ec2.Client, ec2TransitGatewayRouteTable) error{
				putEC2TransitGatewayRoutes, putEC2TransitGatewayAssociations, putEC2TransitGatewayPropagations,
			} {
				parts = append(parts, func(ctx context.Context, at *api.Cell) error {
					if err := put(ctx, at, client, row); !api.Gone(err) {
						return err
					}
					return nil
				})
			}
		}
		return errors.Join(err, api.Parts(ctx, at, parts...))
	},
})

func putEC2TransitGatewayRoutes(ctx context.Context, at *api.Cell, client *ec2.Client, table ec2TransitGatewayRouteTable) error {
	pages := ec2.NewSearchTransitGatewayRoutesPaginator(client, &ec2.SearchTransitGatewayRoutesInput{
		TransitGatewayRouteTableId: &table.ID,
		// The call wants a filter: these are all states.
		Filters: []types.Filter{{Name: aws.String("state"), Values: []string{"active", "blackhole", "pending", "deleting", "deleted"}}},
	})
	more := false
	routes, err := api.All(ctx, pages, func(p *ec2.SearchTransitGatewayRoutesOutput) []types.TransitGatewayRoute {
		more = aws.ToBool(p.AdditionalRoutesAvailable) && p.NextToken == nil
		return p.Routes
	})
	for _, r := range routes {
		row := ec2TransitGatewayRoutes.From(r)
		row.RouteTableID, row.GatewayID, row.Region = table.ID, table.GatewayID, at.Region
		destination := r.DestinationCidrBlock
		if destination == nil {
			destination = r.PrefixListId
		}
		row.ID = table.ID + "|" + aws.ToString(destination)
		for _, a := range r.TransitGatewayAttachments {
			row.Target = a.TransitGatewayAttachmentId
			break
		}
		ec2TransitGatewayRoutes.Put(at, row)
	}
	if err == nil && more {
		err = fmt.Errorf("transit gateway route table %s has more routes than SearchTransitGatewayRoutes tells: %d were read", table.ID, len(routes))
	}
	return err
}

func putEC2TransitGatewayAssociations(ctx context.Context, at *api.Cell, client *ec2.Client, table ec2TransitGatewayRouteTable) error {
	pages := ec2.NewGetTransitGatewayRouteTableAssociationsPaginator(client, &ec2.GetTransitGatewayRouteTableAssociationsInput{TransitGatewayRouteTableId: &table.ID})
	associations, err := api.All(ctx, pages, func(p *ec2.GetTransitGatewayRouteTableAssociationsOutput) []types.TransitGatewayRouteTableAssociation {
		return p.Associations
	})
	for _, a := range associations {
		if id := ec2TransitGatewayPair(table.ID, a.TransitGatewayAttachmentId, a.ResourceId); id != "" {
			row := ec2TransitGatewayAssociations.From(a)
			row.ID, row.RouteTableID, row.Region = id, table.ID, at.Region
			ec2TransitGatewayAssociations.Put(at, row)
		}
	}
	return err
}

func putEC2TransitGatewayPropagations(ctx context.Context, at *api.Cell, client *ec2.Client, table ec2TransitGatewayRouteTable) error {
	pages := ec2.NewGetTransitGatewayRouteTablePropagationsPaginator(client, &ec2.GetTransitGatewayRouteTablePropagationsInput{TransitGatewayRouteTableId: &table.ID})
	propagations, err := api.All(ctx, pages, func(p *ec2.GetTransitGatewayRouteTablePropagationsOutput) []types.TransitGatewayRouteTablePropagation {
		return p.TransitGatewayRouteTablePropagations
	})
	for _, p := range propagations {
		if id := ec2TransitGatewayPair(table.ID, p.TransitGatewayAttachmentId, p.ResourceId); id != "" {
			row := ec2TransitGatewayPropagations.From(p)
			row.ID, row.RouteTableID, row.Region = id, table.ID, at.Region
			ec2TransitGatewayPropagations.Put(at, row)
		}
	}
	return err
}

// ec2TransitGatewayPair is the id of what ties an attachment to a table: the
// API gives it none. Where it does not tell the attachment either, the attached
// resource stands for it; without both there is no id.
func ec2TransitGatewayPair(table string, attachment, resource *string) string {
	for _, id := range [...]*string{attachment, resource} {
		if aws.ToString(id) != "" {
			return table + "|" + *id
		}
	}
	return ""
}
