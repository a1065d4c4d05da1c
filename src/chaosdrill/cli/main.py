"""The command line: which command lies where, and what a shell sees when one fails.

Commands are imported when they are called, so that `chaosdrill --version` costs no more than it must.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from chaosdrill import __version__, redact
from chaosdrill.errors import ChaosdrillError, Exit

#: Every command: where it lies, and its line in `chaosdrill --help`, kept here so that help imports nothing.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("chaosdrill.cli.start:demo", "Run a whole experiment on the sandbox; report at the end."),
    "init": ("chaosdrill.cli.start:init", "Put starter experiments into a folder."),
    "validate": ("chaosdrill.cli.files:validate", "Check experiment files; changes nothing."),
    "preflight": ("chaosdrill.cli.preflight:preflight", "Decide the checklist of a run; injects nothing."),
    "approve": ("chaosdrill.cli.approve:approve", "Sign for a run that somebody else will start."),
    "ready": ("chaosdrill.cli.ready:ready", "Tell a run that waits for it that the team is ready."),
    "run": ("chaosdrill.cli.run:run", "Clear, run, undo, judge and report an experiment."),
    "status": ("chaosdrill.cli.status:status", "What is on, since when, seconds left, how to stop it."),
    "abort": ("chaosdrill.cli.abort:abort", "Stop a run from any terminal; its faults are undone."),
    "hold": ("chaosdrill.cli.hold:hold", "Stop every run and let none start."),
    "recover": ("chaosdrill.cli.recover:recover", "Undo what lost runs left on, and prove it."),
    "runs": ("chaosdrill.cli.runs:runs", "List the runs in this folder."),
    "answer": ("chaosdrill.cli.answer:answer", "Say what was found, learnt and shared after a run."),
    "show": ("chaosdrill.cli.runs:show", "Show one run's verdict and timeline."),
    "report": ("chaosdrill.cli.runs:report", "Write a run's reports again."),
    "judge": ("chaosdrill.cli.runs:judge", "Judge a run again from its folder alone."),
    "sandbox": ("chaosdrill.cli.sandbox:sandbox", "The embedded system to practise on."),
    "schema": ("chaosdrill.cli.files:schema", "Print the JSON Schema of a file format, for editors."),
}


class Commands(click.Group):
    """A group that imports a command when it is called for, and knows what a typo meant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order in which a new user meets them."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command, imported now; None when there is none of that name."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        found = getattr(importlib.import_module(module), name)
        assert isinstance(found, click.Command)
        return found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, or say which one was probably meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1, cutoff=0.5)
            meant = f" Did you mean '{near[0]}'?" if near else " See 'chaosdrill --help'."
            raise click.UsageError(f"there is no command '{args[0]}'.{meant}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--home", metavar="DIR", help="Where runs/ lies (default: CHAOSDRILL_HOME, or here).")
@click.option(
    "--config", metavar="FILE", help="The policy (default: chaosdrill.yaml beside the experiments)."
)
@click.option("-v", "--verbose", is_flag=True, help="Say more; show tracebacks of internal errors.")
@click.version_option(__version__, prog_name="chaosdrill", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, home: str | None, config: str | None, verbose: bool) -> None:
    """Chaos experiments that are cleared, watched, undone, proved and explained.

    New here? Type: chaosdrill demo
    """
    redact.known.learn(redact.named_secrets(os.environ))
    ctx.obj = {"home": home, "config": config, "verbose": verbose}


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit code; every failure is one line on standard error."""
    _warn_of_lost_runs(arguments)
    try:
        result = cli.main(args=list(arguments), prog_name="chaosdrill", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return Exit.USAGE
    except click.ClickException as error:
        return _fail(_sentence(error), Exit.USAGE)
    except ChaosdrillError as error:
        return _fail(str(error), error.exit_code)
    except (KeyboardInterrupt, click.Abort) as stopped:
        return _fail(f"interrupted {stopped}".rstrip(), Exit.ABORTED)
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return Exit.CRASH
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return _fail(f"{error.strerror or error}{where}", Exit.USAGE)
    except Exception as bug:  # noqa: BLE001 - the last line of defence: a user never sees a traceback
        return _fail(f"internal error: {type(bug).__name__}: {bug}; {_keep_traceback()}", Exit.CRASH)
    return int(result) if isinstance(result, int) else 0


#: Commands that say for themselves what was lost, or that must not be talked over.
_SAY_IT_THEMSELVES = {"status", "abort", "recover", "hold"}


def _warn_of_lost_runs(arguments: Sequence[str]) -> None:
    """Say in one line that a run died with nobody left to undo it. Costs a look into one small folder."""
    words = [word for word in arguments if not word.startswith("-")]
    silent = bool(_SAY_IT_THEMSELVES.intersection(words)) or {"sandbox", "down"}.issubset(words)
    if silent or not words or {"-h", "--help", "--version"}.intersection(arguments):
        return
    from chaosdrill.record import running

    try:
        lost = [found for found in running.live_runs() if found.abandoned]
    except OSError:
        return  # Whoever needs that folder will say so.
    if not lost:
        return
    from chaosdrill.cli.screen.stream import stderr

    which = lost[0].id if len(lost) == 1 else f"{len(lost)} runs ({lost[0].id} first)"
    what = f"recover {lost[0].id.rpartition('-')[2]}" if len(lost) == 1 else "recover"
    stderr().line(f"chaosdrill: {which} died, and nobody has proved what it left on; now: chaosdrill {what}")


def _sentence(error: click.ClickException) -> str:
    text = error.format_message().rstrip()
    if text and text[-1] not in ".?!":
        text += "."
    if isinstance(error, click.UsageError) and error.ctx is not None and "--help" not in text:
        text += f" See '{error.ctx.command_path} --help'."
    return " ".join(text.split())


def _fail(message: str, code: Exit) -> int:
    from chaosdrill.cli.screen.stream import stderr

    stderr().line(f"chaosdrill: {message}")
    return code


def _keep_traceback() -> str:
    import traceback

    from chaosdrill.record.running import state_home

    if "-v" in sys.argv or "--verbose" in sys.argv:
        sys.stderr.write(redact.known.text(traceback.format_exc()))
        return "please report it with the lines above"
    path = state_home() / "crash.txt"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(redact.known.text(traceback.format_exc()), "utf-8")
    except OSError:
        return "run again with -v and report what it prints"
    return f"please report it with {path}"
