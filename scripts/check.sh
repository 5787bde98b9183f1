#!/usr/bin/env bash
# Runs every check, also after one has failed, and fails at the end if any did.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=()

check() {
  local name=$1
  shift
  echo "--- $name"
  "$@" || failed+=("$name")
}

# Sums of every file that says it is generated, wherever it lies. In a clean clone they are what is committed.
generated() {
  grep -rlIE --exclude-dir='.?*' --exclude-dir=bin --exclude-dir=node_modules '^(//|#|<!--|/\*) *Code generated .* DO NOT EDIT\.' . | sort | xargs -r sha256sum
}

generate_changes_nothing() {
  local before after
  before=$(generated)
  go generate ./... || return
  after=$(generated)
  [ "$before" = "$after" ] && return
  echo "these were not what go generate makes of their sources (made anew; commit them):"
  diff <(echo "$before") <(echo "$after") | awk '/^>/ { print "  " $3 }'
  return 1
}

check "formatting" scripts/tool.sh golangci-lint fmt --diff
check "linters" scripts/tool.sh golangci-lint run
check "go.mod is tidy" go mod tidy -diff
check "go.mod of tools/kube is tidy" go -C tools/kube mod tidy -diff
check "vet of tools/kube, also of what make e2e-k8s runs" go -C tools/kube vet -tags e2e ./...
check "generated files" generate_changes_nothing
check "vulnerabilities" scripts/vuln.sh
check "rings and arrows" go test -count=1 .

if [ ${#failed[@]} -gt 0 ]; then
  printf 'check failed: %s\n' "${failed[@]}"
  exit 1
fi
echo "check: all is well"
