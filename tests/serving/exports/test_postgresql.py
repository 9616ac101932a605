"""Publications in a real PostgreSQL, and what its readers see meanwhile."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

import export
from activityrec import tables
from activityrec.errors import ConfigError, StateError
from activityrec.job import Job, open_job
from activityrec.lakehouse import Lakehouse
from activityrec.serving.exports import postgresql
from activityrec.serving.exports.database import connect, resolved
from tests.postgres import Sql, postgres_server
from tests.serving.published import DAY, at, config_at, lakehouse_at, make_current, make_run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Sql]]:
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["swap", "upsert"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class Shop:
    """A lakehouse, and a database that its publications are exported to."""

    def __init__(self, spark: SparkSession, root: Path, address: str, sql: Sql, mode: str) -> None:
        self.spark, self.root, self.sql = spark, root, sql
        self.lakehouse = lakehouse_at(spark, root)
        self.options = {"url": address, "password": "${EXPORT_PASSWORD}"}
        self.database = {"options": self.options, "mode": mode, "schema_name": mode}
        sql(f"DROP SCHEMA IF EXISTS {mode} CASCADE; CREATE SCHEMA {mode}")

    def job(self) -> Job:
        config = config_at(self.root, export={"databases": {"crm": self.database}})
        return open_job(self.spark, config, DAY)

    def publish(self, run: str, lists: dict[str, str], hour: int) -> None:
        make_run(self.lakehouse, run, lists)
        make_current(self.lakehouse, run, at(hour))

    def ask(self, query: str) -> Any:
        with connect(self.spark, "crm", resolved("crm", self.options)) as database:
            return database.value(query.format(self.database["schema_name"]))

    def runs(self) -> str:
        return str(self.ask("SELECT string_agg(DISTINCT run_id, ',') FROM {}.recommendations"))


@pytest.fixture
def shop(
    spark: SparkSession, tmp_path: Path, server: tuple[str, Sql], mode: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Shop:  # fmt: skip
    monkeypatch.setenv("EXPORT_PASSWORD", "anything")
    return Shop(spark, tmp_path, *server, mode)


def test_the_database_has_the_current_publication_once(shop: Shop) -> None:
    shop.publish("first", {"u1": "ab", "u2": "a"}, 10)
    written = {"crm recommendations": 3, "crm audiences": 3}
    assert export.run(shop.job()) == written
    assert export.run(shop.job()) == {}
    shop.publish("second", {"u1": "ba", "u3": "c"}, 11)
    assert export.run(shop.job()) == written
    listed = (
        "string_agg(concat_ws(' ', run_id, user_id, activity_id, rank), ',' ORDER BY user_id, rank)"
    )
    assert shop.ask(f"SELECT {listed} FROM {{}}.recommendations") == (
        "second u1 b 1,second u1 a 2,second u3 c 1"
    )
    types = "SELECT string_agg(DISTINCT jsonb_typeof(offers), '') FROM {}.recommendations"
    assert shop.ask(types) == "array"
    assert shop.ask("SELECT obj_description('{}.audiences'::regclass)") == (
        "activityrec: run second, published 2024-05-01 11:00:00.000000 UTC"
    )
    assert shop.ask("SELECT count(*) FROM pg_tables WHERE schemaname = '{}'") == 2
    exports = Lakehouse(shop.spark, shop.job().config).read(tables.EXPORTS).collect()
    assert sorted((row["table_name"], row["run_id"], row["rows"]) for row in exports) == [
        ("audiences", "first", 3), ("audiences", "second", 3),
        ("recommendations", "first", 3), ("recommendations", "second", 3),
    ]  # fmt: skip


def test_a_crash_before_the_last_step_leaves_the_old_rows(
    shop: Shop, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.publish("first", {"u1": "ab"}, 10)
    export.run(shop.job())
    shop.publish("second", {"u1": "ab"}, 11)

    def crash(place: postgresql.Place, database: object) -> None:
        put(place, database)
        raise KeyboardInterrupt

    put = getattr(postgresql, mode)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(postgresql, mode, crash)
        export.run(shop.job())
    assert shop.runs() == "first"
    # As a process leaves it that is killed while it writes.
    shop.sql(f"DELETE FROM {mode}.recommendations_staging WHERE rank = 1")
    assert export.run(shop.job()) == {"crm recommendations": 2, "crm audiences": 2}
    assert shop.runs() == "second"


def test_a_database_that_is_down_at_the_start_is_named(shop: Shop) -> None:
    shop.publish("first", {"u1": "ab"}, 10)
    export.run(shop.job())
    shop.publish("second", {"u1": "ab"}, 11)
    up = shop.options["url"]
    # The discard port: nothing listens there.
    shop.options["url"] = "jdbc:postgresql://127.0.0.1:9/shop"
    with pytest.raises(StateError, match=r"crm.*127\.0\.0\.1:9 refused"):
        export.run(shop.job())
    shop.options["url"] = up
    assert shop.runs() == "first"
    assert export.run(shop.job()) == {"crm recommendations": 2, "crm audiences": 2}
    assert shop.runs() == "second"


@pytest.mark.parametrize("step", ["stage", "last"])
def test_a_database_that_goes_down_in_the_middle_keeps_the_old_rows(
    shop: Shop, mode: str, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.publish("first", {"u1": "ab"}, 10)
    export.run(shop.job())
    shop.publish("second", {"u1": "ab"}, 11)
    name = "stage" if step == "stage" else mode
    whole = getattr(postgresql, name)

    def cut(*given: Any) -> Any:
        if step == "last":
            whole(*given)
        # As a shutdown does; what comes next finds no connection.
        shop.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return whole(*given) if step == "stage" else None

    with monkeypatch.context() as patch, pytest.raises(StateError, match="crm.*terminating"):
        patch.setattr(postgresql, name, cut)
        export.run(shop.job())
    assert shop.runs() == "first"
    assert export.run(shop.job()) == {"crm recommendations": 2, "crm audiences": 2}
    assert shop.runs() == "second"


def test_readers_see_whole_runs_alone(shop: Shop) -> None:
    sizes = {"run0": 900, "run1": 500, "run2": 700}
    everyone = [f"u{number}" for number in range(900)]
    shop.publish("run0", dict.fromkeys(everyone, "a"), 10)
    export.run(shop.job())
    seen: list[str] = []
    done = threading.Event()

    def read() -> None:
        with connect(shop.spark, "crm", resolved("crm", shop.options)) as database:
            query = "SELECT string_agg(run_id || ' ' || n, ',') FROM (SELECT run_id, count(*) AS n"
            while not done.is_set():
                name = f"{shop.database['schema_name']}.recommendations"
                seen.append(str(database.value(f"{query} FROM {name} GROUP BY run_id) t")))

    reader = threading.Thread(target=read)
    reader.start()
    for hour, run in enumerate(["run1", "run2"], start=11):
        shop.publish(run, dict.fromkeys(everyone[: sizes[run]], "a"), hour)
        export.run(shop.job())
    done.set()
    reader.join()
    assert seen[0] == "run0 900"
    assert set(seen) <= {f"{run} {size}" for run, size in sizes.items()}
    assert shop.ask("SELECT count(*) FROM {}.recommendations") == 700


def test_refusals_say_why(shop: Shop, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StateError, match="serving.publications is empty: run publish first"):
        export.run(shop.job())
    shop.publish("first", {"u1": "ab"}, 10)
    with connect(shop.spark, "crm", resolved("crm", shop.options)) as other:
        other.value(f"SELECT pg_advisory_lock(hashtext('activityrec {mode}.recommendations'))")
        with pytest.raises(StateError, match="another export is at work on .*recommendations"):
            export.run(shop.job())
    shop.database["readers"] = ["nobody"]
    with pytest.raises(StateError, match='export target crm: .*role "nobody" does not exist'):
        export.run(shop.job())
    assert shop.ask("SELECT to_regclass('{}.recommendations')::text") is None
    monkeypatch.delenv("EXPORT_PASSWORD")
    with pytest.raises(ConfigError, match="environment variable EXPORT_PASSWORD is not set"):
        export.run(shop.job())
    shop.options["password"] = "secret"
    with pytest.raises(ConfigError, match="target crm: a password is in the configuration") as told:
        export.run(shop.job())
    assert "secret" not in str(told.value)
