"""All feature rows of a set of snapshots, from one history."""

from dataclasses import dataclass, replace
from datetime import date

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.config import Config
from activityrec.features.activities import activity_features
from activityrec.features.eligible import EligibleItems, eligible_items
from activityrec.features.history import History
from activityrec.features.pairs import (
    histories,
    pair_features,
)
from activityrec.features.users import KEY, user_features


@dataclass(frozen=True)
class Snapshots:
    """Features of users and activities at the snapshots of a population.

    Attributes
    ----------
    population
        (snapshot_date, user_id): the user rows.
    history
        The clean tables as they were known after the last snapshot.
    daily, outcomes
        ``user_daily`` and the outcomes of exposures of that history.
    log_start
        The first day of the log.
    """

    population: DataFrame
    history: History
    daily: DataFrame
    outcomes: DataFrame
    log_start: date
    config: Config

    def users(self) -> DataFrame:
        """``features.user_features``."""
        return user_features(
            self.population,
            self.daily,
            self.outcomes,
            self.history.users,
            self.config,
            self.log_start,
        )

    def activities(self) -> DataFrame:
        """``features.activity_features``."""
        return activity_features(
            self.population.select("snapshot_date").distinct(),
            self.history.activities,
            self.history.activity_products,
            self.history.products,
            self.daily,
            self.outcomes,
            self.config,
        )

    def pairs(self, pairs: DataFrame) -> DataFrame:
        """``features.user_activity_features`` of (snapshot_date, user_id, activity_id)."""
        rows = pairs.select("activity_id").distinct().orderBy("activity_id").collect()
        items = self.items([row["activity_id"] for row in rows])
        mine = replace(self, population=pairs.select(*KEY).distinct())
        return pair_features(pairs, mine.histories(items), items.side, self.config.features)

    def items(self, activity_ids: list[str]) -> EligibleItems:
        """The activity side of the affinity features."""
        history = self.history
        return eligible_items(
            self.population.sparkSession,
            activity_ids,
            history.activity_products,
            history.products,
        )

    def histories(self, items: EligibleItems) -> DataFrame:
        """The users' side of the affinity features."""
        return histories(self.population, self.daily, items, self.config.features)


def exposed_pairs(outcomes: DataFrame) -> DataFrame:
    """(snapshot_date, user_id, activity_id) of exposures, at the snapshot of their day."""
    day = F.to_date("exposure_ts").alias("snapshot_date")
    return outcomes.select(day, "user_id", "activity_id").distinct()
