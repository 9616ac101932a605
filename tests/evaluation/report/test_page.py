"""The page: every section, what a table says, what is escaped, what is left out."""

import re
from dataclasses import replace

import pytest

from activityrec.evaluation.report.page import render
from tests.evaluation.report.reader import Page
from tests.evaluation.report.rows import (
    EMPTY,
    FULL,
    HOSTILE,
    METRICS,
    NO_LABELS,
    PLOTS,
    gate,
    metric,
)

SECTIONS = [
    *["summary", "models", "curves", "lists", "parts", "audiences", "trend", "inputs"],
    *["policies", "gate"],
]


@pytest.fixture(scope="module")
def full() -> Page:
    return Page(render(FULL))


def test_every_section_has_its_plots_and_tables(full: Page) -> None:
    assert list(full.sections) == SECTIONS
    assert full.tags.count("svg") == len(PLOTS)
    assert not [text for text in full.sections.values() if "Left out" in text]
    assert [name for name in PLOTS if f"{name}-figure_1" not in full.ids] == []


def test_every_plot_says_in_words_what_it_shows(full: Page) -> None:
    assert len(set(full.labels)) == len(PLOTS)
    assert "The 50.0 % of the exposures with the highest scores of ranker hold 60.0 %" in str(
        full.labels
    )


def test_no_id_is_there_twice_and_every_reference_leads_somewhere(full: Page) -> None:
    assert len(full.ids) == len(set(full.ids))
    used = re.findall(r'="url\(#([^)]+)\)', full.text)
    used += [address[1:] for address in full.addresses]
    assert set(used) <= set(full.ids)


def test_a_table_agrees_with_the_metrics(full: Page) -> None:
    head, *rows = full.tables["Population closed"]
    assert [text for text, _ in head] == [
        *["Metric", "ranker", "past_rate", "popularity", "Rows", "Answered", "Groups"]
    ]
    auc, average_precision, log_loss = rows[:3]
    assert [text for text, _ in auc] == [
        "AUC higher is better",
        "0.840 (the best of the row) [0.820, 0.860]",
        "0.770 [0.750, 0.790]",
        "0.610 [0.590, 0.630]",
        *["1,200", "150", "–"],
    ]
    best = [[kind.strip() for _, kind in row[1:4]] for row in (auc, average_precision, log_loss)]
    assert best == [["best", "", ""], ["", "best", ""], ["best", "", ""]]
    assert full.tables["Population all"][1][1][0] == "0.820 [0.800, 0.840]"


def test_values_that_are_not_there_are_dashes(full: Page) -> None:
    last = full.tables["Population closed"][-1]
    assert [text for text, _ in last][:4] == ["Precision higher is better", "–", "–", "–"]
    empty_bin = full.tables["Calibration of ranker, in figures"][-1]
    assert [text for text, _ in empty_bin] == ["10", "1.000", "–", "–", "–", "100", "20"]


def test_the_summary_says_how_the_ranker_compares(full: Page) -> None:
    summary = " ".join(full.sections["summary"].split())
    assert (
        "The ranker is better than the strongest baseline in AUC; it is not distinguishable from "
        "the strongest baseline in average precision."
    ) in summary
    assert "0.840 against 0.770 of past_rate; difference +0.070 [0.050, 0.090]." in summary
    assert "1,200 exposures" in summary
    assert "150 of them (12.5 %)" in summary
    assert "1 of 2 checks held; not: its average precision is too low." in summary
    assert "lists would have had 0.0046 [0.0036, 0.0056] responses" in summary


def test_alarms_stand_at_the_top(full: Page) -> None:
    summary = " ".join(full.sections["summary"].split())
    assert "1 alarm: look before you believe the figures Input offers: its AUC" in summary
    assert full.tables["Inputs of the ranker"][1][-1][1] == "text alarm"
    calm = replace(FULL, input_checks=[FULL.input_checks[0]])
    assert "look before" not in render(calm)


def test_parts_that_differ_come_first(full: Page) -> None:
    _, first, *others = full.tables["Parts of the exposures"]
    assert first[1][0].startswith("<script>")
    assert first[2] == ("0.710 (differs from the whole) [0.690, 0.730]", "differs")
    assert [row[1][0] for row in others] == ["mail", "2017-10-02"]


def test_a_policy_that_the_log_does_not_support_shows_why(full: Page) -> None:
    refused = full.tables["Values of policies"][-1]
    assert [text for text, _ in refused][1:4] == ["all", "–", "10,000"]
    assert refused[-1] == ("83 % of it is on activities never shown", "text alarm")


def test_checks_that_failed_come_first(full: Page) -> None:
    rows = full.tables["Checks of the gate"][1:]
    assert [[text for text, _ in row[:2]] for row in rows] == [["no_worse", "no"], ["auc", "yes"]]


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        ("promoted", "shop-ranker/3 took the place of shop-ranker/2. 1 of 1 checks held."),
        ("rolled_back", "shop-ranker/3 came back in the place of shop-ranker/2."),
    ],
)
def test_a_decision_is_told_in_words(decision: str, words: str) -> None:
    page = render(replace(EMPTY, promotions=[gate("auc", True, "above", decision)]))
    assert words in page


def test_what_the_data_hold_is_never_markup(full: Page) -> None:
    assert "script" not in full.tags
    assert "<script" not in full.text
    drawn = full.text[full.text.index('<g id="parts-figure_1"') :]
    assert '&lt;script&gt;alert("1")&lt;/scri' in drawn[: drawn.index("</svg>")]
    assert "\x00" not in full.text
    hostile = replace(FULL, run_id=HOSTILE, promotions=[gate(HOSTILE, False, HOSTILE)])
    strange = Page(render(replace(hostile, metrics=[metric(HOSTILE, HOSTILE, 0.5)])))
    assert "script" not in strange.tags


def test_nothing_is_fetched(full: Page) -> None:
    assert [address for address in full.addresses if not address.startswith("#")] == []
    assert not {"script", "link", "img", "iframe", "style"} & set(
        full.tags[full.tags.index("body") :]
    )
    assert "default-src 'none'" in full.text
    assert "@import" not in full.text


def test_colours_are_those_of_the_page(full: Page) -> None:
    svgs = full.text[full.text.index("<svg") :]
    assert not re.findall(r"(?:fill|stroke): #", svgs)
    assert "stroke: var(--series-0)" in svgs
    assert "fill: currentColor" in svgs


def test_the_same_data_give_the_same_page(full: Page) -> None:
    assert render(FULL) == full.text


def test_a_run_without_any_rows_says_what_is_missing() -> None:
    page = Page(render(EMPTY))
    assert list(page.sections) == SECTIONS
    assert "svg" not in page.tags
    left_out = [name for name, text in page.sections.items() if "Left out: " in text]
    assert left_out == SECTIONS[1:]
    assert "There is no ranker and baseline to compare." in page.sections["summary"]


def test_nothing_answered_is_no_error() -> None:
    page = Page(render(NO_LABELS))
    assert page.tables["Population closed"][1][1] == ("–", "")
    assert "none was trained, or nothing was answered" in page.sections["summary"]


def test_one_as_of_is_no_trend_and_labels_may_be_in_any_script() -> None:
    foreign = metric("ranker", "auc", 0.8, slice="city", slice_value="杭州市", differs=True)
    page = Page(render(replace(FULL, earlier=[], metrics=[*METRICS, foreign])))
    assert "Left out: serving.metrics has no earlier run" in page.sections["trend"]
    assert "City: 杭州市" in page.sections["parts"]


def test_audiences_have_a_table_of_their_own_and_are_no_parts(full: Page) -> None:
    head, row = full.tables["Answered share of audiences"]
    assert [text for text, _ in head] == [
        *["Activity", "Users", "all", "first 100 by ranker", "first 100 by past_rate"]
    ]
    assert [text.split(" ")[0] for text, _ in row] == ["spring", "300", "0.100", "0.250", "0.150"]
    assert "spring" not in full.sections["parts"]


def test_what_lists_are_like_is_neither_better_nor_worse() -> None:
    rows = [
        metric(model, "gini@3", value, population="lists", k=3)
        for model, value in (("ranker", 0.2), ("popularity", 0.9))
    ]
    page = Page(render(replace(EMPTY, metrics=[*METRICS, *rows])))
    (gini,) = [row for row in page.tables["Population lists"] if row[0][0].startswith("Gini")]
    assert not [mark for _, mark in gini if mark == "best"]
