#!/usr/bin/env bash
# Fuzzes every target of the module, one after the other, each for FUZZTIME.
set -euo pipefail
cd "$(dirname "$0")/.."
go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./... | while read -r package; do
  go test -list '^Fuzz' "$package" | { grep '^Fuzz' || :; } | while read -r target; do
    echo "$package $target"
    go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-30s}" "$package"
  done
done
