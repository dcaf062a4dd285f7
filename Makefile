# `make` alone lists what there is. Everything is also a plain cargo, docker or harness command.

# docker where an engine and Compose v2 answer, else native; MODE=docker or MODE=native forces.
MODE    ?= $(shell if $(DOCKER); then echo docker; else echo native; fi)
DOCKER  := docker compose version --short 2>/dev/null | grep -Eq '^v?[2-9]' && docker info >/dev/null 2>&1
HARNESS := target/release/harness

# Wherever a machine's cargo is told to build: what is built is looked for here.
export CARGO_TARGET_DIR := $(CURDIR)/target

# Most tests wait, for a deadline or a process: two for a processor keep it busy.
export RUST_TEST_THREADS ?= $(shell echo $$((2 * $$(nproc))))

.DEFAULT_GOAL := help
.PHONY: help up up-docker up-native down logs logs-docker logs-native build test check doctor field bench bench-field kit cost profile chaos soak fuzz fmt lint workflows doc contract acceptance acceptance-docker clean cargo docker checkout

help: ## List the goals
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

up: ## Start the suite; returns when it is ready
	@$(MAKE) --no-print-directory up-$(or $(filter docker native,$(MODE)),$(error MODE is docker or native))

up-docker: docker
	@docker compose --profile tools build && docker compose up --build --wait
	@docker compose run --rm harness urls

up-native: build
	@$(HARNESS) up

down: ## Stop what `make up` started
	@! test -x $(HARNESS) || $(HARNESS) down
	@! { $(DOCKER); } || docker compose down --volumes --remove-orphans

logs: ## Show the logs
	@$(MAKE) --no-print-directory logs-$(or $(filter docker native,$(MODE)),$(error MODE is docker or native))

logs-docker: docker
	@docker compose logs

logs-native: build
	@$(HARNESS) logs

build: cargo ## Build the services, the harness and the limit
	@cargo build --release --locked --package upstream --package target-axum
	@for package in harness limit; do cargo build --release --locked --package $$package || exit; done

test: cargo ## Prove it all: every test, with a private Postgres
	@cargo test --workspace --locked

check: build ## Check our target, with either kind of clients, against the whole contract
	@$(HARNESS) check axum axum-tuned --level strict

doctor: cargo ## Say what this machine has and lacks for each way of use, and what to do
	@cargo build --release --locked --package harness
	@$(HARNESS) doctor

field: checkout build ## Prepare every contender there is, those of the public harness too: AB=DIR, its checkout
	@$(HARNESS) prepare --all --api-benchmarks '$(AB)'

bench: build ## Measure our target, with either kind of clients, and the limit, in a few minutes
	@$(HARNESS) bench axum axum-tuned limit --quick

bench-field: checkout build ## Measure every contender there is: AB=DIR, as prepared by `make field`
	@$(HARNESS) bench --api-benchmarks '$(AB)' --rate 25%,50%,75%

kit: checkout build ## Make our target a contender of a checkout of the public harness: AB=DIR; OPTIONS=--upstream, --remove
	@$(HARNESS) kit '$(AB)' $(OPTIONS)

cost: build ## Count what a request costs, and hold it against docs/PERFORMANCE.md; UPDATE_COST=1 writes it there
	@command -v valgrind >/dev/null || { echo 'make: valgrind is missing: install it, for example `apt install valgrind`' >&2; exit 2; }
	@cargo test --workspace --test cost --locked -- --include-ignored --nocapture

profile: build ## Draw a flame graph of our target: SCENARIO=movies, CLIENTS=tuned
	@acceptance/profile $(or $(SCENARIO),movies) $(or $(CLIENTS),tuned)

chaos: build ## Bring faults about under load, and show how our target and our upstream bear them
	@$(HARNESS) chaos axum upstream

soak: build ## Soak our target for an hour, then our upstream for another
	@$(HARNESS) soak axum
	@$(HARNESS) soak upstream

fuzz: cargo ## Fuzz every target for a minute: needs a nightly compiler and cargo-fuzz
	@fuzz/run

fmt: cargo ## Format the code
	@cargo fmt --all

lint: cargo ## Check the formatting and clippy's lints
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --all-features --locked -- --deny warnings

workflows: ## Check the workflows of GitHub Actions; needs Go
	@go run github.com/rhysd/actionlint/cmd/actionlint@v1.7.12 -shellcheck= -pyflakes=

doc: cargo ## Build the documentation of the crates
	@RUSTDOCFLAGS='--deny warnings' cargo doc --workspace --all-features --no-deps --locked

contract: cargo ## Write schema/openapi.json and the table of checks anew
	@UPDATE_OPENAPI=1 cargo test --package schema --locked
	@UPDATE_CONTRACT=1 cargo test --package harness --test api --locked -- contract

acceptance: build ## Have Schemathesis check our target against schema/openapi.json
	@acceptance/run

acceptance-docker: build ## Try the suite in containers, where an engine answers
	@acceptance/docker

clean: down ## Stop the suite and remove all that was built
	@! test -x $(HARNESS) || $(HARNESS) down --purge
	@cargo clean

cargo:
	@command -v cargo >/dev/null || { echo 'make: cargo is missing: install Rust with rustup, https://rustup.rs' >&2; exit 2; }
	@command -v cc >/dev/null || { echo 'make: cc is missing: install a C toolchain, for example `apt install gcc libc6-dev`' >&2; exit 2; }

docker:
	@{ $(DOCKER); } || { echo 'make: no Docker engine with Compose v2 answers: start or install one, or use MODE=native' >&2; exit 2; }

checkout:
	@test -n '$(AB)' || { echo 'make: AB is missing: say `make field AB=DIR`, where DIR is a checkout of the public harness, RogerThomas/api-benchmarks on GitHub' >&2; exit 2; }
