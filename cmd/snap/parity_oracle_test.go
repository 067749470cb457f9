//go:build parity

package main

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/neo4j/neo4j-go-driver/v5/neo4j"
)

// TestParitySeeds compares snap's graph with Cartography's as TestParity does,
// on estates that are not recorded: one for each of SEEDS, of the size SCALE.
// It needs the oracle (ORACLE) and minutes for each: make test-parity.
func TestParitySeeds(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none.yaml")
	if err := os.WriteFile(none, []byte("[]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	seeds := strings.Fields(cmp.Or(os.Getenv("SEEDS"), "1 2 3"))
	for _, seed := range seeds {
		t.Run(seed, func(t *testing.T) {
			o := newOracle(t)
			o.seed(seed, cmp.Or(os.Getenv("SCALE"), "0.5"))
			o.cartography() // it links only to what its graph already holds
			theirs := o.cartography()
			if len(theirs.Nodes) < 1000 {
				t.Fatalf("Cartography's graph has but %d nodes", len(theirs.Nodes))
			}
			snapshot := o.collect()
			if _, err := neo4j.ExecuteQuery(t.Context(), o.driver, "MATCH (n) DETACH DELETE n", nil, neo4j.EagerResultTransformer); err != nil {
				t.Fatal(err)
			}
			must(t, []int{exitOK, exitIncomplete}, "load", snapshot, "--neo4j-uri", o.uri, "--permission-relationships-file", none)
			ours := o.dump()
			t.Logf("Cartography: %d nodes, %d relationships; snap: %d and %d", len(theirs.Nodes), len(theirs.Rels), len(ours.Nodes), len(ours.Rels))
			same(t, theirs, ours)
		})
	}
}
