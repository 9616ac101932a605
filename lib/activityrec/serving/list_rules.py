"""From scored candidates to lists by the rules of a deployment, and what these left out."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType

from activityrec import tables
from activityrec.config import Config, RecommendConfig
from activityrec.ingest.horizon import live_activities
from activityrec.serving.anonymity import group_size, large_counts
from activityrec.serving.audience_floors import audience_floors, short_audiences
from activityrec.serving.blocks import ListRules
from activityrec.serving.candidates import Serving, Sides, scored_candidates
from activityrec.serving.diversity import activity_similarity
from activityrec.serving.inventory import thresholds
from activityrec.serving.lists import contenders, ranked_lists
from activityrec.serving.rules import places, rule_columns, with_favours
from activityrec.serving.slots import SlotPolicy

log = logging.getLogger("activityrec")


_CARRIED = "carried"


@dataclass(frozen=True)
class MadeLists:
    """Lists, audiences and exclusions in one frame, see
    :func:`activityrec.serving.lists.ranked_lists`.

    Attributes
    ----------
    ranked
        With the columns that were asked for, ``score`` and ``model_score``.
    places
        Of the activities that have an inventory: to how many users they may go.
    """

    ranked: DataFrame
    places: dict[str, int]


def made_lists(
    serving: Serving, sides: Sides, run_id: str, columns: Mapping[str, Column]
) -> MadeLists:
    """Score the candidates and make the lists of a run.

    Parameters
    ----------
    columns
        What rows are to have besides user_id, activity_id, scores and ``probability``, by name,
        from those of :func:`activityrec.serving.candidates.scored_candidates`.
    """
    config, rules = serving.config, serving.config.rules
    limits = config.recommend
    excluded = (rules.explained or limits.candidates) if rules.explain else 0
    scored = with_favours(scored_candidates(serving, sides, excluded), rules)
    own = [name for name in ("rule", *rule_columns(rules)) if name in scored.columns]
    fixed = ("user_id", "activity_id", "score", "model_score", "probability", "pin")
    kept = [name for name in own if name != "favoured_by"]
    wide = scored.withColumns(dict(columns))
    # Lists are made in Python, and each column of a candidate goes there and comes back: numbers
    # as one.
    numbers = [name for name in columns if isinstance(wide.schema[name].dataType, DoubleType)]
    candidates = wide.select(
        *fixed,
        *kept,
        *[name for name in columns if name not in numbers],
        F.array(*[F.col(name) for name in numbers]).cast("array<double>").alias(_CARRIED),
        F.xxhash64(F.lit(run_id), "user_id").alias("draw_key"),
    )
    how = list_rules(serving, sides)
    live = live_activities(serving.history.activities, serving.as_of, limits.planning_days)
    limited = places(live, rules)
    if limited:
        candidates = candidates.persist()
        found = thresholds(contenders(candidates, limits.k, limited, how).persist(), limited)
        how = replace(how, thresholds=found)
    ranked = _ranked(candidates, limits, replace(how, floors=audience_floors(serving, sides)))
    unpacked = {name: F.col(_CARRIED)[place] for place, name in enumerate(numbers)}
    return MadeLists(ranked.withColumns(unpacked).drop(_CARRIED), limited)


def _ranked(candidates: DataFrame, limits: RecommendConfig, how: ListRules) -> DataFrame:
    """The persisted lists and audiences; again without floors where one was too high."""
    ranked = ranked_lists(candidates, limits.k, limits.audience_size, how)
    ranked = ranked.drop("rule", "room", "pin", "draw_key").persist()
    if not how.floors:
        return ranked
    short = short_audiences(ranked, how.floors, limits.audience_size)
    if not short:
        return ranked
    log.warning(
        "audiences are made again, without a sample: its floors left out users of %s", short
    )
    ranked.unpersist()
    return _ranked(candidates, limits, replace(how, floors={}))


def list_rules(serving: Serving, sides: Sides) -> ListRules:
    """How the configuration wants lists to be made; inventories are not in it yet."""
    config, ids = serving.config, sides.live.side.activity_ids
    limits, maximum = config.recommend, config.rules.max_per_type
    kinds = np.zeros(0, dtype=np.int64)
    if maximum is not None:
        rows = serving.activities.select("activity_id", "activity_type").collect()
        kind_of = {row["activity_id"]: row["activity_type"] for row in rows}
        kinds = np.unique([kind_of[name] for name in ids], return_inverse=True)[1]
    policy = SlotPolicy(
        max_per_type=maximum,
        diversity=limits.diversity,
        similarity=activity_similarity(serving, sides) if limits.diversity > 0 else None,
        share=limits.explore.share,
        temperature=limits.explore.temperature,
    )
    return ListRules(policy, ids, kinds, explain=config.rules.explain)


def places_column(found: Mapping[str, int]) -> Column | None:
    """The places of each row's activity; None without any limit."""
    if not found:
        return None
    pairs = [F.lit(value) for pair in found.items() for value in pair]
    return F.create_map(*pairs)[F.col("activity_id")]


def exclusions(made: MadeLists, sides: Sides, config: Config) -> DataFrame:
    """What would have entered lists and why it did not, without run_id, as_of and model.

    Returns
    -------
    DataFrame
        user_id, activity_id, ``rule``, ``detail``, ``rank``, ``score`` and ``probability``, see
        ``serving.exclusions``.
    """
    ids = sides.live.side.activity_ids
    rows = [(name, rule, text) for rule, text in _details(config).items() for name in ids]
    found: dict[tuple[str, str], list[str]] = {}
    for condition in sides.conditions:
        for number in condition.activities:
            found.setdefault((ids[number], condition.rule), []).append(condition.detail)
    rows += [(name, rule, "; ".join(texts)) for (name, rule), texts in found.items()]
    rows += [(name, "inventory", f"places for {n:,} users") for name, n in made.places.items()]
    spark = made.ranked.sparkSession
    details = spark.createDataFrame(rows, "activity_id STRING, rule STRING, detail STRING")
    return (
        made.ranked.where("listed = 'excluded'")
        .withColumnRenamed("excluded_by", "rule")
        .join(F.broadcast(details), on=["activity_id", "rule"], how="left")
        .select(
            "user_id",
            "activity_id",
            "rule",
            "detail",
            "rank",
            F.col("model_score").alias("score"),
            "probability",
        )
    )


def rule_counts(excluded: DataFrame, config: Config) -> DataFrame:
    """``serving.rule_counts`` from the rows of ``serving.exclusions`` of one run.

    Groups of fewer users than the k of k-anonymity are left out.
    """
    keys = tables.RULE_COUNTS.key
    counted = excluded.groupBy(*keys, "as_of").agg(F.count("*").alias("users"))
    return large_counts(counted, ["users"], group_size(config))


def log_rules(excluded: DataFrame) -> None:
    """One line: how many rows of ``serving.exclusions`` each rule has."""
    rows = excluded.groupBy("rule").count().orderBy("rule").collect()
    text = ", ".join(f"{row['rule']} {row['count']:,}" for row in rows)
    log.info("left out of lists, by rule: %s", text or "nothing")


def _details(config: Config) -> dict[str, str]:
    """The words of the rules whose limits are the same for all activities."""
    rules = config.rules
    words = {
        "answered": "answered before",
        "displaced": "pins, boosts, diversity or exploration put others in its place",
    }
    if cap := rules.frequency_cap:
        words["frequency_cap"] = f"shown {cap.times} times or more in {cap.days} days"
    if limit := rules.contact_limit:
        words["contact_limit"] = f"{limit.times} in {limit.days} days, this list among them"
    if rules.max_per_type is not None:
        words["max_per_type"] = f"{rules.max_per_type} of its type in the list"
    return words
