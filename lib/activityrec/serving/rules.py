"""The rules of ``config.rules`` as conditions on users, and as columns of users and candidates."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce

import numpy as np
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from activityrec.config import Config
from activityrec.config_rules import BlockConfig, FrequencyConfig, RulesConfig
from activityrec.expressions import CONDITION, NUMBER, check_expression
from activityrec.features.affinity import Ints
from activityrec.features.attributes import age_band
from activityrec.features.history import History

NUMBERS = "array<int>"


@dataclass(frozen=True)
class UserCondition:
    """A condition on users that some activities have.

    Attributes
    ----------
    rule
        One of :data:`activityrec.retrieval.eligibility.RULES`.
    fails
        Over ``clean.users``: true for users whom the activities may not be recommended.
    without_profile
        The same for users who have no row there.
    activities
        Numbers of the activities.
    detail
        The condition in words.
    """

    rule: str
    fails: Column
    without_profile: bool
    activities: Ints
    detail: str


def user_conditions(live: Sequence[Row], config: Config) -> list[UserCondition]:
    """The conditions of blocks, target groups and channels.

    Parameters
    ----------
    live
        activity_id, ``target`` and, where ``rules.consent`` has channels, ``channel``, in the
        order of the activities' numbers.
    """
    rules = config.rules
    ids = np.array([row["activity_id"] for row in live], dtype=object)
    found = [
        UserCondition(
            "blocked",
            _meets(block),
            block.users is None,
            np.flatnonzero(ids == block.activity_id),
            block.users or "for all users",
        )
        for block in rules.blocks
    ]
    groups: list[dict[str, list[str]]] = []
    for row in live:
        if row["target"] and row["target"] not in groups:
            groups.append(row["target"])
    targets = [row["target"] for row in live]
    for group in groups:
        mine = np.flatnonzero([target == group for target in targets])
        inside = _in_target(group, config.features.age_bands)
        found.append(UserCondition("target_group", ~inside, True, mine, json.dumps(group)))
    for channel, users in rules.consent.items():
        mine = np.flatnonzero([row["channel"] == channel for row in live])
        words = f"channel {channel}: {users}"
        found.append(UserCondition("consent", ~_true(users), True, mine, words))
    return [condition for condition in found if len(condition.activities)]


def check_rules(history: History, config: Config) -> None:
    """
    Raises
    ------
    ConfigError
        A condition, or another expression that lists are made by, is none over its table.
    """
    rules = config.rules
    conditions = {f"rules.consent.{channel}": sql for channel, sql in rules.consent.items()}
    for kind in ("blocks", "pins", "boosts"):
        entries: list[BlockConfig] = getattr(rules, kind)
        conditions |= {f"rules.{kind}.{n}.users": e.users for n, e in enumerate(entries) if e.users}
    for key, sql in conditions.items():
        check_expression(history.users, key, sql, CONDITION)
    numbers = {"rules.inventory": rules.inventory, "recommend.margin": config.recommend.margin}
    for key, number in numbers.items():
        if number is not None:
            check_expression(history.activities, key, number, NUMBER)


def barred_by(conditions: Sequence[UserCondition]) -> tuple[Column, Column]:
    """Numbers of the conditions that a user fails: over ``clean.users``, and of those without a
    row there."""
    failed = [F.when(c.fails, F.lit(place)) for place, c in enumerate(conditions)]
    others = [F.lit(place) for place, c in enumerate(conditions) if c.without_profile]
    return _numbers(failed), _numbers(others)


def favoured_by(rules: RulesConfig) -> tuple[Column, Column]:
    """Numbers of the pins and, after them, boosts that are for a user, as :func:`barred_by`."""
    entries: list[BlockConfig] = [*rules.pins, *rules.boosts]
    met = [F.when(_meets(entry), F.lit(place)) for place, entry in enumerate(entries)]
    others = [F.lit(place) for place, entry in enumerate(entries) if entry.users is None]
    return _numbers(met), _numbers(others)


def rule_columns(rules: RulesConfig) -> list[str]:
    """The columns of users that candidates keep for their rules."""
    favours = ["favoured_by"] if rules.pins or rules.boosts else []
    return favours + (["room"] if rules.contact_limit else [])


def pinned_numbers(ids: Sequence[str], rules: RulesConfig) -> Ints:
    """Numbers of the activities that are pinned for anyone."""
    pinned = {pin.activity_id for pin in rules.pins}
    return np.flatnonzero([name in pinned for name in ids]).astype(np.int64)


def with_favours(candidates: DataFrame, rules: RulesConfig) -> DataFrame:
    """Apply pins and boosts.

    Returns
    -------
    DataFrame
        ``model_score`` is the score as it was, ``score`` the boosted one; ``pin`` the place
        among the pins, from 1, 0 without one.
    """
    mine = F.col("activity_id")
    pins, factors = [F.lit(0)], []
    for place, entry in enumerate([*rules.pins, *rules.boosts]):
        holds = (mine == entry.activity_id) & F.array_contains("favoured_by", F.lit(place))
        if place < len(rules.pins):
            pins.insert(-1, F.when(holds, F.lit(place + 1)))
        else:
            times = rules.boosts[place - len(rules.pins)].factor
            factors.append(F.when(holds, F.lit(times)).otherwise(1.0))
    score = F.col("score")
    if factors:
        factor = reduce(Column.__mul__, factors)
        score = F.when(score >= 0, score * factor).otherwise(score / factor)
    return candidates.withColumns(
        {"model_score": F.col("score"), "score": score, "pin": F.coalesce(*pins)}
    )


def capped(history: History, cap: FrequencyConfig, known: DataFrame) -> DataFrame:
    """(user_id, _capped): numbers of the activities that each user was shown too often.

    Parameters
    ----------
    known
        activity_id and ``activity_no`` of the live activities; small.
    """
    counts = (
        _shown(history, cap.days)
        .join(F.broadcast(known), on="activity_id", how="inner")
        .groupBy("user_id", "activity_no")
        .count()
    )
    return (
        counts.where(F.col("count") >= cap.times)
        .groupBy("user_id")
        .agg(F.sort_array(F.collect_list("activity_no")).alias("_capped"))
    )


def rooms(history: History, limit: FrequencyConfig) -> DataFrame:
    """(user_id, room): how many activities more each user may be shown; others were shown none."""
    shown = _shown(history, limit.days).groupBy("user_id").agg(F.count("*").alias("_shown"))
    left = F.greatest(F.lit(0), F.lit(limit.times) - F.col("_shown"))
    return shown.select("user_id", left.cast("int").alias("room"))


def places(activities: DataFrame, rules: RulesConfig) -> dict[str, int]:
    """Activity to the number of users whom it may be recommended; only where there is a limit."""
    if rules.inventory is None:
        return {}
    number = F.floor(F.expr(rules.inventory)).cast("bigint")
    rows = activities.select("activity_id", number.alias("places")).where("places IS NOT NULL")
    return {row["activity_id"]: max(0, row["places"]) for row in rows.collect()}


def _shown(history: History, days: int) -> DataFrame:
    since = F.lit(history.until - timedelta(days=days)).cast("timestamp")
    return history.exposures.where(F.col("exposure_ts") >= since)


def _meets(entry: BlockConfig) -> Column:
    return F.lit(True) if entry.users is None else _true(entry.users)


def _true(sql: str) -> Column:
    return F.coalesce(F.expr(sql), F.lit(False))


def _numbers(places: Sequence[Column]) -> Column:
    return F.array_compact(F.array(*places).cast(NUMBERS)).cast(NUMBERS)


def _in_target(group: dict[str, list[str]], bands: list[int]) -> Column:
    condition = F.lit(True)
    for name, values in group.items():
        value = {
            "age_band": age_band(F.col("age"), bands),
            "gender": F.col("gender"),
        }.get(name, F.col("attributes")[name])
        condition = condition & F.coalesce(value.isin(values), F.lit(False))
    return condition
