"""`validate` and `schema`: what is wrong with a file, before anything is started."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from chaosdrill.cli.screen.layout import print_json
from chaosdrill.cli.screen.stream import Stream, stderr, stdout
from chaosdrill.cli.screen.words import clean, count
from chaosdrill.ctk.process import EngineProcess
from chaosdrill.errors import ChaosdrillError, Exit, InvalidFile, Problem, Refused
from chaosdrill.model.policy import BESIDE


@dataclass(frozen=True)
class Finding:
    """What was found in one file."""

    file: str
    errors: Sequence[Problem] = ()
    warnings: Sequence[Problem] = ()


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON on standard output.")
def validate(files: tuple[str, ...], as_json: bool) -> int:
    """Check experiment files, ours and plain Chaos Toolkit ones, and policies; nothing is played or changed.

    Chaos Toolkit itself loads each experiment too. Exit 2 when one has errors; warnings are no errors.

    \b
    chaosdrill validate experiments/sandbox/*.yaml
    chaosdrill validate experiments/chaosdrill.yaml
    """
    found = [check(file) for file in files]
    if as_json:
        print_json([_facts(finding) for finding in found])
    else:
        err = stderr()
        for finding in found:
            for line in _lines(finding, err):
                err.line(line)
        stdout().line(_summary(found))
    return Exit.USAGE if any(finding.errors for finding in found) else Exit.HELD


def check(file: str) -> Finding:
    """Return everything that is wrong with `file`: read by us, loaded by Chaos Toolkit, and resolved.

    A policy is one by its name, chaosdrill.yaml, or by its `environments`; NAME.chaosdrill.yaml is checked
    with the experiment beside it.
    """
    if file.endswith(BESIDE) and Path(file).is_file():
        whole = file.removesuffix(BESIDE)
        owner = next((whole + end for end in (".yaml", ".yml", ".json") if Path(whole + end).is_file()), None)
        if owner is None:
            missing = f"there is no experiment {whole}.yaml, .yml or .json that it belongs to"
            return Finding(file, [Problem(0, 0, missing, "call it like the experiment")])
        return replace(_experiment(owner), file=file)
    try:
        from chaosdrill.plan import policy

        if policy.is_policy(Path(file)):
            policy.check(Path(file))
            return Finding(file)
    except InvalidFile as error:
        return Finding(file, error.problems)
    except ChaosdrillError as error:
        return Finding(file, [Problem(0, 0, error.message, error.next_step)])
    return _experiment(file)


def _experiment(file: str) -> Finding:
    # Started first: it loads Chaos Toolkit while the file is read.
    engine = EngineProcess()
    engine.start()
    try:
        from chaosdrill.plan.experiment import read_experiment
        from chaosdrill.plan.resolve import resolve_block, resolve_faults

        read = read_experiment(file)
        loaded = engine.prepare({"source": str(read.path), "options": {}, "environment": _variables()})
        block = resolve_block(read, loaded["configuration"])
        resolve_faults(read, loaded["faults"], loaded["configuration"], block)
    except InvalidFile as error:
        return Finding(file, error.problems)
    except ChaosdrillError as error:
        return Finding(file, [Problem(0, 0, error.message, error.next_step)])
    finally:
        engine.end()
    return Finding(file, (), read.warnings)


def _variables() -> dict[str, str]:
    """Return what a run would find in its environment: the sandbox's variables, where one is up."""
    from chaosdrill import targets

    try:
        return dict(targets.open("sandbox").environment())
    except Refused:
        return {}


def _facts(finding: Finding) -> dict[str, Any]:
    return {
        "file": finding.file,
        "valid": not finding.errors,
        "errors": [problem._asdict() for problem in finding.errors],
        "warnings": [problem._asdict() for problem in finding.warnings],
    }


def _lines(finding: Finding, err: Stream) -> Iterator[str]:
    source = _source(finding.file) if err.terminal else []
    for kind, colour, problems in (("error", "red", finding.errors), ("warning", "yellow", finding.warnings)):
        for problem in problems:
            place = f":{problem.line}:{problem.column}" if problem.line else ""
            hint = f" ({clean(problem.hint)})" if problem.hint else ""
            word = err.paint(kind, fg=colour, bold=True)
            yield f"{finding.file}{place}: {word}: {clean(problem.message)}{hint}"
            if 0 < problem.line <= len(source):
                yield from _pointed(source[problem.line - 1], problem, err.columns)


def _source(file: str) -> list[str]:
    try:
        return Path(file).read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _pointed(line: str, problem: Problem, columns: int) -> Iterator[str]:
    """Yield the line of the source around the problem's column, and a caret below it."""
    head = f"{problem.line:>5} | "
    room = max(20, columns - len(head))
    at = min(problem.column, len(line) + 1) - 1
    first = max(0, at - room // 2) if len(line) > room else 0
    # One character stays one cell, or the caret would point elsewhere.
    part = "".join(c if c.isprintable() else " " for c in line[first : first + room])
    yield head + part
    yield " " * (len(head) - 2) + "| " + " " * (at - first) + "^"


def _summary(found: Sequence[Finding]) -> str:
    errors = sum(len(finding.errors) for finding in found)
    warnings = sum(len(finding.warnings) for finding in found)
    bad = sum(1 for finding in found if finding.errors)
    also = f", {count(warnings, 'warning')}" if warnings else ""
    if not bad:
        return f"{count(len(found), 'file')}: valid{also}"
    return f"{count(len(found), 'file')}: {bad} with {count(errors, 'error')}{also}"


@click.command()
@click.argument("name", default="experiment")
def schema(name: str) -> None:
    """Print the JSON Schema of a file format, for editors: `experiment` or `policy`.

    \b
    chaosdrill schema experiment > experiment.schema.json
    """
    from chaosdrill.plan.schema import schema as schema_of

    print_json(schema_of(name))
