# Muniment. `make help` lists what can be done here; every target makes the environment that it needs.
# Needed on the machine: Python 3.11 or newer with its venv module, and make. Nothing else, and no root.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
UV := $(VENV)/bootstrap/bin/uv
INSTALLED := $(VENV)/.installed
DATA ?= .muniment
PORT ?= 8080
WORKERS ?= 2
# What speaks to the stream server: all else says the same whatever that server is.
REDIS_SUITES := tests/integration/events tests/integration/identity/test_revocations.py \
	tests/integration/messaging/test_amendments.py tests/integration/messaging/test_delivery.py
ARGS ?=
COMPILE := $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header

# The first Python on PATH that is new enough; PYTHON=… on the command line decides otherwise.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)

export UV_PYTHON_DOWNLOADS := never
export PIP_DISABLE_PIP_VERSION_CHECK := 1

##@ Use it
.PHONY: run demo
run: env ## Start everything with a demo tenant, print one address and three sign-ins (DATA=folder PORT=8080)
	@$(BIN)/muniment up --demo --data "$(DATA)" --port "$(PORT)" $(ARGS)

demo: env ## Send a whole corpus live through a platform that is running (ARGS="--corpus FILE --limit N")
	@$(BIN)/muniment demo --data "$(DATA)" $(ARGS)

##@ Check it
.PHONY: check test engines test-engines bench prove
check: env ## Read everything: lints, format, types, import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: env ## Run every test that needs nothing else (ARGS="tests/unit -k word", WORKERS=2)
	$(BIN)/pytest --numprocesses "$(WORKERS)" $(ARGS)

engines: ## Provision the real servers that wheels do not ship, under .engines/ (or say why not)
	@sh infra/provision/redis.sh .engines
	@sh infra/provision/opensearch.sh .engines

test-engines: env engines ## Run the suites that speak to a real server against those, too
	@MUNIMENT_TEST_GO=1 $(BIN)/pytest --numprocesses 0 tests/contract/evidence
	@MUNIMENT_TEST_ENGINES="$(CURDIR)/.engines" $(BIN)/pytest --numprocesses "$(WORKERS)" -k opensearch tests/contract/search tests/e2e/opensearch
	@if [ -x .engines/redis/redis-server ]; then \
		MUNIMENT_TEST_REDIS="$(CURDIR)/.engines/redis/redis-server" \
			$(BIN)/pytest --numprocesses "$(WORKERS)" $(or $(ARGS),$(REDIS_SUITES)); \
	else echo "Skipped: $$(cat .engines/redis/missing)"; fi

bench: env ## Measure, each figure against its baseline of the same run (ARGS="messaging --json")
	@$(BIN)/muniment bench $(ARGS)

prove: env ## Show that the proofs can fail (every planted defect is caught), and run the long proofs
	MUNIMENT_TEST_ENGINES="$(wildcard $(CURDIR)/.engines)" $(BIN)/pytest -m "planted or prove" $(ARGS)

##@ Maintain it
.PHONY: env lock format clean help
env: $(INSTALLED) ## Make the environment (.venv) from the hash-locked requirements

# uv lies beside the environment, not in it, so that `uv pip sync` does not remove it.
$(UV): requirements-bootstrap.lock
	@test -n "$(PYTHON)" || { echo "Muniment needs Python 3.11 or newer with its venv module." >&2; exit 1; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@"$(PYTHON)" -m venv "$(VENV)" || { echo "Python cannot make an environment here: install its venv package (python3-venv on Debian)." >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --require-hashes --upgrade --target "$(VENV)/bootstrap" -r requirements-bootstrap.lock
	@touch "$(UV)"

# Without a network the cache answers, if it can. Compiled once here, not by each of a dozen processes as it starts.
$(INSTALLED): $(UV) requirements-dev.lock pyproject.toml hatch_build.py requirements.in
	@echo "Installing what requirements-dev.lock names"
	@mirror=$$($(BIN)/python -m pip config get global.index-url 2>/dev/null) || mirror=; \
		if [ -n "$$mirror" ]; then export UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$mirror}"; fi; \
		$(UV) pip sync --compile-bytecode --require-hashes --python $(BIN)/python requirements-dev.lock || \
		$(UV) pip sync --compile-bytecode --offline --require-hashes --python $(BIN)/python requirements-dev.lock
	@$(UV) pip install --quiet --offline --no-deps --no-build-isolation --python $(BIN)/python --editable .
	@touch "$(INSTALLED)"

lock: $(UV) ## Resolve the requirements anew and write the locks
	$(COMPILE) requirements-bootstrap.in --output-file requirements-bootstrap.lock $(ARGS)
	$(COMPILE) requirements.in --output-file requirements.lock $(ARGS)
	$(COMPILE) requirements-dev.in --constraint requirements.lock --output-file requirements-dev.lock $(ARGS)

format: env ## Let the formatter and the safe fixes have their way
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## Remove the environment and every cache; data folders stay
	rm -rf $(VENV) .engines .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } /^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
