#!/usr/bin/env bash
# Installs a program of scripts/install-tools.sh if it is not there, and runs it:  scripts/tool.sh NAME ARGUMENTS…
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install-tools.sh "$1" >&2
exec ".tools/bin/$1" "${@:2}"
