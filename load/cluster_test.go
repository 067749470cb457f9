package load

import (
	"context"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"snap/fixtures/boltcluster"
)

// startCluster is a double of a cluster of three before the tests' server.
func startCluster(t *testing.T, direct *Graph, o boltcluster.Options) *boltcluster.Cluster {
	t.Helper()
	o.Members, o.TTL = 3, 5*time.Minute // Neo4j's: what changes the driver has to find out
	if o.Dial == nil {
		o.Dial = func() (net.Conn, error) { return net.Dial("tcp", strings.TrimPrefix(direct.uri, "bolt://")) }
	}
	c, err := boltcluster.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// undisturbed leaves the graph of estateOf(100), loaded over that of estateOf(200),
// and tells both, each loaded over the other.
func undisturbed(t *testing.T, direct *Graph) map[int64]string {
	t.Helper()
	want := map[int64]string{}
	for _, tag := range []int64{100, 200, 100} {
		estateOf(tag).load(t, direct, Options{MaxDelete: 1, Force: true})
		want[tag] = withoutTimes(t, direct)
	}
	if n := strings.Count(want[200], "\n"); n < 10_000 {
		t.Fatalf("only %d nodes and relationships", n)
	}
	return want
}

// Whatever happens in a cluster while a load runs, the graph is that of a load
// that nobody disturbed.
func TestCluster(t *testing.T) {
	direct := testGraph(t)
	want := undisturbed(t, direct)
	pause := func(from, to int) { time.Sleep(time.Duration(from+rand.IntN(to-from)) * time.Millisecond) }
	set := func(c *boltcluster.Cluster, member int, s boltcluster.State) {
		if err := c.Set(member, s); err != nil {
			t.Error(err)
		}
	}
	tag := int64(100)
	for _, s := range []struct {
		name    string
		disturb func(c *boltcluster.Cluster, done <-chan bool)
		met     func(boltcluster.Seen) bool // that it was disturbed
	}{
		{"nothing happens", func(*boltcluster.Cluster, <-chan bool) {}, func(s boltcluster.Seen) bool { return s.Refused+s.Lost == 0 && s.Commits > 0 }},
		{"leadership moves", func(c *boltcluster.Cluster, done <-chan bool) {
			for i := 0; i < 6; i++ {
				pause(30, 300)
				c.Lead((c.Leader() + 1) % 3)
			}
		}, func(s boltcluster.Seen) bool { return s.Refused+s.Lost > 1 }},
	} {
		tag = 300 - tag
		c := startCluster(t, direct, boltcluster.Options{})
		g, err := Connect(context.Background(), ConnectOptions{URI: "neo4j://" + c.Address(0)})
		if err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		began := time.Now()
		done, disturbed := make(chan bool), make(chan bool)
		go func() {
			defer close(disturbed)
			s.disturb(c, done)
		}()
		_, err = estateOf(tag).try(g, Options{MaxDelete: 1, Force: true})
		close(done)
		<-disturbed
		seen := c.Seen()
		t.Logf("%s: %.1f s: %+v", s.name, time.Since(began).Seconds(), seen)
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
		}
		if !s.met(seen) {
			t.Errorf("%s: it was not disturbed: %+v", s.name, seen)
		}
		if withoutTimes(t, direct) != want[tag] {
			t.Errorf("%s: the graph differs from that of an undisturbed load", s.name)
		}
		g.Close(context.Background())
	}
	_ = set
}
