"""Reports for machines and for text: JUnit that counts, Markdown whose tables hold, JSON that is whole."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import pytest

from chaosdrill import report
from chaosdrill.errors import RecordUnusable, UsageError
from chaosdrill.record.folder import RunFolder
from chaosdrill.report.formats.markdown import text as escaped
from chaosdrill.testing.folders import Story, Variant, build_run_folder

VARIANTS = get_args(Variant)
EVIL = "a | b `c` *d* [e](f) <script> \\| \r\n# g ~~h~~ ![i](j) @team &amp; __k__"


def written(folder: RunFolder, name: str) -> str:
    return next(
        p for p in report.write(folder, [name]) if "report" in p.name or "junit" in p.name
    ).read_text()


def suite(path: Path, story: Story | None = None) -> ElementTree.Element:
    text = written(build_run_folder(path / "run", story), "junit")
    (found,) = ElementTree.fromstring(text.encode())
    return found


def outcomes(found: ElementTree.Element) -> dict[str, str]:
    return {
        f"{case.get('classname')}.{case.get('name')}": case[0].tag if len(case) else "passed"
        for case in found.iter("testcase")
    }


# ---- JUnit


@pytest.mark.parametrize("variant", VARIANTS)
def test_junit_counts_what_it_holds(tmp_path: Path, variant: Variant) -> None:
    found = suite(tmp_path, Story(variant))
    cases = outcomes(found)
    assert len(cases) == int(found.get("tests", -1))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert list(cases.values()).count(tag) == int(found.get(attribute, -1))
    assert found.get("timestamp") == "2026-11-21T10:02:11"
    assert found.get("hostname") == "bench"


def test_junit_has_a_case_for_each_criterion_each_probe_execution_and_clean_up(tmp_path: Path) -> None:
    assert outcomes(suite(tmp_path)) == {
        "chaosdrill.execution.execution": "passed",
        "chaosdrill.criteria.pay.availability above 99.9 % over fault and recovery": "passed",
        "chaosdrill.criteria.pay.error_rate below 0.5 % over fault and recovery": "passed",
        "chaosdrill.criteria.pay.p95_latency below 500 ms in every 10 s of fault and recovery": "passed",
        "chaosdrill.criteria.instances.ready at least 3 within 1 min after fault end": "passed",
        "chaosdrill.probes.checkout-answers (before)": "passed",
        "chaosdrill.probes.checkout-answers (after)": "passed",
        "chaosdrill.response.response": "skipped",
        "chaosdrill.cleanup.clean-up": "passed",
        "chaosdrill.coverage.coverage": "passed",
    }


@pytest.mark.parametrize(
    ("story", "case", "outcome"),
    [
        (Story("deviated"), "criteria.pay.error_rate below 0.5 % over fault and recovery", "failure"),
        (
            Story("inconclusive", samples=300),
            "criteria.pay.availability above 99.9 % over fault and recovery",
            "error",
        ),
        (Story("aborted"), "execution.execution", "failure"),
        (Story("residue"), "cleanup.clean-up", "failure"),
        (Story("plain"), "cleanup.clean-up", "error"),
        (Story("crashed"), "execution.execution", "error"),
        (Story("crashed"), "cleanup.clean-up", "error"),
    ],
)
def test_what_did_not_hold_fails_and_what_nobody_can_say_is_an_error(
    tmp_path: Path, story: Story, case: str, outcome: str
) -> None:
    assert outcomes(suite(tmp_path, story))[f"chaosdrill.{case}"] == outcome


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v not in ("held", "inconclusive")])
def test_a_run_that_did_not_hold_never_passes_as_a_whole(tmp_path: Path, variant: Variant) -> None:
    found = suite(tmp_path, Story(variant))
    assert int(found.get("failures", 0)) + int(found.get("errors", 0)) > 0


def test_junit_carries_the_verdict_and_the_versions(tmp_path: Path) -> None:
    found = suite(tmp_path, Story("aborted"))
    properties = {p.get("name"): p.get("value") for p in found.iter("property")}
    assert properties["verdict"] == "Aborted"
    assert properties["exit_code"] == "4"
    assert properties["clean-up"] == "verified"
    assert properties["version.chaostoolkit-lib"] == "1.44.0"


def test_junit_is_xml_whatever_a_title_holds(tmp_path: Path) -> None:
    title = "nul \x00 bell \x07 lone \ud800 <b>&amp;]]>"
    folder = build_run_folder(tmp_path / "run")
    facts = json.loads(folder.file("run.json").read_text())
    folder.file("run.json").write_text(json.dumps({**facts, "title": title}))
    (found,) = ElementTree.fromstring(written(folder, "junit").encode())
    assert found.get("name") == "nul \ufffd bell \ufffd lone \ufffd <b>&amp;]]>"


# ---- Markdown


def tables(text: str) -> list[list[str]]:
    """Return the tables as lists of lines."""
    found: list[list[str]] = []
    for before, line in zip(["", *text.splitlines()], text.splitlines(), strict=False):
        if line.startswith("|"):
            if not before.startswith("|"):
                found.append([])
            found[-1].append(line)
    return found


def width(line: str) -> int:
    return len(re.findall(r"(?<!\\)\|", line)) - 1


@pytest.mark.parametrize("variant", VARIANTS)
def test_markdown_tables_have_as_many_cells_in_every_row(tmp_path: Path, variant: Variant) -> None:
    found = tables(written(build_run_folder(tmp_path / "run", Story(variant)), "md"))
    assert len(found) >= 5
    for table in found:
        assert re.fullmatch(r"\|( -{3,}:? \|)+", table[1]), table[1]
        assert len({width(line) for line in table}) == 1


def test_no_title_breaks_out_of_its_place_in_markdown(tmp_path: Path) -> None:
    folder = build_run_folder(tmp_path / "run", Story(title=EVIL))
    facts = folder.facts()
    folder.write_facts({**facts, "hypothesis": EVIL, "warnings": [EVIL], "configuration": {"x": EVIL}})
    text = written(folder, "md")
    assert "<script" not in text
    assert len(re.findall(r"^# ", text, re.MULTILINE)) == 1
    for table in tables(text):
        assert len({width(line) for line in table}) == 1


def test_markdown_escapes_and_keeps_words_readable() -> None:
    assert escaped("pay.p95_latency < 500 ms") == "pay.p95_latency &lt; 500 ms"
    assert escaped("*a* _b_ `c` [d](e)") == r"\*a\* \_b\_ \`c\` \[d\](e)"
    assert escaped("a|b\nc\x00d") == "a&#124;b c d"
    assert escaped("@all &lt;") == "&#64;all &amp;lt;"


def test_markdown_shows_every_chart_from_a_file_beside_it(tmp_path: Path) -> None:
    folder = build_run_folder(tmp_path / "run")
    paths = report.write(folder, ["md"])
    text = folder.file("report.md").read_text()
    named = re.findall(r"^!\[[^\n]+\]\((chart-\d+\.svg)\)$", text, re.MULTILINE)
    assert (
        named
        == [path.name for path in paths if path.suffix == ".svg"]
        == [f"chart-{n}.svg" for n in range(1, 6)]
    )
    for name in named:
        ElementTree.fromstring(folder.file(name).read_text())


@pytest.mark.parametrize("name", report.FORMATS)
def test_half_a_character_from_a_probe_spoils_no_report(tmp_path: Path, name: str) -> None:
    folder = build_run_folder(tmp_path / "run")
    engine = folder.file("engine.json").read_text()
    folder.file("engine.json").write_text(engine.replace('"status": 200', '"status": "\\ud800 \\u0000"'))
    assert written(folder, name)


def test_charts_of_an_earlier_report_do_not_stay(tmp_path: Path) -> None:
    folder = build_run_folder(tmp_path / "run")
    folder.file("chart-99.svg").write_text("<svg/>")
    report.write(folder, ["md"])
    assert sorted(path.name for path in folder.path.glob("chart-*")) == [
        f"chart-{n}.svg" for n in range(1, 6)
    ]


# ---- JSON


@pytest.mark.parametrize("variant", VARIANTS)
def test_json_is_whole_and_has_the_same_keys_for_every_run(tmp_path: Path, variant: Variant) -> None:
    found = json.loads(written(build_run_folder(tmp_path / "run", Story(variant)), "json"))
    assert found["version"] == 1
    assert set(found) == {
        "version", "run", "verdict", "criteria", "probes", "faults", "planned", "phases", "abort", "numbers",
        "warnings", "not_observed", "files", "refused", "overridden", "clearance",
        "afterwards",
    }  # fmt: skip
    assert set(found["verdict"]) == {"word", "exit_code", "sentence", "why", "lines"}


def test_json_holds_the_numbers_that_people_see(tmp_path: Path) -> None:
    found = json.loads(written(build_run_folder(tmp_path / "run", Story("deviated")), "json"))
    assert found["verdict"]["exit_code"] == 7
    by_phase: dict[str, Any] = {row["phase"]: row for row in found["numbers"]["requests"]}
    assert by_phase["fault"]["n"] == 1500
    assert by_phase["fault"]["error_rate"] == pytest.approx(131 / 1500)
    assert by_phase["baseline"]["error_rate"] == 0
    assert by_phase["fault"]["enough_for"] == {"p50": True, "p95": True, "p99": True}
    (fault,) = found["faults"]
    assert (fault["hit"], fault["candidates"], fault["seconds"]) == (["payment-api-2"], 3, 30.0)
    assert fault["undone"] is True
    assert {row["signal"] for row in found["numbers"]["gauges"]} == {"instances.cpu", "instances.ready"}


def test_json_says_how_long_the_undo_took(tmp_path: Path) -> None:
    found = json.loads(written(build_run_folder(tmp_path / "run", Story("aborted")), "json"))
    assert found["abort"]["by"] == "guard"
    assert found["abort"]["seconds_to_undo"] == pytest.approx(0.339, abs=0.001)


# ---- the entry


def test_an_unknown_format_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    folder = build_run_folder(tmp_path / "run")
    with pytest.raises(UsageError, match="'pdf' is no report; choose from html, md, json, junit"):
        report.write(folder, ["json", "pdf"])
    assert not folder.file("report.json").exists()


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordUnusable, match="is not a run folder"):
        report.write(RunFolder(tmp_path), ["json"])


def test_reports_come_in_the_order_asked_for_and_each_once(tmp_path: Path) -> None:
    paths = report.write(build_run_folder(tmp_path / "run", Story("plain")), ["junit", "html", "junit", "md"])
    assert [path.name for path in paths] == ["junit.xml", "report.html", "report.md"]


def test_writing_reports_again_does_not_look_like_tampering(tmp_path: Path) -> None:
    folder = build_run_folder(tmp_path / "run")
    report.write(folder, list(report.FORMATS))
    first = folder.file("report.md").read_text()
    report.write(folder, list(report.FORMATS))
    assert folder.file("report.md").read_text() == first
    assert folder.altered() == []


@pytest.mark.parametrize("name", ["md", "json", "junit"])
def test_only_html_pays_for_the_template_engine(tmp_path: Path, name: str) -> None:
    folder = build_run_folder(tmp_path / "run")
    code = (
        "import sys; from pathlib import Path; from chaosdrill import report;"
        "from chaosdrill.record.folder import RunFolder;"
        "report.write(RunFolder(Path(sys.argv[1])), [sys.argv[2]]);"
        "print('jinja2' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(folder.path), name]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip() == "False"
