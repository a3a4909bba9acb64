# What a developer runs. README says which two commands a newcomer needs.
#
#   make run     the main job, on real input, in a temporary directory
#   make quick   build and unit tests, on both engines; all day long
#   make check   formatting, vet, linters, architecture, generated files, the build without the console, quick
#   make test    all that CI proves: check, the race detector in a random order, end-to-end tests
#   make bench   the ratios of docs/performance.md
#
# Nothing needs cgo but the race detector. Tools are pinned in tools/go.mod, a module of its own, so that what they
# need does not become what Weir needs.

.PHONY: run quick check test bench
.NOTPARALLEL:

export CGO_ENABLED := 0

tool := go tool -modfile=tools/go.mod
# Expanded where it is used: the end-to-end tests run the whole program and are not part of quick.
unit = $$(go list ./... | grep -v -e /e2e)

run:
	go run ./cmd/weir demo

quick:
	go build ./...
	scripts/postgres scripts/gotest $(unit)

check:
	scripts/unformatted
	go vet ./...
	$(tool) golangci-lint run
	go test ./internal/archtest
	scripts/generated
	go build -tags noui ./...
	$(MAKE) --no-print-directory quick

test: check
	scripts/race $(unit)
	scripts/e2e

bench:
	go run ./bench
