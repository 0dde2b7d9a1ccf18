# make run starts the service, make test runs the checks; both set up .venv first, once.
.PHONY: run test install lint lock label-studio
.DEFAULT_GOAL := run

SUITABLE := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c '$(SUITABLE)' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin

run: install
	@$(BIN)/prelabel serve

test: install
	@$(BIN)/pytest

lint: install
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

install: .venv/installed

.venv/installed: requirements.lock pyproject.toml
	@if ! $(or $(PYTHON),false) -c '$(SUITABLE)' 2>/dev/null; then echo "prelabel expected Python 3.11, 3.12 or 3.13 with \
	venv, got $(or $(PYTHON),none): install it (Debian, Ubuntu: apt install python3 python3-venv) or name it: make \
	PYTHON=/path/to/python" >&2; exit 1; fi
	@echo "Setting up .venv with $$($(PYTHON) --version); this takes a few minutes, once."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

# The real Label Studio, for the tests that work with it; in an environment of its own, beside ours.
label-studio: .label-studio/bin/label-studio

.label-studio/bin/label-studio:
	@$(PYTHON) -m venv .label-studio
	@.label-studio/bin/python -m pip install --quiet --disable-pip-version-check label-studio==1.23.2

# Resolves pyproject.toml anew into exact versions for every supported Python; needs uv.
lock:
	uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --no-header --no-annotate \
		--output-file requirements.lock
