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
	ID                 string   `snap:"id,key" from:"ReservedInstancesId"`
	Region             string   `snap:"region"`
	AvailabilityZone   *string  `snap:"availabilityzone" from:"AvailabilityZone"`
	Type               *string  `snap:"type" from:"InstanceType"`
	Count              *int64   `snap:"count" from:"InstanceCount"`
	State              *string  `snap:"state" from:"State"`
	Scope              *string  `snap:"scope" from:"Scope"`
	Start              *string  `snap:"start" from:"Start" as:"text"`
	End                *string  `snap:"end" from:"End" as:"text"`
	Duration           *int64   `snap:"duration" from:"Duration"` // seconds
	FixedPrice         *float64 `snap:"fixedprice" from:"FixedPrice"`
	CurrencyCode       *string  `snap:"currencycode" from:"CurrencyCode"`
	InstanceTenancy    *string  `snap:"instancetenancy" from:"InstanceTenancy"`
	OfferingClass      *string  `snap:"offeringclass" from:"OfferingClass"`
	OfferingType       *string  `snap:"offeringtype" from:"OfferingType"`
	ProductDescription *string  `snap:"productdescription" from:"ProductDescription"`
}

var ec2ReservedInstances = kind.Of[ec2ReservedInstance](kind.Table{
	Name: "ec2_reserved_instance", Label: "AWSEC2ReservedInstance", Aliases: []string{"EC2ReservedInstance"},
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
