"""`chaosdrill sandbox`: bring the embedded system up, look at it, and take it down."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from chaosdrill import targets
from chaosdrill.cli.screen.stream import Stream, stdout
from chaosdrill.clock import SystemClock, iso
from chaosdrill.errors import Refused, TargetUnreachable, UsageError
from chaosdrill.sandbox import client
from chaosdrill.targets import locks
from chaosdrill.units import UnitError, format_duration, parse_rate

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print facts as JSON and nothing else.")
_BREAKER = ("closed", "half-open", "open")
_COLOURS = {"ready": "green", "held": "red", "down": "red", "unhealthy": "red"}


@click.group()
def sandbox() -> None:
    """The embedded system to practise on: a small shop of real processes on loopback.

    \b
    load -> balancer -> checkout-api x2 -> payment-api x3 -> delay-proxy -> database
    """


@sandbox.command()
@click.option("--load", "rate", metavar="RATE", help="Background customers, such as 50/s (default: none).")
@_AS_JSON
def up(rate: str | None, as_json: bool) -> None:
    """Start the sandbox; it goes on when this command ends. Right when it is up already.

    \b
    chaosdrill sandbox up
    chaosdrill sandbox up --load 50/s
    """
    clock = SystemClock()
    start = clock.mono()
    customers = _rate(rate) if rate else 0.0
    was_up = client.find() is not None
    found = client.up(load=customers)
    if as_json:
        _print_json(found.status() | {"up": True, "was_up": was_up})
        return
    out = stdout()
    if was_up:
        out.line(f"The sandbox was up already: {found.shop_url}/checkout")
    else:
        took = format_duration(round(clock.mono() - start, 2))
        out.line(f"The sandbox is up after {took}: {found.shop_url}/checkout")
    out.line("Look at it: chaosdrill sandbox status. Take it down: chaosdrill sandbox down")


@sandbox.command()
@click.option("--force", is_flag=True, help="Also while a run is on, which then has nothing to act on.")
@_AS_JSON
def down(force: bool, as_json: bool) -> None:
    """End the sandbox and everything in it, also what is left of a broken one.

    Refuses while a run is on, with exit code 3: stop the run first, so that its record says what happened.
    """
    found = targets.open_locks("sandbox").owner()
    if found is not None and not found[1] and not force:
        raise Refused(
            f"the sandbox stays up: {locks.words(found[0]) if found[0].run else 'a run'} is on",
            next_step="stop it first: chaosdrill abort; or: chaosdrill sandbox down --force",
        )
    was_there = client.down()
    if as_json:
        _print_json({"up": False, "was_up": was_there})
        return
    stdout().line("The sandbox is down." if was_there else "The sandbox was not up; nothing to do.")
    if found is not None and found[1]:
        which = found[0].run
        stdout().line(
            f"A run was lost here: {which or '?'}. Before the next one: chaosdrill recover {which}".rstrip()
        )


@sandbox.command()
@_AS_JSON
def status(as_json: bool) -> None:
    """Show the instances, the load, and the faults that are on. Exit 3 when the sandbox is not up."""
    found = client.find()
    if found is None:
        if as_json:
            _print_json({"up": False, "remains": client.remains()})
        raise _not_up()
    facts = found.status()
    if as_json:
        _print_json(facts | {"up": True})
    else:
        _show(facts, SystemClock().now(), stdout())


@sandbox.command()
@click.argument("rate")
@_AS_JSON
def load(rate: str, as_json: bool) -> None:
    """Let RATE customers arrive in the background; `off` for none.

    \b
    chaosdrill sandbox load 50/s
    chaosdrill sandbox load off
    """
    customers = 0.0 if rate in ("off", "0", "none") else _rate(rate)
    _require().set_load(customers)
    if as_json:
        _print_json({"rate": customers})
    else:
        stdout().line(f"Background load: {customers:g}/s" if customers else "Background load: none")


@sandbox.command()
@click.argument("name")
@click.option("--undo", is_flag=True, help="Go back to the setting that fails.")
@_AS_JSON
def fix(name: str, undo: bool, as_json: bool) -> None:
    """Change a setting and restart what reads it, one instance after the other.

    \b
    chaosdrill sandbox fix connection-pool          20 database connections instead of 5
    chaosdrill sandbox fix connection-pool --undo
    """
    changes = _require().fix(name, undo=undo)
    if as_json:
        _print_json({"name": name, "undone": undo, "changes": changes})
        return
    for setting, (before, after) in changes.items():
        changed = f"{before} -> {after}, every payment-api instance was replaced"
        stdout().line(f"{setting}: {changed if before != after else f'{after} already, nothing to do'}")


def _require() -> client.Sandbox:
    found = client.find()
    if found is None:
        raise _not_up()
    return found


def _not_up() -> TargetUnreachable:
    if left := client.remains():
        return TargetUnreachable(
            f"the sandbox is broken: {left[0]} still runs", next_step="clear up: chaosdrill sandbox down"
        )
    return TargetUnreachable("the sandbox is not up", next_step="start it: chaosdrill sandbox up")


def _rate(text: str) -> float:
    try:
        return parse_rate(text)
    except UnitError as problem:
        raise UsageError(f"{problem}") from None


def _print_json(facts: Mapping[str, Any]) -> None:
    stdout().line(json.dumps(facts, indent=2))


def _show(facts: Mapping[str, Any], now: float, out: Stream) -> None:
    since = f"{iso(facts['since'])[11:19]} UTC, {format_duration(round(now - facts['since']))} ago"
    out.line(f"The sandbox is up since {since}: {facts['shop_url']}/checkout")
    out.line()
    out.line(f"  {_topology(facts)}")
    out.line()
    out.line(
        out.paint(f"  {'instance':<16} {'state':<10} {'cpu':>6} {'restarts':>9} {'port':>6}  note", bold=True)
    )
    for instance in facts["instances"]:
        out.line(_row(instance, out))
    out.line()
    for line in (_load(facts["load"]), _settings(facts)):
        out.line(f"  {line}")
    for fault in facts["faults"]:
        out.line(out.paint(f"  Fault on: {_fault(fault)}", fg="yellow"))
    if not facts["faults"]:
        out.line("  Faults: none")


def _topology(facts: Mapping[str, Any]) -> str:
    services: dict[str, int] = {}
    for instance in facts["instances"]:
        services[instance["service"]] = services.get(instance["service"], 0) + 1
    return " -> ".join(name if count == 1 else f"{name} x{count}" for name, count in services.items())


def _row(instance: Mapping[str, Any], out: Stream) -> str:
    state = instance["state"]
    painted = out.paint(f"{state:<10}", fg=_COLOURS.get(state, "yellow"))
    notes = [f"breaker {_BREAKER[instance['breaker']]}"] if instance["service"] == "payment-api" else []
    notes += ["held down by a fault"] if state == "held" else []
    cpu = f"{instance['cpu']:.0%}".replace("%", " %")
    port = instance["port"] or ""
    return (
        f"  {instance['id']:<16} {painted} {cpu:>6} {instance['restarts']:>9} {port:>6}  {', '.join(notes)}"
    ).rstrip()


def _load(load: Mapping[str, Any]) -> str:
    if not load["rate"]:
        return "Load: none (chaosdrill sandbox load 50/s)"
    words = f"Load: {load['rate']:g}/s"
    if load.get("p95") is not None:
        words += f", {load['sent']} sent, {load['failed']} failed"
        words += f", p50 {format_duration(load['p50'])}, p95 {format_duration(load['p95'])}"
    return words


def _settings(facts: Mapping[str, Any]) -> str:
    settings, fixes = facts["settings"], facts["fixes"]
    words = f"payment-api: {settings['pool']} connections per instance"
    words += f", query time-out {format_duration(settings['query_timeout'])}"
    return words + (f"; fixed: {', '.join(fixes)}" if fixes else "")


def _fault(fault: Mapping[str, Any]) -> str:
    words = f"{fault['kind']} on {', '.join(fault['hit'])}, "
    words += f"{format_duration(round(fault['seconds_left'], 1))} left"
    return words + (f", run {fault['run']}" if fault["run"] else "")
