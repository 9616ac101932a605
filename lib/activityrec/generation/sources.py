"""A world as files: what a deployment would ingest, its YAML, and the truth beside them."""

import json
from typing import Any

import yaml
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec.errors import ConfigError
from activityrec.files import Files
from activityrec.generation.behaviour import events, exposures, responses
from activityrec.generation.campaigns import activities, activity_products
from activityrec.generation.instants import instant
from activityrec.generation.people import products, users
from activityrec.generation.truth import best_auc, best_value
from activityrec.generation.world import World

TRUTH_USERS = 20_000
"""The best policy is valued for about so many users; it looks at every live activity of each."""


def write_world(spark: SparkSession, world: World, folder: str, parts: int) -> dict[str, Any]:
    """Write ``source/*`` (Parquet), ``truth/exposures``, ``truth/truth.json`` and ``world.yaml``.

    The YAML comes last: without it the folder is not whole. A world that was there is replaced.

    Parameters
    ----------
    parts
        Tasks, and files of the large sources. The rows do not depend on it.

    Returns
    -------
    dict
        What ``truth/truth.json`` holds: the world; of the exposures from its ``as_of`` on their
        number, their rate of responses and its expectation (the value of the policy that made
        them), and the best AUC; the value of the best policy on that day. None where there is
        nothing to tell it by: no exposure is that late.

    Raises
    ------
    ConfigError
        A pipeline has run on the folder: its lakehouse would mix two worlds.
    """
    files, folder = Files(spark), folder.rstrip("/")
    for name in ("lakehouse", "mlflow.db"):
        if files.exists(f"{folder}/{name}"):
            raise ConfigError(f"{folder}/{name} is of the world that was there: delete the folder")
    files.delete(f"{folder}/world.yaml")
    people = users(spark, world, parts)

    def write(name: str, rows: DataFrame) -> None:
        rows.write.mode("overwrite").parquet(f"{folder}/{name}")

    write("source/users", people.select("user_id", "age", "gender", "city"))
    write("source/products", products(spark, world, max(1, world.products // 1_000_000)))
    write("source/activities", activities(spark, world).coalesce(1))
    write("source/activity_products", activity_products(spark, world).coalesce(1))
    write("source/events", events(people, world))
    write("truth/exposures", exposures(people, world))
    shown = spark.read.parquet(f"{folder}/truth/exposures")
    logged = ("user_id", "activity_id", "exposure_ts", "position", "propensity")
    write("source/exposures", shown.select(*logged))
    write("source/responses", responses(shown, world))
    truth = {"world": world.saved(), **_known(shown, people, world)}
    text = json.dumps(truth, indent=2, allow_nan=False)
    files.write_text(f"{folder}/truth/truth.json", text)
    text = yaml.safe_dump(configuration(world), sort_keys=False)
    files.write_text(f"{folder}/world.yaml", text)
    return truth


def _known(shown: DataFrame, people: DataFrame, world: World) -> dict[str, Any]:
    first = F.lit((world.as_of - world.start).days)
    later = shown.where(F.col("exposure_ts") >= instant(world, first))
    rate, expected = F.avg(F.col("answered").cast("int")), F.avg("probability")
    count = later.agg(F.count("*"), rate, expected).first()
    assert count is not None
    some = people.where(F.pmod(F.xxhash64("user"), F.lit(max(1, world.users // TRUTH_USERS))) == 0)
    known = {
        "as_of": str(world.as_of),
        "exposures": count[0],
        "response_rate": count[1],
        "expected_rate": count[2],
        "best_auc": best_auc(later),
        "best_value": best_value(some, world, (world.as_of - world.start).days),
    }
    return {name: None if value != value else value for name, value in known.items()}


def configuration(world: World) -> dict[str, Any]:
    """The YAML of a deployment on the files, as Python; paths are relative to its folder."""

    def source(name: str, columns: str, **other: str) -> dict[str, Any]:
        taken = {column: column for column in columns.split()} | other
        return {"format": "parquet", "path": f"source/{name}", "columns": taken}

    event = "event_id user_id event_type event_ts product_id quantity amount"
    return {
        "name": "world",
        "lakehouse": {"root": "lakehouse"},
        "tracking": {"uri": "sqlite:///mlflow.db", "artifacts": "mlflow"},
        "sources": {
            "users": [source("users", "user_id age gender", attributes="map('city', city)")],
            "products": [source("products", "product_id name category brand")],
            "activities": [
                source(
                    "activities",
                    "activity_id activity_type name start_ts end_ts channel cost budget",
                )
            ],
            "activity_products": [source("activity_products", "activity_id product_id")],
            "events": [
                source("events", f"{event} text") | {"name": "events", "load": "append"},
                source("responses", f"{event} activity_id")
                | {"name": "responses", "load": "append"},
            ],
            "exposures": [
                source("exposures", "user_id activity_id exposure_ts position propensity")
                | {"load": "append"}
            ],
        },
        "attributes": {"users": {"city": {"type": "categorical"}}},
        "response": {"event_types": ["redeem"], "window_days": 1},
        "interactions": {"weights": {"view": 0.2, "purchase": 1.0, "redeem": 1.0}},
        "features": {
            "event_types": ["view", "purchase", "coupon", "comment", "redeem"],
            "purchase_type": "purchase",
            "affinity_types": ["purchase", "view", "comment"],
        },
        "ranker": _ranker(),
        "retrieval": {"refit_days": 60, "methods": {"als": 1.0, "history": 1.0}},
        # Campaigns come and go within the horizon, so that lists of its first day have much that
        # the log does not show later: they cannot be valued from it, and the truth is known anyway.
        "promote": {"min_effective_rows": 0},
        "evaluate": {"horizon_days": world.days // 6},
    }


def _ranker() -> dict[str, Any]:
    """Who looks for low prices, by age and by what they bought at one, answers discounts."""
    lowest_age = "CAST(nullif(regexp_extract(age_band, '^[0-9]+', 0), '') AS INT)"
    off = "(CAST(substring_index(activity_type, ' ', 1) AS INT) - 20) / 15"
    coupon_share = "(1 + coupon_count_all) / (2 + purchase_count_all)"
    return {
        "categorical": ["activity_type", "age_band"],
        "more_inputs": {
            "age_discount": f"({lowest_age} - 42) * {off}",
            "coupon_share": coupon_share,
            "coupon_discount": f"{coupon_share} * {off}",
        },
    }
