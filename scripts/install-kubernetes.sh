#!/usr/bin/env bash
# Builds the programs that make e2e-k8s runs (kube-apiserver and etcd, and kubectl and Helm beside them) from the Go module
# proxy, at the versions of tools/kube/servers/go.mod, and prints the folder that holds them. They are kept outside the tree,
# under BELAY_KUBERNETES (default ~/.cache/belay/kubernetes), a folder for each set of versions: the first run takes some
# ten minutes on two cores, the next none. A program that cannot be built is a failure.
set -euo pipefail
cd "$(dirname "$0")/../tools/kube/servers"

version() { go list -m -f '{{.Version}}' "$1"; }
kubernetes=$(version k8s.io/kubernetes)
etcd=$(version go.etcd.io/etcd/server/v3)
helm=$(version helm.sh/helm/v3)
[ -n "$kubernetes" ] && [ -n "$etcd" ] && [ -n "$helm" ]
folder=${BELAY_KUBERNETES:-${XDG_CACHE_HOME:-$HOME/.cache}/belay/kubernetes}/$kubernetes-etcd-$etcd-helm-$helm-$(go env GOOS)-$(go env GOARCH)

# Without the stamp a server says that it is v0.0.0, and a chart's kubeVersion refuses it.
IFS=. read -r major minor _ <<<"${kubernetes#v}"
stamp=k8s.io/component-base/version
ldflags="-s -w -X $stamp.gitVersion=$kubernetes -X $stamp.gitMajor=$major -X $stamp.gitMinor=$minor"

# build NAME PACKAGE: whole or not at all, so that a run that was stopped leaves nothing that looks finished.
build() {
  local name=$1 package=$2
  if [ -x "$folder/$name" ]; then return; fi
  echo "install-kubernetes: building $package into $folder" >&2
  mkdir -p "$folder"
  local part
  part=$(mktemp "$folder/.$name.XXXXXX")
  if CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "$ldflags" -o "$part" "$package" && chmod 755 "$part"; then
    mv "$part" "$folder/$name"
    return
  fi
  rm -f "$part"
  echo "install-kubernetes: $package could not be built; it comes from the Go module proxy (GOPROXY is $(go env GOPROXY))" >&2
  return 1
}

build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
build etcd go.etcd.io/etcd/server/v3
build kubectl k8s.io/kubernetes/cmd/kubectl
build helm helm.sh/helm/v3/cmd/helm
echo "$folder"
