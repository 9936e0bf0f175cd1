# Everything a developer or operator types. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup web build run test test-rust test-web test-e2e test-clients test-sync test-endurance check \
	bench-core bench-ladder bench-origin bench-latency bench-edge bench-ingest bench-passthrough bench-soak bench-build clean

LOCAL := $(CURDIR)/.local
export PATH := $(LOCAL)/bin:$(PATH)
export NEXT_TELEMETRY_DISABLED := 1
WEB_SOURCES := $(shell find web -type f -not -path 'web/node_modules/*' -not -path 'web/.next/*' -not -path 'web/out/*' 2>/dev/null)

help: ## Lists the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 18

setup: ## Installs what building and running needs (Debian packages; Rust and Node are checked)
	@scripts/setup

web: web/out/index.html ## Builds the pages

web/node_modules/.package-lock.json: web/package-lock.json
	cd web && npm ci --no-audit --no-fund

web/out/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	cd web && npm run build

build: setup ## Builds the release binary with its pages
	@$(MAKE) web
	cargo build --release

run: build ## Sets up, builds, starts everything and plays a demo broadcast
	@scripts/demo

test: ## Runs every test: Rust, pages, and end to end with real clients
	@scripts/setup --tests
	@$(MAKE) web
	@$(MAKE) test-rust test-web
	e2e/run # the binary that `cargo test` has built: with other features, all of it would be built a second time

test-rust: ## Unit, property, HTTP and SQL tests
	cargo test --workspace

test-web: web/node_modules/.package-lock.json ## Tests of the pages' logic
	cd web && npm test

test-e2e: ## End to end with browsers, hls.js, Shaka Player, FFmpeg, aiortc, VLC and streamlink
	cargo build
	e2e/run

test-clients: ## Clients that few have: PyAV's FFmpeg, the newest GStreamer as a player, GStreamer as a publisher where it is installed
	@scripts/setup --tests
	@scripts/gstreamer
	cargo build
	e2e/run clients -rs

test-sync: ## A/V sync of every client through every bad network, a minute each
	@scripts/setup --tests
	cargo build
	HEADWATER_SYNC=whole e2e/run tests/test_sync.py -rP

test-endurance: ## One broadcast through a fault every 90 s for 45 minutes; sync, memory and descriptors
	@scripts/setup --tests
	cargo build --release
	HEADWATER_BIN=target/release/headwater HEADWATER_ENDURANCE_S=2700 e2e/run tests/test_endurance.py -rP

check: web ## Format, lints, docs and types
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items
	cd web && npm run check

bench-core: ## Speed of the pure parts (criterion)
	cargo bench -p benches --bench core

bench-ladder: bench-build ## CPU of the ladder against the ffmpeg command
	benches/ladder

bench-origin: bench-build ## CPU of the viewers' side against nginx, and held reloads
	benches/origin

bench-latency: bench-build ## Capture to listed, glass to glass, first frames and A/V skew, by a clock in the picture
	benches/latency

bench-edge: bench-build ## 50 viewers and a watch page behind nginx: stalls, and what the node is asked for
	benches/edge

bench-ingest: bench-build ## CPU and memory of the publishers' side, for 1 and 10 WHIP streams
	benches/ingest

bench-passthrough: bench-build ## CPU and memory of streams that are passed through, against ffmpeg
	benches/passthrough

bench-soak: bench-build ## 45 minutes of one broadcast: memory, descriptors, threads
	benches/soak

# Together, so that both are built with the same features of their crates.
bench-build: web
	@scripts/setup --benches
	cargo build --release -p headwater -p benches

clean: ## Removes what was built
	rm -rf target web/out web/.next web/node_modules
