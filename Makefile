# make demo: set up and run the main job.  make test: set up and run all tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint bench weights calibration accuracy docs clean

demo: $(VENV)/.demo
	$(BIN)/faceset demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.dlib_parity

# The shipped aggregator weights, made anew from LFW (FACESET_DATA); then the table in docs/accuracy.md.
weights: $(VENV)/.dev
	$(BIN)/python -m benchmarks.make_weights

# The shipped thresholds, made anew from the people of LFW that no training saw.
calibration: $(VENV)/.dev
	$(BIN)/python -m benchmarks.make_calibration

accuracy: $(VENV)/.dev
	$(BIN)/python -m benchmarks.accuracy

docs: $(VENV)/.dev
	$(BIN)/python docs/make_cli.py

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("faceset needs Python 3.11 or newer; set PYTHON=python3.11, for example" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
