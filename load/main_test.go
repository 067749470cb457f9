package load

import (
	"fmt"
	"os"
	"testing"

	"snap/fixtures/neo4jtest"
)

// everySmallRows is Options.smallRows of every load of the tests.
var everySmallRows int

// twice runs all tests in both ways of writing: with a statement for each
// table, and with all tables' few rows together.
type twice struct{ m *testing.M }

func (t twice) Run() int {
	everySmallRows = -1
	code := t.m.Run()
	everySmallRows = 10_000
	return max(code, t.m.Run())
}

func TestMain(m *testing.M) {
	if uri := os.Getenv("SNAP_TEST_LOAD"); uri != "" {
		fmt.Sscan(os.Getenv("SNAP_TEST_SMALL_ROWS"), &everySmallRows)
		os.Exit(killedChild(uri))
	}
	if uri := os.Getenv("SNAP_TEST_CONNECT"); uri != "" {
		os.Exit(connects(uri, os.Getenv("SNAP_TEST_USER"), os.Getenv("SNAP_TEST_PASSWORD")))
	}
	if os.Getenv("SNAP_TEST_ONCE") != "" { // the benchmarks, and servers that know one way only
		os.Exit(neo4jtest.Run(m))
	}
	os.Exit(neo4jtest.Run(twice{m}))
}
