# Run `make help` for the targets. `make run` and `make test` install what they need.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

PLUGINS := plugins/hubspot plugins/csv plugins/text plugins/canonicalize plugins/require plugins/dedupe plugins/validate plugins/mask plugins/link
EXAMPLES := examples/minimal-rule examples/minimal-source
TEST_PLUGINS := host/tests/evil-guest host/tests/evil-source
FROZEN := host/tests/frozen/rule-0-1-0 host/tests/frozen/source-0-1-0
TARGET := $(or $(CARGO_TARGET_DIR),target)
PATIENTS ?= 2000
SEEDS ?= 20
SEED ?=
# How long `make soak` runs each fuzzer, in milliseconds.
FUZZ_MS ?= 600000
# Runs a command with a browser and the paths that the browser tests need.
BROWSER = HOST_BIN=$(abspath $(TARGET)/debug/host) HOST_PLUGINS=$(abspath $(TARGET)/test-plugins) scripts/browser.sh

.PHONY: help setup pages build run test-plugins test soak screenshots reference lint bench clean

help: ## List the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 13

setup: ## Install the wasm target and DuckDB's library if missing
	@scripts/wasm-target.sh
	@scripts/duckdb.sh

pages: ## Build the pages of `host serve`, which the binary embeds
	@scripts/pages.sh

build: setup pages ## Build the release binary and the plugins
	@echo "building host and plugins (about 12 minutes the first time on 2 cores, seconds afterwards)"
	@cargo build --release -p host -p sandbox
	@$(TARGET)/release/host --quiet plugin build $(PLUGINS) --profile plugin --output $(TARGET)/release/plugins

run: build ## Run the pipeline against the sandbox, then compare with a run without rules
	@$(TARGET)/release/sandbox --patients $(PATIENTS) -- sh -c \
		'"$$0" run pipelines/hubspot.toml && "$$0" compare pipelines/hubspot.toml' $(TARGET)/release/host

test-plugins: setup pages
	@cargo build -p host -p sandbox -p power-loss
	@$(TARGET)/debug/host --quiet plugin build $(PLUGINS) $(EXAMPLES) $(TEST_PLUGINS) $(FROZEN) --profile plugin --output $(TARGET)/test-plugins
	@scripts/foreign-rules.sh $(TARGET)/test-plugins

test: test-plugins ## Run all tests
	@HOST_TEST_PLUGINS=$(abspath $(TARGET)/test-plugins) cargo test --workspace
	@$(BROWSER) npm --prefix host/pages run --silent test

screenshots: test-plugins ## Take the screenshots in the README
	@$(BROWSER) npm --prefix host/pages run --silent screenshots

reference: setup pages ## Generate the pages in docs/reference
	@cargo run --quiet -p host --example reference

soak: test-plugins ## Run schedules of faults, kills and power losses; SEEDS=20 sets their number, SEED=7 runs one
	@HOST_TEST_PLUGINS=$(abspath $(TARGET)/test-plugins) SOAK_FROM=$(or $(SEED),1) SOAK_SEEDS=$(if $(SEED),1,$(SEEDS)) \
		cargo test -p host --test it -- --nocapture soak power_loss::a_command
	@$(if $(SEED),,BOLERO_RANDOM_TEST_TIME_MS=$(FUZZ_MS) BOLERO_RANDOM_ITERATIONS=1000000000 cargo test -p fuzz --test fuzz -- --nocapture)

lint: setup pages ## Check format, clippy, docs, dependencies, and the pages' types and style
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets -- -D warnings
	@RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet
	@if [ -d host/pages/node_modules ]; then npm --prefix host/pages run --silent check; fi
	@scripts/cargo-deny.sh

bench: build ## Run all benchmarks (see host/benches/src/main.rs)
	@HOST_PLUGINS=$(abspath $(TARGET)/release/plugins) cargo run --release --quiet -p bench

clean: ## Remove build output, but not the warehouse
	@cargo clean
