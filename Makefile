# `make test` and `make demo` set everything up themselves, in .venv; `make help` lists the targets.

PYTHON ?= python3
PYTEST_ARGS ?=
# One test process per core, at most four.
PYTEST_JOBS ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN); if [ "$$cores" -lt 4 ]; then echo $$cores; else echo 4; fi)

.DEFAULT_GOAL := help
.PHONY: help environment demo test lint format clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 22
	@echo "Variables: PYTHON=python3.12 (what .venv is made with), PYTEST_ARGS='-k sum' (passed on to pytest)"

environment: ## create or update .venv; does nothing when it is up to date
	@command -v $(PYTHON) >/dev/null || { echo "cuarray needs Python 3.11, 3.12 or 3.13; '$(PYTHON)' was not found." >&2; exit 1; }
	@$(PYTHON) tools/setup_environment.py

demo: environment ## run the demonstration
	.venv/bin/python examples/demo.py

test: environment ## run the tests
	.venv/bin/python -m pytest -n $(PYTEST_JOBS) $(PYTEST_ARGS) tests

lint: environment ## check style and types
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

format: environment ## format the Python code and fix what can be fixed
	.venv/bin/ruff format .
	.venv/bin/ruff check --fix .

clean: ## remove .venv and everything that was built
	rm -rf .venv build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
