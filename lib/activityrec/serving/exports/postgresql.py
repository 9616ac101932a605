"""The current publication in PostgreSQL: readers there see one whole run, at any instant.

Rows go into a staging table by Spark's JDBC writer, in parallel and seen by nobody. One
transaction then puts them in the place of the old ones, and marks the table with a comment that
names the publication. So a process may be killed at any instant: the next one finds by the
comment whether its work is done, and begins anew if not.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import DataFrame

from activityrec.config_export import DatabaseConfig
from activityrec.errors import StateError
from activityrec.serving.exports.database import DRIVER, Database, connect, resolved
from activityrec.serving.exports.dialects import POSTGRESQL
from activityrec.serving.exports.publications import Publication, own_key
from activityrec.tables import Table

log = logging.getLogger("activityrec")

WRITER = {
    "driver": DRIVER,
    "batchsize": "10000",
    # Without it each row is a statement: half the speed.
    "reWriteBatchedInserts": "true",
    # Texts take the type of their column, JSON too.
    "stringtype": "unspecified",
}


@dataclass(frozen=True)
class Place:
    """One table of a target, and its names there."""

    target: str
    table: Table
    config: DatabaseConfig

    @property
    def live(self) -> str:
        return f"{self.config.schema_name}.{self.table.name}"

    @property
    def staging(self) -> str:
        return f"{self.config.schema_name}.{self.table.name}_staging"


def export(place: Place, rows: DataFrame, publication: Publication) -> int | None:
    """Make a table of the database that of a publication; None where it is already.

    Raises
    ------
    ConfigError
        A password is in the configuration, or its environment variable is not set.
    StateError
        Another export is at work on the table, or the database refused; its readers see what
        they saw.
    """
    options = WRITER | resolved(place.target, place.config.options)
    with connect(rows.sparkSession, place.target, options) as database:
        lock = f"SELECT pg_try_advisory_lock(hashtext('activityrec {place.live}'))"
        if not database.value(lock):
            raise StateError(
                f"export target {place.target}: another export is at work on {place.live}; wait "
                "until it has ended"
            )
        mark = f"activityrec: {publication}"
        if database.value(f"SELECT obj_description(to_regclass('{place.live}'))") == mark:
            return None
        count = stage(place, database, rows, options)
        put = swap if place.config.mode == "swap" else upsert
        with database.transaction():
            database.execute(f"SET LOCAL lock_timeout = '{place.config.lock_seconds}s'")
            put(place, database)
            database.execute(f"COMMENT ON TABLE {place.live} IS {_text(mark)}")
            for role in place.config.readers:
                database.execute(f'GRANT SELECT ON {place.live} TO "{role}"')
        return count


def stage(place: Place, database: Database, rows: DataFrame, options: Mapping[str, str]) -> int:
    """Write the rows into a staging table; one that an export left half-written is dropped."""
    columns = POSTGRESQL.columns(place.table)
    database.execute(f"DROP TABLE IF EXISTS {place.staging}")
    # What does not become the table itself needs no log to survive a crash of the server.
    kind = "TABLE" if place.config.mode == "swap" else "UNLOGGED TABLE"
    database.execute(f"CREATE {kind} {place.staging} (\n  {columns}\n)")
    writer = rows.write.format("jdbc").options(**options)
    writer.option("dbtable", place.staging).mode("append").save()
    # A task that Spark tried twice may have written its rows twice: then there is no key.
    database.execute(
        f"ALTER TABLE {place.staging} ADD CONSTRAINT {place.table.name}_staging_key "
        f"PRIMARY KEY ({POSTGRESQL.key(place.table)})"
    )
    database.execute(f"ANALYZE {place.staging}")
    wanted, found = rows.count(), int(database.value(f"SELECT count(*) FROM {place.staging}"))
    if found != wanted:
        raise StateError(
            f"export target {place.target}: {place.staging} has {found:,} rows of {wanted:,}; "
            f"{place.live} is as it was, export again"
        )
    return found


def swap(place: Place, database: Database) -> None:
    """The staging table becomes the table. Views on it stop this: they need ``upsert``."""
    name = place.table.name
    database.execute(f"DROP TABLE IF EXISTS {place.live}")
    database.execute(f"ALTER TABLE {place.staging} RENAME TO {name}")
    old = f"{name}_staging_key"
    database.execute(f"ALTER TABLE {place.live} RENAME CONSTRAINT {old} TO {name}_key")


def upsert(place: Place, database: Database) -> None:
    """Rows of the staging table change those with the same key, or are added; others go."""
    table, columns = place.table, POSTGRESQL.names(place.table.column_names)
    key = POSTGRESQL.key(table)
    database.execute(
        f"CREATE TABLE IF NOT EXISTS {place.live} (\n  {POSTGRESQL.columns(table)},\n"
        f"  CONSTRAINT {table.name}_key PRIMARY KEY ({key})\n)"
    )
    others = [name for name in table.column_names if name not in own_key(table)]
    changes = ", ".join(f'"{name}" = excluded."{name}"' for name in others)
    database.execute(
        f"INSERT INTO {place.live} ({columns}) SELECT {columns} FROM {place.staging} "
        f"ON CONFLICT ({key}) DO UPDATE SET {changes}"
    )
    same = " AND ".join(f't."{name}" = s."{name}"' for name in own_key(table))
    database.execute(
        f"DELETE FROM {place.live} t WHERE NOT EXISTS (SELECT FROM {place.staging} s WHERE {same})"
    )
    database.execute(f"DROP TABLE {place.staging}")


def _text(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"'{escaped}'"
