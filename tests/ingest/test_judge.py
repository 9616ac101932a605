"""From raw rows to clean ones: which go in, which are refused, and why."""

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.testing import assertDataFrameEqual

from activityrec import tables
from activityrec.config import Config
from activityrec.ingest.judge import (
    Ingestion,
    judge_rows,
    judge_together,
    paths_of,
    union,
    with_reasons,
)
from activityrec.ingest.keys import identified
from activityrec.ingest.reading import read_all
from activityrec.ingest.sources import map_rows
from tests.planted import configuration
from tests.stand_ins import Shelf

Rows = list[dict[str, Any]]

MINIMAL: dict[str, list[Rows]] = {
    "users": [[{"user_id": "u1"}]],
    "activities": [[{"activity_id": "a1", "activity_type": "gift", "start_ts": "2024-05-01"}]],
    "events": [
        [{"event_id": "e1", "user_id": "u1", "event_type": "view", "event_ts": "2024-05-01"}]
    ],
}
"""One valid row of each table that must have a source."""


NOW = datetime(2024, 7, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Judged:
    """The rows of one table after all rules."""

    name: str
    frame: DataFrame

    def rows(self) -> DataFrame:
        """The good rows, in the columns of the sources."""
        table = next(table for table in tables.CLEAN if table.name == self.name)
        good = self.frame.where("_reasons IS NULL")
        return good.select(*[column.name for column in table.given])

    def copies(self) -> int:
        row = self.frame.where("_reasons IS NULL").agg(F.sum("_copies")).first()
        return row[0] or 0

    def refused(self) -> list[Row]:
        """reasons, source and row (as JSON) of every refused row."""
        text = F.coalesce("_row", F.to_json(F.struct(*self.rows().columns))).alias("row")
        refused = self.frame.where("_reasons IS NOT NULL")
        return refused.select(
            F.col("_reasons").alias("reasons"), "_source", "_copies", text
        ).collect()


def cleaned(
    spark: SparkSession,
    folder: Path,
    ingest: dict[str, Any] | None = None,
    **given: list[Rows],
) -> dict[str, Judged]:
    """All tables of these rows, judged, see :func:`sources_of`."""
    sources = sources_of(folder, **given)
    return judge(spark, sources, ingest, {*given, "activities"})


def judge(
    spark: SparkSession,
    sources: dict[str, list[dict]],
    ingest: dict[str, Any] | None = None,
    given: set[str] | None = None,
) -> dict[str, Judged]:
    """Those tables of the sources that are ``given``, or all of them."""
    config = Config.model_validate(configuration() | {"sources": sources, "ingest": ingest or {}})
    shelf = Shelf(spark, {})
    ingestion = Ingestion(spark, shelf, config, NOW)  # type: ignore[arg-type]
    found = {}
    for table in tables.CLEAN:
        frames = [
            judge_rows(
                ingestion,
                table,
                map_rows(table, source, read_all(spark, table, source)),
                place,
            )
            for place, source in enumerate(ingestion.sources(table))
        ]
        if frames and (given is None or table.name in given):
            rows = identified(table, union(frames)).persist()
            rows = with_reasons(ingestion, table, rows)
            rows = judge_together(ingestion, table, rows, paths_of(spark, ()))
            found[table.name] = Judged(table.name, rows)
            kept = found[table.name].rows().collect()
            shelf.rows[table.full_name] = [row.asDict() for row in kept]
    return found


def sources_of(folder: Path, **given: list[Rows]) -> dict[str, list[dict]]:
    """The key ``sources`` of a YAML: for each table a list of sources, each given by its rows.

    Values are read as text; ``attributes`` is JSON. The files are ``<table>-<place>``.
    """
    sources: dict[str, list[dict]] = {}
    for table, listed in {**MINIMAL, **given}.items():
        sources[table] = []
        for place, rows in enumerate(listed):
            path = folder / f"{table}_{place}"
            path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            columns = {name: name for row in rows for name in row}
            if "attributes" in columns:
                columns["attributes"] = "from_json(attributes, 'MAP<STRING, STRING>')"
            options = {"primitivesAsString": "true"}
            source = {"format": "json", "path": str(path), "options": options, "columns": columns}
            sources[table].append(source)
    return sources


def event(event_id: str, **others: Any) -> dict[str, Any]:
    """A valid event, or what ``others`` make of it."""
    valid = {"user_id": "u1", "event_type": "view", "event_ts": "2024-05-01 10:00:00"}
    return {"event_id": event_id, **valid, **others}


def reasons(clean: Judged, name: str = "event_id") -> dict[str, list[str]]:
    """What each refused row broke, by its value of ``name``."""
    return {json.loads(row["row"]).get(name): row["reasons"] for row in clean.refused()}


TYPED = [event("typed", quantity="2", amount="3.50", product_id=7)]
FAULTY = [
    event("good", quantity=0, amount=0),
    event("uncastable", event_ts="yesterday", quantity="many"),
    event("missing", user_id=None, event_type=None),
    event("empty", user_id=""),
    event("check", event_type="Page View"),
    event("nan", amount="NaN", quantity="NaN"),
    event("negative", amount="-0.01", quantity="-1"),
    event("infinite", amount="Infinity", quantity="-Infinity"),
    event("", event_ts="2024-13-01", event_type="?", amount="-1"),
]
COPIES = [event("copied", amount="1"), event("copied", amount="1.0"), event("once")]
NULLS = [event("nulls", quantity="1"), event("nulls", amount="1")]


@dataclass(frozen=True)
class Events:
    """Those above after all rules: the good rows and the refused ones."""

    good: list[Row]
    refused: list[Row]

    def of(self, rows: Rows) -> "Events":
        """What became of these."""
        ids = {row["event_id"] for row in rows}
        refused = [row for row in self.refused if json.loads(row["row"])["event_id"] in ids]
        return Events([row for row in self.good if row["event_id"] in ids], refused)

    def reasons(self) -> dict[str, list[str]]:
        return {json.loads(row["row"])["event_id"]: row["reasons"] for row in self.refused}


@pytest.fixture(scope="module")
def events(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Events:
    sources = [[*TYPED, *FAULTY, *COPIES, *NULLS], COPIES[:1]]
    clean = cleaned(spark, tmp_path_factory.mktemp("events"), events=sources)["events"]
    return Events(clean.frame.where("_reasons IS NULL").collect(), clean.refused())


def test_text_becomes_the_types_of_the_contract(events: Events) -> None:
    (row,) = events.of(TYPED).good
    assert {column.name: row[column.name] for column in tables.EVENTS.given} == {
        "event_id": "typed",
        "user_id": "u1",
        "event_type": "view",
        "event_ts": datetime(2024, 5, 1, 10),
        "product_id": "7",
        "activity_id": None,
        "offer_id": None,
        "quantity": 2.0,
        "amount": 3.5,
        "text": None,
    }


def test_a_row_that_breaks_a_rule_is_refused_with_every_reason(events: Events) -> None:
    faulty = events.of(FAULTY)
    assert [row["event_id"] for row in faulty.good] == ["good"]

    def broken(column: str) -> str:
        (condition,) = [c.condition for c in tables.EVENTS.columns if c.name == column]
        return f"{column}: not {condition}"

    assert faulty.reasons() == {
        "uncastable": ["event_ts: not a TIMESTAMP", "quantity: not a DOUBLE"],
        "missing": ["user_id: missing", "event_type: missing"],
        "empty": [broken("user_id")],
        "check": [broken("event_type")],
        "nan": [broken("quantity"), broken("amount")],
        "negative": [broken("quantity"), broken("amount")],
        "infinite": [broken("quantity"), broken("amount")],
        "": [
            "event_ts: not a TIMESTAMP",
            broken("event_id"),
            broken("event_type"),
            broken("amount"),
        ],
    }


def test_a_rule_across_columns_refuses_an_activity_that_ends_before_it_starts(
    spark: SparkSession, tmp_path: Path
) -> None:
    def activity(activity_id: str, start: str, end: str | None) -> dict[str, Any]:
        kept = {"activity_type": "gift", "start_ts": start, "end_ts": end}
        return {"activity_id": activity_id, **kept}

    rows = [
        activity("backwards", "2024-05-02", "2024-05-01"),
        activity("of no length", "2024-05-01", "2024-05-01"),
        activity("without end", "2024-05-01", None),
        activity("of an instant", "2024-05-01 00:00:00", "2024-05-01 00:00:01"),
    ]
    clean = cleaned(spark, tmp_path, activities=[rows])["activities"]
    kept = {row["activity_id"] for row in clean.rows().collect()}
    assert kept == {"without end", "of an instant"}
    assert reasons(clean, "activity_id") == {
        "backwards": ["not start_ts < end_ts"],
        "of no length": ["not start_ts < end_ts"],
    }


def test_exact_copies_are_kept_once_and_counted(events: Events) -> None:
    kept = events.of(COPIES)
    assert {row["event_id"]: row["_copies"] for row in kept.good} == {"copied": 2, "once": 0}
    assert (len(kept.good), kept.refused) == (2, [])


def test_of_differing_rows_with_one_key_the_same_one_stays_in_any_order(
    spark: SparkSession, tmp_path: Path
) -> None:
    rows = [event(f"e{n}", amount=str(amount)) for n in range(8) for amount in (1, 2)]
    kept = []
    for order in (rows, rows[::-1]):
        clean = cleaned(spark, tmp_path, events=[order])["events"]
        stays = {row["event_id"]: row["amount"] for row in clean.rows().collect()}
        refused = clean.refused()
        assert {tuple(row["reasons"]) for row in refused} == {
            ("superseded: another row has the same event_id",)
        }
        goes = {row["event_id"]: row["amount"] for row in (json.loads(r["row"]) for r in refused)}
        assert {key: stays[key] + goes[key] for key in stays} == {f"e{n}": 3 for n in range(8)}
        kept.append(stays)
    assert kept[0] == kept[1]


def test_rows_that_differ_in_where_they_are_null_are_no_copies(events: Events) -> None:
    """Spark's hash skips NULL: (1, NULL) and (NULL, 1) have the same."""
    kept = events.of(NULLS)
    assert [row["_copies"] for row in kept.good] == [0]
    assert kept.reasons() == {"nulls": ["superseded: another row has the same event_id"]}


def test_users_with_equal_attributes_are_copies(spark: SparkSession, tmp_path: Path) -> None:
    north, south = ({"user_id": "u1", "attributes": f'{{"city": "{c}"}}'} for c in "ns")
    clean = cleaned(spark, tmp_path, users=[[north, south, north]])["users"]
    (row,) = clean.rows().collect()
    kept = row["attributes"]["city"]
    refused = clean.refused()
    others = {json.loads(row["row"])["attributes"]["city"] for row in refused}
    assert {kept} | others == {"n", "s"} and kept not in others
    assert clean.copies() + sum(row["_copies"] + 1 for row in refused) == 2


def test_null_is_a_value_of_a_key_column(spark: SparkSession, tmp_path: Path) -> None:
    def covers(offer: str | None) -> dict[str, Any]:
        return {"activity_id": "a1", "offer_id": offer, "product_id": "p1"}

    rows = [covers(None), covers(None), covers("o1")]
    clean = cleaned(spark, tmp_path, activity_products=[rows])["activity_products"]
    assert {row["offer_id"] for row in clean.rows().collect()} == {None, "o1"}
    assert (clean.copies(), len(clean.refused())) == (1, 0)


def test_an_entity_is_put_together_column_by_column_first_source_first(
    spark: SparkSession, tmp_path: Path
) -> None:
    profiles = [
        {"user_id": "u1", "age": "30"},
        {"user_id": "u2", "age": "40", "gender": "f"},
    ]
    panel = [
        {"user_id": "u1", "age": "31", "gender": "m"},
        {"user_id": "u2", "age": "40", "gender": "f"},
        {"user_id": "u4", "gender": "f"},
    ]
    orders = [{"user_id": "u1"}, {"user_id": "u3"}, {"user_id": "u3"}]
    clean = cleaned(spark, tmp_path, users=[profiles, panel, orders])["users"]
    expected = [("u1", 30, "m"), ("u2", 40, "f"), ("u3", None, None), ("u4", None, "f")]
    assertDataFrameEqual(
        clean.rows().select("user_id", "age", "gender"),
        spark.createDataFrame(expected, "user_id STRING, age INT, gender STRING"),
    )
    assert (clean.copies(), len(clean.refused())) == (1, 0)


def test_an_activity_must_be_whole_once_its_sources_are_put_together(
    spark: SparkSession, tmp_path: Path
) -> None:
    calendar = [
        {"activity_id": "whole", "start_ts": "2024-05-01", "end_ts": None},
        {"activity_id": "without type", "start_ts": "2024-05-01", "end_ts": "2024-05-08"},
        {"activity_id": "backwards", "start_ts": "2024-05-01", "end_ts": None},
    ]
    plan = [
        {"activity_id": "whole", "activity_type": "gift", "end_ts": "2024-05-08"},
        {"activity_id": "backwards", "activity_type": "gift", "end_ts": "2024-04-01"},
        {"activity_id": "without start", "activity_type": "gift", "end_ts": "2024-05-08"},
    ]
    clean = cleaned(spark, tmp_path, activities=[calendar, plan])["activities"]
    (row,) = clean.rows().collect()
    assert (row["activity_id"], row["activity_type"]) == ("whole", "gift")
    assert (row["start_ts"], row["end_ts"]) == (datetime(2024, 5, 1), datetime(2024, 5, 8))
    assert reasons(clean, "activity_id") == {
        "without type": ["activity_type: missing"],
        "backwards": ["not start_ts < end_ts"],
        "without start": ["start_ts: missing"],
    }
    assert len(clean.refused()) == 4  # both halves of the backwards one


def test_what_names_an_unknown_activity_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    activities = [
        {"activity_id": "a1", "activity_type": "gift", "start_ts": "2024-05-01"},
        {"activity_id": "refused", "activity_type": "gift", "start_ts": None},
    ]
    sent = [
        {"user_id": "u1", "activity_id": "a1", "exposure_ts": "2024-05-02", "propensity": "0.5"},
        {"user_id": "u2", "activity_id": "a9", "exposure_ts": "2024-05-02", "propensity": "2"},
        {"user_id": "u3", "activity_id": "refused", "exposure_ts": None, "propensity": "1"},
    ]
    covers = [
        {"activity_id": "a1", "product_id": "p1"},
        {"activity_id": "a9", "product_id": "p1"},
    ]
    clean = cleaned(
        spark, tmp_path, activities=[activities], exposures=[sent], activity_products=[covers]
    )
    assert [row["user_id"] for row in clean["exposures"].rows().collect()] == ["u1"]
    assert reasons(clean["exposures"], "user_id") == {
        "u2": ["propensity: not propensity BETWEEN 0 AND 1", "activity_id: not in activities"],
        "u3": ["exposure_ts: missing", "activity_id: not in activities"],
    }
    assert [row["activity_id"] for row in clean["activity_products"].rows().collect()] == ["a1"]
    assert reasons(clean["activity_products"], "activity_id") == {
        "a9": ["activity_id: not in activities"]
    }


def test_an_exposure_without_a_time_was_sent_when_its_activity_started(
    spark: SparkSession, tmp_path: Path
) -> None:
    activities = [
        {"activity_id": "a1", "activity_type": "gift", "start_ts": "2024-05-01 09:30:00.25"}
    ]

    def sent(user: str, at: str | None) -> dict[str, Any]:
        return {"user_id": user, "activity_id": "a1", "exposure_ts": at}

    as_text = [sent("u1", None), sent("u2", "2024-05-02 08:00:00"), sent("u3", "soon")]
    as_time = [sent("u4", None), sent("u5", "2024-05-02 08:00:00")]
    sources = sources_of(tmp_path, activities=[activities], exposures=[as_text, as_time])
    sources["exposures"][1]["columns"]["exposure_ts"] = "timestamp(exposure_ts)"
    clean = judge(spark, sources)["exposures"]
    start, given = datetime(2024, 5, 1, 9, 30, 0, 250_000), datetime(2024, 5, 2, 8)
    assert {row["user_id"]: row["exposure_ts"] for row in clean.rows().collect()} == {
        "u1": start,
        "u2": given,
        "u4": start,
        "u5": given,
    }
    assert reasons(clean, "user_id") == {"u3": ["exposure_ts: not a TIMESTAMP"]}


def test_no_row_is_lost(spark: SparkSession, tmp_path: Path) -> None:
    """Clean rows, copies and refused rows are together the rows of the sources."""
    events = [
        *[event("e1")] * 3,
        event("e1", amount="1"),
        event("e1", amount="-1"),
        event("e1", amount="-1"),
        *[event("", user_id=None)] * 2,
        event("e2"),
    ]
    sent = [
        {"user_id": "u1", "activity_id": activity, "exposure_ts": at}
        for activity in ("a1", "a9", None)
        for at in ("2024-05-01", None, "never")
    ]
    tables = cleaned(spark, tmp_path, events=[events, events[:4]], exposures=[sent])
    for clean, total in ((tables["events"], 13), (tables["exposures"], 9)):
        refused = sum(row["_copies"] + 1 for row in clean.refused())
        assert clean.rows().count() + clean.copies() + refused == total
