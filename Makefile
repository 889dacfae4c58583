# Every target works on a fresh Debian 12 with Swift; `make help` lists them.
SHELL := /bin/bash
PREFIX ?= /usr/local
SWIFT ?= swift
STRICT := --explicit-target-dependency-import-check error
RELEASE := -c release --static-swift-stdlib $(STRICT)
# Tests link the dynamic library. A folder of their own keeps the two builds from undoing each other.
TESTS := -c release --scratch-path .build/tests $(STRICT)

.PHONY: help demo build test bench lint fuzz install clean
.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

demo: build ## a fleet of real modules under ./demo: run, damage, find, repair, hydrate
	scripts/demo

build: ## the program, .build/release/cistern
	scripts/bootstrap build
	$(SWIFT) build $(RELEASE) --product cistern

test: ## all tests; what this machine cannot check is listed at the end
	scripts/bootstrap test
	FLAGS="$(TESTS)" scripts/test

bench: build ## side by side with find, sha256sum, restic and rclone; ARGS="--quick --only manifest --runs 5"
	scripts/bootstrap test
	scripts/newer-restic
	$(SWIFT) build $(TESTS) --product Benchmarks
	CISTERN=$(CURDIR)/.build/release/cistern .build/tests/release/Benchmarks $(ARGS)

lint: ## format and house rules
	scripts/lint

fuzz: ## the fuzzers for MINUTES (60) each
	scripts/bootstrap build
	FLAGS="$(TESTS)" scripts/fuzz $(MINUTES)

install: build ## the program into PREFIX (/usr/local)
	install -D -m 755 .build/release/cistern "$(DESTDIR)$(PREFIX)/bin/cistern"

clean: ## everything that was built, and ./demo
	rm -rf .build demo
