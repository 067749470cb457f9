# make build   bin/snap
# make test    every test; needs Java and Maven (or Docker, or SNAP_TEST_NEO4J_URI) for Neo4j
# make demo    the main job from end to end on the bundled estate
# make lint    vet, golangci-lint
# make size    the program stays below 80 MB
# make docs    docs/schema.md from the declarations
# make golden  the schema and the Cypher of each sync (fixtures/golden/schema), and what else a load sends
.PHONY: build test demo lint size docs golden

GO ?= go
# One set of flags for all: the SDK's packages are compiled once.
export GOFLAGS += -trimpath
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS = -s -w -buildid= -X main.version=$(VERSION)

build:
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/snap ./cmd/snap

test:
	$(GO) vet ./...
	$(GO) test -timeout 40m ./...

demo: build
	fixtures/demo.sh

lint:
	$(GO) vet ./...
	$(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.14.0 run

size: build
	@bytes=$$(wc -c < bin/snap); echo "bin/snap: $$((bytes / 1000000)) MB"; test $$bytes -le 80000000 || { echo "bin/snap is above 80 MB: does something call reflect's MethodByName, or text/template?" >&2; exit 1; }

docs:
	$(GO) test ./cmd/snap -count=1 -run '^TestSchemaDocument$$' -update

golden:
	$(GO) test ./cmd/snap -count=1 -run '^TestSchemaGolden$$' -update
	$(GO) test ./load -count=1 -run '^TestStatements$$' -update

# Tests that take longer, or need more.
#
# make fuzz            each fuzz target for FUZZTIME
# make test-kill       a hundred collections killed at random moments, of the store's test and of snap collect
# make test-duckdb     DuckDB (from PyPI, with a Python that has venv) reads what we write
# make test-browser    the HTML page of diff in a real Chromium
# make test-neo4j-4.4, make test-neo4j-current  the loading, on the oldest and the newest Neo4j
.PHONY: fuzz test-kill test-duckdb test-browser test-neo4j-4.4 test-neo4j-current
FUZZTIME ?= 60s
DUCKDB ?= 2.0.0
NEO4J_44 ?= 4.4.48
NEO4J_CURRENT ?= 2026.08.1

fuzz:
	@for target in $$(sed -n 's/^func \(Fuzz[A-Za-z]*\)(f .*/\1/p' store/*_test.go); do \
		GO="$(GO)" store/fuzz.sh "$$target" $(FUZZTIME) || exit 1; \
	done

test-kill:
	SNAP_TEST_KILLS=100 $(GO) test ./store -count=1 -timeout 30m -run '^TestKill$$' -v
	SNAP_TEST_KILLS=100 $(GO) test ./cmd/snap -count=1 -timeout 30m -run '^TestKill$$' -v

test-duckdb:
	@venv=$$(mktemp -d) && trap 'rm -rf "$$venv"' EXIT && python3 -m venv "$$venv" && "$$venv/bin/pip" install --quiet duckdb==$(DUCKDB) && \
	SNAP_TEST_PYTHON="$$venv/bin/python" $(GO) test -tags duckdb ./store ./cmd/snap -count=1 -run '^TestDuckDB$$' -v

test-browser:
	$(GO) test -tags browser ./diff -count=1 -run HTML

# What depends on the server's Cypher, settings and errors; what depends on chance and time is tested once, with Neo4j 5,
# of which testdata/statements.cypher is, too. The importer of 4.4 takes other arguments than that of 5.
# 4.4 wants Java 11 to 17, the newest one 21 or later: each is looked for in PATH, JAVA_HOME and /usr/lib/jvm.
test-neo4j-4.4: export SNAP_TEST_NEO4J_VERSION = $(NEO4J_44)
test-neo4j-current: export SNAP_TEST_NEO4J_VERSION = $(NEO4J_CURRENT)
test-neo4j-4.4: NOT = |TestExport
test-neo4j-4.4 test-neo4j-current:
	SNAP_TEST_ONCE=1 $(GO) test ./load -short -count=1 -skip '^(TestKilled|TestServerRestarts|TestModel|TestStatements|TestCluster|TestClusterEstate|TestNoLeader$(NOT))$$'
	$(GO) test ./cmd/snap -count=1 -run '^TestParity$$'

# Tests against Cartography itself; they need the oracle (ORACLE).
#
# make test-parity     snap's graph against Cartography's, of estates of SEEDS, of the size SCALE
# make test-moving-in  Cartography, then snap, then Cartography again on one graph
# make test-drift      snap diff judged by what the test estate says that it changed
.PHONY: test-parity test-moving-in test-drift
test-parity: export SEEDS ?= 1 2 3
test-parity: export SCALE ?= 0.5
test-parity:
	$(GO) test -tags parity ./cmd/snap -count=1 -timeout 120m -run '^TestParitySeeds$$' -v

test-moving-in:
	$(GO) test -tags movingin ./cmd/snap -count=1 -timeout 60m -run '^TestMovingInAndOut$$' -v

test-drift: build
	GO=$(GO) diff/drift/run.sh $(CURDIR)/bin/snap

# What docs/benchmarks.md tells; each states ratios taken in one run.
#
# make bench              all of them but those that need the oracle; some 40 minutes
# make bench-store        the store against bare parquet-go, and its limits
# make bench-collect      the collection at 50 ms a call, as recorded and for 100 accounts × 17 regions
# make bench-load         loading against a bare UNWIND/MERGE loop, its memory (ROWS: how many nodes), permissions, CREATE
# make bench-export       exporting for neo4j-admin, importing and completing against loading (ROWS); the export's memory
# make bench-diff         a million rows against a million, beside a bare read of both; then against a graph (ROWS)
# make bench-ec2          collecting and loading 20,000 instances, and how that grows from 2,000
# make bench-cartography  the requests and seconds of Cartography and snap on the same fake AWS; needs the oracle
# make bench-writing      loading against Cartography's own writing of an estate (SEED, SCALE); needs the oracle
.PHONY: bench bench-store bench-collect bench-load bench-export bench-diff bench-ec2 bench-cartography bench-writing
bench: bench-store bench-collect bench-load bench-export bench-diff bench-ec2

bench-store:
	$(GO) test -tags bench ./store -count=1 -timeout 60m -run '^TestBench' -v

bench-collect: build
	$(GO) run ./fixtures/cmd/benchcollect

bench-load:
	SNAP_TEST_ONCE=1 $(GO) test -tags bench ./load -count=1 -timeout 60m -run '^TestBench(Load|Permissions|Create)$$' -v
	SNAP_TEST_ONCE=1 $(GO) test -tags bench ./load -count=1 -timeout 60m -run '^TestBenchMemory$$' -v # in a process of its own

bench-export:
	SNAP_TEST_ONCE=1 $(GO) test -tags bench ./load -count=1 -timeout 60m -run '^TestBenchExportMemory$$' -v # in a process of its own
	SNAP_TEST_ONCE=1 $(GO) test -tags bench ./load -count=1 -timeout 60m -run '^TestBenchExport$$' -v

bench-diff:
	$(GO) test ./diff -run '^$$' -bench '^BenchmarkDiff$$' -benchtime 1x
	$(GO) test -tags bench ./cmd/snap -count=1 -timeout 60m -run '^TestBenchDiffGraph$$' -v

bench-ec2: build
	$(GO) run ./fixtures/cmd/benchec2

bench-cartography: build
	fixtures/bench-cartography.sh

bench-writing:
	$(GO) test -tags movingin ./cmd/snap -count=1 -timeout 120m -run '^TestBenchWriting$$' -v
