# The one way to run anything here. Needs git, make, python3 (3.11 or later) with pip.
PY ?= python3
VENV ?= .venv
UV := .tools/bin/uv
BIN := $(VENV)/bin
INSTALL = $(UV) pip install --quiet --python $(BIN)/python
FUZZ_SECONDS ?= 60
SYNC = $(UV) pip sync --quiet --python $(BIN)/python --require-hashes

.PHONY: demo test check bench docs fuzz lock clean

## demo: put the five designs side by side on the small sample market; market and report in build/demo
demo: $(VENV)/.core
	$(BIN)/crossmargin demo --out build/demo

## test: every test
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n auto

## check: format, lint, types, layers, drift of generated files
check: $(VENV)/.dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/generate_reference.py --check

## bench: speed and memory as ratios within one run, written to docs/benchmarks.md
bench: $(VENV)/.dev
	$(BIN)/python benchmarks/run.py

## docs: the documentation site in build/site
docs: $(VENV)/.docs
	$(BIN)/zensical build

## fuzz: every reader for FUZZ_SECONDS each; Python 3.11 only
fuzz: $(VENV)/.fuzz
	$(BIN)/python tests/fuzz/fuzz_readers.py --seconds $(FUZZ_SECONDS) --findings build/fuzz

## lock: resolve the hash-pinned requirement files again
lock: $(UV)
	$(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml --group build -o requirements/core.txt
	$(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml --group dev -o requirements/dev.txt
	$(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --no-header pyproject.toml --group dev --group docs -o requirements/docs.txt
	# Not universal: the newest atheris has no wheel for 3.11, and it is what a universal resolution takes.
	$(UV) pip compile -q --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --group fuzz -o requirements/fuzz.txt
	printf 'uv\n' | $(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --no-header - -o requirements/uv.txt

clean:
	rm -rf $(VENV) .tools build

# uv is fetched by pip into the tree, so that no tool has to be installed by hand.
$(UV): requirements/uv.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
	  --upgrade --target .tools --require-hashes -r requirements/uv.txt
	touch $@

$(BIN)/python: | $(UV)
	$(UV) venv --quiet --allow-existing --no-python-downloads --python $(PY) $(VENV)

# A stamp per set of requirements; a larger set satisfies the smaller ones.
$(VENV)/.core: requirements/core.txt pyproject.toml | $(BIN)/python
	test -e $(VENV)/.dev || $(SYNC) requirements/core.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	$(SYNC) requirements/dev.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	touch $@ $(VENV)/.core

$(VENV)/.docs: requirements/docs.txt pyproject.toml | $(BIN)/python
	$(SYNC) requirements/docs.txt
	$(INSTALL) --no-deps --no-build-isolation --editable .
	touch $@ $(VENV)/.dev $(VENV)/.core

# Beside what dev has; syncing dev or docs takes it away and makes this stamp older than theirs.
$(VENV)/.fuzz: requirements/fuzz.txt $(VENV)/.dev
	$(INSTALL) --no-deps --require-hashes -r requirements/fuzz.txt
	touch $@
