"""The checklist in a report: what was overridden, why a run was refused, and how every item was decided.

It words what stands in run.json's clearance and decides nothing; a record without a clearance, as of an older
version, has no checklist and is no error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chaosdrill.clock import iso
from chaosdrill.model.checklist import ITEMS
from chaosdrill.report.blocks import Block, Cell, Column, Notes, Section, Table, Tone
from chaosdrill.report.material import Material

#: What each state of an item means to a reader.
TONES: dict[str, Tone] = {
    "proved": "good",
    "attested": "good",
    "not needed": "plain",
    "failed": "bad",
    "overridden": "bad",
    "pending": "warn",
}


def alerts(material: Material) -> tuple[str, ...]:
    """Return what must be read before the verdict, one sentence for each override."""
    return tuple(
        f"Overridden: {_title(found)}. {found.get('said', '')}{_person(found)}".rstrip()
        for found in _found(material)
        if found.get("state") == "overridden"
    )


def refusal(material: Material) -> Section | None:
    """Return every reason why nothing was injected; None for a run that was not refused."""
    reasons = material.evidence.refused
    if not reasons:
        return None
    lead = "Nothing was injected. Each of these has to be settled before the experiment may run."
    return Section("refused", "Why it was refused", lead, (Notes(reasons),))


def checklist(material: Material) -> Section | None:
    """Return how each item before the run was decided, by which evidence, and on whose approval."""
    found = _found(material)
    if not found:
        return None
    blocks: list[Block] = [_items("Before the run", found)]
    blocks += [_evidence(found)] if any(f.get("checks") for f in found) else []
    approvals = list((material.facts.get("clearance") or {}).get("approvals") or ())
    blocks += [_approvals(approvals)] if approvals else []
    return Section("checklist", "Checklist and clearance", _lead(material, found), tuple(blocks))


def afterwards(material: Material) -> Section | None:
    """Return how the items during and after the run stand, and which of them still want an answer."""
    found = [finding.as_json() for finding in material.afterwards]
    if not found:
        return None
    waiting = [_title(f) for f in found if f["state"] in ("failed", "pending")]
    lead = f"Still to be answered: {', '.join(waiting)}." if waiting else "Every item has its answer."
    return Section("afterwards", "During and after", lead, (_items("During and after the run", found),))


def _found(material: Material) -> list[Mapping[str, Any]]:
    return [f for f in (material.facts.get("clearance") or {}).get("findings") or () if isinstance(f, dict)]


def _lead(material: Material, found: list[Mapping[str, Any]]) -> str:
    stops = sum(f.get("state") in ("failed", "pending") for f in found)
    if stops or material.evidence.refused:
        return f"{len(found) - stops} of {len(found)} items were settled; the run was not cleared."
    clearance = material.facts.get("clearance") or {}
    given = (
        f"Cleared for {clearance.get('environment', 'an environment')} at {_when(clearance.get('issued'))}"
    )
    return (
        f"{given}, until {_when(clearance.get('expires'))}; bound to {str(clearance.get('digest', ''))[:16]}."
    )


def _items(caption: str, found: Iterable[Mapping[str, Any]]) -> Table:
    rows = []
    for item in found:
        state = str(item.get("state", "unknown"))
        said = "; ".join(str(item[key]) for key in ("said", "next_step") if item.get(key))
        who = " ".join(str(item[key]) for key in ("by", "at") if item.get(key))
        tone = TONES.get(state, "plain")
        rows.append((Cell(_title(item)), Cell(state, tone), Cell(said), Cell(who or "the machine")))
    columns = tuple(map(Column, ("Item", "State", "Why", "Said by")))
    return Table(caption, columns, tuple(rows), cards=True)


def _evidence(found: Iterable[Mapping[str, Any]]) -> Table:
    rows = []
    for item in found:
        for check in item.get("checks") or ():
            state = Cell("well", "good") if check.get("ok") else Cell("not well", "bad")
            said = Cell("; ".join(str(check[key]) for key in ("said", "next_step") if check.get(key)))
            rows.append(
                (
                    Cell(str(check.get("name", ""))),
                    Cell(_title(item)),
                    state,
                    said,
                    Cell(_when(check.get("at"))),
                )
            )
    columns = tuple(map(Column, ("Check", "Item", "Result", "What was seen", "When (UTC)")))
    return Table("What the machine looked at", columns, tuple(rows), cards=True)


def _approvals(uses: Iterable[Mapping[str, Any]]) -> Table:
    rows = []
    for use in uses:
        overrides = ", ".join(_title({"item": key}) for key in use.get("overrides") or ())
        number = f", use {use['use']}" if use.get("kind") == "standing" and use.get("use") else ""
        rows.append(
            (
                Cell(str(use.get("approver", ""))),
                Cell(str(use.get("requester", ""))),
                Cell(f"{use.get('kind', '')}{number}"),
                Cell(_when(use.get("issued"))),
                Cell(_when(use.get("expires"))),
                Cell(overrides, "bad") if overrides else Cell("nothing"),
                Cell(str(use.get("words", ""))),
                Cell(str(use.get("id", "")), code=True),
            )
        )
    names = ("Approved by", "Asked for by", "Kind", "Signed (UTC)", "Until (UTC)", "Overrides", "Words", "Id")
    return Table("Approvals", tuple(map(Column, names)), tuple(rows), cards=True)


def _title(found: Mapping[str, Any]) -> str:
    key = str(found.get("item", ""))
    known = ITEMS.get(key)
    return str(found.get("title") or (known.title if known else key))


def _person(found: Mapping[str, Any]) -> str:
    who = " ".join(str(found[key]) for key in ("by", "at") if found.get(key))
    return f" ({who})" if who else ""


def _when(epoch: object) -> str:
    if not isinstance(epoch, (int, float)) or not epoch:
        return "not recorded"
    return iso(float(epoch))[:19].replace("T", " ")
