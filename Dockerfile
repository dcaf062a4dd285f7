# syntax=docker/dockerfile:1
# Every image of the suite: `docker build --target upstream|target-axum|harness|bench .`

# What the target slot of docker-compose.yml runs: a stage of this file or anybody's image.
ARG TARGET_IMAGE=target-axum

FROM rust:1.95-slim-bookworm AS source
WORKDIR /src
COPY . .
# Cargo compares times, and what Docker restores from its cache has old ones. So the build folder, which
# outlives a build, keeps the sources too, and gets what has changed: new times for that, and no others.
RUN printf '%s\n' '#!/bin/sh' 'set -e' \
    'find . -type f -exec sh -c "cmp -s \"\$1\" \"/build/\$1\" || install -D -m 644 \"\$1\" \"/build/\$1\"" _ {} \;' \
    'cd /build' \
    'find . -path ./target -prune -o -type f -exec sh -c "test -e \"/src/\$1\" || rm \"\$1\"" _ {} \;' \
    >/usr/local/bin/update-build && chmod +x /usr/local/bin/update-build

# One call for both services, none for anything else: Cargo would unite the features that the
# harness wants of a shared dependency with the target's.
FROM source AS build-services
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=reference-target-suite-build,target=/build,sharing=locked \
    update-build && cd /build \
    && cargo build --release --locked -p upstream -p target-axum \
    && install -D -t /out target/release/upstream target/release/target-axum

FROM source AS build-harness
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=reference-target-suite-build,target=/build,sharing=locked \
    update-build && cd /build \
    && for package in harness limit; do cargo build --release --locked -p $package || exit; done \
    && install -D -t /out target/release/harness target/release/limit

# glibc and libgcc, no shell: the health checks are the binaries themselves.
FROM gcr.io/distroless/cc-debian12:nonroot AS runtime
USER 65532:65532
# Source, version and revision are the release's to say: it adds their labels.
LABEL org.opencontainers.image.licenses="MIT OR Apache-2.0"

FROM runtime AS harness
COPY --from=build-harness /out/harness /harness
ENTRYPOINT ["/harness"]

# What deploy/compose/bench.yml measures with: the harness and what it starts.
FROM postgres:18 AS bench
COPY --from=build-harness /out/harness /out/limit /usr/local/bin/
COPY --from=build-services /out/target-axum /usr/local/bin/
COPY deploy/compose/contenders.toml /bench/
# No checkout here that a state could lie in.
ENV SUITE_STATE_DIR=/tmp/suite
RUN install -d -o postgres -g postgres /reports
WORKDIR /bench
USER 999:999
ENTRYPOINT ["harness"]

FROM runtime AS upstream
COPY --from=build-services /out/upstream /upstream
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --start-interval=250ms \
    CMD ["/upstream", "probe"]
ENTRYPOINT ["/upstream"]

FROM runtime AS target-axum
COPY --from=build-services /out/target-axum /target-axum
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --start-interval=250ms \
    CMD ["/target-axum", "probe"]
ENTRYPOINT ["/target-axum"]

FROM ${TARGET_IMAGE} AS target
