"""The HTML page as a file: safe against what a run may say, complete, and in need of nothing else."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest

from chaosdrill import report
from chaosdrill.record.folder import RUN
from chaosdrill.testing.folders import Story, Variant, build_run_folder

EVIL = "<script>alert(\"x\")</script> & 'quoted' </title><img src=x onerror=alert(1)>"
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Elements with their attributes, headings in order, and whether every tag is closed in its turn."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.headings: list[int] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(path: Path, story: Story | None = None) -> tuple[str, Page]:
    folder = build_run_folder(path / "run", story)
    (written,) = report.write(folder, ["html"])
    text = written.read_text("utf-8")
    return text, Page(text)


@pytest.mark.parametrize("variant", get_args(Variant))
def test_every_kind_of_run_gives_a_whole_page(tmp_path: Path, variant: Variant) -> None:
    _, found = page(tmp_path, Story(variant))
    assert found.open == []
    ids = Counter(attributes["id"] for _, attributes in found.elements if attributes.get("id"))
    assert [name for name, count in ids.items() if count > 1] == []
    referred = [a["href"][1:] for _, a in found.elements if (a.get("href") or "").startswith("#")]  # type: ignore[index]
    labels = " ".join(a["aria-labelledby"] or "" for _, a in found.elements if "aria-labelledby" in a).split()
    assert set(referred + labels) <= set(ids)


def test_headings_descend_one_step_at_a_time(tmp_path: Path) -> None:
    _, found = page(tmp_path)
    assert found.headings[0] == 1
    assert found.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(found.headings, found.headings[1:], strict=False))


def test_nothing_that_a_run_says_becomes_markup(tmp_path: Path) -> None:
    folder = build_run_folder(tmp_path / "run", Story(title=EVIL))
    evil = dict.fromkeys(("service", "environment", "hypothesis", "expected_outcome", "actor"), EVIL)
    facts = folder.facts()
    facts |= evil | {"warnings": [EVIL], "configuration": {EVIL: EVIL}, "options": {"x": EVIL}}
    facts["source"]["path"] = facts["versions"]["python"] = EVIL
    folder.write_facts(facts)
    for name in ("journal.jsonl", "ledger.jsonl", "engine.json"):
        text = folder.file(name).read_text().replace("payment-api-2", EVIL.replace('"', "'"))
        folder.file(name).write_text(text)
    (written,) = report.write(folder, ["html"])
    text = written.read_text("utf-8")
    found = Page(text)
    assert found.open == []
    assert found.all("script") == found.all("img") == []
    assert not any(name.startswith("on") for _, attributes in found.elements for name in attributes)
    assert text.count("&lt;script&gt;") > 10


def test_the_page_asks_for_nothing_and_may_run_nothing(tmp_path: Path) -> None:
    text, found = page(tmp_path)
    policies = [m["content"] for m in found.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policies == [
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    ]
    for tag in ("script", "iframe", "object", "embed", "img", "base", "form"):
        assert not found.all(tag)
    links = [a.get("href") or a.get("src") or "" for _, a in found.elements if "href" in a or "src" in a]
    assert all(link.startswith("#") or link == "data:," for link in links)
    assert not re.search(r"@import|url\((?!#)", text)


def test_every_drawing_has_a_name_or_is_only_an_ornament(tmp_path: Path) -> None:
    _, found = page(tmp_path)
    drawings = [a for a in found.all("svg") if a.get("class") != "stretch"]
    named = [a for a in drawings if a.get("role") == "img" and a.get("aria-labelledby")]
    assert len(named) == 5
    assert all(a.get("aria-hidden") == "true" for a in drawings if a not in named)


def test_a_state_is_a_word_with_a_sign_and_never_a_colour_alone(tmp_path: Path) -> None:
    text, _ = page(tmp_path, Story("deviated"))
    states = re.findall(
        r'<span class="state (\w+)"><svg class="icon (\w+)"[^>]*>.*?</svg>([^<]+)</span>', text
    )
    assert len(states) > 5
    assert all(first == second and word.strip() for first, second, word in states)
    assert text.count('<span class="state ') == len(states)


def test_tables_have_captions_and_scopes(tmp_path: Path) -> None:
    text, found = page(tmp_path)
    assert len(found.all("table")) == len(found.all("caption")) > 5
    assert all(a.get("scope") in ("row", "col") for a in found.all("th"))
    assert "<caption" in text


def test_1_000_activities_are_folded_and_all_there(tmp_path: Path) -> None:
    text, _ = page(tmp_path, Story(activities=1000))
    key, _, whole = text.partition("<summary>All 1,0")
    assert "place-order-500" not in key
    for number in range(1, 1000):
        assert re.search(rf"(place|look-at)-order-{number} ", whole), number


def test_a_long_list_of_failures_is_folded_in_the_middle_and_complete_below(tmp_path: Path) -> None:
    folder = build_run_folder(tmp_path / "run", Story(activities=600))
    journal = folder.file("journal.jsonl")
    journal.write_text(journal.read_text().replace('"status": "succeeded"', '"status": "failed"'))
    (written,) = report.write(folder, ["html"])
    key, _, whole = written.read_text("utf-8").partition("<summary>All ")
    assert key.count(" failed") < 250
    assert whole.count("-order-") == 599


def test_the_page_tells_of_a_folder_that_is_no_run(tmp_path: Path) -> None:
    text, _ = page(tmp_path, Story("crashed"))
    assert "No verdict" in text
    assert RUN in text
