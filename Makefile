# Muster: two commands do everything, `make demo` and `make test`. Both prepare the machine first.

SHELL := /bin/bash
.DELETE_ON_ERROR:

CARGO ?= cargo
GPU ?= sim
DEMO_FLAGS ?=
FROM ?= 0
SEEDS ?= 10000
FUZZ_SECONDS ?= 600
TARGET := $(or $(CARGO_TARGET_DIR),target)
export CARGO_TERM_COLOR ?= auto

.PHONY: demo test soak soak-sim fuzz build bench golden pictures deb clean prepare prepare-test

demo: prepare pages ## Coordinator, three simulated GPU nodes, an operator and a user; Ctrl-C stops all
	$(CARGO) build --locked
	exec $(TARGET)/debug/muster demo --gpu $(GPU) $(DEMO_FLAGS)

test: prepare-test pages ## Everything a fresh machine can run (needs root)
	.ci/test

soak: prepare-test ## 1,000 rounds of launch, terminal, something dies, recover, release (ROUNDS=, SEED=)
	$(CARGO) build --locked --workspace
	MUSTER_SOAK_ROUNDS=$(or $(ROUNDS),1000) $(if $(SEED),MUSTER_SOAK_SEED=$(SEED)) \
		$(CARGO) nextest run --locked -p muster-tests --no-capture -E 'test(soak)'

soak-sim: prepare ## Ten thousand seeds of the simulation and the planted bugs (FROM, SEEDS; hours)
	$(CARGO) build --locked --profile sim -p muster-sim
	$(TARGET)/sim/muster-sim seeds --from $(FROM) --count $(SEEDS) --jobs $$(nproc) --quiet
	tests/sim/plants

fuzz: prepare ## Searches with libFuzzer for inputs that break a parser (FUZZ_SECONDS a target)
	fuzz/search $(FUZZ_SECONDS)

build: prepare pages ## Release binaries in target/release
	$(CARGO) build --locked --release

bench: prepare-test pages ## Figures beside real peers, into bench/RESULTS.md
	$(CARGO) build --locked --release
	$(CARGO) build --locked --release -p muster-pki --example handshakes
	bench/run

golden: prepare ## Renews the golden files after a wanted change
	GOLDEN=write $(CARGO) nextest run --locked --workspace -E 'test(golden)'

pictures: prepare-test pages ## Renews the pictures of the console in docs/pictures
	$(CARGO) build --locked
	console/pictures

deb: build ## Debian packages in target/debian
	systemd/deb

clean: ## Removes what was built
	$(CARGO) clean
	rm -rf console/dist console/node_modules

# The console's pages, where Node is; without it the coordinator serves the API alone and says so.
PAGES := $(shell find console/src console/doors coordinator/openapi -type f ! -name '*.d.ts' 2>/dev/null) \
	console/vite.config.ts console/tsconfig.json

.PHONY: pages
pages: $(if $(shell command -v npm),console/dist/.stamp)

console/dist/.stamp: console/node_modules/.package-lock.json $(PAGES)
	cd console && npm run -s build
	@touch $@

console/node_modules/.package-lock.json: console/package.json console/package-lock.json
	cd console && npm ci --no-audit --no-fund
	@touch $@

prepare:
	@.ci/prepare build

prepare-test:
	@.ci/prepare build test
