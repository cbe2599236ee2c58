# Every target sets up what it needs, from a bare checkout with Python >= 3.11: `make help`.

# The pins are those of Python 3.11, so it goes first. Another one: make PYTHON=/path/to/python
PYTHON ?= $(shell for python in python3.11 python3; do \
    $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
READY := .venv/ready
PIP := $(BIN)/python -m pip install --quiet --constraint constraints.txt
CODE := $(wildcard tdn_theory paper_checks figures tests)

# One thread for each of the test processes: two cores are shared by two of them.
test test-portable: export OMP_NUM_THREADS := 1

.PHONY: help test test-portable test-networks test-nequip test-mace test-sevenn reproduce report site lab notebooks lint clean
.DEFAULT_GOAL := help

help:  ## Show this list
	@sed -nE 's/^([a-z -]+):.*## (.*)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

test: lint  ## Check the style and the types, run all tests
	$(BIN)/python -m pytest -n 2

# What numpy found is switched off, and it works with what every processor has.
FOUND := import numpy; print(*numpy.show_config(mode="dicts")["SIMD Extensions"].get("found", []))
test-portable: lint  ## Run all tests with the vector code that numpy, OpenBLAS, torch have for older processors
	NPY_DISABLE_CPU_FEATURES="$$($(BIN)/python -c '$(FOUND)')" OPENBLAS_CORETYPE=Haswell ATEN_CPU_CAPABILITY=default \
	ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2 $(BIN)/python -m pytest -n 2

test-networks: test-nequip test-mace test-sevenn  ## Set up the environments of NequIP, MACE and SevenNet; test their conversion

# Two pin an e3nn of their own, so each has an environment of its own, without the constraints. TAB1 trains in the first two.
test-nequip test-mace test-sevenn: test-%:
	@test -x .venv-$*/bin/pip || $(PYTHON) -m venv .venv-$*
	@.venv-$*/bin/python -m pip install --quiet torch==2.13.0
	@.venv-$*/bin/python -m pip install --quiet --editable ".[$*]" pytest hypothesis beartype
	.venv-$*/bin/python -m pytest -W ignore -k "test_conversion or $*" tests/nn/test_conversion.py tests/nn/test_compile.py \
	  tests/experiments/comparisons/test_other_networks.py

reproduce: $(READY)  ## Regenerate and check the figures and claims of the paper
	$(BIN)/tdn-theory reproduce

report: $(READY)  ## Write report.html: verdicts, figures with their data, the explorer of products
	$(BIN)/tdn-theory report

site: $(READY)  ## Refresh the numbers in README and docs; build docs, notebooks and report into build/site, check links
	$(BIN)/python -m tdn_theory.report.numbers
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	$(BIN)/python docs/links.py build/site

lab: $(READY)  ## Open the notebooks in JupyterLab, which is installed first (60 MB)
	@test -x $(BIN)/jupyter-lab || $(PIP) jupyterlab
	$(BIN)/jupyter lab notebooks

notebooks: $(READY)  ## Execute the notebooks again, when code or records that they show have changed
	$(BIN)/python notebooks/run.py

lint: $(READY)  ## Check the style and the types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright

clean:  ## Remove the environment and all caches; results stay
	rm -rf .venv .pytest_cache .ruff_cache .hypothesis build dist
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

# torch is named with its version and goes first: any other spelling may fetch gigabytes of CUDA libraries. Of the last
# package the tests take axe-core, the script; Playwright, 170 MB, is not needed for it.
$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "No Python >= 3.11 found; say where one is: make PYTHON=/path/to/python"; exit 1; }
	@echo "Setting up .venv (minutes, 4 GB)"
	@test -x $(BIN)/pip || $(PYTHON) -m venv .venv
	@$(PIP) torch==2.13.0 hatchling
	@$(PIP) --no-build-isolation --editable ".[dev]"
	@$(PIP) --no-deps axe-playwright-python
	@touch $@
