"""Off-policy estimates: what another policy would have earned, from a log with propensities.

The log is read once. Every estimator is a ratio of sums, so that workers add up the terms of each
bootstrap replicate in NumPy, and the driver sees one row of sums for each replicate.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec.errors import ContractError, StateError
from activityrec.evaluation.bootstrap import counts
from activityrec.features.affinity import Floats

Batches = Iterator[pa.RecordBatch]
Sums = dict[str, Floats]

SCHEMA = (
    "estimator STRING, value DOUBLE, low DOUBLE, high DOUBLE, rows BIGINT, "
    "effective_sample_size DOUBLE, mean_weight DOUBLE, largest_weight DOUBLE, "
    "clipped DOUBLE, unsupported DOUBLE"
)
NEEDED = ("user_id", "reward", "propensity", "target")
DOUBLES = ("reward", "propensity", "target", "predicted", "expected", "unsupported_mass")
FAULTS = {
    "faulty_propensity": "a propensity that is NULL or outside (0, 1]",
    "faulty_reward": "a reward that is NULL or not finite",
    "faulty_target": "a target that is NULL or outside [0, 1]",
    "faulty_mass": "an unsupported_mass that is NULL or outside [0, 1]",
}
SUMS = (
    "rows", "weight", "squared_weight", "weighted_reward", "expected", "residual", "switched",
    "shrunk", "clipped", "unsupported", "unpredicted", *FAULTS,
)  # fmt: skip
ROUNDING = 1e-9
"""How far above 1 a probability may be that was added up in floating point."""
BLOCK_ROWS = 4_096
"""Rows times replicates of one block of counts: 7 MB with 200."""


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
    """

    clip: float | None = None
    tau: float = 10.0
    shrinkage: float = 100.0
    replicates: int = 200
    seed: int = 17
    unsupported_limit: float = 0.01
    min_effective_rows: float = 30.0


def off_policy_estimates(
    log: DataFrame, options: OffPolicyOptions = OffPolicyOptions()
) -> DataFrame:
    """The mean reward that the evaluated policy would have had, by several estimators.

    With w = target / propensity, r the reward, q ``predicted`` and v ``expected``:

    - ``ipw`` mean of w r (Horvitz and Thompson 1952; Strehl et al. 2010)
    - ``snipw`` Σ w r / Σ w (Swaminathan and Joachims 2015)
    - ``dm`` mean of v
    - ``dr`` mean of v + w (r - q) (Dudík, Langford and Li 2011)
    - ``sndr`` mean of v, + Σ w (r - q) / Σ w
    - ``switch_dr`` as dr, with w = 0 where w > tau (Wang, Agarwal and Dudík 2017)
    - ``dros`` as dr, with λ w / (w² + λ) for w (Su et al. 2020)

    Parameters
    ----------
    log
        One row for each decision: ``user_id`` (what the bootstrap draws), ``reward``,
        ``propensity`` (probability with which the policy of the log chose the action),
        ``target`` (probability with which the evaluated policy would have); and, where there is a
        reward model, ``predicted`` (its prediction for the logged action) and ``expected`` (Σ
        over all actions of target probability × prediction), NULL in all rows or in none.
        ``unsupported_mass``, if there is such a column: the target probability of the actions
        that the policy of the log could not choose in that context.

    Returns
    -------
    DataFrame
        One row for each estimator, those with a reward model only where there are predictions:
        ``value`` and the 95 % percentile interval ``low`` to ``high``, which takes the reward
        model as given. The same in every row: ``rows``, ``effective_sample_size`` (Σ w)² / Σ w²
        and ``mean_weight`` (near 1 if the log supports the policy), both after clipping,
        ``largest_weight`` before it, ``clipped`` (share of rows), ``unsupported`` (mean of
        ``unsupported_mass``, NULL without that column).

    Raises
    ------
    ContractError
        A column is missing, or rows have values that cannot be.
    StateError
        The log has no rows, or cannot say what the policy is worth: too much of its probability
        is on actions that the log never takes, or too few rows carry the weight.
    """
    if missing := [name for name in NEEDED if name not in log.columns]:
        raise ContractError(f"log for off-policy estimates: no columns {missing}")
    sums = _sums(log, options)
    _check_rows(sums)
    diagnostics = _diagnostics(sums, "unsupported_mass" in log.columns)
    _check_support(diagnostics, options)
    rows = []
    for name, values in _estimates(sums).items():
        low, high = np.nanpercentile(values[1:], [2.5, 97.5])
        found = {"estimator": name, "value": values[0], "low": low, "high": high}
        rows.append(tuple((found | diagnostics).values()))
    return log.sparkSession.createDataFrame([_plain(row) for row in rows], SCHEMA)


def _sums(log: DataFrame, options: OffPolicyOptions) -> Sums:
    """Of each of SUMS, and ``largest_weight``: (1 + replicates,); the data themselves first."""
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
    def add(batches: Batches) -> Batches:
        sums = np.zeros((1 + options.replicates, len(SUMS)))
        largest = 0.0
        for batch in batches:
            for start in range(0, batch.num_rows, BLOCK_ROWS):
                rows = batch.slice(start, BLOCK_ROWS)
                users = rows.column("user").to_numpy().view(np.uint64)
                terms, most = _terms(rows, options)
                sums += counts(users, options.replicates, options.seed).T @ terms
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


def _check_rows(sums: Sums) -> None:
    rows = int(sums["rows"][0]) if len(sums["rows"]) else 0
    if not rows:
        raise StateError("log for off-policy estimates: it has no rows")
    where = f"log for off-policy estimates: of {rows:,} rows"
    faults = {text: int(sums[name][0]) for name, text in FAULTS.items() if sums[name][0]}
    if faults:
        listed = "; ".join(f"{count:,} have {text}" for text, count in faults.items())
        raise ContractError(f"{where}, {listed}. Leave them out only if that is no selection")
    unpredicted = int(sums["unpredicted"][0])
    if 0 < unpredicted < rows:
        raise ContractError(
            f"{where}, {unpredicted:,} have no predicted or no expected: give both in all rows "
            "or in none"
        )


def _diagnostics(sums: Sums, has_mass: bool) -> dict[str, float | int | None]:
    """The columns that all estimators share, in the order of SCHEMA."""
    first = {name: float(values[0]) for name, values in sums.items()}
    rows, squares = first["rows"], first["squared_weight"]
    return {
        "rows": int(rows),
        "effective_sample_size": first["weight"] ** 2 / squares if squares else 0.0,
        "mean_weight": first["weight"] / rows,
        "largest_weight": first["largest_weight"],
        "clipped": first["clipped"] / rows,
        "unsupported": first["unsupported"] / rows if has_mass else None,
    }


def _check_support(found: dict[str, float | int | None], options: OffPolicyOptions) -> None:
    unsupported, effective = found["unsupported"] or 0.0, found["effective_sample_size"] or 0.0
    if unsupported > options.unsupported_limit:
        raise StateError(
            f"no off-policy estimate: the evaluated policy gives {unsupported:.1%} of its "
            f"probability to actions that the log never takes (limit: "
            f"{options.unsupported_limit:.1%}). Evaluate a policy that keeps to the log's "
            "actions, or log some exploration"
        )
    if effective < options.min_effective_rows:
        raise StateError(
            f"no off-policy estimate: the {found['rows']:,} rows of the log are worth "
            f"{effective:.1f} (limit: {options.min_effective_rows:g}): the evaluated policy "
            "rarely chooses what was logged. Take a longer log, or a policy nearer to its own"
        )


def _estimates(sums: Sums) -> Sums:
    """Estimator to (1 + replicates,)."""
    with np.errstate(all="ignore"):
        rows, weight = sums["rows"], sums["weight"]
        found = {"ipw": sums["weighted_reward"] / rows, "snipw": sums["weighted_reward"] / weight}
        if sums["unpredicted"][0]:
            return found
        dm = sums["expected"] / rows
        return found | {
            "dm": dm,
            "dr": dm + sums["residual"] / rows,
            "sndr": dm + sums["residual"] / weight,
            "switch_dr": dm + sums["switched"] / rows,
            "dros": dm + sums["shrunk"] / rows,
        }


def _plain(row: tuple[object, ...]) -> tuple[object, ...]:
    """Spark takes no NumPy scalars."""
    return tuple(value.item() if isinstance(value, np.generic) else value for value in row)
