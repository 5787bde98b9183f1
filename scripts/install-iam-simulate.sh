#!/usr/bin/env bash
# Installs the independent evaluator that the policy engine is compared with into .tools/iam-simulate, once, from the npm
# registry. It is under the AGPL: it runs as a program of its own in a test, and nothing of it comes into Belay.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.1.173
folder=.tools/iam-simulate
if [ "$(cat "$folder/version" 2>/dev/null)" = "$version" ]; then exit 0; fi
echo "installing @cloud-copilot/iam-simulate $version into $folder"
mkdir -p "$folder"
npm install --prefix "$folder" --ignore-scripts --no-audit --no-fund --silent "@cloud-copilot/iam-simulate@$version"
echo "$version" >"$folder/version"
