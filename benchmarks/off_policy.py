"""Off-policy estimates on Open Bandit data: what Bernoulli Thompson sampling earns, from the log of
a policy that chose at random, beside what it did earn.

The logs are those of the Python package obp (LOGS/POLICY/CAMPAIGN/CAMPAIGN.csv, 10,000 rows each),
ACTIONS/bts_action_dist_CAMPAIGN.csv has action, position, probability. Reward models: one for each
position, on the four user features and either the action one-hot, or the columns of its item with
ids and categories as numbers. The published figures come from the second.

    ./spark-submit.sh benchmarks/off_policy.py --logs FOLDER --actions FOLDER
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec.evaluation.evaluated_policy import with_policy
from activityrec.evaluation.off_policy import OffPolicyOptions, off_policy_estimates
from activityrec.evaluation.reward_model import RewardModel, cross_fitted
from activityrec.job import set_up_logging
from activityrec.session import get_spark

CONTEXT = tuple(f"user_feature_{n}" for n in range(4))
PUBLISHED = {
    "all": {"ipw": 0.00455288, "snipw": 0.00477583, "dm": 0.00338, "dr": 0.00469, "sndr": 0.00475},
    "men": {"ipw": 0.00453356, "snipw": 0.00460423, "dm": 0.00425, "dr": 0.00447, "sndr": 0.00447},
}
"""Of the package's estimators on these rows: C = 100, 3 folds, other ones than here. Folds matter:
scikit-learn with the folds of 15 seeds has dm .00344 ± .00008 and dr .00468 ± .00011 (mean and
standard deviation) for all, .00423 ± .00014 and .00449 ± .00013 for men."""


def read_log(spark: SparkSession, path: Path) -> DataFrame:
    """The data have no user ids: a row is the unit that the bootstrap draws."""
    # The first column has no name, which Spark warns of.
    names = ["user_id", *pd.read_csv(path, nrows=0).columns[1:]]
    rows = spark.read.csv(str(path)).toDF(*names).where("click <> 'click'")
    return rows.select(
        "user_id",
        F.col("item_id").alias("action"),
        (F.col("position").cast("int") - 1).cast("string").alias("slot"),
        F.col("click").cast("double").alias("reward"),
        F.col("propensity_score").cast("double").alias("propensity"),
        *CONTEXT,
    )


def read_policy(spark: SparkSession, path: Path) -> DataFrame:
    rows = spark.read.csv(str(path), header=True)
    probability = F.col("probability").cast("double").alias("probability")
    return rows.select("action", F.col("position").alias("slot"), probability)


def item_features(path: Path, actions: tuple[str, ...]) -> np.ndarray:
    """(actions, 5): of each item its id, as if it were a number, its categories by their order,
    and the one number that it has."""
    items = pd.read_csv(path, dtype={"item_id": str}).set_index("item_id").loc[list(actions)]
    named = [f"item_feature_{n}" for n in (1, 2, 3)]
    codes = [pd.factorize(items[name], sort=True)[0].astype(float) for name in named]
    return np.column_stack([items.index.astype(float), *codes, items["item_feature_0"]])


def show(campaign: str, model: RewardModel, estimates: DataFrame, clicks: pd.Series) -> None:
    truth, error = clicks.mean(), clicks.sem()
    rows = estimates.collect()
    first = rows[0]
    described = model.features is not None
    inputs = "items as numbers" if described else "one-hot items"
    print(f"\n{campaign}, {inputs}, folds of seed {model.seed}: {first['rows']:,} rows worth "
          f"{first['effective_sample_size']:,.1f}, mean weight {first['mean_weight']:.4f}, largest "
          f"{first['largest_weight']:.2f}; earned {truth:.4f} ± {1.96 * error:.4f}")  # fmt: skip
    print("| estimator | value | 95 % interval | published | holds the truth |")
    print("|---" * 5 + "|")
    for row in rows:
        inside = "yes" if row["low"] <= truth <= row["high"] else "no"
        no_model = row["estimator"] in ("ipw", "snipw")
        published = PUBLISHED[campaign].get(row["estimator"], "") if described or no_model else ""
        print(f"| {row['estimator']} | {row['value']:.8f} | {row['low']:.5f} to {row['high']:.5f} "
              f"| {published} | {inside} |", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--logs", type=Path, required=True, help="obp/dataset/obd of the package")
    parser.add_argument("--actions", type=Path, required=True, help="of the evaluated policy")
    parser.add_argument("--seeds", type=int, nargs="+", default=[17], help="of the folds")
    options = parser.parse_args()
    set_up_logging()
    spark = get_spark("benchmark-off-policy")
    for campaign in PUBLISHED:
        folder = options.logs / "random" / campaign
        log = read_log(spark, folder / f"{campaign}.csv")
        clicks = pd.read_csv(options.logs / f"bts/{campaign}/{campaign}.csv")["click"]
        policy = read_policy(spark, options.actions / f"bts_action_dist_{campaign}.csv")
        actions = tuple(
            row[0] for row in policy.select("action").distinct().sort("action").collect()
        )
        chosen = with_policy(log, policy, actions, slot="slot")
        described = item_features(folder / "item_context.csv", actions)
        for features in (None, described):
            for seed in options.seeds:
                model = RewardModel(actions=actions, context=CONTEXT, key=("user_id",),
                                    slot="slot", features=features, seed=seed)  # fmt: skip
                scored = cross_fitted(chosen, model)
                estimates = off_policy_estimates(scored, OffPolicyOptions())
                show(campaign, model, estimates, clicks)


if __name__ == "__main__":
    main()
