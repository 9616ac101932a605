"""Events far beyond what their product, their user or all users have shown so far.

The bound is Hampel's identifier: median + deviations × 1.4826 × MAD, where MAD is the median
absolute deviation and 1.4826 makes it the standard deviation of normal values (Hampel, The
influence curve and its role in robust estimation, JASA 69, 1974; Davies and Gather, The
identification of multiple outliers, JASA 88, 1993). Only what is above it is odd.

Where more than half of the values are equal, MAD is 0 and every other value would be beyond it.
Instead of 1.4826 × MAD it is then the mean absolute deviation × 1.2533, its counterpart
(Iglewicz and Hoaglin, How to detect and handle outliers, 1993), or half the median where that is
more: at 10 deviations two units instead of one are nothing odd, a slipped decimal point is.
"""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from activityrec.config import AnomalyConfig

ANOMALY = "anomaly: "
"""What the text of every anomaly rule begins with."""

_MAD_TO_DEVIATION = 1.4826
_MEAN_TO_DEVIATION = 1.2533
_LEAST_SHARE = 0.5


def mark_anomalies(rows: DataFrame, past: DataFrame, rules: Sequence[AnomalyConfig]) -> DataFrame:
    """Judge new events by the rules; every rule judges the same rows, whatever another found.

    Parameters
    ----------
    rows
        New events: the columns that sources give, ``_reasons`` (rules broken; NULL: good so
        far) and ``_flags`` (what is odd; NULL: nothing), both ARRAY<STRING>, and any others
        that begin with ``_``. They are read several times: let the caller keep them.
    past
        ``clean.events``, or that part of it which holds the days of the new events and the
        window before them: Delta skips files by such a condition. An event that is among
        ``rows`` too counts once.
    rules
        See :class:`AnomalyConfig`. Rows whose product or user (as the rule has it) or measure
        is NULL pass. Of the past the days from ``window_days`` before the newest good row until
        its day give the bound, without rows that were flagged as anomalies.

    Returns
    -------
    DataFrame
        The same rows and columns; the text of each rule broken stands in ``_flags``
        (``action: flag``) or ``_reasons`` (``quarantine``). Only rows whose ``_reasons`` are
        NULL are judged, and only these count.
    """
    good = rows.where("_reasons IS NULL")
    replaced = good.select("event_id")
    known = past.join(replaced, on="event_id", how="left_anti")
    judged = rows
    broken: dict[str, list[Column]] = {"_flags": [], "_reasons": []}
    for place, rule in enumerate(rules):
        mark = f"_anomaly_{place}"
        judge = _judge_days if rule.measure == "events_per_day" else _judge_values
        judged = judge(judged, good, known, rule, mark)
        column = "_flags" if rule.action == "flag" else "_reasons"
        hit = F.coalesce(F.col(mark), F.lit(False)) & F.col("_reasons").isNull()
        broken[column].append(F.when(hit, F.lit(rule_text(rule))))
    marks = {name: _append(name, texts) for name, texts in broken.items() if texts}
    return judged.withColumns(marks).select(*rows.columns)


def rule_text(rule: AnomalyConfig) -> str:
    """What a row that breaks the rule is marked with: the same for all, so that it counts."""
    if rule.measure == "events_per_day":
        return f"{ANOMALY}more events a day than {rule.deviations:g} deviations"
    return f"{ANOMALY}{rule.measure} beyond {rule.deviations:g} deviations of its {rule.per}"


def not_anomalous(flags: Column) -> Column:
    """Condition on ``flags`` of a clean table: no anomaly among them; true for NULL."""
    return F.coalesce(~F.exists(flags, lambda flag: flag.startswith(ANOMALY)), F.lit(True))


def _judge_values(
    judged: DataFrame, good: DataFrame, past: DataFrame, rule: AnomalyConfig, mark: str
) -> DataFrame:
    """``mark``: whether the measure of the row is above the bound of its group."""
    group = ["event_type", f"{rule.per}_id"]
    measured = _of_types(good, rule).where(F.col(rule.measure).isNotNull())
    columns: list[Column | str] = [*group, F.col(rule.measure).alias("_value")]
    recent = _in_window(past, good, rule).where(not_anomalous(F.col("flags")))
    # Most products of a long history are not among the new events.
    recent = recent.join(measured.select(*group).distinct(), on=group, how="left_semi")
    values = measured.select(*columns).unionByName(recent.select(*columns))
    bounds = _bounds(values.dropna(), group, rule)
    marked = judged.join(bounds, on=group, how="left")
    return marked.withColumn(mark, F.col(rule.measure) > F.col("_bound")).drop("_bound")


def _judge_days(
    judged: DataFrame, good: DataFrame, past: DataFrame, rule: AnomalyConfig, mark: str
) -> DataFrame:
    """``mark``: whether the user's day of the row's event type holds more than the bound."""
    day = F.to_date("event_ts").alias("_day")
    user_day = ["user_id", "event_type", "_day"]
    new = _of_types(good, rule).select("user_id", "event_type", day)
    recent = _in_window(past, good, rule).where(not_anomalous(F.col("flags")))
    recent = recent.select("user_id", "event_type", day).join(
        new.select("event_type").distinct(), on="event_type", how="left_semi"
    )
    counted = F.count("*").cast("double").alias("_value")
    reference = new.unionByName(recent).groupBy(*user_day).agg(counted)
    bounds = _bounds(reference, ["event_type"], rule)
    # On its own day a bot stays one: there what was flagged counts too.
    same_days = past.select("user_id", "event_type", day).join(
        new.distinct(), on=user_day, how="left_semi"
    )
    counts = new.unionByName(same_days).groupBy(*user_day).agg(counted)
    above = (
        counts.join(bounds, on="event_type", how="inner")
        .where("_value > _bound")
        .select(*user_day, F.lit(True).alias(mark))
    )
    return judged.withColumn("_day", day).join(above, on=user_day, how="left").drop("_day")


def _bounds(values: DataFrame, group: list[str], rule: AnomalyConfig) -> DataFrame:
    """The bound (``_bound``) of each group that has enough of ``values`` (column ``_value``)."""
    whole = Window.partitionBy(*group).rowsBetween(
        Window.unboundedPreceding, Window.unboundedFollowing
    )
    # Prices and counts repeat: their histogram is small, and read twice without a second scan.
    histogram = values.groupBy(*group, "_value").agg(F.count("*").alias("_rows"))
    median = F.percentile("_value", 0.5, F.col("_rows")).over(whole)
    distances = histogram.withColumn("_median", median).withColumn(
        "_distance", F.abs(F.col("_value") - F.col("_median"))
    )
    spread = distances.groupBy(*group, "_median").agg(
        F.percentile("_distance", 0.5, F.col("_rows")).alias("_mad"),
        (F.sum(F.col("_distance") * F.col("_rows")) / F.sum("_rows")).alias("_mean"),
        F.sum("_rows").alias("_rows"),
    )
    unspread = F.greatest(_MEAN_TO_DEVIATION * F.col("_mean"), _LEAST_SHARE * F.col("_median"))
    deviation = F.when(F.col("_mad") > 0, _MAD_TO_DEVIATION * F.col("_mad")).otherwise(unspread)
    bound = F.greatest(F.col("_median") + rule.deviations * deviation, F.lit(rule.at_least))
    return spread.where(F.col("_rows") >= rule.min_rows).select(*group, bound.alias("_bound"))


def _of_types(events: DataFrame, rule: AnomalyConfig) -> DataFrame:
    return events.where(F.col("event_type").isin(rule.event_types)) if rule.event_types else events


def _in_window(past: DataFrame, good: DataFrame, rule: AnomalyConfig) -> DataFrame:
    """The past events of the whole days that the rule looks at."""
    last = good.agg(F.max(F.to_date("event_ts")).alias("_last"))
    day = F.to_date("event_ts")
    inside = (day >= F.date_sub("_last", rule.window_days)) & (day <= F.col("_last"))
    return past.join(F.broadcast(last), on=inside, how="inner")


def _append(name: str, texts: list[Column]) -> Column:
    """The array with those texts that are not NULL; NULL where it stays without any."""
    found = F.array_distinct(F.array_compact(F.array(*texts)))
    before = F.coalesce(F.col(name), F.array().cast("array<string>"))
    return F.when(F.size(found) > 0, F.concat(before, found)).otherwise(F.col(name))
