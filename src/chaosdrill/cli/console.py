"""Who watches a run: nobody, timestamped lines, or the live view where a terminal has it."""

from __future__ import annotations

import os
import shutil

from chaosdrill.cli.screen.lines import Lines
from chaosdrill.cli.screen.onlooker import Silence
from chaosdrill.cli.screen.stream import Stream, stdout
from chaosdrill.pipeline import Watcher

#: The smallest terminal that a picture is drawn in: columns, lines.
SMALLEST = (40, 10)


def watcher(plain: bool, quiet: bool) -> Watcher:
    """Return who shows a run: nobody (`quiet`), timestamped lines, or the live view where it can be."""
    if quiet:
        return Silence()
    out = stdout(forgiving=True)
    if plain or not _can_draw(out):
        return Lines(out)
    from chaosdrill.cli.screen.live import LiveView

    return LiveView(out)


def _can_draw(out: Stream) -> bool:
    if not out.terminal or out.descriptor is None or out.kind in ("", "dumb"):
        return False
    size = shutil.get_terminal_size((0, 0))
    try:
        # In the background the terminal is somebody else's; lines do no harm there.
        ours = os.tcgetpgrp(out.descriptor) == os.getpgrp()
    except OSError:
        # The terminal is not the one that controls us, as inside some recorders: nobody else draws there.
        ours = True
    return ours and size.columns >= SMALLEST[0] and size.lines >= SMALLEST[1]
