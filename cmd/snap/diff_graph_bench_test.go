//go:build bench

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"snap/fixtures/neo4jtest"
	"snap/store"
	"snap/store/kind"
)

// TestBenchDiffGraph compares a snapshot of many instances, each in a subnet
// and a security group, with the graph that it was loaded into (ROWS: how many
// instances). make bench-diff runs it.
func TestBenchDiffGraph(t *testing.T) {
	n := 100_000
	if s := os.Getenv("ROWS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	server, _ := neo4jtest.Get(t)
	started := time.Date(2024, 5, 1, 6, 0, 0, 0, time.UTC)
	dir := filepath.Join(t.TempDir(), "snap")
	var regions []string
	const cells = 10
	for i := range cells {
		regions = append(regions, fmt.Sprintf("us-east-%d", i))
	}
	w, err := store.Create(dir, store.Manifest{Program: "snap test", Started: started, Syncs: []string{"account", "ec2:instance"},
		Accounts: []store.Account{{Provider: "aws", ID: account, Name: "prod", Regions: regions}}})
	if err != nil {
		t.Fatal(err)
	}
	sync := registry().Sync("ec2:instance")
	var tables []*kind.Table
	put := func(sync *kind.Sync, region string, rows func(c *store.CellWriter)) {
		c := w.Cell(store.CellID{Provider: "aws", Account: account, Sync: sync.Name, Region: region})
		rows(c)
		if err := c.Close(sync.Tables, store.Outcome{State: store.Complete, Started: started, Finished: started}); err != nil {
			t.Fatal(err)
		}
	}
	tables = append(tables, registry().Sync("account").Tables...)
	put(registry().Sync("account"), "", func(c *store.CellWriter) {
		c.Put(registry().Table("account"), fill(t, registry().Table("account"), r{"id": account, "name": "prod"}))
	})
	tables = append(tables, sync.Tables...)
	for i, region := range regions {
		put(sync, region, func(c *store.CellWriter) {
			instances, subnets, groups := registry().Table("ec2_instance"), registry().Table("ec2_instance_subnet"), registry().Table("ec2_instance_security_group")
			members := map[string][]string{}
			for k := range n / cells {
				id := fmt.Sprintf("i-%02d%08d", i, k)
				subnet := fmt.Sprintf("subnet-%d-%d", i, k%100)
				members[subnet] = append(members[subnet], id)
				c.Put(instances, fill(t, instances, r{"id": id, "instanceid": id, "region": region, "state": "running", "instancetype": "m5.large", "imageid": "ami-1", "privateipaddress": "10.0.0.1"}))
			}
			for subnet, ids := range members {
				c.Put(subnets, fill(t, subnets, r{"id": subnet, "subnetid": subnet, "region": region, "_instance_ids": ids}))
			}
			c.Put(groups, fill(t, groups, r{"id": "sg-" + region, "groupid": "sg-" + region, "region": region}))
		})
	}
	if _, err := w.Commit(tables, started); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	since := time.Now()
	must(t, []int{exitOK}, "load", dir, "--neo4j-uri", server.URI, "--no-analysis")
	loaded := time.Since(since)
	stop, peak := make(chan struct{}), make(chan uint64)
	runtime.GC()
	go func() {
		var most uint64
		var m runtime.MemStats
		for {
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse+m.StackInuse)
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	since = time.Now()
	code, out, stderr := snapDiff(t, dir, server.URI)
	took := time.Since(since)
	close(stop)
	if code != diffSame {
		t.Fatalf("exit code %d: %.3000s%s", code, out, stderr)
	}
	t.Logf("%d instances: load %.1f s; diff against the graph %.1f s, %d MB at most", n, loaded.Seconds(), took.Seconds(), <-peak/1e6)
}
