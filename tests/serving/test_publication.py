"""What an audit refuses, and what readers see."""

from datetime import date, datetime, timezone

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import Config, LakehouseConfig
from activityrec.errors import StateError
from activityrec.lakehouse import Lakehouse
from activityrec.serving.publication import audit, publish
from activityrec.serving.views import create_views

DAY = date(2024, 5, 1)
NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
ROW = "user_id STRING, activity_id STRING, rank INT"


def _rows(spark: SparkSession, *rows: tuple) -> DataFrame:
    return spark.createDataFrame(rows, ROW)


def test_an_audit_names_every_rule_and_counts(spark: SparkSession) -> None:
    live = spark.createDataFrame([("a",), ("b",), ("c",)], "activity_id STRING")
    good = _rows(spark, ("u1", "a", 1), ("u1", "b", 2), ("u2", "c", 1))
    audience = _rows(spark, ("u1", "a", 1), ("u2", "a", 2))
    assert audit(good, audience, live) == {}
    bad = _rows(
        spark,
        ("gap", "a", 1), ("gap", "b", 3),
        ("repeat", "a", 1), ("repeat", "a", 2),
        ("tie", "a", 1), ("tie", "b", 3), ("tie", "c", 3),
        ("late", "over", 1),
    )  # fmt: skip
    nobody = audience.limit(0)
    assert audit(bad, nobody, live) == {
        "no audiences": 1,
        "users whose list has gaps or repeats": 3,
        "recommendations of activities that are not live": 1,
    }
    bad = _rows(spark, ("u1", "a", 1), ("u2", "a", 3), ("u1", "b", 1), ("u1", "over", 1))
    assert audit(good.limit(0), bad, live) == {
        "no recommendations": 1,
        "audiences with gaps or repeats": 1,
        "audiences of activities that are not live": 1,
    }


@pytest.fixture
def lakehouse(spark: SparkSession, planted_config: Config, tmp_path) -> Lakehouse:
    place = LakehouseConfig(root=str(tmp_path / "lakehouse"))
    config = planted_config.model_copy(update={"lakehouse": place})
    made = Lakehouse(spark, config)
    start = datetime(2024, 4, 25)
    activities = spark.createDataFrame(
        [
            ("a", "gift", start, datetime(2024, 5, 9)),
            ("over", "gift", start, datetime(2024, 4, 30)),
        ],
        "activity_id STRING, activity_type STRING, start_ts TIMESTAMP, end_ts TIMESTAMP",
    )
    _write(made, tables.ACTIVITIES, activities)
    return made


def _write(lakehouse: Lakehouse, table: tables.Table, rows: DataFrame, where: str = "true") -> None:
    """Rows with whatever columns a test does not care about filled in."""
    fillers = {
        "score": 0.5,
        "model": "m/1",
        "source": "s",
        "batch_id": "s/0",
    }
    for column in table.columns:
        if column.name not in rows.columns:
            empty = {"ARRAY": F.array(), "MAP": F.create_map()}
            kind = column.type.partition("<")[0]
            value = empty.get(kind, F.lit(fillers.get(column.name)))
            rows = rows.withColumn(column.name, value.cast(column.type))
    lakehouse.replace(table, rows, where)


def _list(lakehouse: Lakehouse, run: str, activity: str, users: list[str]) -> None:
    marks = {"run_id": F.lit(run), "as_of": F.lit(DAY)}
    spark = lakehouse.spark
    lists = spark.createDataFrame([(user, activity, 1) for user in users], ROW)
    audience = spark.createDataFrame(
        [(user, activity, place) for place, user in enumerate(users, start=1)], ROW
    )
    for table, rows in ((tables.RECOMMENDATIONS, lists), (tables.AUDIENCES, audience)):
        _write(lakehouse, table, rows.withColumns(marks), f"run_id = '{run}'")


def test_readers_see_the_latest_publication_alone(lakehouse: Lakehouse) -> None:
    spark = lakehouse.spark
    _list(lakehouse, "first", "a", ["u1"])
    assert publish(lakehouse, "first", DAY, 0, NOON)
    _list(lakehouse, "second", "a", ["u2", "u3"])
    create_views(lakehouse)
    current = spark.table("current_recommendations").select("user_id")
    assert [row[0] for row in current.collect()] == ["u1"]

    assert publish(lakehouse, "second", DAY, 0, NOON.replace(hour=13))
    rows = spark.table("current_recommendations").select("user_id", "run_id").collect()
    assert {tuple(row) for row in rows} == {("u2", "second"), ("u3", "second")}
    assert spark.table("current_publication").first()["users"] == 2


@pytest.mark.slow
def test_the_current_run_has_one_row_which_is_replaced_if_it_was_made_again(
    lakehouse: Lakehouse,
) -> None:
    _list(lakehouse, "run", "a", ["u1"])
    assert publish(lakehouse, "run", DAY, 0, NOON)
    assert not publish(lakehouse, "run", DAY, 0, NOON.replace(hour=13))
    assert lakehouse.read(tables.PUBLICATIONS).count() == 1
    _list(lakehouse, "run", "a", ["u1", "u2"])
    assert publish(lakehouse, "run", DAY, 0, NOON.replace(hour=14))
    (row,) = lakehouse.read(tables.PUBLICATIONS).collect()
    assert (row["users"], row["audiences"]) == (2, 2)


def test_a_run_that_fails_its_audit_is_not_published(lakehouse: Lakehouse) -> None:
    _list(lakehouse, "run", "over", ["u1", "u2"])
    with pytest.raises(StateError, match="run run failed its audit.*not live: 2"):
        publish(lakehouse, "run", DAY, 0, NOON)
    assert not lakehouse.exists(tables.PUBLICATIONS)
