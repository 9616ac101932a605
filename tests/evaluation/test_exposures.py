"""Later exposures are scored with frozen models on the features of their own day."""

from datetime import date, datetime, timedelta

import pytest
from pyspark.sql import Row, SparkSession

from activityrec.config import Config
from activityrec.evaluation.exposures import LaterExposures, scored_exposures
from activityrec.features.history import History
from activityrec.serving.candidates import Serving
from tests.stand_ins import serving_of

DAY = date(2024, 5, 10)
HORIZON = 20


def may(day: int, hour: int = 0) -> datetime:
    return datetime(2024, 5, 1) + timedelta(days=day - 1, hours=hour)


def _history(spark: SparkSession, until: date) -> History:
    """A user buys tea for 3 before DAY, for 5 after it, and for 100 on the day of the mailing."""
    events = [
        ("u", "purchase", may(2), "tea", None, 1.0, 3.0),
        ("u", "answer", may(3), None, "before", None, None),
        ("u", "purchase", may(14), "tea", None, 1.0, 5.0),
        ("u", "purchase", may(15), "tea", None, 1.0, 100.0),
        ("u", "answer", may(20), None, "answered", None, None),
        ("u", "answer", may(25), None, "too late", None, None),
        # The data end at noon of the 28th.
        ("u", "purchase", may(28, 12), None, None, None, None),
    ]
    exposures = [
        ("u", "before", may(2)),
        ("u", "answered", may(15)),
        ("u", "too late", may(15)),
        ("u", "open at the end", may(20)),
        ("v", "answered", may(10)),
        ("u", "beyond the horizon", may(30)),
    ]
    spans = {
        "before": (may(1), may(9)),
        "answered": (may(10), may(28, 12)),
        "too late": (may(15), may(25)),
        "open at the end": (may(10), may(28, 13)),
        "beyond the horizon": (may(10), may(40)),
    }
    end = datetime.combine(until, datetime.min.time())
    return History(
        until=until,
        users=spark.createDataFrame(
            [("u",), ("v",)], "user_id STRING"
        ).selectExpr("*", "INT(NULL) AS age", "STRING(NULL) AS gender",
                     "CAST(NULL AS MAP<STRING, STRING>) AS attributes"),
        products=spark.createDataFrame([("tea", "hot")], "product_id STRING, category STRING"),
        activities=spark.createDataFrame(
            [(name, "gift", *span, None) for name, span in spans.items()],
            "activity_id STRING, activity_type STRING, start_ts TIMESTAMP, end_ts TIMESTAMP, "
            "target MAP<STRING, ARRAY<STRING>>",
        ),
        activity_products=spark.createDataFrame(
            [(name, None, "tea") for name in ("answered", "too late")],
            "activity_id STRING, offer_id STRING, product_id STRING",
        ),
        events=spark.createDataFrame(
            [row for row in events if row[2] < end],
            "user_id STRING, event_type STRING, event_ts TIMESTAMP, product_id STRING, "
            "activity_id STRING, quantity DOUBLE, amount DOUBLE",
        ),
        exposures=spark.createDataFrame(
            [row for row in exposures if row[2] < end],
            "user_id STRING, activity_id STRING, exposure_ts TIMESTAMP",
        ),
    )  # fmt: skip


@pytest.fixture(scope="module")
def serving(spark: SparkSession, planted_config: Config) -> Serving:
    evaluate = planted_config.evaluate.model_copy(update={"horizon_days": HORIZON})
    config = planted_config.model_copy(update={"evaluate": evaluate})
    return serving_of(_history(spark, DAY), config, {"u": [1.0, 2.0]}, {"answered": [3.0, 0.5]})


@pytest.fixture(scope="module")
def found(spark: SparkSession, serving: Serving) -> dict[tuple[str, str], Row]:
    full = _history(spark, date(2024, 6, 30))
    learnt = spark.createDataFrame(
        [("gift", 1), ("gift", 0), ("gift", 0)], "activity_type STRING, label INT"
    )
    later = LaterExposures.after(serving, full).examples(serving)
    champion = spark.createDataFrame(
        [("u", "answered", may(15), 0.25)],
        "user_id STRING, activity_id STRING, exposure_ts TIMESTAMP, champion DOUBLE",
    )
    rows = scored_exposures(serving, later, full, learnt, champion).collect()
    return {(row["user_id"], row["activity_id"]): row for row in rows}


def test_the_exposures_of_the_horizon_have_their_labels(found: dict) -> None:
    assert {key: row["label"] for key, row in found.items()} == {
        ("v", "answered"): 0,
        ("u", "answered"): 1,
        ("u", "too late"): 0,
        ("u", "open at the end"): 0,
    }


def test_windows_that_close_after_the_data_are_censored(found: dict) -> None:
    assert {activity: row["censored"] for (_, activity), row in found.items()} == {
        "answered": False,
        "too late": False,
        "open at the end": True,
    }


def test_features_are_of_the_day_and_models_of_as_of(found: dict) -> None:
    row = found["u", "answered"]
    # Money from before the day of the exposure: 3 and 5, not the 100 of that day.
    assert row["affinity"] == 8.0
    # 1 × 3 + 2 × 0.5 by the factors of as_of.
    assert row["scores"]["als"] == 4.0
    assert found["v", "answered"]["scores"]["als"] == 0.0
    assert row["popularity"] == pytest.approx(1 / 3)
    # One exposure of one user had closed, and it was answered.
    assert row["past_rate"] == 1.0
    assert row["ranker"] is None


def test_without_anything_learnt_there_is_no_rate_to_call_popularity(
    spark: SparkSession, serving: Serving
) -> None:
    """The table holds a probability there; a number of responders is none."""
    full = _history(spark, date(2024, 6, 30))
    later = LaterExposures.after(serving, full).examples(serving)
    rows = scored_exposures(serving, later, full, None).collect()
    assert {row["popularity"] for row in rows} == {None}
    assert {row["champion"] for row in rows} == {None}, "there is no other model"


def test_slices_say_who_and_what_is_new(found: dict) -> None:
    assert {key: row["slices"]["user"] for key, row in found.items() if key[1] == "answered"} == {
        ("u", "answered"): "known",
        ("v", "answered"): "new",
    }
    assert {key[1]: row["slices"]["activity"] for key, row in found.items() if key[0] == "u"} == {
        "answered": "new",
        "too late": "new",
        "open at the end": "new",
    }
    assert found["u", "answered"]["slices"]["week"] == "2024-05-13"
    assert found["u", "answered"]["slices"]["activity_type"] == "gift"


def test_the_champion_scores_the_same_exposures(found: dict) -> None:
    scored = {key: row["champion"] for key, row in found.items() if row["champion"] is not None}
    assert scored == {("u", "answered"): 0.25}
