"""Off-policy estimates agree with their formulas in NumPy, and refuse what they cannot know."""

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from sklearn.linear_model import LogisticRegression

from activityrec.errors import ContractError, StateError
from activityrec.evaluation.bootstrap import counts
from activityrec.evaluation.evaluated_policy import with_policy
from activityrec.evaluation.off_policy import OffPolicyOptions, off_policy_estimates
from activityrec.evaluation.reward_model import RewardModel, cross_fitted

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


ACTIONS = ("a", "b", "c")
REWARD_MODEL = RewardModel(
    actions=ACTIONS, context=("device", "city"), key=("row",), folds=2, inverse_penalty=2.0
)
POLICY = [("a", 0.5), ("b", 0.5)]


@pytest.fixture(scope="module")
def decisions(spark: SparkSession) -> DataFrame:
    """The reward depends on the device and the action. A city can be NULL."""
    random = np.random.default_rng(4)
    rows = []
    for row in range(200):
        device, action = random.integers(2), random.integers(3)
        city = [None, "x", "y"][random.integers(3)]
        reward = float(random.random() < (0.1 + 0.3 * device + 0.2 * action))
        rows.append((f"r{row}", f"d{device}", city, ACTIONS[action], reward))
    schema = "row STRING, device STRING, city STRING, action STRING, reward DOUBLE"
    policy = spark.createDataFrame(POLICY, "action STRING, probability DOUBLE")
    return with_policy(spark.createDataFrame(rows, schema), policy, ACTIONS).persist()


@pytest.fixture(scope="module")
def fitted(decisions: DataFrame) -> dict[str, dict]:
    return _by_row(cross_fitted(decisions, REWARD_MODEL))


def _by_row(frame: DataFrame) -> dict[str, dict]:
    return {row["row"]: row.asDict() for row in frame.collect()}


def _places(row: dict, action: str) -> list[bool]:
    chosen = [row["city"] is None, row["city"] == "x", row["city"] == "y"]
    return [row["device"] == "d0", row["device"] == "d1", *chosen, *(action == a for a in ACTIONS)]


def test_the_policy_of_a_table(fitted: dict[str, dict]) -> None:
    for row in fitted.values():
        assert row["policy"] == [0.5, 0.5, 0.0]
        assert row["target"] == (0.0 if row["action"] == "c" else 0.5)


def test_predictions_are_those_of_scikit_learn_on_the_other_folds(fitted: dict[str, dict]) -> None:
    for fold in (0, 1):
        others = [row for row in fitted.values() if row["fold"] != fold]
        mine = [row for row in fitted.values() if row["fold"] == fold]
        model = LogisticRegression(C=2.0, tol=1e-8, max_iter=1_000)
        model.fit([_places(r, r["action"]) for r in others], [r["reward"] for r in others])

        def predict(actions: list[str], mine: list[dict] = mine, model=model) -> np.ndarray:
            places = [_places(row, a) for row, a in zip(mine, actions, strict=True)]
            return model.predict_proba(places)[:, 1]

        expected = (predict(["a"] * len(mine)) + predict(["b"] * len(mine))) / 2
        predicted = predict([row["action"] for row in mine])
        assert [row["predicted"] for row in mine] == pytest.approx(predicted, abs=1e-5)
        assert [row["expected"] for row in mine] == pytest.approx(expected, abs=1e-5)


def test_a_row_does_not_see_the_rewards_of_its_fold(
    decisions: DataFrame, fitted: dict[str, dict]
) -> None:
    first = [name for name, row in fitted.items() if row["fold"] == 0]
    flipped = F.when(F.col("row").isin(first), 1 - F.col("reward")).otherwise(F.col("reward"))
    again = _by_row(cross_fitted(decisions.withColumn("reward", flipped), REWARD_MODEL))
    for name, row in fitted.items():
        same = again[name]["predicted"] == pytest.approx(row["predicted"], abs=1e-9)
        assert same == (row["fold"] == 0)


def test_slots_have_models_of_their_own_and_actions_can_be_described(
    spark: SparkSession, decisions: DataFrame
) -> None:
    """In the second slot everything is answered, in the first nothing."""
    parts = {slot: float(slot == "s2") for slot in ("s1", "s2")}
    log = decisions.drop("policy", "target").withColumns(
        {
            "slot": F.when(F.crc32("row") % 2 == 0, "s1").otherwise("s2"),
            "reward": (F.crc32("row") % 2).cast("double"),
        }
    )
    model = RewardModel(
        actions=ACTIONS,
        context=("device",),
        key=("row",),
        slot="slot",
        folds=2,
        features=np.array([[1.0, 2.0], [0.0, 1.0], [3.0, 0.0]]),
    )
    policy = spark.createDataFrame(
        [("a", "s1", 1.0), ("b", "s2", 1.0)], "action STRING, slot STRING, probability DOUBLE"
    )
    rows = _by_row(cross_fitted(with_policy(log, policy, ACTIONS, slot="slot"), model)).values()
    assert all(row["predicted"] == parts[row["slot"]] for row in rows)
    assert all(row["expected"] == parts[row["slot"]] for row in rows)
    assert {row["target"] for row in rows if row["action"] == "c"} == {0.0}
    assert {row["target"] for row in rows if (row["slot"], row["action"]) == ("s2", "b")} == {1.0}


def test_rows_without_a_model_are_counted_and_refused(decisions: DataFrame) -> None:
    log = decisions.withColumns(
        {
            "reward": F.lit(0.5),
            "action": F.lit("z"),
            "policy": F.when(F.col("row") != "r0", F.array(F.lit(1.0))),
        }
    )
    with pytest.raises(ContractError) as error:
        cross_fitted(log, REWARD_MODEL)
    assert str(error.value) == (
        "reward model: of 200 rows, 200 have a reward other than 0 and 1; "
        "200 have an action that the model does not have; 200 have no policy of 3 actions"
    )


def test_nothing_to_fit_on_is_refused(decisions: DataFrame) -> None:
    with pytest.raises(StateError, match="no rows"):
        cross_fitted(decisions.where("false"), REWARD_MODEL)
    with pytest.raises(StateError, match="has all rows of slot ''"):
        cross_fitted(decisions.where("row = 'r0'"), REWARD_MODEL)


@pytest.mark.parametrize(
    ("rows", "text"),
    [([("a", 0.5)], "add up to 0.5"), ([("z", 1.0)], "'z'. are not among the actions")],
)
def test_a_policy_that_is_no_distribution_over_the_actions_is_refused(
    spark: SparkSession, decisions: DataFrame, rows: list[tuple], text: str
) -> None:
    policy = spark.createDataFrame(rows, "action STRING, probability DOUBLE")
    with pytest.raises(ContractError, match=text):
        with_policy(decisions.drop("policy", "target"), policy, ACTIONS)
