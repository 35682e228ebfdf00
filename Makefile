# Plain go commands, and the scripts of .ci; make only saves typing.

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## play the built-in scenarios
	go run ./cmd/cvvsim scenarios

.PHONY: serve
serve: ## run the daemon in development mode
	go run ./rotation/service/cmd/cvvd

.PHONY: kill
kill: ## the kill tests, 300 kills on each store
	KILLS=300 go test -count=1 -v ./rotation/service/internal/killtest

.PHONY: power
power: ## the power cuts of SQLite, 3000 of them (needs strace)
	CUTS=3000 go test -count=1 -run Power ./rotation/service/internal/killtest

.PHONY: test
test: ## run all tests
	go test work

.PHONY: race
race: ## run all tests with the race detector (needs a C compiler)
	go test -race work

.PHONY: lint
lint: ## gofmt, go vet, staticcheck
	.ci/lint

.PHONY: fuzz
fuzz: ## fuzz each target with FUZZTIME inputs (default 20000x)
	.ci/fuzz

.PHONY: bench
bench: ## run the benchmarks
	go test -run '^$$' -bench . -benchmem ./rotation/... ./rotation/service/... ./cvvgen ./sim/...

.PHONY: mutate
mutate: ## mutation testing of the rules; ends with the score
	.ci/mutate

.PHONY: golden
golden: ## rewrite the golden files and the picture; review the difference
	go test ./sim/scenarios ./sim/draw ./sim/check ./sim/check/enginecheck ./rotation/service/cmd/cvvd/config ./cmd/cvvsim ./rotation/service/api -update

.PHONY: docs
docs: ## copy code and output into the documents and package comments
	go run ./cmd/internal/docs

.PHONY: ci
ci: ## all that continuous integration runs
	.ci/run
