"""How databases name types, and the statements that more than one of them needs."""

from dataclasses import dataclass

from activityrec.serving.exports.publications import is_nested, own_key
from activityrec.tables import Table


@dataclass(frozen=True)
class Dialect:
    """The names of types in one database; lists, maps and structs come as JSON text."""

    types: dict[str, str]
    nested: str
    quote: str = '"'

    def name(self, name: str) -> str:
        return f"{self.quote}{name}{self.quote}"

    def columns(self, table: Table) -> str:
        """The columns of a contract as CREATE TABLE takes them."""
        lines = []
        for column in table.columns:
            kind = self.nested if is_nested(column) else self.types[column.type]
            required = " NOT NULL" if column.required else ""
            lines.append(f"{self.name(column.name)} {kind}{required}")
        return ",\n  ".join(lines)

    def names(self, columns: list[str] | tuple[str, ...]) -> str:
        return ", ".join(map(self.name, columns))

    def key(self, table: Table) -> str:
        """The columns that identify a row in an exported table."""
        return self.names(own_key(table))


POSTGRESQL = Dialect(
    {
        "STRING": "TEXT",
        "INT": "INTEGER",
        "BIGINT": "BIGINT",
        "DOUBLE": "DOUBLE PRECISION",
        "BOOLEAN": "BOOLEAN",
        "DATE": "DATE",
        "TIMESTAMP": "TIMESTAMPTZ",
    },
    nested="JSONB",
)

_COMMON = {"INT": "INTEGER", "BIGINT": "BIGINT", "BOOLEAN": "BOOLEAN", "DATE": "DATE"}
SNOWFLAKE = Dialect(
    _COMMON | {"STRING": "VARCHAR", "DOUBLE": "DOUBLE", "TIMESTAMP": "TIMESTAMP_TZ"},
    nested="VARCHAR",
    # Quoted, names would be in lower case, and every query would have to quote them.
    quote="",
)
REDSHIFT = Dialect(
    _COMMON | {"STRING": "VARCHAR(1024)", "DOUBLE": "DOUBLE PRECISION", "TIMESTAMP": "TIMESTAMPTZ"},
    nested="VARCHAR(65535)",
)
BIGQUERY = Dialect(
    {
        "STRING": "STRING",
        "INT": "INT64",
        "BIGINT": "INT64",
        "DOUBLE": "FLOAT64",
        "BOOLEAN": "BOOL",
        "DATE": "DATE",
        "TIMESTAMP": "TIMESTAMP",
    },
    nested="STRING",
    quote="`",
)
