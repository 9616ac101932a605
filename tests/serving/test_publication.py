"""What is published and what is not, what readers see, and how it is taken back."""

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

import maintain
import publish
from activityrec import tables
from activityrec.errors import StateError
from activityrec.job import open_job
from activityrec.lakehouse import Lakehouse
from activityrec.serving import publication
from activityrec.serving.attempts import check_unpublished, last_attempt, next_attempt
from activityrec.serving.expiry import expire_runs
from activityrec.serving.publication import roll_back
from activityrec.serving.views import create_views
from tests.serving.published import (
    DAY,
    NOON,
    at,
    config_at,
    lakehouse_at,
    make_current,
    make_run,
    publish_run,
    write,
)


@pytest.fixture
def lakehouse(spark: SparkSession, tmp_path: Path) -> Lakehouse:
    return lakehouse_at(spark, tmp_path)


def listed(lakehouse: Lakehouse, condition: str = "true", view: str = "current") -> set[tuple]:
    """Run and user of what a view shows."""
    rows = lakehouse.spark.table(f"{view}_recommendations").where(condition)
    return {tuple(row) for row in rows.select("run_id", "user_id").collect()}


def audits(lakehouse: Lakehouse) -> dict[str, tuple]:
    fresh = Lakehouse(lakehouse.spark, config_at(Path(str(lakehouse.root))))
    rows = fresh.read(tables.AUDITS).collect()
    return {row["check_name"]: (row["value"], row["bound"], row["passed"]) for row in rows}


def test_readers_see_the_latest_publication_and_that_of_any_instant(lakehouse: Lakehouse) -> None:
    make_run(lakehouse, "first", {"u1": "ab"})
    assert publish_run(lakehouse, "first")
    make_run(lakehouse, "second", {"u2": "ab", "u3": "a"})
    create_views(lakehouse)
    assert listed(lakehouse) == {("first", "u1")}
    assert publish_run(lakehouse, "second", at(13))
    second = {("second", "u2"), ("second", "u3")}
    assert listed(lakehouse) == second
    assert lakehouse.spark.table("current_publication").first()["users"] == 2

    assert roll_back(lakehouse, "first", at(14))
    assert listed(lakehouse) == {("first", "u1")}
    instants = {
        "2024-05-01 11:59:59.999999": set(),
        "2024-05-01 12:00:00": {("first", "u1")},
        "2024-05-01 12:59:59.999999": {("first", "u1")},
        "2024-05-01 13:00:00": second,
        "2024-05-01 14:00:00": {("first", "u1")},
    }
    for instant, wanted in instants.items():
        between = f"TIMESTAMP '{instant}' BETWEEN valid_from AND valid_until"
        assert listed(lakehouse, between, "published") == wanted, instant
    assert not roll_back(lakehouse, "first", at(15))
    with pytest.raises(StateError, match="run third was never published; .* first, second"):
        roll_back(lakehouse, "third", at(15))


@pytest.mark.slow
def test_the_current_run_is_published_again_only_if_users_were_erased_from_it(
    lakehouse: Lakehouse,
) -> None:
    make_run(lakehouse, "run", {"u1": "a", "u2": "a"})
    assert publish_run(lakehouse, "run")
    assert not publish_run(lakehouse, "run", at(13))
    make_run(lakehouse, "run", {"u1": "a"})
    assert publish_run(lakehouse, "run", at(14))
    rows = lakehouse.read(tables.PUBLICATIONS).orderBy("published_ts").collect()
    assert [(row["users"], row["audiences"]) for row in rows] == [(2, 2), (1, 1)]


def test_a_run_that_was_published_is_made_again_beside_it_and_never_over_it(
    lakehouse: Lakehouse,
) -> None:
    name = "shop-20240501"
    assert next_attempt(lakehouse, name) == name
    assert last_attempt(lakehouse, tables.RECOMMENDATIONS, name) == name
    make_run(lakehouse, name, {"u1": "a"})
    # Not published yet: readers do not see it, and a repeat replaces it.
    assert next_attempt(lakehouse, name) == name
    check_unpublished(lakehouse, name)
    # Of other dates, other configurations, and names that somebody gave.
    for other in (f"{name}1", "shop-20240502-7", f"{name}-mine", f"{name}-2-3", "shopX20240501-9"):
        make_run(lakehouse, other, {"u1": "a"})
        make_current(lakehouse, other, at(11))
    make_current(lakehouse, name)
    assert next_attempt(lakehouse, name) == f"{name}-2"
    assert last_attempt(lakehouse, tables.RECOMMENDATIONS, name) == name
    with pytest.raises(StateError, match=f"run {name} was published, .* give a new --run-id"):
        check_unpublished(lakehouse, name)
    make_run(lakehouse, f"{name}-2", {"u1": "a"})
    assert next_attempt(lakehouse, name) == f"{name}-2"
    assert last_attempt(lakehouse, tables.RECOMMENDATIONS, name) == f"{name}-2"


def test_a_run_that_fails_its_audit_is_not_published_and_the_figures_stay(
    lakehouse: Lakehouse,
) -> None:
    make_run(lakehouse, "run", {"u1": "over", "u2": "over"})
    with (
        pytest.raises(StateError, match="run run failed its audit.*activities not live: 2"),
        lakehouse.all_or_nothing(),
    ):
        publish_run(lakehouse, "run")
    assert not lakehouse.exists(tables.PUBLICATIONS)
    found = audits(lakehouse)
    assert found["list_activities"] == (2, 0, False)
    assert found["user_coverage"] == (pytest.approx(2 / 9), 0.1, True)


def test_a_run_too_unlike_the_last_one_is_not_published(lakehouse: Lakehouse) -> None:
    make_run(lakehouse, "first", {"u1": "ab", "u2": "ab"})
    publish_run(lakehouse, "first")
    make_run(lakehouse, "second", {"u1": "ba", "u2": "ab"})
    with pytest.raises(StateError, match="changed_first: .*changed: 0.500, limit 0.4$"):
        publish_run(lakehouse, "second", at(13), max_changed_first=0.4)
    assert publish_run(lakehouse, "second", at(13), max_changed_first=0.5)
    assert audits(lakehouse)["score_psi"] == (0, 100, True)


@pytest.mark.slow
def test_the_clock_of_another_machine_does_not_hide_a_publication(lakehouse: Lakehouse) -> None:
    make_run(lakehouse, "first", {"u1": "a"})
    make_run(lakehouse, "second", {"u2": "a"})
    publish_run(lakehouse, "first", at(13))
    publish_run(lakehouse, "second", at(12))
    create_views(lakehouse)
    assert listed(lakehouse) == {("second", "u2")}


def test_of_two_publishers_one_wins_and_the_other_says_so(
    lakehouse: Lakehouse, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No lock here: as on an object store, where there is none."""
    names = [f"run{number}" for number in range(3)]
    for name in names:
        make_run(lakehouse, name, {"u1": "a"})
    make_current(lakehouse, "run0")
    # All have seen the same publication before any of them adds one.
    ready = threading.Barrier(2)
    commit = publication.commit

    def together(*given: object) -> None:
        ready.wait(60)
        commit(*given)

    monkeypatch.setattr(publication, "commit", together)
    said: dict[str, str] = {}

    def try_it(name: str) -> None:
        try:
            publish_run(Lakehouse(spark, config_at(tmp_path)), name, at(13))
            said[name] = "published"
        except StateError as error:
            said[name] = str(error)

    threads = [threading.Thread(target=try_it, args=(name,)) for name in names[1:]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = [name for name in said if said[name] == "published"]
    (loser,) = said.keys() - {winner}
    assert said[loser].startswith(
        f"run {loser} is not published: another publisher made {winner} the current one"
    )
    fresh = Lakehouse(spark, config_at(tmp_path)).read(tables.PUBLICATIONS)
    assert sorted(row["run_id"] for row in fresh.collect()) == ["run0", winner]


def test_a_dry_run_says_what_would_happen_and_changes_nothing(
    lakehouse: Lakehouse, tmp_path: Path, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    make_run(lakehouse, "first", {"u1": "a"})
    make_current(lakehouse, "first")
    make_run(lakehouse, "good", {"u1": "a"})
    make_run(lakehouse, "bad", {"u1": "over"})
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.setattr(publish.log, "propagate", True)
    for name in ("good", "bad"):
        job = open_job(lakehouse.spark, config_at(tmp_path), DAY, name)
        with caplog.at_level("INFO", "activityrec"):
            assert publish.run(replace(job, flags=frozenset({"dry-run"}))) == {"publications": 0}
    said = "\n".join(caplog.messages)
    assert "nothing is changed: run good would be published in place of first" in said
    assert "run bad would not be published: 2 checks failed" in said
    assert "FAILED list_activities: recommendations of activities not live: 1" in said
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == before


@pytest.mark.slow
def test_old_runs_expire_but_none_that_is_current_kept_or_being_made(
    lakehouse: Lakehouse, tmp_path: Path
) -> None:
    for number in range(4):
        make_run(lakehouse, f"run{number}", {"u1": "a"}, DAY + timedelta(days=number))
        make_current(lakehouse, f"run{number}", at(10 + number))
    make_run(lakehouse, "abandoned", {"u1": "a"}, DAY - timedelta(days=1))
    make_run(lakehouse, "being made", {"u1": "a"}, DAY + timedelta(days=4))
    roll_back(lakehouse, "run1", at(20))
    assert expire_runs(lakehouse, None) == expire_runs(lakehouse, 4) == {}
    job = open_job(lakehouse.spark, config_at(tmp_path, publish={"keep_runs": 2}), DAY)
    assert maintain.run(job) == {"serving.recommendations": 3, "serving.audiences": 3}
    rows = Lakehouse(lakehouse.spark, job.config).read(tables.RECOMMENDATIONS).collect()
    assert {row["run_id"] for row in rows} == {"run1", "run3", "being made"}
    fresh = Lakehouse(lakehouse.spark, job.config)
    with pytest.raises(StateError, match="run run2 has no rows in .* they have expired"):
        roll_back(fresh, "run2", at(21))
    assert roll_back(fresh, "run3", at(21))


@pytest.mark.slow
def test_an_erased_user_does_not_stop_a_rollback(lakehouse: Lakehouse) -> None:
    make_run(lakehouse, "first", {"u1": "a", "u2": "a"})
    make_current(lakehouse, "first", NOON)
    make_run(lakehouse, "second", {"u1": "a"})
    make_current(lakehouse, "second", at(13))
    kept = lakehouse.read(tables.RECOMMENDATIONS).where("user_id != 'u2'").persist()
    kept.count()
    write(lakehouse, tables.RECOMMENDATIONS, kept)
    assert roll_back(lakehouse, "first", at(14))
