package store

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"snap/store/kind"
)

// Merging many rows of one key takes time in proportion to them, and leaves the
// callers' lists alone.
func TestMergeMany(t *testing.T) {
	table := &kind.Table{Name: "group", Sync: "things", Columns: []kind.Column{
		{Name: "id", Type: kind.String, Key: true, Required: true}, {Name: "_of", Type: kind.Strings}, {Name: "_ports", Type: kind.Ints},
	}}
	merge := func(n int) (took time.Duration) {
		s := must(newSchema(table.Name, table.Columns))(t)
		shared := make([]string, 1, 8) // with room, in which others' values could land
		shared[0] = "mine"
		other := shared[:8]
		began := time.Now()
		row := kind.Row{"g", nil, []int64{1}}
		s.merge(row, kind.Row{"g", shared, nil})
		for i := range n {
			s.merge(row, kind.Row{"g", []string{fmt.Sprint(i)}, []int64{int64(i)}})
		}
		took = time.Since(began)
		if got := row[1].([]string); len(got) != n+1 || got[0] != "mine" || got[n] != fmt.Sprint(n-1) || len(row[2].([]int64)) != n+1 {
			t.Errorf("%d rows: %d elements", n, len(got))
		}
		if want := append([]string{"mine"}, make([]string, 7)...); !reflect.DeepEqual(other, want) {
			t.Errorf("the caller's list became %q", other)
		}
		return took
	}
	merge(1000)
	few, many := merge(10_000), merge(200_000)
	if many > 100*few+10*time.Second { // minutes, if each merge copied the list
		t.Errorf("10,000 rows took %s, 200,000 %s", few, many)
	}
}
