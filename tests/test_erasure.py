"""Who is forgotten is in no file any more, and stays out; what is held on users can be shown."""

import hashlib
import hmac
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import mlflow
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

import forget
from activityrec import tables
from activityrec.config import AlsConfig, Config, LakehouseConfig
from activityrec.erasure import forget as forget_them
from activityrec.erasure import read_ids
from activityrec.errors import ConfigError, ContractError, PrivacyError
from activityrec.ingest.privacy import Protection
from activityrec.job import Job, open_job, run_stages
from activityrec.lakehouse import Lakehouse
from activityrec.retrieval.methods.als import fit_als
from activityrec.tables import Table
from tests.planted import configuration
from tests.retrieval.boards import known

KEY = "a key for tests, of more than 32 bytes"
GONE, STAYS = "forget-me-7f3a9", "keep-me-b81c2"
DAY, TS = date(2024, 5, 1), datetime(2024, 5, 1, 12, tzinfo=timezone.utc)


def hashed(use: str, value: str) -> str:
    derived = hmac.digest(KEY.encode(), use.encode(), hashlib.sha256)
    return hmac.new(derived, value.encode(), hashlib.sha256).hexdigest()


def names(user: str) -> list[str]:
    """As which a user is stored: by pseudonym, and by id from before there was a key."""
    return [hashed("user_id", user), user]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", KEY)


def job_at(spark: SparkSession, folder: Path, **options: str) -> Job:
    """A fresh job on the lakehouse in a folder, as another process would open it."""
    raw = configuration() | {
        "name": "shop",
        "lakehouse": {"root": str(folder / "lakehouse")},
        "tracking": {"uri": f"sqlite:///{folder}/mlflow.db", "artifacts": str(folder / "mlflow")},
        "privacy": {"key_env": "SHOP_KEY", "columns": {"events.text": {"how": "encrypt"}}},
    }
    return replace(open_job(spark, Config.model_validate(raw), DAY), options=options)


MARKS = {"flags": None, "source": "shop", "source_order": None, "batch_id": "b1"}
ABOUT: dict[Table, dict[str, Any]] = {
    tables.USERS: {"gender": "x", "attributes": {"city": "Bern"}, **MARKS},
    tables.EVENTS: {"event_type": "view", "event_ts": TS, "product_id": "p1", **MARKS},
    tables.EXPOSURES: {"activity_id": "a1", "exposure_ts": TS, **MARKS},
    tables.QUARANTINE: {
        "table_name": "users", "source": "shop", "mapped": False, "reasons": ["age: not an INT"],
        "occurrences": 1, "batch_id": "b1", "loaded_ts": TS,
    },
    tables.USER_DAILY: {
        "event_date": DAY, "event_type": "view", "product_id": "p1", "events": 1,
        "quantity": 0.0, "amount": 0.0, "priced_amount": 0.0,
    },
    tables.USER_VECTORS: {
        "fitted_date": DAY, "retriever": "als", "vector": [1.0, 2.0], "settings": "s1",
    },
    tables.RECOMMENDATIONS: {
        "run_id": "r1", "as_of": DAY, "rank": 1, "activity_id": "a1", "score": 0.5,
        "scores": {"als": 0.5}, "offers": [], "products": [], "propensity": 1.0, "reason_codes": [],
        "reason_text": {}, "model": "m/1",
    },
    tables.AUDIENCES: {
        "run_id": "r1", "as_of": DAY, "activity_id": "a1", "rank": 1, "score": 0.5, "model": "m/1",
    },
    tables.EXCLUSIONS: {
        "run_id": "r1", "as_of": DAY, "activity_id": "a1", "rule": "answered", "rank": 1,
        "score": 0.5, "model": "m/1",
    },
}  # fmt: skip
"""A row of each table, but for the user."""


def frame(spark: SparkSession, table: Table, *rows: dict[str, Any]) -> DataFrame:
    """Rows in one file; columns that are not given are NULL."""
    schema = ", ".join(f"{column.name} {column.type}" for column in table.columns)
    listed = [tuple(row.get(name) for name in table.column_names) for row in rows]
    return spark.createDataFrame(listed, schema).coalesce(1)


def about(table: Table, user: str, **changes: Any) -> dict[str, Any]:
    """A table's row about a user, whose id is in other columns too, as sources have it."""
    row = ABOUT[table] | {"user_id": user} | changes
    if table is tables.EVENTS:
        return row | {"event_id": f"event-{user}", "text": f"I am {user}"}
    if table is tables.QUARANTINE:
        return row | {"row": json.dumps({"user": user, "age": "young"})}
    return row


NEW = {"INT": "7", "DOUBLE": "7", "BIGINT": "7", "ARRAY<FLOAT>": "array(float(7))"}


def fill(
    spark: SparkSession, folder: Path, properties: str | None, contracts: Iterable[Table] = ABOUT
) -> None:
    """Tables in several versions, with both users in their files."""
    lakehouse = job_at(spark, folder).lakehouse
    for table in contracts:
        both = [about(table, name) for user in (GONE, STAYS) for name in names(user)]
        lakehouse.append(table, frame(spark, table, *both[:1]))
        if properties is not None:
            spark.sql(f"ALTER TABLE {lakehouse.identifier(table)} SET TBLPROPERTIES ({properties})")
        lakehouse.replace(table, frame(spark, table, *both))
        if properties is None:
            continue
        kinds = {column.type: column.name for column in table.columns}
        change = next(f"{kinds[kind]} = {new}" for kind, new in NEW.items() if kind in kinds)
        spark.sql(f"UPDATE {lakehouse.identifier(table)} SET {change} WHERE length(user_id) < 20")


DELETION_VECTORS = (
    "'delta.enableDeletionVectors' = 'true', 'delta.enableChangeDataFeed' = 'true', "
    "'delta.checkpointInterval' = '2'"
)


def found(folder: Path, text: str) -> list[str]:
    """The files that hold a text, raw or as a value of a Parquet file."""
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and (
            text.encode() in path.read_bytes()
            or (path.suffix == ".parquet" and text in str(pq.read_table(path).to_pylist()))
        )
    ]


def listed(folder: Path, *users: str) -> str:
    path = folder / "listed.txt"
    path.write_text("\n".join(users), encoding="utf-8")
    return str(path)


def forget_users(spark: SparkSession, folder: Path, *users: str) -> dict[str, int]:
    """Run the job as a script does; what it returns. The list is gone before anyone looks."""
    job = job_at(spark, folder, users=listed(folder, *users))
    result: dict[str, int] = {}

    def stage(job: Job) -> dict[str, int]:
        result.update(forget.run(job))
        return result

    try:
        run_stages(job, [("forget", stage)])
    finally:
        (folder / "listed.txt").unlink()
    return result


@pytest.mark.parametrize(
    "properties, contracts",
    [
        pytest.param(None, list(ABOUT), marks=pytest.mark.slow, id="every table"),
        pytest.param(
            DELETION_VECTORS,
            [tables.USER_DAILY],
            id="deletion vectors, change feed, checkpoints",
        ),
        pytest.param(
            DELETION_VECTORS,
            list(ABOUT),
            marks=pytest.mark.slow,
            id="every table with deletion vectors, change feed, checkpoints",
        ),
    ],
)
def test_who_is_forgotten_is_in_no_file(
    spark: SparkSession, tmp_path: Path, properties: str | None, contracts: list[Table]
) -> None:
    fill(spark, tmp_path, properties, contracts)
    for name in (*names(GONE), *names(STAYS)):
        assert len(found(tmp_path, name)) >= len(contracts)
    assert len(found(tmp_path, names(GONE)[0])) >= 2 * len(contracts), "older versions hold it"
    if properties is not None:
        for leftover in ("deletion_vector_*.bin", "_change_data", "*.checkpoint.parquet"):
            assert len(list(tmp_path.rglob(leftover))) >= len(contracts)

    check = "spark.databricks.delta.retentionDurationCheck.enabled"
    before = spark.conf.get(check, None)
    deleted = forget_users(spark, tmp_path, GONE, "", GONE, "nobody-knows")
    assert deleted == {table.name: 2 for table in contracts}
    assert spark.conf.get(check, None) == before
    for name in names(GONE):
        assert found(tmp_path, name) == []
    for name in names(STAYS):
        holding = {path.split("/")[2] for path in found(tmp_path, name)}
        assert holding == {table.name for table in contracts}

    lakehouse = job_at(spark, tmp_path).lakehouse
    after = [sorted(map(str, lakehouse.read(t).collect())) for t in (*contracts, tables.ERASURES)]
    assert [len(rows) for rows in after] == [2] * len(after)
    for user in (GONE, "nobody-knows"):
        assert hashed("erasure", user) in str(after[-1])
    if properties is None:
        return
    assert forget_users(spark, tmp_path, GONE, "nobody-knows") == dict.fromkeys(deleted, 0)
    lakehouse = job_at(spark, tmp_path).lakehouse
    again = [sorted(map(str, lakehouse.read(t).collect())) for t in (*contracts, tables.ERASURES)]
    assert again == after


@pytest.mark.slow
def test_a_run_that_breaks_off_brings_nobody_back_and_is_finished_by_the_next(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(spark, tmp_path, None, [tables.USERS, tables.EVENTS, tables.EXPOSURES])
    purge = Lakehouse.purge

    def breaks(self: Lakehouse, table: Table) -> None:
        if table is tables.EVENTS:
            raise KeyboardInterrupt
        purge(self, table)

    with monkeypatch.context() as patch:
        patch.setattr(Lakehouse, "purge", breaks)
        with pytest.raises(KeyboardInterrupt):
            forget_users(spark, tmp_path, GONE)
    lakehouse = job_at(spark, tmp_path).lakehouse
    assert lakehouse.read(tables.ERASURES).count() == 1
    assert lakehouse.read(tables.EVENTS).count() == 2
    assert lakehouse.read(tables.EXPOSURES).count() == 4
    assert any("/events/" in path for path in found(tmp_path, GONE))
    deleted = forget_users(spark, tmp_path, GONE)
    assert (deleted["events"], deleted["exposures"]) == (0, 2)
    assert found(tmp_path, GONE) == []


@pytest.mark.slow
def test_a_catalog_is_cleaned_as_paths_are(spark: SparkSession, tmp_path: Path) -> None:
    job = job_at(spark, tmp_path)
    place = LakehouseConfig(catalog="spark_catalog")
    lakehouse = Lakehouse(spark, job.config.model_copy(update={"lakehouse": place}))
    protection = Protection.open(spark, job.config)
    assert protection is not None
    both = [about(tables.EXPOSURES, name) for user in (GONE, STAYS) for name in names(user)]
    try:
        lakehouse.append(tables.EXPOSURES, frame(spark, tables.EXPOSURES, *both))
        assert forget_them(lakehouse, protection, [tables.EXPOSURES], [GONE], TS) == {
            "exposures": 2
        }
        times = spark.table("spark_catalog.clean.erasures").selectExpr("string(erased_ts)")
        assert [row[0] for row in times.collect()] == ["2024-05-01 12:00:00"]
        where = spark.sql("DESCRIBE DETAIL spark_catalog.clean.exposures").first()
        assert where is not None
        folder = Path(where["location"].removeprefix("file:"))
        assert found(folder, names(STAYS)[0])
        assert [found(folder, name) for name in names(GONE)] == [[], []]
    finally:
        spark.sql("DROP SCHEMA IF EXISTS spark_catalog.clean CASCADE")


def test_models_hold_nobody(spark: SparkSession, tmp_path: Path) -> None:
    """And so there is nothing in MLflow's store to be erased."""
    bought = [(user, "product", f"p{p}", 1.0) for user in (GONE, STAYS) for p in range(3)]
    fit = fit_als(known(spark, bought), AlsConfig(rank=2, max_iter=1, blocks=1))
    assert fit.model is not None
    address = mlflow.get_tracking_uri()
    tracking = job_at(spark, tmp_path).tracking
    with tracking.run("shop als", DAY, AlsConfig().model_dump(), {"clean.events": 1}):
        tracking.register("als", fit.model, DAY)
    mlflow.set_tracking_uri(address)
    assert found(tmp_path, "shop als")
    assert any("itemFactors" in path for path in map(str, tmp_path.rglob("*.parquet")))
    assert found(tmp_path, GONE) == []


def refused(user: str | None, row: str | None) -> dict[str, Any]:
    return ABOUT[tables.QUARANTINE] | {"user_id": user, "row": row}


def test_refused_rows_go_where_the_user_is_a_value_in_them(
    spark: SparkSession, tmp_path: Path
) -> None:
    user, other = 'o\'brien "the 1st"', 'o\'brien "the 1st" junior'
    pseudonym = names(user)[0]
    nested = json.dumps({"_corrupt": json.dumps({"user": user})[:-1]})
    gone = [
        refused(None, json.dumps({"user": user})),
        refused(None, nested),
        refused(None, json.dumps({"user": pseudonym})),
        refused(user, json.dumps({"user": user})),
        refused(pseudonym, None),
    ]
    kept = [
        refused(None, None),
        refused(None, json.dumps({"user": other})),
        refused(other, json.dumps({"text": f"I know {pseudonym}"})),
    ]
    lakehouse = job_at(spark, tmp_path).lakehouse
    lakehouse.append(tables.QUARANTINE, frame(spark, tables.QUARANTINE, *gone, *kept))
    assert forget_users(spark, tmp_path, user) == {"quarantine": len(gone)}
    left = job_at(spark, tmp_path).lakehouse.read(tables.QUARANTINE).collect()
    assert sorted(str(row["row"]) for row in left) == sorted(str(row["row"]) for row in kept)


def test_a_table_whose_log_may_hold_ids_is_refused(spark: SparkSession, tmp_path: Path) -> None:
    lakehouse = job_at(spark, tmp_path).lakehouse
    lakehouse.append(
        tables.EXPOSURES, frame(spark, tables.EXPOSURES, about(tables.EXPOSURES, GONE))
    )
    spark.sql(
        f"ALTER TABLE {lakehouse.identifier(tables.EXPOSURES)} "
        "SET TBLPROPERTIES ('delta.dataSkippingStatsColumns' = 'user_id,exposure_ts')"
    )
    with pytest.raises(ContractError, match="StatsColumns is user_id,exposure_ts, should be"):
        forget_users(spark, tmp_path, GONE)
    again = job_at(spark, tmp_path).lakehouse
    assert not again.exists(tables.ERASURES)
    assert spark.read.table(again.identifier(tables.EXPOSURES)).count() == 1


def test_what_is_held_on_a_user_is_written_out_and_stays(
    spark: SparkSession, tmp_path: Path
) -> None:
    job = job_at(spark, tmp_path, export=str(tmp_path / "answer"), users=listed(tmp_path, GONE))
    protection = Protection.open(spark, job.config)
    assert protection is not None
    events = frame(spark, tables.EVENTS, *(about(tables.EVENTS, user) for user in (GONE, STAYS)))
    job.lakehouse.append(tables.EVENTS, protection.apply(tables.EVENTS, events))
    for table in (tables.USERS, tables.QUARANTINE):
        both = [about(table, name) for user in (GONE, STAYS) for name in names(user)]
        job.lakehouse.append(table, frame(spark, table, *both))
    job = replace(job_at(spark, tmp_path), options=job.options)
    assert forget.run(job) == {"users": 2, "events": 1, "quarantine": 2}

    def written(table: str) -> list[dict[str, Any]]:
        files = (tmp_path / "answer" / table).glob("*.json")
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    (event,) = written("clean.events")
    assert (event["user_id"], event["text"]) == (GONE, f"I am {GONE}")
    assert {row["user_id"] for row in written("clean.users")} == {GONE}
    assert {json.loads(row["row"])["user"] for row in written("clean.quarantine")} == {*names(GONE)}
    assert job_at(spark, tmp_path).lakehouse.read(tables.USERS).count() == 4
    with pytest.raises(ConfigError, match="--export .*answer: not an empty folder"):
        forget.run(job)


def test_the_list_of_users(tmp_path: Path) -> None:
    path = tmp_path / "users.txt"
    path.write_bytes("\ufeffanna\r\n\r\n  刘洋 \nanna\nu 1".encode())
    assert read_ids(str(path)) == ["anna", "刘洋", "u 1"]


@pytest.mark.parametrize(
    "content, words",
    [
        (None, "cannot read the file: No such file or directory"),
        (b"\n \n", "no user id in it"),
        (b"\xff\xfe1", "cannot read the file: not UTF-8 text"),
    ],
)
def test_a_list_without_users_is_an_error(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "users.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_ids(str(path))
    assert str(caught.value) == f"--users {path}: {words}" + (
        ", expected one a line" if content == b"\n \n" else ""
    )


@pytest.mark.parametrize("content", [None, b"", b"\n \n", "\ufeff\n".encode()])
def test_a_schedule_may_find_nobody_to_forget(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "users.txt"
    if content is not None:
        path.write_bytes(content)
    nothing: Any = None
    job = Job(nothing, nothing, nothing, nothing, date(2024, 5, 1), "run", datetime(2024, 5, 1),
              {"users": str(path)}, frozenset({"if-any"}))  # fmt: skip
    assert forget.run(job) == {}
    path.write_bytes(b"anna\n")
    with pytest.raises(AttributeError):  # it goes on, and there is no configuration
        forget.run(job)


def no_privacy(job: Job) -> Job:
    return replace(job, config=job.config.model_copy(update={"privacy": None}))


@pytest.mark.parametrize(
    "change, error, words",
    [
        (no_privacy, PrivacyError, "give privacy.key_env or privacy.key_secret"),
        (lambda job: replace(job, options={}), ConfigError, "--users FILE is missing"),
    ],
)
def test_forget_needs_users_and_a_key(
    spark: SparkSession,
    tmp_path: Path,
    change: Callable[[Job], Job],
    error: type[Exception],
    words: str,
) -> None:
    job = job_at(spark, tmp_path, users=listed(tmp_path, GONE))
    with pytest.raises(error, match=words):
        forget.run(change(job))
