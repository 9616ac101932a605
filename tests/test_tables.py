"""The contracts: what holds for all of them, and what follows from the configuration."""

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import FeaturesConfig
from activityrec.tables import Table

FEATURES = FeaturesConfig(
    event_types=["view", "purchase"],
    purchase_type="purchase",
    affinity_types=["purchase"],
    windows=[7],
    affinity_windows=[14],
    user_attributes=["city"],
)
ALL = {table.full_name: table for table in tables.all_tables(FEATURES)}


@pytest.mark.parametrize("table", ALL.values(), ids=ALL)
def test_a_contract_names_only_columns_that_it_has(table: Table) -> None:
    names = table.column_names
    assert len(set(names)) == len(names)
    assert set(table.key) <= set(names)
    assert set(table.cluster_by) <= {column.name for column in table.columns if column.stats}
    for column, target in table.references:
        assert column in names
        assert f"clean.{target}" in ALL


@pytest.mark.parametrize("table", ALL.values(), ids=ALL)
def test_nothing_that_identifies_a_user_is_in_statistics_or_clustering(table: Table) -> None:
    """So that erasing a user leaves no trace in Delta's log."""
    identifying = {"user_id", "event_id", "text", "row", "attributes"}
    statistics = {column.name for column in table.columns if column.stats}
    assert identifying.isdisjoint(statistics | set(table.cluster_by))


def test_a_missing_value_passes_every_check(spark: SparkSession) -> None:
    """Whether a column may be NULL is for ``required`` alone to say."""
    for table in ALL.values():
        empty = spark.range(1).select(
            *[F.lit(None).cast(column.type).alias(column.name) for column in table.columns]
        )
        broken = [F.expr(f"NOT ({sql})").alias(name) for name, sql in table.conditions()]
        if broken:
            (row,) = empty.select(*broken).collect()
            assert [name for name, value in row.asDict().items() if value is not False] == []


def test_user_features_follow_event_types_windows_and_attributes() -> None:
    measures = ("count", "amount", "products", "days")
    assert tables.user_features(FEATURES).column_names == [
        "snapshot_date",
        "user_id",
        "observed_days",
        "age_band",
        "gender",
        "attribute_city",
        *(f"view_{measure}_7d" for measure in measures),
        *(f"view_{measure}_all" for measure in measures),
        "view_recency_days",
        "view_frequency",
        *(f"purchase_{measure}_7d" for measure in measures),
        *(f"purchase_{measure}_all" for measure in measures),
        "purchase_recency_days",
        "purchase_frequency",
        "shown",
        "answered",
        "response_rate",
    ]


def test_affinities_follow_their_event_types_and_windows() -> None:
    assert tables.user_activity_features(FEATURES).column_names == [
        "snapshot_date",
        "user_id",
        "activity_id",
        *(f"purchase_eligible_{m}" for m in ("count", "amount", "share", "products")),
        *(f"purchase_category_{m}" for m in ("count", "amount", "share", "products")),
        "purchase_eligible_count_14d",
        "purchase_eligible_amount_14d",
    ]


def test_a_training_example_holds_every_feature_once() -> None:
    names = tables.training_examples(FEATURES).column_names
    of_user = tables.user_features(FEATURES).column_names
    of_activity = tables.ACTIVITY_FEATURES.column_names
    crossed = tables.user_activity_features(FEATURES).column_names
    assert {*of_user, *of_activity, *crossed, "label", "als_score"} <= set(names)
    assert len(set(names)) == len(names)
