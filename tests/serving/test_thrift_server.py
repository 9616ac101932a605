"""What clients of the Thrift Server see of publications that other processes make."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT
from tests.planted import configuration
from tests.postgres import postgres_server
from tests.serving.published import DAY
from tests.thrift import ask, beeline, run_job, thrift_server

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
    shop.publish("first")
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


def test_without_a_metastore(tmp_path: Path) -> None:
    follow(Shop(tmp_path, {"root": str(tmp_path / "lakehouse")}, "", {}))


def test_with_a_metastore_in_postgresql_that_jobs_and_server_share(tmp_path: Path) -> None:
    with postgres_server() as (address, sql):
        sql("CREATE ROLE metastore LOGIN PASSWORD 'secret'")
        sql("CREATE DATABASE metastore OWNER metastore")
        # The server of the tests asks nobody for a password; this role is asked.
        rules = (
            "('host all metastore 127.0.0.1/32 scram-sha-256'), ('host all all 127.0.0.1/32 trust')"
        )
        sql(
            "DO $$ BEGIN EXECUTE format('COPY (VALUES %s) TO %L', "
            f"$rules${rules}$rules$, current_setting('hba_file')); END $$"
        )
        sql("SELECT pg_reload_conf()")
        example = (ROOT / "conf/spark/metastore.conf.example").read_text(encoding="utf-8")
        jar = next((ROOT / ".jars/test").glob("postgresql-*.jar"))
        place = address.removeprefix("jdbc:postgresql://").partition("/")[0]
        for given, here in {
            "/srv/warehouse": str(tmp_path / "warehouse"),
            "127.0.0.1:5432": place,
            "/srv/jars/postgresql-42.7.8.jar": str(jar),
        }.items():
            assert example.count(given) == 1
            example = example.replace(given, here)
        env = {"METASTORE_PASSWORD": "secret"}
        follow(Shop(tmp_path, {"catalog": "spark_catalog"}, example, env))
