"""Runs that have ended, read from their folders: list, show, report and judge them again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from chaosdrill.cli import place
from chaosdrill.cli.screen.layout import beside, listed, print_json, shown, table
from chaosdrill.cli.screen.stream import Stream, stdout
from chaosdrill.cli.screen.words import clean, short_name
from chaosdrill.clock import from_iso
from chaosdrill.errors import Exit, RecordUnusable
from chaosdrill.record import answers, journal, running
from chaosdrill.record import folder as folders
from chaosdrill.record.folder import JOURNAL, RunFolder
from chaosdrill.units import format_duration

FORMATS = ("html", "md", "json", "junit")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON on standard output.")
#: Of a title, at least this much is shown before a run's id is cut to its last part.
SHORTEST_TITLE = 24


# ---- runs


@click.command()
@click.option(
    "--open", "only_open", is_flag=True, help="Only those with items that want an answer; say which."
)
@AS_JSON
@click.pass_context
def runs(ctx: click.Context, only_open: bool, as_json: bool) -> None:
    """List the runs under --home, the newest last.

    A run is open until every item during and after it was proved, answered, or is needed from nobody.
    """
    home = place.home(ctx.obj["home"])
    live = {run.folder for run in running.live_runs() if not run.lost}
    if only_open:
        _show_open(home, live, as_json)
        return
    found = [_row(folder, live) for folder in folders.all_runs(home)]
    if as_json:
        print_json(found)
        return
    out = stdout()
    if not found:
        out.line(f"no runs in {shown(home / 'runs')}; start one: chaosdrill demo")
        return
    for line in _table(found, out):
        out.line(line)


def _row(folder: RunFolder, live: set[Path]) -> dict[str, Any]:
    try:
        facts = folder.facts()
    except RecordUnusable as error:
        return {"id": folder.id, "folder": str(folder.path), "word": "unreadable", "error": str(error)}
    started, ended = str(facts.get("started") or ""), facts.get("ended")
    word = (facts.get("verdict") or {}).get("word")
    if facts.get("state") != "sealed":
        word = "running" if folder.path.resolve() in live else "lost"
    return {
        "id": folder.id,
        "folder": str(folder.path),
        "started": started,
        "word": word or "no verdict",
        "exit_code": (facts.get("verdict") or {}).get("exit_code"),
        "seconds": _seconds(started, ended),
        "title": clean(facts.get("title") or ""),
        "open": answers.is_open(folder),
    }


def _show_open(home: Path, live: set[Path], as_json: bool) -> None:
    found = []
    for folder in folders.all_runs(home):
        row = _row(folder, live)
        if row.get("open"):
            found.append((row, answers.open_items(folder)))
    if as_json:
        print_json([{**row, "items": [item.as_json() for item in items]} for row, items in found])
        return
    out = stdout()
    if not found:
        out.line(f"no open runs in {shown(home / 'runs')}")
    for row, items in found:
        out.line(f"{row['id']}  {row['word']}  {row['title']}")
        width = 4 + max(len(item.item) for item in items)
        for item in items:
            out.line(beside(f"  {item.item}", f"{item.title}: {item.said}", out, width))
        out.line(f"  answer it: {answers.command(row['id'], items[0].item)}")
        out.line()


def _seconds(started: str, ended: object) -> float | None:
    try:
        return round(from_iso(str(ended)) - from_iso(started), 3) if ended else None
    except ValueError:
        return None


def _table(found: Sequence[Mapping[str, Any]], out: Stream) -> list[str]:
    head = ("run", "started (UTC)", "verdict", "took", "title")
    whole = table(head, [(run["id"], *_cells(run)) for run in found])
    if not out.terminal or whole[0].index("title") + SHORTEST_TITLE <= out.columns:
        return whole
    cut = table(head, [(short_name(run["id"]), *_cells(run)) for run in found])
    return [line if len(line) <= out.columns else line[: out.columns - 1] + "~" for line in cut]


def _cells(run: Mapping[str, Any]) -> tuple[str, ...]:
    took = format_duration(round(run["seconds"])) if run.get("seconds") is not None else ""
    started = run.get("started", "")[:19].replace("T", " ")
    word = f"{run['word']}, open" if run.get("open") else run["word"]
    return started, word, took, run.get("title") or run.get("error", "")


# ---- show


@click.command()
@click.argument("run", default="last")
@AS_JSON
@click.pass_context
def show(ctx: click.Context, run: str, as_json: bool) -> None:
    """Show a run's verdict and what happened, in order.

    RUN is an id, a part of one, a path, or `last`.
    """
    folder = folders.find(place.home(ctx.obj["home"]), run)
    facts, events = folder.facts(), journal.read(folder.file(JOURNAL))
    if as_json:
        afterwards = [finding.as_json() for finding in answers.findings(folder)]
        print_json({"folder": str(folder.path), "facts": facts, "events": events, "afterwards": afterwards})
        return
    from chaosdrill.cli.screen.checklists import checklist
    from chaosdrill.cli.screen.lines import event_line
    from chaosdrill.cli.screen.verdicts import box, criteria, overrides, recorded
    from chaosdrill.model.run import Verdict

    out, findings = stdout(), recorded(facts)
    for line in overrides(findings, out):
        out.line(line)
    if facts.get("verdict"):
        verdict = Verdict.read(facts["verdict"])
        for line in (*box(verdict, str(facts.get("title", "")), out), *criteria(verdict, out)):
            out.line(line)
        if stopped := how_fast(events):
            out.line(beside("guard", stopped, out, 12))
    else:
        out.line(f"{clean(facts.get('title', ''))}: no verdict; {_unsealed(folder)}")
    refused = next((event for event in events if event["event"] == "run.refused"), {})
    # What the checklist says anyway is not said twice.
    for line in listed("refused", map(clean, refused.get("reasons") or ()), out) if not findings else ():
        out.line(line)
    for heading, items in (("Checklist", findings), ("During and after", answers.findings(folder))):
        for line in ("", heading, *checklist(items, out, brief=True)) if items else ():
            out.line(line)
    out.line()
    origin = from_iso(facts["started"])
    for event in events:
        told = event_line(event, origin, out)
        if told is not None:
            out.line(told)
    out.line()
    out.line(beside("run", shown(folder.path), out, 8))
    if folder.file("report.html").exists():
        out.line(beside("report", shown(folder.file("report.html")), out, 8))


def how_fast(events: Sequence[journal.Event]) -> str:
    """Return how long an abort took to take effect, in words; '' when there was none."""
    from chaosdrill.record.evidence import abort

    found = abort(events)
    if found is None or not found.latencies:
        return ""
    start = "the breach" if found.breach is not None else "the decision"
    steps = (f"{name} {format_duration(round(took, 4))}" for name, took in found.latencies)
    return f"after {start}: {', '.join(steps)}"


def _unsealed(folder: RunFolder) -> str:
    name = short_name(folder.id)
    live = [run for run in running.live_runs() if run.folder == folder.path.resolve()]
    if live and not live[0].lost:
        return f"it is still on; stop it: chaosdrill abort {name}"
    if live and live[0].watched:
        return f"its runner is gone; its watchdog (process {live[0].watchdog.pid}) is undoing it"
    return f"its runner is gone, and nobody has proved what it left on; undo it: chaosdrill recover {name}"


# ---- report


@click.command()
@click.argument("run", default="last")
@click.option("--format", "formats", default=",".join(FORMATS), show_default=True, help="Which to write.")
@AS_JSON
@click.pass_context
def report(ctx: click.Context, run: str, formats: str, as_json: bool) -> None:
    """Write a run's reports again, into its folder, and print where they are.

    RUN is an id, a part of one, a path, or `last`.
    """
    chosen = [part.strip() for part in formats.split(",") if part.strip()]
    unknown = [part for part in chosen if part not in FORMATS]
    if unknown or not chosen:
        raise click.BadParameter(f"{formats!r}: choose from {', '.join(FORMATS)}", param_hint="--format")
    folder = folders.find(place.home(ctx.obj["home"]), run)
    from chaosdrill import report as reports

    paths = reports.write(folder, chosen)
    if as_json:
        print_json({"run": folder.id, "reports": [str(path) for path in paths]})
        return
    for path in paths:
        stdout().line(shown(path))


# ---- judge


@click.command()
@click.argument("run", default="last")
@AS_JSON
@click.pass_context
def judge(ctx: click.Context, run: str, as_json: bool) -> int:
    """Judge a run again, from its folder alone; the exit code is the verdict's.

    RUN is an id, a part of one, a path, or `last`. Nothing in the folder is changed.
    """
    folder = folders.find(place.home(ctx.obj["home"]), run)
    from chaosdrill.cli.screen.stream import stderr
    from chaosdrill.cli.screen.verdicts import box, criteria, verdict_facts
    from chaosdrill.pipeline import judge as judge_again

    facts = folder.facts()
    verdict = judge_again(folder)
    recorded, altered = facts.get("verdict"), folder.altered()
    same = None if recorded is None else recorded == verdict.as_json()
    if as_json:
        print_json({**verdict_facts(folder, verdict), "same_as_recorded": same, "altered": altered})
    else:
        out = stdout()
        for line in (*box(verdict, str(facts.get("title", "")), out), *criteria(verdict, out)):
            out.line(line)
        out.line()
        out.line(beside("recorded", _compared(same, recorded), out))
        if altered:
            words = f"changed since the run was sealed: {', '.join(altered)}"
            out.line(beside("warning", words, out))
    if verdict.exit_code != Exit.HELD:
        stderr().line(f"chaosdrill: {verdict.word.upper()}: {clean(verdict.why)}")
    return verdict.exit_code


def _compared(same: bool | None, recorded: Mapping[str, Any] | None) -> str:
    if recorded is None:
        return "no verdict was recorded; the run was never sealed"
    if same:
        return "the same verdict, line by line"
    return f"ANOTHER verdict: {str(recorded.get('word', '?')).upper()}: {clean(recorded.get('why', ''))}"
