package kind

import "testing"

// The SDKs hold some of the API's decimals in 32 bits: as 64 bits they must be
// the decimal still.
func TestFromFloat32(t *testing.T) {
	type priceRow struct {
		ID    string   `snap:"id,key" from:"ID"`
		Price *float64 `snap:"price" from:"Price"`
		Exact float64  `snap:"exact" from:"Exact"`
	}
	type source struct {
		ID    string
		Price *float32
		Exact float64
	}
	table := Of[priceRow](Table{Name: "price", Label: "Price"})
	for _, want := range []float64{0, 0.1, 0.0058, -1234.56, 123456.78, 1e-9, 3e20} {
		price := float32(want)
		row := table.From(source{"x", &price, want})
		if row.Price == nil || *row.Price != want || row.Exact != want {
			t.Errorf("%v became %v and %v", want, *row.Price, row.Exact)
		}
	}
	if row := table.From(source{ID: "x"}); row.Price != nil {
		t.Errorf("null became %v", *row.Price)
	}
}
