# The ways in: `make run` and `make test`. Everything else serves those two.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

PLUGINS := plugins/hubspot plugins/csv plugins/text plugins/canonicalize plugins/require plugins/dedupe plugins/validate plugins/mask plugins/link
EXAMPLES := examples/minimal-rule examples/minimal-source
EVIL := host/tests/evil-guest host/tests/evil-source
FROZEN := host/tests/frozen/rule-0-1-0 host/tests/frozen/source-0-1-0
TARGET := $(or $(CARGO_TARGET_DIR),target)
PATIENTS ?= 2000
SEEDS ?= 20
# What the browser tests run, with a browser.
BROWSER = HOST_BIN=$(abspath $(TARGET)/debug/host) HOST_PLUGINS=$(abspath $(TARGET)/test-plugins) scripts/browser.sh

.PHONY: help setup pages build run test-plugins test soak screenshots lint bench clean

help: ## Lists the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: ## Installs what is missing: the wasm target, DuckDB's library
	@scripts/wasm-target.sh
	@scripts/duckdb.sh

pages: ## Builds the pages of `host serve`, which the binary embeds
	@scripts/pages.sh

build: setup pages ## Builds the release binary and the plugins
	@echo "building host and plugins (about 12 minutes the first time on 2 cores, seconds afterwards)"
	@cargo build --release -p host -p sandbox
	@$(TARGET)/release/host --quiet plugin build $(PLUGINS) --profile plugin --output $(TARGET)/release/plugins

run: build ## Runs the whole pipeline against the sandbox, and once more without its rules to compare
	@$(TARGET)/release/sandbox --patients $(PATIENTS) -- sh -c \
		'"$$0" run pipelines/hubspot.toml && "$$0" compare pipelines/hubspot.toml' $(TARGET)/release/host

test-plugins: setup pages
	@cargo build -p host -p sandbox
	@$(TARGET)/debug/host --quiet plugin build $(PLUGINS) $(EXAMPLES) $(EVIL) $(FROZEN) --profile plugin --output $(TARGET)/test-plugins
	@scripts/foreign-rules.sh $(TARGET)/test-plugins

test: test-plugins ## Runs all tests
	@HOST_TEST_PLUGINS=$(abspath $(TARGET)/test-plugins) cargo test --workspace
	@$(BROWSER) npm --prefix host/pages run --silent test

screenshots: test-plugins ## Takes the README's pictures of the real pages
	@$(BROWSER) npm --prefix host/pages run --silent screenshots

soak: test-plugins ## Loads from a sandbox that fails, changes and kills, by SEEDS seeds
	@HOST_TEST_PLUGINS=$(abspath $(TARGET)/test-plugins) SOAK_SEEDS=$(SEEDS) cargo test --workspace --test it soak -- --nocapture

lint: setup pages ## Format, clippy, docs, the pages' types and style
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets -- -D warnings
	@RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet
	@if [ -d host/pages/node_modules ]; then npm --prefix host/pages run --silent check; fi
	@if command -v cargo-deny > /dev/null; then cargo deny --log-level warn check; else echo "cargo-deny is not installed: licenses and advisories were not checked"; fi

bench: build ## Times the pipeline against its floor; extract as it grows; a rate limit; rules
	@HOST_PLUGINS=$(abspath $(TARGET)/release/plugins) cargo run --release --quiet -p bench

clean: ## Removes what was built, but not the warehouse
	@cargo clean
