"""What the live view draws: one moment of a run as lines that fit the terminal.

A picture is made from a snapshot and a size, and nothing else. What matters most in an emergency is never
dropped on a small terminal: what is going on, which faults are on, and how to stop it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.text import Text

from chaosdrill.cli.screen.limits import Limits, limit_words, live_value
from chaosdrill.cli.screen.sparkline import sparkline
from chaosdrill.cli.screen.words import clean, count, fault_words, offset, short_name
from chaosdrill.execute.runner import ActiveFault, Snapshot
from chaosdrill.execute.sampling import HISTORY, Reading
from chaosdrill.units import format_duration

#: Longer names are cut; the whole name stands in the report.
LONGEST_NAME = 26
#: '99.87 %', '1 min 5 s': the columns must not move with every reading.
WIDEST_VALUE = 8
#: More faults than this are counted.
MOST_FAULTS = 3
#: A sparkline of fewer cells says nothing.
SHORTEST_SPARK = 8

#: State -> mark, in Unicode and in ASCII, and colour. The word beside it carries the meaning.
_MARKS = {
    "ok": ("✓", "+", "green"),
    "under": ("✗", "x", "bold red"),
    "over": ("✗", "x", "bold red"),
    "off": ("✗", "x", "bold red"),
    "abort": ("!", "!", "bold white on red"),
    "no data": ("·", ".", "yellow"),
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What stays the same in every picture of a run; `origin` is its start in epoch seconds."""

    title: str
    run: str
    origin: float
    limits: Limits
    unicode: bool = True


def picture(subject: Subject, snapshot: Snapshot, size: tuple[int, int]) -> Text:
    """Return the run as it is now, within `size` (columns, lines)."""
    # The last column stays free: a terminal that wraps there would tear the picture.
    width, height = size[0] - 1, size[1] - 1
    head = [_title(subject, snapshot, width), *_now(subject, snapshot, width)]
    faults, foot = _faults(snapshot), [_how_to_stop(subject, snapshot)]
    room = height - len(head) - len(faults) - len(foot)
    signals = _signals(subject, snapshot, width, room)
    # A signal on the bad side says 'abort' itself, so these are the first to go.
    stops = _stop_conditions(subject, snapshot)[: max(0, room - len(signals))]
    sections = [head, faults, signals, stops, foot]
    blanks = height - sum(map(len, sections)) - 6 >= 0
    lines: list[Text] = []
    for section in sections:
        if blanks and lines and section and section is not stops:
            lines.append(Text())
        lines += section
    for line in lines:
        line.truncate(width, overflow="ellipsis" if subject.unicode else "crop")
    return Text("\n").join(lines[:height])


# ---- what is going on


def _title(subject: Subject, snapshot: Snapshot, width: int) -> Text:
    rule = "─" if subject.unicode else "-"
    since = f" {offset(snapshot.now - subject.origin)}"
    line = Text(f"{rule * 2} {clean(subject.title)} ", style="bold")
    line.truncate(width - len(since) - 3, overflow="ellipsis" if subject.unicode else "crop")
    line.append(rule * max(1, width - line.cell_len - len(since)), style="dim")
    return line.append(since)


def _now(subject: Subject, snapshot: Snapshot, width: int) -> list[Text]:
    lines = [Text.assemble(("run    ", "dim"), subject.run)]
    if snapshot.aborting:
        why = f": {clean(snapshot.aborting)}"
        lines.append(Text.assemble(("now    ", "dim"), ("UNDOING", "bold red"), why))
        return lines
    lines.append(Text.assemble(("now    ", "dim"), (_phase_words(snapshot), "bold"), _doing(snapshot)))
    if snapshot.phase in ("baseline", "fault", "recovery"):
        lines.append(_progress(snapshot, subject.unicode, width))
    return lines


def _phase_words(snapshot: Snapshot) -> str:
    return {
        "starting": "starting",
        "baseline": "baseline",
        "fault": "fault" if snapshot.faults else "method",
        "recovery": "recovery",
        "ended": "finishing",
    }.get(snapshot.phase, snapshot.phase)


def _doing(snapshot: Snapshot) -> str:
    watching = {
        "baseline": "watching the system as it is",
        "recovery": "watching the system come back",
        "ended": "nothing is injected any more",
    }
    doing = clean(snapshot.doing) or watching.get(snapshot.phase, "Chaos Toolkit gets ready")
    if snapshot.phase in ("recovery", "ended"):
        doing = watching[snapshot.phase]
    return f": {doing}"


def _progress(snapshot: Snapshot, unicode: bool, width: int) -> Text:
    passed, planned = max(0.0, snapshot.now - snapshot.phase_started), snapshot.phase_seconds
    line = Text("       ")
    if not planned:
        return line.append(f"{_seconds(passed)} so far")
    left = planned - passed
    words = f" {_seconds(planned)} were planned, {_seconds(passed)} so far"
    if left > 0:
        words = f" {_seconds(left, up=True)} left of {_seconds(planned)}"
    cells = max(0, min(40, width - 7 - len(words)))
    done = round(cells * min(1.0, passed / planned))
    full, rest = ("━", "─") if unicode else ("#", "-")
    line.append(full * done, style="bold").append(rest * (cells - done), style="dim")
    return line.append(words)


def _seconds(seconds: float, up: bool = False) -> str:
    return format_duration(float(math.ceil(seconds) if up else math.floor(seconds)))


def _faults(snapshot: Snapshot) -> list[Text]:
    lines = [_fault(fault, snapshot) for fault in snapshot.faults[:MOST_FAULTS]]
    if len(snapshot.faults) > MOST_FAULTS:
        lines[-1] = Text(f"       and {count(len(snapshot.faults) - MOST_FAULTS + 1, 'more fault')}")
    return lines


def _fault(fault: ActiveFault, snapshot: Snapshot) -> Text:
    left = fault.ends - snapshot.now
    until = f"ends by itself in {_seconds(left, up=True)}" if left > 0 else "its time is up"
    if snapshot.aborting:
        until = "being undone"
    words = fault_words({"kind": fault.kind, "hit": fault.hit})
    return Text.assemble(("ON     ", "bold red"), (words, "bold"), f", {until}")


# ---- the signals


def _signals(subject: Subject, snapshot: Snapshot, width: int, room: int) -> list[Text]:
    subject = replace(subject, limits=subject.limits.during(snapshot.phase))
    readings = sorted(snapshot.readings, key=lambda r: subject.limits.state(r) == "ok")
    if len(readings) > room:
        # The wrong ones stand first, and are the last to be left out.
        shown = readings[: max(0, room - 1)]
        rest = Text(f"       and {count(len(readings) - len(shown), 'more signal')}", style="dim")
        return [*_rows(subject, shown, width), rest] if room > 0 else []
    return _rows(subject, snapshot.readings, width, header=bool(readings) and room > len(readings) + 4)


def _rows(subject: Subject, readings: Sequence[Reading], width: int, header: bool = False) -> list[Text]:
    limits = subject.limits
    name = min(LONGEST_NAME, max((len(r.signal) for r in readings), default=0))
    value = max([WIDEST_VALUE, *(len(live_value(r)) for r in readings)])
    words = [limit_words(limits.bound(r)) for r in readings]
    limit = max(map(len, words), default=0)
    left = width - len("✓ no data  ") - name - 2 - value
    if left < limit + 2:
        limit = 0
    spark = min(HISTORY, left - 2 - (limit + 2 if limit else 0))
    rows = [_header(name, value, spark, limit)] if header else []
    for reading, bound in zip(readings, words, strict=True):
        state = limits.state(reading)
        mark, ascii_mark, style = _MARKS[state]
        row = Text.assemble((f"{mark if subject.unicode else ascii_mark} {state:<7}", style), "  ")
        cut = reading.signal if len(reading.signal) <= name else reading.signal[: name - 1] + "~"
        row.append(f"{cut:<{name}}  {live_value(reading):>{value}}")
        if spark >= SHORTEST_SPARK:
            row.append("  ").append(sparkline(reading, limits.bound(reading), spark, subject.unicode))
        if limit:
            row.append(f"  {bound}")
        rows.append(row)
    return rows


def _header(name: int, value: int, spark: int, limit: int) -> Text:
    text = f"{'':<11}{'signal':<{name}}  {'now':>{value}}"
    if spark >= SHORTEST_SPARK:
        text += f"  {'last 60 s' if spark > 8 else '60 s':>{spark}}"
    return Text(f"{text}  limit" if limit else text, style="dim")


def _stop_conditions(subject: Subject, snapshot: Snapshot) -> list[Text]:
    if not snapshot.readings:
        return []
    mark = _MARKS["abort"][0 if subject.unicode else 1]
    lines = []
    for stop, reading in subject.limits.breached(snapshot.readings):
        words = f"aborts when {stop.sentence()}"
        if reading is not None:
            lines.append(Text(f"{mark} {words}: now {live_value(reading)}", style="bold red"))
        else:
            lines.append(Text(words, style="dim"))
    return lines


# ---- how to stop it


def _how_to_stop(subject: Subject, snapshot: Snapshot) -> Text:
    if snapshot.aborting:
        return Text("undoing everything; please wait, another Ctrl-C changes nothing", style="bold")
    command = f"chaosdrill abort {short_name(subject.run)}"
    return Text.assemble(("stop   ", "dim"), "Ctrl-C here; elsewhere: ", (command, "bold"))
