"""What a contract is, and the columns that many tables share."""

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True)
class Column:
    """One column: ``type`` is Spark SQL; ``check`` a condition that a value must meet.

    ``max_length`` is in characters. ``default`` says in words what stands in for a missing
    value; ``ingest`` puts it there. ``occurred`` marks an instant that has happened: ingestion
    refuses one before ``ingest.earliest`` or after the load.
    """

    name: str
    type: str
    comment: str
    required: bool = False
    check: str | None = None
    stats: bool = False
    default: str | None = None
    max_length: int | None = None
    occurred: bool = False

    @property
    def condition(self) -> str | None:
        """The SQL condition that a value must meet: check and length in one."""
        length = f"length({self.name}) <= {self.max_length}" if self.max_length else None
        return " AND ".join(filter(None, [self.check, length])) or None


Orphans = Literal["keep", "flag", "quarantine"]


@dataclass(frozen=True)
class Reference:
    """``column`` holds keys of the clean table ``target``; ``orphans`` says what becomes of a
    row whose value is not there, where the configuration (``ingest.orphans``) does not."""

    column: str
    target: str
    orphans: Orphans


@dataclass(frozen=True)
class Table:
    """One table.

    ``key`` identifies a row; ``checks`` are named conditions across columns; ``references``
    name other clean tables. An ``entity`` may be described by several sources, each giving some
    of its columns. Tables with ``change_feed`` record their changes for incremental readers.
    """

    schema: str
    name: str
    comment: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    cluster_by: tuple[str, ...] = ()
    checks: tuple[tuple[str, str], ...] = ()
    references: tuple[Reference, ...] = ()
    entity: bool = False
    change_feed: bool = False

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def row_type(self) -> str:
        """Names and types of the columns, as Spark takes them for the schema of a frame."""
        return ", ".join(f"{column.name} {column.type}" for column in self.columns)

    @property
    def same_key(self) -> str:
        """SQL condition: the rows ``t`` and ``s`` have the same key."""
        return " AND ".join(f"t.{name} <=> s.{name}" for name in self.key)

    @property
    def given(self) -> tuple[Column, ...]:
        """The columns that sources give: all but those that ingestion adds."""
        return tuple(column for column in self.columns if column not in LINEAGE)

    def conditions(self) -> list[tuple[str, str]]:
        """(name, SQL condition) of every CHECK constraint, true for NULL."""
        of_columns = [
            (f"{column.name}_valid", f"{column.name} IS NULL OR ({column.condition})")
            for column in self.columns
            if column.condition
        ]
        return of_columns + [(name, f"({sql}) IS NOT FALSE") for name, sql in self.checks]


def an_id(name: str, comment: str, required: bool = True, stats: bool = False) -> Column:
    check = f"{name} != '' AND NOT contains({name}, char(0))"
    return Column(name, "STRING", comment, required, check, stats, max_length=256)


def text(name: str, comment: str, required: bool = False, max_length: int = 1_000) -> Column:
    return Column(name, "STRING", comment, required, max_length=max_length)


def finite(name: str, comment: str, required: bool = False) -> Column:
    finite = f"{name} >= 0 AND {name} < double('Infinity')"
    return Column(name, "DOUBLE", comment, required, finite)


def probability(name: str, comment: str) -> Column:
    return Column(name, "DOUBLE", comment, check=f"{name} BETWEEN 0 AND 1")


USER_ID = an_id("user_id", "the user")
ACTIVITY_ID = an_id("activity_id", "the activity", stats=True)
RUN_ID = an_id("run_id", "the run that wrote the row", stats=True)
AS_OF = Column("as_of", "DATE", "the run knows nothing from this day on", True, stats=True)
SNAPSHOT = Column(
    "snapshot_date", "DATE", "computed from what happened before this day", True, stats=True
)
BATCH_ID = Column(
    "batch_id", "STRING", "the load that wrote the row, see clean.batches", True, stats=True
)

LINEAGE = (
    Column("flags", "ARRAY<STRING>", "what is odd about the row, which is kept; NULL: nothing"),
    Column("source", "STRING", "name of the source that gave the row", True),
    Column("source_order", "BIGINT",
           "the source's order_by: of two rows with one key the later one by it stays; timestamps "
           "in microseconds since 1970"),
    # Statistics of texts cost as much as to write them, and nobody reads rows by their load.
    replace(BATCH_ID, stats=False),
)  # fmt: skip
"""What ingestion adds to every clean row."""
