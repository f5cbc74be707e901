"""The page of a sweep can be explored in a browser, stands alone, and takes no name for code."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from bench.pareto import explore, points, reports
from bench.pareto.page import html as page_of
from bench.pareto.points import Point
from compress import tasks
from tests.bench import browser

TYPING = reports.of(tasks.named("typing"))
HOSTILE = "</script><img src=x onerror=alert(1)>$x^{$&amp;<!--"
ABOUT: dict[str, Any] = {
    "simulated": True,
    "recordings": {"heldout-00.hdf5": "d" * 64},
    "calibration": {},
    "checkpoints": {},
    "lm": {"name": "lm.arpa", "sha256": "f" * 64, "shipped": True},
    "code": "e" * 64,
    "left_out": ["S4_huge: expected its checkpoint, found none"],
    "failures": {},
}


def point(model: str, precision: str, error: float, macs: float, flash: int | None) -> Point:
    placed = {"instructions_per_s": 1.3 * macs, "ram": 90_000} if flash else {}
    return Point(
        model,
        precision,
        "greedy",
        macs,
        placed.get("instructions_per_s"),
        flash,
        round(placed["ram"]) if placed else None,
        error,
        error - 1.0,
        error + 1.0,
        False,
        "simulated recordings",
        [],
        True,
        amount=1000,
    )


def several(name: str = "small") -> list[Point]:
    """The float network and w8a16 of two networks, and w4a16 of one; one is published."""
    own = [
        point(name, "float", 9.0, 1e7, None),
        point(name, "w8a16", 9.5, 1e7, 300_000),
        point(name, "w4a16", 11.0, 1e7, 150_000),
        point("large", "float", 5.0, 9e7, None),
        point("large", "w8a16", 5.5, 9e7, 900_000),
    ]
    published = dataclasses.replace(own[3], error=4.0, source=points.PUBLISHED_SOURCE)
    return [*points.mark(own), published]


def explored(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="explored">(.*?)</script>', page, re.S)
    assert found is not None
    data: dict[str, Any] = json.loads(found.group(1))
    return data


@pytest.fixture(scope="module")
def page() -> str:
    return page_of(several(), TYPING, ABOUT)


# --- what is in the page --------------------------------------------------------------------------


def test_the_page_stands_alone_and_tells_the_browser_so(page: str) -> None:
    assert "default-src 'none'" in page and "connect-src" not in page
    own = page.replace(explore.library(), "")
    assert not re.search(r"""\s(src|(xlink:)?href)\s*=\s*(?!["']?(#|data:))""", own)
    assert not re.search(r"@import|url\((?!#)", own)


def test_the_page_says_what_the_plot_weighs(page: str) -> None:
    weight = len(explore.library().encode()) / 1e6
    assert weight < 2 and f"{weight:.1f} MB of this page" in page


def test_the_same_points_give_the_same_page_again(page: str) -> None:
    assert page_of(several(), TYPING, ABOUT) == page


def test_without_javascript_the_pictures_are_there_and_no_dead_switches(page: str) -> None:
    assert page.count("<figure><svg") == 4 and '<section id="explore" hidden>' in page


def test_what_was_left_out_is_said_at_the_end(page: str) -> None:
    assert page.index("S4_huge") > page.index("What was measured, and with what")


def test_every_point_carries_the_figures_that_the_table_shows(page: str) -> None:
    found = explored(page)["points"]
    assert [p["network"] for p in found] == [p.model for p in several()]
    assert found[1]["cells"][:4] == ["small", "w8a16", "greedy", "9.50"]
    assert found[0]["places"]["flash"] is None and found[1]["places"]["flash"] is not None


def test_only_costs_that_a_point_has_can_be_chosen() -> None:
    floats = [p for p in several() if p.flash is None]
    text = page_of(floats, TYPING, ABOUT)
    assert list(explored(text)["costs"]) == ["macs_per_s"]
    assert 'value="macs_per_s"' in text and 'value="flash"' not in text


def test_a_name_is_never_taken_for_html() -> None:
    about = ABOUT | {"left_out": [HOSTILE], "recordings": {HOSTILE: "d" * 64}}
    text = page_of(several(HOSTILE), TYPING, about | {"failures": {HOSTILE: HOSTILE}})
    assert "<img" not in text and "alert(1)>" not in text.replace(html.escape(HOSTILE), "")
    assert explored(text)["points"][0]["network"] == HOSTILE
    assert text.count("<script>") == len(explore.scripts())


# --- the page, used in a browser ------------------------------------------------------------------

USE = """
const root = document.documentElement.dataset, ready = document.getElementById('explore');
const said = () => document.getElementById('shown').textContent;
const flip = (name, value) => {
  [...document.querySelectorAll(`input[name=${name}]`)].find(b => b.value === value).click();
  return said();
};
window.alerts = 0;
window.alert = () => { window.alerts += 1; };
const wait = ms => new Promise(done => setTimeout(done, ms));
const model = name => Bokeh.documents[0].get_model_by_name(name);
(async () => {
  while (!ready.dataset.ready) await wait(20);
  await wait(300);
  root.all = said();
  const data = model('points').data, view = Bokeh.index.find_one(model('plot'));
  const { x_scale, y_scale } = view.frame;
  const [sx, sy] = [x_scale.compute(data.x[1]), y_scale.compute(data.error[1])];
  const field = view.canvas_view.el.getBoundingClientRect();
  const at = { clientX: field.left + sx, clientY: field.top + sy, bubbles: true, composed: true,
    pointerType: 'mouse', isPrimary: true };
  for (const kind of ['pointerenter', 'pointermove'])
    view.canvas_view.events_el.dispatchEvent(new PointerEvent(kind, at));
  await wait(300);
  const texts = element => [...element.childNodes].map(node => node.nodeName === 'STYLE' ? ''
    : node.nodeType === 3 ? node.data : texts(node.shadowRoot ?? node)).join(' ');
  root.hover = texts(document.body);
  root.without = flip('kind', 'float');
  root.front = model('front').data.error.join(' ');
  flip('kind', 'float');
  root.flash = flip('cost', 'flash');
  root.axis = model('plot').below[0].axis_label;
  const before = model('plot').x_range.end;
  model('plot').x_range.end = before / 2;
  root.ticks = model('plot').below[0].ticker.ticks.join(' ');
  model('plot').x_range.reset();
  root.reset = model('plot').x_range.end === before;
  root.bars = model('intervals').visible;
  flip('layer', 'intervals');
  root.nobars = model('intervals').visible;
  root.images = document.images.length;
  root.alerts = window.alerts;
  root.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
})().catch(error => { root.error = String(error.stack); });
"""


def test_a_reader_points_at_marks_and_switches_kinds_and_costs(tmp_path: Path) -> None:
    browser.needed()
    file = tmp_path / "page.html"
    file.write_text(page_of(several(HOSTILE), TYPING, ABOUT), encoding="utf-8")
    seen = browser.after(tmp_path, file, USE, "--virtual-time-budget=20000")
    assert "error" not in seen, seen
    assert seen["all"] == "6 of 6 points shown, 2 on the front"
    hover = html.unescape(html.unescape(seen["hover"]))
    assert "9.50" in hover and "w8a16" in hover and "onerror=alert(1)" in hover
    assert seen["without"] == "4 of 6 points shown, 2 on the front" and seen["front"] == "9.5 5.5"
    assert seen["flash"].startswith("3 of 6 points shown, 3 on the front; of 3")
    assert seen["axis"].startswith("KiB of flash") and len(seen["ticks"].split()) >= 5
    assert (seen["reset"], seen["bars"], seen["nobars"]) == ("true", "true", "false")
    assert (seen["images"], seen["alerts"], seen["overflow"]) == ("0", "0", "0")
