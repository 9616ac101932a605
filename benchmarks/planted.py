"""How far each model comes of what a planted world allows.

After the stages to `evaluate` on a world of jobs/generate.py: the AUC of the ranker, of each
retriever and of the baselines on the exposures after as_of, beside that of the planted
probabilities on the same rows, and the share of the way from 0.5 to it. Once by the responses as
they came, and once as expected over all responses that could have come: each exposure is answered
with its planted probability and not answered with the rest. The second has no luck of the draw.

    ./spark-submit.sh jobs/generate.py --folder .data/world --users 20000
    for stage in ingest features train evaluate; do
        ./spark-submit.sh jobs/$stage.py --config .data/world/world.yaml --as-of 2024-05-30
    done
    ./spark-submit.sh benchmarks/planted.py --folder .data/world
"""

import argparse
import json
from pathlib import Path

from pyspark.ml.evaluation import BinaryClassificationEvaluator
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config_file import load_config
from activityrec.generation.truth import with_truth
from activityrec.generation.world import World
from activityrec.lakehouse import Lakehouse
from activityrec.session import get_spark

MODELS = ("ranker", "popularity", "past_rate", "affinity")


def auc(rows: DataFrame, score: str) -> float:
    """Of the rows' ``label`` and ``weight``. Ties count half; a NULL is the lowest."""
    known = rows.select(F.coalesce(score, F.lit(float("-inf"))).alias("score"), "label", "weight")
    evaluator = BinaryClassificationEvaluator(
        rawPredictionCol="score", weightCol="weight", numBins=0
    )
    return float(evaluator.evaluate(known))


def expected(rows: DataFrame) -> DataFrame:
    """Each row as one that was answered and one that was not, weighted by how likely that is."""
    outcomes = [
        F.struct(F.lit(1.0).alias("label"), F.col("probability").alias("weight")),
        F.struct(F.lit(0.0).alias("label"), (1 - F.col("probability")).alias("weight")),
    ]
    return rows.drop("label", "weight").select("*", F.inline(F.array(*outcomes)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True)
    folder = parser.parse_args().folder.resolve()
    world = World.loaded(json.loads((folder / "truth/truth.json").read_text())["world"])
    config = load_config(folder / "world.yaml")
    scored = Lakehouse(get_spark("planted"), config).read(tables.SCORED_EXPOSURES)
    run = scored.agg(F.max("run_id")).first()
    assert run is not None
    rows = with_truth(scored.where(F.col("run_id") == run[0]), world, F.col("exposure_ts"))
    rows = rows.withColumns({n: F.col("scores")[n] for n in config.retrieval.weights}).cache()
    ways = [rows.withColumn("weight", F.lit(1.0)), expected(rows)]
    best = [auc(way, "probability") for way in ways]
    print(f"{run[0]}: {rows.count():,} exposures, {rows.where('label = 1').count():,} answered")
    print(f"{'':12s}{'as it came':>25s}{'expected':>25s}")
    for name in ("probability", *MODELS, *config.retrieval.weights):
        found = [auc(way, name) for way in ways]
        cells = [
            f"{a:8.4f}{(a - 0.5) / (b - 0.5):8.1%} of it" for a, b in zip(found, best, strict=True)
        ]
        print(f"{name:12s}" + "".join(f"{cell:>25s}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
