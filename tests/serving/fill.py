"""A job that makes a lakehouse with runs, of which the first is published.

Run as ``./spark-submit.sh tests/serving/fill.py YAML RUN=LISTS...``, where LISTS are a user's
activities, one letter each: ``first=u1:ab,u2:a``.
"""

import sys

from activityrec.config_file import load_config
from activityrec.lakehouse import Lakehouse
from activityrec.serving.publication import publish
from activityrec.serving.views import create_views
from activityrec.session import get_spark
from tests.serving.published import DAY, NOON, make_run, stock


def main(path: str, *runs: str) -> None:
    config = load_config(path)
    lakehouse = stock(Lakehouse(get_spark(config.name), config))
    for run in runs:
        name, _, lists = run.partition("=")
        make_run(lakehouse, name, dict(one.split(":") for one in lists.split(",")))
    publish(lakehouse, runs[0].partition("=")[0], DAY, config, NOON)
    create_views(lakehouse)


if __name__ == "__main__":
    main(*sys.argv[1:])
