"""What a load changes: its rows beside those that the clean table holds under the same keys."""

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.ingest.batch import FULL
from activityrec.ingest.keys import superseded
from activityrec.ingest.rules import also, comparable_column
from activityrec.tables import Table

_NO_ORDER = -(2**63)
"""A row without an order is earlier than any that has one."""


def compare(
    table: Table,
    rows: DataFrame,
    target: DataFrame,
    load: str,
    sources: Sequence[str],
    search: str,
) -> tuple[DataFrame, bool]:
    """Say of every row what becomes of it.

    Returns
    -------
    DataFrame
        ``rows`` with ``_old``, the row of the table that has its key, and ``_change``:

        - ``refused``: it broke a rule, or the table's row with its key is the later one;
        - ``copies``: it equals the table's row with its key;
        - ``added``: its key is new;
        - ``changed``: it replaces the table's row;
        - ``removed``: no row of the load but one of the table, which a full load lacks.

        The later of two rows by ``source_order`` wins; where that does not tell, the new row of
        an ``upsert`` and of a ``full`` source about its own rows, and otherwise the old one.
    bool
        Whether the table was joined: then the frame is worth keeping.
    """
    placed = target.alias("t").where(search)
    good = rows.where("_reasons IS NULL").select(*_named(table.key, "_new_"))
    matched = placed.join(good, on=_same_key(table, "_new_", ""), how="left_semi")
    old = matched.select(F.struct("*").alias("_old"), *_named(table.key, "_old_"))
    full = load == "full"
    if placed.isEmpty() or (not full and old.isEmpty()):
        none = F.lit(None).cast(target.select(F.struct("*").alias("_")).schema["_"].dataType)
        return rows.withColumns({"_old": none, "_change": _alone()}), False
    on = reduce(Column.__and__, [_same_key(table, "_old_", ""), F.col("_reasons").isNull()])
    joined = rows.join(old, on=on, how="left").drop(*(f"_old_{name}" for name in table.key))
    compared = _judged(table, joined, load, sources)
    if full:
        compared = compared.unionByName(
            _removed(table, placed, good, sources), allowMissingColumns=True
        )
    return compared, True


def _judged(table: Table, joined: DataFrame, load: str, sources: Sequence[str]) -> DataFrame:
    own = _own("_old.", sources) if load == "full" else F.lit(load == "upsert")
    order, old_order = (
        F.coalesce(name, F.lit(_NO_ORDER)) for name in ("_order", "_old.source_order")
    )
    later = F.when(order != old_order, order > old_order).otherwise(own)
    wins = own | later if load == "full" else later
    same = _same_content(table)
    if load == "full":
        same = same & F.col("_flags").eqNullSafe(F.col("_old.flags"))
    known = F.col("_old").isNotNull()
    loses = known & ~same & ~F.coalesce(wins, F.lit(False))
    rows = joined.withColumns({"_loses": loses, "_same": known & same})
    rows = rows.withColumn("_reasons", also("_reasons", F.col("_loses"), superseded(table)))
    change = F.when(F.col("_same"), F.lit("copies")).when(
        known & ~F.col("_loses"), F.lit("changed")
    )
    return rows.withColumn("_change", F.coalesce(change, _alone())).drop("_loses", "_same")


def _alone() -> Column:
    """What becomes of a row whose key the table does not hold."""
    return F.when(F.col("_reasons").isNull(), F.lit("added")).otherwise(F.lit("refused"))


def _removed(table: Table, placed: DataFrame, good: DataFrame, sources: Sequence[str]) -> DataFrame:
    gone = placed.where(_own("", sources)).join(
        good, on=_same_key(table, "_new_", ""), how="left_anti"
    )
    names = [column.name for column in table.given]
    return gone.select(
        *names,
        F.col("flags").alias("_flags"),
        F.col("source").alias("_source"),
        F.col("source_order").alias("_order"),
        F.lit("removed").alias("_change"),
    )


def _own(prefix: str, sources: Sequence[str]) -> Column:
    """Whether a row of the table is one of the full sources', also under a former name."""
    former = F.col(f"{prefix}batch_id").contains(FULL)
    return F.col(f"{prefix}source").isin(*sources) | former


def _same_content(table: Table) -> Column:
    pairs = [
        comparable_column(c.name, c.type).eqNullSafe(comparable_column(f"_old.{c.name}", c.type))
        for c in table.given
    ]
    return reduce(Column.__and__, pairs)


def _named(names: Sequence[str], prefix: str) -> list[Column]:
    return [F.col(name).alias(f"{prefix}{name}") for name in names]


def _same_key(table: Table, left: str, right: str) -> Column:
    pairs = [F.col(f"{left}{n}").eqNullSafe(F.col(f"{right}{n}")) for n in table.key]
    return reduce(Column.__and__, pairs)
