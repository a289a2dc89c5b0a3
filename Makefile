# Every target does its own set-up. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

TOPOLOGY ?= 2m-2s-sync
ROCKETMQ ?=
ARGS ?=
TOXIPROXY ?=
PYTEST_OPTIONS = $(addprefix --topology=,$(TOPOLOGY)) $(if $(ROCKETMQ),--rocketmq=$(ROCKETMQ)) $(ARGS)

MATRIX_TOPOLOGIES ?=
MATRIX_ROCKETMQ ?=
MATRIX_OPTIONS = $(addprefix --topology=,$(MATRIX_TOPOLOGIES)) $(addprefix --rocketmq=,$(MATRIX_ROCKETMQ)) $(ARGS)

# Taken once: a night that passes midnight stays one.
ifndef NIGHT
NIGHT := $(shell date -u +%F)
endif
NIGHTS := reports/nightly
TONIGHT = $(NIGHTS)/$(NIGHT)
TESTED := harness suites suites-nightly tests topologies Makefile pyproject.toml requirements.lock conftest.py

# A misspelled variable would be no error of make's, and another cluster would be signed off.
VARIABLES := TOPOLOGY ROCKETMQ ARGS MATRIX_TOPOLOGIES MATRIX_ROCKETMQ NIGHT TOXIPROXY PYTHON VENV SHELL
STRANGE := $(filter-out $(VARIABLES),$(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name))))
ifneq ($(STRANGE),)
$(error make knows no variable $(STRANGE): write one of $(VARIABLES))
endif

ifeq ($(strip $(TOPOLOGY)),)
$(error TOPOLOGY is empty: name one, as in make signoff TOPOLOGY=2m-2s-sync, or leave it out)
endif

# It names a directory of this night's own, below the one that the index is over.
ifneq ($(words $(NIGHT)) $(findstring /,$(NIGHT))$(filter . .. runs cells,$(NIGHT)),1 )
$(error NIGHT is "$(NIGHT)": name one night, such as NIGHT=2026-12-01, or leave it out)
endif

# Without it every process that a test starts would compile the harness anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup check test test-docker signoff matrix nightly toxiproxy bench docker-image docker-engine docker-daemon lock clean

help: ## What can be made, and with which variables
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo '  variables: TOPOLOGY=name(s)  ROCKETMQ=version|path:DIR  ARGS="more pytest options"'
	@echo '             MATRIX_TOPOLOGIES="..."  MATRIX_ROCKETMQ="..."  NIGHT=2026-12-01  PYTHON=python3.12'

setup: $(STAMP) ## A virtual environment with every dependency as locked

$(STAMP): requirements.lock pyproject.toml hatch_build.py
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, PYTHON=%s is %d.%d: name another, as in make PYTHON=python3.12" % ("$(PYTHON)", *sys.version_info[:2]) if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

check: setup ## Lint, types, layers and the fast tests (offline, under three minutes)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/pytest tests -m "not real and not docker" -n 4 --dist worksteal -q

test: check ## Everything that proves the harness itself, real clusters included
	$(BIN)/pytest tests -m real

# With a daemon of this machine, or, as root where dockerd is installed, one of the tests' own; else each says why not.
test-docker: setup ## The tests of --runtime docker, on a real Docker daemon
	$(BIN)/pytest tests -m docker

docker-image: setup ## An image of ROCKETMQ= for --runtime docker, with nothing pulled; ARGS="--tag NAME:VERSION"
	$(BIN)/rmq-harness image $(or $(ROCKETMQ),5.3.3) $(ARGS)

docker-engine: ## What a machine without Docker needs for --runtime docker (Debian and Ubuntu; as root)
	apt-get install --yes --no-install-recommends docker.io

docker-daemon: ## A Docker daemon beside the machine's network, until Ctrl-C (as root): export DOCKER_HOST as it says
	@echo 'export DOCKER_HOST=unix:///run/rmq-dockerd/docker.sock'
	@sh tests/docker/daemon.sh /run/rmq-dockerd

signoff: setup ## The suites against one cluster: TOPOLOGY=, ROCKETMQ=, ARGS=
	$(BIN)/pytest suites/ -n auto $(PYTEST_OPTIONS)

matrix: setup ## Every topology and release that is missing or stale in docs/results; ARGS="--status" says which
	$(BIN)/rmq-harness matrix $(MATRIX_OPTIONS)

# Every part is run whatever became of the one before, but for one that was interrupted; the gravest code is the last word.
# The long tests are fresh as long as nothing that they run is newer than the beginning of a run of theirs that passed.
nightly: setup ## The cells of nightly.yaml, the suites sign-off has no time for, the long tests; NIGHT= goes on with one
	@mkdir -p $(TONIGHT); worst=0; stop=; \
	part() { \
	  if [ -n "$$stop" ]; then return 0; fi; \
	  code=0; "$$@" || code=$$?; \
	  if [ $$code = 2 ] || [ $$code -ge 128 ]; then stop=1; fi; \
	  if [ $$worst != 1 ] && { [ $$code = 1 ] || [ $$code -gt $$worst ]; }; then worst=$$code; fi; \
	}; \
	longtests() { \
	  if [ -e $(TONIGHT)/tests.passed ] && [ -z "$$(find $(TESTED) -type f -not -name '*.pyc' -newer $(TONIGHT)/tests.passed -print -quit)" ]; then \
	    echo 'long tests: up to date'; return 0; \
	  fi; \
	  touch $(TONIGHT)/tests.begun; \
	  $(BIN)/pytest tests -m real --junitxml=$(TONIGHT)/tests.xml && mv $(TONIGHT)/tests.begun $(TONIGHT)/tests.passed; \
	}; \
	part $(BIN)/rmq-harness matrix --plan nightly.yaml --results $(TONIGHT) --reports $(TONIGHT)/runs $(MATRIX_OPTIONS); \
	part $(BIN)/rmq-harness matrix --long $(addprefix --topology=,$(TOPOLOGY)) --rocketmq=$(or $(ROCKETMQ),5.3.3) \
	  --results $(TONIGHT) --reports $(TONIGHT)/runs $(ARGS); \
	part longtests; \
	stop=; part $(BIN)/rmq-harness index $(NIGHTS); \
	exit $$worst

toxiproxy: setup ## Build Toxiproxy's server (needs Go), or take one: TOXIPROXY=path:FILE; for faults of links
	$(BIN)/python -m harness.distribution.toxiproxy $(TOXIPROXY)

bench: setup ## Measurements side by side with other tools
	$(BIN)/rmq-harness bench $(ARGS)

lock: ## Resolve the dependencies anew into requirements.lock (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
	  --no-emit-index-url --no-emit-find-links --no-config --upgrade --extra dev --extra docker pyproject.toml -o requirements.lock

clean: ## What dead runs left on this machine, and what tools cached here; reports and .venv stay
	@if [ -x $(BIN)/rmq-harness ]; then $(BIN)/rmq-harness clean; fi
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find harness tests suites suites-nightly benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
