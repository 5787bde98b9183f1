# The manager: the program, certificate authorities, and nothing else. Build it from the root of the repository:
#
#   docker build -f deploy/docker/manager.Dockerfile --build-arg VERSION=0.1.0 -t belay/manager:0.1.0 .
FROM --platform=$BUILDPLATFORM golang:1.26-bookworm AS build
ARG TARGETOS TARGETARCH VERSION=unknown
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /out/belay ./cmd/belay
# A folder for the data that belongs to the user, since the last stage has no shell to make one.
RUN install -d -o 1001 -g 1001 -m 0700 /out/data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build --chown=1001:1001 /out/data /data
COPY --from=build /out/belay /usr/local/bin/belay
ENV XDG_DATA_HOME=/data
USER 1001:1001
VOLUME /data
EXPOSE 7990
ENTRYPOINT ["/usr/local/bin/belay"]
CMD ["manager", "--data", "/data", "--listen", "0.0.0.0:7990"]
