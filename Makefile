# Development tasks. `make` without arguments lists them.
#
# Variables, each settable on the command line (make run PORT=8080):
#   PORT      port that `make run` listens on            (5000)
#   BIN       path of the binary that `make build` makes (sohbet)
#   VERSION   version that the binary reports            (git describe)
#   COMMIT, DATE  commit that `sohbet version` reports   (git: the last commit and its date)
#   GO        the Go command                             (go)
#   FLAGS     flags for `go build`                       (-trimpath)
#   ARCH      architecture of `make image`               (go env GOARCH)
#   ROUNDS    rounds of `make bench`; it reports medians (5)
#   SCENES    scenes of `make screenshots`, by parts of their names (all)

PORT    ?= 5000
BIN     ?= sohbet
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null)
DATE    ?= $(shell git log -1 --format=%cI 2>/dev/null)
GO      ?= go
FLAGS   ?= -trimpath
ARCH    ?= $(shell $(GO) env GOARCH)
ROUNDS  ?= 5
SCENES  ?=

# Debug information of C code, which the linker removes, makes compiling SQLite slower.
export CGO_CFLAGS ?= -O2
export GO
CLIENT  := assets/static/vendor/socket.io.min.js

.PHONY: help run build assets test check bench screenshots paint release image

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: build ## Build and serve on http://localhost:5000, data in ./data
	PORT=$(PORT) ./$(BIN)

build: assets ## Build the binary ./sohbet
	$(GO) build $(FLAGS) -buildvcs=false -ldflags '-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT) -X main.date=$(DATE)' -o $(BIN) .

test: ## Everything that CI runs; installs missing programs with apt
	@.ci/install
	@.ci/services .ci/test

check: ## The quick part of it: format, vet, lint, types of the browser code, Go tests with the race detector
	@.ci/services .ci/test quick

bench: ## Measure against socket.io on Node and on Bun, and the start, and write bench/README.md's tables
	@npm ci --prefix bench/peer --omit=peer --ignore-scripts --no-audit --no-fund
	FSYNC=on .ci/services $(GO) run ./bench/run -rounds $(ROUNDS)

screenshots: build ## Pictures of every page and state, phone and desktop, light and dark, into ./screenshots
	@.ci/install screenshots
	@npm ci --prefix assets --no-audit --no-fund --loglevel=error
	SOHBET_BIN=$(abspath $(BIN)) .ci/services node assets/test/screenshots.mjs $(SCENES)

paint: build ## Measure paint times of each page and the widget on a slow phone; fails above a second or on layout shifts
	@.ci/install screenshots
	@npm ci --prefix assets --no-audit --no-fund --loglevel=error
	SOHBET_BIN=$(abspath $(BIN)) node assets/test/paint-times.mjs

release: $(CLIENT) ## Static binaries for every platform and container images into ./dist, with checksums and a software bill of materials
	@.ci/release "$(VERSION)" "$(COMMIT)" "$(DATE)"

image: $(CLIENT) ## The part of the release for one platform: ./dist/sohbet-linux-ARCH.oci.tar, for docker load
	@PLATFORMS=linux/$(ARCH) .ci/release "$(VERSION)" "$(COMMIT)" "$(DATE)"

# What pages load, joined and compressed, and the texts of licences, to be embedded. A plain `go build` without it serves the sources, and
# `sohbet licenses` names the modules with addresses of their licences.
#
# Both programs are compiled with the same flags, so that packages of both are compiled once, and the server's storage along with the
# generator, so that a second core has work while one compiles SQLite, which is a single file.
assets: $(CLIENT)
	$(GO) build $(FLAGS) ./assets/build ./models
	GOFLAGS="$$($(GO) env GOFLAGS) $(FLAGS)" $(GO) generate ./assets ./server/licenses

# The official Socket.IO client for browsers, embedded if npm is installed. Without it the binary works too: browsers then load
# the pinned version from the client's CDN.
$(CLIENT): assets/package-lock.json assets/scripts/vendor.mjs
	@if command -v npm >/dev/null; then \
		npm ci --prefix assets --omit=dev --no-audit --no-fund && npm run --silent --prefix assets vendor && touch $@; \
	else \
		echo "npm is not installed: building without the embedded Socket.IO client, browsers load it from its CDN"; \
	fi
