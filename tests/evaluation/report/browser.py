"""A page looked at in Chromium, without a network."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path
from typing import Any

import pytest

WIDTHS = (390, 1280)
"""Of a phone and of a window on a desk, in pixels."""

# The page stays as it is, in a frame of each width; the script that measures is outside of it.
PROBE = """<!DOCTYPE html><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<body>{frames}<script>
const parts = colour => colour.match(/[\\d.]+/g).map(Number);
function light(colour) {{
  const [r, g, b] = parts(colour).map(c => c / 255)
    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}}
function behind(element, view) {{
  for (let at = element; at; at = at.parentElement) {{
    const colour = view.getComputedStyle(at).backgroundColor;
    if (parts(colour)[3] !== 0) return colour;
  }}
}}
function contrast(element, view) {{
  const style = view.getComputedStyle(element);
  const colour = element.closest("svg") ? style.fill : style.color;
  const both = [light(colour), light(behind(element, view))].sort((a, b) => b - a);
  return (both[0] + 0.05) / (both[1] + 0.05);
}}
function look(frame) {{
  const view = frame.contentWindow, page = view.document, root = page.documentElement;
  const svgs = [...page.querySelectorAll("svg")].map(s => s.getBoundingClientRect());
  const texts = [...page.querySelectorAll("p, li, td, th, a, figcaption, .badge, svg text")];
  return {{
    inner: view.innerWidth, scroll: root.scrollWidth, back: view.getComputedStyle(page.body)
      .backgroundColor,
    svgs: svgs.map(box => [box.width, box.height]),
    loaded: view.performance.getEntriesByType("resource").map(entry => entry.name),
    contrast: Math.min(99, ...texts.map(text => contrast(text, view))),
  }};
}}
addEventListener("load", () => {{
  const found = [...document.querySelectorAll("iframe")].map(look);
  const place = document.createElement("pre");
  place.textContent = JSON.stringify(found);
  document.body.replaceChildren(place);
}});
</script>"""


@dataclass(frozen=True)
class Seen:
    """The page at each of WIDTHS, and what the console said."""

    widths: list[dict[str, Any]]
    console: list[str]


def find_chromium() -> str:
    """Where it is; the test is skipped without it, but never in CI."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        assert not os.environ.get("CI"), "CI must have Chromium"
        pytest.skip("no Chromium here: install Debian's package chromium")
    return found


def look(page: str, folder: Path, dark: bool) -> Seen:
    """Open the page in frames of both widths, in the light or the dark scheme."""
    frames = "".join(
        f'<iframe style="width:{width}px;height:900px" srcdoc="{escape(page)}"></iframe>'
        for width in WIDTHS
    )
    probe = folder / "probe.html"
    probe.write_text(PROBE.format(frames=frames), encoding="utf-8")
    dom, console = _dump(probe, folder, dark)
    found = re.search(r"<pre>(.*)</pre>", dom, re.DOTALL)
    assert found is not None, dom[-2000:]
    return Seen(json.loads(unescape(found[1])), console)


def open_file(file: Path, folder: Path) -> tuple[str, list[str]]:
    """A file as the browser reads it, as HTML again, and what the console said."""
    return _dump(file, folder, dark=False)


def _dump(file: Path, folder: Path, dark: bool) -> tuple[str, list[str]]:
    done = subprocess.run(
        [
            find_chromium(),
            *["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
            *["--no-first-run", "--disable-background-networking", "--disable-component-update"],
            "--host-resolver-rules=MAP * ~NOTFOUND",
            f"--user-data-dir={folder / 'profile'}",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            *["--enable-logging=stderr", "--virtual-time-budget=5000"],
            *["--dump-dom", file.as_uri()],
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]
