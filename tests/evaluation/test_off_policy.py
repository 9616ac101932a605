"""Off-policy estimates agree with their formulas in NumPy, and refuse what they cannot know."""

from dataclasses import replace

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec.errors import ContractError, StateError
from activityrec.evaluation.bootstrap import counts
from activityrec.evaluation.off_policy import OffPolicyOptions, off_policy_estimates

ROWS, USERS = 400, 60
OPTIONS = OffPolicyOptions(clip=4.0, tau=3.0, shrinkage=5.0, replicates=20, seed=5)
NO_MODEL = ["ipw", "snipw"]
MODEL = [*NO_MODEL, "dm", "dr", "sndr", "switch_dr", "dros"]
Data = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def data() -> Data:
    random = np.random.default_rng(3)
    return {
        "user": random.integers(0, USERS, ROWS),
        "reward": random.exponential(1.0, ROWS) * random.integers(0, 2, ROWS),
        "propensity": random.uniform(0.05, 1.0, ROWS),
        "target": random.uniform(0.0, 1.0, ROWS) * random.integers(0, 2, ROWS),
        "predicted": random.uniform(0.0, 1.0, ROWS),
        "expected": random.uniform(0.0, 1.0, ROWS),
        "unsupported_mass": random.uniform(0.0, 0.01, ROWS),
    }


def _log(spark: SparkSession, data: Data, **columns: float | None) -> DataFrame:
    names = [name for name in data if name != "user"]
    rows = [
        (f"u{user}", *map(float, values))
        for user, *values in zip(data["user"], *(data[n] for n in names), strict=True)
    ]
    schema = "user_id STRING, " + ", ".join(f"{name} DOUBLE" for name in names)
    frame = spark.createDataFrame(rows, schema)
    return frame.withColumns({n: F.lit(v).cast("double") for n, v in columns.items()})


def _found(log: DataFrame, options: OffPolicyOptions = OPTIONS) -> dict[str, dict]:
    return {row["estimator"]: row.asDict() for row in off_policy_estimates(log, options).collect()}


def _formulas(data: Data, options: OffPolicyOptions) -> dict[str, float]:
    """As the papers write them, over rows."""
    reward, predicted, expected = data["reward"], data["predicted"], data["expected"]
    raw = data["target"] / data["propensity"]
    weight = np.minimum(raw, options.clip or np.inf)
    error = reward - predicted
    shrunk = options.shrinkage * raw / (raw**2 + options.shrinkage)
    return {
        "ipw": np.mean(weight * reward),
        "snipw": np.sum(weight * reward) / np.sum(weight),
        "dm": np.mean(expected),
        "dr": np.mean(expected + weight * error),
        "sndr": np.mean(expected) + np.sum(weight * error) / np.sum(weight),
        "switch_dr": np.mean(expected + np.where(raw <= options.tau, raw * error, 0)),
        "dros": np.mean(expected + shrunk * error),
    }


@pytest.fixture(scope="module")
def found(spark: SparkSession, data: Data) -> dict[str, dict]:
    # In two partitions, so that parts are added up.
    return _found(_log(spark, data).repartition(2))


def test_values(found: dict[str, dict], data: Data) -> None:
    values = {name: row["value"] for name, row in found.items()}
    assert values == pytest.approx(_formulas(data, OPTIONS), rel=1e-12)
    assert list(values) == MODEL


def test_intervals_are_those_of_rows_repeated_by_user(
    spark: SparkSession, found: dict[str, dict], data: Data
) -> None:
    users = spark.range(USERS).select(F.xxhash64(F.concat(F.lit("u"), "id"))).collect()
    hashes = np.array([row[0] for row in users]).view(np.uint64)
    times = counts(hashes, OPTIONS.replicates, OPTIONS.seed)[data["user"]].astype(int)
    replicates = [
        _formulas({name: np.repeat(v, drawn) for name, v in data.items()}, OPTIONS)
        for drawn in times.T[1:]
    ]
    for name, row in found.items():
        bounds = np.percentile([values[name] for values in replicates], [2.5, 97.5])
        assert [row["low"], row["high"]] == pytest.approx(bounds, rel=1e-12)
        assert row["low"] < row["value"] < row["high"]


def test_intervals_repeat_with_a_seed_and_change_with_another(
    spark: SparkSession, found: dict[str, dict], data: Data
) -> None:
    again = _found(_log(spark, data).repartition(3))
    other = _found(_log(spark, data), OffPolicyOptions(clip=4.0, replicates=20, seed=6))
    for name, row in found.items():
        bounds = [row["low"], row["high"]]
        assert [again[name]["low"], again[name]["high"]] == pytest.approx(bounds, rel=1e-12)
        assert other[name]["low"] != row["low"]


def test_diagnostics(found: dict[str, dict], data: Data) -> None:
    raw = data["target"] / data["propensity"]
    weight = np.minimum(raw, 4.0)
    wanted = {
        "rows": ROWS,
        "effective_sample_size": weight.sum() ** 2 / (weight**2).sum(),
        "mean_weight": weight.mean(),
        "largest_weight": raw.max(),
        "clipped": (raw > 4.0).mean(),
        "unsupported": data["unsupported_mass"].mean(),
    }
    assert 0 < wanted["clipped"] < 1
    for row in found.values():
        assert {name: row[name] for name in wanted} == pytest.approx(wanted, rel=1e-12)


def test_the_policy_of_the_log_is_worth_the_mean_reward(spark: SparkSession, data: Data) -> None:
    """And without a reward model there are no estimates that need one."""
    same = data | {"target": data["propensity"]}
    log = _log(spark, same).drop("predicted", "expected", "unsupported_mass")
    found = _found(log)
    assert list(found) == NO_MODEL
    for row in found.values():
        assert row["value"] == pytest.approx(data["reward"].mean(), rel=1e-12)
        assert row["effective_sample_size"] == pytest.approx(ROWS)
        assert row["clipped"] == 0 and row["unsupported"] is None


@pytest.mark.parametrize(("extreme", "same_as"), [(0.0, "dm"), (np.inf, "dr")])
def test_switch_and_shrinkage_lie_between_dm_and_dr(
    spark: SparkSession, data: Data, extreme: float, same_as: str
) -> None:
    found = _found(_log(spark, data), OffPolicyOptions(tau=extreme, shrinkage=extreme))
    assert found["switch_dr"]["value"] == pytest.approx(found[same_as]["value"], rel=1e-12)
    assert found["dros"]["value"] == pytest.approx(found[same_as]["value"], rel=1e-12)


def test_rows_that_cannot_be_are_counted_and_refused(spark: SparkSession, data: Data) -> None:
    broken = {
        "propensity": {"u1": "NULL", "u2": "0", "u3": "1.1"},
        "reward": {"u4": "NULL"},
        "target": {"u5": "-0.1", "u6": "NULL"},
        "unsupported_mass": {"u7": "NULL"},
    }
    log = _broken(_log(spark, data), broken)
    count = np.bincount(data["user"])
    with pytest.raises(ContractError) as error:
        off_policy_estimates(log, OPTIONS)
    assert str(error.value).startswith(
        f"log for off-policy estimates: of {ROWS} rows, "
        f"{count[[1, 2, 3]].sum()} have a propensity that is NULL or outside (0, 1]; "
        f"{count[4]} have a reward that is NULL or not finite; "
        f"{count[[5, 6]].sum()} have a target that is NULL or outside [0, 1]; "
        f"{count[7]} have an unsupported_mass that is NULL or outside [0, 1]."
    )


def test_predictions_in_some_rows_only_are_refused(spark: SparkSession, data: Data) -> None:
    log = _broken(_log(spark, data), {"predicted": {"u7": "NULL"}})
    count = (data["user"] == 7).sum()
    with pytest.raises(ContractError, match=f"{count} have no predicted or no expected"):
        off_policy_estimates(log, OPTIONS)


def _broken(log: DataFrame, broken: dict[str, dict[str, str]]) -> DataFrame:
    """With other values, by column and user."""
    for column, of_user in broken.items():
        for user, sql in of_user.items():
            wrong = F.when(F.col("user_id") == user, F.expr(sql).cast("double"))
            log = log.withColumn(column, wrong.when(F.col("user_id") != user, F.col(column)))
    return log


def test_a_missing_column_is_named(spark: SparkSession, data: Data) -> None:
    with pytest.raises(ContractError, match="no columns .'propensity'."):
        off_policy_estimates(_log(spark, data).drop("propensity"))


@pytest.mark.parametrize(
    ("columns", "text"),
    [
        ({"unsupported_mass": 0.02}, "2.0% of its probability to actions that the log never takes"),
        ({"target": 0.0}, "400 rows of the log are worth 0.0"),
    ],
)
def test_no_number_where_the_log_cannot_say(
    spark: SparkSession, data: Data, columns: dict[str, float], text: str
) -> None:
    with pytest.raises(StateError, match=text):
        off_policy_estimates(_log(spark, data, **columns), OPTIONS)


def test_too_few_rows_carry_the_weight(spark: SparkSession, data: Data) -> None:
    few = data | {"target": np.where(np.arange(ROWS) < 20, data["propensity"], 0.0)}
    with pytest.raises(StateError, match="worth 20.0 .limit: 30."):
        off_policy_estimates(_log(spark, few), OPTIONS)


def test_an_empty_log_is_refused(spark: SparkSession, data: Data) -> None:
    with pytest.raises(StateError, match="no rows"):
        off_policy_estimates(_log(spark, data).where("false"))


def test_weights_that_are_not_1_on_average_are_refused_before_they_are_clipped(
    spark: SparkSession, data: Data
) -> None:
    tolerant, strict = (replace(OPTIONS, clip=0.5, weight_tolerance=t) for t in (None, 0.1))
    half = _log(spark, data | {"target": data["propensity"] / 2})
    assert _found(half, tolerant)["ipw"]["mean_weight"] == pytest.approx(0.5)
    with pytest.raises(StateError, match=r"weights are 0.50 on average \(0.50 to 0.50\), not 1"):
        off_policy_estimates(half, strict)
    same = _log(spark, data | {"target": data["propensity"]})
    assert _found(same, strict)["ipw"]["mean_weight"] == pytest.approx(0.5)


def test_nothing_answered_gives_no_interval(spark: SparkSession, data: Data) -> None:
    row = _found(_log(spark, data, reward=0.0))["ipw"]
    assert (row["value"], row["low"], row["high"]) == (0.0, None, None)
    alone = _found(_log(spark, data), replace(OPTIONS, replicates=0))["ipw"]
    assert alone["value"] > 0 and alone["low"] is None
