#!/usr/bin/env bash
# Installs the browser that the tests of the pages drive, where none is on PATH. What cannot be had is said plainly: the
# tests fail then.
set -euo pipefail
for name in chromium chromium-browser google-chrome; do
  if command -v "$name" >/dev/null 2>&1; then exit 0; fi
done
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "installing chromium with apt-get" >&2
  if apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; then exit 0; fi
fi
echo "chromium could not be installed: that takes apt-get and root. Install it yourself and put it on PATH." >&2
exit 1
