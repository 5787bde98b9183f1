# The delegate, with what INIT_SCRIPT wants: bash, curl, unzip, a folder on PATH that needs no root. Build it from the root of
# the repository:
#
#   docker build -f deploy/docker/delegate.Dockerfile --build-arg VERSION=26.11.90000 -t belay/delegate:26.11.90000 .
FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
ARG TARGETOS TARGETARCH VERSION=unknown
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /out/belay ./cmd/belay

FROM debian:bookworm-slim
COPY deploy/docker/delegate-setup.sh /tmp/setup.sh
RUN bash /tmp/setup.sh / && rm /tmp/setup.sh
COPY --from=build /out/belay /usr/local/bin/belay
ENV PATH=/opt/belay/tools/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/home/belay
USER 1001:1001
WORKDIR /home/belay
EXPOSE 3460
# As exec form without a shell, so that SIGTERM reaches the delegate, which then drains.
ENTRYPOINT ["belay"]
CMD ["delegate", "run"]
