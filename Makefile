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
	$(GO) test -timeout 25m ./...

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
# make test-kill    a hundred collections killed at random moments, of the store's test and of snap collect
# make test-duckdb  DuckDB (from PyPI, with a Python that has venv) reads what we write
# make bench-store  the store against bare parquet-go, and its limits
.PHONY: fuzz test-kill test-duckdb bench-store
FUZZTIME ?= 60s
DUCKDB ?= 2.0.0

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

bench-store:
	$(GO) test -tags bench ./store -count=1 -timeout 60m -run '^TestBench' -v

# make bench-collect  the collection at 50 ms a call, as recorded and for 100 accounts × 17 regions
# make bench-cartography  the requests and seconds of Cartography and snap on the same fake AWS; needs the oracle (ORACLE)
.PHONY: bench-collect bench-cartography
bench-collect: build
	$(GO) run ./fixtures/cmd/benchcollect

bench-cartography: build
	fixtures/bench-cartography.sh

# make bench-load      loading against a bare UNWIND/MERGE loop, and its memory (ROWS: how many nodes)
# make test-moving-in  Cartography, then snap, then Cartography again on one graph; needs the oracle (ORACLE)
# make test-parity     snap's graph against Cartography's of estates of SEEDS, of the size SCALE; needs the oracle (ORACLE)
.PHONY: bench-load test-moving-in test-parity
bench-load:
	SNAP_TEST_ONCE=1 $(GO) test -tags bench ./load -count=1 -timeout 60m -run '^TestBenchLoad$$' -v
	SNAP_TEST_ONCE=1 $(GO) test -tags bench ./load -count=1 -timeout 60m -run '^TestBenchMemory$$' -v

test-moving-in:
	$(GO) test -tags movingin ./cmd/snap -count=1 -timeout 60m -run '^TestMovingIn' -v

test-parity: export SEEDS ?= 1 2 3
test-parity: export SCALE ?= 0.5
test-parity:
	$(GO) test -tags parity ./cmd/snap -count=1 -timeout 120m -run '^TestParitySeeds$$' -v

# make docs    docs/schema.md from the declarations
# make golden  the schema and the Cypher of each sync (fixtures/golden/schema), and what else a load sends
.PHONY: docs golden
docs:
	$(GO) test ./cmd/snap -count=1 -run '^TestSchemaDocument$$' -update

golden:
	$(GO) test ./cmd/snap -count=1 -run '^TestSchemaGolden$$' -update
	$(GO) test ./load -count=1 -run '^TestStatements$$' -update

# make bench-ec2   collecting and loading 20,000 instances, and how that grows from 2,000
.PHONY: bench-ec2
bench-ec2: build
	$(GO) run ./fixtures/cmd/benchec2

# make test-drift  snap diff judged by what the test estate says that it changed; needs the oracle (ORACLE)
# make bench-diff  a million rows against a million, beside a bare read of both; then against a graph (ROWS: how many nodes)
.PHONY: test-drift bench-diff
test-drift: build
	GO=$(GO) diff/drift/run.sh $(CURDIR)/bin/snap

bench-diff:
	$(GO) test ./diff -run '^$$' -bench '^BenchmarkDiff$$' -benchtime 1x
	$(GO) test -tags bench ./cmd/snap -count=1 -timeout 60m -run '^TestBenchDiffGraph$$' -v
