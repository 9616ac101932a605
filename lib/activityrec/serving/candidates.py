"""Candidates: every user with the live activities that they may be recommended, scored."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from pyspark.ml import PipelineModel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import Config
from activityrec.features.eligible import EligibleItems
from activityrec.features.history import History
from activityrec.features.outcomes import responses_of
from activityrec.features.snapshots import Snapshots
from activityrec.ingest.horizon import live_activities
from activityrec.ranking.inputs import numeric_inputs
from activityrec.ranking.pipeline import probabilities
from activityrec.retrieval.eligibility import CELL_RULES, Barrier
from activityrec.retrieval.kernel import LiveActivities, candidate_fields, candidate_mapper
from activityrec.retrieval.sides import activity_sides, no_sides, users_side
from activityrec.retrieval.spread import spread
from activityrec.serving.rules import (
    NUMBERS,
    UserCondition,
    barred_by,
    capped,
    favoured_by,
    pinned_numbers,
    rooms,
    rule_columns,
    user_conditions,
)


@dataclass(frozen=True)
class Serving:
    """What candidates are made from, all as of one day.

    Attributes
    ----------
    history
        The clean tables as of that day.
    snapshots
        To compute histories of purchases; its population are the users to serve.
    fitted
        The day at which the model's retrievers were fitted.
    users, activities
        ``user_features`` and ``activity_features`` at that day.
    user_vectors, item_vectors, activity_vectors
        The vectors of that fit.
    ranker
        The fitted pipeline; None where the data have no exposures.
    segments
        ``features.user_segments`` of that fit; None where the configuration has none.
    ordered_by
        With a ranker the column that orders the lists: its probability, or a part that beats it.
    """

    as_of: date
    fitted: date
    config: Config
    history: History
    snapshots: Snapshots
    users: DataFrame
    activities: DataFrame
    user_vectors: DataFrame
    item_vectors: DataFrame
    activity_vectors: DataFrame
    ranker: PipelineModel | None
    segments: DataFrame | None = None
    ordered_by: str = "probability"

    def only(self, users: DataFrame, every_activity: bool = True) -> "Serving":
        """For these (user_id) alone, with every live activity as a candidate, or with as many as
        the configuration says."""
        limit = 2**31 if every_activity else self.config.recommend.candidates
        recommend = self.config.recommend.model_copy(update={"candidates": limit})
        mine = self._with(self.users.join(users, on="user_id", how="left_semi"))
        return replace(mine, config=self.config.model_copy(update={"recommend": recommend}))

    def where(self, condition: Column) -> "Serving":
        """For the users of whose ``user_id`` the condition is true: Spark reads no others of any
        table, which it would with a list of users."""
        return self._with(self.users.where(condition))

    def _with(self, users: DataFrame) -> "Serving":
        population = users.select("snapshot_date", "user_id")
        snapshots = replace(self.snapshots, population=population)
        return replace(self, users=users, snapshots=snapshots)


@dataclass(frozen=True)
class Sides:
    """The two halves of retrieval at one day.

    Attributes
    ----------
    live
        The activities, on the driver.
    items
        Their eligible products.
    histories
        The users' purchases of these, and of their categories.
    conditions
        Those on users that some of the activities have.
    """

    live: LiveActivities
    items: EligibleItems
    histories: DataFrame
    conditions: list[UserCondition]

    def for_users(self, serving: Serving) -> "Sides":
        """The same activities, for the users of ``serving``."""
        return replace(self, histories=serving.snapshots.histories(self.items))


def scored_candidates(serving: Serving, sides: Sides, excluded: int = 0) -> DataFrame:
    """Each user's candidates with all features, ``probability`` and ``score``.

    Parameters
    ----------
    excluded
        Of the activities that would be candidates of a user but for a rule, the best so many are
        scored too.

    Returns
    -------
    DataFrame
        The columns of ``features.training_examples`` without label and exposure_ts, ``score``
        (what lists are ordered by) and ``probability`` (NULL without a ranker), with a ranker the
        input columns of its pipeline. The rows of a user stand together, in one partition:
        nothing is shuffled after the kernel. Also the columns of
        :func:`activityrec.serving.rules.rule_columns`, and with ``excluded`` the number ``rule``
        of :data:`activityrec.retrieval.eligibility.RULES`, 0 for candidates.
    """
    affinities = [column.name for column in tables.affinity_columns(serving.config.features)]
    candidates = retrieved(serving, sides, affinities, excluded)
    if serving.ranker is None:
        nothing = F.lit(None).cast("double")
        return candidates.withColumns({"probability": nothing, "score": F.col("list_score")})
    scored = probabilities(serving.ranker, candidates, numeric_inputs(serving.ranker))
    return scored.withColumn("score", F.coalesce(serving.ordered_by, F.lit(0.0)))


def retrieved(
    serving: Serving,
    sides: Sides,
    affinities: Sequence[str],
    excluded: int = 0,
    ranks: bool = True,
) -> DataFrame:
    """The candidates before any ranker: all columns but those that it adds, of the affinities
    those named. Without ``ranks`` the places that retrievers give are NaN. The rows of a user
    stand together."""
    users = _users(serving, sides)
    passed = [*serving.users.columns, *rule_columns(serving.config.rules)]
    kept = candidate_fields(list(sides.live.vectors), list(affinities))
    fields = ", ".join([f"{name}: DOUBLE" for name in kept] + ["rule: INT"] * bool(excluded))
    schema = ", ".join(
        [
            *[f"{f.name} {f.dataType.simpleString()}" for f in users.select(*passed).schema],
            f"candidates ARRAY<STRUCT<activity_id: STRING, {fields}>>",
        ]
    )
    live = spread(users.sparkSession, sides.live)
    limit = serving.config.recommend.candidates
    mapper = candidate_mapper(live, passed, list(affinities), limit, ranks, excluded)
    return (
        users.mapInArrow(mapper, schema)
        .select(*passed, F.inline("candidates"))
        .join(F.broadcast(serving.activities.drop("snapshot_date")), on="activity_id", how="inner")
    )


def sides(serving: Serving) -> Sides:
    """Collect the live activities, and gather the histories of the users on their products."""
    planning_days = serving.config.recommend.planning_days
    # What orders the candidates of users whom no retriever knows.
    popular = F.coalesce("type_response_rate", F.col("responders").cast("double"))
    live = live_activities(serving.history.activities, serving.as_of, planning_days)
    channel = ["channel"] if serving.config.rules.consent else []
    rows = (
        live.select("activity_id", "target", *channel)
        .join(
            serving.activities.select("activity_id", popular.alias("popularity")),
            on="activity_id",
            how="left",
        )
        .orderBy("activity_id")
        .collect()
    )
    items = serving.snapshots.items([row["activity_id"] for row in rows])
    ids, weights = items.side.activity_ids, serving.config.retrieval.weights
    vectors = activity_sides(serving.activity_vectors, ids, list(weights))
    conditions = user_conditions(rows, serving.config)
    popularity = np.array([row["popularity"] or 0.0 for row in rows])
    activities = LiveActivities(
        items.side,
        vectors.get(serving.fitted) or no_sides(list(weights), len(ids)),
        weights,
        popularity / (1 + popularity.max(initial=0.0)),
        tuple(Barrier(condition.rule, condition.activities) for condition in conditions),
        pinned_numbers(ids, serving.config.rules),
    )
    return Sides(activities, items, serving.snapshots.histories(items), conditions)


def _users(serving: Serving, sides: Sides) -> DataFrame:
    """The users' side of the kernel: one row a user."""
    vectors = users_side(serving.user_vectors, list(sides.live.vectors)).drop("fitted_date")
    barred, barred_unknown = barred_by(sides.conditions)
    favoured, favoured_unknown = favoured_by(serving.config.rules)
    profile = serving.history.users.select(
        "user_id", barred.alias("_barred"), favoured.alias("_favoured")
    )
    # Few bytes and much work: scanned as they lie, or joined with what is broadcast, all users may
    # be one task.
    users = serving.users.repartition("user_id")
    joined = (
        # Of one snapshot: by its day too they would be shuffled once more.
        users.join(sides.histories.drop("snapshot_date"), on="user_id", how="inner")
        .join(vectors, on="user_id", how="left")
        .join(profile, on="user_id", how="left")
    )
    for rows in _masks(serving, sides.live):
        joined = joined.join(rows, on="user_id", how="left")
    none = F.array().cast(NUMBERS)
    return joined.withColumns(
        {
            CELL_RULES["answered"]: F.coalesce("_answered", none),
            CELL_RULES["frequency_cap"]: F.coalesce("_capped", none)
            if "_capped" in joined.columns
            else none,
            "barred_by": F.coalesce("_barred", barred_unknown),
            "favoured_by": F.coalesce("_favoured", favoured_unknown),
        }
    ).drop("_answered", "_capped", "_barred", "_favoured")


def _masks(serving: Serving, live: LiveActivities) -> list[DataFrame]:
    """What each user has answered and was shown, as far as rules ask for it; by user_id."""
    rules, history = serving.config.rules, serving.history
    numbers = [(name, place) for place, name in enumerate(live.side.activity_ids)]
    known = history.events.sparkSession.createDataFrame(
        numbers, "activity_id STRING, activity_no INT"
    )
    found = [_answered(serving, known)]
    if rules.frequency_cap:
        found.append(capped(history, rules.frequency_cap, known))
    if rules.contact_limit:
        found.append(rooms(history, rules.contact_limit))
    return found


def _answered(serving: Serving, known: DataFrame) -> DataFrame:
    """(user_id, _answered): numbers of the live activities that each user has answered."""
    if not serving.config.recommend.exclude_answered:
        known = known.limit(0)
    return (
        responses_of(serving.history.events, serving.config.response)
        .join(F.broadcast(known), on="activity_id", how="inner")
        .groupBy("user_id")
        .agg(F.sort_array(F.collect_set("activity_no")).alias("_answered"))
    )
