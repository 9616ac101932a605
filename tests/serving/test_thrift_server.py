"""What clients of the Thrift Server see of publications that other processes make."""

import json
import os
import re
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from pyspark.sql import SparkSession

from activityrec import tables
from activityrec.analyst import answers_path, questions
from activityrec.lakehouse import Lakehouse
from activityrec.tables import Table
from tests.conftest import ROOT
from tests.metastore import PASSWORD, metastore_properties
from tests.planted import configuration
from tests.postgres import postgres_server
from tests.sample_shop import plain, write_samples
from tests.serving.published import DAY, config_at
from tests.thrift_server import ask, beeline, run_job, thrift_server

pytestmark = pytest.mark.slow

FIRST, SECOND = "first=u1:ab,u2:a", "second=u1:ba,u2:c,u3:a"
CURRENT = "SELECT run_id, user_id, activity_id FROM current_recommendations ORDER BY 1, 2, rank"


class Shop:
    """A configuration and Spark's properties, for the jobs and the server."""

    def __init__(self, folder: Path, lakehouse: dict, properties: str, env: Mapping[str, str]):
        self.env = env
        self.yaml, self.properties = folder / "shop.yaml", folder / "spark.conf"
        sections = {"lakehouse": lakehouse, "publish": {"max_score_psi": 100.0}}
        self.yaml.write_text(yaml.safe_dump(configuration() | sections), encoding="utf-8")
        small = (ROOT / "conf/spark/test.conf").read_text(encoding="utf-8")
        self.properties.write_text(small + properties, encoding="utf-8")

    def fill(self, *runs: str) -> None:
        job = ROOT / "tests/serving/fill.py"
        run_job("--properties-file", self.properties, job, self.yaml, *runs, env=self.env)

    def publish(self, run: str) -> None:
        run_job(
            *("--properties-file", self.properties, "jobs/publish.py", "--config", self.yaml),
            *("--as-of", str(DAY), "--run-id", run),
            env=self.env,
        )


def follow(shop: Shop) -> None:
    """A server that is up sees what a job publishes at the next query, by either client."""
    shop.fill(FIRST, SECOND)
    with thrift_server(shop.yaml, shop.properties, shop.env) as port:
        expected = [("first", "u1", "a"), ("first", "u1", "b"), ("first", "u2", "a")]
        assert ask(port, CURRENT) == expected
        assert beeline(port, CURRENT) == [list(row) for row in expected]
        shop.publish("second")
        expected = [
            ("second", "u1", "b"), ("second", "u1", "a"), ("second", "u2", "c"),
            ("second", "u3", "a"),
        ]  # fmt: skip
        assert ask(port, CURRENT) == expected
        assert beeline(port, CURRENT) == [list(row) for row in expected]
        assert ask(port, "SELECT count(*) FROM published_runs") == [(2,)]
        described = {row[0]: row[2] for row in ask(port, "DESCRIBE recommendations")}
        assert described["rank"] == "place in the user's list, from 1"


@pytest.fixture(scope="module")
def sample_shop(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server over the small shop of docs/analyst."""
    folder = tmp_path_factory.mktemp("sample_shop")
    root = folder / "lakehouse"
    write_samples(Lakehouse(spark, config_at(root)))
    shop = Shop(folder, {"root": str(root)}, "", {})
    with thrift_server(shop.yaml, shop.properties) as port:
        yield port


@pytest.mark.parametrize("table", tables.SERVING, ids=lambda table: table.name)
def test_every_question_of_an_analyst_is_answered(sample_shop: int, table: Table) -> None:
    expected = json.loads(answers_path(table).read_text(encoding="utf-8"))
    found = {question.text: plain(ask(sample_shop, question.sql)) for question in questions(table)}
    assert found == {text: answer["rows"] for text, answer in expected.items()}


def test_every_chart_of_the_page_on_bi_has_rows(sample_shop: int) -> None:
    page = (ROOT / "docs/bi.md").read_text(encoding="utf-8")
    charts = re.findall(r"### ([^\n]+)\n[^#]*?```sql\n(.+?)```", page, re.DOTALL)
    assert len(charts) >= 6
    assert [title for title, sql in charts if not ask(sample_shop, sql)] == []
    by_rank = dict(charts)["Response by rank"]
    # Five of nine first places that were shown were answered, and one of four second ones.
    assert plain(ask(sample_shop, by_rank)) == [[1, 9, 0.56, 0.32], [2, 4, 0.25, 0.19]]


def test_the_dashboard_for_superset_is_imported_and_its_charts_have_rows(
    sample_shop: int, tmp_path: Path
) -> None:
    python = os.environ.get("SUPERSET_PYTHON")
    if python is None:
        pytest.skip("SUPERSET_PYTHON does not name the Python of an environment with Superset")
    settings = {
        "SECRET_KEY": secrets.token_hex(32),
        "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path}/superset.db",
        "DATA_DIR": str(tmp_path),
    }
    path = tmp_path / "superset_config.py"
    path.write_text("".join(f"{k} = {v!r}\n" for k, v in settings.items()), encoding="utf-8")
    env = {
        "SUPERSET_CONFIG_PATH": str(path),
        "SUPERSET_HOME": str(tmp_path),
        "FLASK_APP": "superset",
    }

    def call(*command: str) -> str:
        done = subprocess.run(
            [python, *command], cwd=tmp_path, env=env, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    for step in (["db", "upgrade"], ["init"]):
        call("-c", "from superset.cli.main import superset; superset()", *step)
    script = str(ROOT / "tests/superset_dashboard.py")
    said = call(script, str(ROOT / "conf/superset"), str(sample_shop))
    found = json.loads(said.splitlines()[-1])
    assert found["dashboard"] == "Activities"
    assert len(found["charts"]) == 4
    reach = {row["activity"]: row["Users"] for row in found["charts"]["Reach by activity"]}
    assert reach == {"Tea week": 3, "Spring sale": 3, "Coffee coupons": 2, "Garden days": 1}
    assert all(found["charts"].values())


def test_without_a_metastore(tmp_path: Path) -> None:
    follow(Shop(tmp_path, {"root": str(tmp_path / "lakehouse")}, "", {}))


def test_with_a_metastore_in_postgresql_that_jobs_and_server_share(tmp_path: Path) -> None:
    with postgres_server() as (address, sql):
        properties = metastore_properties(tmp_path, address, sql)
        follow(Shop(tmp_path, {"catalog": "spark_catalog"}, properties, PASSWORD))
