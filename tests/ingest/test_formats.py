"""Sources of every kind, by YAML alone: dirty CSV, time zones, Delta, folders by day."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from activityrec import tables
from activityrec.config_file import load_config
from activityrec.errors import SourceError
from activityrec.ingest import Ingestion
from activityrec.ingest.load import load_table, open_snapshots
from activityrec.lakehouse import Lakehouse
from tests.hostile import EXPECTED, write_hostile, write_truncated_gzip
from tests.ingest.test_load import NOW, Shop, event


@pytest.fixture
def shop(spark: SparkSession, tmp_path: Path) -> Shop:
    return Shop(spark, tmp_path)


def load_events(spark: SparkSession, path: Path) -> Lakehouse:
    """Load the events of a YAML; the lakehouse, opened anew."""
    config = load_config(path)
    ingestion = Ingestion(spark, Lakehouse(spark, config), config, NOW)
    load_table(ingestion, tables.EVENTS, open_snapshots(ingestion, tables.EVENTS))
    return Lakehouse(spark, config)


def test_a_hostile_export_comes_in_by_yaml_alone(spark: SparkSession, tmp_path: Path) -> None:
    lakehouse = load_events(spark, write_hostile(tmp_path))
    found = {}
    for row in lakehouse.read(tables.EVENTS).collect():
        values = row.asDict()
        found[row["event_id"]] = {
            name: values[name] for name in ("user_id", "event_ts", "amount", "text")
        }
    assert found == EXPECTED["events"]

    refused = lakehouse.read(tables.QUARANTINE).collect()
    assert len(refused) == len(EXPECTED["refused"])
    for mark, (source, file, reasons) in EXPECTED["refused"].items():
        word = re.compile(rf"(?<![\w-]){mark}(?![\w-])")
        (row,) = [row for row in refused if word.search(row["row"])]
        assert (row["source"], row["file"].rsplit("/", 1)[1]) == (source, file)
        assert sorted(row["reasons"]) == sorted(reasons)

    batches = {row["source"]: row for row in lakehouse.read(tables.BATCHES).collect()}
    assert {name: row["rows"] for name, row in batches.items()} == EXPECTED["rows"]
    assert sum(row["copies"] for row in batches.values()) == EXPECTED["copies"]


def test_a_file_cut_short_is_named_and_nothing_of_it_is_written(
    spark: SparkSession, tmp_path: Path
) -> None:
    path = write_truncated_gzip(tmp_path)
    with pytest.raises(SourceError) as caught:
        load_events(spark, path)
    assert "cut.csv.gz" in str(caught.value) and "\n" not in str(caught.value)
    assert Lakehouse(spark, load_config(path)).read(tables.EVENTS).isEmpty()


def test_times_without_a_zone_are_those_of_the_source(shop: Shop) -> None:
    shop.events |= {"time_zone": "Europe/Berlin"}
    shop.write(
        "1.json",
        event("local", at="2024-05-01 01:00:00"),
        event("zoned", at="2024-05-01T01:00:00Z"),
        event("day", at="2024-01-15"),
    )
    shop.load()
    rows = shop.ingestion().lakehouse.read(tables.EVENTS).collect()
    assert {row["event_id"]: row["event_ts"] for row in rows} == {
        "local": datetime(2024, 4, 30, 23),
        "zoned": datetime(2024, 5, 1, 1),
        "day": datetime(2024, 1, 14, 23),
    }
    assert shop.spark.conf.get("spark.sql.session.timeZone") == "UTC"


def test_epochs_and_formats_are_expressions(shop: Shop) -> None:
    shop.events |= {"time_zone": "Europe/Berlin", "options": {}}
    ways = {
        "seconds": ("timestamp_seconds(seconds)", 1714557600),
        "millis": ("timestamp_millis(millis)", 1714557600123),
        "text": ("to_timestamp(text, 'dd/MM/yyyy HH:mm')", "01/05/2024 12:00"),
    }
    one = ", ".join(sql for sql, _ in ways.values())
    shop.events["columns"] = shop.events["columns"] | {"event_ts": f"coalesce({one})"}
    shop.write("1.json", *(event(name, at=None, **{name: at}) for name, (_, at) in ways.items()))
    shop.load()
    rows = shop.ingestion().lakehouse.read(tables.EVENTS).collect()
    assert {row["event_id"]: row["event_ts"].replace(microsecond=0) for row in rows} == (
        dict.fromkeys(ways, datetime(2024, 5, 1, 10))
    )


def test_what_stands_before_the_header_of_a_csv_does_not_count(shop: Shop) -> None:
    shop.events |= {"format": "csv", "options": {"header": "true", "comment": "#"}}
    shop.write("1.csv", "", "# made by hand", "id,user,kind,at,paid", "a,u1,buy,2024-05-01,1")
    shop.write("2[x].csv", "# made by hand", "user,id,kind,at,paid", "u1,b,buy,2024-05-01,2")
    assert shop.load() == 2
    assert shop.amounts() == {"a": 1.0, "b": 2.0}


def test_lines_of_which_none_is_json_go_to_quarantine(shop: Shop) -> None:
    shop.ingest = {"max_refused_share": 1}
    shop.write("1.json", event("a"), event("b", at="10:15"))
    shop.load()
    shop.write("2.json", "this is", "no JSON")
    shop.load()
    assert sorted(reasons for _, reasons, _ in shop.quarantine()) == [
        ["event_ts: not a TIMESTAMP"],
        ["malformed line"],
        ["malformed line"],
    ]


def test_an_unknown_zone_is_named(shop: Shop) -> None:
    shop.events["time_zone"] = "Europe/Atlantis"
    shop.write("1.json", event("a"))
    with pytest.raises(SourceError, match="source log: time_zone Europe/Atlantis"):
        shop.load()


@pytest.mark.slow
def test_an_expression_that_fails_on_a_row_is_named(shop: Shop) -> None:
    shop.events["columns"] = shop.events["columns"] | {"amount": "cast(paid as double)"}
    shop.write("1.json", event("a", "many"))
    with pytest.raises(SourceError) as caught:
        shop.load()
    message = str(caught.value)
    assert "column amount: expression 'cast(paid as double)' fails on a row" in message
    assert "try_ function" in message and "\n" not in message


@pytest.mark.slow
def test_a_delta_table_is_followed_with_its_changes(shop: Shop) -> None:
    path = str(shop.folder / "source")
    shop.spark.sql(
        f"CREATE TABLE delta.`{path}` (id STRING, user STRING, kind STRING, at STRING, "
        "paid STRING) USING delta TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')"
    )
    shop.events |= {
        "format": "delta",
        "path": path,
        "load": "upsert",
        "options": {"readChangeFeed": "true"},
    }

    def insert(*rows: dict[str, Any]) -> None:
        columns = list(event("x"))
        values = [tuple(row[name] for name in columns) for row in rows]
        frame = shop.spark.createDataFrame(values, ", ".join(f"{n} STRING" for n in columns))
        frame.select("id", "user", "kind", "at", "paid").write.format("delta").mode("append").save(
            path
        )

    insert(event("a"), event("b"))
    shop.load()
    insert(event("c"))
    shop.spark.sql(f"UPDATE delta.`{path}` SET paid = '2' WHERE id = 'a'")
    shop.spark.sql(f"UPDATE delta.`{path}` SET paid = '3' WHERE id = 'a'")
    shop.load()
    assert shop.amounts() == {"a": 3.0, "b": 1.0, "c": 1.0}


@pytest.mark.slow
def test_a_delta_table_that_changed_without_a_feed_says_what_to_do(shop: Shop) -> None:
    path = str(shop.folder / "source")
    row = "'a' AS id, 'u1' AS user, 'buy' AS kind, '2024-05-01' AS at, '1' AS paid"
    shop.spark.sql(f"CREATE TABLE delta.`{path}` USING delta AS SELECT {row}")
    shop.events |= {"format": "delta", "path": path, "options": {}}
    shop.load()
    shop.spark.sql(f"UPDATE delta.`{path}` SET paid = '2'")
    with pytest.raises(SourceError, match="readChangeFeed"):
        shop.load()


def test_folders_by_day_and_one_file_and_patterns_are_followed(shop: Shop) -> None:
    shop.events["columns"] = shop.events["columns"] | {"event_ts": "day"}
    for day in ("2024-05-01", "2024-05-02"):
        folder = shop.folder / f"log/day={day}"
        folder.mkdir()
        (folder / "part.json").write_text(json.dumps(event(day)))
    assert shop.load() == 2
    one = {**shop.events, "name": "one", "path": str(shop.folder / "one.json")}
    one["columns"] = one["columns"] | {"event_ts": "at"}
    (shop.folder / "one.json").write_text(json.dumps(event("one")))
    shop.more = [one, {**one, "name": "some", "path": str(shop.folder / "so?e.json")}]
    (shop.folder / "some.json").write_text(json.dumps(event("some")))
    assert shop.load() == 2
    assert len(shop.amounts()) == 4
