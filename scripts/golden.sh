#!/usr/bin/env bash
# Runs the tests of the packages that have an -update flag with it, which rewrites their golden files.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=$({ grep -rl --include='*_test.go' --exclude-dir='.?*' 'flag\.Bool("update"' . || :; } | xargs -r -n 1 dirname | sort -u)
if [ -z "$packages" ]; then
  echo "no package has golden files"
  exit
fi
# shellcheck disable=SC2086 # one argument a package
go test -count=1 $packages -update
