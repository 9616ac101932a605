"""The result in plain words, for someone who was not there."""

from collections.abc import Sequence
from dataclasses import dataclass

from activityrec.evaluation.report import measures
from activityrec.evaluation.report.data import PRIMARY, ReportData, Row
from activityrec.evaluation.report.measures import CHAMPION, RANKER
from activityrec.evaluation.report.parts import differing, part_metric
from activityrec.evaluation.report.words import (
    count,
    figure,
    interval,
    listed,
    plain,
    share,
    signed,
    title,
    within,
)

BETTER, WORSE, ALIKE, UNKNOWN = "better", "worse", "not distinguishable", "no interval"
DRIFTED = 0.25
"""A population stability index from which a distribution counts as another one, by custom."""

_QUESTIONS = {
    "auc": "Are answered exposures scored above the others?",
    "average_precision": "Are the highest scores answered?",
    "auc_within_user": "Which activities for this user?",
}
_ESTIMATORS = ("dr", "sndr", "snipw", "ipw", "dm")
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Verdict:
    """How the ranker compares with another model in one metric."""

    metric: str
    question: str
    ranker: Row
    other: Row
    difference: Row | None
    word: str

    @property
    def name(self) -> str:
        """The metric as a heading."""
        return title(self.metric)

    @property
    def sentence(self) -> str:
        """The figures that the word rests on."""
        mine, other = figure(self.ranker["value"]), figure(self.other["value"])
        text = f"{mine} against {other} of {self.other['model']}"
        if self.difference is None:
            return f"{text}."
        gap = signed(self.difference["difference"])
        return f"{text}; difference {gap} {interval(self.difference)}".rstrip() + "."


def verdicts(data: ReportData) -> list[Verdict]:
    """The ranker against the strongest baseline in each primary metric."""
    population = measures.main_population(data.metrics)
    found = []
    for metric in PRIMARY:
        other = measures.strongest(data.metrics, metric, population)
        if other is not None and (one := _verdict(data, metric, other, population)) is not None:
            found.append(one)
    return found


def _verdict(data: ReportData, metric: str, other: Row, population: str) -> Verdict | None:
    ranker = measures.value_of(data.metrics, RANKER, metric, population)
    if ranker is None:
        return None
    pairs = [
        row
        for row in measures.whole(data.comparisons, population)
        if (row["model"], row["baseline"], row["metric"]) == (RANKER, other["model"], metric)
    ]
    difference = pairs[0] if pairs else None
    question = _QUESTIONS.get(metric, "")
    return Verdict(metric, question, ranker, other, difference, word_for(metric, difference))


def word_for(metric: str, difference: Row | None) -> str:
    """What the interval of a difference says."""
    if difference is None or difference["low"] is None or difference["high"] is None:
        return UNKNOWN
    if difference["low"] <= _ROUNDING and difference["high"] >= -_ROUNDING:
        return ALIKE
    rises = difference["low"] > 0
    return BETTER if rises == (measures.cost(metric, 1.0) < measures.cost(metric, 0.0)) else WORSE


def headline(found: Sequence[Verdict]) -> str:
    """The primary result as one sentence."""
    if not found:
        return "There is no ranker and baseline to compare."
    phrases = {
        BETTER: "is better than the strongest baseline in",
        WORSE: "is worse than the strongest baseline in",
        ALIKE: "is not distinguishable from the strongest baseline in",
        UNKNOWN: "has no interval of its difference from the strongest baseline in",
    }
    names = {word: [within(v.metric) for v in found if v.word == word] for word in phrases}
    clauses = [f"{phrase} {listed(names[word])}" for word, phrase in phrases.items() if names[word]]
    return f"The ranker {'; it '.join(clauses)}."


def points(data: ReportData) -> list[str]:
    """Further findings, a sentence or two each, the most important first."""
    parts = [_scale, _champion, _probabilities, _parts, _checks, _policies]
    return [text for part in parts if (text := part(data))]


def decision(data: ReportData) -> str:
    """What the gate decided, and why."""
    if not data.promotions:
        return ""
    first = data.promotions[0]
    failed = [row for row in data.promotions if not row["passed"]]
    champion = plain(first["champion"]) if first["champion"] is not None else "no model"
    did = {
        "promoted": f"{plain(first['challenger'])} took the place of {champion}",
        "kept": f"{champion} stays in use; {plain(first['challenger'])} was not promoted",
        "rolled_back": f"{plain(first['challenger'])} came back in the place of {champion}",
    }[first["decision"]]
    held = f"{len(data.promotions) - len(failed)} of {len(data.promotions)} checks held"
    reasons = "; ".join(plain(row["reason"], 200) for row in failed)
    return f"{did}. {held[0].upper()}{held[1:]}" + (f"; not: {reasons}." if reasons else ".")


def _scale(data: ReportData) -> str:
    population = measures.main_population(data.metrics)
    row = measures.value_of(data.metrics, RANKER, "auc", population)
    if row is None:
        return "No metric of a ranker is there: none was trained, or nothing was answered."
    which = " whose response window closed before the data end" if population == "closed" else ""
    answered = share(row["positives"] / row["rows"]) if row["rows"] else share(None)
    return (
        f"Models were frozen at {data.as_of} and measured on the {count(row['rows'])} exposures "
        f"after it{which}; {count(row['positives'])} of them ({answered}) were answered."
    )


def _champion(data: ReportData) -> str:
    population = measures.main_population(data.metrics)
    found = []
    for metric in PRIMARY:
        other = measures.value_of(data.metrics, CHAMPION, metric, population)
        if other is not None and (one := _verdict(data, metric, other, population)) is not None:
            found.append(f"{one.word} in {within(metric)} ({one.sentence.rstrip('.')})")
    return f"Beside the champion, the ranker is {listed(found)}." if found else ""


def _probabilities(data: ReportData) -> str:
    population = measures.main_population(data.metrics)
    row = measures.value_of(data.metrics, RANKER, "calibration_ratio", population)
    if row is None:
        return ""
    expected = f"{figure(row['value'], 2)} {interval(row, 2)}".rstrip()
    return f"For every response that came, the ranker's probabilities expected {expected}."


def _parts(data: ReportData) -> str:
    metric = part_metric(data.metrics)
    parts, apart = differing(data.metrics, metric)
    if not parts:
        return ""
    names = [f"{within(row['slice'])} “{plain(row['slice_value'], 30)}”" for row in apart[:4]]
    more = f" and {len(apart) - 4} more" if len(apart) > 4 else ""
    told = f": {', '.join(names)}{more}" if apart else ""
    return (
        f"In {len(apart)} of {len(parts)} parts of the exposures the ranker's {within(metric)} "
        f"differs from the whole{told}."
    )


def _checks(data: ReportData) -> str:
    if not data.input_checks:
        return ""
    drifted = [r for r in data.input_checks if r["psi"] is not None and r["psi"] > DRIFTED]
    alarms = [row for row in data.input_checks if row["alarm"] is not None]
    names = listed(plain(row["name"], 30) for row in drifted[:4])
    drift = f"{len(drifted)} of {len(data.input_checks)} inputs and scores drifted"
    told = f" (PSI above {DRIFTED:g}), {names} among them" if drifted else ""
    raised = f"{len(alarms)} raised an alarm, see above" if alarms else "none raised an alarm"
    return f"{drift}{told}; {raised}."


def _policies(data: ReportData) -> str:
    rows = [row for row in data.policy_values if row["policy"] == "recommended"]
    log = [r for r in data.policy_values if r["policy"] == "logging" and r["value"] is not None]
    for estimator in _ESTIMATORS:
        for row in rows:
            if row["estimator"] == estimator and row["value"] is not None:
                beside = f", the log's own policy {figure(log[0]['value'], 4)}" if log else ""
                told = f"{figure(row['value'], 4)} {interval(row, 4)}".rstrip()
                return (
                    f"By the estimate {estimator} the lists would have had {told} responses for "
                    f"each exposure{beside}."
                )
    refused = [plain(row["refusal"], 200) for row in rows if row["refusal"] is not None]
    return f"What the lists would have earned is not estimated: {refused[0]}." if refused else ""
