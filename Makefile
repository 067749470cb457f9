# make build   bin/snap
# make test    every test; needs Java and Maven (or Docker, or SNAP_TEST_NEO4J_URI) for Neo4j
# make demo    the main job from end to end on the bundled estate
# make lint    vet, golangci-lint
# make size    the program stays below 80 MB
.PHONY: build test demo lint size fixtures

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

demo: build
	fixtures/demo.sh

lint:
	$(GO) vet ./...
	$(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.14.0 run

size: build
	@bytes=$$(wc -c < bin/snap); echo "bin/snap: $$((bytes / 1000000)) MB"; test $$bytes -le 80000000 || { echo "bin/snap is above 80 MB: does something call reflect's MethodByName, or text/template?" >&2; exit 1; }
