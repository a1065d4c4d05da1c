"""`samples.csv`: every reading of a run on disk, and back as compact columns.

Signals must never wait for a disk, and a sample that could not be written must never go unnoticed. This file
knows nothing of what the samples mean.
"""

from __future__ import annotations

import csv
import io
import itertools
import os
import threading
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from chaosdrill.errors import RecordUnusable
from chaosdrill.model.signal import Sample
from chaosdrill.statistics import Readings

HEADER = ("t", "signal", "value", "ok", "detail")

#: A reader of a running run, and a crash, are at most this far behind.
FLUSH_SECONDS = 1.0

#: What may wait for a disk that is full or hangs (about 150,000 samples) before samples are given up.
MOST_WAITING = 8 * 1024 * 1024


_OK = ("0", "1")
_BLOCK = 512 * 1024


class SampleWriter:
    """The writer of one samples.csv; `write` may be called from any thread and never waits for the disk.

    Rows are `t` (epoch seconds, to 10 microseconds), `signal`, `value` (empty for none), `ok` (1 or 0) and
    `detail`, in the order in which they became known. When the disk refuses, `on_failure` is called once with
    the reason (from the writer's own thread), rows are kept and tried again every second, and `close` says
    what was lost.
    """

    def __init__(self, path: Path, on_failure: Callable[[str], None] | None = None) -> None:
        self.path = path
        self.failure = ""
        self.lost = 0
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._disk = threading.Lock()
        self._fresh()
        self._waiting = b""
        self._written = 0
        self._closing = threading.Event()
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise RecordUnusable(f"the samples {path} cannot be written: {error.strerror}") from error
        self._rows.writerow(HEADER)
        self._flush()
        self._thread = threading.Thread(target=self._keep_flushing, name="samples", daemon=True)
        self._thread.start()

    def write(self, sample: Sample) -> None:
        """Take in one sample; after `close`, which a reading that came too late may meet, it is ignored."""
        value = "" if sample.value is None else f"{sample.value:.7g}"
        # Five decimals: numbers of more than 15 digits take three times as long to read.
        row = (f"{sample.t:.5f}", sample.signal, value, int(sample.ok), sample.detail)
        with self._lock:
            if self._closing.is_set():
                return
            if self._buffer.tell() + len(self._waiting) > MOST_WAITING:
                self.lost += 1
                return
            self._rows.writerow(row)

    def close(self) -> None:
        """Write what is left and close the file. Right when called twice.

        Raises RecordUnusable with their number when samples could not be written.
        """
        with self._lock:
            if self._closing.is_set():
                return
            self._closing.set()
        self._thread.join()
        try:
            self._flush()
            with self._disk:
                os.fsync(self._file)
        except OSError as error:
            self.failure = self.failure or str(error.strerror)
        finally:
            os.close(self._file)
        lost = self.lost + self._waiting.count(b"\n")
        if lost:
            raise RecordUnusable(
                f"{lost:,} samples could not be written to {self.path}: {self.failure}",
                next_step="make room on that disk; the verdict counts them as missing",
            )

    def _keep_flushing(self) -> None:
        while not self._closing.wait(FLUSH_SECONDS):
            self._flush()

    def _fresh(self) -> None:
        self._buffer = io.StringIO()
        self._rows = csv.writer(self._buffer, lineterminator="\n")

    def _flush(self) -> None:
        with self._disk:
            with self._lock:
                self._waiting += self._buffer.getvalue().encode()
                self._fresh()
                waiting = self._waiting
            if not waiting:
                return
            try:
                self._append(waiting)
            except OSError as error:
                self._report(error)
                return
            with self._lock:
                self._waiting = b""

    def _append(self, rows: bytes) -> None:
        """Write all of `rows` or, when the disk refuses, none: half a row would spoil the one after it."""
        done = 0
        try:
            while done < len(rows):
                done += os.pwrite(self._file, rows[done:], self._written + done)
        except OSError:
            if done:
                os.ftruncate(self._file, self._written)
            raise
        self._written += done

    def _report(self, error: OSError) -> None:
        first = not self.failure
        self.failure = error.strerror or str(error)
        if first and self._on_failure is not None:
            self._on_failure(f"samples cannot be written to {self.path}: {self.failure}")


@dataclass(frozen=True, slots=True)
class Samples:
    """All samples of a run, by signal; `unreadable` counts the rows that made no sense."""

    signals: dict[str, Readings] = field(default_factory=dict)
    unreadable: int = 0

    def of(self, signal: str) -> Readings:
        """Return the readings in the column `signal` ('pay', 'instances.ready'); empty without any."""
        return self.signals.get(signal) or Readings()

    @property
    def last(self) -> float | None:
        """The moment of the newest sample in epoch seconds; None without any."""
        return max((r.t[-1] for r in self.signals.values() if len(r)), default=None)


def read_samples(path: Path) -> Samples:
    """Return the samples at `path`, each signal in order of time; none when there is no file.

    A torn last line is left out; other rows that make no sense are left out and counted. Raises
    RecordUnusable when the file is there and can't be read.
    """
    details: list[str] = []
    signals: dict[str, Readings] = {}
    try:
        with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
            unreadable = _fill(signals, details, file)
    except FileNotFoundError:
        return Samples()
    except OSError as error:
        raise RecordUnusable(f"the samples {path} cannot be read: {error.strerror}") from error
    for readings in signals.values():
        readings.sort()
    return Samples(signals, unreadable)


def _fill(signals: dict[str, Readings], details: list[str], file: io.TextIOBase) -> int:
    """Append the rows of `file` to `signals`; return how many made no sense."""
    codes = _Codes(details)
    unreadable = 0
    file.readline()  # the header
    while text := file.read(_BLOCK) + file.readline():
        # Only the last line of a file can lack its end, and nobody knows how much of it is missing.
        whole = text[: text.rfind("\n") + 1]
        try:
            _append(signals, codes, _plain_columns(whole))
        except ValueError:
            for line in whole.splitlines():
                try:
                    _append(signals, codes, [[field] for field in next(csv.reader([line]), [])])
                except (ValueError, csv.Error):
                    unreadable += 1
    return unreadable


def _plain_columns(text: str) -> list[list[str]]:
    """Return the columns of rows without quotes: four times as fast as the csv module, and the usual case.

    Raises ValueError when it takes more than splitting to read these rows.
    """
    fields = text[:-1].replace("\n", ",").split(",") if text else []
    if '"' in text or len(fields) != len(HEADER) * text.count("\n"):
        raise ValueError("quoted or broken rows")
    return [fields[i :: len(HEADER)] for i in range(len(HEADER))]


def _append(signals: dict[str, Readings], codes: _Codes, columns: list[list[str]]) -> None:
    """Append rows, given as columns. Raises ValueError, with nothing appended, when one makes no sense."""
    moments, names, values, goods, details = columns
    if "" in values:
        values = [value or "nan" for value in values]
    t, value = array("d", map(float, moments)), array("d", map(float, values))
    ok = array("b", map(_OK.index, goods))
    detail = array("I", map(codes.__getitem__, details))
    for name in set(names):
        column = signals.get(name)
        if column is None:
            column = signals[name] = Readings(codes.details)
        mine = list(map(name.__eq__, names))
        column.t.extend(itertools.compress(t, mine))
        column.value.extend(itertools.compress(value, mine))
        column.ok.extend(itertools.compress(ok, mine))
        column.detail.extend(itertools.compress(detail, mine))


class _Codes(dict[str, int]):
    """Details and their numbers, given out as they are met."""

    def __init__(self, details: list[str]) -> None:
        self.details = details

    def __missing__(self, detail: str) -> int:
        self[detail] = len(self.details)
        self.details.append(detail)
        return self[detail]
