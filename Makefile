# The two commands of the README are `make demo` and `make test`; each does all of its own set-up.
SHELL := /bin/bash
PY ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
WORKERS ?= 2
# .pyc files are part of a fast start, whatever the caller's environment says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test check soak bench docs proto lock dist fmt clean

setup: $(STAMP)

$(STAMP): pyproject.toml requirements.lock $(wildcard bin/*)
	@scripts/setup.sh "$(PY)" "$(VENV)"
	@touch $@

demo: setup
	@$(BIN)/python scripts/demo.py

test: setup
	@scripts/test.sh $(BIN) $(WORKERS)

check: setup
	@scripts/check.sh $(BIN)

soak: setup
	@scripts/soak.sh $(BIN)

bench: setup
	@$(BIN)/python -m bench

docs: setup
	@$(BIN)/python scripts/docs.py

proto: setup
	@$(BIN)/python scripts/proto.py

# Pins every dependency with its hashes.
lock: setup
	@$(BIN)/pip-compile -q --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
	  --no-emit-find-links --no-header --extra dev -o requirements.lock pyproject.toml

dist: setup
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist .

fmt: setup
	@$(BIN)/ruff format src tests scripts bench && $(BIN)/ruff check --fix src tests scripts bench

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache
