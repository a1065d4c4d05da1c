"""Criteria and stop conditions: whether each names something that is measured, and a limit that can be met.

Works on the block as written, because places are finer there than in the typed model. Limits that hang on
variables are left for the time when these are known.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from chaosdrill import statistics
from chaosdrill.model.signal import (
    GAUGE_SERIES,
    REQUEST_SERIES,
    SERIES,
    Series,
    format_value,
    parse_threshold,
)
from chaosdrill.plan.checks.findings import Findings, nearest
from chaosdrill.plan.reader import Node, shown
from chaosdrill.units import UnitError, parse_duration, parse_rate

COMPARISONS = ("above", "below", "at-least", "at-most", "equals")
_LOWER = ("above", "at-least", "equals")
_UPPER = ("below", "at-most", "equals")


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound whose signal and threshold could both be read; the threshold is in the series' unit."""

    place: Node
    signal: str
    series: Series
    comparison: str
    threshold: float
    where: tuple[str, ...]


def check_bounds(block: Node, found: Findings, written: dict[int, str]) -> set[tuple[str, int]]:
    """Note what is wrong with criteria and stop conditions, and return those that something is wrong with.

    `written` holds the text of nodes whose variables have been replaced, by id.
    """
    reader = _Reader(block, found, written)
    criteria = list(reader.limits("criteria"))
    _contradictions(criteria, found)
    for limit in criteria:
        reader.too_few_samples(limit)
    for limit in reader.limits("abort-when"):
        _stops_when_well(limit, found)
    return reader.wrong


def series_of(source: Node) -> dict[str, Series]:
    """Return what a source measures, by name."""
    if source.get("target") is not None:
        return GAUGE_SERIES
    return REQUEST_SERIES if source.get("http") is not None or source.get("tcp") is not None else SERIES


class _Reader:
    def __init__(self, block: Node, found: Findings, written: dict[int, str]) -> None:
        self.block = block
        self.found = found
        self.written = written
        self.wrong: set[tuple[str, int]] = set()
        signals = block.get("signals")
        pairs = signals.fields.values() if signals is not None else ()
        self.sources = {key.text: value for key, value in pairs}

    def limits(self, section: str) -> Iterator[Limit]:
        bounds = self.block.get(section)
        for index, bound in enumerate(bounds.items if bounds is not None else ()):
            before = len(self.found.errors)
            limit = self._limit(bound, f"{section}[{index}]")
            if len(self.found.errors) > before:
                self.wrong.add((section, index))
            if limit is not None:
                yield limit

    def text(self, node: Node) -> str | None:
        """Return the text of `node`; None while it hangs on a variable."""
        text = self.written.get(id(node), node.text)
        return None if "${" in text else text

    def too_few_samples(self, limit: Limit) -> None:
        """Warn of windows so short that they can never hold the samples that the limit needs."""
        over = limit.place.get("over")
        source = self.sources[limit.signal.rpartition(".")[0]].get("http")
        rate = source.get("rate") if source is not None else None
        texts = (self.text(node) if node is not None else None for node in (over, rate))
        window, per_second = (_quantity(text) for text in texts)
        if over is None or window is None or per_second is None:
            return
        needed, there = statistics.needed(limit.series, limit.threshold), math.floor(window * per_second)
        if there < needed:
            sentence = f"a window of {over.text} holds {there} samples, {limit.signal} needs {needed}"
            self.found.warn(over, f"{sentence}: always inconclusive", "widen the window, or raise the rate")

    def _limit(self, bound: Node, path: str) -> Limit | None:
        signal = bound.get("signal")
        if bound.kind != "map" or signal is None or signal.kind != "scalar":
            return None
        name = self.text(signal)
        series = self._series(name, signal, path) if name is not None else None
        given = [key for key in COMPARISONS if bound.get(key) is not None]
        threshold = bound.get(given[0]) if len(given) == 1 else None
        if series is None or name is None or threshold is None or threshold.kind != "scalar":
            return None
        text = self.text(threshold)
        if text is None or threshold.is_null:
            return None
        try:
            value = parse_threshold(text, series.unit)
        except UnitError as error:
            self.found.error(threshold, f"`{given[0]}` of {name}: {error}", path=f"{path}.{given[0]}")
            return None
        where = tuple(
            f"{key}: {node.strings()}"
            for key in ("over", "within", "after", "phase")
            if (node := bound.get(key))
        )
        limit = Limit(bound, name, series, given[0], value, where)
        self._possible(limit, threshold, path)
        return limit

    def _series(self, name: str, place: Node, path: str) -> Series | None:
        source, dot, word = name.rpartition(".")
        known = series_of(self.sources[source]) if source in self.sources else {}
        if not dot:
            self._bare(name, place, path)
        elif source not in self.sources:
            hint = nearest(source, self.sources)
            self.found.error(place, f"no signal is called {shown(source)}", hint, path)
        elif word not in SERIES:
            self.found.error(place, f"{shown(word)} is nothing that is measured", nearest(word, known), path)
        elif word not in known:
            kind = "a target" if known is GAUGE_SERIES else "requests"
            message = f"{shown(source)} measures {kind}, which have no {word}"
            self.found.error(place, message, f"known: {', '.join(known)}", path)
        else:
            return SERIES[word]
        return None

    def _bare(self, name: str, place: Node, path: str) -> None:
        owners = [source for source, spec in self.sources.items() if name in series_of(spec)]
        if owners:
            hint = "write " + " or ".join(f"{owner}.{name}" for owner in owners[:3])
            self.found.error(place, f"{shown(name)} does not say whose", hint, path)
        elif name in self.sources:
            series = ", ".join(f"{name}.{word}" for word in series_of(self.sources[name]))
            self.found.error(place, f"{shown(name)} is a source: say which of its series", series, path)
        else:
            known = [f"{source}.{word}" for source, spec in self.sources.items() for word in series_of(spec)]
            hint = nearest(name, [*SERIES, *known]) if known else "define it under `signals`"
            self.found.error(place, f"no signal is called {shown(name)}", hint, path)

    def _possible(self, limit: Limit, place: Node, path: str) -> None:
        most = {"share": 1.0, "breaker": 2.0}.get(limit.series.unit, math.inf)
        beyond = (limit.comparison == "above" and limit.threshold >= most) or (
            limit.comparison == "below" and limit.threshold <= 0
        )
        if beyond or limit.threshold < 0:
            shown_limit = format_value(limit.threshold, limit.series.unit)
            said = f"{limit.signal} is never {limit.comparison.replace('-', ' ')} {shown_limit}"
            hint = "write at-least" if limit.comparison == "above" else "write at-most"
            self.found.error(place, said, hint if limit.threshold >= 0 else "it can't be negative", path)


def _contradictions(limits: list[Limit], found: Findings) -> None:
    """Note limits on one signal, over the same stretch of time, that no value can meet together."""
    lowest: dict[tuple[str, tuple[str, ...]], Limit] = {}
    highest: dict[tuple[str, tuple[str, ...]], Limit] = {}
    for limit in limits:
        stretch = (limit.signal, limit.where)
        low, high = lowest.get(stretch), highest.get(stretch)
        for other, excludes in (
            (high, high is not None and _excludes(limit, high)),
            (low, low is not None and _excludes(low, limit)),
        ):
            if other is not None and excludes:
                message = f"no {limit.signal} can be {_words(limit)} and {_words(other)}"
                found.error(limit.place, message, f"the other stands on line {other.place.line}")
                break
        # The narrower of two wins; at the same threshold `above` is narrower than `at-least`.
        if limit.comparison in _LOWER and (low is None or _rank(limit, "above") > _rank(low, "above")):
            lowest[stretch] = limit
        if limit.comparison in _UPPER and (
            high is None or _rank(limit, "below", -1) > _rank(high, "below", -1)
        ):
            highest[stretch] = limit


def _rank(limit: Limit, strict: str, sign: int = 1) -> tuple[float, bool]:
    return sign * limit.threshold, limit.comparison == strict


def _excludes(low: Limit, high: Limit) -> bool:
    if low.comparison not in _LOWER or high.comparison not in _UPPER:
        return False
    open_end = low.comparison == "above" or high.comparison == "below"
    return low.threshold > high.threshold or (open_end and low.threshold == high.threshold)


def _words(limit: Limit) -> str:
    return f"{limit.comparison.replace('-', ' ')} {format_value(limit.threshold, limit.series.unit)}"


def _stops_when_well(limit: Limit, found: Findings) -> None:
    good = {"higher": ("above", "at-least"), "lower": ("below", "at-most")}.get(limit.series.better, ())
    if limit.comparison in good:
        hint = f"for {limit.series.title}, {limit.series.better} is better"
        found.warn(limit.place, f"aborts while {limit.signal} is {_words(limit)}, which is good", hint)


def _quantity(text: str | None) -> float | None:
    for parse in (parse_duration, parse_rate):
        try:
            return parse(text) if text is not None else None
        except UnitError:
            continue
    return None
