"""The section ``export`` of the configuration."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

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


class WarehouseConfig(Section):
    """One warehouse, which loads the current publication from files by SQL that is written here.

    The files go to a folder of each publication under ``location``, as the warehouse sees it
    (``s3://…``, ``gs://…``), and ``load.sql`` beside them; ``path`` is the same place as Spark
    writes it (``s3a://…``), by default ``location``. ``access`` lets the warehouse read: the name
    of a stage of that location (Snowflake), the ARN of a role (Redshift). ``mode``: ``merge``
    changes, adds and deletes rows, ``replace`` empties and fills the table; in one transaction.
    """

    kind: Literal["snowflake", "bigquery", "redshift"]
    location: str
    path: str | None = None
    access: str | None = None
    schema_name: Annotated[str, Field(pattern=r"^[A-Za-z_][\w-]*(\.[A-Za-z_]\w*)?$")]
    mode: Literal["merge", "replace"] = "merge"
    tables: list[ExportedTable] = ["recommendations", "audiences"]

    @model_validator(mode="after")
    def _accessible(self) -> "WarehouseConfig":
        if self.kind != "bigquery" and not self.access:
            raise ValueError(f"access is missing: {self.kind} needs it to read the files")
        if any("'" in text for text in (self.location, self.access or "")):
            raise ValueError("location and access must not hold a quote")
        return self


class FilesConfig(Section):
    """Audiences as files under ``path``, one an activity, and ``manifest.json``, written last."""

    path: str
    format: Literal["csv", "json"] = "csv"


class ExportConfig(Section):
    """Where the current publication goes besides the lakehouse; each target has a name."""

    databases: dict[Name, DatabaseConfig] = {}
    warehouses: dict[Name, WarehouseConfig] = {}
    files: dict[Name, FilesConfig] = {}

    @model_validator(mode="after")
    def _told_apart(self) -> "ExportConfig":
        names = [*self.databases, *self.warehouses, *self.files]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"two targets are named {twice[0]}")
        return self
