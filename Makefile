# `make` lists the goals. Everything else is a plain command: CONTRIBUTING.md names them.
# OPTIONS are further options of `harness check`, `bench`, `chaos` or `kit`.

# Without MODE, containers are used where a Docker engine with Compose v2 answers.
DOCKER  := docker compose version --short 2>/dev/null | grep -Eq '^v?[2-9]' && docker info >/dev/null 2>&1
MODE    ?= $(shell if $(DOCKER); then echo docker; else echo native; fi)
CHECKED  = $(or $(filter docker native,$(MODE)),$(error MODE must be docker or native))
HARNESS := target/release/harness

export CARGO_TARGET_DIR := $(CURDIR)/target
# Most tests wait for a deadline or for a process, so they run with two threads for each CPU.
export RUST_TEST_THREADS ?= $(shell echo $$((2 * $$(nproc))))

.DEFAULT_GOAL := help
.PHONY: help up up-docker up-native down logs logs-docker logs-native test check bench chaos kit lint fmt doc clean build services harness cargo

help: ## List the goals
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 16

up: ## Start Postgres, upstream and target; MODE=docker or MODE=native
	@$(MAKE) --no-print-directory up-$(CHECKED)

up-docker:
	@docker compose up --build --wait
	@deploy/compose/urls

up-native: build
	@$(HARNESS) up

down: ## Stop the suite
	@! test -x $(HARNESS) || $(HARNESS) down
	@! { $(DOCKER); } || docker compose down --volumes --remove-orphans

logs: ## Print the logs
	@$(MAKE) --no-print-directory logs-$(CHECKED)

logs-docker:
	@docker compose logs

logs-native: harness
	@$(HARNESS) logs

test: cargo ## Run all tests; each starts what it needs, Postgres too
	@cargo test --workspace --locked

check: build ## Check both profiles of the target against the contract
	@$(HARNESS) check axum axum-tuned --level strict $(OPTIONS)

bench: build ## Measure both profiles of the target and the ceiling, in a few minutes
	@$(HARNESS) bench axum axum-tuned ceiling --quick $(OPTIONS)

chaos: build ## Inject faults under load into the target and the upstream
	@$(HARNESS) chaos axum upstream $(OPTIONS)

kit: build ## Install the target into AB=DIR, a checkout of api-benchmarks; OPTIONS=--remove undoes it
	@$(HARNESS) kit '$(or $(AB),$(error AB is not set: name a checkout of RogerThomas/api-benchmarks, as in `make kit AB=DIR`))' $(OPTIONS)

lint: cargo ## Check the formatting and run clippy
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --all-features --locked -- --deny warnings

fmt: cargo ## Format the code
	@cargo fmt --all

doc: cargo ## Build the documentation of the crates
	@RUSTDOCFLAGS='--deny warnings' cargo doc --workspace --all-features --no-deps --locked

clean: down ## Stop the suite, remove its state and everything built
	@! test -x $(HARNESS) || $(HARNESS) down --purge
	@cargo clean

# Two invocations of cargo, side by side: in one, cargo would unite the features of their dependencies.
build: cargo
	@$(MAKE) --no-print-directory --jobs=2 services harness

services:
	@cargo build --release --locked --package upstream --package target-axum

harness:
	@cargo build --locked --package harness
	@ln -f target/debug/harness $(HARNESS)

cargo:
	@command -v cargo >/dev/null || { echo 'make: cargo is missing: install Rust, https://rustup.rs' >&2; exit 2; }
	@command -v cc >/dev/null || { echo 'make: cc is missing: install a C compiler and the headers of libc' >&2; exit 2; }
