"""The SparkSession: the one that exists (spark-submit, Databricks), or a new one."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession


def get_spark(name: str, properties: Mapping[str, str] | None = None) -> SparkSession:
    """The running session, or one built with ``properties``.

    Under spark-submit and on Databricks the properties come from there; see ``conf/spark``.
    """
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName(name)
    for key, value in (properties or {}).items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def is_connected(spark: SparkSession) -> bool:
    """Whether it is a session of Spark Connect, as on serverless compute: one without a JVM."""
    return type(spark).__module__.startswith("pyspark.sql.connect")


def release(spark: SparkSession) -> None:
    """Let go of what is kept in memory; serverless compute keeps nothing, and refuses this."""
    if not is_connected(spark):
        spark.catalog.clearCache()


def read_properties(*paths: str | Path) -> dict[str, str]:
    """Spark properties files (``key value`` lines, ``#`` comments); later files win."""
    properties = {}
    for path in paths:
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            if line.strip() and not line.lstrip().startswith("#"):
                key, value = line.split(maxsplit=1)
                properties[key] = value.strip()
    return properties


@contextmanager
def settings(spark: SparkSession, values: Mapping[str, str]) -> Iterator[None]:
    """Spark settings for the time of a block; then what they were before."""
    before = {key: spark.conf.get(key, None) for key in values}
    try:
        for key, value in values.items():
            spark.conf.set(key, value)
        yield
    finally:
        for key, old in before.items():
            if old is None:
                spark.conf.unset(key)
            else:
                spark.conf.set(key, old)
