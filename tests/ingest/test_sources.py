"""Reading one source: what it gives, and how a broken one is named."""

import json
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession

from activityrec import tables
from activityrec.config import SourceConfig
from activityrec.errors import SourceError
from activityrec.ingest.reading import read_all
from activityrec.ingest.sources import check_sources, map_rows
from activityrec.tables import Table

ACTIVITY = {"activity_id": "id", "activity_type": "kind", "start_ts": "timestamp(begin)"}


@pytest.fixture
def source(tmp_path: Path) -> SourceConfig:
    """One activity as JSON, with the columns begin, id and kind."""
    path = tmp_path / "activities.json"
    path.write_text(json.dumps({"id": 7, "kind": "gift", "begin": "2024-05-01"}), encoding="utf-8")
    return SourceConfig(format="json", path=str(path), columns=ACTIVITY)


def changed(source: SourceConfig, columns: dict[str, str] | None = None, **others: str):
    """The source with other columns, format, path or where."""
    update = {**others, "columns": {**source.columns, **(columns or {})}}
    return source.model_copy(update=update)


def read_source(spark: SparkSession, table: Table, source: SourceConfig) -> DataFrame:
    """The source's values as its expressions give them, in the order of the contract."""
    check_sources(table, [source])
    rows = map_rows(table, source, read_all(spark, table, source))
    return rows.select("_given.*")


def refusal(spark: SparkSession, source: SourceConfig, table: Table = tables.ACTIVITIES) -> str:
    with pytest.raises(SourceError) as caught:
        read_source(spark, table, source)
    return str(caught.value)


def test_a_source_gives_the_columns_of_the_contract_in_its_order(
    spark: SparkSession, source: SourceConfig
) -> None:
    rows = read_source(spark, tables.ACTIVITIES, changed(source, {"cost": "id * 2"}))
    assert rows.columns == [column.name for column in tables.ACTIVITIES.given]
    (row,) = rows.select("activity_id", "activity_type", "cost", "end_ts").collect()
    assert tuple(row) == (7, "gift", 14, None)


def test_where_keeps_the_rows_for_which_it_is_true(
    spark: SparkSession, source: SourceConfig
) -> None:
    assert read_source(spark, tables.ACTIVITIES, changed(source, where="id = 7")).count() == 1
    assert read_source(spark, tables.ACTIVITIES, changed(source, where="id > 7")).count() == 0


def test_options_reach_the_reader(spark: SparkSession, tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text("user;years\nu1;30\n", encoding="utf-8")
    source = SourceConfig(
        format="csv",
        path=str(path),
        options={"sep": ";", "header": "true"},
        columns={"user_id": "user", "age": "years"},
    )
    (row,) = read_source(spark, tables.USERS, source).select("user_id", "age").collect()
    assert tuple(row) == ("u1", "30")


def test_a_missing_file_is_named(spark: SparkSession, source: SourceConfig) -> None:
    message = refusal(spark, changed(source, path="/nowhere/activities.json"))
    assert message.startswith("table activities, source /nowhere/activities.json: cannot read it")
    assert "does not exist" in message


@pytest.mark.parametrize(
    "how, words",
    [
        ({"format": "parquet"}, "activities.json"),
        ({"format": "paquet"}, "paquet"),
        ({"path": "nosuch://bucket/activities"}, 'No FileSystem for scheme "nosuch"'),
    ],
    ids=["another format than the file's", "no such format", "no such file system"],
)
def test_an_unreadable_source_is_named_with_the_cause(
    spark: SparkSession, source: SourceConfig, how: dict[str, str], words: str
) -> None:
    broken = changed(source, **how)
    message = refusal(spark, broken)
    assert message.startswith(f"table activities, source {broken.path}: cannot read it: ")
    assert words in message
    assert "\n" not in message


def test_a_column_that_the_contract_does_not_have_is_named(
    spark: SparkSession, source: SourceConfig
) -> None:
    message = refusal(spark, changed(source, {"titel": "kind"}))
    assert message.startswith(f"table activities, source {source.path}: no column titel; ")
    assert "activity_id, activity_type, name, start_ts" in message


def test_a_required_column_without_an_expression_is_named(
    spark: SparkSession, source: SourceConfig
) -> None:
    events = source.model_copy(update={"columns": {"event_id": "id", "user_id": "id"}})
    assert refusal(spark, events, tables.EVENTS) == (
        f"table events, source {source.path}: columns event_type, event_ts need an expression"
    )


def test_an_entity_source_may_lack_required_columns_but_not_the_key(source: SourceConfig) -> None:
    costs = source.model_copy(update={"columns": {"activity_id": "id", "cost": "id"}})
    check_sources(tables.ACTIVITIES, [source, costs])
    keyless = source.model_copy(update={"columns": {"cost": "id"}})
    with pytest.raises(SourceError) as caught:
        check_sources(tables.ACTIVITIES, [source, keyless])
    assert str(caught.value) == (
        f"table activities, source {source.path}: columns activity_id need an expression"
    )


def test_the_sources_of_an_entity_together_give_its_required_columns(
    source: SourceConfig,
) -> None:
    costs = source.model_copy(update={"columns": {"activity_id": "id", "cost": "id"}})
    check_sources(tables.ACTIVITIES, [costs, source])
    with pytest.raises(SourceError) as caught:
        check_sources(tables.ACTIVITIES, [costs, costs])
    assert str(caught.value) == (
        "table activities: columns activity_type, start_ts need an expression in "
        f"{source.path} or {source.path}"
    )


def test_exposures_may_lack_the_time_that_has_a_default(
    spark: SparkSession, source: SourceConfig
) -> None:
    sent = source.model_copy(update={"columns": {"user_id": "'u1'", "activity_id": "id"}})
    rows = read_source(spark, tables.EXPOSURES, sent)
    assert rows.first()["exposure_ts"] is None


@pytest.mark.parametrize(
    "sql, cause",
    [
        ("nme", "nme"),
        ("upper(", "Syntax error"),
        ("no_such_function(kind)", "no_such_function"),
        ("array(kind)", "ARRAY<STRING>"),
        ("sum(id)", "GROUP BY"),
    ],
    ids=["unknown column", "syntax", "unknown function", "not the column's type", "aggregate"],
)
def test_an_expression_that_does_not_resolve_is_named(
    spark: SparkSession, source: SourceConfig, sql: str, cause: str
) -> None:
    message = refusal(spark, changed(source, {"cost": sql}))
    assert message.startswith(
        f"table activities, source {source.path}, column cost: expression {sql!r}"
    )
    assert cause in message
    assert "columns of the source: begin, id, kind" in message
    assert "\n" not in message


@pytest.mark.parametrize("sql", ["idd = 7", "kind", "id = = 7"])
def test_a_where_that_does_not_resolve_is_named(
    spark: SparkSession, source: SourceConfig, sql: str
) -> None:
    message = refusal(spark, changed(source, where=sql))
    assert message.startswith(
        f"table activities, source {source.path}, where: expression {sql!r} does not resolve"
    )
    assert "columns of the source: begin, id, kind" in message
