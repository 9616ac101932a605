"""Features of training examples equal those computed by hand from the source files."""

import json
import math
from collections import defaultdict
from datetime import date, datetime
from pathlib import Path

import pytest
from pyspark.sql import Row

from activityrec import tables
from activityrec.job import Job
from tests.planted import START


class ByHand:
    """The sources, and the features of one exposure in plain Python."""

    def __init__(self, folder: Path) -> None:
        read = lambda name: [  # noqa: E731
            json.loads(line) for line in (folder / f"{name}.json").read_text().splitlines()
        ]
        self.purchases = read("purchases")
        self.answers = read("answers")
        self.sent = read("sent")
        self.users = {row["user"]: row for row in read("users")}
        self.activities = {row["activity"]: row for row in read("activities")}
        self.category = {row["product"]: row["category"] for row in read("products")}
        self.eligible = defaultdict(set)
        for row in read("offers"):
            self.eligible[row["activity"]].add(row["product"])

    def before(self, rows: list[dict], day: date) -> list[dict]:
        return [row for row in rows if _day(row["at"]) < day]

    def outcomes(self, day: date) -> list[tuple[str, str, bool, bool, str]]:
        """(user, kind, answered, closed, activity) of the exposures before a day, as known then."""
        known = self.before(self.answers, day)
        answered = {(row["user"], row["activity"]) for row in known}
        return [
            (
                row["user"],
                self.activities[row["activity"]]["kind"],
                (row["user"], row["activity"]) in answered,
                _day(self.activities[row["activity"]]["to"]) <= day,
                row["activity"],
            )
            for row in self.before(self.sent, day)
        ]

    def features(self, user: str, activity: str, day: date) -> dict[str, float | None]:
        mine = [row for row in self.before(self.purchases, day) if row["user"] == user]
        found: dict[str, float | None] = {"observed_days": (day - START).days}
        for suffix, span in (("7d", 7), ("30d", 30), ("all", 10_000)):
            recent = [row for row in mine if (day - _day(row["at"])).days <= span]
            found[f"purchase_count_{suffix}"] = len(recent)
            found[f"purchase_amount_{suffix}"] = sum(row["paid"] for row in recent)
            found[f"purchase_products_{suffix}"] = len({row["product"] for row in recent})
            found[f"purchase_days_{suffix}"] = len({_day(row["at"]) for row in recent})
        days = {_day(row["at"]) for row in mine}
        found["purchase_recency_days"] = (day - max(days)).days if days else None
        found["purchase_frequency"] = len(days) / (day - START).days
        return found | self.response(user, activity, day) | self.affinity(mine, activity, day)

    def response(self, user: str, activity: str, day: date) -> dict[str, float | None]:
        known = self.outcomes(day)
        mine = [row for row in known if row[0] == user]
        closed = [row for row in known if row[3]]
        kind = [row for row in closed if row[1] == self.activities[activity]["kind"]]
        base = sum(row[2] for row in closed) / len(closed) if closed else None
        own = [row for row in mine if row[3]]

        itself = [row for row in closed if row[4] == activity]

        def smoothed(rows: list, prior: float, above: float | None = base) -> float | None:
            if above is None:
                return None
            return (sum(row[2] for row in rows) + prior * above) / (len(rows) + prior)

        of_kind = smoothed(kind, 20.0)
        return {
            "shown": len(mine),
            "answered": sum(row[2] for row in mine),
            "response_rate": smoothed(own, 3.0),
            "type_exposures": len(kind),
            "type_response_rate": of_kind,
            "activity_exposures": len(itself),
            "activity_response_rate": smoothed(itself, 20.0, of_kind),
        }

    def affinity(self, mine: list[dict], activity: str, day: date) -> dict[str, float | None]:
        eligible = self.eligible[activity]
        categories = {self.category[product] for product in eligible}
        scopes = {
            "eligible": [row for row in mine if row["product"] in eligible],
            "category": [row for row in mine if self.category[row["product"]] in categories],
        }
        spent = sum(row["paid"] for row in mine)
        found: dict[str, float | None] = {"eligible_products": len(eligible)}
        for scope, rows in scopes.items():
            amount = sum(row["paid"] for row in rows)
            found[f"purchase_{scope}_count"] = len(rows)
            found[f"purchase_{scope}_amount"] = amount
            found[f"purchase_{scope}_share"] = amount / spent if spent else 0
            found[f"purchase_{scope}_products"] = len({row["product"] for row in rows})
        recent = [row for row in scopes["eligible"] if (day - _day(row["at"])).days <= 30]
        found["purchase_eligible_count_30d"] = len(recent)
        found["purchase_eligible_amount_30d"] = sum(row["paid"] for row in recent)
        found["price_level"] = self.price_level(eligible, day)
        return found

    def price_level(self, eligible: set[str], day: date) -> float | None:
        paid, units = defaultdict(float), defaultdict(float)
        for row in self.before(self.purchases, day):
            paid[row["product"]] += row["paid"]
            units[row["product"]] += row["units"]
        sold = [math.log1p(paid[p] / units[p]) for p in eligible if p in units]
        return sum(sold) / len(sold) if sold else None


def _day(text: str) -> date:
    return datetime.fromisoformat(text).date()


@pytest.fixture(scope="module")
def examples(planted_run: Job) -> list[Row]:
    table = tables.training_examples(planted_run.config)
    rows = planted_run.lakehouse.read(table)
    return rows.orderBy("exposure_ts", "user_id", "activity_id").collect()


def test_features_equal_those_by_hand(planted: Path, examples: list[Row]) -> None:
    by_hand = ByHand(planted)
    chosen = examples[::5]
    assert len(chosen) == 64
    for row in chosen:
        day = row["exposure_ts"].date()
        assert row["snapshot_date"] == day
        wanted = by_hand.features(row["user_id"], row["activity_id"], day)
        found = {name: row[name] for name in wanted}
        assert found == pytest.approx(wanted), (row["user_id"], row["activity_id"], day)


def test_every_closed_exposure_is_an_example_with_its_label(
    planted: Path, planted_run: Job, examples: list[Row]
) -> None:
    by_hand = ByHand(planted)
    answers = {(row["user"], row["activity"]) for row in by_hand.answers}
    wanted = {
        (row["user"], row["activity"]): int((row["user"], row["activity"]) in answers)
        for row in by_hand.sent
        if _day(by_hand.activities[row["activity"]]["to"]) <= planted_run.as_of
    }
    assert {(row["user_id"], row["activity_id"]): row["label"] for row in examples} == wanted


def test_profile_becomes_bands_and_known_values(planted: Path, examples: list[Row]) -> None:
    row = examples[0]
    user = ByHand(planted).users[row["user_id"]]
    lower, upper = row["age_band"].split("-")
    assert int(lower) <= user["age"] <= int(upper)
    assert row["attribute_city"] == user["city"]
    assert row["gender"] == "unknown"
