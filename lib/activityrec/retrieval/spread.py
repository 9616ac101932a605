"""An object with large arrays, for every worker: a file on each machine, mapped into memory."""

import mmap
import pickle
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pyspark import SparkFiles
from pyspark.sql import SparkSession

Value = TypeVar("Value")

INLINE_BYTES = 32_000_000
"""Arrays up to this size together go with the function that needs them, as Spark sends any."""
_ALIGNED = 64


@dataclass(frozen=True)
class Spread(Generic[Value]):
    """A value that the function of a task refers to, see :func:`spread`.

    Without a ``file`` the value travels inside ``pickled``. With one, its arrays are views of the
    file: the workers of a machine share one copy, which the system reads block by block where it
    is used, and lets go of when memory is needed. So the activity side of retrieval may be larger
    than a broadcast, and than a worker's memory.

    Attributes
    ----------
    parts
        (start, length) of each array in the file.
    """

    pickled: bytes
    file: str | None = None
    parts: tuple[tuple[int, int], ...] = ()

    def value(self) -> Value:
        """The object; its arrays are read-only where they come from a file."""
        if self.file is None:
            return self._with([])
        with open(SparkFiles.get(self.file), "rb") as opened:
            mapped = memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
        return self._with([mapped[start : start + length] for start, length in self.parts])

    def _with(self, buffers: list[memoryview]) -> Value:
        value: Value = pickle.loads(self.pickled, buffers=buffers)
        return value


def spread(spark: SparkSession, value: Value, inline: int = INLINE_BYTES) -> Spread[Value]:
    """Make a value ready to be sent, once to each machine if its arrays are large.

    Parameters
    ----------
    inline
        Bytes of arrays above which they go as a file.
    """
    arrays: list[pickle.PickleBuffer] = []
    keep: Callable[[Any], Any] = arrays.append
    pickled = pickle.dumps(value, protocol=5, buffer_callback=keep)
    views = [array.raw() for array in arrays]
    if sum(view.nbytes for view in views) <= max(0, inline):
        return Spread(pickle.dumps(value, protocol=5))
    name = f"spread-{uuid.uuid4().hex}"
    parts = []
    # The driver serves it from here until the application ends; then Spark clears the folder.
    folder = Path(SparkFiles.getRootDirectory()).parent / "spread"
    folder.mkdir(exist_ok=True)
    with (folder / name).open("wb") as file:
        for view in views:
            file.write(b"\0" * (-file.tell() % _ALIGNED))
            parts.append((file.tell(), view.nbytes))
            file.write(view)
    spark.addArtifacts(str(folder / name), file=True)
    return Spread(pickled, name, tuple(parts))
