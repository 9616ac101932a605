"""The ranker as one MLlib Pipeline: from the columns of an example to a probability."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LogisticRegressionModel
from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.ml.feature import (
    OneHotEncoder,
    SQLTransformer,
    StandardScaler,
    StringIndexer,
    VectorAssembler,
)
from pyspark.ml.functions import array_to_vector, vector_to_array
from pyspark.ml.regression import IsotonicRegressionModel
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.config import Config
from activityrec.errors import ConfigError, StateError
from activityrec.expressions import check_expression
from activityrec.ranking.inputs import INPUT, input_columns, one_hot_columns, ranker_inputs
from activityrec.ranking.linear import Term, intercept, linear_terms, total
from activityrec.ranking.methods import FEATURES, STANDARDISED, Method

CALIBRATED = "calibrated"
"""What the last stage of a calibrated pipeline gives."""

TRACE = 1e-3
"""How much of the uncalibrated probability is in a calibrated one: steps become slopes, so that
calibration changes no order."""

_PLAIN = "_plain_probability"


def fit_ranker(examples: DataFrame, config: Config) -> PipelineModel:
    """Fit the chosen method on training examples.

    Parameters
    ----------
    examples
        ``features.training_examples``. An input that is NULL for an example counts as 0, and so
        does every place of a one-hot code for a value that the fit did not see.

    Raises
    ------
    ConfigError
        An expression of ``ranker.inputs`` or ``more_inputs`` does not resolve, a column of
        ``ranker.categorical`` does not exist or has no value at all, or the method is an extra
        that is not installed.
    StateError
        There are not both answered and unanswered examples.
    """
    inputs = ranker_inputs(config)
    for name, sql in inputs.items():
        section = "more_inputs" if name in config.ranker.more_inputs else "inputs"
        check_expression(examples, f"ranker.{section}.{name}", sql)
    categorical = one_hot_columns(config)
    if unknown := sorted(set(categorical) - set(examples.columns)):
        raise ConfigError(f"ranker.categorical: {unknown} are no columns of training_examples")
    examples = weighted(examples)
    filled = [F.count(name).alias(f"filled_{name}") for name in categorical]
    counted = examples.groupBy("label").agg(
        F.count("*").alias("n"), F.avg("weight").alias("mean"), *filled
    )
    found = {row["label"]: row for row in counted.collect()}
    if len(found) < 2:
        answered, not_answered = (found[n]["n"] if n in found else 0 for n in (1, 0))
        raise StateError(
            f"cannot train a ranker: {answered} answered and {not_answered} "
            "unanswered exposures whose response window closed by as_of; both are needed"
        )
    if empty := [c for c in categorical if not any(row[f"filled_{c}"] for row in found.values())]:
        raise ConfigError(
            f"one-hot columns {empty} have no value in any training example: take them out of "
            "ranker.categorical or attributes"
        )
    pipeline = _pipeline(config, sum(row["n"] for row in found.values()))
    # The order of rows decides the last bits of sums; a fixed one makes the fit repeatable.
    key = ["user_id", "activity_id", "exposure_ts"]
    ordered = examples.repartition("user_id").sortWithinPartitions(*key)
    model = pipeline.fit(ordered.persist())
    method = config.ranker.chosen
    if not method.weighted and found[0]["mean"] != found[1]["mean"]:
        # Fitted as if every example stood for one candidate.
        log_odds = math.log(found[1]["mean"] / found[0]["mean"])
        model.stages[-1] = method.corrected(model.stages[-1], log_odds)
    return model


def ranker_params(config: Config) -> dict[str, object]:
    """What an MLflow run says of the ranker: the chosen method with its parameters alone."""
    ranker = config.ranker
    general = {
        name: getattr(ranker, name)
        for name in type(ranker).model_fields
        if name != "inputs" and not isinstance(getattr(ranker, name), Method)
    }
    return general | ranker.chosen.model_dump() | {"inputs": len(ranker_inputs(config))}


def weighted(examples: DataFrame) -> DataFrame:
    """``examples`` with ``weight``, 1 where they have none."""
    if "weight" in examples.columns:
        return examples
    return examples.withColumn("weight", F.lit(1.0))


def probabilities(model: PipelineModel, examples: DataFrame, made: Iterable[str] = ()) -> DataFrame:
    """``examples`` with ``probability``, that of a response, and the columns ``made`` of those
    that the pipeline makes on its way."""
    terms = linear_terms(model)
    if terms is None:
        scored = model.transform(examples).withColumn(_PLAIN, of_response())
    else:
        scored = _summed(model, examples, terms)
    probability = F.col(_PLAIN)
    if CALIBRATED in scored.columns:
        probability = (1 - TRACE) * F.col(CALIBRATED) + TRACE * probability
    return scored.select(*examples.columns, *made, probability.alias("probability"))


def _summed(model: PipelineModel, examples: DataFrame, terms: Sequence[Term]) -> DataFrame:
    """``examples`` with input columns and probabilities of a logistic ranker, without its other
    stages; with those of calibration where it has any."""
    stages: list[Any] = model.stages
    log_odds = total([F.lit(intercept(model)), *[term.added for term in terms]])
    scored = stages[0].transform(examples).withColumn(_PLAIN, 1 / (1 + F.exp(-log_odds)))
    if not isinstance(stages[-1], IsotonicRegressionModel):
        return scored
    both = array_to_vector(F.array(1 - F.col(_PLAIN), _PLAIN))
    return stages[-1].transform(scored.withColumn("probability", both))


def of_response() -> Column:
    """Column: the probability of a response in the output of a pipeline, before calibration."""
    return vector_to_array(F.col("probability"))[1]


def training_auc(model: PipelineModel, examples: DataFrame) -> float:
    """AUC on the examples that the model was fitted on."""
    evaluator = BinaryClassificationEvaluator(
        rawPredictionCol="probability", labelCol="label", weightCol="weight"
    )
    return float(evaluator.evaluate(model.transform(weighted(examples))))


def coefficients(model: PipelineModel, config: Config) -> dict[str, float]:
    """Weight of each numeric input, per unit of the input; none but for a logistic ranker."""
    # Those of one-hot columns come after the numeric ones, and have no name of their own.
    weights = [
        stage.coefficients.toArray()
        for stage in model.stages
        if isinstance(stage, LogisticRegressionModel)
    ]
    named = zip(ranker_inputs(config), weights[0], strict=False) if weights else ()
    return {name: float(value) for name, value in named}


def _pipeline(config: Config, examples: int) -> Pipeline:
    categorical = one_hot_columns(config)
    indexed = [f"{INPUT}{name}_index" for name in categorical]
    encoded = [f"{INPUT}{name}_onehot" for name in categorical]
    encoders: list[Any] = [
        StringIndexer(inputCols=categorical, outputCols=indexed, handleInvalid="keep"),
        OneHotEncoder(inputCols=indexed, outputCols=encoded),
    ]
    numeric = input_columns(config)
    selected = ", ".join(f"{sql} AS {name}" for name, sql in numeric.items())
    return Pipeline(
        stages=[
            SQLTransformer(statement=f"SELECT *, {selected} FROM __THIS__"),
            *(encoders if categorical else []),
            VectorAssembler(inputCols=[*numeric, *encoded], outputCol=FEATURES),
            StandardScaler(inputCol=FEATURES, outputCol=STANDARDISED, withMean=True, withStd=True),
            *config.ranker.chosen.stages(config.ranker.seed, examples),
        ]
    )
