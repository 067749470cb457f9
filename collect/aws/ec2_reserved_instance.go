package aws

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"snap/collect/aws/api"
	"snap/store/kind"
)

// ec2ReservedInstance is a purchase: instances of a type at a lower price for
// a time.
type ec2ReservedInstance struct {
	ID                 string   `snap:"id,key" from:"ReservedInstancesId" doc:"the purchase"`
	Region             string   `snap:"region"`
	AvailabilityZone   *string  `snap:"availabilityzone" from:"AvailabilityZone" doc:"the zone that it holds for; null: the whole region"`
	Type               *string  `snap:"type" from:"InstanceType" doc:"the size of the instances, such as 't3.micro'"`
	Count              *int64   `snap:"count" from:"InstanceCount" doc:"how many instances"`
	State              *string  `snap:"state" from:"State" doc:"'active', 'payment-pending', 'payment-failed', 'retired', 'queued', …"`
	Scope              *string  `snap:"scope" from:"Scope" doc:"whether it holds for a zone or the region: 'Availability Zone', 'Region'"`
	Start              *string  `snap:"start" from:"Start" as:"text" doc:"when it began, as text"`
	End                *string  `snap:"end" from:"End" as:"text" doc:"when it ends, as text"`
	Duration           *int64   `snap:"duration" from:"Duration" doc:"how long it lasts, in seconds"`
	FixedPrice         *float64 `snap:"fixedprice" from:"FixedPrice" doc:"what was paid in advance for each"`
	CurrencyCode       *string  `snap:"currencycode" from:"CurrencyCode" doc:"the currency of the price, such as 'USD'"`
	InstanceTenancy    *string  `snap:"instancetenancy" from:"InstanceTenancy" doc:"whose hardware: 'default' (shared), 'dedicated' or 'host'"`
	OfferingClass      *string  `snap:"offeringclass" from:"OfferingClass" doc:"whether it can be exchanged: 'standard', 'convertible'"`
	OfferingType       *string  `snap:"offeringtype" from:"OfferingType" doc:"when it is paid: 'All Upfront', 'Partial Upfront', 'No Upfront', …"`
	ProductDescription *string  `snap:"productdescription" from:"ProductDescription" doc:"the operating system that it is for"`
}

var ec2ReservedInstances = kind.Of[ec2ReservedInstance](kind.Table{
	Name: "ec2_reserved_instance", Label: "AWSEC2ReservedInstance", Aliases: []string{"EC2ReservedInstance"},
	Doc: "A purchase: instances of one size at a lower price for a time.",
})

var _ = api.Declare(api.Sync{
	Name:   "ec2:reserved_instances",
	Calls:  []string{"ec2:DescribeReservedInstances"},
	Tables: []*kind.Table{ec2ReservedInstances.Table},
	Collect: func(ctx context.Context, at *api.Cell) error {
		out, err := ec2.NewFromConfig(at.Config).DescribeReservedInstances(ctx, nil)
		if err != nil {
			return err
		}
		for _, r := range out.ReservedInstances {
			row := ec2ReservedInstances.From(r)
			row.Region = at.Region
			ec2ReservedInstances.Put(at, row)
		}
		return nil
	},
})
