package load

import (
	"testing"

	"snap/fixtures/neo4jtest"
)

func TestMain(m *testing.M) { neo4jtest.Main(m) }
