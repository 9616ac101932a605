"""The ranker: the regression that the textbook gives, and clear errors."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from sklearn.linear_model import LogisticRegression

from activityrec.config import AttributesConfig, Config, RankerConfig
from activityrec.errors import ConfigError, StateError
from activityrec.job import Job
from activityrec.ranking.calibration import Later, calibrated
from activityrec.ranking.inputs import default_inputs, one_hot_columns, ranker_inputs
from activityrec.ranking.pipeline import CALIBRATED, TRACE, fit_ranker, probabilities
from activityrec.tables import training_examples

SCHEMA = (
    "user_id STRING, activity_id STRING, exposure_ts TIMESTAMP, label INT, x DOUBLE, y DOUBLE, "
    "kind STRING"
)


def _config(planted_config: Config, **ranker: object) -> Config:
    return planted_config.model_copy(update={"ranker": RankerConfig(**ranker)})


def _rows(n: int = 300) -> list[tuple]:
    random = np.random.default_rng(11)
    rows = []
    for place in range(n):
        x, y = random.normal(), random.normal() * 5
        label = int(random.random() < 1 / (1 + np.exp(-(1.5 * x - 0.3 * y - 1))))
        rows.append((f"u{place}", "a", None, label, x, y, "ab"[place % 2]))
    return rows


def test_probabilities_equal_scikit_learns(spark: SparkSession, planted_config: Config) -> None:
    rows, penalty = _rows(), 15.0
    inputs = {"x": "x", "twice": "2 * y"}
    config = _config(planted_config, inputs=inputs, logistic={"penalty": penalty})
    examples = spark.createDataFrame(rows, SCHEMA)
    model = fit_ranker(examples, config)
    scored = probabilities(model, examples).orderBy("user_id").collect()
    found = {row["user_id"]: row["probability"] for row in scored}

    values = np.array([(row[4], 2 * row[5]) for row in rows])
    # MLlib penalises the weights of inputs scaled to unit deviation (n - 1), not the intercept.
    scaled = values / values.std(axis=0, ddof=1)
    label = np.array([row[3] for row in rows])
    theirs = LogisticRegression(C=1 / penalty, tol=1e-10).fit(scaled, label)
    wanted = dict(zip([row[0] for row in rows], theirs.predict_proba(scaled)[:, 1], strict=True))
    assert found == pytest.approx(wanted, abs=1e-3)


def test_missing_inputs_count_as_zero_and_unseen_categories_do_no_harm(
    spark: SparkSession, planted_config: Config
) -> None:
    config = _config(planted_config, inputs={"x": "x"}, categorical=["kind"])
    model = fit_ranker(spark.createDataFrame(_rows(), SCHEMA), config)
    strange = spark.createDataFrame(
        [("u1", "a", None, 0, None, 0.0, "new"), ("u2", "a", None, 0, 0.0, 0.0, "new")], SCHEMA
    )
    one, other = (row["probability"] for row in probabilities(model, strange).collect())
    assert one == other and 0 < one < 1


def test_a_category_changes_the_probability_and_an_unseen_one_is_no_category(
    spark: SparkSession, planted_config: Config
) -> None:
    """Those of kind a answer nine times of ten, those of b once; x says nothing."""
    rows = [
        (f"u{n}", "a", None, int((n % 10 == 0) == (n % 4 < 2)), 0.0, 0.0, "ab"[n % 4 < 2])
        for n in range(80)
    ]
    config = _config(
        planted_config, inputs={"x": "x"}, categorical=["kind"], logistic={"penalty": 0}
    )
    model = fit_ranker(spark.createDataFrame(rows, SCHEMA), config)
    asked = [("1", "a"), ("2", "b"), ("3", "new"), ("4", None)]
    frame = spark.createDataFrame(
        [(user, "a", None, 0, 0.0, 0.0, kind) for user, kind in asked], SCHEMA
    )
    scored = probabilities(model, frame).orderBy("user_id").collect()
    found = [row["probability"] for row in scored]
    assert found[:2] == pytest.approx([0.9, 0.1], abs=1e-3)
    (neither,) = set(found[2:])
    intercept = model.stages[-1].intercept
    assert neither == pytest.approx(1 / (1 + np.exp(-intercept)))


@pytest.mark.parametrize("calibration", ["none", "isotonic"])
def test_probabilities_are_those_of_the_pipeline_itself(
    spark: SparkSession, planted_config: Config, calibration: str
) -> None:
    """Those of a logistic ranker are not made by its stages."""
    start = datetime(2024, 1, 1)
    rows = [
        (user, activity, start + timedelta(hours=n), label, x, y, kind, n % 3)
        for n, (user, activity, _, label, x, y, kind) in enumerate(_rows())
    ]
    schema = f"{SCHEMA}, shelf INT"
    config = _config(
        planted_config,
        inputs={"x": "x", "y": "y", "none": "0"},
        categorical=["kind", "shelf"],
        calibration=calibration,
    )
    examples = spark.createDataFrame(rows, schema)
    model, _ = calibrated(fit_ranker(examples, config), Later(examples, config))
    strange = [("new", 1), (None, 2), ("a", None), ("b", 7), ("b", 0)]
    odd = [(f"v{n}", "a", start, 0, None, 400.0 * (n - 2), *cell) for n, cell in enumerate(strange)]
    asked = examples.unionByName(spark.createDataFrame(odd, schema))
    found = probabilities(model, asked)
    assert not any("UDF" in line for line in _plan(found).splitlines()) or calibration != "none"
    theirs = vector_to_array("probability")[1].alias("probability")
    if calibration == "isotonic":
        theirs = ((1 - TRACE) * F.col(CALIBRATED) + TRACE * theirs).alias("probability")
    wanted = model.transform(asked).select("user_id", theirs)
    by_user = [
        {row["user_id"]: row["probability"] for row in frame.collect()} for frame in (found, wanted)
    ]
    assert by_user[0] == pytest.approx(by_user[1], abs=1e-12)


def _plan(frame: DataFrame) -> str:
    return frame._jdf.queryExecution().executedPlan().toString()


def test_a_category_without_any_value_is_named(spark: SparkSession, planted_config: Config) -> None:
    rows = [(*row[:6], None) for row in _rows(60)]
    config = _config(planted_config, inputs={"x": "x"}, categorical=["kind"])
    with pytest.raises(ConfigError, match=r"\['kind'\] have no value in any training example"):
        fit_ranker(spark.createDataFrame(rows, SCHEMA), config)


def test_declared_attributes_are_one_hot_beside_the_default_inputs_alone(
    planted_config: Config,
) -> None:
    city = {"city": {}}
    attributes = AttributesConfig.model_validate(
        {"users": city, "activities": city, "products": {"weight": {"type": "numeric"}}}
    )
    config = planted_config.model_copy(update={"attributes": attributes})
    declared = ["attribute_city", "activity_attribute_city", "product_attribute_weight"]
    assert one_hot_columns(_config(config)) == declared
    twice = _config(config, categorical=["gender", "attribute_city"])
    assert one_hot_columns(twice) == ["gender", *declared]
    given = _config(config, inputs={"x": "x"}, categorical=["product_attribute_weight"])
    assert one_hot_columns(given) == ["product_attribute_weight"]


def test_an_input_that_does_not_resolve_is_named(
    spark: SparkSession, planted_config: Config
) -> None:
    config = _config(planted_config, inputs={"good": "x", "bad": "no_such_column + 1"})
    with pytest.raises(ConfigError, match=r"ranker\.inputs\.bad.*no_such_column"):
        fit_ranker(spark.createDataFrame(_rows(4), SCHEMA), config)


def test_more_inputs_come_beside_the_given_ones_or_the_default_ones(
    spark: SparkSession, planted_config: Config
) -> None:
    more = {"another": "no_such_column"}
    beside_default = ranker_inputs(_config(planted_config, more_inputs=more))
    assert beside_default == default_inputs(planted_config) | more
    config = _config(planted_config, inputs={"x": "x"}, more_inputs=more)
    assert ranker_inputs(config) == {"x": "x"} | more
    with pytest.raises(ConfigError, match=r"ranker\.more_inputs\.another.*no_such_column"):
        fit_ranker(spark.createDataFrame(_rows(4), SCHEMA), config)


def test_a_categorical_column_that_is_none_of_the_examples_is_named(
    spark: SparkSession, planted_config: Config
) -> None:
    config = _config(planted_config, inputs={"x": "x"}, categorical=["kind", "no_such_column"])
    with pytest.raises(ConfigError, match=r"ranker\.categorical.*'no_such_column'"):
        fit_ranker(spark.createDataFrame(_rows(4), SCHEMA), config)


def test_an_aggregate_is_no_input(spark: SparkSession, planted_config: Config) -> None:
    config = _config(planted_config, inputs={"bad": "avg(x)"})
    with pytest.raises(ConfigError, match=r"ranker\.inputs\.bad"):
        fit_ranker(spark.createDataFrame(_rows(4), SCHEMA), config)


def test_examples_of_one_kind_only_are_an_error(
    spark: SparkSession, planted_config: Config
) -> None:
    rows = [(*row[:3], 0, *row[4:]) for row in _rows(5)]
    with pytest.raises(StateError, match="0 answered and 5 unanswered"):
        fit_ranker(spark.createDataFrame(rows, SCHEMA), _config(planted_config, inputs={"x": "x"}))


def test_default_inputs_resolve_and_are_never_null(planted_run: Job) -> None:
    config = planted_run.config
    rows = planted_run.lakehouse.read(training_examples(config))
    inputs = rows.selectExpr(*[f"{sql} AS {name}" for name, sql in default_inputs(config).items()])
    assert inputs.dropna().count() == rows.count()
