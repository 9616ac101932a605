"""X'X by blocks of items."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from activityrec.retrieval import gram as module
from activityrec.retrieval.gram import Block, gram

RNG = np.random.default_rng(5)
X = np.where(RNG.random((40, 23)) < 0.2, RNG.random((40, 23)), 0.0)
X[:, 7] = 0.0
X[3] = 0.0
"""Weights of users by items; nobody has item 7, and user 3 has nothing."""


def cells(block: Block) -> pa.RecordBatch:
    """item, and its rows of both matrices."""
    columns = [pa.array(block.items, pa.int32())]
    for matrix in (block.products, block.users):
        columns.append(pa.array(list(matrix.toarray().astype(float)), pa.list_(pa.float64())))
    return pa.RecordBatch.from_arrays(columns, names=["item", "products", "users"])


def both(rows: list[dict]) -> tuple[np.ndarray, np.ndarray]:
    rows = sorted(rows, key=lambda row: row["item"])
    assert [row["item"] for row in rows] == sorted({row["item"] for row in rows})
    found = np.zeros((2, 23, 23))
    for row in rows:
        found[:, row["item"]] = row["products"], row["users"]
    return found[0], found[1]


@pytest.mark.parametrize("most", [10**6, 60])
def test_blocks_together_are_the_products_of_all_columns(
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(module, "CELLS", most)
    user, item = np.nonzero(X)
    rows = spark.createDataFrame(
        [(int(u), int(i), float(X[u, i])) for u, i in zip(user, item, strict=True)],
        "user INT, item INT, weight DOUBLE",
    )
    schema = "item INT, products ARRAY<DOUBLE>, users ARRAY<DOUBLE>"
    found = gram(rows, cells, schema).toArrow().to_pylist()
    products, users = both(found)
    np.testing.assert_allclose(products, X.T @ X, rtol=1e-12)
    np.testing.assert_array_equal(users, (X > 0).astype(int).T @ (X > 0).astype(int))


@pytest.mark.parametrize("pairs", [1, 50, 10**6])
@pytest.mark.parametrize("rows_at_once", [1, 7, 1000])
def test_no_user_is_lost_where_batches_and_pieces_end(
    monkeypatch: pytest.MonkeyPatch, pairs: int, rows_at_once: int
) -> None:
    monkeypatch.setattr(module, "PAIRS", pairs)
    blocks = 4
    held = [(u, np.flatnonzero(X[u])) for u in range(len(X))]
    rows = [
        {"block": b, "user": u, "item": items.tolist(), "weight": X[u, items].tolist()}
        for b in range(blocks)
        for u, items in held
        if (items % blocks == b).any()
    ]
    table = pa.Table.from_pylist(
        rows,
        pa.schema(
            [
                ("block", pa.int32()),
                ("user", pa.int32()),
                ("item", pa.list_(pa.int32())),
                ("weight", pa.list_(pa.float64())),
            ]
        ),
    )
    batches: Iterator[pa.RecordBatch] = iter(table.to_batches(max_chunksize=rows_at_once))
    made = list(module._mapper(23, blocks, cells)(batches))
    assert len(made) == blocks
    products, _ = both([row for batch in made for row in batch.to_pylist()])
    np.testing.assert_allclose(products, X.T @ X, rtol=1e-12)
