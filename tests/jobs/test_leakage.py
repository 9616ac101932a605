"""What happens after as_of, or after an exposure, changes nothing that was known before it."""

import json
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.testing import assertDataFrameEqual

import features
import ingest
import promote
import recommend
import train
from activityrec import tables
from activityrec.config_file import load_config
from activityrec.job import Job, open_job, run_stages
from activityrec.tables import Table
from tests.planted import ACTIVITIES, AS_OF, PRODUCTS, USERS, start_of

# A second pipeline: tests/features/test_point_in_time.py asks the same of features in make test.
pytestmark = pytest.mark.slow


def unseen(job: Job) -> dict[str, int]:
    """The challenger becomes champion without an evaluation, which reads past as_of."""
    return promote.run(replace(job, flags=frozenset({"force"})))


STAGES = [
    ("ingest", ingest.run),
    ("features", features.run),
    ("train", train.run),
    ("promote", unseen),
    ("recommend", recommend.run),
]


@pytest.fixture(scope="module")
def told(spark: SparkSession, planted: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """The planted data with the answers given away: from as_of on, everyone is sent everything,
    answers everything and buys everything, the first of it at as_of to the second; and somebody
    new does so too."""
    folder = tmp_path_factory.mktemp("told") / "data"
    shutil.copytree(planted, folder, ignore=shutil.ignore_patterns("lakehouse", "mlflow*"))
    midnight = datetime.combine(AS_OF, datetime.min.time())
    answers, purchases, sent = [], [], []
    for user in (*range(USERS), "-new"):
        for activity in range(ACTIVITIES):
            # Inside the response window of every activity that is live at as_of or later.
            at = max(midnight, datetime.combine(start_of(activity), datetime.min.time()))
            told = {"user": f"u{user}", "activity": f"a{activity}", "at": at.isoformat()}
            answers.append(told)
            sent.append(told | {"at": midnight.isoformat()})
        for product in range(PRODUCTS):
            at = midnight + timedelta(seconds=product)
            purchases.append(
                {"id": f"told-{user}-{product}", "user": f"u{user}", "product": f"p{product}",
                 "at": at.isoformat(), "units": 50, "paid": 900}
            )  # fmt: skip
    keys = {(row["user"], row["activity"]) for row in _lines(folder / "answers.json")}
    fresh = [row for row in answers if (row["user"], row["activity"]) not in keys]
    for name, rows in (("answers", fresh), ("purchases", purchases), ("sent", sent)):
        with open(folder / f"{name}.json", "a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    config = load_config(folder / "planted.yaml")
    job = open_job(spark, config, AS_OF)
    run_stages(job, STAGES)
    return job


@pytest.mark.parametrize(
    "name",
    [
        "user_daily",
        "user_features",
        "activity_features",
        "user_activity_features",
        "user_vectors",
        "item_vectors",
        "training_examples",
        "recommendations",
        "audiences",
    ],
)
def test_nothing_known_before_changes(planted_run: Job, told: Job, name: str) -> None:
    table = next(t for t in tables.all_tables(told.config) if t.name == name)
    assertDataFrameEqual(_comparable(told, table), _comparable(planted_run, table), rtol=1e-9)


def test_the_planted_answers_were_there(planted_run: Job, told: Job) -> None:
    """The comparison above is not one of equal inputs."""
    more = told.lakehouse.read(tables.EVENTS).count()
    assert more > planted_run.lakehouse.read(tables.EVENTS).count() + USERS * PRODUCTS


def test_a_response_after_an_exposure_shows_in_its_label_alone(planted_run: Job) -> None:
    """An answer on the very day of the exposure is in no feature of that day's snapshot."""
    examples = planted_run.lakehouse.read(tables.training_examples(planted_run.config))
    first = examples.where(F.to_date("exposure_ts") == F.lit(start_of(0)))
    row = first.agg(F.sum("label"), F.sum("answered"), F.sum("answer_count_all")).first()
    assert row is not None and row[0] > 0
    assert (row[1], row[2]) == (0, 0)


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _comparable(job: Job, table: Table) -> DataFrame:
    rows = job.lakehouse.read(table)
    # The model's version is another one; what it says must not be.
    return rows.drop("model")
