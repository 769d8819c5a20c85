# Everything that a person or CI runs. Each target sets up by itself what it needs.

# What a person may set: make generate RATE=2000 DURATION=60 SCENARIO=attack. Without DURATION it goes on until Ctrl-C.
RATE ?= 500
DURATION ?=
SEED ?=
SCENARIO ?=
MINUTES ?= 30
HISTORY ?= .scoreline/history
STATE ?= .scoreline/state

# Of these, the first that there is and that is new enough makes the virtual environment.
PYTHONS ?= python3.13 python3.12 python3.11 python3

PYTHON := .venv/bin/python
# Each start of a program, and pytest before all, would compile everything again.
unexport PYTHONDONTWRITEBYTECODE

# Runs a command with the settings of the local stack; what the environment sets already takes precedence.
WITH_STACK := $(PYTHON) -m stack run

# Most tests wait for servers for half of their time: one process more than there are cores, at most 4, where there is memory,
# for each has servers of its own, with which it takes up to 3 GB.
PROCESSES ?= $(shell $(PYTHON) -c "import os; cores, memory = os.cpu_count() or 1, os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE'); \
	print(max(1, min(4, cores + 1, memory // (3 << 30))))")
SIDE_BY_SIDE = $(PYTHON) -m pytest -n $(PROCESSES) --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test tests test-again test-quick test-long torture fuzz lint style types audit page-pictures dashboards wheel lock bench bench-quick loop load orchestrators stack stack-down generate train submit scorecard scorecard-quick notebook up down reset

help: ## show this list
	@awk -F ':[^#]*## ' '/^[a-z-]+:.*## /{printf "make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# $(call install,LOCK): the environment, by the newest Python there is, with the libraries of the lock. A copy of the lock is
# then in it too, so that the next call finds nothing to do.
define install
	@cmp -s $(1) .venv/$(1) && exit 0; \
	for python in $(PYTHONS) none; do \
		$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
	done; \
	if [ $$python = none ]; then \
		echo "Python 3.11 or newer is required, and none is on the PATH as $(PYTHONS): install one." >&2; exit 1; \
	fi; \
	$$python stack/install.py $(1) $(MEANWHILE) && cp $(1) .venv/
endef

# What needs InfluxDB has it built while the libraries are fetched.
demo stack test tests test-again test-quick test-long: MEANWHILE := --build-influxdb

setup: ## make the virtual environment in .venv from requirements.lock (all others do it by themselves)
	$(call install,requirements.lock)

setup-dev: ## the same from requirements-dev.lock, with what tests and lint need (they do it by themselves)
	$(call install,requirements-dev.lock)
	@cp requirements.lock .venv/

demo: setup ## watch it all at work: servers, traffic, detection, alerts in five minutes (RATE=500 DURATION=60; DURATION=0: until Ctrl-C)
	@$(PYTHON) -m demo --rate $(RATE) $(if $(DURATION),--duration $(DURATION)) $(if $(SEED),--seed $(SEED))

test: style ## check style, types, and what the tests against real servers show in about half an hour (PROCESSES=2 takes less memory)
	@$(MAKE) --no-print-directory --jobs 2 types tests

# Types are checked meanwhile: tests wait for servers, and a check of types takes one process a minute or two.
tests: setup-dev ## run the tests of make test alone
	@unset MAKEFLAGS; $(SIDE_BY_SIDE) --durations 20 -m "not alone and not long"

test-again: lint ## run what failed last time once more, one at a time, and name it: such a test, or what it tests, is to be corrected
	@$(PYTHON) -m pytest --verbose --last-failed --last-failed-no-failures none

test-quick: setup-dev ## run the tests that take less than half a minute each
	@$(SIDE_BY_SIDE) -m "not slow and not alone and not long"

# The files that have such a test: to look through all others takes a minute.
LONG_TESTS = $(shell grep -rlE --include="*.py" "mark\.(long|alone)\b" tests)

test-long: setup-dev ## run the tests that take longer or must be alone: kills, outages, a short torture (under 35 minutes)
	@failed=0; \
	$(SIDE_BY_SIDE) --durations 20 -m "long and not alone" $(LONG_TESTS) || failed=1; \
	$(PYTHON) -m pytest --durations 10 -m alone $(LONG_TESTS) || failed=1; \
	exit $$failed

torture: setup-dev ## kill everything in turn for MINUTES=30 under hostile traffic, then account for every record; ends with one line of JSON
	@$(PYTHON) -m torture --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

# A million hostile messages through parse, fold, judgement and JSON.
MESSAGES ?= 1000000

fuzz: setup-dev ## send MESSAGES hostile messages through the whole way in one process (some 20 minutes); the last line says what came of it
	@mkdir -p .scoreline; $(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes -r tests/fuzz/atheris.txt || true
	@$(PYTHON) -m tests.fuzz --messages $(MESSAGES) $(if $(SEED),--seed $(SEED)) 2> .scoreline/fuzz.log || { \
		tail -5 .scoreline/fuzz.log >&2; exit 1; }

lint: style types ## check style and types

style: setup-dev ## check style alone
	@$(PYTHON) -m ruff check
	@$(PYTHON) -m ruff format --check

types: setup-dev ## check types, who imports whom, and undeclared imports
	@$(PYTHON) -m mypy --strict bench grafana ml detection messaging notifications sinks generator stack jobs lake scorecard programs demo torture serving versions page watch scoreline.py settings.py orchestration/scoreline_steps.py orchestration/scoreline_dags.py orchestration/scoreline_flows.py
	@$(PYTHON) -m deptry .
	@.venv/bin/lint-imports --no-logo --no-cache

# REQUIRED=1 also fails where the service that knows vulnerabilities does not answer.
REQUIRED ?=

audit: setup-dev ## ask for known vulnerabilities in both locks, and look for secrets in the repository
	@$(PYTHON) -m tests.audit $(if $(REQUIRED),--required)

page-pictures: setup-dev ## draw the pictures of the analyst's page in docs/ again (needs chromium)
	@$(PYTHON) -m tests.page.pictures

dashboards: setup-dev ## write Grafana's dashboards again from their code in grafana/
	@$(PYTHON) -m grafana write

wheel: setup-dev ## build the wheel, which pip, pipx and uv tool install, in dist
	@$(PYTHON) -m hatchling build --target wheel --directory dist

# The newest versions that pyproject.toml allows; without UPGRADE=1, those of the locks where they still fit.
UPGRADE ?=
LOCKING := --universal --generate-hashes --no-header --quiet $(if $(UPGRADE),--upgrade)

lock: setup-dev ## write the locks again from pyproject.toml and orchestration/*.in (UPGRADE=1 takes the newest versions)
	@.venv/bin/uv pip compile $(LOCKING) pyproject.toml -o requirements.lock
	@.venv/bin/uv pip compile $(LOCKING) --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	@for one in airflow prefect; do \
		.venv/bin/uv pip compile $(LOCKING) --python-version 3.11 orchestration/$$one.in -o orchestration/$$one.lock || exit 1; \
	done

bench: setup-dev .venv-quix/installed.lock ## measure everything, about an hour: table and plots in bench/results
	@$(PYTHON) -m bench full

bench-quick: setup-dev ## measure the most important figures in four minutes; ends with one line of JSON
	@$(PYTHON) -m bench quick

loop: setup-dev ## let drift hurt a model, nobody do anything, and measure how the loop gets recall back (10 to 20 minutes, RATE=400); ends with one line of JSON
	@$(PYTHON) -m bench.loop $(if $(filter-out file,$(origin RATE)),--rate $(RATE)) $(if $(SEED),--seed $(SEED))

load: setup-dev ## load the service that runs on the stack, and say whether it passes (RATE=1000 DURATION=60 SCENARIO=standard|attack|drift)
	@$(WITH_STACK) $(PYTHON) -m bench.load --history $(HISTORY) $(if $(filter-out file,$(origin RATE)),--rate $(RATE)) \
		$(if $(DURATION),--duration $(DURATION)) $(if $(SCENARIO),--scenario $(SCENARIO))

# The streaming library that the benchmark compares with wants other versions of what Scoreline uses too.
.venv-quix/installed.lock: bench/peers/quix.lock
	@$(PYTHON) -m venv .venv-quix
	@.venv-quix/bin/python -m pip install --require-hashes --disable-pip-version-check -r $< && cp $< $@

orchestrators: .venv-airflow/installed.lock .venv-prefect/installed.lock ## make the environments of Airflow and Prefect (docs/orchestration.md)

# Each has an environment of its own: their libraries want other versions of what Scoreline uses too.
.venv-%/installed.lock: orchestration/%.lock
	@test -x .venv/bin/uv || $(MAKE) --no-print-directory setup-dev
	@.venv/bin/uv venv --quiet --clear --python $(PYTHON) .venv-$*
	@.venv/bin/uv pip sync --quiet --python .venv-$*/bin/python --require-hashes $< && cp $< $@

stack: setup ## start Kafka and InfluxDB as local processes, where there is no Docker
	@$(PYTHON) -m stack up

stack-down: setup ## stop what make stack started; the data stays
	@$(PYTHON) -m stack down

generate: setup ## send simulated transactions to Kafka, on from where it ended (RATE=500 DURATION=60 SCENARIO=standard|attack|drift|calm)
	@$(WITH_STACK) $(PYTHON) -m generator send --rate $(RATE) $(if $(DURATION),--duration $(DURATION)) \
		$(if $(SEED),--seed $(SEED)) $(if $(wildcard $(HISTORY)/history.json),--history $(HISTORY)) \
		$(if $(SCENARIO),--scenario $(SCENARIO)) --resume

train: setup ## train a model on HISTORY (which is simulated if it is not there), and make it the champion
	@case '$(HISTORY)' in *:/*) ;; *) test -e '$(HISTORY)';; esac || $(PYTHON) -m generator history --out '$(HISTORY)' $(if $(SEED),--seed $(SEED))
	@$(WITH_STACK) $(PYTHON) -m ml train $(HISTORY) --no-extras --promote --state-out $(STATE)

submit: setup ## start the detection job on the stack, by spark-submit
	@$(WITH_STACK) $(PYTHON) -m jobs submit $(if $(filter-out file,$(origin STATE))$(wildcard $(STATE)),--initial-state $(STATE))

scorecard: setup ## judge every detector on simulated runs of five seeds; the page is in .scoreline/scorecard (half an hour)
	@$(PYTHON) -m scorecard

scorecard-quick: setup ## the same with one small seed, in some two minutes
	@$(PYTHON) -m scorecard --quick

notebook: setup-dev ## run the notebooks; with their pictures they are then in .scoreline/notebooks
	@mkdir -p .scoreline/notebooks
	@.venv/bin/jupyter-execute notebooks/traffic.ipynb notebooks/alert.ipynb --output='../.scoreline/notebooks/{notebook_name}'

# What starts beside the rest, with commas: people is the analyst's page, loop the watcher, notify the notifier.
PROFILES ?=

up: ## start everything in containers, with Grafana (docker compose; PROFILES=people,loop,notify: the analyst's page, the watcher and the notifier too)
	@test -e .env || python3 docker/write_env.py
	@COMPOSE_PROFILES=$(PROFILES) docker compose up --detach --build --wait

down: ## stop the containers; their volumes stay
	@docker compose --profile '*' down

reset: ## stop the jobs and the stack, and delete all that Scoreline wrote here, after asking (YES=1 does not ask)
	@if [ "$(YES)" != 1 ]; then \
		printf 'Stop the jobs and the local stack and delete .scoreline with all its data, models and checkpoints? [y/N] '; \
		read answer; case $$answer in y|Y|yes) ;; *) echo "Nothing was changed."; exit 1;; esac; \
	fi; \
	if [ -x $(PYTHON) ]; then $(PYTHON) -m jobs stop || exit 1; $(PYTHON) -m stack down || exit 1; fi; \
	rm -rf .scoreline; echo "Reset."
