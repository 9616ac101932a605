"""What policies are worth on the exposures of the horizon: rows of ``serving.policy_values``."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from activityrec import tables
from activityrec.config import EvaluateConfig, OffPolicyConfig
from activityrec.errors import ContractError, StateError
from activityrec.evaluation.decision_models import reward_predictions, with_propensities
from activityrec.evaluation.decisions import decision_log
from activityrec.evaluation.lists import best_first
from activityrec.evaluation.off_policy import OffPolicyOptions, off_policy_estimates
from activityrec.evaluation.policies import popular_choice, recommended_choice, with_targets
from activityrec.features.history import History
from activityrec.serving.anonymity import group_size, large_counts
from activityrec.serving.candidates import Serving, scored_candidates, sides

Lists = Callable[[DataFrame], DataFrame]
"""From users (user_id) to their lists: user_id, activity_id, ``rank`` from 1."""

Row = dict[str, object]

EVERYTHING = 2**31 - 1
"""Longer than any list."""

POLICIES = ("recommended", "popularity")
COUNTS = ("rows", "answers", "chosen", "chosen_answers")
_COLUMNS = {column.name: column.type for column in tables.POLICY_VALUES.columns[2:]}
_TYPES = _COLUMNS | dict.fromkeys(COUNTS[1:], "BIGINT")


@dataclass(frozen=True)
class _Summary:
    """Of a log: exposures, answered ones, those without a propensity, without an alternative."""

    rows: int
    answers: int
    unlogged: int
    no_choice: int


def policy_values(serving: Serving, full: History, scored: DataFrame) -> DataFrame:
    """The worth of the recommendations, of popularity and of the log's own policy.

    Parameters
    ----------
    serving
        Models and tables as of T.
    full
        The clean tables to the end of the data.
    scored
        ``serving.scored_exposures`` of the run.

    Returns
    -------
    DataFrame
        ``serving.policy_values`` without run_id and as_of; no rows without exposures. Rows that
        rest on fewer exposures or answers than the k of k-anonymity are left out.
    """
    config = serving.config
    if config.samples_exposures:
        return _frame(scored.sparkSession, []).select(*_COLUMNS)
    log = decision_log(serving, full, scored).persist()
    found = values_of(log, lambda users: recommended_lists(serving, users), config.evaluate)
    log.unpersist()
    return large_counts(found, COUNTS, group_size(config)).select(*_COLUMNS)


def recommended_lists(serving: Serving, users: DataFrame) -> DataFrame:
    """The lists that production makes at T for these users, to their ends: user_id, activity_id,
    ``rank``."""
    asked = serving.only(users)
    candidates = scored_candidates(asked, sides(asked))
    return best_first(candidates, {"recommended": "score"}, EVERYTHING).drop("model")


def values_of(log: DataFrame, lists: Lists, config: EvaluateConfig) -> DataFrame:
    """Estimates, or a refusal, for each policy.

    Parameters
    ----------
    log
        As :func:`activityrec.evaluation.decisions.decision_log` gives it, persisted.
    lists
        Not asked where the log allows no estimate anyway.

    Returns
    -------
    DataFrame
        ``serving.policy_values`` without run_id and as_of, and what a row rests on: ``answers``
        among ``rows``, ``chosen`` (exposures that the policy would have made too) and
        ``chosen_answers`` among these.
    """
    summary = _summary(log)
    if not summary.rows:
        return _frame(log.sparkSession, [])
    options = options_of(config)
    mode = _mode(config.off_policy, summary)
    found = {"logging": _logging(log, options, summary)}
    try:
        _check_choice(config.off_policy, summary)
        if mode == "logged":
            _check_logged(summary)
        activities = _activities(log)
        weighted = with_propensities(log, mode, activities, config)
        rewards = reward_predictions(weighted, activities, config)
    except (StateError, ContractError) as error:
        found |= {name: [_refused(error)] for name in POLICIES}
    else:
        users = log.select("user_id").distinct()
        choices = (recommended_choice(weighted, lists(users)), popular_choice(weighted))
        for name, choice in zip(POLICIES, choices, strict=True):
            found[name] = _estimates(rewards(with_targets(choice, activities)), options)
    same = {"rows": summary.rows, "answers": summary.answers, "propensities": mode}
    rows = [same | {"policy": name} | row for name, some in found.items() for row in some]
    return _frame(log.sparkSession, rows)


def options_of(config: EvaluateConfig) -> OffPolicyOptions:
    """The options of the estimators: those of ``off_policy``, and the bootstrap of all metrics."""
    wanted = config.off_policy
    return OffPolicyOptions(
        clip=wanted.clip,
        tau=wanted.tau,
        shrinkage=wanted.shrinkage,
        replicates=config.replicates,
        seed=config.seed,
        unsupported_limit=wanted.unsupported_limit,
        min_effective_rows=wanted.min_effective_rows,
        weight_tolerance=wanted.weight_tolerance,
    )


def _frame(spark: SparkSession, rows: Sequence[Mapping[str, object]]) -> DataFrame:
    schema = ", ".join(f"{name} {kind}" for name, kind in _TYPES.items())
    return spark.createDataFrame([tuple(map(row.get, _TYPES)) for row in rows], schema)


def _summary(log: DataFrame) -> _Summary:
    others = F.array_except("available", F.array("activity_id"))
    found = log.agg(
        F.count("*"),
        F.count_if(F.col("reward") > 0),
        F.count_if(F.col("propensity").isNull()),
        F.count_if(F.size(others) == 0),
    ).first()
    assert found is not None
    return _Summary(*found)


def _mode(wanted: OffPolicyConfig, summary: _Summary) -> str:
    """Where propensities are taken from: logged, or estimated."""
    if wanted.propensities != "auto":
        return wanted.propensities
    return "estimated" if summary.unlogged == summary.rows else "logged"


def _check_choice(wanted: OffPolicyConfig, summary: _Summary) -> None:
    share = summary.no_choice / summary.rows
    if share > wanted.no_choice_limit:
        raise StateError(
            f"no off-policy estimate: in {share:.1%} of {summary.rows:,} exposures no other "
            "activity was shown to others on the same day at the same position (limit: "
            f"{wanted.no_choice_limit:.1%}): there was no choice that another policy could have "
            "made otherwise"
        )


def _check_logged(summary: _Summary) -> None:
    if summary.unlogged:
        raise StateError(
            f"no off-policy estimate: {summary.unlogged:,} of {summary.rows:,} exposures have no "
            "logged propensity. Log it for all, or set evaluate.off_policy.propensities to "
            "estimated"
        )


def _activities(log: DataFrame) -> list[str]:
    """All that the log shows: their number does not grow with users."""
    rows = log.select("activity_id").distinct().orderBy("activity_id").collect()
    return [row["activity_id"] for row in rows]


def _logging(log: DataFrame, options: OffPolicyOptions, summary: _Summary) -> list[Row]:
    """The mean response of the log, which needs no propensity."""
    certain = log.withColumns(
        {"propensity": F.lit(1.0), "target": F.lit(1.0), "unsupported_mass": F.lit(0.0)}
    )
    found = off_policy_estimates(certain, replace(options, clip=None, min_effective_rows=0))
    row = found.where("estimator = 'ipw'").first()
    assert row is not None
    whole = {"chosen": summary.rows, "chosen_answers": summary.answers}
    return [row.asDict() | whole | {"estimator": "on_policy", "propensities": "none"}]


def _estimates(log: DataFrame, options: OffPolicyOptions) -> list[Row]:
    # The lists behind it are dear, and each of the figures below asks for them.
    log, same = log.persist(), F.col("target") > 0
    try:
        counted = log.agg(
            F.count_if(same).alias("chosen"),
            F.count_if(same & (F.col("reward") > 0)).alias("chosen_answers"),
        ).first()
        assert counted is not None
        return [row | counted.asDict() for row in _estimated(log, options)]
    finally:
        log.unpersist()


def _estimated(log: DataFrame, options: OffPolicyOptions) -> list[Row]:
    try:
        return [row.asDict() for row in off_policy_estimates(log, options).collect()]
    except (StateError, ContractError) as error:
        return [_refused(error)]


def _refused(error: Exception) -> Row:
    return {"estimator": "all", "refusal": str(error)}
