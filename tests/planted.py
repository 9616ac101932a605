"""A small shop with a planted truth: users of two tastes, and activities for either.

Users with an even number like products of category ``tea``, the others ``coffee``. An activity
covers products of one category; a user answers it if it is of their taste and they are keen,
which shows in how much they buy, and nearly in where they live. So any sound method finds who
answers what.
"""

import json
import random
from datetime import date, datetime, timedelta
from pathlib import Path

import yaml

from activityrec.config import Config
from activityrec.ranking.inputs import default_inputs

START = date(2024, 1, 1)
AS_OF = date(2024, 5, 1)
END = date(2024, 7, 1)
USERS = 60
PRODUCTS = 24
ACTIVITIES = 16
"""One starts every ten days, the first after 30 days, and lasts for 14 days."""


def taste(number: int) -> str:
    return "tea" if number % 2 == 0 else "coffee"


def keen(user: int) -> bool:
    return user % 3 == 0


def city(user: int) -> str:
    return "north" if keen(user) or user % 7 == 0 else "south"


def start_of(activity: int) -> date:
    return START + timedelta(days=30 + 10 * activity)


def write_planted(folder: Path) -> Path:
    """Write the sources as JSON lines and ``planted.yaml`` beside them."""
    generator = random.Random(7)
    rows: dict[str, list[dict]] = {
        "users": [{"user": f"u{u}", "age": 20 + u % 50, "city": city(u)} for u in range(USERS)],
        "products": [
            {"product": f"p{p}", "category": taste(p), "price": 2 + p % 5} for p in range(PRODUCTS)
        ],
        "activities": [],
        "offers": [],
        "purchases": [],
        "answers": [],
        "sent": [],
    }
    for activity in range(ACTIVITIES):
        begin = start_of(activity)
        rows["activities"].append(
            {
                "activity": f"a{activity}",
                "kind": "discount" if activity % 3 else "gift",
                "from": f"{begin}T00:00:00",
                "to": f"{begin + timedelta(days=14)}T00:00:00",
            }
        )
        covered = [p for p in range(PRODUCTS) if taste(p) == taste(activity)]
        for place, product in enumerate(generator.sample(covered, 8)):
            rows["offers"].append(
                {"activity": f"a{activity}", "offer": f"o{place % 2}", "product": f"p{product}"}
            )
        for user in generator.sample(range(USERS), 40):
            rows["sent"].append(
                {"user": f"u{user}", "activity": f"a{activity}", "at": f"{begin}T00:00:00"}
            )
            likes = taste(user) == taste(activity)
            if generator.random() < (0.9 if likes and keen(user) else 0.15 if likes else 0.03):
                at = datetime.combine(begin, datetime.min.time()) + timedelta(
                    days=generator.randrange(10), hours=12
                )
                if at.date() < END:
                    rows["answers"].append(
                        {"user": f"u{user}", "activity": f"a{activity}", "at": at.isoformat()}
                    )
    purchase = 0
    for user in range(USERS):
        for day in range((END - START).days):
            if generator.random() < (0.5 if keen(user) else 0.2):
                liked = [p for p in range(PRODUCTS) if taste(p) == taste(user)]
                anything = range(PRODUCTS)
                product = generator.choice(liked if generator.random() < 0.9 else anything)
                at = datetime.combine(START, datetime.min.time()) + timedelta(
                    days=day, hours=generator.randrange(24)
                )
                rows["purchases"].append(
                    {
                        "id": purchase,
                        "user": f"u{user}",
                        "product": f"p{product}",
                        "at": at.isoformat(),
                        "units": 1 + purchase % 3,
                        "paid": (1 + purchase % 3) * (2 + product % 5),
                    }
                )
                purchase += 1
    for name, lines in rows.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    (folder / "planted.yaml").write_text(yaml.safe_dump(configuration()), encoding="utf-8")
    return folder


def configuration() -> dict:
    """The YAML of the planted data set, as Python; tests change a copy of it."""

    def source(name: str, /, **columns: str) -> dict:
        return {"format": "json", "path": f"{name}.json", "columns": columns}

    raw: dict = {
        "name": "planted",
        "lakehouse": {"root": "lakehouse"},
        "tracking": {"uri": "sqlite:///mlflow.db", "artifacts": "mlflow"},
        "sources": {
            "users": [source("users", user_id="user", age="age", attributes="map('city', city)")],
            "products": [source("products", product_id="product", category="category")],
            "activities": [
                source(
                    "activities",
                    activity_id="activity",
                    activity_type="kind",
                    name="concat('Activity ', activity)",
                    start_ts="timestamp(`from`)",
                    end_ts="timestamp(`to`)",
                )
            ],
            "activity_products": [
                source("offers", activity_id="activity", offer_id="offer", product_id="product")
            ],
            "events": [
                source(
                    "purchases",
                    event_id="concat('purchase-', id)",
                    user_id="user",
                    event_type="'purchase'",
                    event_ts="timestamp(at)",
                    product_id="product",
                    quantity="units",
                    amount="paid",
                ),
                source(
                    "answers",
                    event_id="concat_ws('-', 'answer', user, activity)",
                    user_id="user",
                    event_type="'answer'",
                    event_ts="timestamp(at)",
                    activity_id="activity",
                ),
            ],
            "exposures": [
                source("sent", user_id="user", activity_id="activity", exposure_ts="timestamp(at)")
            ],
        },
        "attributes": {"users": {"city": {"type": "categorical"}}},
        "response": {"event_types": ["answer"]},
        "interactions": {"weights": {"purchase": 1.0, "answer": 1.0}},
        "features": {
            "event_types": ["purchase", "answer"],
            "purchase_type": "purchase",
            "affinity_types": ["purchase"],
            "affinity_windows": [30],
            "windows": [7, 30],
        },
        "retrieval": {
            "methods": {"als": 1.0, "history": 0.5},
            "refit_days": 75,
            "als": {"rank": 4, "max_iter": 4, "blocks": 1},
        },
        "ranker": {"logistic": {"penalty": 3.0}, "min_history_days": 25},
        "recommend": {"k": 3, "planning_days": 15, "audience_size": 20},
        "evaluate": {"horizon_days": 55, "k": [1, 3], "min_answers": 3, "min_slice_users": 10},
        # Affinity is nearly the planted truth, and 60 users cannot tell the ranker from it.
        "promote": {
            "min_rows": 100,
            "min_positives": 20,
            "baselines": ["popularity", "past_rate"],
        },
    }
    # 320 examples are too few for one-hot columns beside these.
    raw["ranker"]["inputs"] = default_inputs(Config.model_validate(raw))
    return raw
