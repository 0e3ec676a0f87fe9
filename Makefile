# On a new machine, "make demo" installs zcbench and writes a first report; "make test" runs all checks.
PYTHON ?= python3
VENV ?= .venv
BIN := $(abspath $(VENV))/bin
# Environment with the lowest versions that setup.cfg declares; torch and its libraries take most of its 5.6 GB.
MINIMUM ?= build/minimum
SOURCES := setup.cfg setup.py pyproject.toml constraints.txt README.md \
  $(shell find src proxies benchmarks spaces distill kdzero reports search -name '*.py' -o -name '*.j2' -o -name '*.css' -o -name '*.js' -o -name '*.parquet' -o -name 'index.json' -o -name '*.py.txt')

# Worker processes are faster than threads here: one thread per process, and no busy waiting.
export OMP_NUM_THREADS ?= 1
export OMP_WAIT_POLICY ?= PASSIVE

.PHONY: demo pipeline test test-long test-minimum lint types docs picture index benchmark gpu-check clean

# Builds a wheel and installs it, so that the tests run on the files that users install.
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

# Scores the networks of the bundled accuracies with all proxies and one plug-in, ranks them and writes a report.
demo: $(VENV)/installed
	$(BIN)/zcbench bench --plugin examples/my_proxy.py --title "Demo: NAS-Bench-201 cells, alone and under a teacher" \
	  --out runs/demo
	@echo "Open runs/demo/report/index.html"

# Runs bench, rank, search and distill on the bundled accuracies, from a ranking to a trained student.
pipeline: $(VENV)/installed
	ZCBENCH="$(BIN)/zcbench" bash examples/pipeline.sh runs/pipeline

# Checks style, spelling, types, the import contract, and the links of the documentation.
lint: $(VENV)/tested
	$(MAKE) --no-print-directory --jobs=2 types docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	cd build && $(BIN)/lint-imports --config ../pyproject.toml

types: $(VENV)/tested
	cd build && $(BIN)/mypy --config-file ../pyproject.toml -p zcbench

# Builds the documentation site into build/site; a broken link, a page outside the navigation or a warning is an error.
docs: $(VENV)/tested
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "Open build/site/index.html"

# Draws docs/architecture.svg from the imports of the code.
picture:
	$(PYTHON) docs/picture.py

# Runs all checks, all tests but the long ones, and the examples of the docstrings.
test: lint
	$(BIN)/pytest -n 2 --dist worksteal $(PYTEST)
	cd build && $(BIN)/pytest -c ../pyproject.toml --rootdir . --pyargs zcbench --doctest-modules -q -n 2

# Runs the tests that take minutes: the full fuzzing and the larger property tests.
test-long: $(VENV)/tested
	$(BIN)/pytest -n 2 --dist worksteal -m long $(PYTEST)

# Runs a part of the tests with the lowest declared versions; each dependency is used by at least one test.
test-minimum: $(VENV)/installed
	test -x $(MINIMUM)/bin/python || $(PYTHON) -m venv $(MINIMUM)
	$(MINIMUM)/bin/pip install --quiet --disable-pip-version-check -c constraints-minimum.txt \
	  "$$(ls build/wheel/*.whl)[official]" hypothesis pytest pytest-benchmark pytest-xdist
	$(MINIMUM)/bin/pip install --quiet --disable-pip-version-check --no-deps --force-reinstall build/wheel/*.whl
	$(MINIMUM)/bin/pytest -q $(PYTEST) tests/test_minimums.py tests/datasets tests/cli/test_command_line.py tests/benchmarks/truths \
	  tests/benchmarks/scoring/test_store.py tests/benchmarks/scoring/test_packing.py tests/benchmarks/statistics tests/benchmarks/ranking tests/reports tests/proxies/test_values.py \
	  tests/search/test_search_command.py tests/cli/test_distill_command.py

# Writes the indices of proxies and spaces, after a declaration of a proxy, a loss, a signal or a space has changed.
index: $(VENV)/installed
	$(BIN)/python -P -c "from zcbench.proxies.scoring.cards import write_index; write_index('proxies/index.json')"
	$(BIN)/python -P -c "from zcbench.spaces.cards import write_index; write_index('spaces/index.json')"

# Measures times; run it on an idle machine. The tests compare times within one run.
benchmark: $(VENV)/tested
	$(BIN)/pytest -o addopts=--import-mode=importlib tests/performance -s

# Compares all proxies on a GPU with the CPU, and measures networks a second; DEVICE=cuda:1 names another GPU.
DEVICE ?= cuda
gpu-check: $(VENV)/installed
	$(BIN)/python -P examples/gpu_check.py $(DEVICE) gpu.json

clean:
	rm -rf $(VENV) build runs *.egg-info
