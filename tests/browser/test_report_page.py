"""The report as people open it: from a disk, offline, wide and narrow, light and dark, by keys, on paper."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from chaosdrill import report
from chaosdrill.model.checklist import ApprovalUse, Binding, Check, Clearance, Finding
from chaosdrill.testing.folders import OPENED, Story, build_run_folder

STORIES = {
    "held": Story(),
    "deviated": Story("deviated", spike=9.0),
    "aborted": Story("aborted"),
    "crashed": Story("crashed"),
    "gap": Story(gap=(12.0, 6.0)),
    "many": Story(activities=1000),
    "plain": Story("plain"),
    "checklist": Story(samples=700),
    "names": Story(title=f"<script>document.title='hit'</script> {'unbreakable' * 30}"),
}
WIDTHS = (1280, 390)
#: The story whose checklist has an item in every state, an approval, and names that never break.
CLEARED = "checklist"
CLEARANCE = Clearance(
    run="checklist",
    environment="production",
    binding=Binding("hmac:00", {"experiment": "e"}),
    findings=(
        Finding("hypothesis", "proved", "one sentence", checks=(Check("sentence", True, "x" * 300),)),
        Finding("blast-radius", "attested", "I know them", by="ada@" + "very-long-host" * 9, at="2026-11-20"),
        Finding("expected-outcome", "not needed", "a sandbox"),
        Finding("monitoring", "overridden", f"firing: {'Disk80Percent' * 20}", "wait", by="grace"),
        Finding("off-peak", "failed", "outside", "wait until Monday"),
        Finding("team-notified", "pending", "nobody was asked"),
    ),
    issued=OPENED,
    expires=OPENED + 600,
    approvals=(
        ApprovalUse("a" * 64, "grace", "ada", "standing", OPENED, OPENED + 9e4, ("monitoring",), "go", 3),
    ),
)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    home = tmp_path_factory.mktemp("reports")
    folders = {name: build_run_folder(home / name, story) for name, story in STORIES.items()}
    folders[CLEARED].update_facts(clearance=CLEARANCE.as_json())
    return {name: report.write(folder, ["html"])[0] for name, folder in folders.items()}


@pytest.fixture
def held(visit: Any, reports: dict[str, Path]) -> Any:
    return visit(reports["held"])


@pytest.mark.parametrize("name", STORIES)
def test_it_opens_offline_in_silence_and_never_scrolls_sideways(
    visit: Any, reports: dict[str, Path], name: str
) -> None:
    found = visit(reports[name])
    found.page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    for width in (1280, 768, 390, 320):
        found.page.set_viewport_size({"width": width, "height": 900})
        assert found.page.evaluate("document.documentElement.scrollWidth") <= width
    assert found.complaints == []
    assert [url for url in found.requests if not url.startswith("data:")] == [reports[name].as_uri()]
    assert found.page.title() != "hit"


_CONTRASTS = """() => {
  const parse = c => (c.match(/[\\d.]+/g) || []).map(Number);
  const over = (top, under) => { const a = top.length > 3 ? top[3] : 1;
    return [0, 1, 2].map(i => top[i] * a + under[i] * (1 - a)); };
  const ground = e => { let layers = [];
    for (let n = e; n; n = n.parentElement) {
      const c = parse(getComputedStyle(n).backgroundColor);
      if (c.length === 3 || c[3] > 0) { layers.push(c); if (c.length === 3 || c[3] === 1) break; } }
    return layers.reverse().reduce((under, top) => over(top, under), [255, 255, 255]); };
  const light = c => { const [r, g, b] = c.map(v => { v /= 255;
    return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; node = walker.nextNode();) {
    const e = node.parentElement;
    if (!node.data.trim() || ['TITLE', 'DESC', 'title', 'desc'].includes(e.tagName)) continue;
    const style = getComputedStyle(e), back = ground(e);
    const ink = over(parse(e instanceof SVGElement ? style.fill : style.color), back);
    const [high, low] = [light(ink), light(back)].sort((a, b) => b - a);
    found.push([(high + 0.05) / (low + 0.05), node.data.trim().slice(0, 40)]);
  }
  return found.sort((a, b) => a[0] - b[0]).slice(0, 3);
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["held", "deviated", "aborted", "crashed", "checklist"])
def test_every_word_has_enough_contrast(visit: Any, reports: dict[str, Path], name: str, scheme: str) -> None:
    page = visit(reports[name], scheme=scheme).page
    lowest = page.evaluate(_CONTRASTS)
    assert lowest[0][0] >= 4.5, lowest


def test_dark_mode_is_dark(visit: Any, reports: dict[str, Path]) -> None:
    grounds = {}
    for scheme in ("light", "dark"):
        page = visit(reports["held"], scheme=scheme).page
        grounds[scheme] = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert grounds == {"light": "rgb(244, 245, 247)", "dark": "rgb(13, 17, 23)"}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["held", "deviated", "gap"])
def test_labels_keep_their_size_and_the_axis_s_never_overlap(
    visit: Any, reports: dict[str, Path], name: str, width: int
) -> None:
    page = visit(reports[name], width).page
    charts = page.evaluate(
        """() => [...document.querySelectorAll('svg.chart[role=img]')].map(svg =>
             [...svg.querySelectorAll('text')].filter(t => t.getBoundingClientRect().width)
               .map(t => { const b = t.getBoundingClientRect();
                 return {size: parseFloat(getComputedStyle(t).fontSize), tick: !!t.closest('g'),
                         left: b.left, right: b.right, top: Math.round(b.top)}; }))"""
    )
    assert len(charts) == 5
    for labels in charts:
        assert all(label["size"] >= 12 for label in labels)
        assert all(label["left"] >= -1 and label["right"] <= width + 1 for label in labels)
        ticks = sorted((t["top"], t["left"], t["right"]) for t in labels if t["tick"])
        assert len({top for top, _, _ in ticks}) == 2
        assert all(one[2] < other[1] for one, other in pairwise(ticks) if one[0] == other[0])


def test_it_prints_to_pdf_in_light_colours(visit: Any, reports: dict[str, Path]) -> None:
    page = visit(reports["deviated"], scheme="dark").page
    assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF-")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(27, 36, 48)"
    assert not page.locator("nav").is_visible()


def test_the_first_tab_reaches_the_skip_link_and_it_leads_to_the_verdict(held: Any) -> None:
    held.page.keyboard.press("Tab")
    focused = held.page.locator(":focus")
    assert focused.inner_text() == "Skip to the verdict"
    assert focused.bounding_box()["y"] >= 0
    held.page.keyboard.press("Enter")
    assert held.page.evaluate("document.activeElement.id") == "verdict"


def test_tab_goes_down_the_page_and_its_place_can_be_seen(held: Any) -> None:
    tops = []
    for _ in range(100):
        held.page.keyboard.press("Tab")
        tag, top, outline = held.page.evaluate(
            """() => { const e = document.activeElement, box = e.getBoundingClientRect();
                 return [e.tagName, box.top + scrollY, getComputedStyle(e).outlineStyle]; }"""
        )
        if tag == "BODY":
            break
        assert outline == "solid"
        tops.append(top)
    assert len(tops) > 15
    assert tops[1:] == sorted(tops[1:])


def test_folded_parts_open_by_keyboard(visit: Any, reports: dict[str, Path]) -> None:
    page = visit(reports["many"]).page
    rows = page.locator("table.moments").last.locator("tbody tr")
    assert not rows.first.is_visible()
    page.locator("#timeline summary").focus()
    page.keyboard.press("Enter")
    rows.first.wait_for(state="visible")
    assert rows.count() > 1000


def test_a_screen_reader_is_told_the_same(held: Any) -> None:
    told = held.page.locator("body").aria_snapshot()
    assert 'heading "Payments survive the loss of one instance" [level=1]' in told
    assert 'heading "Held" [level=2]' in told
    assert 'img "Latency"' in told
    for landmark in ("banner", "main", "navigation", "contentinfo"):
        assert f"- {landmark}" in told


def test_every_drawing_that_is_not_an_ornament_has_a_name(held: Any) -> None:
    unnamed = held.page.evaluate(
        """() => [...document.querySelectorAll('svg, img')].filter(e =>
             !e.closest('[aria-hidden=true]') && !e.parentElement.closest('svg') &&
             !(e.getAttribute('role') === 'img' && (e.getAttribute('aria-labelledby') || '').split(' ')
                .every(id => (document.getElementById(id)?.textContent || '').trim()))).length"""
    )
    assert unnamed == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_a_table_stays_a_table_for_a_screen_reader(visit: Any, reports: dict[str, Path], width: int) -> None:
    page = visit(reports["held"], width).page
    criteria = page.get_by_role("table", name="Success criteria")
    assert criteria.get_by_role("row").count() == 5
    assert criteria.get_by_role("rowheader").count() == 4
    assert criteria.get_by_role("columnheader").count() == 7
