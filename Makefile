# Needs only make and a Python of 3.11 or newer. Everything else goes into .venv, from the locked sets in requirements/.
# PYTHON=/path/to/python3.12 chooses another Python. On a GPU machine: requirements/gpu.txt in an environment of its own.

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.14 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$p && break; done)
BIN := .venv/bin
SETUP := .venv/.setup

.PHONY: help setup demo test faults check check-format check-lint check-types check-imports check-audit check-deploy format bench bench-quality lock clean
.DELETE_ON_ERROR:

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1: /p' $(MAKEFILE_LIST)

setup: $(SETUP)  ## make .venv with everything that is needed to run, test and check

$(SETUP): requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "marquee needs Python 3.11 or newer and found none; on Debian: apt install python3.11 python3.11-venv; or: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make environments; on Debian: apt install python3-venv" >&2; exit 1; }
	test -x $(BIN)/python -a -x $(BIN)/pip || "$(PYTHON)" -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --require-hashes --only-binary :all: -r requirements/dev.txt
	$(BIN)/python -m pip install --disable-pip-version-check -qq --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup  ## watch the engine learn a film log, live; DEMO_KEEP=1 keeps it serving
	$(BIN)/marquee demo

# Two at a time, since most tests wait for engines to start; those that take something away from brokers or engines, one by one.
test: setup  ## every test, with a real Kafka (java 17 and mvn)
	@status=0; \
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --ignore tests/faults --ignore tests/kafka || status=1; \
	$(BIN)/python -m pytest tests/faults tests/kafka || status=1; \
	exit $$status

faults: setup  ## a hundred SIGKILLs, minutes without a broker, recommenders that come and go, a hundred thousand broken records; an hour
	KILLS=100 FUZZ=100000 OUTAGE=60 STORM=20 REPEATS=50 JUMPS=2000 REFUSALS=5 $(BIN)/python -m pytest tests/faults

check: check-format check-lint check-types check-imports check-audit  ## format, lint, types, import contracts, locked packages (make -k check: all, even if one fails)

check-format: setup
	$(BIN)/ruff format --check --quiet .

check-lint: setup
	$(BIN)/ruff check .

check-types: setup
	$(BIN)/mypy

check-imports: setup
	$(BIN)/lint-imports

check-audit: setup  ## hashes, licences and, where the package index says, known vulnerabilities of what users install
	$(BIN)/python deploy/audit.py requirements/base.txt

check-deploy: setup  ## the Helm chart, by helm (not part of check: helm takes minutes to compile); RENDER=--write keeps what it renders
	$(BIN)/python deploy/check_chart.py $(RENDER)

format: setup  ## write the one format, mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup  ## every budget, measured here; writes benchmarks/results.md
	$(BIN)/python -m benchmarks.run_all

bench-quality: setup  ## the quality figures of four logs; KUAIRAND=path/to/exposures.parquet for the fourth
	$(BIN)/python -m benchmarks.bench_quality

# One version of each package for all Pythons and platforms; no address is written. Needs uv; `make lock LOCK=--upgrade` moves versions.
UV_COMPILE = uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" $(LOCK)

lock:  ## compile requirements/*.txt from pyproject.toml
	$(UV_COMPILE) --extra cpu --extra embedded --output-file requirements/base.txt
	$(UV_COMPILE) --extra cpu --extra embedded --extra eval --extra studio --extra whisper --extra piper --extra registry --extra dev --constraint requirements/base.txt --output-file requirements/dev.txt
	$(UV_COMPILE) --extra gpu --constraint requirements/base.txt --output-file requirements/gpu.txt

clean:  ## remove the environment and every cache
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info
