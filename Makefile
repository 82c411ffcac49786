# make help lists the targets. PYTHON=python3.13 chooses the interpreter, LAB_ARGS is passed to JupyterLab,
# TEST_ARGS to pytest, CHAOS_ARGS to tests/chaos, ENDURANCE_ARGS to tests/endurance, BENCH_ARGS to benchmarks,
# SITE_ARGS to scripts/lesson_site.py.

PYTHON ?= python3
BIN := .venv/bin
# A .venv that already works is kept whatever python3 is, unless an interpreter was asked for.
SETUP = $(PYTHON) -I scripts/setup.py $(if $(filter file default,$(origin PYTHON)),,--exactly-this-python) --also $(GROUPS)
# What is installed beside what the lessons need; `make lab` needs no more than these.
GROUPS = dev
# Python's variables are meant for other programs: they would have each Python here import, print or warn otherwise.
unexport __PYVENV_LAUNCHER__ $(filter-out PYTHON PYTHONDONTWRITEBYTECODE PYTHONUNBUFFERED,$(filter PYTHON%,$(.VARIABLES)))
COMPOSE ?= docker compose
# What checks and bundles the stage's JavaScript; to run the course nobody needs it.
NODE_MODULES := node_modules/.package-lock.json
NODE_BIN := node_modules/.bin
# In the order in which a failure says most: the quick ones first.
TESTS = $(wildcard tests/unit tests/security tests/chaos tests/broker tests/notebooks tests/browser)
# What takes hours, or wants the machine for itself, is left to others; pytest takes the last -m that it is given.
MARKS = not nightly and not alone

.PHONY: help lab setup test chaos endurance bench nightly lint format bundle notebooks pictures runs atlas site badges constraints up clean
.DEFAULT_GOAL := help

help:
	@echo "make lab          open the lessons in JupyterLab, with a RabbitMQ; LAB_ARGS='--no-browser --port 8899'"
	@echo "make test         run the tests of a change; TEST_ARGS='-k round_robin', or '-n 2 --dist loadfile' for two at a time"
	@echo "make chaos        break things at random and see that nothing is lost; SEED=7 RUNS=50 repeats a campaign"
	@echo "make bench        measure the course beside plain pika and its peers; BENCH_ARGS='engine workers --rounds 9'"
	@echo "make endurance    a lesson under load for long, and kernels killed by the dozen; MINUTES=30 KERNELS=100"
	@echo "make setup        make .venv with what they need, the tests' tools too; PYTHON=python3.13 chooses the Python"
	@echo "make nightly      all that takes too long for every change, as CI runs it: on Debian, as root"
	@echo "make lint         ruff, mypy, import-linter, biome and tsc, as CI runs them; needs Node's npm for the stage's JavaScript"
	@echo "make format       let ruff and biome mend what they can"
	@echo "make bundle       make the stage's one JavaScript file, its style sheet and its types from their sources"
	@echo "make notebooks    run the lessons and keep what they showed; NOTEBOOKS=01_round_robin.ipynb"
	@echo "make pictures     photograph the stage for the lessons' text and the README; needs a Chromium"
	@echo "make site         run the lessons and make a site of them for reading, in build/site"
	@echo "make runs         run the lessons and keep what the site shows of them; NOTEBOOKS=01_round_robin.ipynb"
	@echo "make atlas        run the lessons on every RabbitMQ in Docker and say what differs; IMAGES='rabbitmq:3.10-management'"
	@echo "make badges       launch badges and the lessons for Colab; REPO=https://github.com/you/course"
	@echo "make constraints  pin every dependency anew in constraints.txt; PINS='--upgrade' takes newer ones"
	@echo "make up           RabbitMQ from docker-compose.yml, with passwords of its own in .env; UP='--profile cluster'"
	@echo "make clean        remove .venv and what tools left behind"

lab: GROUPS =
lab: setup
	@exec $(BIN)/workq lab --end-with-process $$PPID -- $(LAB_ARGS)

setup:
	@[ "$$($(PYTHON) -Ic 'print("runs")')" = runs ] || { echo "make setup: $(PYTHON) does not run what a Python runs;" \
	    "name one that does, 3.11 or newer: make setup PYTHON=python3.12" >&2; exit 1; }
	@$(SETUP)

test: setup
	@exec $(BIN)/python -m pytest -m "$(MARKS)" $(TESTS) $(TEST_ARGS)

chaos: setup
	@exec $(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(RUNS),--runs $(RUNS)) $(CHAOS_ARGS)

bench: GROUPS = dev bench
bench: setup
	@exec $(BIN)/python -m benchmarks $(BENCH_ARGS)

endurance: setup
	@exec $(BIN)/python -m tests.endurance $(if $(MINUTES),--minutes $(MINUTES)) $(if $(KERNELS),--kernels $(KERNELS)) \
	    $(ENDURANCE_ARGS)

nightly:
	@exec .ci/run nightly

lint: setup lint-stage
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

.PHONY: lint-stage
lint-stage: $(NODE_MODULES)
	$(NODE_BIN)/biome ci
	$(NODE_BIN)/tsc
	node scripts/bundle_stage.mjs --check

format: setup $(NODE_MODULES)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(NODE_BIN)/biome check --write

bundle: setup $(NODE_MODULES)
	$(BIN)/python scripts/stage_frames.py
	node scripts/bundle_stage.mjs
	@$(SETUP)

$(NODE_MODULES): package.json package-lock.json
	@command -v npm >/dev/null || { echo "npm is not installed: the stage's JavaScript is checked with it. Install Node 18 or newer."; exit 1; }
	@npm ci --silent
	@touch $@

notebooks: setup
	$(BIN)/python scripts/notebooks.py $(NOTEBOOKS)

site: setup
	$(BIN)/python scripts/lesson_site.py $(SITE_ARGS)

pictures: setup
	$(BIN)/python scripts/lesson_pictures.py

runs: setup
	@unset WORKQ_SECONDS_PER_DOT; exec $(BIN)/python scripts/recording.py $(NOTEBOOKS)

atlas: setup
	$(BIN)/python scripts/atlas.py $(IMAGES)

badges: setup
	@$(BIN)/python scripts/badges.py $(REPO)

constraints: setup
	$(BIN)/uv pip compile pyproject.toml --group dev --group bench --group build --universal --python-version 3.11 \
	    --strip-extras --no-header --no-annotate --quiet --output-file constraints.txt $(PINS)
	$(BIN)/uv pip compile pyproject.toml --group dev --resolution lowest-direct --python-version 3.11 \
	    --strip-extras --no-header --no-annotate --quiet --output-file constraints-lowest.txt $(PINS)

up:
	@$(PYTHON) scripts/compose_env.py
	$(COMPOSE) $(UP) up --wait

clean:
	rm -rf .venv node_modules build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -o -name .ipynb_checkpoints -o -name '*.egg-info' | xargs rm -rf
