"""The whole path on planted data: what each stage promises to its readers."""

import json
import math
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.testing import assertDataFrameEqual
from sklearn.metrics import roc_auc_score

import evaluate
import features
import promote
import publish
import recommend
import train
from activityrec import tables
from activityrec.errors import StateError
from activityrec.evaluation.list_findings import under_test
from activityrec.evaluation.lists import best_first
from activityrec.evaluation.policy_values import recommended_lists
from activityrec.job import Job, open_job, run_stages
from activityrec.serving import lookup
from activityrec.serving.attempts import next_attempt
from activityrec.serving.candidates import scored_candidates, sides
from activityrec.serving.lists import ranked_lists
from activityrec.serving.load import load_serving
from tests.planted import ACTIVITIES, AS_OF, USERS, start_of, taste


def rows_of(job: Job, name: str) -> DataFrame:
    table = next(t for t in tables.all_tables(job.config) if t.name == name)
    return job.lakehouse.read(table)


def test_every_stage_writes_its_tables(planted_run: Job) -> None:
    unwanted = (tables.ERASURES, tables.USER_SEGMENTS, tables.EXPORTS)
    unwanted += (tables.PERFORMANCE, tables.MONITORING)
    every = [t for t in tables.all_tables(planted_run.config) if t not in unwanted]
    counts = {table.name: planted_run.lakehouse.read(table).count() for table in every}
    assert counts.pop("quarantine") == 0
    assert min(counts.values()) > 0


def test_a_user_is_looked_up_in_the_current_publication(planted_run: Job) -> None:
    rows = lookup.recommend(planted_run.lakehouse, "u1", n=2)
    assert [row["rank"] for row in rows] == [1, 2]
    assert len({row["activity_id"] for row in rows}) == 2
    assert lookup.recommend(planted_run.lakehouse, "nobody") == []


def test_only_live_and_planned_activities_are_recommended_and_none_twice(
    planted: Path, planted_run: Job
) -> None:
    planned_until = AS_OF + timedelta(days=planted_run.config.recommend.planning_days)
    live = {
        f"a{activity}"
        for activity in range(ACTIVITIES)
        if start_of(activity) <= planned_until and start_of(activity) + timedelta(14) > AS_OF
    }
    answered = {
        (row["user"], row["activity"])
        for row in map(json.loads, (planted / "answers.json").read_text().splitlines())
        if row["at"] < str(AS_OF)
    }
    for name in ("recommendations", "audiences"):
        pairs = {
            (row["user_id"], row["activity_id"]) for row in rows_of(planted_run, name).collect()
        }
        assert {activity for _, activity in pairs} == live
        assert not pairs & answered
    assert {activity for _, activity in answered} & live, "there is something to leave out"


def test_every_user_has_a_list_and_lists_are_in_order(planted_run: Job) -> None:
    lists = rows_of(planted_run, "recommendations")
    assert {row["user_id"] for row in lists.select("user_id").distinct().collect()} == {
        f"u{user}" for user in range(USERS)
    }
    by_user: dict[str, list] = {}
    for row in lists.orderBy("user_id", "rank").collect():
        by_user.setdefault(row["user_id"], []).append(row)
    for rows in by_user.values():
        assert [row["rank"] for row in rows] == list(range(1, len(rows) + 1))
        scores = [row["score"] for row in rows]
        assert scores == sorted(scores, reverse=True)
        assert len(rows) <= planted_run.config.recommend.k


def test_reasons_are_true_to_the_contributions(planted_run: Job) -> None:
    rows = rows_of(planted_run, "recommendations").collect()
    assert sum(len(row["reason_codes"]) for row in rows) > len(rows)
    for row in rows:
        adds = [reason["contribution"] for reason in row["reasons"] if reason["contribution"] > 0]
        told = [code["contribution"] for code in row["reason_codes"]]
        assert told == sorted(told, reverse=True)
        assert set(told) <= set(adds)
        assert set(row["reason_text"]) == {"en", "zh"}
        assert row["propensity"] == 1
        for code in row["reason_codes"]:
            if code["code"] == "bought_before":
                assert code["figures"] == {"products": row["affinity_products"]}


def test_what_is_left_out_of_lists_is_told_with_the_rule(planted: Path, planted_run: Job) -> None:
    told = rows_of(planted_run, "exclusions").collect()
    answers = map(json.loads, (planted / "answers.json").read_text().splitlines())
    answered = {(row["user"], row["activity"]) for row in answers if row["at"] < str(AS_OF)}
    assert {row["rule"] for row in told} == {"answered"}
    assert {(row["user_id"], row["activity_id"]) for row in told} <= answered
    counts = {r["activity_id"]: r["users"] for r in rows_of(planted_run, "rule_counts").collect()}
    assert counts == Counter(row["activity_id"] for row in told)


def test_planned_activities_without_any_answer_are_ranked_by_taste(planted_run: Job) -> None:
    """Cold start: activities that begin after as_of go to those who like their products."""
    future = [a for a in range(ACTIVITIES) if AS_OF < start_of(a) <= AS_OF + timedelta(15)]
    assert future
    rows = rows_of(planted_run, "audiences").where("rank <= 8").collect()
    best = [r for r in rows if r["activity_id"] in {f"a{a}" for a in future}]
    right = [taste(int(r["user_id"][1:])) == taste(int(r["activity_id"][1:])) for r in best]
    assert sum(right) / len(right) > 0.9


def test_the_ranker_finds_the_planted_signal_and_beats_the_baselines(planted_run: Job) -> None:
    rows = rows_of(planted_run, "metrics").where("population = 'all' AND slice = 'all'").collect()
    value = {(row["model"], row["metric"]): row["value"] for row in rows}
    assert value["ranker", "auc_within_activity"] > 0.8
    assert value["popularity", "auc_within_activity"] == 0.5
    for baseline in ("popularity", "past_rate", "als"):
        assert value["ranker", "auc"] > value[baseline, "auc"]


def test_anyone_can_recompute_the_metrics(planted_run: Job) -> None:
    scored = rows_of(planted_run, "scored_exposures").toPandas()
    metrics = rows_of(planted_run, "metrics").where("metric = 'auc' AND model = 'ranker'")
    found = {row["population"]: row["value"] for row in metrics.where("slice = 'all'").collect()}
    closed = scored[~scored["censored"]]
    assert 0 < len(closed) < len(scored)
    assert found == pytest.approx(
        {
            "all": roc_auc_score(scored["label"], scored["ranker"]),
            "closed": roc_auc_score(closed["label"], closed["ranker"]),
        }
    )


def test_evaluation_covers_the_exposures_of_the_horizon(planted: Path, planted_run: Job) -> None:
    until = AS_OF + timedelta(days=planted_run.config.evaluate.horizon_days)
    sent = map(json.loads, (planted / "sent.json").read_text().splitlines())
    wanted = {
        (row["user"], row["activity"]) for row in sent if str(AS_OF) <= row["at"] < str(until)
    }
    scored = rows_of(planted_run, "scored_exposures").collect()
    assert {(row["user_id"], row["activity_id"]) for row in scored} == wanted


def test_list_metrics_follow_from_the_lists_and_what_was_answered(
    planted: Path, planted_run: Job
) -> None:
    until = AS_OF + timedelta(days=planted_run.config.evaluate.horizon_days)
    lists = rows_of(planted_run, "recommendations").collect()
    candidates = {row["activity_id"] for row in lists}
    wanted: dict[str, set[str]] = {}
    for row in map(json.loads, (planted / "answers.json").read_text().splitlines()):
        if str(AS_OF) <= row["at"] < str(until) and row["activity"] in candidates:
            wanted.setdefault(row["user"], set()).add(row["activity"])
    gains: dict[str, float] = dict.fromkeys(wanted, 0.0)
    hits: dict[str, int] = dict.fromkeys(wanted, 0)
    for row in lists:
        if row["activity_id"] in wanted.get(row["user_id"], ()):
            gains[row["user_id"]] += 1 / math.log2(1 + row["rank"])
            hits[row["user_id"]] += 1
    best = {user: sum(1 / math.log2(2 + n) for n in range(len(wanted[user]))) for user in wanted}
    of_lists = rows_of(planted_run, "metrics").where("model = 'ranker' AND population = 'lists'")
    found = of_lists.where("k = 3 OR k IS NULL").collect()
    values = {row["metric"]: row["value"] for row in found}
    # What lists are like is over all users.
    assert values["user_coverage"] == 1
    assert values["users_without_relevant"] == 1 - len(wanted) / USERS
    named = ("activity_coverage@3", "gini@3", "novelty@3", "diversity@3")
    apart = ("user_coverage", "users_without_relevant", *named)
    for row in found:
        if row["metric"] in named:
            assert row["groups"] == USERS
    assert values["activity_coverage@3"] == len({row["activity_id"] for row in lists}) / len(
        candidates
    )
    metrics = [row for row in found if row["metric"] not in apart]
    expected = {
        "ndcg@3": sum(gains[user] / best[user] for user in wanted) / len(wanted),
        "recall@3": sum(hits[user] / len(wanted[user]) for user in wanted) / len(wanted),
    }
    assert {name: values[name] for name in expected} == pytest.approx(expected)
    assert {row["groups"] for row in metrics} == {len(wanted)}
    for row in metrics:
        assert row["low"] - 1e-9 <= row["value"] <= row["high"] + 1e-9


@pytest.mark.parametrize("limit", [2, 100])
def test_lists_are_evaluated_as_recommend_makes_them(planted_run: Job, limit: int) -> None:
    serving, _ = load_serving(planted_run)
    recommend_config = serving.config.recommend.model_copy(update={"candidates": limit})
    config = serving.config.model_copy(update={"recommend": recommend_config})
    serving = replace(serving, config=config)
    made = ranked_lists(scored_candidates(serving, sides(serving)), recommend_config.k, 1)
    columns = ["user_id", "activity_id", "rank"]
    expected = made.where("listed = 'user'").select(*columns)
    if limit == 100:
        expected = rows_of(planted_run, "recommendations").select(*columns)
    asked = serving.users.where("user_id < 'u3'").select("user_id").persist()
    mine = serving.only(asked)
    both = sides(mine)
    scored = under_test(serving, asked, both)
    lists = best_first(scored, {"ranker": "score"}, recommend_config.k)
    assertDataFrameEqual(lists.select(*columns), expected.where("user_id < 'u3'"))


def test_every_two_models_are_compared(planted_run: Job) -> None:
    whole = "metric = 'auc' AND population = 'all' AND slice = 'all'"
    shown = rows_of(planted_run, "metrics").where(whole).collect()
    value = {row["model"]: row["value"] for row in shown}
    found = rows_of(planted_run, "comparisons").where(whole)
    rows = {(row["model"], row["baseline"]): row for row in found.collect()}
    assert len(rows) == len(value) * (len(value) - 1)
    assert {"ranker", "popularity", "als"} <= set(value)
    for (model, baseline), row in rows.items():
        assert row["difference"] == pytest.approx(value[model] - value[baseline])
        assert row["low"] - 1e-9 <= row["difference"] <= row["high"] + 1e-9


@pytest.mark.slow
def test_popularity_is_frozen_with_the_ranker(planted_run: Job) -> None:
    learnt = rows_of(planted_run, "training_examples").groupBy("activity_type")
    rates = {row[0]: row[1] for row in learnt.agg(F.avg("label")).collect()}
    kinds = rows_of(planted_run, "activities").select("activity_id", "activity_type")
    scored = rows_of(planted_run, "scored_exposures").join(kinds, on="activity_id", how="inner")
    for row in scored.select("activity_type", "popularity").distinct().collect():
        assert row["popularity"] == pytest.approx(rates[row["activity_type"]])


def of_the_data(job: Job, name: str) -> DataFrame:
    """What is no matter of versions and times: the second time there is a champion."""
    rows = rows_of(job, name)
    for side in {"model", "baseline"} & set(rows.columns):
        rows = rows.where(F.col(side) != "champion")
    if "run_id" in rows.columns:
        rows = rows.where(F.col("run_id") == job.run_id)
    apart = ["run_id", "published_ts", "champion"]
    if name in ("recommendations", "audiences", "exclusions", "rule_counts", "publications"):
        apart.append("model")
    return rows.drop(*apart)


def test_a_slice_is_shown_with_its_size_and_whether_it_differs(planted_run: Job) -> None:
    whole = "metric = 'auc' AND population = 'all' AND model = 'ranker'"
    rows = rows_of(planted_run, "metrics").where(whole).collect()
    scored = rows_of(planted_run, "scored_exposures").toPandas()
    assert {"week", "activity_type", "attribute_city"} <= {row["slice"] for row in rows}
    parts = [row for row in rows if row["slice"] == "attribute_city"]
    assert {row["slice_value"] for row in parts} == {"north", "south"}
    for row in parts:
        mine = scored[[s["attribute_city"] == row["slice_value"] for s in scored["slices"]]]
        assert row["value"] == pytest.approx(roc_auc_score(mine["label"], mine["ranker"]))
        assert row["groups"] == mine["user_id"].nunique() >= 10
        assert row["rows"] == len(mine)
        assert row["differs"] is not None


def test_the_model_that_passed_the_gate_made_the_lists(planted_run: Job) -> None:
    rows = rows_of(planted_run, "promotions").collect()
    assert {row["decision"] for row in rows} == {"promoted"}
    assert {row["check_name"] for row in rows} >= {"size", "baseline popularity", "leakage"}
    assert {row["challenger"] for row in rows} == {
        row["model"] for row in rows_of(planted_run, "recommendations").collect()
    }


@pytest.mark.slow
def test_a_published_date_made_again_is_a_run_beside_the_first_with_the_same_rows(
    planted_run: Job,
) -> None:
    """Of ingestion tests/jobs/test_errors.py asks the same."""
    made = [t for t in tables.all_tables(planted_run.config) if t.schema != "clean"]
    # What is of the runs and not of the data, and what is not configured.
    unwanted = (
        tables.PROGRESS,
        tables.USER_SEGMENTS,
        tables.PROMOTIONS,
        tables.AUDITS,
        tables.EXPORTS,
        tables.STAGES,
        tables.PERFORMANCE,
        tables.MONITORING,
    )
    names = [t.name for t in made if t not in unwanted]
    before = {name: of_the_data(planted_run, name).collect() for name in names}
    again = open_job(planted_run.spark, planted_run.config, AS_OF)
    with pytest.raises(StateError, match="was published, and its rows are not written over"):
        recommend.run(again)
    again = replace(again, run_id=next_attempt(again.lakehouse, again.run_id))
    assert again.run_id == f"{planted_run.run_id}-2"
    every = (features, train, evaluate, promote, recommend, publish)
    stages = [(stage.__name__, stage.run) for stage in every]
    try:
        run_stages(again, stages)
        for name in names:
            after = of_the_data(again, name)
            old = planted_run.spark.createDataFrame(before[name], after.schema)
            assertDataFrameEqual(after, old, rtol=1e-9)
    finally:
        mine = [t for t in made if "run_id" in t.column_names and again.lakehouse.exists(t)]
        for table in mine:
            again.lakehouse.delete_where(table, f"run_id = '{again.run_id}'")


def test_a_model_that_knows_the_future_is_refused(planted_run: Job) -> None:
    early = open_job(planted_run.spark, planted_run.config, AS_OF - timedelta(days=20))
    with pytest.raises(StateError, match="trained as of 2024-05-01, which is after 2024-04-11"):
        recommend.run(early)
    with pytest.raises(StateError, match="trained as of 2024-05-01"):
        evaluate.run(early)


def test_a_stage_that_fails_leaves_its_tables_as_they_were(planted_run: Job) -> None:
    lists = rows_of(open_job(planted_run.spark, planted_run.config, AS_OF), "recommendations")
    before = lists.collect()

    def fail(job: Job) -> dict[str, int]:
        nothing = lists.limit(0)
        job.lakehouse.replace(tables.RECOMMENDATIONS, nothing, f"run_id = '{job.run_id}'")
        raise StateError("something went wrong later in the stage")

    job = open_job(planted_run.spark, planted_run.config, AS_OF)
    with pytest.raises(StateError, match="went wrong later"):
        run_stages(job, [("fail", fail)])
    fresh = open_job(planted_run.spark, planted_run.config, AS_OF)
    assert sorted(rows_of(fresh, "recommendations").collect()) == sorted(before)


def test_campaigns_of_one_day_each_leave_policies_no_choice(planted_run: Job) -> None:
    """And the responses of the log are those of its exposures whose windows have closed."""
    found = {
        (row["policy"], row["estimator"]): row
        for row in rows_of(planted_run, "policy_values").collect()
    }
    assert set(found) == {("logging", "on_policy"), ("recommended", "all"), ("popularity", "all")}
    scored = rows_of(planted_run, "scored_exposures")
    closed = scored.where("NOT censored").agg(F.avg("label"), F.count("*")).first()
    assert closed is not None
    logging = found.pop(("logging", "on_policy"))
    assert (logging["value"], logging["rows"]) == (pytest.approx(closed[0]), closed[1])
    assert all("there was no choice" in row["refusal"] for row in found.values())


def test_lists_to_their_ends_begin_as_those_of_production(planted_run: Job) -> None:
    job = open_job(planted_run.spark, planted_run.config, AS_OF)
    serving, _ = load_serving(job)
    users = planted_run.spark.createDataFrame([("u1",), ("u2",)], "user_id STRING")
    made = rows_of(planted_run, "recommendations").join(users, on="user_id", how="left_semi")
    again = recommended_lists(serving, users)
    key = ["user_id", "activity_id", "rank"]
    first = again.where(f"rank <= {job.config.recommend.k}").select(*key)
    assertDataFrameEqual(first, made.select(*key))
