"""The lists that are evaluated as diversified are those that are served."""

from collections import defaultdict

from pyspark.sql import DataFrame, SparkSession

from activityrec.config import Config, RetrievalConfig
from activityrec.evaluation.list_findings import diversified_lists
from activityrec.evaluation.lists import best_first
from activityrec.serving.candidates import scored_candidates, sides
from activityrec.serving.diversity import activity_similarity
from activityrec.serving.list_rules import made_lists
from tests.serving.shop import history_of, random_shop
from tests.stand_ins import serving_of

K = 3


def lists_of(rows: DataFrame) -> dict[str, list[str]]:
    found = defaultdict(list)
    for row in rows.select("user_id", "rank", "activity_id").orderBy("user_id", "rank").collect():
        found[row["user_id"]].append(row["activity_id"])
    return dict(found)


def test_evaluated_lists_are_those_served_and_less_alike(
    spark: SparkSession, planted_config: Config
) -> None:
    shop = random_shop(4)
    recommend = planted_config.recommend.model_copy(update={"diversity": 0.7, "k": K})
    changes = {"recommend": recommend, "retrieval": RetrievalConfig()}
    config = planted_config.model_copy(update=changes)
    serving = serving_of(history_of(spark, shop), config, shop.vectors, shop.sides)
    both = sides(serving)
    scored = scored_candidates(serving, both).select("user_id", "activity_id", "score")
    plain = lists_of(best_first(scored, {"retrieval": "score"}, K))
    evaluated = diversified_lists(serving, both, scored, K)
    assert set(evaluated.columns) == {"model", "user_id", "activity_id", "rank"}
    unlike = lists_of(evaluated)
    served = made_lists(serving, both, "r1", {}).ranked.where("listed = 'user'")
    assert lists_of(served) == unlike
    assert {user: made[0] for user, made in unlike.items()} == {
        user: made[0] for user, made in plain.items()
    }
    number = {name: place for place, name in enumerate(both.live.side.activity_ids)}
    alike = activity_similarity(serving, both)

    def likeness(lists: dict[str, list[str]]) -> float:
        return sum(
            alike[number[a], number[b]] for made in lists.values() for a in made for b in made
        )

    assert likeness(unlike) < 0.9 * likeness(plain)
