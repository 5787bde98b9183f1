#!/usr/bin/env bash
# Installs the real counterparts that the tests talk to. What cannot be had is said plainly and is no failure here: its
# tests skip, or fail when CI=true.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { echo "counterparts: $*" >&2; }
have() { command -v "$1" >/dev/null 2>&1 || [ -x ".tools/venv/bin/$1" ]; }

# python_program PROGRAM REQUIREMENT: from PATH, else from the Python package index into a virtual environment.
python_program() {
  if have "$1"; then return; fi
  say "installing $1 into .tools/venv"
  if { [ -x .tools/venv/bin/pip ] || python3 -m venv .tools/venv; } && .tools/venv/bin/pip install --quiet --retries 1 --disable-pip-version-check "$2"; then
    return
  fi
  say "$1 could not be installed: it needs Python 3 with venv, and pypi.org. Install '$2' yourself and put $1 on PATH."
}

postgresql() {
  if [ -n "${DATABASE_URL:-}" ] || have initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then return; fi
  if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    say "installing PostgreSQL with apt-get"
    if apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >/dev/null; then return; fi
  fi
  say "PostgreSQL could not be installed. Put initdb on PATH, or set DATABASE_URL to a server whose user may create databases."
}

scripts/install-tools.sh ec2-metadata-mock >&2 ||
  say "ec2-metadata-mock could not be built: it comes from the Go module proxy."
python_program moto_server 'moto[server]==5.2.*'
python_program aws 'awscli==1.45.*'
postgresql
