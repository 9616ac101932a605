"""Lists and audiences, whatever the batches and partitions of their candidates."""

from collections import defaultdict

import pytest
from pyspark.sql import SparkSession

from activityrec.serving.lists import audiences, ranked_lists

USERS, ACTIVITIES, K, SIZE = 23, 7, 3, 4


def score(user: int, activity: int) -> float:
    return float((user * 31 + activity * 17) % 11)


@pytest.fixture(scope="module", params=[2, 1000])
def ranked(request: pytest.FixtureRequest, spark: SparkSession):
    rows = [
        (f"u{user:02d}", f"a{activity}", score(user, activity))
        for user in range(USERS)
        for activity in range(ACTIVITIES)
    ]
    candidates = spark.createDataFrame(rows, "user_id STRING, activity_id STRING, score DOUBLE")
    key = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = spark.conf.get(key)
    # With two rows a batch the rows of a user arrive in several.
    spark.conf.set(key, str(request.param))
    together = candidates.repartitionByRange(3, "user_id").sortWithinPartitions("user_id")
    result = ranked_lists(together, K, SIZE).persist()
    result.count()
    spark.conf.set(key, before)
    return result


def test_every_user_has_their_best_with_ties_by_activity(ranked) -> None:
    found = defaultdict(dict)
    for row in ranked.where("listed = 'user'").collect():
        found[row["user_id"]][row["rank"]] = row["activity_id"]
    for user in range(USERS):
        best = sorted(range(ACTIVITIES), key=lambda a: (-score(user, a), a))[:K]
        wanted = {place: f"a{activity}" for place, activity in enumerate(best, start=1)}
        assert found[f"u{user:02d}"] == wanted


def test_every_activity_has_its_best_users_over_all_partitions(ranked) -> None:
    found = defaultdict(dict)
    for row in audiences(ranked, SIZE).collect():
        found[row["activity_id"]][row["rank"]] = row["user_id"]
    for activity in range(ACTIVITIES):
        best = sorted(range(USERS), key=lambda u: (-score(u, activity), u))[:SIZE]
        wanted = {place: f"u{user:02d}" for place, user in enumerate(best, start=1)}
        assert found[f"a{activity}"] == wanted
