"""Each input of the ranker by itself: what it tells, how it drifted, and whether it leaks."""

from collections.abc import Mapping, Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import Config
from activityrec.evaluation.distributions import (
    AFTER,
    BEFORE,
    Key,
    array_values,
    by_key,
    drift,
    long_values,
    number_columns,
    number_counts,
    sizes_of,
    word_columns,
    word_counts,
)
from activityrec.evaluation.draws import Bootstrap
from activityrec.evaluation.ranking_metrics import ranking_draws
from activityrec.ranking.pipeline import weighted

LEAK = 0.98
"""An AUC that nothing honest has: people are not that predictable."""
MODEST = 0.9
"""Where a baseline reaches it the outcome is easy, and a high AUC no wonder."""
MIN_ANSWERS = 5
"""With fewer some input is bound to tell them from the others."""


def input_checks(
    before: DataFrame,
    after: DataFrame,
    scores: Mapping[str, str],
    importance: Mapping[str, float],
    config: Config,
) -> DataFrame:
    """Compare the inputs, and the scores of models, before and after ``as_of``.

    Parameters
    ----------
    before, after
        The training examples and the later exposures, with ``label`` and the columns of examples;
        a score that one of them lacks is not compared.
    scores
        Name of a model to the column of its score.
    importance
        Of inputs and one-hot columns, as
        :func:`activityrec.ranking.importance.importances` gives it.

    Returns
    -------
    DataFrame
        ``serving.input_checks`` without run_id, as_of: one row for each input, one-hot column
        (which has no AUC) and score. Drift is the population stability index Σ (a - b) ln(a / b)
        (Siddiqi 2006) and the Jensen-Shannon divergence (Lin 1991), over tenths of ``before``, or
        the values of a one-hot column.
    """
    sides = {BEFORE: weighted(before), AFTER: weighted(after)}
    shown = {("score", model): column for model, column in scores.items()}
    columns = {**number_columns(config), **shown}
    numeric, keys = array_values(sides, columns).persist(), list(columns)
    counts = number_counts(numeric, keys) + word_counts(sides, word_columns(config))
    alone = _alone(numeric, keys)
    rows = []
    for key, found in by_key(counts).items():
        auc = alone.get(key, {})
        psi, js = drift(found)
        kind, name = key
        weight = importance.get(name) if kind == "input" else None
        sizes = sizes_of(found)
        aucs = (auc.get(BEFORE), auc.get(AFTER))
        alarm = _alarm(kind, name, aucs, alone)
        rows.append((kind, name, weight, *aucs, psi, js, *sizes, alarm))
    schema = ", ".join(f"{c.name} {c.type}" for c in tables.INPUT_CHECKS.columns[2:])
    numeric.unpersist()
    return before.sparkSession.createDataFrame(rows, schema)


def _alone(values: DataFrame, keys: Sequence[Key]) -> dict[Key, dict[str, float]]:
    """The AUC of each value by itself, by side; undefined ones, and those of few answers, are left
    out."""
    # Without replicates it is of no matter whose row it is.
    rows = long_values(values).withColumn("user_id", F.lit(""))
    draws = ranking_draws(rows, Bootstrap(0, 0), ["side", "number"])
    found: dict[Key, dict[str, float]] = {}
    enough = F.col("positives") >= MIN_ANSWERS
    for row in draws.where("metric = 'auc' AND draws[0] IS NOT NULL").where(enough).collect():
        found.setdefault(keys[row["number"]], {})[row["side"]] = row["draws"][0]
    return found


def _alarm(
    kind: str,
    name: str,
    aucs: tuple[float | None, float | None],
    alone: Mapping[Key, Mapping[str, float]],
) -> str | None:
    """In words, what is too good to be true of an input, or of the score of the ranker."""
    known = [auc for auc in aucs if auc is not None]
    if kind == "input":
        telling = [auc for auc in known if max(auc, 1 - auc) > LEAK]
        if telling:
            return (
                f"alone it tells answered from unanswered exposures (AUC {telling[0]:.3f}): "
                "does it know the outcome?"
            )
        return None
    after = aucs[1]
    simple = [alone.get(("score", model), {}).get(AFTER, 0.5) for model in SIMPLE]
    if name == "ranker" and after is not None and after > LEAK and max(simple) < MODEST:
        return (
            f"AUC {after:.3f} on later exposures, where the best simple model has "
            f"{max(simple):.3f}: too good to be true"
        )
    return None


SIMPLE = ("popularity", "past_rate", "affinity")
