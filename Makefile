# Two commands do everything on a fresh machine: "make demo" and "make test".
PYTHON ?= python3
VENV ?= .venv
BIN := $(abspath $(VENV))/bin
# The lowest versions that setup.cfg declares, in an environment of their own; torch with its libraries is most of its 5.6 GB.
MINIMUM ?= build/minimum
SOURCES := setup.cfg pyproject.toml constraints.txt README.md \
  $(shell find src proxies benchmarks spaces distill kdzero reports search -name '*.py' -o -name '*.j2' -o -name '*.css' -o -name '*.js' -o -name '*.parquet')

# Processes beat threads here: one thread each, and none that spins while it waits.
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo pipeline test test-long test-minimum lint benchmark clean

# A wheel is built and installed, never the source folder: what is tested is what users get.
$(VENV)/installed: $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt --upgrade setuptools build
	rm -rf build/wheel build/lib build/bdist.* && $(BIN)/python -m build --quiet --wheel --no-isolation --outdir build/wheel .
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt build/wheel/*.whl
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --force-reinstall build/wheel/*.whl
	touch $@

$(VENV)/tested: $(VENV)/installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt "$$(ls build/wheel/*.whl)[test]"
	touch $@

# Scores the networks whose accuracies ship, with a plug-in beside all other proxies, and ranks them.
demo: $(VENV)/installed
	$(BIN)/zcbench bench --plugin examples/my_proxy.py --title "Demo: NAS-Bench-201 cells, alone and under a teacher" \
	  --out runs/demo
	@echo "Open runs/demo/report/index.html"

# From a ranking to a trained student, on what ships: bench, rank, search, distill.
pipeline: $(VENV)/installed
	ZCBENCH="$(BIN)/zcbench" bash examples/pipeline.sh runs/pipeline

lint: $(VENV)/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd build && $(BIN)/mypy --config-file ../pyproject.toml -p zcbench
	cd build && $(BIN)/lint-imports --config ../pyproject.toml

test: lint
	$(BIN)/pytest -n 2 --dist worksteal $(PYTEST)
	cd build && $(BIN)/pytest -c ../pyproject.toml --rootdir . --pyargs zcbench --doctest-modules -q

# What takes minutes: fuzzing in full, and the larger property tests.
test-long: $(VENV)/tested
	$(BIN)/pytest -n 2 --dist worksteal -m long $(PYTEST)

# A part of the tests with the lowest versions that are declared: each package is used by at least one of them.
test-minimum: $(VENV)/installed
	test -x $(MINIMUM)/bin/python || $(PYTHON) -m venv $(MINIMUM)
	$(MINIMUM)/bin/pip install --quiet --disable-pip-version-check -c constraints-minimum.txt \
	  "$$(ls build/wheel/*.whl)[official]" hypothesis pytest pytest-benchmark pytest-xdist
	$(MINIMUM)/bin/pip install --quiet --disable-pip-version-check --no-deps --force-reinstall build/wheel/*.whl
	$(MINIMUM)/bin/pytest -q $(PYTEST) tests/test_minimums.py tests/datasets tests/cli/test_command_line.py tests/benchmarks/truths \
	  tests/benchmarks/scoring/test_store.py tests/benchmarks/scoring/test_packing.py tests/benchmarks/statistics tests/benchmarks/ranking tests/reports tests/proxies/test_values.py \
	  tests/search/test_search_command.py tests/cli/test_distill_command.py

# Timings, on an idle machine; they assert ratios measured in one run, never seconds.
benchmark: $(VENV)/tested
	$(BIN)/pytest -o addopts=--import-mode=importlib tests/performance -s

clean:
	rm -rf $(VENV) build runs *.egg-info
