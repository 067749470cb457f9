package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"

	"snap/fixtures/neo4jtest"
	"snap/store"
	"snap/store/kind"
)

func TestConnectErrors(t *testing.T) {
	server, _ := neo4jtest.Get(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := free.Addr().String()
	free.Close()
	for _, c := range []struct {
		o    ConnectOptions
		want string
	}{
		{ConnectOptions{URI: "bolt://" + closed}, "no server answers at bolt://" + closed},
		{ConnectOptions{URI: "neo4j://" + closed}, "no server answers at neo4j://" + closed},
		{ConnectOptions{URI: "http://" + closed}, "is no URI of a Neo4j server"},
		{ConnectOptions{URI: "nonsense"}, "is no URI of a Neo4j server"},
		{ConnectOptions{URI: server.URI, Database: "nowhere"}, "has no database nowhere"},
	} {
		g, err := Connect(context.Background(), c.o)
		if g != nil || err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: error %v, want one line with %q", c.o, err, c.want)
		}
	}
}

func TestExplain(t *testing.T) {
	g := &Graph{uri: "bolt://h", user: "u", database: "d"}
	for _, c := range []struct{ code, want string }{
		{"Neo.ClientError.Security.Unauthorized", "refuses the password of user u"},
		{"Neo.ClientError.Security.Forbidden", "user u may not do this"},
		{"Neo.ClientError.General.WriteOnReadOnlyAccessDatabase", "the database d is read-only"},
		{"Neo.ClientError.Statement.SyntaxError", "neo4j: "},
	} {
		err := g.explain(&neo4j.Neo4jError{Code: c.code, Msg: "two\nlines"})
		if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", c.code, err)
		}
	}
	limit := &neo4j.TransactionExecutionLimit{Cause: "x", Errors: []error{&neo4j.Neo4jError{Code: "Neo.TransientError.General.MemoryPoolOutOfMemoryError"}}}
	var large *tooLarge
	if !errors.As(g.explain(limit), &large) {
		t.Error("out of memory at commit is not taken as such")
	}
}

func TestPortions(t *testing.T) {
	var p portion
	var sent, sizes []int
	room := 2
	send := func(rows []int) error {
		sizes = append(sizes, len(rows))
		if len(rows) > room {
			return &tooLarge{"too much"}
		}
		sent = append(sent, rows...)
		return nil
	}
	if err := inPortions(&p, []int{1, 2, 3, 4, 5, 6, 7}, send); err != nil || !slices.Equal(sent, []int{1, 2, 3, 4, 5, 6, 7}) || !slices.Equal(sizes, []int{7, 3, 1, 1, 1, 1, 1, 2}) {
		t.Errorf("sent %v in %v, error %v", sent, sizes, err)
	}
	// Where there is room again the portions grow, until there is no limit.
	sent, room = nil, 20*batchRows
	all := make([]int, 20*batchRows)
	for i := range all {
		all[i] = i
	}
	if err := inPortions(&p, all, send); err != nil || !slices.Equal(sent, all) || p.rows != 0 {
		t.Errorf("%d of %d rows sent, portion of %d, error %v", len(sent), len(all), p.rows, err)
	}
	if err := inPortions(&p, []int{1, 2}, func([]int) error { return &tooLarge{"x"} }); err == nil || !strings.Contains(err.Error(), "one row") {
		t.Errorf("error %v", err)
	}
	other := errors.New("other")
	calls := 0
	if err := inPortions(&portion{}, []int{1, 2}, func([]int) error { calls++; return other }); err != other || calls != 1 {
		t.Errorf("error %v after %d calls", err, calls)
	}
}

func TestBatch(t *testing.T) {
	var sizes []int
	var last []entry
	b := newBatch(func(rows []entry, alone map[string]bool) error {
		sizes, last = append(sizes, len(rows)), rows
		if len(alone) == 0 || len(alone) > len(rows) {
			t.Errorf("%d rows about %d nodes", len(rows), len(alone))
		}
		return nil
	})
	add := func(key, alone, order string, size int) {
		t.Helper()
		if err := b.add(key, alone, order, size, func(e entry, fresh bool) { e["x"] = key }); err != nil {
			t.Fatal(err)
		}
	}
	for i := range batchRows + 1 {
		for range 2 {
			add(fmt.Sprint(i), fmt.Sprint(i), "", 1)
		}
	}
	for i := range 3 {
		add(fmt.Sprint("large", i), fmt.Sprint("large", i), "", batchBytes/2)
	}
	if err := b.flush(); err != nil {
		t.Fatal(err)
	}
	if want := []int{batchRows, 2, 2}; !slices.Equal(sizes, want) {
		t.Errorf("batches of %v, want %v", sizes, want)
	}
	// A node's rows stay together, up to twice as many, and are sent in order.
	sizes = nil
	for i := range 2*batchRows + 1 {
		add(fmt.Sprint(i), "one", fmt.Sprintf("%06d", 1_000_000-i), 1)
	}
	if err := b.flush(); err != nil {
		t.Fatal(err)
	}
	if want := []int{2 * batchRows, 1}; !slices.Equal(sizes, want) {
		t.Errorf("batches of %v, want %v", sizes, want)
	}
	for _, key := range []string{"b", "a", "c"} {
		add(key, key, key, 1)
	}
	if err := b.flush(); err != nil || fmt.Sprint(last) != "[map[x:a] map[x:b] map[x:c]]" {
		t.Errorf("sent %v, error %v", last, err)
	}
}

// Batches are under way at the same time unless they share a node; what they did
// is counted, and the first error told.
func TestWriters(t *testing.T) {
	report := &TableReport{}
	w := &writers{most: 3, into: report}
	var mu sync.Mutex
	under, most := map[string]bool{}, 0
	gate := make(chan struct{})
	send := func(names ...string) error {
		alone := map[string]bool{}
		for _, n := range names {
			alone[n] = true
		}
		if len(names) == 0 {
			alone = nil
		}
		return w.start(alone, func() (tally, error) {
			mu.Lock()
			for _, n := range names {
				if under[n] || under["all"] {
					t.Errorf("two at the same time have %s", n)
				}
				under[n] = true
			}
			if len(names) == 0 {
				if len(under) > 0 {
					t.Errorf("%v under way beside what must be alone", under)
				}
				under["all"] = true
			}
			most = max(most, len(under))
			mu.Unlock()
			select {
			case <-gate:
			case <-time.After(20 * time.Millisecond):
			}
			mu.Lock()
			defer mu.Unlock()
			for _, n := range names {
				delete(under, n)
			}
			delete(under, "all")
			if slices.Contains(names, "bad") {
				return tally{}, errors.New("it is bad")
			}
			return tally{links: 1}, nil
		})
	}
	for _, names := range [][]string{{"a"}, {"b"}, {"c"}, {"a"}, {"d"}, nil, {"a"}, {"b"}} {
		if err := send(names...); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.wait(); err != nil || report.Links != 8 || most != 3 {
		t.Errorf("%d counted, %d at the same time, error %v", report.Links, most, err)
	}
	close(gate)
	err := send("bad")
	if err == nil {
		err = send("bad")
	}
	if err == nil || err.Error() != "it is bad" {
		t.Errorf("error %v", err)
	}
	if err := w.wait(); err != nil {
		t.Error(err)
	}
}

// A name of a declaration ends up in backticks, where nothing ends them.
func TestQuoteAndOrder(t *testing.T) {
	if got := quote("a`b"); got != "`a``b`" {
		t.Error(got)
	}
	table := func(name, label string, owner string, aliases ...string) *kind.Table {
		t := &kind.Table{Name: name, Label: label, Aliases: aliases, Unowned: owner == ""}
		if owner != "" {
			t.Owner = &kind.Link{Type: "HAS", From: owner}
		}
		return t
	}
	in := []*kind.Table{table("leaf", "Leaf", "Alias"), table("loop", "Loop", "Loop"), table("tree", "Tree", "Root", "Alias"), table("root", "Root", "")}
	var names []string
	for _, t := range order(in) {
		names = append(names, t.Name)
	}
	if want := []string{"root", "tree", "leaf", "loop"}; !slices.Equal(names, want) {
		t.Errorf("order %v, want %v", names, want)
	}
	p := &plan{tables: order(in)}
	for i, want := range []bool{true, true, true, false} { // a node that owns its like waits for all of them
		owner := "nothing"
		if o := p.tables[i].Owner; o != nil {
			owner = o.From
		}
		if p.before(owner, p.tables[i]) != want {
			t.Errorf("%s: before is %v", p.tables[i].Name, !want)
		}
	}
}

// A cancelled load ends with that and deletes nothing.
func TestCancel(t *testing.T) {
	g := testGraph(t)
	first(100).load(t, g, Options{})
	before := query(t, g, nodeIDs)
	ctx, cancel := context.WithCancel(context.Background())
	s := newSnapshot(200).account("1").cell("1/r1/net", store.Complete, nil)
	_, err := load(ctx, g, &s.Manifest, "x", s, Options{Registry: registry, Progress: func(p Progress) {
		if p.Phase == "cleanup" {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if query(t, g, nodeIDs) != before {
		t.Error("nodes went")
	}
}

// A connection that ends while the server commits leaves open whether it did.
// The load goes on, and the graph is as without it.
func TestLostCommit(t *testing.T) {
	direct := testGraph(t)
	first(100).load(t, direct, Options{})
	strip := func() string {
		return query(t, direct, "MATCH (n) OPTIONAL MATCH (n)-[r]->(o) RETURN n.id, n._snap_cells, r._snap_cells, o.id ORDER BY n.id, o.id, type(r)")
	}
	want := strip()
	cypher(t, direct, "MATCH (n) DETACH DELETE n")

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	var commits, cuts atomic.Int64
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", strings.TrimPrefix(direct.uri, "bolt://"))
			if err != nil {
				client.Close()
				return
			}
			go func() { io.Copy(client, server); client.Close() }()
			go func() {
				defer server.Close()
				defer client.Close()
				buffer := make([]byte, 1<<16)
				for {
					n, err := client.Read(buffer)
					if err != nil {
						return
					}
					// Bolt's COMMIT. Every fourth is passed on or not, and its answer never
					// arrives. An attempt takes three: to write, to settle, to look again.
					if bytes.Contains(buffer[:n], []byte{0, 2, 0xb0, 0x12, 0, 0}) && commits.Add(1)%4 == 0 {
						if cuts.Add(1)%2 == 0 {
							client.Close()
							server.Write(buffer[:n])
							time.Sleep(200 * time.Millisecond)
						}
						return
					}
					server.Write(buffer[:n])
				}
			}()
		}
	}()
	g, err := Connect(context.Background(), ConnectOptions{URI: "bolt://" + listener.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(context.Background())
	first(100).load(t, g, Options{})
	if cuts.Load() < 2 {
		t.Errorf("only %d connections were cut", cuts.Load())
	}
	if got := strip(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Who asks a statement that is being planned waits for its plan, and no other.
func TestPlanned(t *testing.T) {
	g := &Graph{plans: &plans{}}
	g.planned(t.Context(), "a") // nothing is being planned
	made := map[string]chan struct{}{"a": make(chan struct{})}
	g.plans.Store(&made)
	g.planned(t.Context(), "b")
	stopped, stop := context.WithCancel(t.Context())
	stop()
	g.planned(stopped, "a")

	waited := make(chan struct{})
	go func() {
		g.planned(t.Context(), "a")
		close(waited)
	}()
	select {
	case <-waited:
		t.Error("did not wait")
	case <-time.After(50 * time.Millisecond):
	}
	close(made["a"])
	<-waited
}

func TestSame(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, offset)
	for _, c := range []struct {
		was, v any
		want   bool
	}{
		{nil, nil, true},
		{nil, "", false},
		{"", nil, false},
		{"a", "a", true},
		{"a", "A", false},
		{int64(1), int64(1), true},
		{int64(1), float64(1), false}, // another type in the graph
		{float64(1), int64(1), false},
		{0.5, 0.5, true},
		{math.NaN(), math.NaN(), false},
		{true, true, true},
		{true, "true", false},
		{at, at, true},
		{at, at.Add(time.Microsecond), false},
		{at.UTC(), at, false}, // named UTC, which Cypher tells from an offset
		{[]any{}, []string{}, true},
		{nil, []string{}, false},
		{[]any{}, nil, false},
		{[]any{"a", "b"}, []string{"a", "b"}, true},
		{[]any{"b", "a"}, []string{"a", "b"}, false},
		{[]any{"a"}, []string{"a", "b"}, false},
		{"a", []string{"a"}, false},
		{[]any{"a"}, "a", false},
		{[]any{int64(1)}, []int64{1}, true},
		{[]any{int64(1)}, []string{"1"}, false},
		{[]any{int64(1)}, []int64{2}, false},
		{[]byte("a"), []byte("a"), false}, // not told
	} {
		if got := same(c.was, c.v); got != c.want {
			t.Errorf("%#v and %#v: %t", c.was, c.v, got)
		}
	}
}

func TestTogether(t *testing.T) {
	l := &loader{o: Options{Writers: 3}}
	var under, most, alone atomic.Int64
	done := make([]atomic.Int64, 9)
	all := make(chan struct{}) // closed once three are under way
	err := l.together(t.Context(), len(done), func(ctx context.Context, i int) error {
		n := under.Add(1)
		defer under.Add(-1)
		most.Store(max(most.Load(), n))
		if n == 3 && i < 3 {
			close(all)
		}
		<-all
		if done[i].Add(1) == 1 && i == 4 {
			return fmt.Errorf("job: %w", &tooLarge{"too large"})
		}
		if done[i].Load() == 2 {
			alone.Add(n)
		}
		return nil
	})
	if err != nil || most.Load() != 3 || alone.Load() != 1 {
		t.Errorf("%v, at most %d at the same time, again with %d", err, most.Load(), alone.Load())
	}
	for i := range done {
		if want := map[bool]int64{true: 2, false: 1}[i == 4]; done[i].Load() != want {
			t.Errorf("%d was done %d times", i, done[i].Load())
		}
	}
	broken, begun := errors.New("broken"), 0
	l.o.Writers = 0 // one after the other
	err = l.together(t.Context(), 5, func(ctx context.Context, i int) error {
		begun++
		if i > 0 {
			return broken
		}
		return nil
	})
	if !errors.Is(err, broken) || begun != 2 {
		t.Errorf("%v after %d", err, begun)
	}
	if err := l.together(t.Context(), 1, func(context.Context, int) error { return &tooLarge{"too large"} }); err == nil {
		t.Error("what is too large alone is no error")
	}
}
