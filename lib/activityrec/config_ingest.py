"""The sections of the configuration about data on their way in: sources, rules, privacy."""

import re
from datetime import date
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, model_validator

from activityrec.config_base import Days, Name, Section


class SourceConfig(Section):
    """One source of one clean table.

    ``columns`` maps a column of the table to a Spark SQL expression over the source's columns;
    ``where`` keeps the rows for which it is true. ``name`` marks its rows and its progress; by
    default it is that of the file or folder. ``load`` says what comes: ``full`` (each time
    everything; what is gone from the source goes from the table), ``append`` (new rows; one
    whose key is there already changes nothing) or ``upsert`` (new rows, and new versions of old
    ones). ``order_by`` is an expression of type BIGINT or TIMESTAMP: of two rows with one key
    the later one by it wins. ``watermark`` is the column by which new rows of a JDBC source are
    found. ``time_zone`` is the zone of dates and of times that carry none (default UTC).
    ``read_schema`` is the DDL of the source's own columns, which are looked up in the new files
    where it is not given. ``flags`` are named conditions on the source's columns: a row for
    which one is true is kept, and has the name among its ``flags``.
    """

    name: Name | None = None
    format: str
    path: str | None = None
    load: Literal["full", "append", "upsert"] = "full"
    options: dict[str, str] = {}
    read_schema: str | None = None
    time_zone: str | None = None
    where: str | None = None
    flags: dict[Name, str] = {}
    order_by: str | None = None
    watermark: str | None = None
    columns: dict[str, str] = Field(min_length=1)

    @property
    def label(self) -> str:
        """The name that its rows and its progress are kept under."""
        if self.name is not None:
            return self.name
        stem = PurePosixPath(self.path or self.options.get("dbtable", self.format)).name
        return re.sub(r"[^a-z0-9]+", "_", stem.split(".")[0].lower()).strip("_") or self.format

    @model_validator(mode="after")
    def _loadable(self) -> "SourceConfig":
        jdbc = self.format == "jdbc"
        if not jdbc and self.path is None:
            raise ValueError("path is missing")
        if jdbc and not {"dbtable", "query"} & set(self.options):
            raise ValueError("a JDBC source needs the option dbtable or query")
        if jdbc and self.load != "full" and self.watermark is None:
            raise ValueError(f"load {self.load} of a JDBC source needs a watermark column")
        if self.watermark is not None and not (jdbc and self.load != "full"):
            raise ValueError("watermark is for JDBC sources with load append or upsert")
        return self


class SourcesConfig(Section):
    """The sources of each clean table.

    Users, products and activities may each have several ``full`` sources, which complete each
    other column by column, the first in the list first; or one source of any kind.
    """

    users: list[SourceConfig] = Field(min_length=1)
    activities: list[SourceConfig] = Field(min_length=1)
    events: list[SourceConfig] = Field(min_length=1)
    products: list[SourceConfig] = []
    activity_products: list[SourceConfig] = []
    exposures: list[SourceConfig] = []

    @model_validator(mode="after")
    def _nameable(self) -> "SourcesConfig":
        for table in type(self).model_fields:
            sources = getattr(self, table)
            labels = [source.label for source in sources]
            if twice := sorted({label for label in labels if labels.count(label) > 1}):
                raise ValueError(f"{table} has two sources named {twice[0]}: give each a name")
            entity = table in ("users", "products", "activities")
            if entity and len(sources) > 1 and any(s.load != "full" for s in sources):
                raise ValueError(f"{table} has several sources: each must have load full")
        return self


class AnomalyConfig(Section):
    """A robust bound on events (Hampel's identifier): median + ``deviations`` × 1.4826 × MAD.

    Median and MAD (median absolute deviation) of ``measure`` are taken for each event type and
    product or user over the events of the ``window_days`` before the newest one and the new
    events themselves; a group of fewer than ``min_rows`` has no bound, and no bound is below
    ``at_least``. ``events_per_day`` counts a user's events of one type on a day and takes the
    median over all users. ``flag`` keeps the rows and marks them (features leave them out),
    ``quarantine`` refuses them. Without ``event_types`` all are judged.
    """

    measure: Literal["amount", "quantity", "events_per_day"]
    per: Literal["product", "user"] = "product"
    event_types: list[Name] = []
    deviations: Annotated[float, Field(gt=0)] = 10.0
    at_least: Annotated[float, Field(ge=0)] = 0.0
    min_rows: Annotated[int, Field(ge=1)] = 20
    window_days: Days = 90
    action: Literal["flag", "quarantine"] = "flag"


class IngestConfig(Section):
    """What ingestion refuses, and where it keeps its progress.

    A batch of which more than ``max_refused_share`` would go to quarantine fails before it
    writes anything. What happened (events, exposures) happened neither before ``earliest`` nor
    after the load. ``orphans`` says, for a column such as ``events.product_id``, what becomes of
    a row that names what the other table does not hold. A key is looked for among all rows of
    a table, or, with ``key_search_days``, among the events and exposures of the days up to that
    far from those of the new rows, which costs less on a long history. ``checkpoints`` is the
    folder of the streams' progress, by default one under the lakehouse's root.
    """

    max_refused_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    earliest: date = date(1970, 1, 1)
    orphans: dict[str, Literal["keep", "flag", "quarantine"]] = {}
    key_search_days: Days | None = None
    checkpoints: str | None = None
    anomalies: list[AnomalyConfig] = []


class ProtectionConfig(Section):
    """What becomes of one personal column: ``band`` needs the lower bounds of the bands."""

    how: Literal["drop", "hash", "band", "encrypt"]
    bands: list[float] = []

    @model_validator(mode="after")
    def _bands(self) -> "ProtectionConfig":
        if (self.how == "band") != bool(self.bands):
            raise ValueError("bands belong to how: band, and to nothing else")
        return self


class PrivacyConfig(Section):
    """Pseudonyms instead of user ids, and what becomes of other personal columns.

    The key, of 32 bytes or more, is in the environment variable ``key_env`` or the Databricks
    secret ``key_secret`` (``scope/name``). With ``user_id: keep`` ids stay as the sources have
    them, and the key serves ``forget`` and the other columns. ``columns`` are named
    ``users.age``, ``events.text`` or, for an attribute, ``users.attributes.email``. Groups of
    fewer than ``k_anonymity`` rows or users are suppressed in what analysts see.
    """

    user_id: Literal["hash", "keep"] = "hash"
    key_env: str | None = None
    key_secret: Annotated[str, Field(pattern=r"^[^/]+/[^/]+$")] | None = None
    columns: dict[str, ProtectionConfig] = {}
    k_anonymity: Annotated[int, Field(ge=1)] = 1

    @model_validator(mode="after")
    def _one_key(self) -> "PrivacyConfig":
        if (self.key_env is None) == (self.key_secret is None):
            raise ValueError("give either key_env or key_secret")
        return self


class MaintainConfig(Section):
    """Housekeeping: rows older than ``retention_days`` (by table, such as ``clean.quarantine``)
    are deleted, files that no version younger than ``vacuum_hours`` needs are removed. Tables with
    a ``full`` source hold what that has, and cannot be among ``retention_days``."""

    retention_days: dict[str, Days] = {}
    vacuum_hours: Annotated[int, Field(ge=0)] = 168


class AttributeConfig(Section):
    """How an attribute becomes a feature.

    ``categorical``: its value, the ``cap`` most frequent ones kept and the rest ``other``.
    ``numeric``: the band that it falls into, by the lower bounds ``bands`` (10 and 20 make
    ``<10``, ``10-20`` and ``20+``) or, where none are given, the one of ``quantiles`` equal parts
    of the known values, from ``q1``, the lowest. What is empty or no number is ``unknown``.
    """

    type: Literal["categorical", "numeric"] = "categorical"
    cap: Annotated[int, Field(ge=1)] = 20
    bands: list[Annotated[float, Field(allow_inf_nan=False)]] = []
    quantiles: Annotated[int, Field(ge=2, le=100)] = 4

    @model_validator(mode="after")
    def _bands(self) -> "AttributeConfig":
        if self.bands and self.type != "numeric":
            raise ValueError("bands are for type numeric")
        if self.bands != sorted(self.bands):
            raise ValueError("bands must ascend")
        return self


class AttributesConfig(Section):
    """The attributes (keys of the column ``attributes``) that become features, by table.

    Those of users become columns ``attribute_<name>`` of ``user_features``. ``activity_features``
    has ``activity_attribute_<name>``, and ``product_attribute_<name>`` of what is eligible in the
    activity: the most frequent value, or the mean number.
    """

    users: dict[Name, AttributeConfig] = {}
    products: dict[Name, AttributeConfig] = {}
    activities: dict[Name, AttributeConfig] = {}
