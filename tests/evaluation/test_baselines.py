"""The simple models beside the ranker, by hand."""

import pytest
from pyspark.sql import SparkSession

from activityrec.config import FeaturesConfig
from activityrec.evaluation.baselines import affinity_amount, with_popularity


def test_popularity_is_the_answered_share_of_the_type_among_the_examples(
    spark: SparkSession,
) -> None:
    rows = spark.createDataFrame(
        [("a", "gift", 7), ("b", "deal", 9), ("c", "new", 5)],
        "activity_id STRING, activity_type STRING, responders BIGINT",
    )
    examples = spark.createDataFrame(
        [("gift", 1), ("gift", 0), ("gift", 0), ("deal", 1), ("deal", 0)],
        "activity_type STRING, label INT",
    )
    found = {
        row["activity_id"]: row["popularity"] for row in with_popularity(rows, examples).collect()
    }
    # A type without examples has the share of all.
    assert found == pytest.approx({"a": 1 / 3, "b": 1 / 2, "c": 2 / 5})

    found = {row["activity_id"]: row["popularity"] for row in with_popularity(rows, None).collect()}
    assert found == {"a": 7.0, "b": 9.0, "c": 5.0}


def test_affinity_is_money_spent_and_unknown_where_nothing_is_bought(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(12.5,)], "buy_eligible_amount DOUBLE")
    shop = FeaturesConfig(event_types=["buy"], purchase_type="buy", affinity_types=["buy"])
    library = FeaturesConfig(event_types=["buy"])
    row = rows.select(affinity_amount(shop).alias("x"), affinity_amount(library).alias("y")).first()
    assert tuple(row) == (12.5, None)
