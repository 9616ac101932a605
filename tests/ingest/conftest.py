"""What every test of ingestion does."""

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession


@pytest.fixture(autouse=True)
def no_cached_frames(spark: SparkSession) -> Iterator[None]:
    """Leave no frame persisted: Spark compares every plan with all of them."""
    yield
    spark.catalog.clearCache()
