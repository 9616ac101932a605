"""What the report is made of: the rows of one run, as small lists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.evaluation.slices import WHOLE
from activityrec.lakehouse import Lakehouse
from activityrec.tables import Table

Row = Mapping[str, Any]
"""A row of a table, by the columns of its contract."""

PRIMARY = ("auc", "average_precision", "auc_within_user")
"""The metrics that the summary and the trend look at."""

TREND_RUNS = 30
"""How many earlier runs a trend shows at most, the latest ones."""


@dataclass(frozen=True)
class ReportData:
    """The rows of one run; a table that has none of it is empty.

    Attributes
    ----------
    versions
        Delta versions of the tables that the rows were read from, by full name.
    metrics, comparisons, curves, input_checks, policy_values
        Rows of the serving tables of these names.
    promotions
        Those of the last decision of the gate.
    earlier
        Rows of serving.metrics, of the primary metrics of whole populations, of runs with an
        earlier as_of: one run for each.
    """

    run_id: str
    as_of: date
    versions: Mapping[str, int] = field(default_factory=dict)
    metrics: Sequence[Row] = ()
    comparisons: Sequence[Row] = ()
    curves: Sequence[Row] = ()
    input_checks: Sequence[Row] = ()
    policy_values: Sequence[Row] = ()
    promotions: Sequence[Row] = ()
    earlier: Sequence[Row] = ()


def read_report(lakehouse: Lakehouse, run_id: str, as_of: date) -> ReportData:
    """Collect the rows of a run: aggregates, whose number grows with models and slices only.

    Parameters
    ----------
    as_of
        That of the run, if it has no metrics; otherwise theirs, at which models were frozen.

    Raises
    ------
    ContractError
        A table differs from its contract.
    """
    rows = {
        table.name: _rows_of(_table(lakehouse, table), run_id, table) for table in tables.EVALUATION
    }
    decided = max((row["decided_ts"] for row in rows["promotions"]), default=None)
    last = [row for row in rows.pop("promotions") if row["decided_ts"] == decided]
    frozen = max((row["as_of"] for row in rows["metrics"]), default=as_of)
    before = _earlier(_table(lakehouse, tables.METRICS), frozen, run_id)
    return ReportData(
        run_id, frozen, dict(lakehouse.reads), promotions=last, earlier=before, **rows
    )


def _table(lakehouse: Lakehouse, table: Table) -> DataFrame | None:
    """The table; None where no stage has written it."""
    return lakehouse.read(table) if lakehouse.exists(table) else None


def _rows_of(table: DataFrame | None, run_id: str, contract: Table) -> list[Row]:
    if table is None:
        return []
    found = [row.asDict() for row in table.where(F.col("run_id") == run_id).collect()]
    order = [name for name in contract.key if name != "run_id"]
    return sorted(found, key=lambda row: [(row[name] is None, row[name]) for name in order])


def _earlier(metrics: DataFrame | None, as_of: date, run_id: str) -> list[Row]:
    """Of each earlier as_of the run with the last id; none of this run."""
    if metrics is None:
        return []
    others = metrics.where((F.col("run_id") != run_id) & (F.col("as_of") < F.lit(as_of)))
    whole = others.where(F.col("slice") == WHOLE)
    runs = [
        (row["as_of"], row["run_id"])
        for row in whole.select("as_of", "run_id").distinct().collect()
    ]
    last = dict(sorted(runs))
    earlier = [last[day] for day in sorted(last)[-TREND_RUNS:]]
    rows = whole.where(F.col("run_id").isin(earlier) & F.col("metric").isin(*PRIMARY)).collect()
    return [row.asDict() for row in rows if row["run_id"] == last[row["as_of"]]]
