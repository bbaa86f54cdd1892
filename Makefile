# The two commands a user needs: `make run` and `make test`. Both make the environment first.
# With an environment of your own: make run PYTHON=/path/to/python INSTALL=0

PYTHON ?= python3
INSTALL ?= 1
PORT ?= 8188
ARGS ?=

ifeq ($(INSTALL),0)
PY := $(PYTHON)
RUN_ENV :=
DEV_ENV :=
else
PY := .venv/bin/python
RUN_ENV := .venv/.installed
DEV_ENV := .venv/.installed-dev
endif

STANDIN := models/starter/checkpoints/standin.safetensors

.PHONY: run test unit test-full check whole lint clean
.DELETE_ON_ERROR:

# Hundreds of processes are started; without bytecode on disk each would compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

run: $(RUN_ENV)
	$(PY) server.py --port $(PORT) $(ARGS)

# Three processes on two cores, since tests of servers and browsers wait a good deal of their time; each file's tests in
# one of them, the longest files first (tests/conftest.py).
SHARED := -n 3 --dist loadfile --no-loadscope-reorder

test: lint unit

unit: $(DEV_ENV) $(STANDIN)
	OMP_NUM_THREADS=1 $(PY) -m pytest -m "not full and not gpu" $(SHARED)

test-full: $(DEV_ENV) $(STANDIN)
	OMP_NUM_THREADS=1 $(PY) -m pytest -m "full and not gpu" $(SHARED)

# Both at once, as CI does: the tests are collected once, and nobody waits at the end of the first half.
check: lint whole

whole: $(DEV_ENV) $(STANDIN)
	OMP_NUM_THREADS=1 $(PY) -m pytest -m "not gpu" $(SHARED)

lint: $(DEV_ENV)
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(PY) -c "from importlinter.cli import lint_imports_command; lint_imports_command()"

$(STANDIN): engine/diffusion/standin.py | $(RUN_ENV)
	@mkdir -p $(@D)
	$(PY) -m engine.diffusion.standin $@

.venv/bin/python:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'Easel needs Python 3.11 or newer: make PYTHON=…')"
	$(PYTHON) -m venv .venv

# What is imported is compiled when it first is: thousands of the modules never are.
PIP := .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile

# torch first and alone: its CPU build satisfies what the others ask for
.venv/.installed: requirements.lock | .venv/bin/python
	$(PIP) "$$(grep '^torch==' requirements.lock)"
	$(PIP) -r requirements.lock
	@touch $@

.venv/.installed-dev: requirements-dev.txt .venv/.installed
	$(PIP) -r requirements.lock -r requirements-dev.txt
	@touch $@

clean:
	rm -rf .venv data $(STANDIN)
