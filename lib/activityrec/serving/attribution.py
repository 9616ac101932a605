"""Which publication an exposure belongs to, and whether the pair was in it."""

from dataclasses import dataclass
from datetime import date, timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import ResponseConfig
from activityrec.features.history import History
from activityrec.features.outcomes import outcomes
from activityrec.lakehouse import Lakehouse
from activityrec.tables import Table

RECOMMENDED, AUDIENCE, NOT_RECOMMENDED = "recommended", "audience", "not_recommended"
EXPIRED, UNPUBLISHED = "expired", "unpublished"

PAIR = ["run_id", "user_id", "activity_id"]


@dataclass(frozen=True)
class Published:
    """``serving.publications``, ``serving.recommendations`` and ``serving.audiences``."""

    publications: DataFrame
    lists: DataFrame
    audiences: DataFrame

    @staticmethod
    def read(lakehouse: Lakehouse) -> "Published":
        """Empty ones where nothing was made or published yet."""

        def rows_of(table: Table) -> DataFrame:
            if lakehouse.exists(table):
                return lakehouse.read(table)
            return lakehouse.spark.createDataFrame([], table.row_type)

        names = (tables.PUBLICATIONS, tables.RECOMMENDATIONS, tables.AUDIENCES)
        return Published(*[rows_of(table) for table in names])


def known_feedback(history: History, response: ResponseConfig, days: int) -> DataFrame:
    """The exposures of the last ``days`` days and what is known of them at ``history.until``.

    Returns
    -------
    DataFrame
        user_id, activity_id, ``activity_type`` (NULL: the activity is not in
        ``clean.activities``), exposure_ts, ``closed`` (whether the response window closed by
        then; never, where the activity is not known), ``closes_ts``, and ``label`` (1: answered
        inside the window; 0 while it is open: an answer that came early says nothing of the rate).

    Raises
    ------
    ContractError
        See :func:`activityrec.features.outcomes.outcomes`.
    """
    since = F.lit(history.until - timedelta(days=days)).cast("timestamp")
    shown = history.exposures.where(F.col("exposure_ts") >= since)
    # A response comes after its exposure.
    later = history.events.where(F.col("event_ts") >= since)
    known = outcomes(shown, history.activities, later, response)
    unknown = shown.join(
        F.broadcast(history.activities.select("activity_id")), on="activity_id", how="left_anti"
    ).select("user_id", "activity_id", "exposure_ts")
    everything = known.unionByName(unknown, allowMissingColumns=True)
    end = F.lit(history.until).cast("timestamp")
    closed = F.coalesce(F.col("closes_ts") <= end, F.lit(False))
    label = (closed & F.col("response_ts").isNotNull()).cast("int")
    return everything.withColumns({"closed": closed, "label": label}).drop("response_ts")


def attributed(exposed: DataFrame, published: Published, until: date) -> DataFrame:
    """Add what the publication that was current at its time says of each exposure.

    Publications are few, exposures pass by them once; then each meets the row of its pair.

    Parameters
    ----------
    exposed
        With user_id, activity_id and exposure_ts, all before the day ``until``.

    Returns
    -------
    DataFrame
        Also ``attribution`` (see ``serving.performance``), ``run_id`` and ``model`` of the
        publication (NULL: there was none), ``probability`` of the list or else of the audience,
        and of the list ``rank``, ``propensity`` and ``codes`` (ARRAY<STRING>); NULL: not in it.
    """
    # Rows of runs that were never published need not be moved.
    runs = F.broadcast(published.publications.select("run_id").distinct())
    lists = published.lists.join(runs, on="run_id", how="left_semi").select(
        *PAIR, "rank", "propensity", "probability", F.col("reason_codes.code").alias("codes")
    )
    audiences = published.audiences.join(runs, on="run_id", how="left_semi").select(
        *PAIR, F.col("probability").alias("_probability"), F.lit(True).alias("_sent")
    )
    kept = published.lists.select("run_id").distinct().withColumn("_kept", F.lit(True))
    found = (
        _with_publication(exposed, published.publications, until)
        .join(F.broadcast(kept), on="run_id", how="left")
        .join(lists, on=PAIR, how="left")
        .join(audiences, on=PAIR, how="left")
    )
    return found.withColumns(
        {
            "attribution": _attribution(),
            "probability": F.coalesce("probability", "_probability"),
        }
    ).drop("_kept", "_sent", "_probability")


def _with_publication(exposed: DataFrame, publications: DataFrame, until: date) -> DataFrame:
    """Add run_id and model of the publication that was current, NULL before the first.

    Each day meets its publications by hash, and the instant decides among these.
    """
    end = F.lit(until).cast("timestamp")
    one = F.struct(F.col("published_ts").alias("_from"), "run_id", "model")
    # Publications are few: all of them in one row.
    ordered = publications.where(F.col("published_ts") < end).agg(
        F.sort_array(F.collect_list(one)).alias("_all")
    )
    following = F.get("_all", F.col("_place") + 1)["_from"]
    spans = ordered.select("_all", F.posexplode("_all").alias("_place", "_one")).select(
        "_one.*", F.coalesce(following, end).alias("_next")
    )
    by_day = spans.withColumn("_day", F.explode(F.sequence(F.to_date("_from"), F.to_date("_next"))))
    exposure = F.col("exposure_ts")
    current = (
        (F.to_date(exposure) == F.col("_day"))
        & (exposure >= F.col("_from"))
        & (exposure < F.col("_next"))
    )
    joined = exposed.join(F.broadcast(by_day), on=current, how="left")
    return joined.drop("_day", "_from", "_next")


def _attribution() -> Column:
    return (
        F.when(F.col("run_id").isNull(), UNPUBLISHED)
        .when(F.col("_kept").isNull(), EXPIRED)
        .when(F.col("rank").isNotNull(), RECOMMENDED)
        .when(F.col("_sent").isNotNull(), AUDIENCE)
        .otherwise(NOT_RECOMMENDED)
    )
