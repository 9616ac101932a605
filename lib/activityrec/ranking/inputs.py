"""What the ranker sees: Spark SQL expressions over the columns of a training example."""

from itertools import chain
from typing import Any

from pyspark.ml import PipelineModel
from pyspark.ml.feature import OneHotEncoderModel, VectorAssembler

from activityrec.config import Config
from activityrec.tables import AttributeTable, attribute_column

INPUT = "input_"
"""What the names of the pipeline's input columns begin with."""

_TABLES: tuple[AttributeTable, ...] = ("users", "activities", "products")


def ranker_inputs(config: Config) -> dict[str, str]:
    """Input name to SQL expression: those of the configuration, or the default ones, and more."""
    ranker = config.ranker
    return (ranker.inputs or default_inputs(config)) | ranker.more_inputs


def input_columns(config: Config) -> dict[str, str]:
    """Input column of the pipeline to SQL expression: a DOUBLE, 0 where the input is NULL."""
    return {
        f"{INPUT}{name}": f"coalesce(cast({sql} AS DOUBLE), 0D)"
        for name, sql in ranker_inputs(config).items()
    }


def numeric_inputs(model: PipelineModel) -> list[str]:
    """The input columns that a fitted pipeline makes, in the order of its features."""
    stages: list[Any] = model.stages
    assembler = next(stage for stage in stages if isinstance(stage, VectorAssembler))
    encoded = [s.getOutputCols() for s in stages if isinstance(s, OneHotEncoderModel)]
    return [name for name in assembler.getInputCols() if name not in chain(*encoded)]


def one_hot_columns(config: Config) -> list[str]:
    """The columns that are encoded one-hot: those of the configuration and, beside the default
    inputs, those of all declared attributes and the segment."""
    columns = list(config.ranker.categorical)
    if not config.ranker.inputs:
        columns += [
            attribute_column(table, name)
            for table in _TABLES
            for name in getattr(config.attributes, table)
        ]
        columns += ["segment"] if config.retrieval.segments is not None else []
    return list(dict.fromkeys(columns))


def default_inputs(config: Config) -> dict[str, str]:
    """Inputs that any data set with exposures has.

    Counts enter as rates per 30 observed days and by their logarithm: a count since the
    beginning of the log grows between training and use, a rate does not. Rates of response
    enter as log-odds.
    """
    observed = "greatest(7, observed_days)"
    inputs = {
        "type_rate": _log_odds("type_response_rate"),
        "activity_rate": _log_odds("activity_response_rate"),
        "user_rate": _log_odds("response_rate"),
        "eligible_products": "ln(1 + eligible_products)",
        "offers": "ln(1 + offers)",
    }
    inputs |= {name: f"{name}_score" for name in config.retrieval.weights}
    for kind in config.features.event_types:
        inputs[kind] = f"ln(1 + 30 * {kind}_count_all / {observed})"
        recency = f"coalesce({kind}_recency_days, 365)"
        inputs[f"{kind}_recency"] = f"ln(1 + least(365, {recency}))"
    for kind in config.features.affinity_types:
        # A share of few events is shrunk towards none.
        inputs[f"{kind}_category"] = f"{kind}_category_count / (5 + {kind}_count_all)"
        for what in ("count", "amount"):
            column = f"{kind}_eligible_{what}"
            inputs[column] = f"ln(1 + 30 * {column} / {observed})"
            for days in config.features.affinity_windows:
                rate = f"30 * {column}_{days}d / least({days}, {observed})"
                inputs[f"{column}_{days}d"] = f"ln(1 + {rate})"
    return inputs


def _log_odds(rate: str) -> str:
    bounded = f"greatest(0.001, least(0.999, coalesce({rate}, 0.1)))"
    return f"ln({bounded} / (1 - {bounded}))"
