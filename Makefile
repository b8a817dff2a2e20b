# make demo    builds a small archive of DICOM objects, indexes it, and serves it at http://127.0.0.1:8000
# make test    installs what the tests need and runs them all
# make services, make up, make clean: below

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --constraint constraints.txt
ARGS ?=

.PHONY: demo up test services clean

demo: $(VENV)/installed
	@$(BIN)/cbmir demo $(ARGS)

up: $(VENV)/installed
	@$(BIN)/cbmir up $(ARGS)

test: $(VENV)/installed-for-tests
	@$(BIN)/python -m pytest $(ARGS)

# PostgreSQL, Redis, Chromium, Orthanc and dcmtk, for the tests that talk to them (Debian; as root)
services:
	apt-get update
	DEBIAN_FRONTEND=noninteractive apt-get install -y postgresql redis-server chromium orthanc dcmtk

clean:
	rm -rf $(VENV) .demo

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "cbmir needs Python 3.11 or newer: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing cbmir into $(VENV): the first time this takes a few minutes."
	@$(PIP) --upgrade pip
	@$(PIP) --editable .
	@touch $@

$(VENV)/installed-for-tests: $(VENV)/installed
	@echo "Installing what the tests need."
	@$(PIP) --editable ".[test]"
	@touch $@
