"""A metastore in a PostgreSQL of the tests, as conf/spark/metastore.conf.example has it."""

from pathlib import Path

from tests.conftest import ROOT
from tests.postgres import Sql

PASSWORD = {"METASTORE_PASSWORD": "secret"}
"""What the environment of a process must have."""


def metastore_properties(folder: Path, address: str, sql: Sql) -> str:
    """Make the database; Spark's properties for it, with tables in ``folder``/warehouse."""
    sql(f"CREATE ROLE metastore LOGIN PASSWORD '{PASSWORD['METASTORE_PASSWORD']}'")
    sql("CREATE DATABASE metastore OWNER metastore")
    # The server of the tests asks nobody for a password; this role is asked.
    rules = "('host all metastore 127.0.0.1/32 scram-sha-256'), ('host all all 127.0.0.1/32 trust')"
    sql(
        "DO $$ BEGIN EXECUTE format('COPY (VALUES %s) TO %L', "
        f"$rules${rules}$rules$, current_setting('hba_file')); END $$"
    )
    sql("SELECT pg_reload_conf()")
    example = (ROOT / "conf/spark/metastore.conf.example").read_text(encoding="utf-8")
    jar = next((ROOT / ".jars/test").glob("postgresql-*.jar"))
    place = address.removeprefix("jdbc:postgresql://").partition("/")[0]
    for given, here in {
        "/srv/warehouse": str(folder / "warehouse"),
        "127.0.0.1:5432": place,
        "/srv/jars/postgresql-42.7.8.jar": str(jar),
    }.items():
        assert example.count(given) == 1
        example = example.replace(given, here)
    return example


def goes_down(sql: Sql) -> None:
    """No connection is let in any more, and those that are open end."""
    sql("ALTER DATABASE metastore ALLOW_CONNECTIONS false")
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'metastore'")


def comes_up(sql: Sql) -> None:
    sql("ALTER DATABASE metastore ALLOW_CONNECTIONS true")
