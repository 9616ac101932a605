"""The rules that a row keeps or breaks by itself: types, required values, checks, instants."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F

from activityrec.tables import Table

MALFORMED = "malformed line"
JSON_OPTIONS = {"timestampFormat": "yyyy-MM-dd'T'HH:mm:ss.SSSSSSXXX"}
"""Microseconds stay; Spark would write milliseconds."""


@dataclass(frozen=True)
class RowRules:
    """The rules of one table that a row keeps or breaks by itself.

    Attributes
    ----------
    required
        The columns that must have a value. A value that does not fit its type breaks that rule
        alone.
    earliest, latest
        Between which instants something can have happened, see ``Column.occurred``.
    """

    table: Table
    required: Sequence[str]
    earliest: date
    latest: datetime

    def kept(self) -> Column:
        """Whether a mapped row keeps all of them: for nearly every row this is all to be asked."""
        found = [~F.col("_malformed")]
        for column in self.table.given:
            value, given = F.col(column.name), F.col(f"_given.{column.name}")
            found.append(given.isNull() | value.isNotNull())
            if column.name in self.required:
                found.append(value.isNotNull())
            if column.occurred:
                found += [value >= self._earliest(), value <= F.lit(self.latest)]
        found += [F.expr(sql) for sql in _conditions(self.table)]
        return reduce(Column.__and__, [F.coalesce(rule, F.lit(True)) for rule in found])

    def broken(self) -> list[Column]:
        """A reason for each that a row breaks, NULL for one that it keeps.

        The row has its typed columns and ``_given``: for each column whether the source gave
        a value.
        """
        given = self.table.given
        return [
            *(
                _reason(_was_given(c.name) & F.col(c.name).isNull(), f"{c.name}: not a {c.type}")
                for c in given
            ),
            *(
                _reason(F.col(name).isNull() & ~_was_given(name), f"{name}: missing")
                for name in self.required
            ),
            *conditions(self.table),
            *(reason for c in given if c.occurred for reason in self._occurred(c.name)),
        ]

    def _occurred(self, name: str) -> list[Column]:
        value = F.col(name)
        return [
            _reason(value < self._earliest(), f"{name}: before {self.earliest}"),
            _reason(value > F.lit(self.latest), f"{name}: after the load"),
        ]

    def _earliest(self) -> Column:
        return F.lit(self.earliest).cast("timestamp")


def conditions(table: Table) -> list[Column]:
    """The reasons of the conditions that are also the table's CHECK constraints."""
    return [
        _reason(~F.expr(f"coalesce({sql}, true)"), f"{name}not {sql}")
        for sql, name in _conditions(table).items()
    ]


def _conditions(table: Table) -> dict[str, str]:
    """SQL condition to what its reason begins with."""
    own = {c.condition: f"{c.name}: " for c in table.given if c.condition}
    return own | {sql: "" for _, sql in table.checks}


def missing(names: Sequence[str]) -> list[Column]:
    """The reasons of required columns without a value."""
    return [_reason(F.col(name).isNull(), f"{name}: missing") for name in names]


def listed(reasons: Sequence[Column]) -> Column:
    """Those that hold as an array, NULL where none does."""
    found = F.array_compact(F.array(*reasons)) if reasons else F.array().cast("array<string>")
    return F.when(F.size(found) > 0, found)


def also(reasons: str, condition: Column, text: str) -> Column:
    """The array column ``reasons`` with one more where the condition holds."""
    more = F.concat(F.coalesce(reasons, F.array().cast("array<string>")), F.array(F.lit(text)))
    return F.when(condition, more).otherwise(F.col(reasons))


def as_json(columns: Sequence[str]) -> Column:
    """A row as JSON, without its NULLs."""
    return F.to_json(F.struct(*columns), JSON_OPTIONS)


def comparable(table: Table) -> list[Column]:
    """The columns that sources give in a form that can be compared and hashed.

    Maps become sorted arrays: Spark neither compares nor hashes them.
    """
    return [comparable_column(column.name, column.type) for column in table.given]


def comparable_column(name: str, kind: str) -> Column:
    return F.array_sort(F.map_entries(name)) if kind.startswith("MAP") else F.col(name)


def content_hash(values: Sequence[Column]) -> Column:
    """Spark's hash skips NULL, so that (1, NULL) and (NULL, 1) hash alike; hence the flags."""
    return F.xxhash64(*values, *(value.isNull() for value in values))


def _was_given(name: str) -> Column:
    return F.col(f"_given.{name}")


def _reason(condition: Column, text: str) -> Column:
    return F.when(condition, F.lit(text))
