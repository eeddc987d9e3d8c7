# Every target sets itself up in .venv, on a machine that has only Python 3.11 or 3.12 and make.
PYTHON ?= python3
BIN := .venv/bin
export TOKENIZERS_PARALLELISM := false
PACKAGES := core cache proposals selector llm_grounder fusion benchmarks tracksift miniature scripts

.PHONY: install demo test test-slow check format clean

install: .venv/.runtime

# torch comes first and sam2 builds against it, without isolation, or the build would fetch torch again.
.venv/.runtime: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 13) else f"TrackSift needs Python 3.11 or 3.12, got {sys.version.split()[0]}; run make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip "setuptools<82" wheel
	$(BIN)/pip install --quiet $$(grep -oE '^torch(vision)?==[^ ]+' requirements.txt)
	SAM2_BUILD_CUDA=0 $(BIN)/pip install --quiet --no-build-isolation -r requirements.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

.venv/.dev: .venv/.runtime
	$(BIN)/pip install --quiet --no-build-isolation --editable ".[dev]"
	touch $@

demo: .venv/.runtime
	$(BIN)/python -m scripts demo --out demo_out

# A thread each: with two they wait for one another's.
test: export OMP_NUM_THREADS := 1
test: .venv/.dev
	$(BIN)/python -m pytest -n 2

test-slow: .venv/.dev
	$(BIN)/python -m pytest -m slow

check: .venv/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf demo_out .pytest_cache .mypy_cache .ruff_cache
