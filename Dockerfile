# docker build -t itemory . && docker run -p 127.0.0.1:6379:6379 -v itemory:/data itemory
#
# Options are given as variables or as flags:
#   docker run -e ITEMORY_REQUIREPASS=secret -p 6379:6379 -v itemory:/data itemory --appendfsync always

FROM rust:1.90-slim-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev make \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --release --locked --bin itemory

FROM debian:bookworm-slim
RUN groupadd --system --gid 6379 itemory \
    && useradd --system --uid 6379 --gid itemory --home-dir /data --shell /usr/sbin/nologin itemory \
    && install -d -o itemory -g itemory -m 700 /data
COPY --from=build /src/target/release/itemory /usr/local/bin/itemory
COPY --from=build /src/config/itemory.conf /etc/itemory/itemory.conf
# The container's network decides who reaches the port, so the server listens on all of its addresses and takes
# clients from outside; set ITEMORY_REQUIREPASS before the port is published to others.
ENV ITEMORY_DIR=/data \
    ITEMORY_BIND="* -::*" \
    ITEMORY_PROTECTED_MODE=no
USER 6379:6379
WORKDIR /data
VOLUME /data
EXPOSE 6379
STOPSIGNAL SIGTERM
# A server that asks for a password or still loads is alive. A variable ITEMORY_PORT may be a cluster's own, with an
# address before the port.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 CMD ["bash", "-c", "\
    port=${ITEMORY_PORT:-6379}; \
    exec 3<>/dev/tcp/127.0.0.1/${port##*:} && printf 'PING\\r\\n' >&3 && read -t 2 -r reply <&3 \
    && [[ $reply == +PONG* || $reply == -NOAUTH* || $reply == -LOADING* ]]"]
ENTRYPOINT ["itemory"]
