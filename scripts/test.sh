#!/usr/bin/env bash
# Installs what the tests need, runs them all, says which counterparts took part, and ends with the summary:
#   scripts/test.sh [FLAGS OF GO TEST…]
# A run without flags is a whole one, and decodes what Belay writes for Kubernetes with Kubernetes' own types, too.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/counterparts.sh

seen=$(mktemp -d)
trap 'rm -rf "$seen"' EXIT
export BELAY_COUNTERPARTS=$seen/counterparts
touch "$BELAY_COUNTERPARTS" "$seen/summary"
export CGO_ENABLED=${CGO_ENABLED:-0}

# A cached result would not say which counterparts took part: BELAY_COUNTERPARTS, new each time, keeps those tests from
# the cache. The summary's last line is held back to the end.
code=0
go tool -modfile=tools/go.mod gotestsum --format pkgname --format-hide-empty-pkg -- -timeout 20m "$@" ./... |
  awk -v last="$seen/summary" '/^DONE [0-9]+ tests?/ { print > last; next } { print; fflush() }' || code=$?

# A module of its own, after the others: it builds the program from what they have compiled.
if [ $# -eq 0 ]; then go -C tools/kube test -count=1 . || code=$?; fi

echo "counterparts: $(sort -u "$BELAY_COUNTERPARTS" | awk '{ printf "%s%s", sep, $0; sep = ", " } END { if (!NR) printf "none took part" }')"
cat "$seen/summary"
exit "$code"
