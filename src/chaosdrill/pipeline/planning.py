"""From a file to a plan: the rules it is under, what Chaos Toolkit makes of it, what its faults will hit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chaosdrill import redact
from chaosdrill.errors import TargetUnreachable
from chaosdrill.model.checklist import Binding, digest
from chaosdrill.pipeline.parts import Draft, Plan, Request, Workshop
from chaosdrill.plan.answers import read_answers
from chaosdrill.plan.experiment import ExperimentFile, check_variables, read_experiment
from chaosdrill.plan.policy import find_policy, read_rules
from chaosdrill.plan.resolve import resolve_block, resolve_faults
from chaosdrill.plan.scope import choose
from chaosdrill.ports import FaultSpec, Target

if TYPE_CHECKING:
    # Typed only: a plain Chaos Toolkit file never waits for pydantic before it is played.
    from chaosdrill.model.experiment import ChaosdrillBlock
    from chaosdrill.model.run import PlannedFault

#: What changes how a file is played, without being part of its configuration.
_OPTIONS = ("hypothesis_strategy", "hypothesis_frequency", "fail_fast", "rollbacks_strategy", "dry")

#: Where Chaos Toolkit looks for settings when it is given none.
_SETTINGS = Path("~/.chaostoolkit/settings.yaml")


def draft(request: Request) -> Draft:
    """Read the file, the answers beside it, and the rules of its environment.

    Raises InvalidFile and UsageError: what makes no sense is no run, and leaves no record.
    """
    redact.known.learn(redact.pair_secrets(request.options.get("var") or ()))
    file = read_experiment(request.source)
    check_variables(file, request.options.get("var") or ())
    environment = request.environment or file.environment or "sandbox"
    rules = read_rules(find_policy(request.source, request.config), environment)
    answers, answers_digest = read_answers(file)
    for urls in (rules.notified.via, rules.notified.guardians_via, (rules.quiet.alerts,)):
        redact.known.learn(secret for url in urls for secret in redact.url_secrets(url))
    return Draft(request, file, environment, rules, answers, answers_digest)


def plan(drafted: Draft, workshop: Workshop) -> Plan:
    """Have Chaos Toolkit expand the file, and pin what its faults will hit.

    Raises InvalidFile and Refused.
    """
    file, request, rules = drafted.file, drafted.request, drafted.rules
    # A file that touches nothing of ours needs no system, and does not pay for one.
    touches = bool(file.faults) or file.block_node is not None or request.environment is not None
    target = workshop.open_target(rules.system) if touches else None
    orders = {
        "source": str(file.path.absolute()),
        "digest": file.digest,
        "options": dict(request.options),
        "environment": _environment(file, target) if target else {},
    }
    expanded = workshop.engine.prepare(orders)
    _learn(expanded)
    block = resolve_block(file, expanded["configuration"])
    _learn_sources(block)
    if target and (expanded["faults"] or (block and any(s.target for s in block.signals.values()))):
        target.check()
    specs = resolve_faults(file, expanded["faults"], expanded["configuration"], block)
    planned = tuple(
        _pin(spec, fault, block.seed if block else 0, target, rules.system)
        for spec, fault in zip(specs, expanded["faults"], strict=True)
        if target
    )
    return Plan(
        draft=drafted,
        title=str(expanded["title"]),
        block=block,
        configuration={k: v for k, v in expanded["configuration"].items() if k in file.variables},
        toolkit=expanded["versions"],
        planned=planned,
        target=target,
        orders=orders,
        bind=lambda salt: _bind(drafted, planned, workshop.engine.fingerprint(salt), salt),
    )


def _learn(expanded: Mapping[str, Any]) -> None:
    """Keep in mind what must never be written down."""
    redact.known.learn(expanded.get("secret_values", ()))
    redact.known.learn(redact.named_secrets(expanded["configuration"]))
    for value in expanded["configuration"].values():
        if isinstance(value, str) and "://" in value:
            redact.known.learn(redact.url_secrets(value))


def _learn_sources(block: ChaosdrillBlock | None) -> None:
    for source in block.signals.values() if block else ():
        if source.http is not None:
            redact.known.learn(redact.url_secrets(source.http.url))
            redact.known.learn(redact.named_secrets(source.http.headers))
    for condition in block.abort_when if block else ():
        for check in (condition.http, condition.prometheus):
            if check is not None:
                redact.known.learn(redact.url_secrets(check.url))
                redact.known.learn(redact.named_secrets(check.headers))
        if condition.prometheus is not None and condition.prometheus.bearer:
            redact.known.learn([condition.prometheus.bearer])


def _environment(file: ExperimentFile, target: Target) -> dict[str, str]:
    """Return the target's variables for the file; only a file with faults can't do without them."""
    try:
        return dict(target.environment())
    except TargetUnreachable:
        if file.faults:
            raise
        return {}


def _pin(spec: FaultSpec, fault: Mapping[str, Any], seed: int, target: Target, system: str) -> PlannedFault:
    from chaosdrill.model.run import PlannedFault

    # Whether so many may be hit is an item of the checklist.
    scope = choose(spec, target.candidates(spec), seed=seed)
    return PlannedFault(
        activity=fault["activity"],
        kind=spec.kind,
        system=system,
        target=spec.target,
        arguments=dict(fault["arguments"]),
        duration=spec.duration,
        chosen=scope.chosen,
        candidates=scope.candidates,
    )


def _bind(
    drafted: Draft, planned: tuple[PlannedFault, ...], fingerprint: Mapping[str, str], salt: str
) -> Binding:
    options = drafted.request.options
    files = [*(options.get("control_file") or ()), *(options.get("var_file") or ())]
    # Settings name controls, which are code; without any, Chaos Toolkit reads the person's own.
    files.append(options.get("settings") or _SETTINGS.expanduser())
    return Binding(
        salt,
        {
            "experiment": drafted.file.digest,
            "answers": drafted.answers_digest,
            "policy": drafted.rules.digest,
            "environment": drafted.environment,
            **fingerprint,
            "options": digest({name: options.get(name) for name in _OPTIONS}),
            # In order, because the last variable file wins; by name, because a checkout lies anywhere.
            "files": digest([[Path(name).name, _sum(Path(name))] for name in files]),
            "scope": digest([fault.as_json() for fault in planned]),
        },
    )


def _sum(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "missing"
