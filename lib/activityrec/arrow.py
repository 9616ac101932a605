"""Groups of rows, and arrays of numbers, in Arrow: what tasks in Python read and give back."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql.types import StructType

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
Batches = Iterator[pa.RecordBatch]


def fields_of(schema: StructType) -> str:
    """The columns of a frame as DDL."""
    return ", ".join(f"{field.name} {field.dataType.simpleString()}" for field in schema)


def matrix_of(column: pa.ChunkedArray | pa.Array) -> Floats:
    """(rows, values) of a column of arrays, which have one length; NaN for NULL."""
    flat = pc.list_flatten(column).to_numpy(zero_copy_only=False)
    found: Floats = flat.astype(np.float64).reshape(len(column), -1)
    return found


def arrays_of(matrix: Floats) -> pa.Array:
    """The rows of a matrix as a column of arrays; NULL for NaN."""
    ends = np.arange(len(matrix) + 1, dtype=np.int32) * matrix.shape[1]
    return pa.ListArray.from_arrays(ends, pa.array(matrix.ravel(), from_pandas=True))


def groups_of(
    batch: pa.RecordBatch, keys: Sequence[str]
) -> Iterator[tuple[tuple[object, ...], npt.NDArray[np.int64]]]:
    """The groups of a batch, and the places of their rows."""
    code = np.zeros(batch.num_rows, dtype=np.int64)
    for name in keys:
        encoded = batch.column(name).dictionary_encode(null_encoding="encode")
        code = code * len(encoded.dictionary) + encoded.indices.to_numpy(zero_copy_only=False)
    order = np.argsort(code, kind="stable")
    starts = np.flatnonzero(np.diff(code[order], prepend=-1))
    for mine in np.split(order, starts)[1:]:
        yield tuple(batch.column(name)[int(mine[0])].as_py() for name in keys), mine


def metric_rows(
    keys: Sequence[str], key: tuple[pa.Scalar, ...], names: Sequence[str], draws: Floats
) -> pa.Table:
    """A row for each metric of one group; ``draws`` is (metrics, 1 + replicates)."""
    same = {name: pa.repeat(value, len(names)) for name, value in zip(keys, key, strict=True)}
    return pa.table({**same, "metric": list(names), "draws": arrays_of(draws)})


def padded(column: pa.ListArray, width: int) -> Numbers:
    """(lists, width): the first entries of each list, -1 where it has ended."""
    lengths = np.diff(column.offsets.to_numpy())
    list_no = np.repeat(np.arange(len(column)), lengths)
    place = np.arange(len(list_no)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    found = np.full((len(column), width), -1, dtype=np.int64)
    kept = place < width
    found[list_no[kept], place[kept]] = column.flatten().to_numpy()[kept]
    return found
