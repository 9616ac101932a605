"""Candidates: every user with the live activities that they may be recommended, scored."""

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from pyspark.ml import PipelineModel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import Config
from activityrec.features.attributes import age_band
from activityrec.features.history import History
from activityrec.features.outcomes import responses_of
from activityrec.features.pairs import EligibleItems
from activityrec.features.snapshots import Snapshots
from activityrec.ingest.horizon import live_activities
from activityrec.ranking.pipeline import probabilities
from activityrec.retrieval.kernel import LiveActivities, candidate_fields, candidate_mapper
from activityrec.retrieval.sides import activity_sides, no_sides, users_side
from activityrec.retrieval.spread import spread


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
        mine = self.users.join(users, on="user_id", how="left_semi")
        population = mine.select("snapshot_date", "user_id")
        limit = 2**31 if every_activity else self.config.recommend.candidates
        recommend = self.config.recommend.model_copy(update={"candidates": limit})
        return replace(
            self,
            config=self.config.model_copy(update={"recommend": recommend}),
            users=mine,
            snapshots=replace(self.snapshots, population=population),
        )


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
    """

    live: LiveActivities
    items: EligibleItems
    histories: DataFrame


def scored_candidates(serving: Serving, sides: Sides) -> DataFrame:
    """Each user's candidates with all features, ``probability`` and ``score``.

    Returns
    -------
    DataFrame
        The columns of ``features.training_examples`` without label and exposure_ts, ``score``
        (what lists are ordered by) and ``probability`` (NULL without a ranker). The rows of a
        user stand together, in one partition: nothing is shuffled after the kernel.
    """
    users = _users(serving, sides)
    affinities = [column.name for column in tables.affinity_columns(serving.config.features)]
    passed = serving.users.columns
    kept = candidate_fields(list(sides.live.vectors), affinities)
    fields = ", ".join(f"{name}: DOUBLE" for name in kept)
    schema = ", ".join(
        [
            *[f"{f.name} {f.dataType.simpleString()}" for f in serving.users.schema],
            f"candidates ARRAY<STRUCT<activity_id: STRING, {fields}>>",
        ]
    )
    live = spread(users.sparkSession, sides.live)
    mapper = candidate_mapper(live, passed, affinities, serving.config.recommend.candidates)
    candidates = (
        users.mapInArrow(mapper, schema)
        .select(*passed, F.inline("candidates"))
        .join(F.broadcast(serving.activities.drop("snapshot_date")), on="activity_id", how="inner")
    )
    if serving.ranker is None:
        nothing = F.lit(None).cast("double")
        return candidates.withColumns({"probability": nothing, "score": F.col("list_score")})
    scored = probabilities(serving.ranker, candidates)
    return scored.withColumn("score", F.coalesce(serving.ordered_by, F.lit(0.0)))


def sides(serving: Serving) -> Sides:
    """Collect the live activities, and gather the histories of the users on their products."""
    planning_days = serving.config.recommend.planning_days
    # What orders the candidates of users whom no retriever knows.
    popular = F.coalesce("type_response_rate", F.col("responders").cast("double"))
    live = live_activities(serving.history.activities, serving.as_of, planning_days)
    rows = (
        live.select("activity_id", "target")
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
    groups = _target_groups(rows)
    popularity = np.array([row["popularity"] or 0.0 for row in rows])
    activities = LiveActivities(
        items.side,
        vectors.get(serving.fitted) or no_sides(list(weights), len(ids)),
        weights,
        popularity / (1 + popularity.max(initial=0.0)),
        np.array([groups.index(row["target"]) if row["target"] else -1 for row in rows]),
    )
    return Sides(activities, items, serving.snapshots.histories(items))


def _target_groups(rows: list) -> list[dict[str, list[str]]]:
    groups: list[dict[str, list[str]]] = []
    for row in rows:
        if row["target"] and row["target"] not in groups:
            groups.append(row["target"])
    return groups


def _users(serving: Serving, sides: Sides) -> DataFrame:
    """The users' side of the kernel: one row a user."""
    config, history, live = serving.config, serving.history, sides.live
    vectors = users_side(serving.user_vectors, list(live.vectors)).drop("fitted_date")
    targets = history.activities.where(
        F.col("activity_id").isin(list(live.side.activity_ids)) & F.col("target").isNotNull()
    )
    groups = _target_groups(
        targets.select("activity_id", "target").orderBy("activity_id").collect()
    )
    outside = [
        F.when(~_in_target(group, config.features.age_bands), F.lit(place))
        for place, group in enumerate(groups)
    ]
    profile = history.users.select(
        "user_id",
        F.array_compact(F.array(*outside)).cast("array<int>").alias("_outside"),
    )
    none = F.array().cast("array<int>")
    everyone_outside = F.array(*[F.lit(place) for place in range(len(groups))]).cast("array<int>")
    return (
        serving.users.join(sides.histories, on=["snapshot_date", "user_id"], how="inner")
        .join(vectors, on="user_id", how="left")
        .join(profile, on="user_id", how="left")
        .join(_answered(serving, live), on="user_id", how="left")
        .withColumns(
            {
                "answered_activities": F.coalesce("_answered", none),
                # A user without a profile is in no target group.
                "outside_targets": F.coalesce("_outside", everyone_outside),
            }
        )
        .drop("_answered", "_outside")
    )


def _in_target(group: dict[str, list[str]], bands: list[int]) -> Column:
    condition = F.lit(True)
    for name, values in group.items():
        value = {
            "age_band": age_band(F.col("age"), bands),
            "gender": F.col("gender"),
        }.get(name, F.col("attributes")[name])
        condition = condition & F.coalesce(value.isin(values), F.lit(False))
    return condition


def _answered(serving: Serving, live: LiveActivities) -> DataFrame:
    """(user_id, _answered): numbers of the live activities that each user has answered."""
    numbers = [(name, place) for place, name in enumerate(live.side.activity_ids)]
    if not serving.config.recommend.exclude_answered:
        numbers = []
    known = serving.history.events.sparkSession.createDataFrame(
        numbers, "activity_id STRING, activity_no INT"
    )
    return (
        responses_of(serving.history.events, serving.config.response)
        .join(F.broadcast(known), on="activity_id", how="inner")
        .groupBy("user_id")
        .agg(F.sort_array(F.collect_set("activity_no")).alias("_answered"))
    )
