"""The current publication for Snowflake, BigQuery and Redshift: Parquet files, and the SQL.

The project has no driver of these. It writes the files where the warehouse reads them, and
beside them ``load.sql``, which the warehouse's own client runs: all or nothing.
"""

from collections.abc import Sequence

from pyspark.sql import DataFrame

from activityrec.config_export import WarehouseConfig
from activityrec.files import Files
from activityrec.serving.exports.dialects import BIGQUERY, REDSHIFT, SNOWFLAKE, Dialect
from activityrec.serving.exports.publications import TABLES, Publication, own_key
from activityrec.tables import Table

SCRIPT = "load.sql"
DIALECTS = {"snowflake": SNOWFLAKE, "bigquery": BIGQUERY, "redshift": REDSHIFT}


def export(
    files: Files, config: WarehouseConfig, table: Table, rows: DataFrame, publication: Publication
) -> int | None:
    """Write the files of a table; those of the last one bring the SQL, by which it is done.

    Returns
    -------
    int or None
        Rows written; None where the publication has its SQL already.
    """
    name = f"{publication.published_ts:%Y%m%dT%H%M%S%f}"
    folder = f"{config.path or config.location}/{name}"
    if files.exists(f"{folder}/{SCRIPT}"):
        return None
    rows.write.mode("overwrite").parquet(f"{folder}/{table.name}")
    count = rows.sparkSession.read.parquet(f"{folder}/{table.name}").count()
    if table.name == config.tables[-1]:
        every = [TABLES[name] for name in config.tables]
        script = load_script(config, every, f"{config.location.rstrip('/')}/{name}")
        header = f"-- {publication}\n"
        files.replace_text(f"{folder}/{SCRIPT}", header + script)
    return count


def load_script(config: WarehouseConfig, tables: Sequence[Table], folder: str) -> str:
    """The SQL that loads the files of a publication, and changes all tables at once.

    Parameters
    ----------
    folder
        Where the files are: ``<folder>/<table>/*.parquet``.
    """
    statements = [made for table in tables for made in _staging(config, table, folder)]
    statements += ["BEGIN TRANSACTION" if config.kind == "bigquery" else "BEGIN"]
    statements += [made for table in tables for made in _put(config, table)]
    statements += ["COMMIT TRANSACTION" if config.kind == "bigquery" else "COMMIT"]
    statements += [f"DROP TABLE {_staging_name(config, table)}" for table in tables]
    return ";\n\n".join(statements) + ";\n"


def _name(config: WarehouseConfig, name: str) -> str:
    return ".".join(map(DIALECTS[config.kind].name, [*config.schema_name.split("."), name]))


def _staging_name(config: WarehouseConfig, table: Table) -> str:
    return _name(config, f"{table.name}_staging")


def _staging(config: WarehouseConfig, table: Table, folder: str) -> list[str]:
    """Tables, created where they are missing, and the files in a staging table."""
    dialect, staging = DIALECTS[config.kind], _staging_name(config, table)
    columns = dialect.columns(table)
    return [
        f"CREATE TABLE IF NOT EXISTS {_name(config, table.name)} (\n  {columns}\n)",
        f"DROP TABLE IF EXISTS {staging}",
        f"CREATE TABLE {staging} (\n  {columns}\n)",
        _copy(config, staging, f"{folder}/{table.name}"),
    ]


def _copy(config: WarehouseConfig, staging: str, folder: str) -> str:
    if config.kind == "snowflake":
        # The stage stands for the location; a path below it names the publication.
        below = folder.removeprefix(config.location.rstrip("/"))
        return (
            f"COPY INTO {staging} FROM '@{config.access}{below}/' FILE_FORMAT = (TYPE = PARQUET "
            "USE_LOGICAL_TYPE = TRUE) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE "
            "PATTERN = '.*[.]parquet'"
        )
    if config.kind == "bigquery":
        return (
            f"LOAD DATA INTO {staging} FROM FILES "
            f"(format = 'PARQUET', uris = ['{folder}/*.parquet'])"
        )
    return f"COPY {staging} FROM '{folder}/part-' IAM_ROLE '{config.access}' FORMAT AS PARQUET"


def _put(config: WarehouseConfig, table: Table) -> list[str]:
    """From the staging table to readers. DDL would end a transaction in two of the three."""
    live, staging = _name(config, table.name), _staging_name(config, table)
    dialect = DIALECTS[config.kind]
    columns = dialect.names(table.column_names)
    if config.mode == "replace":
        # TRUNCATE commits at once in Redshift.
        return [
            f"DELETE FROM {live} WHERE TRUE",
            f"INSERT INTO {live} ({columns}) SELECT {columns} FROM {staging}",
        ]
    return [_merge(dialect, table, live, staging), _delete(dialect, table, live, staging)]


def _merge(dialect: Dialect, table: Table, live: str, staging: str) -> str:
    columns = dialect.names(table.column_names)
    values = ", ".join(f"s.{dialect.name(name)}" for name in table.column_names)
    others = [name for name in table.column_names if name not in own_key(table)]
    changes = ", ".join(f"{dialect.name(name)} = s.{dialect.name(name)}" for name in others)
    return (
        f"MERGE INTO {live} USING {staging} AS s ON {_same(dialect, table)}\n"
        f"WHEN MATCHED THEN UPDATE SET {changes}\n"
        f"WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({values})"
    )


def _delete(dialect: Dialect, table: Table, live: str, staging: str) -> str:
    """What the publication lacks."""
    found = f"SELECT 1 FROM {staging} AS s WHERE {_same(dialect, table)}"
    return f"DELETE FROM {live} WHERE NOT EXISTS ({found})"


def _same(dialect: Dialect, table: Table) -> str:
    """The table and ``s`` have the same key. Redshift takes no alias of what it changes."""
    own = dialect.name(table.name)
    names = map(dialect.name, own_key(table))
    return " AND ".join(f"{own}.{name} = s.{name}" for name in names)
