"""What a reviewer reads: reports made from a run folder, which compute no facts of their own.

    folder -> material (read once) -> document (sections in words) -> formats (HTML, Markdown, JUnit, JSON)

Only the formats that are asked for are imported, so that JUnit for a CI job does not pay for HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from chaosdrill.errors import RecordUnusable, UsageError
from chaosdrill.record.folder import SAMPLES, RunFolder

#: The formats by the name that people type; each module has `files(document) -> {file name: text}`.
FORMATS = {
    "html": "chaosdrill.report.formats.html",
    "md": "chaosdrill.report.formats.markdown",
    "json": "chaosdrill.report.formats.machine",
    "junit": "chaosdrill.report.formats.junit",
}


def write(folder: RunFolder, formats: Sequence[str]) -> list[Path]:
    """Write the reports on `folder` beside its files and return their paths, in the order asked for.

    Works for every run: sealed or not, judged or not. Raises UsageError for an unknown format, and
    RecordUnusable when the folder can't be understood or written.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise UsageError(f"{unknown[0]!r} is no report", next_step=f"choose from {', '.join(FORMATS)}")
    if not formats:
        return []
    from chaosdrill.record.samples import read_samples
    from chaosdrill.report.document import document

    made = document(folder, read_samples(folder.file(SAMPLES)))
    paths: list[Path] = []
    for name in dict.fromkeys(formats):
        files = import_module(FORMATS[name]).files(made)
        paths += [folder.write_text(file, _writable(text)) for file, text in files.items()]
        if name == "md":
            _remove_stale_charts(folder, set(files))
    return paths


def load(formats: Sequence[str]) -> None:
    """Import what `write` will need for these formats, so that it need not be waited for then."""
    import_module("chaosdrill.report.document")
    for name in formats:
        if name in FORMATS:
            import_module(FORMATS[name])


def _writable(text: str) -> str:
    """Return `text` without lone surrogates: a probe may return them, and UTF-8 has no place for them."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _remove_stale_charts(folder: RunFolder, fresh: set[str]) -> None:
    """Remove charts of an earlier report that had more of them."""
    for path in folder.path.glob("chart-*.svg"):
        if path.name not in fresh:
            try:
                path.unlink()
            except OSError as error:
                raise RecordUnusable(f"{path} cannot be replaced: {error.strerror}") from error
