"""Reasons: exact for logistic regression, and pointing the right way for the others."""

import math

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec.config import Config
from activityrec.errors import ConfigError
from activityrec.ranking import reasons
from activityrec.ranking.calibration import Later, calibrated
from activityrec.ranking.groups import input_groups
from activityrec.ranking.inputs import numeric_inputs
from activityrec.ranking.pipeline import coefficients, fit_ranker, probabilities
from activityrec.ranking.reasons import reason_columns, with_reasons
from tests.ranking.shop import SCHEMA, example_rows, ranker_config

GROUPS = {"shopping": ["bought"], "sort": ["kind"]}


@pytest.fixture(scope="module")
def examples(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(example_rows(400, 31), SCHEMA).persist()


def _explained(rows: DataFrame, model, config: Config) -> dict[str, dict[str, float]]:  # type: ignore[no-untyped-def]
    # Lists have a probability of their own, which is not to be mixed up.
    scored = probabilities(model, rows, numeric_inputs(model))
    scored = scored.withColumns(reason_columns(model, config) | {"probability": F.lit(0.5)})
    # What is added to a list later may have the name of a column that was encoded.
    listed = scored.select(
        "user_id", "probability", F.lit(0).alias("kind"), *reason_columns(model, config)
    )
    found = with_reasons(listed, model, config)
    assert found.columns == ["user_id", "probability", "kind", "reasons"]
    by_user = {row["user_id"]: row["reasons"] for row in found.collect()}
    for listed_reasons in by_user.values():
        sizes = [abs(reason["contribution"]) for reason in listed_reasons]
        assert sizes == sorted(sizes, reverse=True)
    return {
        user: {reason["group"]: reason["contribution"] for reason in listed_reasons}
        for user, listed_reasons in by_user.items()
    }


def test_those_of_a_logistic_ranker_are_exact_and_add_up(
    examples: DataFrame, planted_config: Config
) -> None:
    config = ranker_config(planted_config, "logistic", groups=GROUPS)
    model = fit_ranker(examples, config)
    found = _explained(examples, model, config)
    rows = examples.collect()
    weight = coefficients(model, config)
    mean = sum(math.log1p(row["bought"]) for row in rows) / len(rows)
    mean_rate = sum(row["rate"] for row in rows) / len(rows)
    scores = {
        row["user_id"]: row["probability"] for row in probabilities(model, examples).collect()
    }
    bases = set()
    for row in rows:
        user, own = row["user_id"], found[row["user_id"]]
        assert set(own) == {"shopping", "sort", "other"}
        by_hand = weight["bought"] * (math.log1p(row["bought"]) - mean)
        assert own["shopping"] == pytest.approx(by_hand, abs=1e-9)
        assert own["other"] == pytest.approx(weight["rate"] * (row["rate"] - mean_rate), abs=1e-9)
        log_odds = math.log(scores[user] / (1 - scores[user]))
        bases.add(round(log_odds - sum(own.values()), 6))
    assert len(bases) == 1, "what is left is the log-odds of the mean example"


def test_what_holds_for_every_ranker_gives_the_same_for_a_logistic_one(
    examples: DataFrame, planted_config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = ranker_config(planted_config, "logistic", groups=GROUPS)
    # What never varies adds nothing.
    constant = examples.withColumn("rate", F.lit(0.1))
    model = fit_ranker(constant, config)
    few = constant.where("user_id < 'u0010'")
    exact = _explained(few, model, config)
    monkeypatch.setattr(reasons, "linear_terms", lambda _: None)
    approximate = _explained(few, model, config)
    assert exact and {own["other"] for own in exact.values()} == {0.0}
    for user, own in exact.items():
        assert own == pytest.approx(approximate[user], abs=1e-9)


@pytest.mark.parametrize("method", ["gbt", "naive_bayes", "fm"])
def test_those_of_other_methods_point_the_way_of_the_planted_truth(
    spark: SparkSession, examples: DataFrame, planted_config: Config, method: str
) -> None:
    config = ranker_config(planted_config, method, groups=GROUPS)
    model = fit_ranker(examples, config)
    asked = spark.createDataFrame(
        [
            ("much", "a", None, 0, 15.0, 0.2, "a"),
            ("some of a", "a", None, 0, 1.0, 0.2, "a"),
            ("some of b", "a", None, 0, 1.0, 0.2, "b"),
            ("nothing", "a", None, 0, 0.0, 0.2, "b"),
        ],
        SCHEMA,
    )
    found = _explained(asked, model, config)
    assert found["much"]["shopping"] > 0.2
    assert found["nothing"]["shopping"] < -0.2
    # Trees take the mean of a and b for one of them, whose contribution is 0.
    assert found["some of a"]["sort"] >= 0 >= found["some of b"]["sort"]
    assert found["some of a"]["sort"] - found["some of b"]["sort"] > 0.5
    assert abs(found["much"]["other"]) < found["much"]["shopping"]


def test_calibration_changes_no_reason(examples: DataFrame, planted_config: Config) -> None:
    config = ranker_config(planted_config, "logistic", calibration="isotonic")
    model = fit_ranker(examples, config)
    corrected, _ = calibrated(model, Later(examples, config))
    few = examples.where("user_id < 'u0010'")
    assert _explained(few, corrected, config) == _explained(few, model, config)


def test_without_a_ranker_there_are_none(examples: DataFrame, planted_config: Config) -> None:
    rows = with_reasons(examples.limit(1).select("user_id"), None, planted_config)
    assert [row["reasons"] for row in rows.collect()] == [None]


def test_inputs_are_grouped_by_the_columns_that_they_read(planted_config: Config) -> None:
    config = planted_config.model_copy(
        update={
            "ranker": planted_config.ranker.model_copy(
                update={"categorical": ["attribute_city", "activity_type"], "groups": {}}
            )
        }
    )
    groups = input_groups(config)
    assert {name: groups[name] for name in ("type_rate", "user_rate", "als")} == {
        "type_rate": "activity",
        "user_rate": "past_responses",
        "als": "retrieval",
    }
    assert groups["purchase"] == groups["answer_recency"] == "history"
    assert groups["purchase_eligible_amount_30d"] == "affinity"
    assert (groups["attribute_city"], groups["activity_type"]) == ("profile", "activity")


@pytest.mark.parametrize(
    "groups, words",
    [({"a": ["no_such"]}, "'no_such'"), ({"a": ["rate"], "b": ["rate"]}, "'rate'.*two groups")],
)
def test_groups_that_make_no_sense_are_refused(
    planted_config: Config, groups: dict[str, list[str]], words: str
) -> None:
    with pytest.raises(ConfigError, match=rf"ranker\.groups.*{words}"):
        input_groups(ranker_config(planted_config, "logistic", groups=groups))
