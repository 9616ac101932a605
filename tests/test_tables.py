"""The contracts: what holds for all of them, and what follows from the configuration."""

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import AttributeConfig, AttributesConfig, Config, FeaturesConfig
from activityrec.tables import Table

FEATURES = FeaturesConfig(
    event_types=["view", "purchase"],
    purchase_type="purchase",
    affinity_types=["purchase"],
    windows=[7],
    affinity_windows=[14],
)
CITY = {"city": AttributeConfig()}
CONFIG = Config.model_construct(
    features=FEATURES,
    attributes=AttributesConfig(users=CITY, products=CITY, activities=CITY),
)
ALL = {table.full_name: table for table in tables.all_tables(CONFIG)}


@pytest.mark.parametrize("table", ALL.values(), ids=ALL)
def test_a_contract_names_only_columns_that_it_has(table: Table) -> None:
    names = table.column_names
    assert len(set(names)) == len(names)
    assert set(table.key) <= set(names)
    assert set(table.cluster_by) <= {column.name for column in table.columns if column.stats}
    for reference in table.references:
        assert reference.column in names
        assert f"clean.{reference.target}" in ALL


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
    assert tables.user_features(CONFIG).column_names == [
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


def test_attributes_of_users_activities_and_products_have_columns_of_their_own() -> None:
    assert tables.activity_features(CONFIG).column_names[-2:] == [
        "activity_attribute_city",
        "product_attribute_city",
    ]


@pytest.mark.parametrize(
    "declared, words",
    [
        ({}, "size of the user; 'other' if not one of the 20 most frequent, 'unknown' if NULL"),
        (
            {"type": "numeric", "bands": [-1, 0, 2.5, 1234567]},
            "band of the size of the user: '<-1', '-1-0', '0-2.5', '2.5-1234567', '1234567+'; "
            "'unknown' if no number",
        ),
        (
            {"type": "numeric"},
            "which of 4 equal parts of the users by size of the user: 'q1' (lowest) to 'q4'; "
            "'unknown' if no number",
        ),
    ],
)
def test_the_comment_of_an_attribute_says_how_it_is_made(declared: dict, words: str) -> None:
    attributes = AttributesConfig(users={"size": AttributeConfig(**declared)})
    (column,) = tables.attribute_columns(attributes, "users")
    assert (column.name, column.comment) == ("attribute_size", words)


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
    names = tables.training_examples(CONFIG).column_names
    of_user = tables.user_features(CONFIG).column_names
    of_activity = tables.activity_features(CONFIG).column_names
    crossed = tables.user_activity_features(FEATURES).column_names
    assert {*of_user, *of_activity, *crossed, "label", "als_score", "als_rank"} <= set(names)
    assert len(set(names)) == len(names)
