"""Loads into real tables: what is new comes in once, whatever happens in between."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from activityrec import tables
from activityrec.config import Config
from activityrec.errors import ContractError, SourceError
from activityrec.ingest import Ingestion, replay_quarantine, write
from activityrec.ingest.load import load_table, open_snapshots, search
from activityrec.lakehouse import Lakehouse
from activityrec.tables import Table
from tests.planted import configuration

NOW = datetime(2024, 7, 1, tzinfo=timezone.utc)
LATER = "another row has the same event_id"

COLUMNS = {
    "event_id": "id",
    "user_id": "user",
    "event_type": "kind",
    "event_ts": "at",
    "amount": "paid",
}


class Shop:
    """A folder of JSON lines that grows, and a lakehouse beside it."""

    def __init__(self, spark: SparkSession, folder: Path) -> None:
        self.spark = spark
        self.folder = folder
        self.events: dict[str, Any] = {
            "name": "log",
            "format": "json",
            "path": str(folder / "log"),
            "load": "append",
            "options": {"primitivesAsString": "true"},
            "columns": COLUMNS,
        }
        self.more: list[dict[str, Any]] = []
        self.ingest: dict[str, Any] = {}
        (folder / "log").mkdir()

    def write(self, name: str, *rows: dict[str, Any] | str) -> None:
        """A file of the log; a string is written as it is."""
        lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
        (self.folder / "log" / name).write_text("".join(f"{line}\n" for line in lines))

    def ingestion(self) -> Ingestion:
        """As another process would open it."""
        raw = configuration()
        raw["lakehouse"] = {"root": str(self.folder / "lakehouse")}
        raw["sources"]["events"] = [self.events, *self.more]
        raw["ingest"] = self.ingest
        config = Config.model_validate(raw)
        return Ingestion(self.spark, Lakehouse(self.spark, config), config, NOW)

    def load(self, table: Table = tables.EVENTS) -> int:
        ingestion = self.ingestion()
        return load_table(ingestion, table, open_snapshots(ingestion, table))

    def replay(self) -> dict[str, int]:
        return replay_quarantine(self.ingestion())

    def amounts(self) -> dict[str, float | None]:
        """amount by event_id; a doubled row is an error."""
        rows = self.ingestion().lakehouse.read(tables.EVENTS).collect()
        assert len({row["event_id"] for row in rows}) == len(rows)
        return {row["event_id"]: row["amount"] for row in rows}

    def quarantine(self) -> list[tuple[str | None, list[str], int]]:
        """(id, reasons, occurrences), in order."""
        lakehouse = self.ingestion().lakehouse
        rows = lakehouse.read(tables.QUARANTINE).collect()
        found = []
        for row in rows:
            kept = json.loads(row["row"])
            found.append((kept.get("event_id", kept.get("id")), row["reasons"], row["occurrences"]))
        return sorted(found, key=str)

    def batches(self) -> list[dict[str, Any]]:
        rows = self.ingestion().lakehouse.read(tables.BATCHES).orderBy("batch_id").collect()
        return [row.asDict() for row in rows]


@pytest.fixture
def shop(spark: SparkSession, tmp_path: Path) -> Shop:
    return Shop(spark, tmp_path)


def event(name: str, paid: Any = "1", **others: Any) -> dict[str, Any]:
    return {"id": name, "user": "u1", "kind": "buy", "at": "2024-05-01 10:00:00", "paid": paid} | (
        others
    )


def test_each_file_is_loaded_once_and_every_row_is_accounted_for(shop: Shop) -> None:
    bad = event("b", "many", extra="as the source has it")
    shop.write("1.json", event("a"), bad, event("a"), event("c"), '{"id": "brok', bad)
    assert shop.load() == 2
    shop.write("2.json", event("c"), event("d", at=None), event("e", at="2024-05-02"))
    assert shop.load() == 1
    assert shop.load() == 0
    assert shop.amounts() == {"a": 1.0, "c": 1.0, "e": 1.0}
    assert shop.quarantine() == [
        ("b", ["amount: not a DOUBLE"], 2),
        ("d", ["event_ts: missing"], 1),
        (None, ["malformed line"], 1),
    ]
    lakehouse = shop.ingestion().lakehouse
    (row,) = lakehouse.read(tables.QUARANTINE).where("contains(row, 'many')").collect()
    assert json.loads(row["row"]) == event("b", "many", extra="as the source has it")
    assert row["file"].endswith("/log/1.json")
    assert (row["source"], row["table_name"], row["user_id"]) == ("log", "events", "u1")
    assert (row["mapped"], row["loaded_ts"]) == (False, datetime(2024, 7, 1))
    first, second = shop.batches()
    assert (first["rows"], first["added"], first["copies"], first["refused"]) == (6, 2, 1, 3)
    assert first["rules"] == {"amount: not a DOUBLE": 2, "malformed line": 1}
    assert (second["rows"], second["added"], second["copies"], second["refused"]) == (3, 1, 1, 1)
    assert (first["files"], second["files"]) == (1, 1)


def test_an_appended_row_changes_one_that_is_there_only_if_it_is_the_later(shop: Shop) -> None:
    shop.events["order_by"] = "timestamp(seen)"
    late, early = "2024-05-03", "2024-05-02"
    shop.write("1.json", event("a", "1"), event("b", "1", seen=early), event("c", "1", seen=late),
               event("d", "1", seen=early), event("d", "2", seen=late))  # fmt: skip
    shop.load()
    shop.write("2.json", event("a", "2"), event("b", "2", seen=late), event("c", "2", seen=early))
    assert shop.load() == 1
    assert shop.amounts() == {"a": 1.0, "b": 2.0, "c": 1.0, "d": 2.0}
    assert shop.quarantine() == [
        ("a", [f"superseded: {LATER}"], 1),
        ("b", ["superseded: a later row has the same event_id"], 1),
        ("c", [f"superseded: {LATER}"], 1),
        ("d", [f"superseded: {LATER}"], 1),
    ]


def test_an_upserted_row_replaces_the_older_version_which_goes_to_quarantine(shop: Shop) -> None:
    shop.events["load"] = "upsert"
    shop.ingest = {"earliest": "2024-01-01"}
    shop.write("1.json", event("a", "1"), event("b", "1"), event("c", "1", at="2023-01-01"))
    shop.load()
    shop.write("2.json", event("a", "2"), event("c", "3"), event("b", "1"))
    assert shop.load() == 2
    assert [b["changed"] for b in shop.batches()] == [0, 1]
    shop.ingest = {}
    assert shop.replay()["events"] == 0, "what is there came later than what was refused"
    assert shop.amounts() == {"a": 2.0, "b": 1.0, "c": 3.0}
    assert [(name, reasons) for name, reasons, _ in shop.quarantine()] == [
        ("a", ["superseded: a later row has the same event_id"]),
        ("c", ["event_ts: before 2024-01-01"]),
    ]


def test_an_order_that_is_neither_number_nor_time_is_refused(shop: Shop) -> None:
    shop.events["order_by"] = "at"
    shop.write("1.json", event("a"))
    with pytest.raises(SourceError, match="order_by: 'at' is of type string; it must be BIGINT"):
        shop.load()


@pytest.mark.slow
def test_a_full_source_replaces_its_own_rows_and_no_others(shop: Shop) -> None:
    shop.events |= {"load": "full", "read_schema": "id STRING, user STRING, kind STRING, "
                    "at STRING, paid STRING"}  # fmt: skip
    other = {**shop.events, "name": "other", "path": str(shop.folder / "other"), "load": "append"}
    (shop.folder / "other").mkdir()
    (shop.folder / "other/1.json").write_text(json.dumps(event("o", "9")))
    shop.more = [other]
    shop.write("1.json", event("a", "1"), event("b", "1"), event("x", "many"))
    shop.load()
    # A full source by another name takes the place of the former ones.
    shop.events["name"] = "export"
    shop.write("1.json", event("b", "2"), event("c", "1"))
    assert shop.load() == 3
    assert shop.amounts() == {"b": 2.0, "c": 1.0, "o": 9.0}
    assert shop.quarantine() == []
    before = shop.ingestion().lakehouse
    before.read(tables.EVENTS)
    assert shop.load() == 0
    after = shop.ingestion().lakehouse
    after.read(tables.EVENTS)
    assert after.versions == before.versions, "a snapshot that did not change writes nothing"
    # It may shrink, and grow, and its table be dropped.
    for names in ("b", "bd"):
        shop.write("1.json", *[event(name, "2") for name in names])
        assert shop.load() == 1
        assert sorted(shop.amounts()) == [*names, "o"]
    shutil.rmtree(shop.folder / "lakehouse/clean/events")
    assert shop.load() == 3
    shop.write("1.json")
    with pytest.raises(ContractError, match="it has no rows, and would empty the table of 2"):
        shop.load()
    assert sorted(shop.amounts()) == ["b", "d", "o"]


@pytest.mark.slow
def test_what_is_committed_stays_and_tables_made_anew_and_lost_progress_lose_no_row(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.write("1.json", event("a"))
    shop.load()
    # The stage fails right after the commit.
    shop.write("2.json", event("b"), event("x", "many"))
    with monkeypatch.context() as patch:
        patch.setattr(Lakehouse, "_written", crashing_for(Lakehouse._written, tables.EVENTS))
        ingestion = shop.ingestion()
        with (
            pytest.raises(RuntimeError, match="crashed here"),
            ingestion.lakehouse.all_or_nothing(),
        ):
            load_table(ingestion, tables.EVENTS, [])
    shop.load()
    assert sorted(shop.amounts()) == ["a", "b"]
    assert shop.quarantine() == [("x", ["amount: not a DOUBLE"], 1)]
    shutil.rmtree(shop.folder / "lakehouse/clean/events")
    assert shop.load() == 2
    # A checkpoint made anew counts its batches from 0: they must not pass for those done.
    shutil.rmtree(shop.folder / "lakehouse/.ingest")
    shop.write("3.json", event("c"))
    assert shop.load() == 1
    assert sorted(shop.amounts()) == ["a", "b", "c"]


def test_too_large_a_share_of_bad_rows_fails_before_anything_is_written(shop: Shop) -> None:
    shop.ingest = {"max_refused_share": 0.5}
    shop.write("1.json", event("a"), event("b", "many"), event("c", "few"))
    with pytest.raises(ContractError) as caught:
        shop.load()
    assert "only 1 of its 3 rows is valid" in str(caught.value)
    assert "amount: not a DOUBLE (2 rows)" in str(caught.value)
    lakehouse = shop.ingestion().lakehouse
    assert lakehouse.read(tables.EVENTS).isEmpty()
    assert not lakehouse.exists(tables.QUARANTINE) and not lakehouse.exists(tables.BATCHES)
    shop.ingest = {"max_refused_share": 0.7}
    assert shop.load() == 1, "the files of the batch that failed come again"


def test_times_and_orphans_are_judged_as_configured(shop: Shop) -> None:
    shop.events["columns"] = COLUMNS | {"product_id": "product", "activity_id": "activity"}
    shop.events["flags"] = {"dear": "paid > 50"}
    shop.ingest = {
        "earliest": "2000-01-01",
        "orphans": {"events.product_id": "flag", "events.activity_id": "quarantine"},
    }
    shop.write(
        "1.json",
        event("a", 99, product="p1"),
        event("b", product="p9"),
        event("c", activity="a9"),
        event("old", at="1999-12-31 23:59:59"),
        event("new", at="2024-07-01 00:00:01"),
        event("d", product="p1"),
    )
    row = {"product_id": "p1", "source": "s", "batch_id": "s/0"}
    schema = ", ".join(f"{c.name} {c.type}" for c in tables.PRODUCTS.columns)
    values = [tuple(row.get(name) for name in tables.PRODUCTS.column_names)]
    products = shop.spark.createDataFrame(values, schema)
    shop.ingestion().lakehouse.append(tables.PRODUCTS, products)
    shop.load()
    events = shop.ingestion().lakehouse.read(tables.EVENTS).collect()
    flags = {row["event_id"]: row["flags"] for row in events}
    assert flags == {"a": ["dear"], "b": ["product_id: not in products"], "d": None}
    assert shop.quarantine() == [
        ("c", ["activity_id: not in activities"], 1),
        ("new", ["event_ts: after the load"], 1),
        ("old", ["event_ts: before 2000-01-01"], 1),
    ]
    assert shop.batches()[0]["rules"]["product_id: not in products"] == 1


@pytest.mark.slow
def test_a_key_is_looked_for_on_the_days_around_where_that_is_configured(
    spark: SparkSession,
) -> None:
    rows = spark.createDataFrame(
        [("2024-05-03", None), ("2024-05-20", None), ("2024-05-28", ["bad"])],
        "at STRING, _reasons ARRAY<STRING>",
    ).selectExpr("timestamp(at) AS event_ts", "_reasons")
    days = ("2024-05-01", "2024-05-05 23:59:59", "2024-05-06", "2024-05-18", "2024-05-28")
    where = search(tables.EVENTS, rows, 2)
    asked = [f"SELECT {where} AS found FROM (SELECT timestamp('{d}') AS event_ts) t" for d in days]
    found = [spark.sql(sql).collect()[0]["found"] for sql in asked]
    assert found == [True, True, False, True, False]
    assert search(tables.EVENTS, rows, None) == "true"


@pytest.mark.slow
def test_rows_pass_from_quarantine_once_rule_or_mapping_is_right(shop: Shop) -> None:
    shop.ingest = {"earliest": "2024-01-01"}
    shop.ingest["max_refused_share"] = 1
    shop.write("1.json", event("a"), event("old", at="2023-05-01"), event("comma", "2,5"),
               event("hopeless", at="soon"), event("comma", "2,5"), event("b"))  # fmt: skip
    shop.load()
    shop.write("2.json", event("comma", "2,5"))
    shop.load()
    assert shop.replay()["events"] == 0
    shop.ingest = {"earliest": "2020-01-01"}
    shop.events["columns"] = COLUMNS | {"amount": "replace(paid, ',', '.')"}
    assert shop.replay()["events"] == 2
    assert shop.amounts() == {"a": 1.0, "b": 1.0, "old": 1.0, "comma": 2.5}
    assert shop.quarantine() == [("hopeless", ["event_ts: not a TIMESTAMP"], 1)]
    assert shop.replay()["events"] == 0
    assert [b["load"] for b in shop.batches()][-1] == "replay"


POINTS = {
    "after the counts": "_write_counts",
    "after quarantine, before the merge": "write_refused",
    "after the merge, before the checkpoint": "_write_clean",
}
"""That nothing is written before them: see the load with too large a share of bad rows."""


def test_a_crash_at_any_point_changes_nothing_in_the_end(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.events["load"] = "upsert"
    shop.write("1.json", event("a", "1"), event("b", "1"))
    shop.load()
    shop.write("2.json", event("a", "2"), event("c"), event("x", "many"), event("c"))
    for step in POINTS.values():
        with monkeypatch.context() as patch:
            patch.setattr(write, step, crashing(getattr(write, step)))
            with pytest.raises(RuntimeError, match="crashed here"):
                shop.load()
    # What comes until the next run waits for its own batch.
    shop.write("3.json", event("d", "many"), event("a", "2"))
    shop.load()
    assert shop.amounts() == {"a": 2.0, "b": 1.0, "c": 1.0}
    assert shop.quarantine() == [
        ("a", ["superseded: a later row has the same event_id"], 1),
        ("d", ["amount: not a DOUBLE"], 1),
        ("x", ["amount: not a DOUBLE"], 1),
    ]
    counted = [(b["rows"], b["added"], b["changed"], b["refused"]) for b in shop.batches()]
    assert counted == [(2, 2, 0, 0), (4, 1, 1, 1), (2, 0, 0, 1)]


def crashing(method: Callable) -> Callable:
    def crash(*args: Any, **kwargs: Any) -> Any:
        method(*args, **kwargs)
        raise RuntimeError("crashed here")

    return crash


def crashing_for(method: Callable, table: Table) -> Callable:
    """Does its work, then fails, for one table."""

    def crash(self: Lakehouse, written: Table) -> Any:
        found = method(self, written)
        if written is table:
            raise RuntimeError("crashed here")
        return found

    return crash


@pytest.mark.slow
def test_where_references_arrive_late_the_orphan_passes_on_replay(shop: Shop) -> None:
    ingestion = shop.ingestion()
    raw = ingestion.config.model_dump()
    sent = shop.folder / "sent"
    sent.mkdir()
    lines = [{"user": "u1", "activity": a, "at": "2024-05-02T00:00:00"} for a in ("a1", "a2")]
    (sent / "1.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    activities = shop.folder / "activities.json"
    row = {"activity": "a1", "kind": "gift", "from": "2024-05-01", "to": "2024-05-20"}
    activities.write_text(json.dumps(row))
    raw["sources"]["exposures"] = [
        raw["sources"]["exposures"][0] | {"path": str(sent), "load": "append"}
    ]
    raw["sources"]["activities"][0]["path"] = str(activities)
    (shop.folder / "costs.json").write_text('{"activity": "a1", "cost": 5}')
    costs = {"format": "json", "path": str(shop.folder / "costs.json")}
    costs["columns"] = {"activity_id": "activity", "cost": "cost"}
    raw["sources"]["activities"].append(costs)
    raw["lakehouse"] = {"root": str(shop.folder / "lakehouse")}

    def opened() -> Ingestion:
        config = Config.model_validate(raw)
        return replace(ingestion, config=config, lakehouse=Lakehouse(shop.spark, config))

    for table in (tables.ACTIVITIES, tables.EXPOSURES):
        load_table(opened(), table, open_snapshots(opened(), table))
    activities.write_text(json.dumps(row) + "\n" + json.dumps(row | {"activity": "a2"}))
    load_table(opened(), tables.ACTIVITIES, open_snapshots(opened(), tables.ACTIVITIES))
    assert replay_quarantine(opened())["exposures"] == 1
    assert opened().lakehouse.read(tables.EXPOSURES).count() == 2
    assert opened().lakehouse.read(tables.QUARANTINE).isEmpty()
    batches = [row for row in shop.batches() if row["table_name"] == "activities"]
    counted = [(b["rows"], b["added"], b["copies"]) for b in batches]
    assert counted == [(2, 1, 0), (3, 1, 1)], "the rows of both sources are counted"


def test_events_are_needed(shop: Shop) -> None:
    with pytest.raises(ContractError, match="table events: its sources have no rows"):
        shop.load()
