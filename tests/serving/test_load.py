"""What serving starts from: the champions, and the tables as of one day."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pytest
from pyspark.sql import SparkSession

from activityrec import tables
from activityrec.config import Config
from activityrec.errors import StateError
from activityrec.job import Job
from activityrec.serving.load import load_serving
from activityrec.tracking import ModelVersion
from tests.stand_ins import Shelf

DAY, FITTED = date(2024, 5, 1), date(2024, 4, 20)


@dataclass
class Registry:
    """Stands in for MLflow: a champion for each of ``parts``, trained on FITTED, with the version
    of the retrieval that the ranker knows."""

    parts: tuple[str, ...]
    has_ranker: bool
    known: str = "1"

    def model(
        self, part: str, as_of: date, alias: str = "champion", load: bool = True
    ) -> ModelVersion:
        if part not in self.parts:
            raise StateError(f"model shop-{part} has no champion: run train first")
        model: Any = "the model" if load else None
        tags = {"has_ranker": str(self.has_ranker).lower(), "retrieval_version": self.known}
        tags |= {"settings": "s"}
        return ModelVersion(f"shop-{part}", "1", FITTED, model, tags)


ALONE = Registry(("retrieval",), has_ranker=False)
BOTH = Registry(("retrieval", "ranker"), has_ranker=True)


def job(
    spark: SparkSession, config: Config, registry: Registry, **changed: list[dict[str, Any]]
) -> Job:
    """A day with one open exposure; ``changed`` are other rows of tables, by name."""
    rows: dict[str, list[dict[str, Any]]] = {
        "users": [{"user_id": "u"}],
        "products": [],
        "activities": [
            {"activity_id": "a", "activity_type": "gift", "start_ts": datetime(2024, 4, 10),
             "end_ts": datetime(2024, 6, 1)}
        ],
        "activity_products": [],
        "events": [
            {"event_id": "1", "user_id": "u", "event_type": "purchase",
             "event_ts": datetime(2024, 3, 1)}
        ],
        "exposures": [
            {"user_id": "u", "activity_id": "a", "exposure_ts": datetime(2024, 4, 10)}
        ],
        "user_daily": [],
        "user_features": [{"user_id": "u", "snapshot_date": DAY}],
        "activity_features": [{"activity_id": "a", "snapshot_date": DAY}],
        "user_vectors": [],
        "item_vectors": [
            {"fitted_date": day, "retriever": name, "item_kind": "product", "item_id": "p",
             "users": 1, "vector": [float(day.day)], "settings": "s"}
            for day in (FITTED, DAY) for name in config.retrieval.weights
        ],
    } | changed  # fmt: skip
    contracts = {table.name: table for table in tables.all_tables(config)}
    shelf: Any = Shelf(spark, {contracts[name]: listed for name, listed in rows.items()})
    tracking: Any = registry
    return Job(spark, config, shelf, tracking, DAY, "run", datetime(2024, 5, 1))


def test_while_no_exposure_has_closed_als_orders_the_lists(
    spark: SparkSession, planted_config: Config
) -> None:
    """``train`` registers no ranker then, and running it again would not help."""
    serving, champion = load_serving(job(spark, planted_config, ALONE))
    assert (serving.ranker, champion.name) == (None, "shop-retrieval")


def test_a_ranker_that_was_trained_with_the_factors_orders_them(
    spark: SparkSession, planted_config: Config
) -> None:
    serving, champion = load_serving(job(spark, planted_config, BOTH))
    assert (serving.ranker, champion.name) == ("the model", "shop-ranker")
    vectors = {tuple(row["vector"]) for row in serving.item_vectors.collect()}
    assert vectors == {(20.0,)}, "its own fit"


def test_a_ranker_that_is_gone_is_an_error(spark: SparkSession, planted_config: Config) -> None:
    with pytest.raises(StateError, match="shop-ranker has no champion: run train first"):
        load_serving(job(spark, planted_config, Registry(("retrieval",), has_ranker=True)))


def test_a_ranker_of_another_training_is_not_mixed_with_the_factors(
    spark: SparkSession, planted_config: Config
) -> None:
    other = Registry(("retrieval", "ranker"), has_ranker=True, known="7")
    with pytest.raises(StateError, match="shop-ranker/1 was trained with version 7 of shop-retri"):
        load_serving(job(spark, planted_config, other))


def test_a_retriever_that_was_not_fitted_is_an_error(
    spark: SparkSession, planted_config: Config
) -> None:
    als = [{"fitted_date": FITTED, "retriever": "als", "item_kind": "product", "item_id": "p",
            "users": 1, "vector": [1.0], "settings": "s"}]  # fmt: skip
    with pytest.raises(StateError, match="names history, not fitted at 2024-04-20.*run train"):
        load_serving(job(spark, planted_config, ALONE, item_vectors=als))


def test_a_day_without_features_or_factors_says_what_to_run(
    spark: SparkSession, planted_config: Config
) -> None:
    other_day = [{"user_id": "u", "snapshot_date": FITTED}]
    with pytest.raises(StateError, match="no snapshot of 2024-05-01 .* run features at it first"):
        load_serving(job(spark, planted_config, ALONE, user_features=other_day))
    with pytest.raises(StateError, match="no fit of 2024-04-20, the model's: run train"):
        load_serving(job(spark, planted_config, ALONE, item_vectors=[]))


def test_a_live_activity_that_came_after_the_snapshot_is_not_left_out_in_silence(
    spark: SparkSession, planted_config: Config
) -> None:
    with pytest.raises(StateError, match="no snapshot of 2024-05-01 with every live activity"):
        load_serving(job(spark, planted_config, ALONE, activity_features=[]))


def test_a_snapshot_of_exposed_users_alone_is_not_served(
    spark: SparkSession, planted_config: Config
) -> None:
    """What is left of a day's snapshot once ``features`` has run at a later one."""
    users = [{"user_id": "u"}, {"user_id": "not exposed on that day"}]
    with pytest.raises(StateError, match="no snapshot of 2024-05-01 with every user"):
        load_serving(job(spark, planted_config, ALONE, users=users))
