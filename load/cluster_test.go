package load

import (
	"context"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"snap/fixtures/boltcluster"
)

// startCluster is a double of a cluster of three members before a server. Its
// routing tables hold for five minutes, Neo4j's default: that they are wrong by
// then the driver has to find out.
func startCluster(t *testing.T, server *Graph, o boltcluster.Options) *boltcluster.Cluster {
	t.Helper()
	o.Members, o.TTL = 3, 5*time.Minute
	if o.Dial == nil {
		o.Dial = func() (net.Conn, error) { return net.Dial("tcp", strings.TrimPrefix(server.uri, "bolt://")) }
	}
	c, err := boltcluster.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// through connects to a cluster by its first member.
func through(t *testing.T, c *boltcluster.Cluster) *Graph {
	t.Helper()
	return connected(t, "neo4j://"+c.Address(0))
}

// Whatever happens in a cluster while a load runs, the graph is that of a load
// that nobody disturbed, and no read may miss what was written before it.
func TestCluster(t *testing.T) {
	const size = 80 // 50 VPCs of two estates are the same
	direct := testGraph(t)
	o := Options{MaxDelete: 1, Force: true}
	want := map[int64]string{}
	for _, tag := range []int64{100, 130, 100} { // each over the other
		estateOfSize(tag, size).load(t, direct, o)
		want[tag] = withoutTimes(t, direct)
	}
	if n := strings.Count(want[130], "\n"); n < 800 {
		t.Fatalf("only %d nodes and relationships", n)
	}
	type cluster = boltcluster.Cluster
	set := func(c *cluster, member int, s boltcluster.State) {
		if err := c.Set(member, s); err != nil {
			t.Error(err)
		}
	}
	moves := func(c *cluster) { c.Lead((c.Leader() + 1) % 3) }
	fates := []boltcluster.Fate{boltcluster.CommitsThenFails, boltcluster.CommitsThenCuts, boltcluster.CommitsThenCutsShort, boltcluster.CutsInstead, boltcluster.FailsInstead}
	var statements int // of a load
	tag := int64(100)
	for _, s := range []struct {
		name      string
		disturb   map[int]func(*cluster) // at which of five moments of the load
		commit    func(c *cluster, n int) boltcluster.Fate
		disturbed func(boltcluster.Seen) bool
	}{
		{name: "nothing happens", disturbed: func(s boltcluster.Seen) bool { return s.Refused+s.Lost == 0 }},
		{name: "leadership moves", disturb: map[int]func(*cluster){0: moves, 1: moves, 2: moves, 3: moves, 4: moves},
			disturbed: func(s boltcluster.Seen) bool { return s.Lost >= 3 }},
		{name: "leadership moves between transactions", commit: func(c *cluster, n int) boltcluster.Fate {
			if n == 2 || n == 4 || n == 7 {
				go moves(c) // waits for the commit
			}
			return boltcluster.Commits
		}, disturbed: func(s boltcluster.Seen) bool { return s.Refused >= 2 }},
		{name: "the leader, who is the seed, stops and another takes over, and again", disturb: map[int]func(*cluster){
			0: func(c *cluster) {
				set(c, 0, boltcluster.Down)
				time.AfterFunc(700*time.Millisecond, func() { c.Lead(1) })
			},
			3: func(c *cluster) { set(c, 1, boltcluster.HangsUp); c.Lead(2) },
		}, disturbed: func(s boltcluster.Seen) bool { return s.Writes[0] > 0 && s.Writes[1] > 0 && s.Writes[2] > 0 }},
		{name: "no leader for two seconds", disturb: map[int]func(*cluster){2: func(c *cluster) {
			c.Lead(-1)
			time.AfterFunc(2*time.Second, func() { c.Lead(1) })
		}}, disturbed: func(s boltcluster.Seen) bool { return s.Routes > 10 && s.Writes[1] > 0 }},
		{name: "readers vanish", disturb: map[int]func(*cluster){
			1: func(c *cluster) { set(c, 1, boltcluster.Down) },
			2: func(c *cluster) { set(c, 2, boltcluster.HangsUp) },
			3: func(c *cluster) { set(c, 1, boltcluster.Up) },
		}, disturbed: func(s boltcluster.Seen) bool { return s.Reads[1]+s.Reads[2] > 0 }},
		{name: "the database is not available for a time", disturb: map[int]func(*cluster){
			1: func(c *cluster) {
				set(c, 0, boltcluster.Unavailable)
				time.AfterFunc(time.Second, func() { set(c, 0, boltcluster.Up) })
			},
			3: func(c *cluster) {
				for _, follower := range []int{1, 2} {
					set(c, follower, boltcluster.Unavailable)
					time.AfterFunc(time.Second, func() { set(c, follower, boltcluster.Up) })
				}
			},
		}, disturbed: func(s boltcluster.Seen) bool { return s.Routes > 1 }},
		{name: "commits are done and said to fail", commit: func(_ *cluster, n int) boltcluster.Fate {
			if n%3 > 0 {
				return boltcluster.Commits
			}
			return boltcluster.CommitsThenFails
		}, disturbed: func(s boltcluster.Seen) bool { return s.Commits > 12 }},
		{name: "commits fail, which may be done", commit: func(_ *cluster, n int) boltcluster.Fate {
			if n%2 > 0 {
				return boltcluster.Commits
			}
			return fates[n/2%len(fates)]
		}, disturbed: func(s boltcluster.Seen) bool { return s.Commits >= 2*len(fates) }},
	} {
		tag = 230 - tag
		c := startCluster(t, direct, boltcluster.Options{})
		g := through(t, c)
		at := map[int]int{} // statement → moment
		for moment := range s.disturb {
			at[1+statements*moment/5+rand.IntN(max(statements/5, 1))] = moment
		}
		c.OnStatement(func(n int) {
			if moment, ok := at[n]; ok {
				s.disturb[moment](c)
			}
		})
		if s.commit != nil {
			c.OnCommit(func(n int) boltcluster.Fate { return s.commit(c, n) })
		}
		_, err := estateOfSize(tag, size).try(g, o)
		seen := c.Seen()
		if err != nil {
			t.Errorf("%s: %v", s.name, err)
			estateOfSize(tag, size).load(t, direct, o)
		}
		if statements == 0 {
			statements = seen.Statements
		}
		if !s.disturbed(seen) {
			t.Errorf("%s: it was not disturbed: %+v", s.name, seen)
		}
		if seen.Bookmarked == 0 || seen.Behind > 0 {
			t.Errorf("%s: %d reads had bookmarks, %d followers may have answered without the last write", s.name, seen.Bookmarked, seen.Behind)
		}
		if withoutTimes(t, direct) != want[tag] {
			t.Errorf("%s: the graph differs from that of an undisturbed load", s.name)
			estateOfSize(tag, size).load(t, direct, o)
		}
	}
}

// Leadership that moves at any time in the middle of large transactions delays
// the load of an estate.
func TestClusterEstate(t *testing.T) {
	direct := testGraph(t)
	estateOf(100).load(t, direct, Options{})
	want := withoutTimes(t, direct)
	if n := strings.Count(want, "\n"); n < 10_000 {
		t.Fatalf("only %d nodes and relationships", n)
	}
	cypher(t, direct, "MATCH (n) DETACH DELETE n")
	c := startCluster(t, direct, boltcluster.Options{})
	g := through(t, c)
	loaded, done := make(chan bool), make(chan bool)
	go func() {
		defer close(done)
		for i := range 8 {
			select {
			case <-loaded:
				return
			case <-time.After(time.Duration(100+rand.IntN(500)) * time.Millisecond):
			}
			next := (c.Leader() + 1 + i%2) % 3
			if err := c.Set(next, boltcluster.Up); err != nil {
				t.Error(err)
			}
			if i%3 == 2 {
				if err := c.Set(c.Leader(), boltcluster.Down); err != nil {
					t.Error(err)
				}
			}
			c.Lead(next)
		}
	}()
	_, err := estateOf(100).try(g, Options{})
	close(loaded)
	<-done
	if err != nil {
		t.Fatal(err)
	}
	seen := c.Seen()
	if seen.Lost == 0 || seen.Behind > 0 {
		t.Errorf("it was not disturbed, or followers may have answered without the last write: %+v", seen)
	}
	if withoutTimes(t, direct) != want {
		t.Error("the graph differs from that of an undisturbed load")
	}
}

// A cluster without a leader ends a load in one line, as does a member that does
// not become one. A database that comes up is waited for.
func TestNoLeader(t *testing.T) {
	if everySmallRows > 0 {
		return // it was run before, and is the same in both ways of writing
	}
	direct := testGraph(t)
	var all sync.WaitGroup
	for _, c := range []struct {
		scheme string
		leader int
		member boltcluster.State // for a second
		want   string            // empty: it is written to
	}{
		{scheme: "neo4j", leader: -1, want: "the cluster has had no leader for the database neo4j: see with SHOW DATABASES which members are missing, start them and load again"},
		{scheme: "bolt", leader: 1, want: "use neo4j:// instead of bolt://"},
		{scheme: "neo4j", leader: 0, member: boltcluster.Unavailable},
		{scheme: "bolt", leader: 0, member: boltcluster.Unavailable},
	} {
		cluster := startCluster(t, direct, boltcluster.Options{})
		cluster.Lead(c.leader)
		for member := range 3 {
			if err := cluster.Set(member, c.member); err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(time.Second, func() {
				if err := cluster.Set(member, boltcluster.Up); err != nil {
					t.Error(err)
				}
			})
		}
		all.Go(func() {
			began := time.Now()
			g, err := Connect(context.Background(), ConnectOptions{URI: c.scheme + "://" + cluster.Address(0)})
			if err != nil {
				t.Errorf("%+v: %v", c, err)
				return
			}
			defer g.Close(context.Background())
			g.retryFor, g.leaderFor = 2*time.Second, time.Second
			_, _, err = g.write(context.Background(), statement{cypher: "CREATE (:Written)"})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("%+v: %v", c, err)
			}
			if took := time.Since(began); took > 20*time.Second { // the driver itself goes on for ten
				t.Errorf("%+v took %s", c, took)
			}
		})
	}
	all.Wait()
	expect(t, direct, "MATCH (n:Written) RETURN count(n)", "[2]")
}
