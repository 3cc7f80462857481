# Muster: two commands do everything, `make demo` and `make test`. Both prepare the machine first.

SHELL := /bin/bash
.DELETE_ON_ERROR:

CARGO ?= cargo
GPU ?= sim
DEMO_FLAGS ?=
export CARGO_TERM_COLOR ?= auto

.PHONY: demo test build bench golden deb clean prepare prepare-test

demo: prepare ## Coordinator, three simulated GPU nodes, an operator and a user; Ctrl-C stops all
	$(CARGO) build --locked
	exec target/debug/muster demo --gpu $(GPU) $(DEMO_FLAGS)

test: prepare-test ## Everything a fresh machine can run (needs root)
	.ci/test

build: prepare ## Release binaries in target/release
	$(CARGO) build --locked --release

bench: prepare-test ## Figures beside real peers, into bench/RESULTS.md
	$(CARGO) build --locked --release
	bench/run

golden: prepare ## Renews the golden files after a wanted change
	GOLDEN=write $(CARGO) nextest run --locked --workspace -E 'test(golden)'

deb: build ## Debian packages in target/debian
	systemd/deb

clean: ## Removes what was built
	$(CARGO) clean
	rm -rf console/dist console/node_modules

prepare:
	@.ci/prepare build

prepare-test:
	@.ci/prepare build test
