"""Rewards are predicted by models that did not see them, for a policy that a table describes."""

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from sklearn.linear_model import LogisticRegression

from activityrec.errors import ContractError, StateError
from activityrec.evaluation.evaluated_policy import with_policy
from activityrec.evaluation.reward_model import RewardModel, cross_fitted

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
