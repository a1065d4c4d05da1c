"""`chaosdrill preflight`: whether a run would be let, item by item, before anybody starts it."""

from __future__ import annotations

import os
from typing import Any

import click

from chaosdrill.cli.run import override_option, play_options, request_of


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--environment", "-e", metavar="NAME", help="Overrides the file's own environment.")
@play_options
@override_option
@click.option("--notify", is_flag=True, help="Send the messages too, as a run would at its start.")
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON on standard output.")
@click.pass_context
def preflight(ctx: click.Context, /, file: str, **options: Any) -> int:
    """Decide all ten items of the checklist for FILE now, with evidence; inject nothing, tell nobody.

    \b
    chaosdrill preflight experiments/sandbox/pod-failure.yaml
    chaosdrill preflight -e production experiments/sandbox/pod-failure.yaml

    Exit 0: a run would be cleared. Exit 3: it would be refused, and every reason is there.
    """
    from chaosdrill.ctk.process import started

    engine = started()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from chaosdrill import app
        from chaosdrill.cli.screen.checklists import would_start
        from chaosdrill.cli.screen.plans import show_preflight
        from chaosdrill.errors import Exit
        from chaosdrill.pipeline import draft, examine, plan
        from chaosdrill.watchdog import line

        workshop = app.workshop(engine, line.Line())
        planned = plan(draft(request_of(ctx, file, options)), workshop)
        decision = examine(planned, workshop, sends=options["notify"])
        show_preflight(planned, decision, as_json=options["as_json"])
        return Exit.HELD if would_start(decision) else Exit.REFUSED
    finally:
        engine.end()
