# Targets: make help
SHELL := /bin/bash
VENV ?= .venv
JARS ?= .jars
PY := $(VENV)/bin/python
export DFLIB_PYTHON ?= $(abspath $(PY))
export DFLIB_JARS ?= $(abspath $(JARS))/jars
# Each module is compiled when it is first imported, and then for good; most never are.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo controls test test-fast test-spark test-e2e test-spark-e2e test-cluster test-hostile test-py312 test-airflow coverage lint docs setup tools clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /  make \1|/' | column -t -s '|'

demo: setup ## makes a small data set and runs ingest, extract, train, score and report on it
	@$(PY) -m tools.demo --out out/demo
	./spark-submit.sh ingest --env demo
	./spark-submit.sh extract --env demo
	./spark-submit.sh train --env demo
	./spark-submit.sh score --env demo
	./spark-submit.sh report --env demo

# A model that learnt something true must lose it when the labels are dealt out at random, or the face is covered.
controls: setup ## trains two controls on the demo, labels shuffled and face blanked: their AUC must be about .5
	./spark-submit.sh train --env demo --set train.name=control-shuffled train.shuffle_labels=true
	./spark-submit.sh score --env demo --set score.model=control-shuffled
	./spark-submit.sh report --env demo --set report.model=control-shuffled
	./spark-submit.sh train --env demo --set train.name=control-blanked train.view.blank_face=true
	./spark-submit.sh score --env demo --set score.model=control-blanked
	./spark-submit.sh report --env demo --set report.model=control-blanked

test: ## linters and all tests, cheapest first
	@$(MAKE) --no-print-directory --jobs=2 setup lint # fetching the jars is mostly waiting
	@$(MAKE) --no-print-directory test-fast test-spark-e2e

test-fast: setup ## tests that start no Spark
	$(PY) -m pytest -q -n 2 -m "not spark and not e2e and not cluster and not hostile"

test-spark: setup ## tests on a Spark session of their own
	$(PY) -m pytest -q -n 2 --dist loadfile -m "spark and not e2e and not cluster and not hostile"

test-e2e: setup ## the real jobs through spark-submit.sh
	$(PY) -m pytest -q --durations=12 -m "e2e and not cluster and not hostile"

# On two cores, jobs that start or train use one; Spark tests use the other. One file has all tests of the demo's run,
# so that one worker makes it once.
test-spark-e2e: setup
	$(PY) -m pytest -q -n 2 --dist loadfile --durations=12 -m "(spark or e2e) and not cluster and not hostile"

# Of its own: on Python 3.11, tests without Spark take 1.4 times as long while it is measured.
coverage: setup ## branch coverage of the tests without Spark and on a Spark session; not part of make test
	$(PY) -m pytest -q -n 2 --dist loadfile --cov --cov-report= -m "not e2e and not cluster and not hostile"
	@$(PY) -m coverage report | grep -w TOTAL

test-cluster: setup ## whole jobs on a cluster, an S3 server and a metastore that the tests start, kills, and other long tests; not part of make test
	$(PY) -m pytest -q --durations=12 -m cluster

test-hostile: setup ## large corpora of damaged and forged input, with their cost; not part of make test
	$(PY) -m pytest -q -s --durations=12 -m hostile

test-airflow: setup ## the DAG of conf/airflow for two nights, by a real Airflow in an environment of its own; not part of make test
	@test -x .venv-airflow/bin/airflow || (python3.11 -m venv .venv-airflow && .venv-airflow/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv)
	@.venv-airflow/bin/uv pip install --quiet --python .venv-airflow/bin/python apache-airflow==3.3.2 apache-airflow-providers-apache-spark==6.3.4
	DFLIB_AIRFLOW=$(abspath .venv-airflow)/bin/python $(PY) -m pytest -q --durations=5 tests/schedules/test_airflow.py

test-py312: tools ## tests that start no Spark, on Python 3.12, in an environment of their own
	@test -x .venv-py312/bin/python || python3.12 -m venv .venv-py312
	@.venv-py312/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	@conf/uv-install.sh .venv-py312/bin/python -c constraints.txt -e ".[demo,dev]"
	.venv-py312/bin/python -m pytest -q -n 2 -m "not spark and not e2e and not cluster and not hostile"

docs: setup ## the documentation as a site in build/site; fails on broken links
	$(PY) -m tools.reference
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet --site-dir build/site

lint: tools $(VENV)/.installed ## ruff, mypy --strict on dflib and jobs, hadolint, and reference pages that are up to date
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/hadolint conf/Dockerfile
	$(PY) -m tools.reference --check
	$(PY) -m benchmarks.cost_tables --check

setup: tools $(VENV)/.installed $(JARS)/.installed ## the environment and the jars, once

tools:
	@conf/check-tools.sh

$(VENV)/.installed: setup.py constraints.txt
	@test -x $(PY) || $$(conf/check-tools.sh python) -m venv $(VENV)
	@echo "installing the Python environment into $(VENV) (some 4 GB, minutes)"
	@$(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	@conf/uv-install.sh $(PY) -c constraints.txt -e ".[demo,dev]"
	@$(PY) -m pip check
	@touch $@

$(JARS)/.installed: $(VENV)/.installed dflib/cli/jars.py
	@echo "fetching the jars of Delta, S3 and PostgreSQL into $(JARS)"
	@mkdir -p $(JARS)
	@./spark-submit.sh setup $(JARS)
	@touch $@

environment.tar.gz: setup ## Python and all that jobs need of it, as an archive for machines that have none (spark.archives)
	$(PY) -m tools.environment $@

clean: ## what the jobs, the demo and the tools made; the environment stays
	rm -rf out build .pytest_cache .mypy_cache .ruff_cache .coverage
