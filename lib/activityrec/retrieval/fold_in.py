"""Users that ALS has not seen, from what they did and the fixed factors of items."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.config import AlsConfig
from activityrec.retrieval.protocol import dense_indices

Batches = Iterator[pa.RecordBatch]
Matrix = npt.NDArray[np.float64]


def fold_in(interactions: DataFrame, items: DataFrame, config: AlsConfig) -> DataFrame:
    """Solve the normal equations of implicit ALS for users, the factors of items being fixed.

    x = (Y'Y + Σ α w y y' + reg n I)^-1 Σ (1 + α w) y over the n items of the user (Hu, Koren,
    Volinsky 2008; n as in MLlib): for a user of the fit the factor that the fit gave.

    Parameters
    ----------
    interactions
        user_id, item_kind, item_id, weight of the users to be folded in.
    items
        ``features.item_vectors`` of the ALS fit.

    Returns
    -------
    DataFrame
        user_id, indices (NULL), vector. Users who did nothing with an item of the fit are absent.
    """
    factors = items.where("retriever = 'als'").select("item_kind", "item_id", "vector")
    gram = _gram(factors)
    if gram is None:
        return interactions.select("user_id", dense_indices(), _no_vector()).limit(0)
    done = (
        interactions.join(factors, on=["item_kind", "item_id"], how="inner")
        .groupBy("user_id")
        .agg(F.sort_array(F.collect_list(F.struct("item_kind", "item_id", "weight", "vector")))
             .alias("done"))
        .select("user_id", F.col("done.weight").alias("weights"),
                F.flatten("done.vector").alias("factors"))
    )  # fmt: skip
    solve = _solver(gram, config.alpha, config.reg)
    solved = done.mapInArrow(solve, "user_id STRING, vector ARRAY<FLOAT>")
    return solved.select("user_id", dense_indices(), "vector")


def _no_vector():  # type: ignore[no-untyped-def]
    return F.array().cast("array<float>").alias("vector")


def _gram(factors: DataFrame) -> Matrix | None:
    """Y'Y over all items; None without items."""

    def add(batches: Batches) -> Batches:
        total: Matrix | None = None
        for batch in batches:
            vectors = batch.column("vector")
            flat = vectors.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
            Y = flat.reshape(len(vectors), -1)
            total = Y.T @ Y if total is None else total + Y.T @ Y
        if total is not None:
            yield pa.RecordBatch.from_arrays(
                [pa.array([total.ravel().tolist()], pa.list_(pa.float64()))], names=["gram"]
            )

    parts = factors.select("vector").mapInArrow(add, "gram ARRAY<DOUBLE>").collect()
    if not parts:
        return None
    summed: Matrix = np.sum([row["gram"] for row in parts], axis=0)
    rank = int(np.sqrt(len(summed)))
    return summed.reshape(rank, rank)


def _solver(gram: Matrix, alpha: float, reg: float) -> Callable[[Batches], Batches]:
    rank = len(gram)

    def solve(batches: Batches) -> Batches:
        for batch in batches:
            lengths = batch.column("weights").value_lengths().to_numpy()
            weights = batch.column("weights").flatten().to_numpy().astype(np.float64)
            flat = batch.column("factors").flatten().to_numpy().astype(np.float64)
            Y = flat.reshape(-1, rank)
            found = np.empty((len(lengths), rank), dtype=np.float32)
            ends = np.cumsum(lengths)
            for row, (end, n) in enumerate(zip(ends, lengths, strict=True)):
                y, c = Y[end - n : end], alpha * weights[end - n : end]
                A = gram + (y * c[:, None]).T @ y + reg * n * np.eye(rank)
                found[row] = np.linalg.solve(A, (1 + c) @ y)
            offsets = np.arange(len(found) + 1, dtype=np.int32) * rank
            yield pa.RecordBatch.from_arrays(
                [batch.column("user_id"),
                 pa.ListArray.from_arrays(pa.array(offsets), pa.array(found.ravel()))],
                names=["user_id", "vector"],
            )  # fmt: skip

    return solve
