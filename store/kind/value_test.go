package kind

import (
	"reflect"
	"testing"
)

type bareRow struct {
	ID     string   `snap:"id,key"`
	Action []string `snap:"action,bare=_bare"`
	Ports  []int64  `snap:"ports,bare=_bare"`
	Bare   *bool    `snap:"_bare"`
}

func TestValue(t *testing.T) {
	table := Of[bareRow](Table{Name: "bare", Label: "Bare"})
	if err := table.check(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		row    Row
		action any
		ports  any
	}{
		{Row{"x", []string{"a"}, []int64{1}, true}, "a", int64(1)},
		{Row{"x", []string{"a"}, []int64{1}, false}, []string{"a"}, []int64{1}},
		{Row{"x", []string{"a"}, []int64{1}, nil}, []string{"a"}, []int64{1}},
		{Row{"x", []string{"a", "b"}, []int64{}, true}, []string{"a", "b"}, []int64{}},
		{Row{"x", nil, nil, true}, nil, nil},
	} {
		if got := table.Value(c.row, 1); !reflect.DeepEqual(got, c.action) {
			t.Errorf("%v: action %#v, want %#v", c.row, got, c.action)
		}
		if got := table.Value(c.row, 2); !reflect.DeepEqual(got, c.ports) {
			t.Errorf("%v: ports %#v, want %#v", c.row, got, c.ports)
		}
		if got := table.Value(c.row, 0); got != "x" {
			t.Errorf("%v: id %#v", c.row, got)
		}
	}
	for _, column := range []Column{
		{Name: "a", Type: Strings, Bare: "none"},
		{Name: "a", Type: Strings, Bare: "id"},
		{Name: "a", Type: String, Bare: "_bare"},
	} {
		bad := Table{Name: "bad", Label: "Bad", Columns: []Column{{Name: "id", Type: String, Key: true}, {Name: "_bare", Type: Bool}, column}}
		if bad.check() == nil {
			t.Errorf("%+v: want an error", column)
		}
	}
}
