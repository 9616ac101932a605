"""Which offers inside an activity: the users who answered one after --as-of, and what they used.

Every offer of the activity is a candidate. Lists are made as of the day on which the activity
starts; relevant is what the user then used. Users who used nothing are not asked. Needs the
tables of a run at --as-of, and clean tables with offers in their events.

    ./spark-submit.sh benchmarks/offers.py --config conf/complete_journey.yaml --as-of 2017-10-01
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.features.daily import user_daily
from activityrec.features.eligible import EligibleItems, eligible_items
from activityrec.features.history import History, before, first_day, last_day, read_history
from activityrec.features.pairs import histories
from activityrec.job import Job, main
from activityrec.serving.offer_scores import Catalogue
from activityrec.serving.offers import average_spend, catalogue, with_best_offers

K = 10
VARIANTS = {
    "offers": {},
    "own money": {"spend_prior": 1e-9, "breadth": 0.0},
    "everybody's money": {"spend_prior": 1e9, "breadth": 0.0},
}
SEED = 17


def compare(job: Job) -> None:
    end = last_day(job.lakehouse.read(tables.EVENTS)) + timedelta(days=1)
    history = read_history(job.lakehouse, end)
    used = used_offers(job, history).persist()
    all_days = user_daily(history.events).persist()
    found: dict[str, list[tuple[float, float]]] = {}
    candidates = 0
    for day, activities in starts(used):
        lists = used.where(F.col("start") == F.lit(day)).select("user_id", "activity_id")
        wanted = {
            (row["user_id"], row["activity_id"]): set(row["used"])
            for row in used.where(F.col("start") == F.lit(day)).collect()
        }
        items = eligible_items(job.spark, activities, history.activity_products, history.products)
        daily = all_days.where(before("event_date", day))
        made = catalogue_at(job, day, history, items, daily)
        population = lists.select(F.lit(day).alias("snapshot_date"), "user_id").distinct()
        past = histories(population, daily, items, job.config.features).persist()
        vectors = job.lakehouse.read(tables.USER_VECTORS).where("false")
        for name, change in VARIANTS.items():
            rows = with_best_offers(
                lists, past, vectors, replace(made, **change),
                job.config.features.purchase_type, K, 1,
            ).collect()  # fmt: skip
            for row in rows:
                key = (row["user_id"], row["activity_id"])
                found.setdefault(name, []).append(quality(row["offers"], wanted[key]))
        generator = np.random.default_rng(SEED)
        for (_, activity), relevant in sorted(wanted.items()):
            offers = [name for name in made.activities[activity].offer_ids if name]
            candidates += len(offers)
            drawn = generator.permutation(offers)[:K].tolist()
            found.setdefault("random", []).append(quality(drawn, relevant))
    lists_made = len(found["offers"])
    print(f"{lists_made} lists, {candidates / lists_made:.0f} offers on average")
    for name, values in found.items():
        ndcg, recall = np.mean(values, axis=0)
        print(f"{name:20s} ndcg@{K} {ndcg:.4f}  recall@{K} {recall:.4f}", flush=True)


def used_offers(job: Job, history: History) -> DataFrame:
    """user_id, activity_id, start, ``used``: the offers of activities that start in the horizon."""
    until = job.as_of + timedelta(days=job.config.evaluate.horizon_days)
    start = F.to_date("start_ts").alias("start")
    later = history.activities.select("activity_id", start, "start_ts").where(
        F.col("start").between(F.lit(job.as_of), F.lit(until))
    )
    return (
        history.events.where(F.col("event_type").isin(job.config.response.event_types))
        .where("offer_id IS NOT NULL")
        .join(F.broadcast(later), on="activity_id", how="inner")
        .where("event_ts >= start_ts")
        .groupBy("user_id", "activity_id", "start")
        .agg(F.collect_set("offer_id").alias("used"))
    )


def starts(used: DataFrame) -> Iterator[tuple[date, list[str]]]:
    """The days, and the activities that start on each."""
    rows = used.groupBy("start").agg(F.sort_array(F.collect_set("activity_id")).alias("ids"))
    for row in rows.orderBy("start").collect():
        yield row["start"], row["ids"]


def catalogue_at(
    job: Job, day: date, history: History, items: EligibleItems, daily: DataFrame
) -> Catalogue:
    users = daily.select("user_id").distinct().count()
    spent = average_spend(daily, job.config.features.purchase_type, users)
    vectors = job.lakehouse.read(tables.ITEM_VECTORS).where("false")
    days = (day - first_day(history.events)).days
    return catalogue(items, history.activity_products, vectors, spent, days)


def quality(ranked: list[str], relevant: set[str]) -> tuple[float, float]:
    """NDCG and recall of the first K."""
    hits = np.array([name in relevant for name in ranked[:K]], dtype=float)
    gain = 1 / np.log2(np.arange(K) + 2)
    ideal = gain[: len(relevant)].sum()
    return float(hits @ gain[: len(hits)] / ideal), float(hits.sum() / len(relevant))


if __name__ == "__main__":
    main([], __doc__, finish=compare)
