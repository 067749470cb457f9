package load

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"snap/store"
	"snap/store/kind"
)

// estateOf is a snapshot of some thousand nodes; the second one has lost and
// gained some.
func estateOf(tag int64) *snapshot { return estateOfSize(tag, 1000) }

// estateOfSize is estateOf with that many VPCs in each account, of which the
// first has the number of the tag.
func estateOfSize(tag int64, vpcsEach int) *snapshot {
	from, end := int(tag), int(tag)+vpcsEach
	s := newSnapshot(tag)
	for _, a := range []string{"1", "2"} {
		s.account(a).cell(a+"/r1/net", store.Complete, func(to kind.Sink) {
			for i := from; i < end; i++ {
				id := fmt.Sprintf("v%s-%d", a, i)
				vpcs.Put(to, vpcRow{ID: id, Name: ptr(fmt.Sprint("name", i, " at ", tag))})
				ranges.Put(to, rangeRow{"range " + id, id})
				subnets.Put(to, subnetRow{ID: "s" + id, VPC: &id})
			}
		}).cell(a+"/r1/ec2:vm", store.Complete, func(to kind.Sink) {
			for i := from; i < end; i++ {
				vms.Put(to, vmRow{ID: fmt.Sprintf("i%s-%d", a, i)})
				stubs.Put(to, stubRow{ID: fmt.Sprintf("sv%s-%d", a, i), Seen: ptr("yes"), VMs: []string{fmt.Sprintf("i%s-%d", a, i)}})
			}
		})
	}
	return s
}

// withoutTimes is the whole graph but for when something was first seen.
func withoutTimes(t *testing.T, g *Graph) string {
	t.Helper()
	return query(t, g, "MATCH (n) RETURN labels(n), n{.*, firstseen: n.firstseen > 0} ORDER BY n.id, labels(n)") +
		query(t, g, "MATCH (a)-[r]->(b) RETURN a.id, type(r), b.id, r{.*, firstseen: r.firstseen > 0} ORDER BY a.id, b.id, type(r)")
}

// killedChild is the load of a child process, which the test kills.
func killedChild(uri string) int {
	ctx := context.Background()
	g, err := Connect(ctx, ConnectOptions{URI: uri})
	if err == nil {
		fmt.Println("loading")
		_, err = estateOf(200).try(g, Options{MaxDelete: 1})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// A load that is killed at any moment and done again leaves the same graph as
// one that nobody disturbed.
func TestKilled(t *testing.T) {
	g := testGraph(t)
	start := func() {
		cypher(t, g, "MATCH (n) DETACH DELETE n")
		estateOf(100).load(t, g, Options{})
	}
	start()
	began := time.Now()
	estateOf(200).load(t, g, Options{MaxDelete: 1})
	takes := time.Since(began)
	want := withoutTimes(t, g)
	if n := strings.Count(want, "\n"); n < 10_000 {
		t.Fatalf("only %d nodes and relationships", n)
	}
	between := 0
	for i := range 6 {
		start()
		before := withoutTimes(t, g)
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "SNAP_TEST_LOAD="+g.uri, fmt.Sprint("SNAP_TEST_SMALL_ROWS=", everySmallRows))
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, len("loading\n"))); err != nil {
			t.Fatal(err)
		}
		after := time.Duration(float64(takes) * (float64(i) + rand.Float64()) / 6)
		time.Sleep(after)
		if err := child.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		child.Wait() // it was killed, or was done before
		if got := withoutTimes(t, g); got != before && got != want {
			between++
		}
		estateOf(200).load(t, g, Options{MaxDelete: 1})
		if got := withoutTimes(t, g); got != want {
			t.Fatalf("killed after %v: the graph differs from that of an undisturbed load", after)
		}
	}
	if between == 0 {
		t.Error("no load was killed between its beginning and its end")
	}
}

// proxy is a way to a server that can be closed for a while, as if the server
// were stopped and started.
type proxy struct {
	address, server string

	mu       sync.Mutex
	listener net.Listener
	open     map[net.Conn]bool
}

func newProxy(t *testing.T, server string) *proxy {
	p := &proxy{address: "127.0.0.1:0", server: server, open: map[net.Conn]bool{}}
	p.start(t)
	return p
}

func (p *proxy) start(t *testing.T) {
	l, err := net.Listen("tcp", p.address)
	if err != nil {
		t.Error(err)
		return
	}
	p.mu.Lock()
	p.listener, p.address = l, l.Addr().String()
	p.mu.Unlock()
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", p.server)
			if err != nil {
				client.Close()
				return
			}
			p.mu.Lock()
			p.open[client], p.open[server] = true, true
			p.mu.Unlock()
			go func() { io.Copy(client, server); client.Close() }()
			go func() { io.Copy(server, client); server.Close() }()
		}
	}()
}

// stop cuts all connections; what they have begun the server undoes.
func (p *proxy) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener.Close()
	for c := range p.open {
		c.Close()
	}
	clear(p.open)
}

// A server that stops and starts while a load runs delays it.
func TestServerRestarts(t *testing.T) {
	direct := testGraph(t)
	estateOf(100).load(t, direct, Options{})
	estateOf(200).load(t, direct, Options{MaxDelete: 1})
	want := withoutTimes(t, direct)
	cypher(t, direct, "MATCH (n) DETACH DELETE n")
	estateOf(100).load(t, direct, Options{})

	p := newProxy(t, strings.TrimPrefix(direct.uri, "bolt://"))
	defer p.stop()
	g, err := Connect(context.Background(), ConnectOptions{URI: "bolt://" + p.address})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(context.Background())
	stopped := map[string]bool{}
	var restarts sync.WaitGroup
	_, err = estateOf(200).try(g, Options{MaxDelete: 1, Progress: func(at Progress) {
		if at.Phase == "indexes" || stopped[at.Phase] {
			return
		}
		stopped[at.Phase] = true
		restarts.Go(func() {
			time.Sleep(time.Duration(rand.IntN(30)) * time.Millisecond)
			p.stop()
			time.Sleep(700 * time.Millisecond)
			p.start(t)
		})
	}})
	restarts.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if len(stopped) < 3 {
		t.Errorf("stopped only while at %v", stopped)
	}
	if got := withoutTimes(t, direct); got != want {
		t.Error("the graph differs from that of an undisturbed load")
	}
}
