# Everything starts here: `make demo` runs the main job, `make test` the tests. Both set up .venv by themselves.

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo lab test lint bench campaign docs clean

help:  ## Show what there is to make
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.ready: pyproject.toml
	@test -n "$(PYTHON)" || { echo "No Python >= 3.11 with venv was found. Install one (Debian: apt-get install python3 python3-venv) or say PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev,kiosk]'
	@touch $@

demo: $(VENV)/.ready  ## Run a procedure notebook as an observation against simulated equipment
	$(BIN)/camtest demo

lab: $(VENV)/.ready  ## Open JupyterLab on a private sandbox (core services, simulators, device servers)
	$(BIN)/camtest lab --sandbox .sandbox

test: $(VENV)/.dev  ## Run the tests
	$(BIN)/python -m pytest -m "not campaign" -n 3 --dist loadfile --durations=40

lint: $(VENV)/.dev  ## Style, types, layers, YAML and white space
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/yamllint --strict .
	git grep -nIE '[[:blank:]]+$$' -- ':!*.ipynb' ':!*.svg' && { echo "trailing white space"; exit 1; } || true

bench: $(VENV)/.dev  ## Ratios against limits and peers
	$(BIN)/python -m benchmarks

campaign: $(VENV)/.dev  ## Long fault campaigns and soaks
	$(BIN)/python -m pytest -m campaign -s --timeout 0

docs: $(VENV)/.ready  ## Print where the documentation is and check that its links lead somewhere
	$(BIN)/python -m docs

clean:  ## Remove what make made
	rm -rf $(VENV) .demo .sandbox .mypy_cache .ruff_cache .import_linter_cache
