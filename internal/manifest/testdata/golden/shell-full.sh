#!/usr/bin/env bash
# Delegate eks-prod, written by belay delegate manifest --kind shell. A script for a machine of your own.
#
# It holds the delegate token: keep it as you keep a password, out of version control.
#
#
# Start:    bash FILE
# Ctrl-C or SIGTERM lets running tasks finish, up to 580 seconds.
set -euo pipefail

DELEGATE_TOKEN='0123456789abcdef0123456789abcdef'
export DELEGATE_TOKEN
export ACCOUNT_ID='Hue1lBsaSx2APlXjzVEPIg'
export MANAGER_HOST_AND_PORT='http://belay.internal:7990'
export DELEGATE_NAME='eks-prod'
export DELEGATE_TYPE='DOCKER'
export DELEGATE_TAGS='eks,frankfurt'
export DELEGATE_DESCRIPTION='says "hi": # $HOME'
export BELAY_INSECURE_HTTP='true'
export INIT_SCRIPT='set -euo pipefail
tools=${BELAY_TOOLS:-/opt/belay/tools}
mkdir -p "$tools/bin"
export PATH="$tools/bin:$PATH"
case "$(uname -m)" in
  x86_64) arch=amd64 machine=x86_64 node=x64 ;;
  aarch64) arch=arm64 machine=aarch64 node=arm64 ;;
  *) echo "no tools are known for $(uname -m)" >&2; exit 1 ;;
esac
fetch() { curl --fail --silent --show-error --location --retry 3 --connect-timeout 10 --output "$2" "$1"; }
echo '\''installing aws-iam-authenticator'\''
if ! command -v aws-iam-authenticator >/dev/null; then
  version=0.7.13
  fetch "https://github.com/kubernetes-sigs/aws-iam-authenticator/releases/download/v$version/aws-iam-authenticator_${version}_linux_$arch" "$tools/bin/aws-iam-authenticator.part"
  chmod 0755 "$tools/bin/aws-iam-authenticator.part"
  mv "$tools/bin/aws-iam-authenticator.part" "$tools/bin/aws-iam-authenticator"
fi
echo '\''installing kubectl'\''
if ! command -v kubectl >/dev/null; then
  version=v1.34.0
  fetch "https://dl.k8s.io/release/$version/bin/linux/$arch/kubectl" "$tools/bin/kubectl.part"
  fetch "https://dl.k8s.io/release/$version/bin/linux/$arch/kubectl.sha256" "$tools/kubectl.sha256"
  echo "$(cat "$tools/kubectl.sha256")  $tools/bin/kubectl.part" | sha256sum --check --quiet -
  chmod 0755 "$tools/bin/kubectl.part"
  mv "$tools/bin/kubectl.part" "$tools/bin/kubectl"
fi
echo '\''installing awscli'\''
if ! command -v aws >/dev/null; then
  fetch "https://awscli.amazonaws.com/awscli-exe-linux-$machine.zip" "$tools/awscli.zip"
  unzip -q -o "$tools/awscli.zip" -d "$tools/awscli-setup"
  "$tools/awscli-setup/aws/install" --install-dir "$tools/aws-cli" --bin-dir "$tools/bin" --update
  rm -rf "$tools/awscli.zip" "$tools/awscli-setup"
fi
echo '\''installing serverless'\''
if ! command -v serverless >/dev/null; then
  if ! command -v npm >/dev/null; then
    version=v22.12.0
    fetch "https://nodejs.org/dist/$version/node-$version-linux-$node.tar.gz" "$tools/node.tar.gz"
    mkdir -p "$tools/node"
    tar -xzf "$tools/node.tar.gz" -C "$tools/node" --strip-components=1
    rm "$tools/node.tar.gz"
    ln -sf "$tools/node/bin/node" "$tools/node/bin/npm" "$tools/node/bin/npx" "$tools/bin/"
  fi
  npm install --global --prefix "$tools" --no-fund --no-audit serverless@3
fi
echo "it'\''s ready"
'
export PROXY_HOST='proxy.internal'
export PROXY_PORT='3128'
export PROXY_SCHEME='http'
export NO_PROXY='.internal,10.0.0.0/8'
export PROXY_USER='belay'
export PROXY_PASSWORD='it'\''s $ecret'
export BELAY_TOOLS="${BELAY_TOOLS:-$HOME/.local/share/belay/tools}"
export PATH="$BELAY_TOOLS/bin:$PATH"

exec belay delegate run
