package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"snap/collect/aws/api"
	"snap/fixtures/neo4jtest"
	"snap/store"
)

// TestGolden loads a snapshot that the first release of each format wrote, of
// the recorded estate's networks: its things are in the graph with their
// properties, and nothing else of their labels. fixtures/format-N/estate.snap
// never changes.
func TestGolden(t *testing.T) {
	for n := 1; n <= store.Format; n++ {
		server, driver := neo4jtest.Get(t)
		bundle := filepath.Join("..", "..", "fixtures", fmt.Sprint("format-", n), "estate.snap")
		if _, err := os.Stat(bundle); err != nil {
			t.Fatalf("format %d has no golden estate: %v", n, err)
		}
		must(t, []int{exitOK}, "verify", bundle, "--read-data")
		must(t, []int{exitOK}, "load", bundle, "--neo4j-uri", server.URI)
		s, err := store.Open(bundle)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for label, c := range map[string]struct {
			table, column, property string
			rows                    int
		}{
			"AWSVpc":    {"ec2_vpc", "primary_cidr_block", "primary_cidr_block", 10},
			"EC2Subnet": {"ec2_subnet", "cidr_block", "cidr_block", 34},
		} {
			table := api.Registry.Table(c.table)
			if table == nil {
				t.Fatalf("there is no table %s", c.table)
			}
			id, _ := table.Column("id")
			column, ok := table.Column(c.column)
			if !ok {
				t.Fatalf("%s has no column %s", c.table, c.column)
			}
			var want []string
			for _, cell := range s.Manifest.Cells {
				for _, f := range cell.Files {
					if f.Table != c.table {
						continue
					}
					rows, _, _ := s.Read(table, f)
					for r, err := range rows {
						if err != nil {
							t.Fatal(err)
						}
						want = append(want, fmt.Sprint(r[id], " ", r[column]))
					}
				}
			}
			slices.Sort(want)
			var got []string
			for _, v := range one(t, driver, fmt.Sprintf("MATCH (n:%s) WHERE n.lastupdated = %d WITH n.id + ' ' + n.%s AS x ORDER BY x RETURN collect(x)", label, s.Manifest.Tag(), c.property)).([]any) {
				got = append(got, v.(string))
			}
			slices.Sort(got)
			if len(want) != c.rows || !slices.Equal(got, want) {
				t.Errorf("format %d: of %s the graph has %q, the snapshot %q", n, label, got, want)
			}
		}
	}
}
