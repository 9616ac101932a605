"""Which models and metrics are shown, in which order, and which value is the better one."""

from collections.abc import Iterable, Sequence

from activityrec.evaluation.report.data import Row
from activityrec.evaluation.slices import WHOLE

RANKER = "ranker"
CHAMPION = "champion"
TESTED = (RANKER, CHAMPION, "retrieval", "diversified")
"""Models that are no baselines. Lists are made by ``retrieval`` where there is no ranker;
``diversified`` are those of the model under test, re-ranked by ``recommend.diversity``."""

POPULATIONS = {
    "closed": "Exposures whose response window closed before the data end: their labels are whole.",
    "all": "Every exposure in the horizon. Where a window was still open when the data ended, an "
    "answer may be missing.",
    "lists": "The lists made at as_of against what was answered, averaged over the users who "
    "answered something that could have been recommended.",
}

_LOWER = frozenset({"log_loss", "brier", "calibration_error"})
_DESCRIBES = frozenset(
    {"novelty", "diversity", "gini", "activity_coverage", "user_coverage", "users_without_relevant"}
)
"""What lists are like: more of it is neither better nor worse by itself."""
_NEAR_ONE = frozenset({"calibration_ratio"})
_ORDER = (
    "auc",
    "average_precision",
    "auc_within_activity",
    "auc_within_user",
    "auc_within_activity_day",
    "auc_within_user_live",
    "log_loss",
    "brier",
    "calibration_error",
    "calibration_ratio",
    "accuracy",
    "precision",
    "recall",
    "f1",
    "ndcg",
    "map",
    "mrr",
    "hit_rate",
)
_SAME = 1e-9


def direction(metric: str) -> str:
    """In words, which values of a metric are good."""
    if metric.partition("@")[0] in _DESCRIBES:
        return ""
    if metric in _LOWER:
        return "lower is better"
    return "1 is best" if metric in _NEAR_ONE else "higher is better"


def cost(metric: str, value: float) -> float:
    """The value turned so that the lowest is the best."""
    if metric in _LOWER:
        return value
    return abs(value - 1) if metric in _NEAR_ONE else -value


def best_of(metric: str, rows: Iterable[Row]) -> set[str]:
    """The models with the best value of a metric; none where there is nothing to compare."""
    if metric.partition("@")[0] in _DESCRIBES:
        return set()
    costs = {row["model"]: cost(metric, row["value"]) for row in rows if row["value"] is not None}
    if len(costs) < 2:
        return set()
    return {model for model, found in costs.items() if found - min(costs.values()) <= _SAME}


def metric_order(metric: str) -> tuple[int, str, int, bool]:
    """Sorts metrics: the known ones first, each with its weighted form, lists by k."""
    base, _, k = metric.partition("@")
    name = base.removesuffix("_weighted")
    place = _ORDER.index(name) if name in _ORDER else len(_ORDER)
    return place, name, int(k or 0), name != base


def model_order(model: str) -> tuple[int, str]:
    """Sorts models: the one under test, the one in use, then the baselines."""
    place = TESTED.index(model) if model in TESTED else len(TESTED)
    return place, model


def models_of(rows: Iterable[Row]) -> list[str]:
    """The models that rows are about, in order."""
    return sorted({row["model"] for row in rows}, key=model_order)


def whole(rows: Iterable[Row], population: str) -> list[Row]:
    """The rows of a whole population."""
    return [row for row in rows if row["slice"] == WHOLE and row["population"] == population]


def main_population(rows: Sequence[Row]) -> str:
    """The population that the summary and the plots are about: the closed exposures, or all of
    them where none are closed."""
    closed = [r for r in rows if r["population"] == "closed" and r["value"] is not None]
    return "closed" if closed else "all"


def strongest(rows: Iterable[Row], metric: str, population: str) -> Row | None:
    """The row of the baseline with the best value of a metric; None without one."""
    found = [
        row
        for row in whole(rows, population)
        if row["metric"] == metric and row["model"] not in TESTED and row["value"] is not None
    ]
    return min(found, key=lambda r: (cost(metric, r["value"]), r["model"]), default=None)


def value_of(rows: Iterable[Row], model: str, metric: str, population: str) -> Row | None:
    """The row of one model's metric of a whole population, if it has a value."""
    for row in whole(rows, population):
        if (row["model"], row["metric"]) == (model, metric) and row["value"] is not None:
            return row
    return None
