# Two commands set everything up on a fresh machine: `make demo` and `make test`.
# Each installs what it needs first, shows what it does, and may be repeated.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help install demo test check unit contract cluster bench golden docs wheel lint types floors lab lab-down lock clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | column -t -s'|'

# --- the environment ------------------------------------------------------------------------------------
$(STAMP): requirements.lock pyproject.toml
	@tools/bootstrap $(PYTHON) $(VENV)
	@touch $@

install: $(STAMP)  ## Install Railiance into .venv (from the committed lock)

# --- the two commands -----------------------------------------------------------------------------------
demo: $(STAMP)  ## Watch an application go Stage 1 -> 2 -> 3 and back on a real cluster
	@$(BIN)/python -m railiance.demo

test: $(STAMP)  ## Run all tests: style, types, floors, unit, contract, and everything on the lab
	@tools/run-tests

# --- parts of it ----------------------------------------------------------------------------------------
check: lint types floors unit  ## Everything that needs no cluster and takes seconds

lint: $(STAMP)
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --diff --quiet . | head -40; exit 1; }
	@$(BIN)/ruff check --quiet .

types: $(STAMP)
	@$(BIN)/mypy

floors: $(STAMP)
	@$(BIN)/lint-imports --no-cache

unit: $(STAMP)  ## The fast tests
	@$(BIN)/pytest -q tests/unit

contract: $(STAMP)  ## Adapters, commands, flows on a local Prefect server, packaging
	@$(BIN)/pytest -q tests/contract

lab: $(STAMP)  ## Bring the lab cluster up
	@$(BIN)/railiance lab up

lab-down: $(STAMP)
	@$(BIN)/railiance lab down

cluster: lab  ## The tests on the lab
	@tools/run-tests --cluster-only

bench: lab  ## The measurements
	@if [[ -d tests/bench ]]; then $(BIN)/pytest -q -m "cluster or not cluster" tests/bench; \
	else echo "There are no measurements yet."; exit 1; fi

golden: $(STAMP)  ## Write the golden files anew; read the diff
	@RAILIANCE_GOLDEN=write $(BIN)/pytest -q tests/unit tests/contract -k "golden or drift or rendered or goldens"

docs: $(STAMP)  ## Write the generated reference pages anew
	@RAILIANCE_GOLDEN=write $(BIN)/pytest -q tests/unit/schema/test_json_schema.py tests/contract/test_cli.py tests/contract/test_docs.py \
		tests/contract/test_chart.py -k "reference or page_of_codes or golden or drift or tells_every_value"

wheel: $(STAMP)  ## Build the wheel and the sdist
	@$(BIN)/python -m build --no-isolation --outdir dist .

lock:  ## Resolve the dependencies anew (needs uv in the environment)
	@$(BIN)/uv pip compile pyproject.toml --group test --group dev --generate-hashes --no-emit-index-url \
		--no-annotate --no-header --python-version 3.11 -o requirements.lock

clean:
	@rm -rf dist build .mypy_cache .ruff_cache .pytest_cache
