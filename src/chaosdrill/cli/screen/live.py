"""The live view of a run: a picture drawn again four times a second, below the lines of what happened.

The lines stay in the terminal's scroll-back; the picture is gone when the run has ended.
"""

from __future__ import annotations

import shutil
import termios
from typing import IO, cast

from rich.console import Console
from rich.live import Live
from rich.text import Text

from chaosdrill.cli.screen.limits import Limits
from chaosdrill.cli.screen.lines import event_line
from chaosdrill.cli.screen.onlooker import Onlooker, Watched
from chaosdrill.cli.screen.picture import Subject, picture
from chaosdrill.cli.screen.stream import Stream
from chaosdrill.execute.runner import Snapshot
from chaosdrill.record.folder import RunFolder
from chaosdrill.record.journal import Event

#: Four pictures a second: a countdown never seems to stand, and a slow connection still keeps up.
PICTURE_SECONDS = 0.25


class LiveView(Onlooker):
    """Draws the run with rich, and its events as lines above."""

    every = PICTURE_SECONDS

    def __init__(self, out: Stream) -> None:
        super().__init__(out)
        self._typing = _Typing(out)
        self._console = Console(
            file=cast(IO[str], _File(out)),
            force_terminal=True,
            highlight=False,
            markup=False,
            emoji=False,
            soft_wrap=True,
        )
        self._live = Live(
            Text(),
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._subject: Subject

    def opened(self, folder: RunFolder, runner: Watched) -> None:
        """Begin to show; what is typed meanwhile is kept out of the picture."""
        self._typing.hide()
        super().opened(folder, runner)

    def closed(self) -> None:
        """Show what is left, end, and let typing be seen again."""
        super().closed()
        self._typing.show()

    def began(self) -> None:
        """Draw the first picture."""
        limits = Limits.of(self.plan.block)
        self._subject = Subject(self.plan.title, self.folder.id, self.origin, limits, self.out.unicode)
        self._live.start()
        self.look(self.run.snapshot())

    def tell(self, event: Event) -> None:
        """Put one event above the picture."""
        line = event_line(event, self.origin, self.out)
        if line is not None:
            self._console.print(Text.from_ansi(line))

    def look(self, snapshot: Snapshot) -> None:
        """Draw what is going on now."""
        size = shutil.get_terminal_size((80, 24))
        self._live.update(picture(self._subject, snapshot, (size.columns, size.lines)), refresh=True)

    def ended(self) -> None:
        """Take the picture away and bring the cursor back."""
        self._live.stop()


class _File:
    """What rich needs of a text file, over a stream that never raises; one picture is one write."""

    def __init__(self, out: Stream) -> None:
        self.encoding = out.encoding
        self._out = out
        self._text = ""

    def isatty(self) -> bool:
        return self._out.terminal

    def write(self, text: str) -> int:
        self._text += text
        return len(text)

    def flush(self) -> None:
        text, self._text = self._text, ""
        if text:
            self._out.write(text)


class _Typing:
    """Whether the terminal echoes keys: an Enter in the middle of a picture would tear it."""

    def __init__(self, out: Stream) -> None:
        self._descriptor = out.descriptor
        self._before: list[int | list[bytes | int]] | None = None

    def hide(self) -> None:
        """Stop echoing; Ctrl-C stays what it is."""
        if self._descriptor is None:
            return
        try:
            self._before = termios.tcgetattr(self._descriptor)
            changed = termios.tcgetattr(self._descriptor)
            changed[3] = int(changed[3]) & ~termios.ECHO
            termios.tcsetattr(self._descriptor, termios.TCSANOW, changed)
        except termios.error:
            self._before = None

    def show(self) -> None:
        """Echo again as before; a terminal that has gone away needs nothing."""
        if self._descriptor is None or self._before is None:
            return
        try:
            termios.tcsetattr(self._descriptor, termios.TCSANOW, self._before)
        except termios.error:
            return
