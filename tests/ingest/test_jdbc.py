"""A table of a real PostgreSQL as a source, followed by a watermark column."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from activityrec import tables
from activityrec.errors import SourceError
from activityrec.ingest import write
from tests.ingest.test_load import Shop, crashing
from tests.postgres import Sql, postgres_server

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, Sql]]:
    """The JDBC address of a server of its own, on loopback, and what runs SQL on it."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def orders(spark: SparkSession, tmp_path: Path, server: tuple[str, Sql]) -> tuple[Shop, Sql]:
    """A shop whose events are the table ``orders``."""
    address, sql = server
    sql(
        "DROP TABLE IF EXISTS orders; CREATE TABLE orders (id TEXT PRIMARY KEY, customer INT, "
        "at TIMESTAMPTZ, paid NUMERIC(10, 2), changed_at TIMESTAMP)"
    )
    shop = Shop(spark, tmp_path)
    shop.events = {
        "name": "orders",
        "format": "jdbc",
        "load": "upsert",
        "watermark": "changed_at",
        "order_by": "changed_at",
        "options": {"url": address, "dbtable": "orders", "password": "${SHOP_PASSWORD}",
                    "driver": "org.postgresql.Driver"},
        "columns": {"event_id": "id", "user_id": "customer", "event_type": "'buy'",
                    "event_ts": "at", "amount": "paid"},
    }  # fmt: skip
    return shop, sql


def insert(sql: Sql, name: str, paid: float, changed: str) -> None:
    sql(
        f"INSERT INTO orders VALUES ('{name}', 7, '2024-05-01 12:00:00+02', {paid}, '{changed}') "
        f"ON CONFLICT (id) DO UPDATE SET paid = {paid}, changed_at = '{changed}'"
    )


def test_new_and_changed_rows_come_by_the_watermark(
    orders: tuple[Shop, Sql], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, sql = orders
    with pytest.raises(SourceError, match="environment variable SHOP_PASSWORD is not set"):
        shop.load()
    monkeypatch.setenv("SHOP_PASSWORD", "anything")
    insert(sql, "a", 1, "2024-05-01 10:00:00")
    insert(sql, "b", 1, "2024-05-01 11:00:00")
    assert shop.load() == 2
    insert(sql, "a", 2, "2024-05-01 12:00:00.123456")
    insert(sql, "c", 1, "2024-05-01 11:00:00")  # committed late, at the old boundary
    assert shop.load() == 2
    assert shop.load() == 0
    assert shop.amounts() == {"a": 2.0, "b": 1.0, "c": 1.0}
    assert [b["watermark"] for b in shop.batches()][:2] == [
        "2024-05-01 11:00:00",
        "2024-05-01 12:00:00.123456",
    ]
    assert shop.batches()[1]["rows"] == 3, "the boundary is read again, the rest is not"


def test_a_crash_before_the_commit_loads_the_same_range_again(
    orders: tuple[Shop, Sql], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, sql = orders
    shop.events["options"]["dbtable"] = "(SELECT * FROM orders WHERE paid > 0) o"
    monkeypatch.setenv("SHOP_PASSWORD", "anything")
    insert(sql, "a", 1, "2024-05-01 10:00:00")
    shop.load()
    insert(sql, "a", 2, "2024-05-01 11:00:00")
    insert(sql, "b", 2, "2024-05-01 11:00:00")
    with monkeypatch.context() as patch:
        patch.setattr(write, "write_refused", crashing(write.write_refused))
        with pytest.raises(RuntimeError, match="crashed here"):
            shop.load()
    insert(sql, "c", 3, "2024-05-01 12:00:00")
    shop.load()
    shop.load()
    assert shop.amounts() == {"a": 2.0, "b": 2.0, "c": 3.0}
    assert len(shop.quarantine()) == 1
    assert shop.ingestion().lakehouse.read(tables.BATCHES).count() >= 3


def test_a_server_that_is_down_at_the_start_is_named(
    orders: tuple[Shop, Sql], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, sql = orders
    monkeypatch.setenv("SHOP_PASSWORD", "anything")
    insert(sql, "a", 1, "2024-05-01 10:00:00")
    shop.load()
    insert(sql, "b", 2, "2024-05-01 11:00:00")
    options = shop.events["options"]
    # The discard port: nothing listens there.
    shop.events["options"] = options | {"url": "jdbc:postgresql://127.0.0.1:9/shop"}
    with pytest.raises(SourceError, match="source orders: cannot read it: .*connect to the data"):
        shop.load()
    assert shop.amounts() == {"a": 1.0}
    assert len(shop.batches()) == 1
    shop.events["options"] = options
    assert shop.load() == 1
    assert shop.amounts() == {"a": 1.0, "b": 2.0}


def test_a_server_that_goes_down_while_rows_are_read_leaves_the_table_as_it_was(
    orders: tuple[Shop, Sql], monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, sql = orders
    monkeypatch.setenv("SHOP_PASSWORD", "anything")
    shop.events["options"]["dbtable"] = "current_orders"
    sql("CREATE OR REPLACE VIEW current_orders AS SELECT * FROM orders")
    insert(sql, "a", 1, "2024-05-01 10:00:00")
    shop.load()
    insert(sql, "a", 2, "2024-05-01 11:00:00")
    insert(sql, "b", 2, "2024-05-01 11:00:00")
    # As a shutdown does: the connection ends where the second row would come.
    sql(
        "CREATE OR REPLACE VIEW current_orders AS SELECT * FROM orders "
        "WHERE id <> 'b' OR NOT pg_terminate_backend(pg_backend_pid())"
    )
    with pytest.raises(Exception, match="terminating connection"):
        shop.load()
    assert shop.amounts() == {"a": 1.0}
    assert len(shop.batches()) == 1
    sql("CREATE OR REPLACE VIEW current_orders AS SELECT * FROM orders")
    assert shop.load() == 2
    assert shop.amounts() == {"a": 2.0, "b": 2.0}
    sql("DROP VIEW current_orders")
