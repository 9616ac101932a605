"""Which categories will each household buy from in the 30 days after --as-of: the retrievers beside
`implicit` and RecTools, on the same split, with the same metrics.

What a household bought before stays in its list. Parameters of all are the best of a small grid on
the 30 days before --as-of; then each is fitted once to everything before --as-of. Intervals are
95 %, by 1,000 bootstraps of users. Needs the tables of `features` at --as-of; peers are asked that
are installed (`pip install implicit rectools`).

    ./spark-submit.sh benchmarks/peers.py --config conf/complete_journey.yaml --as-of 2017-10-01
"""

import json
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import pandas as pd
from pyspark.sql import functions as F
from scipy.sparse import csr_matrix
from split import Split

from activityrec import tables
from activityrec.config import InteractionsConfig
from activityrec.job import Job, main
from activityrec.retrieval.interactions import interactions

DAYS = 30
OURS: list[tuple[str, dict[str, Any]]] = [
    ("popularity", {}),
    ("history", {}),
    *[("item_knn", {"neighbours": n}) for n in (20, 100)],
    *[("ease", {"reg": reg, "power": power}) for reg in (500, 2000) for power in (0.5, 1)],
    *[("als", {"rank": rank, "alpha": a, "reg": 0.1}) for rank in (16, 64) for a in (1, 10)],
]
BLENDS = [
    {"history": 1.0, other: weight} for other in ("als", "ease") for weight in (0.25, 0.5, 1.0)
]
IN_BLENDS: dict[str, dict[str, Any]] = {
    "history": {},
    "ease": {"reg": 500, "power": 1},
    "als": {"rank": 64, "alpha": 1, "reg": 0.1},
}
HALF_LIFE = 60
"""Days: what was bought so long ago counts half, for the peers as well."""
Scores = np.ndarray
Tried = tuple[str, str, Callable[[Split], Scores]]


def compare(job: Job) -> None:
    earlier = split_at(job, job.as_of - timedelta(days=DAYS))
    best: dict[str, tuple[float, str, Callable[[Split], Scores]]] = {}
    for name, shown, score in [*ours(), *peers()]:
        quality = float(np.mean(earlier.by_user(score(earlier))["ndcg"]))
        print(f"validation {quality:.4f} {name} {shown}", flush=True)
        if quality > best.get(name, (-1.0,))[0]:
            best[name] = quality, shown, score
    later = split_at(job, job.as_of)
    print(f"\n| {job.as_of} | NDCG@10 | recall@10 | parameters |\n|---|---|---|---|")
    for name, (_, shown, score) in sorted(best.items(), key=lambda entry: -entry[1][0]):
        values = later.by_user(score(later))
        cells = " | ".join(interval(values[metric]) for metric in ("ndcg", "recall"))
        print(f"| {name} | {cells} | {shown} |", flush=True)
    print(f"{later.relevant.any(axis=1).sum():,} households, {len(later.items)} categories")


def split_at(job: Job, day: date) -> Split:
    """The purchases before a day, in the weights of the library, and those after it."""
    products = job.lakehouse.read(tables.PRODUCTS).select("product_id", "category").dropna()
    daily = job.lakehouse.read(tables.USER_DAILY).where("event_type = 'purchase'")
    bought = (
        daily.join(products, on="product_id", how="inner")
        .drop("product_id", "activity_id")
        .withColumns({"product_id": F.col("category"), "activity_id": F.lit(None).cast("string")})
    )
    events = job.lakehouse.read(tables.EVENTS).join(products, on="product_id", how="inner")
    at, end = F.to_date("event_ts"), day + timedelta(days=DAYS)
    hidden = (
        events.where((at >= F.lit(day)) & (at < F.lit(end)) & (F.col("event_type") == "purchase"))
        .select(F.col("user_id").alias("user"), F.col("category").alias("item"))
        .distinct()
        .toPandas()
    )
    config = InteractionsConfig(weights={"purchase": 1.0}, half_life_days=HALF_LIFE)
    learnt = interactions(bought, day, config).selectExpr(
        "user_id AS user", "item_id AS item", "weight"
    )
    return Split(job.spark, learnt.toPandas(), hidden, keep_seen=True)


def ours() -> Iterator[Tried]:
    @cache
    def scores(split: Split, name: str, parameters: str) -> Scores:
        return split.scores(name, json.loads(parameters))

    for name, parameters in OURS:
        shown = json.dumps(parameters)
        yield name, shown, lambda s, n=name, p=shown: scores(s, n, p)
    for weights in BLENDS:
        yield (
            "blend",
            json.dumps(weights),
            lambda s, w=weights: s.blended(
                {name: scores(s, name, json.dumps(IN_BLENDS[name])) for name in w}, w
            ),
        )


def peers() -> Iterator[Tried]:
    if find_spec("implicit"):
        from implicit.als import AlternatingLeastSquares
        from implicit.nearest_neighbours import BM25Recommender, CosineRecommender

        for rank in (16, 64):
            for alpha in (1, 10):
                yield (
                    "implicit ALS",
                    f"factors {rank}, alpha {alpha}",
                    lambda s, r=rank, a=alpha: by_implicit(
                        s, AlternatingLeastSquares(factors=r, alpha=a, random_state=17)
                    ),
                )
        for model in (CosineRecommender, BM25Recommender):
            for neighbours in (20, 100):
                yield (
                    f"implicit {model.__name__}",
                    f"K {neighbours}",
                    lambda s, m=model, k=neighbours: by_implicit(s, m(K=k)),
                )
    if find_spec("rectools"):
        from rectools.models import EASEModel, PopularModel

        yield "RecTools PopularModel", "", lambda s: by_rectools(s, PopularModel())
        for reg in (100, 500, 2000):
            yield (
                "RecTools EASEModel",
                f"regularization {reg}",
                lambda s, r=reg: by_rectools(s, EASEModel(regularization=r)),
            )


def matrix(split: Split) -> csr_matrix:
    """(users, items) of the weights."""
    rows = split.learnt
    place = (np.searchsorted(split.users, rows["user"]), np.searchsorted(split.items, rows["item"]))
    shape = (len(split.users), len(split.items))
    return csr_matrix((rows["weight"].astype(np.float32), place), shape=shape)


def by_implicit(split: Split, model: Any) -> Scores:
    weights = matrix(split)
    model.fit(weights, show_progress=False)
    everyone = np.arange(len(split.users))
    ids, scores = model.recommend(
        everyone, weights, N=len(split.items), filter_already_liked_items=False
    )
    found = np.full(weights.shape, -np.inf)
    rows = np.broadcast_to(everyone[:, None], ids.shape)
    kept = ids >= 0
    found[rows[kept], ids[kept]] = scores[kept]
    return found


def by_rectools(split: Split, model: Any) -> Scores:
    from rectools import Columns
    from rectools.dataset import Dataset

    rows = split.learnt.rename(
        columns={"user": Columns.User, "item": Columns.Item, "weight": Columns.Weight}
    )
    data = Dataset.construct(rows.assign(**{Columns.Datetime: pd.Timestamp("2000-01-01")}))
    model.fit(data)
    found = np.full((len(split.users), len(split.items)), -np.inf)
    lists = model.recommend(split.users, data, k=len(split.items), filter_viewed=False)
    place = (np.searchsorted(split.users, lists[Columns.User]),
             np.searchsorted(split.items, lists[Columns.Item]))  # fmt: skip
    found[place] = lists[Columns.Score]
    return found


def interval(values: np.ndarray) -> str:
    draws = np.random.default_rng(17).integers(0, len(values), (1_000, len(values)))
    low, high = np.percentile(values[draws].mean(axis=1), [2.5, 97.5])
    return f"{values.mean():.4f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    main([], __doc__, finish=compare)
