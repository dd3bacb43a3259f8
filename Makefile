# `make help` prints what can be done. Only Python 3.11 or newer and make are needed; nothing has to be activated.

PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3; do \
	command -v $$python >/dev/null 2>&1 && $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SOURCES := kalcifer tenants flows engine benchmarks $(wildcard marketing) tests manage.py
ARGS ?=

.DEFAULT_GOAL := help

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(READY) ## virtual environment in .venv/ with everything pinned; does nothing when nothing has changed

$(READY): requirements.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, and none was found: make setup PYTHON=/path/to/python3" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "$(PYTHON) cannot make a virtual environment: install its venv module." >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --editable ".[dev]"
	@touch $(READY)

.PHONY: demo
demo: $(READY) ## the whole product with sample flows and people; ARGS="--exit --chaos" are handed on
	$(BIN)/python manage.py demo $(ARGS)

.PHONY: up run
up: $(READY) ## servers, migrations, web on port 4500, workers, beat; Ctrl-C stops all
	@exec $(BIN)/python manage.py up $(ARGS)
run: up ## the same as up

.PHONY: test
test: $(READY) ## every test, on real PostgreSQL and Redis with real Celery workers
	$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

.PHONY: test-fast
test-fast: $(READY) ## the tests that need no database
	$(BIN)/python -m pytest -q -m "not database and not processes" $(ARGS)

.PHONY: check
check: $(READY) ## format, lint, types, import rules, migrations in step
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python manage.py makemigrations --check --dry-run

.PHONY: format
format: $(READY) ## put the code into shape
	$(BIN)/ruff check --fix --select I $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

.PHONY: bench
bench: $(READY) ## the workloads of the bench as a table; ARGS="chain3 --quick" are handed on
	$(BIN)/python manage.py bench $(ARGS)

.PHONY: clean
clean: ## remove the virtual environment and caches; the data in .kalcifer/ stays
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
