# syntax=docker/dockerfile:1
# Verge in a container: no shell, no root, nothing but the program, its C library and certificate authorities.
#
#     docker build -t verge .
#     docker run --name edge -p 80:8080 -p 443:8443 --stop-timeout 60 --ulimit nofile=1048576 --read-only \
#         -v "$PWD/edge.toml:/etc/verge/edge.toml:ro" verge
#
# The configuration is yours: there is none in the image, for an origin has no default. `docker run … verge check
# /etc/verge/edge.toml` says what is wrong with it. SIGTERM drains: requests under way are finished within `drain` (30s),
# which is longer than Docker waits by itself, hence --stop-timeout. For Prometheus or a load balancer to reach the admin
# listener from outside of the container, let it listen there (`admin = "0.0.0.0:9180"`), and publish it to them only. The
# health check asks it on 127.0.0.1:9180; if it is elsewhere, say so in an image of your own or in Compose (without a shell
# `docker run --health-cmd` does not work): `test: ["CMD", "/usr/bin/verge", "health", "--admin", "127.0.0.1:9999"]`.

FROM rust:1.88-slim-bookworm AS build
WORKDIR /build
COPY .ci/packages .ci/packages
RUN .ci/packages && rm -rf /var/lib/apt/lists/*
COPY . .
# What is needed to build stays in the builder's caches; line tables stay out of the image.
ENV CARGO_PROFILE_RELEASE_STRIP=debuginfo
RUN --mount=type=cache,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,target=/build/target,sharing=locked \
    cargo build --locked --release --bin verge \
    && install -D target/release/verge /image/usr/bin/verge \
    && install -d /image/var/cache/verge

# Its user `nonroot` is 65532.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="Verge" \
      org.opencontainers.image.description="A caching reverse proxy and CDN edge node" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /image/usr/bin/verge /usr/bin/verge
COPY --from=build --chown=65532:65532 /image/var/cache/verge /var/cache/verge
WORKDIR /etc/verge
USER 65532:65532
# Clear text, TLS, admin.
EXPOSE 8080 8443 9180
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/usr/bin/verge", "health"]
ENTRYPOINT ["/usr/bin/verge"]
CMD ["run", "--config", "/etc/verge/edge.toml"]
