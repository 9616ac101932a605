"""The section ``export`` of the configuration."""

from typing import Annotated, Literal

from pydantic import Field

from activityrec.config_base import Name, Section

ExportedTable = Literal["recommendations", "audiences"]


class DatabaseConfig(Section):
    """One PostgreSQL database that has the current publication.

    ``options`` are those of Spark's JDBC writer, ``url`` among them; ``${NAME}`` in a value is the
    environment variable, and a password must be one. ``mode`` says how rows get there, in one
    transaction either way: ``swap`` puts a new table in the place of the old one and reads fastest;
    ``upsert`` changes, adds and deletes the rows of a table that stays, with views and grants
    on it. ``readers`` are roles that may read it.
    """

    options: dict[str, str] = Field(min_length=1)
    schema_name: Name = "public"
    mode: Literal["swap", "upsert"] = "swap"
    tables: list[ExportedTable] = ["recommendations", "audiences"]
    readers: list[Name] = []
    lock_seconds: Annotated[int, Field(ge=1)] = 30


class ExportConfig(Section):
    """Where the current publication goes besides the lakehouse; each target has a name."""

    databases: dict[Name, DatabaseConfig] = {}
