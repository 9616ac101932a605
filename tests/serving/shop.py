"""A random shop: users with and without profiles, activities, what was shown and answered."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
from pyspark.sql import SparkSession

from activityrec.features.history import History

DAY = date(2024, 5, 10)
USERS, ACTIVITIES = 50, 12


@dataclass
class Shop:
    """Users with (age, vip, sms) or None, activities with (type, channel, city, places)."""

    users: dict[str, tuple | None]
    activities: dict[str, tuple]
    shown: list[tuple[str, str, int]]
    answered: set[tuple[str, str]]
    vectors: dict[str, list[float]]
    sides: dict[str, list[float]]


def random_shop(seed: int) -> Shop:
    draw = np.random.default_rng(seed)
    yes = ("yes", "no")
    users = {
        f"u{u:02d}": None
        if draw.random() < 0.15
        else (int(draw.integers(18, 60)), yes[draw.integers(2)], yes[draw.integers(2)])
        for u in range(USERS)
    }
    activities = {
        f"a{a:02d}": (
            f"type {draw.integers(3)}",
            ("sms", "mail", None)[draw.integers(3)],
            draw.random() < 0.2,
            int(draw.integers(0, 25)) if draw.random() < 0.4 else None,
        )
        for a in range(ACTIVITIES)
    }
    shown = [
        (user, activity, int(day))
        for user in users
        for activity in activities
        for day in draw.integers(1, 20, draw.integers(0, 3))
    ]
    pairs = [(u, a) for u in users for a in activities]
    answered = {pairs[n] for n in draw.integers(0, len(pairs), 60)}
    return Shop(
        users,
        activities,
        shown,
        answered,
        {u: draw.normal(size=3).tolist() for u in users},
        {a: draw.normal(size=3).tolist() for a in activities},
    )


def history_of(spark: SparkSession, shop: Shop) -> History:
    noon = datetime(DAY.year, DAY.month, DAY.day, 12)
    profiles = [
        (u, p[0], None, {"vip": p[1], "sms": p[2]}) for u, p in shop.users.items() if p is not None
    ]
    activities = [
        (a, kind, channel, noon - timedelta(30), noon + timedelta(5),
         {"vip": ["yes"]} if vip else None,
         None if places is None else {"places": str(places)})
        for a, (kind, channel, vip, places) in shop.activities.items()
    ]  # fmt: skip
    events = [
        (u, "answer", noon - timedelta(3), None, a, None, None) for u, a in sorted(shop.answered)
    ]
    # In the morning of DAY minus n: n days before, and inside a window of n days.
    exposures = [(u, a, noon - timedelta(n, seconds=10 * i)) for i, (u, a, n)
                 in enumerate(shop.shown)]  # fmt: skip
    return History(
        until=DAY,
        users=spark.createDataFrame(
            profiles, "user_id STRING, age INT, gender STRING, attributes MAP<STRING, STRING>"
        ),
        products=spark.createDataFrame([], "product_id STRING, category STRING"),
        activities=spark.createDataFrame(
            activities,
            "activity_id STRING, activity_type STRING, channel STRING, start_ts TIMESTAMP, "
            "end_ts TIMESTAMP, target MAP<STRING, ARRAY<STRING>>, attributes MAP<STRING, STRING>",
        ),
        activity_products=spark.createDataFrame(
            [], "activity_id STRING, offer_id STRING, product_id STRING"
        ),
        events=spark.createDataFrame(
            events,
            "user_id STRING, event_type STRING, event_ts TIMESTAMP, product_id STRING, "
            "activity_id STRING, quantity DOUBLE, amount DOUBLE",
        ),
        exposures=spark.createDataFrame(
            exposures, "user_id STRING, activity_id STRING, exposure_ts TIMESTAMP"
        ),
    )
