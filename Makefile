# Two commands for a stranger: `make demo` and `make test`. Everything else is below `make help`.
# PYTHON chooses the interpreter that the virtual environment is made of; 3.11 or newer.

PYTHON ?= python3
VENV   ?= .venv
ARGS   ?=

BIN     := $(VENV)/bin
SOURCES := pyproject.toml constraints.txt
PIP     := $(BIN)/python -m pip --disable-pip-version-check

ROOT    := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.DEFAULT_GOAL := help
.PHONY: help install demo demo-pacs up test lint fuzz services clean

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

install: $(VENV)/installed ## Make the virtual environment

demo: $(VENV)/installed ## Do the main job on drawn patients and serve the result (ARGS=--no-serve ends by itself)
	@$(BIN)/cbmir demo $(ARGS)

demo-pacs: $(VENV)/installed ## Follow a real Orthanc live, deletions too (needs `make services`; ARGS="--from DIR" sends your own)
	@$(BIN)/cbmir demo-pacs $(ARGS)

up: $(VENV)/installed ## Run the web and all workers (ARGS="--data DIR" and so on)
	@$(BIN)/cbmir up $(ARGS)

test: $(VENV)/installed-test ## Install what the tests need and run them all (ARGS="-k word" for some)
	@$(BIN)/python -m pytest --numprocesses 2 --dist loadfile $(ARGS)

lint: $(VENV)/installed-test ## Style, types, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

fuzz: $(VENV)/installed-fuzz ## Look for files that crash or stall the conversion (ARGS="-max_total_time=3600 FOLDER"; Linux)
	@$(BIN)/python tests/fuzzing/convert.py $(ARGS)

services: ## Install the programs that some tests need (Debian; as root or with sudo)
	@command -v apt-get >/dev/null || { echo "make services knows only Debian's apt-get: install PostgreSQL, Redis, Chromium, Orthanc, dcmtk and GDCM by hand." >&2; exit 1; }
	$(ROOT) apt-get update -q
	$(ROOT) env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends postgresql redis-server chromium orthanc orthanc-dicomweb orthanc-postgresql orthanc-python dcmtk dicom3tools libgdcm-tools

clean: ## Take away everything that was made, the demos' folders too
	rm -rf $(VENV) .demo .demo-pacs .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Stamps: what is installed is installed anew when the files that say so have changed.
$(VENV)/installed: $(SOURCES) | $(VENV)/bin/python
	@echo "Installing cbmir and what it needs; the first time this takes a few minutes."
	@$(PIP) install --quiet --upgrade 'pip>=24'
	@$(PIP) install --quiet -c constraints.txt -e .
	@touch $@

$(VENV)/installed-test: $(VENV)/installed
	@$(PIP) install --quiet -c constraints.txt -e '.[test]'
	@touch $@

$(VENV)/installed-fuzz: $(VENV)/installed
	@$(PIP) install --quiet -c constraints.txt -e '.[fuzz]'
	@touch $@

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "cbmir needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.12 demo" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "On Debian: apt-get install python3-venv" >&2; rm -rf $(VENV); exit 1; }
