"""Estimated propensities are those of a multinomial regression that did not see the user."""

import numpy as np
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from sklearn.linear_model import LogisticRegression

from activityrec.errors import StateError
from activityrec.evaluation.cross_fitting import fold_of
from activityrec.evaluation.propensities import PropensityModel, with_estimated

MODEL = PropensityModel(activities=("a", "b", "c"), context=("region",), folds=2, floor=0.2)
COLUMNS = "user_id STRING, activity_id STRING, region STRING, available ARRAY<STRING>"


def test_propensities_are_those_of_scikit_learn_shared_among_what_was_available(
    spark: SparkSession,
) -> None:
    random = np.random.default_rng(2)
    rows = []
    for user in range(150):
        north = user % 2
        name = "abc"[random.choice(3, p=[0.6, 0.3, 0.1] if north else [0.2, 0.2, 0.6])]
        available = ["a", "b", "c"] if user % 3 else ["a", "b"]
        rows.append((f"u{user}", name, "north" if north else "south", available))
    log = spark.createDataFrame(rows, COLUMNS).withColumn("fold", fold_of(["user_id"], 2, 17))
    folds = {row["user_id"]: row["fold"] for row in log.collect()}
    found = {r["user_id"]: r["propensity"] for r in with_estimated(log, MODEL).collect()}
    wanted = {}
    for fold in (0, 1):
        others = [row for row in rows if folds[row[0]] != fold]
        regression = LogisticRegression(C=1.0, tol=1e-8, max_iter=1_000)
        regression.fit([_places(row) for row in others], [row[1] for row in others])
        for row in (row for row in rows if folds[row[0]] == fold):
            of = dict(zip("abc", regression.predict_proba([_places(row)])[0], strict=True))
            share = of[row[1]] / sum(of[name] for name in {*row[3], row[1]})
            wanted[row[0]] = max(share, MODEL.floor)
    assert found == pytest.approx(wanted, abs=2e-3)
    assert min(found.values()) == MODEL.floor


def _places(row: tuple) -> list[int]:
    return [row[2] == "north", row[2] == "south"]


def test_one_user_is_too_few(spark: SparkSession) -> None:
    log = spark.createDataFrame([("u", "a", "north", ["a"])] * 3, COLUMNS)
    with pytest.raises(StateError, match="too few users"):
        with_estimated(log.withColumn("propensity", F.lit(None)), MODEL)
