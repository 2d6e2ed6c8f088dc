# `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
CONFORMANCE := $(wildcard ../shared/conformance/run)
BENCH := $(wildcard ../shared/bench/run)
K ?=

.DEFAULT_GOAL := help
.PHONY: help setup run test check lint types layers unit conformance faults bench docs docs-check plugin clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

setup: $(STAMP) ## Make .venv with Tailrace and all development tools

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/pip install --quiet --editable ".[all]" --group dev
	$(BIN)/python -m compileall -q tailrace
	@touch $@

run: setup ## Run the demo pipeline (Ctrl-C ends it)
	$(BIN)/python examples/demo/run.py

test: check conformance ## Everything: lint, types, layers, unit tests, conformance

check: lint types layers docs-check unit ## All but the conformance cases

lint: setup
	$(BIN)/ruff check tailrace tests examples bench
	$(BIN)/ruff format --check tailrace tests examples bench

types: setup
	$(BIN)/mypy

layers: setup
	$(BIN)/lint-imports

unit: setup
	$(BIN)/pytest -q -n 2 $(if $(K),-k $(K),)

conformance: setup ## Play the recorded cases of what is built (K=pattern: of ids that contain it)
ifneq ($(CONFORMANCE),)
	$(BIN)/python tests/recorded_cases.py $(CONFORMANCE) $(abspath $(BIN)/tailrace) $(if $(K),-k $(K),)
else
	@echo "no conformance cases beside this checkout: passed over"
endif

faults: setup ## The long form of the fault tests: kills, resets, full disks; writes the table of docs/guarantees.md (13 minutes)
	$(BIN)/python -m tests.faults --faults 1200 --write docs/guarantees.md

bench: setup ## Measure (K=scenario, OTHER="NAME=COMMAND" to compare)
ifneq ($(BENCH),)
	$(BIN)/python $(BENCH) tailrace=$(abspath $(BIN)/tailrace) $(OTHER) $(if $(K),-k $(K),)
endif

docs: setup ## Write docs/reference, the option schema and docs/compatibility.md
	$(BIN)/tailrace docs --write docs

docs-check: setup
	$(BIN)/tailrace docs --check docs

plugin: setup ## Write a new plugin with its test: make plugin KIND=filter NAME=foo
	$(BIN)/tailrace new $(KIND) $(NAME) --builtin

clean: ## Remove what was built
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
