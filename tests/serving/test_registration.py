"""How a lakehouse under a root becomes known to the catalog of the Thrift Server's session."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from activityrec import tables
from activityrec.config import Config
from activityrec.errors import ConfigError, StateError
from activityrec.lakehouse import Lakehouse
from activityrec.serving import thrift_server
from activityrec.serving.publication import commit, latest_publication
from activityrec.serving.thrift_server import register, start
from serve import port_of
from tests.planted import configuration
from tests.serving.published import DAY, at, config_at, lakehouse_at, make_run


@pytest.fixture
def lakehouse(spark: SparkSession, tmp_path: Path) -> Iterator[Lakehouse]:
    """With one publication and no evaluation; its names leave the session's catalog again."""
    made = lakehouse_at(spark, tmp_path / "a 'shop'")
    make_run(made, "first", {"u1": "ab"})
    commit(made, ("first", DAY, at(10), "m/1", 1, 2, 2), None)
    yield made
    forget(spark)


def forget(spark: SparkSession) -> None:
    for schema in ("serving", "clean"):
        spark.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


def test_tables_and_views_that_come_later_are_added(lakehouse: Lakehouse) -> None:
    spark = lakehouse.spark
    first = register(lakehouse)
    assert {"clean.activities", "serving.recommendations"} < set(first)
    assert {"current_recommendations", "published_audiences", "activities"} < set(first)
    assert not {"serving.metrics", "current_metrics"} & set(first)
    assert register(lakehouse) == []
    lakehouse.create(tables.METRICS)
    assert register(lakehouse) == ["serving.metrics", "metric_trend", "current_metrics"]
    assert spark.table("serving.current_metrics").isEmpty()
    make_run(lakehouse, "second", {"u2": "b"})
    commit(lakehouse, ("second", DAY, at(11), "m/1", 1, 1, 1), latest_publication(lakehouse))
    rows = spark.sql("SELECT run_id, name FROM serving.current_recommendations JOIN "
                     "serving.activities USING (activity_id)").collect()  # fmt: skip
    assert [tuple(row) for row in rows] == [("second", None)]
    comments = {row["col_name"]: row["comment"] for row in
                spark.sql("DESCRIBE serving.current_recommendations").collect()}  # fmt: skip
    assert comments["rank"] == "place in the user's list, from 1"


def test_views_come_after_storage_failed_between_tables_and_views(
    lakehouse: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise OSError("storage does not answer")

    with monkeypatch.context() as broken:
        broken.setattr(thrift_server, "view_queries", fails)
        with pytest.raises(OSError, match="does not answer"):
            register(lakehouse)
    assert lakehouse.spark.catalog.tableExists("serving.recommendations")
    added = register(lakehouse)
    assert "current_recommendations" in added and "serving.recommendations" not in added
    assert register(lakehouse) == []


def test_a_lakehouse_in_a_catalog_is_left_to_it(spark: SparkSession) -> None:
    raw = configuration() | {"lakehouse": {"catalog": "spark_catalog"}}
    assert register(Lakehouse(spark, Config.model_validate(raw))) == []


def test_a_root_and_a_metastore_do_not_go_together(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lakehouse = Lakehouse(spark, config_at(tmp_path))
    monkeypatch.setattr(type(spark.conf), "get", lambda *_: "hive")
    with pytest.raises(ConfigError, match="lakehouse.root is of no use with a metastore"):
        register(lakehouse)


def test_only_names_of_activities_are_there_before_the_first_run(
    spark: SparkSession, tmp_path: Path
) -> None:
    lakehouse = Lakehouse(spark, config_at(tmp_path))
    assert register(lakehouse) == []
    lakehouse.create(tables.ACTIVITIES)
    try:
        assert register(lakehouse) == ["clean.activities", "activities"]
    finally:
        forget(spark)


def test_a_port_that_is_taken_or_is_none_is_named(spark: SparkSession) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(StateError, match=rf"nothing can listen at 127\.0\.0\.1:{port}: Addr"):
            start(spark, "127.0.0.1", port)
    for text in ("0", "70000", "http"):
        with pytest.raises(ConfigError, match=f"--port {text}: not a port"):
            port_of(text)
