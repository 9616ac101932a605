.DEFAULT_GOAL := help
.PHONY: help setup setup-4.0 test-4.0 demo movielens obd docs check test slow cluster wheel clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z0-9.-]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## .venv with the pinned packages, .jars with Delta Lake; needs Python 3.10 to 3.13 and Java 17 or newer
	@tools/setup.sh
	@tools/fetch_jars.sh

demo: setup  ## fetch The Complete Journey (a grocer's coupon campaigns), run the whole pipeline on it, show the result
	@tools/fetch_data.sh complete_journey
	./spark-submit.sh jobs/pipeline.py --config conf/complete_journey.yaml --as-of 2017-10-01

movielens: setup  ## the same with MovieLens-100k
	@tools/fetch_data.sh movielens
	./spark-submit.sh jobs/pipeline.py --config conf/movielens.yaml --as-of 1998-03-01

obd: setup  ## the same with the Open Bandit data: a week of fashion items shown at random, with propensities
	@tools/fetch_data.sh obd
	./spark-submit.sh jobs/pipeline.py --config conf/obd.yaml --as-of 2019-11-29

docs: setup  ## write the generated pages of docs/
	PYTHONPATH=lib .venv/bin/python -m activityrec.documentation docs

check: setup  ## linter, formatter (changes nothing), type checker
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

MARKS = not slow and not cluster
test: setup check  ## check, then all tests but the slow ones; MARKS="not cluster" takes these as well
	.venv/bin/python -m pytest -n 2 --dist loadscope -m "$(MARKS)"

slow: setup  ## the slow tests: processes that are killed, a database, erasure with every feature on
	.venv/bin/python -m pytest -n 2 --dist loadscope -m slow

setup-4.0:  ## .venv-4.0 and .jars-4.0: Spark 4.0 and its Delta Lake, as Databricks Runtime 17.3 LTS has them
	@FOR_SPARK=4.0 tools/setup.sh
	@FOR_SPARK=4.0 tools/fetch_jars.sh

test-4.0: setup-4.0  ## all tests but the slow ones, on Spark 4.0
	FOR_SPARK=4.0 .venv-4.0/bin/python -m pytest -n 2 --dist loadscope -m "not slow and not cluster"

cluster: setup  ## some hours: a master and two workers under faults of every kind; an object store; a planted world of 20,000 users
	.venv/bin/python -m pytest -m cluster

wheel: setup  ## the library as a wheel, in .build/dist
	rm -rf .build/wheel .build/dist
	.venv/bin/python -m pip --disable-pip-version-check wheel . --no-deps --no-build-isolation -w .build/dist

clean:  ## delete builds and caches; .venv, .jars and .data stay
	rm -rf .build .mypy_cache .pytest_cache .ruff_cache lib/activityrec.egg-info
	find lib jobs tests -name __pycache__ -prune -exec rm -rf {} +
