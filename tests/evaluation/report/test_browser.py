"""The page in a real browser: light and dark, on a desk and on a phone, without a network."""

from pathlib import Path

import pytest

from activityrec.evaluation.report.page import render
from tests.evaluation.report.browser import WIDTHS, look, open_file
from tests.evaluation.report.rows import FULL, PLOTS

READABLE = 4.5
"""Least contrast of text by WCAG 2.2, 1.4.3."""

BROKEN = """<!DOCTYPE html><body><p style="color: #999; background: #888">grey on grey</p>
<div style="width: 2000px">too wide</div><svg width="0" height="0"></svg>
<img src="http://shop.example/a.png"><script>nothing.there()</script>"""


@pytest.fixture(scope="module")
def page() -> str:
    return render(FULL)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_fits_is_readable_and_draws_every_plot(
    page: str, tmp_path: Path, dark: bool
) -> None:
    seen = look(page, tmp_path, dark)
    assert seen.console == []
    for found, width in zip(seen.widths, WIDTHS, strict=True):
        assert found["inner"] == width
        assert found["scroll"] <= width
        assert len(found["svgs"]) == len(PLOTS)
        assert min(min(box) for box in found["svgs"]) > 50
        assert found["loaded"] == []
        assert found["contrast"] >= READABLE
        assert found["back"] == ("rgb(16, 21, 28)" if dark else "rgb(246, 247, 249)")


def test_the_file_opens_from_a_disk_without_a_word_on_the_console(
    page: str, tmp_path: Path
) -> None:
    file = tmp_path / "a run.html"
    file.write_text(page, encoding="utf-8")
    dom, console = open_file(file, tmp_path)
    assert console == []
    assert dom.count("<svg") == len(PLOTS)
    assert "<script" not in dom


def test_a_broken_page_is_seen_as_such(tmp_path: Path) -> None:
    seen = look(BROKEN, tmp_path, dark=False)
    phone = seen.widths[0]
    assert phone["scroll"] >= 2000
    assert phone["svgs"] == [[0, 0]]
    assert phone["loaded"] == ["http://shop.example/a.png"]
    assert phone["contrast"] < READABLE
    assert any("nothing is not defined" in line for line in seen.console)
