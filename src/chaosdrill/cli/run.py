"""`chaosdrill run`: the engine is started first of all, so that it loads while the rest is imported."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from chaosdrill.errors import Refused
    from chaosdrill.pipeline import Request

FORMATS = ("html", "md", "json", "junit")
STRATEGIES = ("default", "before-method-only", "after-method-only", "during-method-only", "continuously")
EXISTING = click.Path(exists=True, dir_okay=False)


def _pairs(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Return the values of --var as given; Chaos Toolkit reads them. Raises BadParameter without `=`."""
    for value in values:
        if "=" not in value:
            raise click.BadParameter(f"{value!r} is not KEY=VALUE", ctx, param)
    return values


def _overrides(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Return the reason for each item to go past. Raises BadParameter without a reason, UsageError."""
    found: dict[str, str] = {}
    for value in values:
        item, _, reason = value.partition("=")
        if not reason.strip():
            raise click.BadParameter(f"{value!r} gives no reason; write ITEM=REASON", ctx, param)
        found[item.strip()] = reason.strip()
    if found:
        from chaosdrill.preflight.issuing import check_overrides

        check_overrides(found)
    return found


_PLAY_OPTIONS = (
    click.option(
        "--var", multiple=True, metavar="KEY=VALUE", callback=_pairs, help="A value for the configuration."
    ),
    click.option("--var-file", multiple=True, type=EXISTING, help="Values from a file."),
    click.option("--control-file", multiple=True, type=EXISTING, help="Global controls."),
    click.option(
        "--hypothesis-strategy", type=click.Choice(STRATEGIES), help="When the hypothesis is checked."
    ),
    click.option("--hypothesis-frequency", type=float, help="Seconds between checks during the method."),
    click.option("--fail-fast", is_flag=True, help="End at the first deviation during the method."),
    click.option(
        "--rollback-strategy",
        type=click.Choice(["default", "always", "never", "deviated"]),
        help="When rollbacks are played (always, unless the file or the settings say otherwise).",
    ),
    click.option("--settings", type=click.Path(dir_okay=False), help="Chaos Toolkit's settings file."),
)


override_option = click.option(
    "--override",
    "overrides",
    multiple=True,
    metavar="ITEM=REASON",
    callback=_overrides,
    help="Go past an item of the checklist, which an approval has to allow.",
)


def play_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give `command` every option that changes how a file is played: what is approved is what is run."""
    for option in reversed(_PLAY_OPTIONS):
        command = option(command)
    return command


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--environment", "-e", metavar="NAME", help="Overrides the file's own environment.")
@click.option("--dry-run", is_flag=True, help="Show what would be hit and watched; inject nothing.")
@click.option(
    "--report", "formats", default="html,md,json,junit", help="Which reports to write.", show_default=True
)
@click.option("--plain", is_flag=True, help="Timestamped lines instead of the live view.")
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON on standard output.")
@play_options
@override_option
@click.pass_context
def run(ctx: click.Context, /, files: tuple[str, ...], **options: Any) -> int:
    """Clear, run, undo, judge and report each FILE.

    \b
    chaosdrill run experiments/sandbox/pod-failure.yaml
    chaosdrill run --var fault_seconds=10 experiments/sandbox/pod-failure.yaml

    The exit code says how it came out: 0 held, 3 refused, 4 aborted, 5 inconclusive, 6 something is left on,
    7 deviated.
    """
    from chaosdrill.errors import PRECEDENCE, Exit

    codes: list[int] = []
    for file in files:
        codes.append(run_one(ctx, file, options))
        if codes[-1] in (Exit.ABORTED, Exit.RESIDUE):
            break  # Whoever stopped this one, or has to clean up after it, wants no next one.
    return min(codes, key=[int(code) for code in PRECEDENCE].index)


def request_of(
    ctx: click.Context, file: str, options: dict[str, Any], formats: Sequence[str] = FORMATS
) -> Request:
    """Return what was asked for on the command line, by whom, and where it is to be recorded."""
    from chaosdrill.cli import place
    from chaosdrill.pipeline import Request

    return Request(
        source=Path(file),
        home=place.home(ctx.obj["home"]),
        actor=place.actor(),
        account=place.account(),
        environment=options["environment"],
        config=Path(ctx.obj["config"]) if ctx.obj["config"] else None,
        options=engine_options(options),
        overrides=dict(options["overrides"] or ()),
        formats=formats,
    )


def run_one(ctx: click.Context, file: str, options: dict[str, Any]) -> int:
    """Run one experiment and print how it came out; return the exit code. Raises ChaosdrillError."""
    from chaosdrill.ctk.process import started
    from chaosdrill.errors import Refused
    from chaosdrill.watchdog import line

    formats = _formats(options["formats"])
    engine = started()
    lifeline = line.started()
    # Looking for plugins of pydantic reads every installed package's metadata; we have none to look for.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from chaosdrill import app
        from chaosdrill.cli import console
        from chaosdrill.cli.interrupts import Interrupts
        from chaosdrill.pipeline import conduct, draft, examine, plan

        request = request_of(ctx, file, options, formats)
        workshop = app.workshop(engine, lifeline)
        if options["dry_run"]:
            from chaosdrill.cli.screen.checklists import would_start
            from chaosdrill.cli.screen.plans import show_plan
            from chaosdrill.errors import Exit

            planned = plan(draft(request), workshop)
            decision = examine(planned, workshop)
            show_plan(planned, decision, as_json=options["as_json"])
            return Exit.HELD if would_start(decision) else Exit.REFUSED
        watcher = console.watcher(plain=options["plain"], quiet=options["as_json"])
        with Interrupts(watcher) as watched:
            outcome = conduct(request, workshop, watched)
    except Refused as refusal:
        return _refused(refusal, as_json=options["as_json"])
    finally:
        engine.end()
    # Loaded by now: the words of a verdict come with what decides it.
    from chaosdrill.cli.screen.verdicts import show_outcome

    show_outcome(outcome, as_json=options["as_json"])
    return outcome.verdict.exit_code


def _refused(refusal: Refused, *, as_json: bool) -> int:
    """Print why nothing was injected, where a record says so; return the exit code, or raise `refusal`."""
    if not refusal.record:
        raise refusal
    from chaosdrill.cli.screen.verdicts import show_refusal
    from chaosdrill.record.folder import RunFolder

    show_refusal(RunFolder(Path(refusal.record)), refusal, as_json=as_json)
    return int(refusal.exit_code)


def _formats(text: str) -> tuple[str, ...]:
    chosen = tuple(part.strip() for part in text.split(",") if part.strip() and part.strip() != "none")
    unknown = [part for part in chosen if part not in FORMATS]
    if unknown:
        raise click.BadParameter(f"{unknown[0]!r} is no report; choose from {', '.join(FORMATS)}, or none")
    return chosen


def engine_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the command line says of playing a file, as a Request carries it."""
    return {
        "var": list(options["var"]),
        "var_file": list(options["var_file"]),
        "control_file": list(options["control_file"]),
        "hypothesis_strategy": options["hypothesis_strategy"],
        "hypothesis_frequency": options["hypothesis_frequency"],
        "fail_fast": options["fail_fast"],
        "rollbacks_strategy": options["rollback_strategy"],
        "settings": options["settings"],
    }
