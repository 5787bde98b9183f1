package manifest

import (
	"fmt"
	"slices"
	"strings"
)

// preset is a program that INIT_SCRIPT can install. Each works for user 1001, on amd64 and arm64, and does nothing when the
// program is there already, as after a restart of the container.
type preset struct {
	name   string
	heavy  bool   // needs some hundred megabytes of memory while it works
	script string // bash; ends the whole script when it fails
}

// Names of files differ: some say amd64, others x86_64.
const initHead = `set -euo pipefail
tools=${BELAY_TOOLS:-` + toolsFolder + `}
mkdir -p "$tools/bin"
export PATH="$tools/bin:$PATH"
case "$(uname -m)" in
  x86_64) arch=amd64 machine=x86_64 node=x64 ;;
  aarch64) arch=arm64 machine=aarch64 node=arm64 ;;
  *) echo "no tools are known for $(uname -m)" >&2; exit 1 ;;
esac
fetch() { curl --fail --silent --show-error --location --retry 3 --connect-timeout 10 --output "$2" "$1"; }
`

// presets are in the order in which they are installed: serverless and sam stand on others.
func presets() []preset {
	return []preset{
		{name: "aws-iam-authenticator", script: `if ! command -v aws-iam-authenticator >/dev/null; then
  version=0.7.13
  fetch "https://github.com/kubernetes-sigs/aws-iam-authenticator/releases/download/v$version/aws-iam-authenticator_${version}_linux_$arch" "$tools/bin/aws-iam-authenticator.part"
  chmod 0755 "$tools/bin/aws-iam-authenticator.part"
  mv "$tools/bin/aws-iam-authenticator.part" "$tools/bin/aws-iam-authenticator"
fi
`},
		{name: "kubectl", script: `if ! command -v kubectl >/dev/null; then
  version=v1.34.0
  fetch "https://dl.k8s.io/release/$version/bin/linux/$arch/kubectl" "$tools/bin/kubectl.part"
  fetch "https://dl.k8s.io/release/$version/bin/linux/$arch/kubectl.sha256" "$tools/kubectl.sha256"
  echo "$(cat "$tools/kubectl.sha256")  $tools/bin/kubectl.part" | sha256sum --check --quiet -
  chmod 0755 "$tools/bin/kubectl.part"
  mv "$tools/bin/kubectl.part" "$tools/bin/kubectl"
fi
`},
		{name: "awscli", heavy: true, script: `if ! command -v aws >/dev/null; then
  fetch "https://awscli.amazonaws.com/awscli-exe-linux-$machine.zip" "$tools/awscli.zip"
  unzip -q -o "$tools/awscli.zip" -d "$tools/awscli-setup"
  "$tools/awscli-setup/aws/install" --install-dir "$tools/aws-cli" --bin-dir "$tools/bin" --update
  rm -rf "$tools/awscli.zip" "$tools/awscli-setup"
fi
`},
		{name: "serverless", heavy: true, script: `if ! command -v serverless >/dev/null; then
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
`},
	}
}

// Tools are the names of the programs that INIT_SCRIPT can install.
func Tools() []string {
	var all []string
	for _, p := range presets() {
		all = append(all, p.name)
	}
	return all
}

func tool(name string) (preset, bool) {
	for _, p := range presets() {
		if p.name == name {
			return p, true
		}
	}
	return preset{}, false
}

// initScript is what INIT_SCRIPT holds: the presets in their order, each once, and then what the user gave.
func (s Spec) initScript() string {
	var b strings.Builder
	for _, p := range presets() {
		if slices.Contains(s.Tools, p.name) {
			b.WriteString("echo 'installing " + p.name + "'\n" + p.script)
		}
	}
	text := b.String()
	if text != "" {
		text = initHead + text
	}
	if own := strings.TrimRight(strings.ReplaceAll(s.InitScript, "\r\n", "\n"), " \t\n"); own != "" {
		text += own + "\n"
	}
	return text
}

// memory is the most that a delegate may use, in MiB. It idles at 25; tools that it starts are what takes more.
func (s Spec) memory() int {
	most := 256
	for _, name := range s.Tools {
		if p, _ := tool(name); p.heavy {
			most = 1024
		}
	}
	if s.InitScript != "" {
		most = max(most, 512)
	}
	return most
}

// mebibytes is a quantity as an API server keeps it: in the largest unit that takes a whole number. Written otherwise, each
// client-side apply would find a change.
func mebibytes(n int) string {
	const gibi = 1024
	if n%gibi == 0 {
		return fmt.Sprintf("%dGi", n/gibi)
	}
	return fmt.Sprintf("%dMi", n)
}
