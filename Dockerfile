# syntax=docker/dockerfile:1
# Every image of the suite: `docker build --target upstream|target-axum|harness|bench .`

# The image in the target slot of docker-compose.yml: a stage of this file or any other image.
ARG TARGET_IMAGE=target-axum

FROM rust:1.95-slim-bookworm AS rust
WORKDIR /src

# The manifests with empty sources: this stage's files change only when a dependency does.
FROM rust AS manifests
COPY . .
RUN find . -type f ! -name Cargo.toml ! -name Cargo.lock -delete && find . -type d -empty -delete \
    && for manifest in */Cargo.toml */*/Cargo.toml; do \
        [ ! -e "$manifest" ] || { mkdir -p "${manifest%/*}/src" \
            && touch "${manifest%/*}/src/lib.rs" && echo 'fn main() {}' >"${manifest%/*}/src/main.rs"; }; \
    done

# The services' dependencies, in a layer that a change of our own code does not invalidate. The empty
# crates are removed, since cargo would compare the age of their artifacts with that of the sources.
FROM rust AS dependencies
COPY --from=manifests /src .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo build --release --locked -p upstream -p target-axum \
    && cargo clean --release -p schema -p serve -p upstream -p target-axum

# Both services are always selected, so that cargo resolves the same features, and never with the harness,
# whose features they must not get. One stage for each: a change of one does not link the other again.
FROM dependencies AS build-upstream
COPY schema schema
COPY serve serve
COPY upstream upstream
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo build --release --locked -p upstream -p target-axum --bin upstream

FROM dependencies AS build-target-axum
COPY schema schema
COPY serve serve
COPY target-axum target-axum
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    cargo build --release --locked -p upstream -p target-axum --bin target-axum

# Static: the release publishes this executable for any distribution. A named target keeps the flag from the
# build scripts.
FROM rust AS build-harness
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    RUSTFLAGS='-C target-feature=+crt-static -C strip=symbols' \
    cargo build --locked -p harness --target "$(rustc --print host-tuple)" \
    && mv target/*/debug/harness /harness && cargo build --release --locked -p ceiling

# glibc and libgcc, no shell: the executables have a health check of their own, `probe`.
FROM gcr.io/distroless/cc-debian12:nonroot AS runtime
USER 65532:65532
# The release workflow adds the labels of source, version and revision.
LABEL org.opencontainers.image.licenses="MIT OR Apache-2.0"

# The harness and the Postgres that it starts: `docker run --rm --network host IMAGE check --url …`.
FROM postgres:18 AS harness
COPY --from=build-harness /harness /harness
# The image holds no checkout, where the state would be kept otherwise.
ENV POSTGRES_BIN=/usr/lib/postgresql/18/bin SUITE_STATE_DIR=/tmp/suite
WORKDIR /tmp
USER 999:999
ENTRYPOINT ["/harness"]

# The image of deploy/compose/bench.yml: the harness and the contenders that it starts.
FROM harness AS bench
COPY --from=build-harness /src/target/release/ceiling /usr/local/bin/
COPY --from=build-target-axum /src/target/release/target-axum /usr/local/bin/
COPY deploy/compose/contenders.toml /bench/
USER root
RUN install -d -o postgres -g postgres /reports
USER 999:999
WORKDIR /bench

FROM runtime AS upstream
COPY --from=build-upstream /src/target/release/upstream /upstream
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --start-interval=250ms \
    CMD ["/upstream", "probe"]
ENTRYPOINT ["/upstream"]

FROM runtime AS target-axum
COPY --from=build-target-axum /src/target/release/target-axum /target-axum
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --start-interval=250ms \
    CMD ["/target-axum", "probe"]
ENTRYPOINT ["/target-axum"]

FROM ${TARGET_IMAGE} AS target
