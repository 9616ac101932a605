"""The sections of the report: which plots and tables each has, and why one is left out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from activityrec.evaluation.report import grids, grids_checks, measures, plots, plots_checks
from activityrec.evaluation.report.data import PRIMARY, ReportData
from activityrec.evaluation.report.drawing import Plot
from activityrec.evaluation.report.grids import Grid
from activityrec.evaluation.report.measures import POPULATIONS, RANKER, TESTED
from activityrec.evaluation.report.plots_parts import parts_plot, week_plot


@dataclass(frozen=True)
class Section:
    """One part of the page. Without plots and tables, ``missing`` says why in a sentence."""

    name: str
    title: str
    intro: str
    plots: Sequence[Plot]
    grids: Sequence[Grid]
    missing: str

    @property
    def is_empty(self) -> bool:
        return not self.plots and not self.grids


def sections(data: ReportData) -> list[Section]:
    """All sections, in the order of the page."""
    return [
        _models(data),
        _curves(data),
        _lists(data),
        _parts(data),
        _audiences(data),
        _trend(data),
        _inputs(data),
        _policies(data),
        _gate(data),
    ]


def _section(
    name: str,
    title: str,
    intro: str,
    missing: str,
    drawn: Iterable[Plot | None] = (),
    tables: Iterable[Grid | None] = (),
) -> Section:
    return Section(
        name,
        title,
        intro,
        [plot for plot in drawn if plot is not None],
        [table for table in tables if table is not None],
        missing,
    )


def _models(data: ReportData) -> Section:
    main = measures.main_population(data.metrics)
    populations = sorted(("closed", "all"), key=lambda name: name != main)
    return _section(
        "models",
        "Metrics by model",
        f"{POPULATIONS['closed']} All: {POPULATIONS['all'][0].lower()}{POPULATIONS['all'][1:]} "
        "The best value of each row is marked; whether it is better than another one is said by "
        "the interval of the difference, below.",
        "Left out: serving.metrics has no rows of this run.",
        tables=[
            *[grids.metric_grid(data.metrics, population) for population in populations],
            grids.comparison_grid(data.comparisons, main, RANKER),
        ],
    )


def _curves(data: ReportData) -> Section:
    main = measures.main_population(data.metrics)
    tested = [model for model in measures.models_of(data.curves) if model in TESTED][:1]
    return _section(
        "curves",
        "Gain and calibration",
        f"Population {main}.",
        "Left out: serving.curves has no rows of this run.",
        [
            plots.gain_plot(data.curves, data.metrics, main),
            plots.calibration_plot(data.curves, data.metrics, main),
        ],
        [
            grids.curve_grid(data.curves, main, curve, model)
            for model in tested
            for curve in ("gain", "calibration")
        ],
    )


def _lists(data: ReportData) -> Section:
    return _section(
        "lists",
        "Lists by length",
        POPULATIONS["lists"],
        "Left out: serving.metrics has no rows about lists of this run.",
        plots.list_plots(data.metrics),
        [grids.metric_grid(data.metrics, "lists")],
    )


def _parts(data: ReportData) -> Section:
    return _section(
        "parts",
        "Parts of the exposures",
        "Marked parts differ from the whole: the interval of the difference, on the same users, "
        "leaves out 0. Among parts that do not differ, about one in twenty is marked by chance. "
        "Average precision, log loss and Brier score follow the share that is answered, so they "
        "differ wherever it does.",
        "Left out: no part of the exposures has enough users, or no slices are configured.",
        [parts_plot(data.metrics), week_plot(data.metrics)],
        [grids.parts_grid(data.metrics)],
    )


def _audiences(data: ReportData) -> Section:
    return _section(
        "audiences",
        "Audiences",
        "Of those who were sent an activity: what all of them answered, and what those did whom a "
        "model scores highest.",
        "Left out: no activity was sent to more users than evaluate.audience.",
        tables=[grids.audience_grid(data.metrics)],
    )


def _trend(data: ReportData) -> Section:
    main = measures.main_population(data.metrics)
    return _section(
        "trend",
        "Over the runs",
        "The same metrics of this run and of earlier ones, one run for each as_of.",
        "Left out: serving.metrics has no earlier run to compare with.",
        [plots.trend_plot([*data.earlier, *data.metrics], metric, main) for metric in PRIMARY],
    )


def _inputs(data: ReportData) -> Section:
    checks = data.input_checks
    return _section(
        "inputs",
        "Inputs, scores and their drift",
        "AUC of a value alone: far from 0.5 it tells much, and more than a value known before the "
        "exposure should tell is suspicious. PSI and JS: how far the distribution after as_of is "
        "from that of the training examples.",
        "Left out: serving.input_checks has no rows of this run.",
        [
            plots_checks.importance_plot(checks),
            plots_checks.drift_plot(checks, "input"),
            plots_checks.drift_plot(checks, "score"),
        ],
        [grids_checks.inputs_grid(checks, "input"), grids_checks.inputs_grid(checks, "score")],
    )


def _policies(data: ReportData) -> Section:
    return _section(
        "policies",
        "What policies would have earned",
        "Responses for each exposure, estimated from the log. An estimate rests on the effective "
        "sample size, not on the rows; a mean weight far from 1 or much probability that is "
        "unsupported means that the log says little about the policy.",
        "Left out: serving.policy_values has no rows of this run.",
        [plots_checks.policies_plot(data.policy_values)],
        [grids_checks.policies_grid(data.policy_values)],
    )


def _gate(data: ReportData) -> Section:
    return _section(
        "gate",
        "The gate",
        "What was checked before the model of this run became the champion, or did not.",
        "Left out: serving.promotions has no decision of this run.",
        tables=[grids_checks.gate_grid(data.promotions)],
    )
