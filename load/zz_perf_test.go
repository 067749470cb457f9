package load
import ("testing";"fmt";"time";"snap/store";"snap/store/kind")
func TestZPerf(t *testing.T) {
	g := testGraph(t)
	mk := func(tag int64, n int) *snapshot {
		s := newSnapshot(tag).account("1")
		for r := range 10 {
			s.cell(fmt.Sprintf("1/r%d/net", r), store.Complete, func(to kind.Sink) {
				for i := range 20 { vpcs.Put(to, vpcRow{ID: fmt.Sprintf("v%d-%d", r, i), Name: ptr("x")}) }
				for i := range n { subnets.Put(to, subnetRow{ID: fmt.Sprintf("s%d-%d", r, i), Name: ptr("some name"), VPC: ptr(fmt.Sprintf("v%d-%d", r, i%20))}) }
			})
		}
		return s
	}
	for i, n := range []int{5000, 5000, 4000} {
		at := time.Now(); last := at; phase := ""
		s := mk(int64(100+i), n)
		s.load(t, g, Options{Progress: func(p Progress) { k := p.Phase+p.Table; if k != phase { if d := time.Since(last); d > 200*time.Millisecond { t.Logf("  %s %.1fs", phase, d.Seconds()) }; phase = k; last = time.Now() } }})
		t.Logf("%d rows: %.1fs", n*10, time.Since(at).Seconds())
	}
	at := time.Now(); mk(103, 3000).load(t, g, Options{DryRun: true}); t.Logf("dry %.1fs", time.Since(at).Seconds())
	for _, q := range []string{"EXPLAIN MATCH (x) WHERE elementId(x) IN $ids AND x.lastupdated <> $tag DETACH DELETE x", "EXPLAIN MATCH ()-[x]->() WHERE elementId(x) IN $ids AND x.lastupdated <> $tag DELETE x","EXPLAIN UNWIND $rows AS row MATCH (x) WHERE elementId(x) = row.id SET x._snap_cells = row.open", "EXPLAIN UNWIND $rows AS row MATCH ()-[x]->() WHERE elementId(x) = row.id SET x._snap_cells = row.open"} {
		s := g.session(t.Context(), 0)
		res, err := s.Run(t.Context(), q, map[string]any{"ids": []string{}, "tag": 1, "rows": []any{}})
		if err != nil { t.Fatal(err) }
		sum, _ := res.Consume(t.Context())
		t.Log(fmt.Sprint(sum.Plan().Arguments()["string-representation"]))
	}
}
