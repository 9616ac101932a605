"""The exposures of the horizon as decisions: what was shown, what else could have been, and why."""

from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import NumericType

from activityrec.config import Config
from activityrec.expressions import check_expression
from activityrec.features.history import History, between
from activityrec.features.outcomes import responses_of
from activityrec.sampling import in_sample
from activityrec.serving.candidates import Serving
from activityrec.tables import attribute_column

CONTEXT = "context_"
"""Prefix of the columns that the policy of the log may have looked at."""

PARTS = 8
"""Numbers are cut into so many equal parts."""


def decision_log(serving: Serving, full: History, scored: DataFrame) -> DataFrame:
    """One row for each exposure of the horizon that :func:`closed` keeps.

    Parameters
    ----------
    serving
        Models and tables as of T.
    full
        The clean tables to the end of the data.
    scored
        ``serving.scored_exposures`` of the run.

    Returns
    -------
    DataFrame
        The columns of :func:`with_available`, and a STRING ``context_<name>`` for what
        ``evaluate.off_policy.context`` names.
    """
    config = serving.config
    until = serving.as_of + timedelta(days=config.evaluate.horizon_days)
    shown = between(full.exposures, serving.as_of, until)
    key = ["user_id", "activity_id", "exposure_ts"]
    shown = shown.select(*key, "propensity", "position")
    rows = closed(scored).select(*key, "label").join(shown, on=key, how="inner")
    answers = responses_of(serving.history.events, config.response)
    popular = answers.groupBy("activity_id").agg(F.count_distinct("user_id").alias("answers"))
    limits = config.evaluate
    some = sampled_users(rows, limits.off_policy.max_users, limits.seed)
    log = with_available(some, full.activities, popular, config.recommend.planning_days)
    return with_context(log, serving.users, context_of(config, serving.users))


def closed(scored: DataFrame) -> DataFrame:
    """The exposures before the first one whose response window had not closed (``censored``).

    The cut is by time alone: to leave out single exposures would leave out the activities whose
    windows are long.
    """
    first = scored.agg(F.min(F.when(F.col("censored"), F.col("exposure_ts"))).alias("_open"))
    joined = scored.join(F.broadcast(first), how="cross")
    return joined.where("_open IS NULL OR exposure_ts < _open").drop("_open")


def sampled_users(rows: DataFrame, most: int, seed: int) -> DataFrame:
    """The rows of about ``most`` users, drawn by their hash; all where there are no more."""
    found = rows.agg(F.approx_count_distinct("user_id")).first()
    assert found is not None
    if found[0] <= most:
        return rows
    return rows.where(in_sample(most / found[0], seed))


def with_available(
    rows: DataFrame, activities: DataFrame, popular: DataFrame, planning_days: int
) -> DataFrame:
    """Add what each decision could have chosen from.

    An activity is available to a decision if the log shows it to another user on the same day at
    the same position, and it is live, or planned, at the instant. The user's own exposures do not
    count: with them what was chosen would always be available, what was not only sometimes, and
    estimates from a thin log would be too high.

    Parameters
    ----------
    rows
        user_id, activity_id, exposure_ts, ``label``, ``propensity`` and ``position``, each NULL
        where it was not logged.
    activities
        activity_id, start_ts, end_ts.
    popular
        activity_id, ``answers``: by what activities are popular.

    Returns
    -------
    DataFrame
        user_id, activity_id, exposure_ts, ``reward`` (DOUBLE), ``propensity``, ``position`` (1
        where it was not logged), ``day`` and ``slot`` (STRING: day and position), ``available``
        (ARRAY<STRING>, the most popular first, ties by activity_id).
    """
    cell = ["day", "slot"]
    placed = rows.select(
        "user_id",
        "activity_id",
        "exposure_ts",
        F.col("label").cast("double").alias("reward"),
        "propensity",
        F.coalesce("position", F.lit(1)).alias("position"),
        F.to_date("exposure_ts").cast("string").alias("day"),
        F.coalesce("position", F.lit(1)).cast("string").alias("slot"),
    )
    entry = F.struct(
        (-F.coalesce("answers", F.lit(0))).alias("order"),
        "activity_id",
        (F.col("start_ts") - F.make_dt_interval(F.lit(planning_days))).alias("begins"),
        F.col("end_ts").alias("ends"),
        "first_user",
        "last_user",
    )
    spans = activities.select("activity_id", "start_ts", "end_ts")
    shown = (
        placed.groupBy(*cell, "activity_id")
        .agg(F.min("user_id").alias("first_user"), F.max("user_id").alias("last_user"))
        .join(F.broadcast(spans), on="activity_id", how="left")
        .join(F.broadcast(popular), on="activity_id", how="left")
        .groupBy(*cell)
        .agg(F.sort_array(F.collect_list(entry)).alias("_shown"))
    )
    available = F.filter("_shown", _could_be_shown)["activity_id"].alias("available")
    joined = placed.join(F.broadcast(shown), on=cell, how="inner")
    return joined.select(*placed.columns, available)


def _could_be_shown(entry: Column) -> Column:
    to_others = (entry["first_user"] != F.col("user_id")) | (entry["last_user"] != F.col("user_id"))
    begun = entry["begins"] <= F.col("exposure_ts")
    return to_others & begun & (entry["ends"].isNull() | (entry["ends"] > F.col("exposure_ts")))


def context_of(config: Config, users: DataFrame) -> dict[str, str]:
    """Name to SQL expression over ``users``: those of the configuration, or all that are
    categories."""
    if config.evaluate.off_policy.context is not None:
        return config.evaluate.off_policy.context
    declared = [attribute_column("users", name) for name in config.attributes.users]
    names = ["age_band", "gender", *declared, "segment"]
    return {name: f"`{name}`" for name in names if name in users.columns}


def with_context(log: DataFrame, users: DataFrame, context: dict[str, str]) -> DataFrame:
    """Add ``context_<name>`` (STRING) for each expression over the columns of ``users``; numbers
    become the number of their part, ``unknown`` stands for NULL and for users without a row.

    Raises
    ------
    ConfigError
        An expression does not resolve.
    """
    for name, sql in context.items():
        check_expression(users, f"evaluate.off_policy.context.{name}", sql)
    known = users.select(
        "user_id", *[F.expr(sql).alias(f"{CONTEXT}{name}") for name, sql in context.items()]
    )
    joined = log.join(known, on="user_id", how="left")
    fields = [field for field in known.schema if field.name != "user_id"]
    counted = [field.name for field in fields if isinstance(field.dataType, NumericType)]
    shares = [part / PARTS for part in range(1, PARTS)]
    cuts = joined.approxQuantile(counted, shares, 0.01) if counted else []
    bounds = dict(zip(counted, cuts, strict=True))
    columns = {}
    for name in known.columns[1:]:
        value = F.col(name)
        if name in bounds:
            # As many bounds are below the value as its part says.
            value = sum(((value > bound).cast("int") for bound in sorted(set(bounds[name]))),
                        F.lit(0) * value)  # fmt: skip
            value = value.cast("int")
        columns[name] = F.coalesce(value.cast("string"), F.lit("unknown"))
    return joined.withColumns(columns) if columns else joined
