# Two commands do everything from a fresh clone: `make run` and `make test`. Only Python 3.11+, make and a package index are assumed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# uv reads neither the system's certificates nor pip's configuration by itself; behind a company's index both matter.
UV := UV_SYSTEM_CERTS=1 $(if $(INDEX),UV_DEFAULT_INDEX=$(INDEX)) $(BIN)/uv pip
INDEX := $(or $(PIP_INDEX_URL),$(shell $(PYTHON) -m pip config get global.index-url 2>/dev/null))
# Threads that spin while they wait make busy machines crawl.
export OMP_WAIT_POLICY := PASSIVE
WORKERS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); [ $$n -gt 4 ] && echo 4 || echo $$n)

.PHONY: setup run test test-slow test-composer faults check format bench bench-serve bench-peers lock clean

setup: $(VENV)/.installed

$(VENV)/.installed: requirements-dev.lock requirements-uv.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "bqloop needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Pass another one with PYTHON=...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@$(UV) install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@$(UV) install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

run: setup
	@$(BIN)/bqloop demo

test: setup
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal

test-slow: setup
	@$(BIN)/pytest -n $(WORKERS) -m slow

# Kills, errors, repeated messages, a killed cloud: hundreds of faults, and what they left behind. ARGS='--help' tells more.
faults: setup
	@$(BIN)/python -W ignore -m tests.faults $(ARGS)

# Airflow in an environment of its own: it pins what bqloop needs in other versions. The DAGs make the stages' environment.
AIRFLOW := .venv-airflow

test-composer: setup
	@test -x $(AIRFLOW)/bin/airflow || $(PYTHON) -m venv $(AIRFLOW)
	@$(UV) install --quiet --python $(AIRFLOW)/bin/python 'apache-airflow==3.1.8' apache-airflow-providers-standard
	@BQLOOP_AIRFLOW=$(abspath $(AIRFLOW)/bin/airflow) $(BIN)/pytest -m 'slow or not slow' tests/unit/infra/composer

check: setup
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/sqlfluff lint --processes $(WORKERS) sql
	@$(MAKE) --no-print-directory test

format: setup
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup
	@$(BIN)/python -m bench $(ARGS)

# The service beside a bare app, with an index of a million deals. ARGS='--deals 20000' is the quick way.
bench-serve: setup
	@$(BIN)/python -m bench serve $(ARGS)

# Splink has an environment of its own: what it needs does not go together with what bqloop is locked to.
PEERS := .venv-peers

bench-peers: setup $(PEERS)/.installed
	@$(BIN)/python -m bench peers --python $(PEERS)/bin/python $(ARGS)

$(PEERS)/.installed: bench/peers.lock | setup
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@$(UV) install --quiet --python $(PEERS)/bin/python --require-hashes -r bench/peers.lock
	@touch $@

# The functions' lock is a part of the laptop's: the same versions run in both places.
COMPILE := $(UV) compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --upgrade --no-header

lock: setup
	@echo 'uv' | $(COMPILE) - -o requirements-uv.lock
	@$(COMPILE) pyproject.toml --all-extras --group dev -o requirements-dev.lock
	@$(COMPILE) -c requirements-dev.lock pyproject.toml -o requirements.lock
	@echo 'splink>=5,<6' | $(COMPILE) - -o bench/peers.lock

clean:
	rm -rf $(VENV) $(PEERS) .bqloop .mypy_cache .ruff_cache .pytest_cache
