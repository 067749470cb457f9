//go:build movingin

package main

import (
	"cmp"
	"os"
	"testing"
)

// TestMovingInAndOut has Cartography itself read an estate into a Neo4j, loads
// snap's snapshot of it over that, and then lets Cartography sync again. It
// needs the oracle (ORACLE) and some ten minutes: make test-moving-in.
func TestMovingInAndOut(t *testing.T) {
	o := newOracle(t)
	o.seed(cmp.Or(os.Getenv("SEED"), "1"), cmp.Or(os.Getenv("SCALE"), "0.5"))
	o.cartography() // it links only to what its graph already holds
	theirs := o.cartography()
	movesIn(t, o.driver, o.uri, o.collect(), theirs)

	twice := doubles(t, o.driver)
	same(t, theirs, o.cartography())
	if now := doubles(t, o.driver); now != twice {
		t.Errorf("Cartography's next sync made something twice: before\n%s\nnow\n%s", twice, now)
	}
}
