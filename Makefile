# Everything a developer or a new user types. `make help` lists it.
.DEFAULT_GOAL := help
.PHONY: help run test long demo check bench chaos flood fuzz soak lint dashboards lock
.DELETE_ON_ERROR:
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
UV ?= uv
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip --disable-pip-version-check --no-input install --progress-bar off

help: ## this list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

run: $(VENV)/.run ## start exporter and receiver on loopback; actions stay dry unless DRY_RUN=false is set
	@echo "starting: metrics on 127.0.0.1:10980, alerts and board on 127.0.0.1:5001 (unless set otherwise); Ctrl-C stops"
	@DRY_RUN="$${DRY_RUN:-true}" exec $(BIN)/sermon-monitor serve $(ARGS)

test: $(VENV)/.dev ## lint, then the tests on real parts, but for the long ones (as root, Debian packages are installed)
	@$(BIN)/python -m tests.real & real=$$!; trap 'kill $$real 2>/dev/null || true' EXIT; $(MAKE) lint; wait $$real; trap - EXIT
	@$(BIN)/python -m pytest -p no:cacheprovider -n 5 --dist loadfile --no-loadscope-reorder --durations=10 -m "not long" $(ARGS)

long: $(VENV)/.dev ## the long tests: the toolkit's matrix with everything in one container, with bad versions and in four more states, kills while putting back, the whole compose stack, units under systemd, rules that play days, the workflow that deploys, two hundred incidents under receivers that are killed, a dead Prometheus that is asked
	@$(BIN)/python -m tests.real
	@$(BIN)/python -m pytest -p no:cacheprovider -n 2 --dist loadfile --durations=10 -m long $(ARGS)
	@$(BIN)/python -m pytest -p no:cacheprovider -n 2 --dist loadfile -m "not long and not file" --store postgres $(ON_POSTGRES)

demo: $(VENV)/.dev ## the story on a real Docker Engine, Prometheus and Alertmanager; ARGS are passed on
	@$(BIN)/python -m tests.demo $(ARGS)

check: $(VENV)/.run ## settings, rules and what can be reached from here
	@$(BIN)/sermon-monitor check $(ARGS)

bench: $(VENV)/.dev ## CPU and memory against peers and floors; ARGS names sections (docs/performance.md)
	@$(BIN)/python -m tests.bench $(ARGS)

chaos: $(VENV)/.dev ## kill the receiver 500 times and more, at every step, amid all kinds of trouble; ARGS="--seed N" plays a run again
	@$(BIN)/python -m tests.chaos $(ARGS)

flood: $(VENV)/.dev ## a minute of twice as many webhooks as can be taken, 1,000 slow connections, 200 scrapes and 100,000 log lines a second
	@$(BIN)/python -m tests.fire flood $(ARGS)

fuzz: $(VENV)/.dev ## broken input for every parser, a million times each, guided by coverage (x86-64); ARGS names targets
	@$(BIN)/python -m tests.fuzz $(ARGS)

soak: $(VENV)/.dev ## half an hour of a little of everything: does memory, descriptors, threads or p99 grow?
	@$(BIN)/python -m tests.fire soak $(ARGS)

lint: $(VENV)/.dev ## style, types and the layers between the packages
	$(BIN)/ruff check --no-cache .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

dashboards: $(VENV)/.dev ## write monitoring/grafana/dashboards anew from monitoring/dashboards
	@$(BIN)/python -m monitoring.dashboards

lock: ## resolve the lock files anew (needs uv)
	@command -v $(UV) >/dev/null || { echo "uv is needed to resolve: pip install uv, or UV=/path/to/uv" >&2; exit 2; }
	$(UV) pip compile -q pyproject.toml --group build $(LOCKING) -o requirements.lock
	$(UV) pip compile -q pyproject.toml --all-extras --group build $(LOCKING) -o requirements-extras.lock
	$(UV) pip compile -q pyproject.toml --group dev $(LOCKING) -o requirements-dev.lock
ON_POSTGRES := $(addprefix tests/parts/test_,receiver_http.py receiver_cards.py receiver_gates.py approval_page.py board.py github_webhooks.py emergency_stop.py maintenance.py)
LOCKING := --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header

# What an installation was made from is older than its stamp. The dev lock file holds all of the other.
$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(BIN)/pip
	@echo "installing the product and what its tests need into $(VENV)"
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $(VENV)/.run $@

$(VENV)/.run: requirements.lock pyproject.toml | $(BIN)/pip
	@echo "installing the product into $(VENV)"
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "Python 3.11, 3.12 or 3.13 is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another: make PYTHON=python3.11 …" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	    echo "installing Debian's python3-venv"; \
	    apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q install --yes --no-install-recommends python3-venv; \
	  else echo "Python has no venv here; as root: apt-get install python3-venv" >&2; exit 2; fi; }
	@echo "making $(VENV)"
	@$(PYTHON) -m venv $(VENV)
