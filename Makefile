# The verbs of this repository. `make help` lists them.
#
# One configuration is built, once: release, with the Swift runtime inside the programs. The demo, the tests and an
# installation all use it, because a fresh build of the dependencies takes minutes.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PREFIX ?= /usr/local
DESTDIR ?=
# A filter for `make test`, `make unit` and `make integration`: make test FILTER=Exec
FILTER ?=

BUILD := .build
CONFIGURATION := -c release --scratch-path $(BUILD)
PROGRAMS := apus apusd apus-runtime
PRODUCTS := $(PROGRAMS) apus-bench
# Swift Testing alone, one test after the other: the tests share one kernel, two cores and one daemon.
TEST := scripts/run-tests $(CONFIGURATION) --skip-build --disable-xctest --no-parallel

.PHONY: help setup build test-setup test-build demo test unit integration bench fmt check doc install uninstall clean

help: ## List these verbs.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what the machine lacks: Debian packages, and a CRIU that works on this kernel.
	@scripts/setup

build: setup ## Build apus, apusd and apus-runtime into bin/.
	@scripts/swift-build $(CONFIGURATION) -- $(PRODUCTS)
	@scripts/place-programs $(BUILD)/release $(PRODUCTS)

test-setup:
	@scripts/setup --tests

test-build: test-setup
	@scripts/swift-build $(CONFIGURATION) -- $(PRODUCTS) apusPackageTests
	@scripts/place-programs $(BUILD)/release $(PRODUCTS)

demo: build ## The main job on a real Debian container, with a table of what happened and how long it took.
	@scripts/demo

test: test-build ## Every test.
	@$(TEST) $(if $(FILTER),--filter '$(FILTER)')

unit: test-build ## The tests that need no container.
	@$(TEST) --skip IntegrationTests $(if $(FILTER),--filter '$(FILTER)')

integration: test-build ## The tests that drive the real programs.
	@$(TEST) --filter 'IntegrationTests$(if $(FILTER),.*$(FILTER))'

bench: build ## Measure, beside the goals. Appends to Benchmarks/RESULTS.md with RECORD=1.
	@bin/apus-bench $(if $(RECORD),--record Benchmarks/RESULTS.md)

fmt: ## Format the sources.
	@scripts/format

check: ## Lint: formatting, and the house's own rules.
	@scripts/check

doc: ## Check the documentation: links, and that every command is described.
	@scripts/check-docs

install: build ## Install under PREFIX (/usr/local): programs, systemd units, shell completions; makes the group apus.
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' scripts/install $(PROGRAMS)

uninstall: ## Take away what `make install` put there. Containers and their state stay.
	@DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' scripts/install --remove $(PROGRAMS)

clean: ## Remove what a build leaves.
	@rm -rf $(BUILD) bin
