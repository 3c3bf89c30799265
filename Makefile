# The project's commands; `make help` lists them. Each sets up what it needs in .venv, from the locked requirements.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.9
LOCK = $(BIN)/uv pip compile --quiet --upgrade --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11

.PHONY: help
help: ## List the commands
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | awk 'BEGIN {FS = ":.*## "}; {printf "  make %-13s %s\n", $$1, $$2}'

$(BIN)/uv:
	@command -v $(PYTHON) >/dev/null || { echo "canario needs Python 3.11 or 3.12: install it, or name it with PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' || { echo "canario needs Python 3.11 or 3.12, and $(PYTHON) is $$($(PYTHON) -V): name another with PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.runtime: $(BIN)/uv requirements/runtime.txt pyproject.toml
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/runtime.txt
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.runtime requirements/dev.txt
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@

.PHONY: setup
setup: $(VENV)/.runtime ## Make .venv with the pinned dependencies and the `canario` command

.PHONY: dev
dev: $(VENV)/.dev ## The same, with what the tests and the checks need

.PHONY: demo
demo: setup ## The main job: train, pack, serve, a good canary and two bad ones
	@$(BIN)/python -m demo

.PHONY: story
story: setup ## Fraud changes under a model: alarms, a retraining, a canary, and it is caught again
	@$(BIN)/python -m demo.degradation

.PHONY: check
check: dev ## Lint, format, types, floors
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: test
test: dev ## The test suite, without what needs a cluster; installs Chromium where it may
	@tests/install-system-parts
	@$(BIN)/python -m pytest -n 2 --dist loadfile --ignore=tests/e2e/kubernetes $(TESTS)

.PHONY: cluster-tools
cluster-tools: $(BIN)/uv ## Build the parts of the tests' cluster, once
	@$(BIN)/python -m tests.cluster build

.PHONY: cluster
cluster: $(BIN)/uv ## Start a real Kubernetes on this machine, for tests; the first time it is built
	@$(BIN)/python -m tests.cluster up

.PHONY: cluster-down
cluster-down: $(BIN)/uv ## End it, and leave the machine as it was
	@$(BIN)/python -m tests.cluster down

.PHONY: e2e
e2e: dev ## The tests on Kubernetes: on that of KUBECONFIG, else on one of its own
	@$(BIN)/python -m tests.cluster images
	@$(BIN)/python -m tests.cluster run $(BIN)/python -m pytest $(or $(TESTS),tests/e2e/kubernetes tests/helm/test_charts_on_api_server.py)

.PHONY: format
format: dev ## Format the code and mend what lint can mend
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

.PHONY: lock
lock: $(BIN)/uv ## Resolve pyproject.toml again into requirements/
	@$(LOCK) pyproject.toml --extra dev --output-file requirements/dev.txt
	@$(LOCK) pyproject.toml --constraint requirements/dev.txt --output-file requirements/runtime.txt
	@$(LOCK) pyproject.toml --extra s3 --constraint requirements/runtime.txt --constraint requirements/dev.txt --output-file requirements/trainer.txt
	@$(LOCK) --group controller --constraint requirements/runtime.txt --output-file requirements/controller.txt

.PHONY: charts
charts: dev ## Make each chart's schema and table of values from its values.yaml
	@$(BIN)/python helm/documentation.py

.PHONY: monitoring
monitoring: dev ## Make rules, routes and dashboards from monitoring/objectives.yaml
	@$(BIN)/python -m canario.monitoring

.PHONY: k8s
k8s: dev ## Render the charts into k8s/, for people without Helm
	@$(BIN)/python helm/rendering.py

.PHONY: image
image: ## Build the canario image (controller, router, smoke test); IMAGE, BASE_IMAGE and ENGINE choose others
	@image/build

.PHONY: trainer
trainer: ## Build the image for retrainings and batches in a cluster, with the rooms of bentos/; the same variables choose others
	@TARGET=trainer image/build

.PHONY: clean
clean: ## Remove .venv and what the demo left to look at
	@rm -rf $(VENV) .demo .story .mypy_cache .ruff_cache .pytest_cache .hypothesis
