"""The models that estimates of policies rest on, as the configuration asks for them."""

from collections.abc import Callable, Sequence

from pyspark.sql import DataFrame

from activityrec.config import EvaluateConfig
from activityrec.errors import StateError
from activityrec.evaluation.decisions import CONTEXT
from activityrec.evaluation.propensities import PropensityModel, with_estimated
from activityrec.evaluation.reward_model import RewardModel, fit_rewards, predicted_rewards


def with_propensities(
    log: DataFrame, mode: str, activities: Sequence[str], config: EvaluateConfig
) -> DataFrame:
    """The log as it is where ``mode`` is ``logged``; with estimates, persisted, otherwise.

    Parameters
    ----------
    log
        As :func:`activityrec.evaluation.decisions.decision_log` gives it.
    activities
        All that it shows.

    Raises
    ------
    StateError
        There are too many activities, or too few users, to estimate anything.
    """
    if mode == "logged":
        return log
    wanted = config.off_policy
    if len(activities) > wanted.max_activities:
        raise StateError(
            f"propensities cannot be estimated: the log shows {len(activities):,} activities "
            f"(evaluate.off_policy.max_activities: {wanted.max_activities:,}). Log them"
        )
    model = PropensityModel(
        activities=tuple(activities),
        context=("day", *_context(log)),
        folds=wanted.folds,
        seed=config.seed,
        l2=wanted.l2,
        floor=wanted.propensity_floor,
    )
    return with_estimated(log, model).persist()


def reward_predictions(
    log: DataFrame, activities: Sequence[str], config: EvaluateConfig
) -> Callable[[DataFrame], DataFrame]:
    """What adds ``predicted`` and ``expected`` to the log with the targets of a policy; what
    leaves it as it is where there is to be no reward model.

    Raises
    ------
    StateError
        The log is too small to fit one.
    """
    wanted = config.off_policy
    if not wanted.reward_model or len(activities) > wanted.max_activities:
        return lambda chosen: chosen
    model = RewardModel(
        actions=tuple(activities),
        context=tuple(_context(log)),
        key=("user_id",),
        action="activity_id",
        folds=wanted.folds,
        seed=config.seed,
        inverse_penalty=1 / wanted.l2,
    )
    fitted = fit_rewards(log, model)
    return lambda chosen: predicted_rewards(chosen, model, fitted)


def _context(log: DataFrame) -> list[str]:
    return ["slot", *[name for name in log.columns if name.startswith(CONTEXT)]]
