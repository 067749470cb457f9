package load

import (
	"context"
	"flag"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"snap/store"
	"snap/store/kind"
)

var update = flag.Bool("update", false, "write testdata/statements.cypher anew")

// recorder is a driver that notes each statement once, in order.
type recorder struct {
	neo4j.DriverWithContext
	mu   sync.Mutex
	seen []string
}

func (r *recorder) NewSession(ctx context.Context, c neo4j.SessionConfig) neo4j.SessionWithContext {
	return recorded{r.DriverWithContext.NewSession(ctx, c), r}
}

type recorded struct {
	neo4j.SessionWithContext
	r *recorder
}

func (s recorded) work(work neo4j.ManagedTransactionWork) neo4j.ManagedTransactionWork {
	return func(tx neo4j.ManagedTransaction) (any, error) { return work(recordedWork{tx, s.r}) }
}

func (s recorded) ExecuteRead(ctx context.Context, work neo4j.ManagedTransactionWork, o ...func(*neo4j.TransactionConfig)) (any, error) {
	return s.SessionWithContext.ExecuteRead(ctx, s.work(work), o...)
}

func (s recorded) BeginTransaction(ctx context.Context, o ...func(*neo4j.TransactionConfig)) (neo4j.ExplicitTransaction, error) {
	tx, err := s.SessionWithContext.BeginTransaction(ctx, o...)
	return recordedTransaction{tx, s.r}, err
}

type recordedWork struct {
	neo4j.ManagedTransaction
	r *recorder
}

func (w recordedWork) Run(ctx context.Context, cypher string, params map[string]any) (neo4j.ResultWithContext, error) {
	w.r.note(cypher)
	return w.ManagedTransaction.Run(ctx, cypher, params)
}

type recordedTransaction struct {
	neo4j.ExplicitTransaction
	r *recorder
}

func (w recordedTransaction) Run(ctx context.Context, cypher string, params map[string]any) (neo4j.ResultWithContext, error) {
	w.r.note(cypher)
	return w.ExplicitTransaction.Run(ctx, cypher, params)
}

func (r *recorder) note(cypher string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.seen, cypher) {
		r.seen = append(r.seen, cypher)
	}
}

// What a load sends is what StatementsOf says of its tables, and else what
// testdata/statements.cypher has: indexes, the cleanup, notes.
func TestStatements(t *testing.T) {
	direct := testGraph(t)
	r := &recorder{DriverWithContext: direct.driver}
	recording := *direct
	recording.driver = r
	g := &recording
	always := Options{smallRows: -1} // each table by its own statements
	first(100).load(t, g, always)
	// Something of Cartography's, and every way to be gone: a node, a
	// relationship, and what one of two cells no longer asserts.
	cypher(t, direct, "MATCH (a:AWSAccount {id: '1'}) MATCH (v:Vpc {id: 'v1'}) CREATE (a)-[:RESOURCE {lastupdated: 1}]->(s:Subnet {id: 'old', lastupdated: 1})-[:MEMBER_OF {lastupdated: 1}]->(v)")
	newSnapshot(200).account("1").
		cell("1/r1/net", store.Complete, func(to kind.Sink) {
			vpcs.Put(to, vpcRow{ID: "v1"})
			subnets.Put(to, subnetRow{ID: "s1"})
		}).
		cell("1/r1/ec2:vm", store.Complete, func(to kind.Sink) { vms.Put(to, vmRow{ID: "i1"}) }).
		cell("1//iam", store.Partial, nil).load(t, g, always)
	first(300).load(t, g, always)
	newSnapshot(400).account("1").
		cell("1/r1/net", store.Complete, nil).cell("1/r1/ec2:vm", store.Partial, nil).load(t, g, Options{smallRows: -1})

	few := len(r.seen)
	cypher(t, direct, "MATCH (n) DETACH DELETE n")
	first(500).load(t, g, Options{smallRows: 1000})
	if direct.dynamic == (len(r.seen) == few) {
		t.Errorf("tables of few rows: %d new statements", len(r.seen)-few)
	}

	declared := map[string]bool{}
	for _, table := range registry.Tables() {
		s := StatementsOf(registry, table)
		for _, c := range append(s.Nodes, s.Links...) {
			declared[c] = false
		}
		if table.Label != "" && len(s.Nodes) == 0 || len(s.Edges) != len(claims(table)) {
			t.Errorf("table %s: statements %+v", table.Name, s)
		}
	}
	var rest []string
	for i, c := range r.seen {
		if _, ok := declared[c]; ok {
			declared[c] = true
			continue
		}
		if i < few && strings.HasPrefix(c, "UNWIND $rows AS row M") && !strings.Contains(c, "ModuleSyncMetadata") {
			t.Errorf("StatementsOf does not tell of\n%s", c)
		}
		rest = append(rest, c)
	}
	sent := 0
	for _, was := range declared {
		if was {
			sent++
		}
	}
	if sent < 10 {
		t.Errorf("only %d of %d statements of tables were sent", sent, len(declared))
	}
	all := strings.Join(rest, "\n")
	for _, word := range []string{"$tag DETACH DELETE x", "$tag DELETE x", "SET x._snap_cells", "CREATE INDEX"} {
		if !strings.Contains(all, word) {
			t.Errorf("no statement has %s", word)
		}
	}

	const file = "testdata/statements.cypher"
	text := strings.Join(rest, ";\n\n") + ";\n"
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if older := !direct.dynamic && strings.HasPrefix(string(golden), strings.TrimSuffix(text, "\n")); string(golden) != text && !older {
		t.Errorf("the statements that no declaration makes are not those of %s (make golden renews it):\n%s", file, text)
	}
}
