"""The report as one HTML file that works from a disk, without a network and without a script.

The only place that knows jinja2. Everything that comes from a run is escaped by the engine; only the charts,
which escape for themselves, go in as they are.
"""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from chaosdrill import __version__
from chaosdrill.report.blocks import Block, Figure, Moment
from chaosdrill.report.charts import svg
from chaosdrill.report.charts.shapes import Chart, elapsed_text
from chaosdrill.report.document import Document

#: With more events than this, those that a first reading needs stand apart and the whole list is folded.
FOLD_FROM = 80
#: Of more key events than their sum, the first and the last are shown unfolded.
_FIRST, _LAST = 150, 50


def files(document: Document) -> dict[str, str]:
    """Return the page under the name of its file."""
    return {"report.html": render(document)}


def render(document: Document) -> str:
    """Return the whole page."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        kind=_kind,
        legend=_legend,
        drawing=_drawing,
        elapsed=elapsed_text,
        unfolded=_unfolded,
        fold_from=FOLD_FROM,
    )
    colours = {"light": Markup(svg.variables(svg.LIGHT)), "dark": Markup(svg.variables(svg.DARK))}
    return environment.get_template("report.html.j2").render(
        document=document,
        colours=colours,
        chart_css=Markup(svg.CSS),
        chart_defs=Markup(svg.defs()),
        version=__version__,
    )


def _kind(block: Block) -> str:
    return type(block).__name__.lower()


def _drawing(chart: Chart, key: str) -> Markup:
    return Markup(svg.inline(chart, key))


def _legend(figure: Figure) -> list[tuple[str, Markup]]:
    """Return words and a sample for everything drawn in the charts of `figure`, each once."""
    named = dict.fromkeys(entry for chart in figure.charts for entry in svg.key_of(chart))
    return [(words, Markup(svg.swatch(look))) for words, look in named]


def _unfolded(moments: tuple[Moment, ...]) -> tuple[Moment, ...]:
    if len(moments) <= _FIRST + _LAST:
        return moments
    return moments[:_FIRST] + moments[-_LAST:]
