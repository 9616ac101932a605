"""What models that are fitted fold by fold share: folds, and categories as places of a vector."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.ml.feature import OneHotEncoder, StringIndexer
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from activityrec.features.affinity import Floats, Ints


def fold_of(key: Sequence[str], folds: int, seed: int) -> Column:
    """INT from 0 to ``folds`` - 1, by the hash of the columns ``key``."""
    return F.pmod(F.xxhash64(*key, F.lit(seed)), F.lit(folds)).cast("int")


def one_hot(rows: DataFrame, context: Sequence[str]) -> tuple[DataFrame, list[list[str]]]:
    """Encode STRING columns; NULL, and what is not known, is a category too, the last one.

    Returns
    -------
    rows
        With a vector ``_hot_<name>`` for each column of ``context``.
    categories
        The labels of each column, in the order of the places of its vector.
    """
    places = [f"_index_{name}" for name in context]
    indexer = StringIndexer(inputCols=list(context), outputCols=places, handleInvalid="keep")
    fitted = indexer.fit(rows)
    indexed = fitted.transform(rows)
    hot = [f"_hot_{name}" for name in context]
    encoder = OneHotEncoder(inputCols=places, outputCols=hot, dropLast=False)
    return encoder.fit(indexed).transform(indexed), [list(labels) for labels in fitted.labelsArray]


def blocks_of(weights: Floats, categories: Sequence[Sequence[str]]) -> list[Floats]:
    """The last axis of coefficients cut into the block of each column of :func:`one_hot`, and what
    comes after them."""
    # One more place for what is no category.
    ends = np.cumsum([len(labels) + 1 for labels in categories])
    return np.split(weights, ends, axis=-1)


def numbers(column: pa.Array, names: Sequence[str]) -> Ints:
    """Place of each value in ``names``; their number for one that is not there."""
    found = pc.index_in(column, value_set=pa.array(names, pa.string()))
    places: Ints = found.fill_null(len(names)).to_numpy(zero_copy_only=False).astype(np.int64)
    return places
