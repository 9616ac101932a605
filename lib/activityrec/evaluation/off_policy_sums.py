"""The sums that off-policy estimates are made of, in one pass over the log.

Every estimator is a ratio of sums: workers add up the terms of each bootstrap replicate in NumPy,
and the driver sees one row of sums for each replicate.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.evaluation.draws import Bootstrap
from activityrec.features.affinity import Floats

Batches = Iterator[pa.RecordBatch]
Sums = dict[str, Floats]

DOUBLES = ("reward", "propensity", "target", "predicted", "expected", "unsupported_mass")
FAULTS = {
    "faulty_propensity": "a propensity that is NULL or outside (0, 1]",
    "faulty_reward": "a reward that is NULL or not finite",
    "faulty_target": "a target that is NULL or outside [0, 1]",
    "faulty_mass": "an unsupported_mass that is NULL or outside [0, 1]",
}
SUMS = (
    "rows", "raw_weight", "weight", "squared_weight", "weighted_reward", "expected", "residual",
    "switched", "shrunk", "clipped", "unsupported", "unpredicted", *FAULTS,
)  # fmt: skip
ROUNDING = 1e-9
"""How far above 1 a probability may be that was added up in floating point."""


@dataclass(frozen=True)
class OffPolicyOptions:
    """How weights are tamed, how intervals are drawn, and what is refused.

    Attributes
    ----------
    clip
        Largest weight of ipw, snipw, dr and sndr; None leaves weights as they are.
    tau
        switch_dr trusts weights up to this one.
    shrinkage
        λ of dros: 0 gives dm, infinity gives dr. No weight is above √λ / 2.
    replicates, seed
        Of the bootstrap.
    unsupported_limit
        Largest mean of ``unsupported_mass`` that is not refused.
    min_effective_rows
        Least effective sample size that is not refused.
    weight_tolerance
        How far from 1 the interval of the mean weight, before clipping, may begin or end without
        a refusal; None: any distance.
    """

    clip: float | None = None
    tau: float = 10.0
    shrinkage: float = 100.0
    replicates: int = 200
    seed: int = 17
    unsupported_limit: float = 0.01
    min_effective_rows: float = 30.0
    weight_tolerance: float | None = None


def add_up(log: DataFrame, options: OffPolicyOptions) -> Sums:
    """Each of SUMS, and ``largest_weight``, as (1 + replicates,): the data themselves first.

    The log as in :func:`activityrec.evaluation.off_policy.off_policy_estimates`. Rows that are
    counted in FAULTS may spoil the other sums; (0,) where the log has no partitions.
    """
    absent = {"predicted": None, "expected": None, "unsupported_mass": 0.0}
    values = [
        (F.col(name) if name in log.columns else F.lit(absent[name])).cast("double").alias(name)
        for name in DOUBLES
    ]
    terms = log.select(F.xxhash64("user_id").alias("user"), *values)
    columns = ", ".join(f"{name} DOUBLE" for name in (*SUMS, "largest_weight"))
    parts = terms.mapInArrow(_mapper(options), f"replicate INT, {columns}")
    added = [F.sum(name).alias(name) for name in SUMS]
    largest = F.max("largest_weight").alias("largest_weight")
    rows = parts.groupBy("replicate").agg(*added, largest).collect()
    rows.sort(key=lambda row: row["replicate"])
    return {name: np.array([row[name] for row in rows]) for name in (*SUMS, "largest_weight")}


def _mapper(options: OffPolicyOptions) -> Callable[[Batches], Batches]:
    bootstrap = Bootstrap(options.replicates, options.seed)

    def add(batches: Batches) -> Batches:
        sums = np.zeros((1 + options.replicates, len(SUMS)))
        largest = 0.0
        for batch in batches:
            terms, most = _terms(batch, options)
            sums += bootstrap.sums(batch.column("user"), terms)
            largest = max(largest, most)
        number = pa.array(np.arange(len(sums), dtype=np.int32))
        columns = [number, *map(pa.array, sums.T), pa.array(np.full(len(sums), largest))]
        yield pa.RecordBatch.from_arrays(columns, names=["replicate", *SUMS, "largest_weight"])

    return add


def _terms(rows: pa.RecordBatch, options: OffPolicyOptions) -> tuple[Floats, float]:
    """(rows, SUMS), and the largest weight. NULL is NaN, and spoils only sums that use it."""
    reward, propensity, target, predicted, expected, mass = (
        rows.column(name).to_numpy(zero_copy_only=False) for name in DOUBLES
    )
    with np.errstate(all="ignore"):
        raw = target / propensity
        weight = raw if options.clip is None else np.minimum(raw, options.clip)
        residual = reward - predicted
        terms = {
            "rows": np.ones(len(raw)),
            "raw_weight": raw,
            "weight": weight,
            "squared_weight": weight**2,
            "weighted_reward": weight * reward,
            "expected": expected,
            "residual": weight * residual,
            "switched": np.where(raw <= options.tau, raw, 0.0) * residual,
            "shrunk": _shrunk(raw, options.shrinkage) * residual,
            "clipped": raw > weight,
            "unsupported": mass,
            "unpredicted": np.isnan(predicted) | np.isnan(expected),
            # Comparisons with NaN are false.
            "faulty_propensity": ~((propensity > 0) & (propensity <= 1 + ROUNDING)),
            "faulty_reward": ~np.isfinite(reward),
            "faulty_target": ~((target >= 0) & (target <= 1 + ROUNDING)),
            "faulty_mass": ~((mass >= 0) & (mass <= 1 + ROUNDING)),
        }
        largest = float(np.fmax.reduce(raw, initial=0.0))
    return np.column_stack([terms[name] for name in SUMS]).astype(np.float64), largest


def _shrunk(weight: Floats, shrinkage: float) -> Floats:
    """λ w / (w² + λ), in a form that holds for an infinite λ too; 0 where λ is 0."""
    if shrinkage == 0:
        return np.zeros_like(weight)
    found: Floats = weight / (weight**2 / shrinkage + 1)
    return found
