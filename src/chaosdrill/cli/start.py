"""The first five minutes: `init` puts experiments into a folder, `demo` plays one from start to end."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from chaosdrill.cli import shipped
from chaosdrill.cli.screen.layout import beside, shown
from chaosdrill.cli.screen.stream import Stream, stdout
from chaosdrill.cli.screen.words import count
from chaosdrill.errors import ChaosdrillError, UsageError
from chaosdrill.units import format_duration

# ---- init


@click.command()
@click.argument("directory", default=".", metavar="[DIR]", type=click.Path(file_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace files that are there already.")
def init(directory: Path, force: bool) -> None:
    """Put starter experiments and their policy into DIR/experiments; what is there already is left alone.

    \b
    chaosdrill init
    chaosdrill init my-drills
    """
    source, target = shipped.experiments(), directory / "experiments"
    out = stdout()
    written, left = _copy(source, target, force)
    for path in written:
        out.line(f"wrote      {shown(path)}")
    for path in left:
        out.line(f"left alone {shown(path)} (it is there already)")
    if left:
        out.line(f"{count(len(left), 'file')} left alone; --force replaces them")
    out.line()
    first = shown(target / shipped.DEMO)
    for label, text in (
        ("next", "chaosdrill sandbox up"),
        ("", f"chaosdrill run --dry-run {first}"),
        ("", f"chaosdrill run {first}"),
        ("", f"chaosdrill preflight -e production {first}"),
        ("or", "chaosdrill demo, which does all of it"),
    ):
        out.line(beside(label, text, out, 6))


def _copy(source: Path, target: Path, force: bool) -> tuple[list[Path], list[Path]]:
    written, left = [], []
    for path in sorted(source.rglob("*")):
        if not path.is_file() or path.suffix not in (".yaml", ".yml", ".json", ".md"):
            continue
        place = target / path.relative_to(source)
        if place.exists() and not force:
            left.append(place)
            continue
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
        except OSError as error:
            raise UsageError(
                f"{place} can't be written: {error.strerror}", next_step="choose another folder: init DIR"
            ) from error
        written.append(place)
    return written, left


# ---- demo


@click.command()
@click.option(
    "--seconds",
    default=30.0,
    show_default=True,
    type=click.FloatRange(1, 3600),
    help="How long the fault lasts.",
)
@click.option("--keep", is_flag=True, help="Leave the sandbox up afterwards.")
@click.option("--plain", is_flag=True, help="Timestamped lines instead of the live view.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON on standard output.")
@click.pass_context
def demo(ctx: click.Context, seconds: float, keep: bool, plain: bool, as_json: bool) -> int:
    """Kill one of three payment instances of the sandbox and see whether customers notice.

    It takes about a minute, needs no cluster and no network, and leaves the sandbox as it found it.
    """
    from chaosdrill.cli.run import run

    out = Stream(None) if as_json else stdout(forgiving=True)
    out.line(f"One of three payment instances is killed for {format_duration(seconds)} while customers pay.")
    with _sandbox(out, keep):
        files = (str(shipped.experiments() / shipped.DEMO),)
        variables = (f"fault_seconds={seconds:g}",)
        code = int(ctx.invoke(run, files=files, var=variables, plain=plain, as_json=as_json))
    if Path("experiments/sandbox").is_dir():
        out.line("Now one that finds something: chaosdrill run experiments/sandbox/connection-pool.yaml")
    else:
        out.line("Now yours: chaosdrill init")
    return code


@contextmanager
def _sandbox(out: Stream, keep: bool) -> Iterator[None]:
    """Have a sandbox up, and leave it as it was found."""
    from chaosdrill.clock import SystemClock
    from chaosdrill.sandbox import client

    clock = SystemClock()
    before = client.find()
    try:
        if before is None:
            began = clock.mono()
            found = client.up()
            took = format_duration(round(clock.mono() - began, 1))
            out.line(f"The sandbox, a small shop, is up after {took}: {found.shop_url}/checkout")
        else:
            out.line(f"The sandbox is up already: {before.shop_url}/checkout")
        out.line()
        yield
    finally:
        if before is None and not keep:
            _take_down(out)
        else:
            out.line("\nThe sandbox is still up; take it down: chaosdrill sandbox down")


def _take_down(out: Stream) -> None:
    from chaosdrill.sandbox import client

    # A second Ctrl-C here would leave half of it running.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        client.down()
        out.line("\nThe sandbox is down again; --keep leaves it up.")
    except ChaosdrillError as error:
        out.line(f"\nThe sandbox was not taken down: {error}")
    finally:
        signal.signal(signal.SIGINT, before)
