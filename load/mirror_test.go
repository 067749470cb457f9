package load

import (
	"reflect"
	"testing"
	"time"

	"snap/store"
	"snap/store/kind"
)

// TestColumnValue: what a column of each type makes of a property.
func TestColumnValue(t *testing.T) {
	at := time.Date(2024, 5, 1, 8, 0, 0, 123456789, time.FixedZone("Offset", 7200))
	for _, c := range []struct {
		typ  kind.Type
		v    any
		want any
		ok   bool
	}{
		{kind.String, "x", "x", true}, {kind.String, int64(1), nil, false}, {kind.String, nil, nil, true},
		{kind.Int, int64(7), int64(7), true}, {kind.Int, "7", nil, false}, {kind.Int, 7.5, nil, false},
		{kind.Float, 7.5, 7.5, true}, {kind.Float, int64(7), 7.0, true}, {kind.Float, "x", nil, false},
		{kind.Bool, false, false, true}, {kind.Bool, "false", nil, false},
		{kind.Time, at, time.Date(2024, 5, 1, 6, 0, 0, 123456000, time.UTC), true}, {kind.Time, "2024", nil, false},
		{kind.Strings, []any{"b", "a"}, []string{"b", "a"}, true}, {kind.Strings, "one", []string{"one"}, true}, {kind.Strings, []any{}, []string{}, true},
		{kind.Strings, []any{int64(1)}, nil, false}, {kind.Strings, true, nil, false}, {kind.Strings, nil, nil, true},
		{kind.Ints, []any{int64(2)}, []int64{2}, true}, {kind.Ints, int64(2), []int64{2}, true}, {kind.Ints, []any{"2"}, nil, false},
	} {
		if got, ok := columnValue(c.typ, c.v); ok != c.ok || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s of %#v: %#v, %v; want %#v, %v", c.typ, c.v, got, ok, c.want, c.ok)
		}
	}
}

// TestMirrorPlace: where a node belongs that names no cells.
func TestMirrorPlace(t *testing.T) {
	m := &mirror{}
	regional, global := &kind.Table{Sync: "ec2:instance"}, &kind.Table{Sync: "iam", Global: true}
	for _, c := range []struct {
		table  *kind.Table
		region string
		arns   []string
		want   string
	}{
		{regional, "us-east-1", nil, "us-east-1"},
		{regional, "", []string{"", "arn:aws:ec2:eu-west-1:1:instance/i-1"}, "eu-west-1"},
		{regional, "", []string{"i-1"}, ""},
		{regional, "../other", nil, ""}, // a property may be anything, a region is a part of a path
		{global, "us-east-1", nil, ""},
	} {
		if got := m.place(c.table, "1", c.region, c.arns...); got != (store.CellID{Provider: "aws", Account: "1", Sync: c.table.Sync, Region: c.want}) {
			t.Errorf("%q %v: %s, want region %q", c.region, c.arns, got, c.want)
		}
	}
}
