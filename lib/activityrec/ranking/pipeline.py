"""The ranker as one MLlib Pipeline: from the columns of an example to a probability."""

from typing import Any, cast

from pyspark.errors import AnalysisException
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.classification import LogisticRegression, LogisticRegressionModel
from pyspark.ml.feature import OneHotEncoder, SQLTransformer, StringIndexer, VectorAssembler
from pyspark.ml.functions import vector_to_array
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.config import Config
from activityrec.errors import ConfigError, StateError
from activityrec.ranking.inputs import one_hot_columns, ranker_inputs

_PREFIX = "input_"


def fit_ranker(examples: DataFrame, config: Config) -> PipelineModel:
    """Fit a logistic regression on training examples.

    Parameters
    ----------
    examples
        ``features.training_examples``. An input that is NULL for an example counts as 0, and so
        does every place of a one-hot code for a value that the fit did not see.

    Raises
    ------
    ConfigError
        An expression of ``ranker.inputs`` does not resolve, or a column of
        ``ranker.categorical`` does not exist.
    StateError
        There are not both answered and unanswered examples.
    """
    inputs = ranker_inputs(config)
    _check(examples, inputs)
    if unknown := sorted(set(one_hot_columns(config)) - set(examples.columns)):
        raise ConfigError(f"ranker.categorical: {unknown} are no columns of training_examples")
    counts = {row["label"]: row["count"] for row in examples.groupBy("label").count().collect()}
    if len(counts) < 2:
        raise StateError(
            f"cannot train a ranker: {counts.get(1, 0)} answered and {counts.get(0, 0)} "
            "unanswered exposures whose response window closed by as_of; both are needed"
        )
    # The order of rows decides the last bits of sums; a fixed one makes the fit repeatable.
    key = ["user_id", "activity_id", "exposure_ts"]
    ordered = examples.repartition("user_id").sortWithinPartitions(*key)
    return _pipeline(inputs, config).fit(ordered.persist())


def probabilities(model: PipelineModel, examples: DataFrame) -> DataFrame:
    """``examples`` with ``probability``, that of a response."""
    scored = model.transform(examples)
    return scored.select(
        *examples.columns, vector_to_array(F.col("probability"))[1].alias("probability")
    )


def coefficients(model: PipelineModel, config: Config) -> dict[str, float]:
    """Weight of each numeric input, per unit of the input."""
    # Those of one-hot columns come after the numeric ones, and have no name of their own.
    weights = logistic_of(model).coefficients.toArray()
    named = zip(ranker_inputs(config), weights, strict=False)
    return {name: float(value) for name, value in named}


def logistic_of(model: PipelineModel) -> LogisticRegressionModel:
    """The fitted regression inside the pipeline."""
    return cast(LogisticRegressionModel, model.stages[-1])


def _pipeline(inputs: dict[str, str], config: Config) -> Pipeline:
    categorical = one_hot_columns(config)
    indexed = [f"{_PREFIX}{name}_index" for name in categorical]
    encoded = [f"{_PREFIX}{name}_onehot" for name in categorical]
    encoders: list[Any] = [
        StringIndexer(inputCols=categorical, outputCols=indexed, handleInvalid="keep"),
        OneHotEncoder(inputCols=indexed, outputCols=encoded),
    ]
    numeric = [f"{_PREFIX}{name}" for name in inputs]
    return Pipeline(
        stages=[
            SQLTransformer(statement=_statement(inputs)),
            *(encoders if categorical else []),
            VectorAssembler(inputCols=[*numeric, *encoded], outputCol="features"),
            LogisticRegression(
                regParam=config.ranker.reg,
                elasticNetParam=config.ranker.elastic_net,
                maxIter=config.ranker.max_iter,
            ),
        ]
    )


def _statement(inputs: dict[str, str]) -> str:
    columns = [
        f"coalesce(cast({sql} AS DOUBLE), 0D) AS {_PREFIX}{name}" for name, sql in inputs.items()
    ]
    return f"SELECT *, {', '.join(columns)} FROM __THIS__"


def _check(examples: DataFrame, inputs: dict[str, str]) -> None:
    for name, sql in inputs.items():
        try:
            # Beside a plain column an aggregate does not resolve either: it is no input.
            examples.select("label", F.expr(sql)).schema  # noqa: B018 - resolves the expression
        except AnalysisException as error:
            message = str(error).splitlines()[0]
            raise ConfigError(
                f"ranker.inputs.{name}: {sql!r} does not resolve: {message}"
            ) from None
