"""MovieLens-100k under the protocol of Microsoft's Recommenders: which retriever is best?

75 % of the ratings of each film train, the rest test (the rows are listed in a file); films of the
training part are left out of a user's list; k = 10, relevance is binary. Parameters are chosen
on a tenth of the training part, drawn by film; then each retriever is fitted once to all of it.

    ./spark-submit.sh benchmarks/movielens.py --test-rows FILE
"""

import argparse
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from pyspark.sql import SparkSession
from split import Scores, Split

from activityrec.job import set_up_logging
from activityrec.session import get_spark

ROOT = Path(__file__).resolve().parents[1]
SEEDS = (1, 2)
GRID: list[tuple[str, dict]] = [
    ("popularity", {}),
    *[("item_knn", {"neighbours": n, "shrinkage": s}) for n, s in [(100, 0), (200, 0), (200, 10)]],
    *[("ease", {"reg": reg, "power": power})
      for reg, power in [(600, 0), (800, 0), (1400, 0.5), (2100, 0.5)]],
    *[("als", {"rank": rank, "alpha": alpha, "reg": reg, "max_iter": 10})
      for rank, alpha, reg in [(32, 10, 0.1), (32, 0.25, 0.15), (32, 0.25, 0.2), (32, 0.5, 0.3),
                               (64, 0.25, 0.2)]],
]  # fmt: skip
BLENDS = [("ease", "als", weight) for weight in (0.25, 0.5, 0.75)]


def read(folder: Path, test_rows: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The training and the test part."""
    ratings = pd.read_csv(folder / "ml-100k.inter", sep="\t", dtype={0: str, 1: str})
    ratings.columns = pd.Index(["user", "item", "weight", "at"])
    ratings["weight"] = ratings["weight"].astype(float)
    test = np.zeros(len(ratings), dtype=bool)
    test[np.loadtxt(test_rows, dtype=int) - 1] = True
    return ratings[~test], ratings[test]


def validation(spark: SparkSession, train: pd.DataFrame, seed: int) -> Split:
    """A tenth of each film's training ratings to be found from the others."""
    drawn = pd.Series(np.random.default_rng(seed).random(len(train)), index=train.index)
    hidden = drawn.groupby(train["item"]).rank(pct=True) <= 0.1
    return Split(spark, train[~hidden], train[hidden])


def choose(splits: list[Split]) -> dict[str, dict]:
    """The best parameters of each retriever, and the best blend, by the mean NDCG."""
    found: dict[str, list[tuple[float, dict]]] = {}
    kept: list[Scores] = [{} for _ in splits]
    for name, parameters in GRID:
        blocks = [split.scores(name, parameters) for split in splits]
        quality = mean_ndcg(splits, blocks)
        print(f"validation {quality:.4f} {name} {parameters}", flush=True)
        if quality > max((q for q, _ in found.get(name, [])), default=-1):
            for scores, block in zip(kept, blocks, strict=True):
                scores[name] = block
        found.setdefault(name, []).append((quality, parameters))
    best = {name: max(tried, key=lambda pair: pair[0])[1] for name, tried in found.items()}
    blends = []
    for first, second, weight in BLENDS:
        weights = {first: 1 - weight, second: weight}
        blocks = [s.blended(scores, weights) for s, scores in zip(splits, kept, strict=True)]
        quality = mean_ndcg(splits, blocks)
        print(f"validation {quality:.4f} blend {weights}", flush=True)
        blends.append((quality, weights))
    return best | {"blend": max(blends, key=lambda pair: pair[0])[1]}


def mean_ndcg(splits: list[Split], blocks: list[np.ndarray]) -> float:
    values = [split.metrics(block)["ndcg"] for split, block in zip(splits, blocks, strict=True)]
    return float(np.mean(values))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ROOT / ".data/movielens/source")
    parser.add_argument("--test-rows", type=Path, required=True, help="numbers of the test rows")
    options = parser.parse_args()
    set_up_logging()
    spark = get_spark("benchmark-movielens")
    train, test = read(options.folder, options.test_rows)
    chosen = choose([validation(spark, train, seed) for seed in SEEDS])
    split = Split(spark, train, test)
    scores = {name: split.scores(name, chosen[name]) for name in chosen if name != "blend"}
    scores["blend"] = split.blended(scores, chosen["blend"])
    print(f"{'test':12s}", *[f"{metric + '@10':>13s}" for metric in ("ndcg", "recall", "map",
                                                                     "precision")])  # fmt: skip
    for name, block in scores.items():
        values = split.metrics(block).values()
        print(f"{name:12s}", *[f"{value:13.4f}" for value in values], chosen[name], flush=True)
    print(f"{len(split.users):,} users, {len(split.items):,} films, "
          f"{sum(chain(split.relevant.sum(axis=1))):,} to be found")  # fmt: skip


if __name__ == "__main__":
    main()
