"""What is large goes to workers as a file, and is there what it was here."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from activityrec.retrieval.scores import ActivitySideVectors
from activityrec.retrieval.spread import Spread, spread

SIDE = ActivitySideVectors.of([(0, [1, 7], [0.5, 2.0]), (2, [7], [-1.0])], 3)
VALUE = {"dense": np.arange(5_000.0).reshape(50, 100).T, "none": np.zeros(0), "side": SIDE}


@pytest.mark.parametrize("inline", [1_000_000, 0], ids=["with the function", "as a file"])
def test_workers_see_the_same_arrays(spark: SparkSession, inline: int) -> None:
    sent: Spread = spread(spark, VALUE, inline)
    assert (sent.file is None) == (inline > 0)
    assert len(sent.pickled) > 40_000 if inline else len(sent.pickled) < 5_000

    def describe(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        value = sent.value()
        sums = [float(value["dense"][3].sum()), *value["side"].weights, len(value["none"])]
        for batch in batches:
            yield pa.RecordBatch.from_pydict({"sums": [sums] * batch.num_rows})

    rows = spark.range(0, 4, 1, 2).mapInArrow(describe, "sums ARRAY<DOUBLE>").collect()
    wanted = [float(VALUE["dense"][3].sum()), 0.5, 2.0, -1.0, 0.0]
    assert [row["sums"] for row in rows] == [wanted] * 4
    assert sent.value()["side"].places.tolist() == [1, 7]
