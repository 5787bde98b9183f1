#!/usr/bin/env bash
# Sets up the delegate's image below the folder that is named, / in the image: packages, user 1001, the folder of tools.
# BELAY_SETUP_PACKAGES=no leaves the packages out, as a test does that runs it in a folder of its own.
set -euo pipefail
root=${1:?name the folder to set up}
if [ "${BELAY_SETUP_PACKAGES:-yes}" = yes ]; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get update
  apt-get install --yes --no-install-recommends bash ca-certificates curl git jq unzip
  rm -rf /var/lib/apt/lists/*
fi
mkdir -p "$root/etc" "$root/home/belay" "$root/opt/belay/tools/bin" "$root/opt/harness-delegate/ca-bundle"
grep -q '^belay:' "$root/etc/group" 2>/dev/null || echo 'belay:x:1001:' >>"$root/etc/group"
grep -q '^belay:' "$root/etc/passwd" 2>/dev/null || echo 'belay:x:1001:1001:Belay delegate:/home/belay:/bin/bash' >>"$root/etc/passwd"
chmod 0700 "$root/home/belay"
chmod 0755 "$root/opt/belay/tools" "$root/opt/belay/tools/bin"
if [ "$(id -u)" = 0 ]; then
  chown -R 1001:1001 "$root/home/belay" "$root/opt/belay/tools"
fi
