#!/usr/bin/env bash
# Installs the programs that are too large for a go.mod into .tools/bin, once, from the Go module proxy:
#   scripts/install-tools.sh [golangci-lint] [ec2-metadata-mock]     (none named: all)
set -euo pipefail
cd "$(dirname "$0")/.."

golangci_lint=github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
ec2_metadata_mock=github.com/aws/amazon-ec2-metadata-mock/cmd/ec2-metadata-mock@v1.13.0

# installed NAME VERSION: is that version in .tools/bin?
installed() {
  [ -x ".tools/bin/$1" ] && go version -m ".tools/bin/$1" | awk -v v="$2" '$1 == "mod" && $3 == v { found = 1 } END { exit !found }'
}

install() {
  local name=$1 package=$2
  if installed "$name" "${package##*@}"; then return; fi
  echo "installing ${package##*/} into .tools/bin"
  mkdir -p .tools/bin
  GOBIN="$PWD/.tools/bin" CGO_ENABLED=0 go install "$package"
}

[ $# -gt 0 ] || set -- golangci-lint ec2-metadata-mock
for name in "$@"; do
  case $name in
    golangci-lint) install "$name" "$golangci_lint" ;;
    ec2-metadata-mock) install "$name" "$ec2_metadata_mock" ;;
    *) echo "install-tools: unknown tool $name" >&2; exit 2 ;;
  esac
done
