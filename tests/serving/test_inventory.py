"""Places of activities: the best users get them, never more than there are."""

import numpy as np
from pyspark.sql import SparkSession

from activityrec.serving.inventory import order_keys, thresholds

RANDOM = np.random.default_rng(3)


def test_keys_are_in_the_order_of_scores_and_of_keys_where_these_tie() -> None:
    scores = np.array([-1e9, -2.0, -1e-3, 0.0, 1e-3, 0.5, 0.50001, 1.0, 7e8])
    keys = order_keys(scores, RANDOM.integers(0, 2**63, len(scores)).astype(np.uint64))
    assert (np.diff(keys) > 0).all()
    tied = order_keys(np.full(3, 0.25), np.array([2, 0, 1], dtype=np.uint64))
    assert np.argsort(tied).tolist() == [1, 2, 0]


def test_the_best_get_the_places_and_ties_are_broken(spark: SparkSession) -> None:
    users = 500
    scores = {
        "spread": RANDOM.random(users),
        "tied": np.full(users, 0.5),
        "signed": RANDOM.normal(size=users),
        "roomy": RANDOM.random(users),
        "closed": RANDOM.random(users),
    }
    places = {"spread": 100, "tied": 7, "signed": 33, "roomy": 10_000, "closed": 0, "nobody": 5}
    keys = {
        name: order_keys(some, RANDOM.integers(0, 2**63, users).astype(np.uint64))
        for name, some in scores.items()
    }
    rows = [(name, int(key)) for name, some in keys.items() for key in some]
    least = thresholds(spark.createDataFrame(rows, "activity_id STRING, order_key BIGINT"), places)
    served = {name: int((some >= least[name]).sum()) for name, some in keys.items()}
    assert served == {"spread": 100, "tied": 7, "signed": 33, "roomy": users, "closed": 0}
    for name in ("spread", "signed"):
        inside = keys[name] >= least[name]
        assert scores[name][inside].min() > scores[name][~inside].max()
