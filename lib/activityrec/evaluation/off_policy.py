"""Off-policy estimates: what another policy would have earned, from a log with propensities."""

import numpy as np
from pyspark.sql import DataFrame

from activityrec.errors import ContractError, StateError
from activityrec.evaluation.off_policy_sums import FAULTS, OffPolicyOptions, Sums, add_up
from activityrec.features.affinity import Floats

SCHEMA = (
    "estimator STRING, value DOUBLE, low DOUBLE, high DOUBLE, rows BIGINT, "
    "effective_sample_size DOUBLE, mean_weight DOUBLE, largest_weight DOUBLE, "
    "clipped DOUBLE, unsupported DOUBLE"
)
NEEDED = ("user_id", "reward", "propensity", "target")
DEFAULTS = OffPolicyOptions()


def off_policy_estimates(log: DataFrame, options: OffPolicyOptions = DEFAULTS) -> DataFrame:
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
        model as given; NULL without replicates, and where they are all the same, as when no row
        that carries weight has a reward. The same in every row: ``rows``,
        ``effective_sample_size`` (Σ w)² / Σ w² and ``mean_weight`` (near 1 if the log supports the
        policy), both after clipping, ``largest_weight`` before it, ``clipped`` (share of rows),
        ``unsupported`` (mean of ``unsupported_mass``, NULL without that column).

    Raises
    ------
    ContractError
        A column is missing, or rows have values that cannot be.
    StateError
        The log has no rows, or cannot say what the policy is worth: too much of its probability
        is on actions that the log never takes, too few rows carry the weight, or the weights are
        clearly not 1 on average.
    """
    if missing := [name for name in NEEDED if name not in log.columns]:
        raise ContractError(f"log for off-policy estimates: no columns {missing}")
    sums = add_up(log, options)
    _check_rows(sums)
    diagnostics = _diagnostics(sums, "unsupported_mass" in log.columns)
    _check_support(diagnostics, options)
    _check_weights(sums, options)
    rows = [
        (name, values[0], *_interval(values[1:]), *diagnostics.values())
        for name, values in _estimates(sums).items()
    ]
    return log.sparkSession.createDataFrame([_plain(row) for row in rows], SCHEMA)


def _interval(replicates: Floats) -> tuple[float | None, float | None]:
    """None where all replicates are the same: they do not vary with what nobody answered."""
    known = replicates[~np.isnan(replicates)]
    if not len(known) or known.min() == known.max():
        return None, None
    low, high = np.percentile(known, [2.5, 97.5])
    return low, high


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


def _check_weights(sums: Sums, options: OffPolicyOptions) -> None:
    """Over all that the log could have chosen the weights are 1 in expectation."""
    if options.weight_tolerance is None or not options.replicates:
        return
    with np.errstate(all="ignore"):
        means = sums["raw_weight"] / sums["rows"]
    low, high = np.nanpercentile(means[1:], [2.5, 97.5])
    if high < 1 - options.weight_tolerance or low > 1 + options.weight_tolerance:
        raise StateError(
            f"no off-policy estimate: the weights are {means[0]:.2f} on average ({low:.2f} to "
            f"{high:.2f}), not 1: the log lacks choices that the evaluated policy would have made, "
            "or its propensities are not those of its choices"
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
