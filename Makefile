# Mainspring: one entry for everything. `make` alone lists what there is.
#
# Build results live outside the clone, shared by all clones of one user, because a cold build of the
# dependencies takes ten minutes, of the optimised ones up to half an hour. CARGO_TARGET_DIR moves them.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# No library of the tests and peers reports to its makers.
export ORT_DISABLE_TELEMETRY ?= 1
export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/mainspring/target
DEBUG := $(CARGO_TARGET_DIR)/debug/mainspring
RELEASE := $(CARGO_TARGET_DIR)/release/mainspring

.PHONY: help setup build release demo test bench fuzz fmt lock dist clean

help: ## list the targets
	@echo "Mainspring: from a training run to a served, recorded prediction."
	@echo
	@awk -F ' ?## ' '/^[a-z]+:.*## / { sub(/:.*/, "", $$1); printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "Results of builds: $(CARGO_TARGET_DIR)"

setup: ## bring what the server and the demo need (again: under a second)
	@tools/setup

build: setup ## the debug binary
	cargo build --package mainspring-cli
	@echo "$(DEBUG)"

release: setup ## the optimised binary, with the console in it
	cargo build --release --package mainspring-cli
	@echo "$(RELEASE)"

demo: release ## the main job on real data; ONCE=1 ends by itself, PORT=n picks the port
	@.venv/bin/python examples/demo/demo.py --binary "$(RELEASE)" $(if $(ONCE),--once) $(if $(PORT),--port $(PORT))

test: ## everything that must hold; STEP=name runs one step of it
	@tools/test $(if $(STEP),--only $(STEP))

bench: setup ## us beside our peers into bench/RESULTS.md; PART=name runs one part of it
	@tools/setup --bench
	cargo build --release --package mainspring-cli --package mainspring-bench
	@.venv/bin/python bench/run.py --binary "$(RELEASE)" $(if $(PART),--only $(PART))
	@$(if $(PART),,cargo run --release --quiet --package mainspring-stats --example drift_alarms)
	@$(if $(PART),,cargo run --release --quiet --package mainspring-rollout --example whole_rollouts)
	@$(if $(PART),,cargo run --release --quiet --package mainspring-journal --example thirty_days)

fuzz: ## each parser of bytes from outside for FUZZ_SECONDS (60); TARGET=name runs one
	@tools/fuzz $(or $(FUZZ_SECONDS),60) $(TARGET)

fmt: ## format the sources
	cargo fmt --all

lock: ## resolve requirements/*.in anew into the lock files
	@tools/lock

dist: setup ## the smallest, fastest binary, for packages
	cargo build --profile dist --package mainspring-cli
	@echo "$(CARGO_TARGET_DIR)/dist/mainspring"

clean: ## remove what set-up made in the clone; build results and data folders stay
	rm -rf .venv .venvs console/node_modules console/dist bench/out
