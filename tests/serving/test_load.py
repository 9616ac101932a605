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
from activityrec.tracking import Champion
from tests.stand_ins import Shelf

DAY, FITTED = date(2024, 5, 1), date(2024, 4, 20)


@dataclass
class Registry:
    """Stands in for MLflow: a champion for each of ``parts``, trained on FITTED."""

    parts: tuple[str, ...]

    def champion(self, part: str, as_of: date, load: bool = True) -> Champion:
        if part not in self.parts:
            raise StateError(f"model shop-{part} has no champion: run train first")
        model: Any = "the model" if load else None
        return Champion(f"shop-{part}", "1", FITTED, model)


def job(
    spark: SparkSession, config: Config, parts: tuple[str, ...], **changed: list[dict[str, Any]]
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
        "activity_features": [],
        "user_vectors": [],
        "item_vectors": [
            {"fitted_date": day, "item_kind": "product", "item_id": "p", "users": 1,
             "vector": [float(day.day)]}
            for day in (FITTED, DAY)
        ],
    } | changed  # fmt: skip
    contracts = {table.name: table for table in tables.all_tables(config)}
    shelf: Any = Shelf(spark, {contracts[name]: listed for name, listed in rows.items()})
    tracking: Any = Registry(parts)
    return Job(spark, config, shelf, tracking, DAY, "run", datetime(2024, 5, 1))


def example(as_of: date) -> dict[str, list[dict[str, Any]]]:
    return {"training_examples": [{"as_of": as_of, "user_id": "u", "activity_id": "a"}]}


def test_while_no_exposure_has_closed_als_orders_the_lists(
    spark: SparkSession, planted_config: Config
) -> None:
    """``train`` registers no ranker then, and running it again would not help."""
    serving, champion = load_serving(job(spark, planted_config, ("retrieval",)))
    assert (serving.ranker, champion.name) == (None, "shop-retrieval")


def test_a_ranker_that_was_trained_with_the_factors_orders_them(
    spark: SparkSession, planted_config: Config
) -> None:
    ours = job(spark, planted_config, ("retrieval", "ranker"), **example(FITTED))
    serving, champion = load_serving(ours)
    assert (serving.ranker, champion.name) == ("the model", "shop-ranker")
    assert [row["vector"] for row in serving.item_vectors.collect()] == [[20.0]], "its own fit"


def test_a_ranker_that_is_gone_is_an_error(spark: SparkSession, planted_config: Config) -> None:
    with pytest.raises(StateError, match="shop-ranker has no champion: run train first"):
        load_serving(job(spark, planted_config, ("retrieval",), **example(FITTED)))


def test_a_day_without_features_or_factors_says_what_to_run(
    spark: SparkSession, planted_config: Config
) -> None:
    other_day = [{"user_id": "u", "snapshot_date": FITTED}]
    with pytest.raises(StateError, match="no snapshot of 2024-05-01 .* run features at it first"):
        load_serving(job(spark, planted_config, ("retrieval",), user_features=other_day))
    with pytest.raises(StateError, match="no fit of 2024-04-20, the champion's: run train"):
        load_serving(job(spark, planted_config, ("retrieval",), item_vectors=[]))


def test_a_snapshot_of_exposed_users_alone_is_not_served(
    spark: SparkSession, planted_config: Config
) -> None:
    """What is left of a day's snapshot once ``features`` has run at a later one."""
    users = [{"user_id": "u"}, {"user_id": "not exposed on that day"}]
    with pytest.raises(StateError, match="no snapshot of 2024-05-01 with every user"):
        load_serving(job(spark, planted_config, ("retrieval",), users=users))
