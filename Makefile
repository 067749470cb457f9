# make build   bin/snap
# make test    every test; needs Java and Maven (or Docker, or SNAP_TEST_NEO4J_URI) for Neo4j
# make demo    the main job from end to end on the bundled estate
# make lint    vet, golangci-lint
# make size    the program stays below 80 MB
# make test-browser  the HTML page of diff in a real Chromium
.PHONY: build test demo lint size test-browser

GO ?= go
# One set of flags for all: the SDK's packages are compiled once.
export GOFLAGS += -trimpath
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS = -s -w -buildid= -X main.version=$(VERSION)

build:
	$(GO) build -ldflags '$(LDFLAGS)' -o bin/snap ./cmd/snap

test:
	$(GO) vet ./...
	$(GO) test ./...

test-browser:
	$(GO) test -tags browser ./diff -count=1 -run HTML

demo: build
	fixtures/demo.sh

lint:
	$(GO) vet ./...
	$(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.14.0 run

size: build
	@bytes=$$(wc -c < bin/snap); echo "bin/snap: $$((bytes / 1000000)) MB"; test $$bytes -le 80000000 || { echo "bin/snap is above 80 MB: does something call reflect's MethodByName, or text/template?" >&2; exit 1; }

# make fuzz         each fuzz target for FUZZTIME
# make test-kill    a hundred collections, killed at random moments
# make test-duckdb  DuckDB (from PyPI) reads what we write
# make bench-store  the store against bare parquet-go, and its limits
.PHONY: fuzz test-kill test-duckdb bench-store
FUZZTIME ?= 60s

fuzz:
	@for target in FuzzManifest FuzzBundle FuzzParquet; do \
		$(GO) test ./store -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 5x || exit 1; \
	done

test-kill:
	SNAP_TEST_KILLS=100 $(GO) test ./store -count=1 -run '^TestKill$$' -v

test-duckdb:
	@venv=$$(mktemp -d) && trap 'rm -rf "$$venv"' EXIT && python3 -m venv "$$venv" && "$$venv/bin/pip" install --quiet duckdb && \
	SNAP_TEST_PYTHON="$$venv/bin/python" $(GO) test -tags duckdb ./store -count=1 -run '^TestDuckDB$$' -v

bench-store:
	$(GO) test -tags bench ./store -count=1 -timeout 60m -run '^TestBench' -v

# make bench-collect  the collection at 50 ms a call, as recorded and for 100 accounts × 17 regions
.PHONY: bench-collect
bench-collect: build
	$(GO) run ./fixtures/cmd/benchcollect

# make bench-load      loading against a bare UNWIND/MERGE loop, and its memory (ROWS: how many nodes)
# make bench-writing   loading against Cartography's own writing of an estate (SEED, SCALE); needs the oracle (ORACLE)
# make test-neo4j-4.4, make test-neo4j-current  the loading, on the oldest and the newest Neo4j
# make test-moving-in  Cartography, then snap, then Cartography again on one graph; needs the oracle (ORACLE)
.PHONY: bench-load bench-writing test-moving-in test-neo4j-4.4 test-neo4j-current
NEO4J_44 ?= 4.4.48
NEO4J_CURRENT ?= 2026.08.1

bench-load:
	SNAP_TEST_ONCE=1 $(GO) test -tags bench ./load -count=1 -timeout 60m -run '^TestBenchLoad$$' -v
	SNAP_TEST_ONCE=1 $(GO) test -tags bench ./load -count=1 -timeout 60m -run '^TestBenchMemory$$' -v
	SNAP_TEST_ONCE=1 $(GO) test -tags bench ./load -count=1 -timeout 60m -run '^TestBench(Permissions|Create)$$' -v

test-moving-in:
	$(GO) test -tags movingin ./cmd/snap -count=1 -timeout 60m -run '^TestMovingIn' -v

bench-writing:
	$(GO) test -tags movingin ./cmd/snap -count=1 -timeout 120m -run '^TestBenchWriting$$' -v

# What depends on the server's Cypher, settings and errors; what depends on chance and time is tested once, with Neo4j 5.
# 4.4 wants Java 11 to 17, the newest one 21 or later: each is looked for in PATH, JAVA_HOME and /usr/lib/jvm.
test-neo4j-4.4: export SNAP_TEST_NEO4J_VERSION = $(NEO4J_44)
test-neo4j-current: export SNAP_TEST_NEO4J_VERSION = $(NEO4J_CURRENT)
test-neo4j-4.4 test-neo4j-current:
	SNAP_TEST_ONCE=1 $(GO) test ./load -short -count=1 -skip '^(TestKilled|TestServerRestarts|TestModel)$$'
	$(GO) test ./cmd/snap -count=1 -run '^TestParity$$'
