"""The DDL of a contract, and how an existing table differs from it."""

from collections.abc import Mapping

from pyspark.sql.types import DataType, StructType

from activityrec.tables import Table

OWNER = "activityrec.configuration"
GENERATION = "activityrec.generation"
"""Properties that mark a table: whose it is, and which making of it."""
_CONTRACT = ("delta.constraints.", "delta.dataSkipping")
"""Beginnings of the Delta properties that a contract decides on. Others are the operator's, who
may record changes where the contract does not, but not stop what it asks for."""


def create_statement(table: Table, identifier: str, marks: Mapping[str, str]) -> str:
    """The CREATE TABLE that a contract stands for, with ``marks`` among its properties."""
    lines = [
        f"`{column.name}` {column.type}{' NOT NULL' if column.required else ''} "
        f"COMMENT {quoted(column.comment)}"
        for column in table.columns
    ]
    clustering = f"CLUSTER BY ({', '.join(table.cluster_by)})\n" if table.cluster_by else ""
    given = properties_of(table, marks)
    listed = ",\n  ".join(f"{quoted(key)} = {quoted(value)}" for key, value in given.items())
    return (
        f"CREATE TABLE {identifier} (\n  " + ",\n  ".join(lines) + "\n) USING delta\n"
        f"COMMENT {quoted(table.comment)}\n{clustering}TBLPROPERTIES (\n  {listed}\n)"
    )


def properties_of(table: Table, marks: Mapping[str, str]) -> dict[str, str]:
    """The properties of a table that is created with ``marks``."""
    return {**marks, **_properties(table)}


def differences(table: Table, schema: StructType, properties: Mapping[str, str]) -> list[str]:
    """What an existing table has otherwise than its contract, in words; types, rules, statistics.

    Parameters
    ----------
    schema, properties
        Of the existing table.
    """
    found = {field.name: _type(field.dataType, not field.nullable) for field in schema.fields}
    wanted = {c.name: _type(DataType.fromDDL(c.type), c.required) for c in table.columns}
    wanted |= _properties(table)
    found |= {
        key: value
        for key, value in properties.items()
        if key.startswith(_CONTRACT) or key in wanted
    }
    return [
        f"{name} is {found.get(name, 'missing')}, should be {wanted.get(name, 'absent')}"
        for name in [*wanted, *sorted(set(found) - set(wanted))]
        if found.get(name) != wanted.get(name)
    ]


def _properties(table: Table) -> dict[str, str]:
    """The Delta properties of a contract: columns with statistics, CHECK constraints."""
    skipping = ",".join(column.name for column in table.columns if column.stats)
    statistics = (
        {"delta.dataSkippingStatsColumns": skipping}
        if skipping
        else {"delta.dataSkippingNumIndexedCols": "0"}
    )
    feed = {"delta.enableChangeDataFeed": "true"} if table.change_feed else {}
    return (
        statistics | feed | {f"delta.constraints.{name}": sql for name, sql in table.conditions()}
    )


def _type(data_type: DataType, required: bool) -> str:
    return data_type.simpleString() + (" NOT NULL" if required else "")


def quoted(text: str) -> str:
    """A string literal of Spark SQL."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
