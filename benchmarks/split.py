"""One split of interactions in memory, and the metrics of retrievers on it."""

from datetime import date

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession

from activityrec import tables
from activityrec.config import RetrievalConfig
from activityrec.retrieval.kernel import top
from activityrec.retrieval.numbers import number_ids
from activityrec.retrieval.protocol import Known
from activityrec.retrieval.registry import RETRIEVERS
from activityrec.retrieval.scores import ActivitySideVectors, blend, score_block

K = 10
DAY = date(2000, 1, 1)
Scores = dict[str, np.ndarray]


class Split:
    """Some interactions to learn from, others to find.

    Parameters
    ----------
    learnt
        user, item (strings), weight; one row for each pair.
    hidden
        user, item.
    keep_seen
        Whether what was learnt from may be found again.
    """

    def __init__(
        self,
        spark: SparkSession,
        learnt: pd.DataFrame,
        hidden: pd.DataFrame,
        keep_seen: bool = False,
    ) -> None:
        self.spark, self.learnt = spark, learnt
        self.users = np.sort(learnt["user"].unique())
        self.items = np.sort(learnt["item"].unique())
        hidden = hidden[hidden["user"].isin(self.users) & hidden["item"].isin(self.items)]
        self.relevant = self._cells(hidden)
        self.allowed = np.ones_like(self.relevant) if keep_seen else ~self._cells(learnt)
        rows = spark.createDataFrame(
            learnt.assign(item_kind="activity").rename(
                columns={"user": "user_id", "item": "item_id"}
            )[["user_id", "item_kind", "item_id", "weight"]]
        ).persist()
        empty = [tables.USER_DAILY, tables.USERS, tables.PRODUCTS, tables.ACTIVITIES]
        others = [spark.createDataFrame([], table.row_type) for table in empty]
        self.known = Known(DAY, rows, number_ids(rows), *others)

    def _cells(self, rows: pd.DataFrame) -> np.ndarray:
        cells = np.zeros((len(self.users), len(self.items)), dtype=bool)
        cells[np.searchsorted(self.users, rows["user"]),
              np.searchsorted(self.items, rows["item"])] = True  # fmt: skip
        return cells

    def scores(self, name: str, parameters: dict) -> np.ndarray:
        """(users, items) by one retriever."""
        section = getattr(RetrievalConfig(), name).model_copy(update=parameters)
        vectors = RETRIEVERS[name](self.known, section)
        items = vectors.items.toArrow().to_pylist()
        place = {item: number for number, item in enumerate(self.items)}
        side = ActivitySideVectors.of(
            [(place[row["item_id"]], row["indices"], row["vector"]) for row in items],
            len(self.items),
        )
        users = vectors.users.orderBy("user_id").toArrow().combine_chunks()
        assert users.column("user_id").to_pylist() == self.users.tolist()
        indices, values = (users.column(n).combine_chunks() for n in ("indices", "vector"))
        block = score_block(indices, values, side)
        self.spark.catalog.clearCache()
        return block

    def metrics(self, scores: np.ndarray) -> dict[str, float]:
        """Averages over the users who have something to be found."""
        return {name: float(values.mean()) for name, values in self.by_user(scores).items()}

    def by_user(self, scores: np.ndarray) -> dict[str, np.ndarray]:
        """Metrics at K of every user who has something to be found."""
        users = self.relevant.any(axis=1)
        rows, columns = top(scores[users], self.allowed[users], K)
        hits = np.zeros((users.sum(), K))
        place = np.arange(len(rows)) - np.searchsorted(rows, rows)
        hits[rows, place] = self.relevant[users][rows, columns]
        many = self.relevant[users].sum(axis=1)
        gain = 1 / np.log2(np.arange(K) + 2)
        ideal = np.concatenate([[0], np.cumsum(gain)])[np.minimum(many, K)]
        precision = np.cumsum(hits, axis=1) / np.arange(1, K + 1)
        return {
            "ndcg": hits @ gain / ideal,
            "recall": hits.sum(axis=1) / many,
            "map": (hits * precision).sum(axis=1) / many,
            "precision": hits.mean(axis=1),
        }

    def blended(self, scores: Scores, weights: dict[str, float]) -> np.ndarray:
        return blend({name: scores[name] for name in weights}, weights, self.allowed)
