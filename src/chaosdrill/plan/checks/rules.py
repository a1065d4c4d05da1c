"""A policy, from its text to the rules of one environment, with the place of everything that does not fit.

Addresses are where secrets would be written down: those that stand inline are refused, and those that are
only named are fetched here, and never shown. Importing this module costs pydantic.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from chaosdrill import redact
from chaosdrill.model.policy import (
    SANDBOX,
    Approvals,
    Freeze,
    Notified,
    Quiet,
    Rules,
    Windows,
)
from chaosdrill.model.policyfile import WAIVABLE, EnvironmentSpec, ItemSpec, PolicyFile, Secret, WindowsSpec
from chaosdrill.plan.checks.findings import Enough, Findings
from chaosdrill.plan.checks.shapes import Shape, typed
from chaosdrill.plan.reader import Document, Node, shown

_SHAPE = Shape(PolicyFile, "a policy")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
#: What chat systems give out as tokens: long, and of letters and digits alike.
_TOKEN = re.compile(r"(?=[^/]*[0-9])(?=[^/]*[A-Za-z])[A-Za-z0-9_-]{20,}")
_PARTS = re.compile(r"[/?&=@:]")
_HINT = "name it instead: ${NAME}, {env: NAME} or {file: PATH}"


def check_policy(document: Document, found: Findings) -> PolicyFile | None:
    """Return the typed policy, None when something is wrong with it, and note what."""
    with suppress(Enough):
        found.add(document.problems)
        if document.root.kind != "map":
            found.error(document.root, "a policy is a mapping", "it needs `environments`")
            return None
        policy = typed(_SHAPE, document.root, found)
        for place in _addresses(document.root):
            _check_address(place, found)
        assert policy is None or isinstance(policy, PolicyFile)
        return policy if not found.errors else None
    return None


def rules_of(
    policy: PolicyFile,
    environment: str,
    document: Document,
    variables: Mapping[str, str],
    found: Findings,
) -> Rules:
    """Return what `environment` demands, secrets fetched; what can't be fetched is noted with its place."""
    spec = policy.environments[environment]
    own = SANDBOX if environment == "sandbox" else Rules(environment)
    fetch = _Fetcher(document, variables, found)
    place = ("environments", environment)
    told = spec.checklist.team_notified
    notified = (*place, "checklist", "team-notified")
    given = {**own.waived, **_waived(spec)}
    return own._replace(
        system=spec.target,
        source=str(document.source),
        digest=hashlib.sha256(document.content).hexdigest(),
        plain_files=own.plain_files if spec.plain_files is None else spec.plain_files == "allow",
        max_targets=spec.blast_radius.max_targets,
        max_share=spec.blast_radius.max_share,
        windows=_windows(spec.windows) if spec.windows is not None else None,
        approvals=Approvals(spec.approvals.need, _beside(document, spec), spec.approvals.valid_for),
        quiet=Quiet(
            after_deviation=spec.quiet.after_deviation,
            alerts=fetch(spec.quiet.alerts, (*place, "quiet", "alerts")) if spec.quiet.alerts else "",
            deployments=spec.quiet.deployments == "refuse",
        ),
        notified=Notified(
            via=fetch.all(told.via, (*notified, "via")),
            needs_answer=told.needs_answer,
            answer_within=told.answer_within,
            responders=told.responders,
            guardians=told.guardians.names,
            guardians_via=fetch.all(told.guardians.via, (*notified, "guardians", "via")),
        ),
        # Whoever names windows, signatures or addresses means them, in the sandbox too.
        waived={item: why for item, why in given.items() if item in _waived(spec) or not _asked(spec, item)},
        refuses_waiver=frozenset(item for item in WAIVABLE if _refuses(spec, item)),
        free_disk=int(spec.free_disk),
    )


def _waived(spec: EnvironmentSpec) -> dict[str, str]:
    items = spec.checklist.model_dump(by_alias=True)
    return {key: item["waived"] for key, item in items.items() if item["waived"]}


def _asked(spec: EnvironmentSpec, item: str) -> bool:
    """Return whether the environment says how an item is to be decided."""
    told = spec.checklist.team_notified
    return {
        "team-notified": bool(told.via) or told.needs_answer,
        "off-peak": spec.windows is not None,
        "executive-approval": spec.approvals.need > 0,
    }.get(item, False)


def _refuses(spec: EnvironmentSpec, item: str) -> bool:
    word: ItemSpec = getattr(spec.checklist, item.replace("-", "_"))
    return word.not_needed == "refuse" or (word.not_needed is None and _asked(spec, item))


def _windows(spec: WindowsSpec) -> Windows:
    return Windows(
        timezone=spec.timezone,
        allow=spec.allow,
        off_peak=spec.off_peak,
        holidays=spec.holidays or "",
        freezes=tuple(Freeze(freeze.from_, freeze.to, freeze.why) for freeze in spec.freezes),
    )


def _beside(document: Document, spec: EnvironmentSpec) -> str:
    if spec.approvals.signers is None:
        return ""
    return str((document.source.absolute().parent / Path(spec.approvals.signers).expanduser()).resolve())


# ---- addresses


def _addresses(root: Node) -> Iterator[Node]:
    """Yield each address of each environment that stands there as a text."""
    environments = root.get("environments")
    for _, environment in environments.fields.values() if environments is not None else ():
        told = _below(environment, "checklist", "team-notified")
        lists = (_below(told, "via"), _below(told, "guardians", "via"))
        nodes = [item for found in lists if found is not None for item in found.items]
        for node in (*nodes, _below(environment, "quiet", "alerts")):
            if node is not None and node.kind == "scalar":
                yield node


def _below(node: Node | None, *keys: str) -> Node | None:
    for key in keys:
        node = node.get(key) if node is not None else None
    return node


def _check_address(node: Node, found: Findings) -> None:
    text = node.text
    # What stands between ${ and } is a name.
    bare = _VARIABLE.sub("", text)
    if "${" in bare:
        found.error(node, f"'${{' without a name and its '}}' in {shown(_safe(text))}", "write ${NAME}")
    elif "://" not in text and not _VARIABLE.match(text):
        found.error(node, f"{shown(text)} is no address", "write it like mattermost://host/${TOKEN}")
    elif _inline_secret(bare):
        found.error(node, f"a secret stands inline in {shown(_safe(text))}", _HINT)


def _inline_secret(text: str) -> bool:
    parts = _PARTS.split(text.partition("://")[2])
    return bool(redact.url_secrets(text)) or any(_TOKEN.fullmatch(part) for part in parts)


def _safe(text: str) -> str:
    return text.partition("://")[0] + "://" + redact.MASK


class _Fetcher:
    """Fetches what an address only names, and keeps in mind that it is secret."""

    def __init__(self, document: Document, variables: Mapping[str, str], found: Findings) -> None:
        self._document = document
        self._variables = variables
        self._found = found

    def all(self, addresses: tuple[Any, ...], place: tuple[str, ...]) -> tuple[str, ...]:
        """Return each address with its secrets."""
        return tuple(self(address, (*place, index)) for index, address in enumerate(addresses))

    def __call__(self, address: str | Secret, place: tuple[str | int, ...]) -> str:
        node = self._document.root.at(place)
        if isinstance(address, Secret):
            return self._variable(address.name, node) if address.place == "env" else self._file(address, node)
        return _VARIABLE.sub(lambda match: self._variable(match[1], node), address)

    def _variable(self, name: str, node: Node) -> str:
        value = self._variables.get(name, "").strip()
        if not value:
            self._found.error(
                node, f"the variable {name} of the environment is not set", f"export {name}=..."
            )
        return self._secret(value)

    def _file(self, address: Secret, node: Node) -> str:
        path = self._document.source.absolute().parent / Path(address.name).expanduser()
        try:
            value = path.read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else "it is not UTF-8"
            self._found.error(node, f"{path} can't be read: {why.lower()}")
            return ""
        if not value:
            self._found.error(node, f"{path} is empty", "an address belongs there")
        return self._secret(value)

    def _secret(self, value: str) -> str:
        parts = _PARTS.split(value)
        tokens = [part for part in parts if _TOKEN.fullmatch(part)]
        redact.known.learn((value, *redact.url_secrets(value), *tokens))
        return value
