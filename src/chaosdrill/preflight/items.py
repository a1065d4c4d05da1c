"""The items of the checklist that the file and the policy decide, one function each.

What a machine can know is never taken from anybody's word. What people alone can know needs a name, a moment
and words, or a reason why it is not needed, where the policy takes one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from chaosdrill.model.checklist import Check, Finding
from chaosdrill.preflight.subject import Subject
from chaosdrill.units import format_duration, format_share

#: What somebody says about this very run must be this young, in seconds: files are copied and kept.
FRESH = 7 * 86_400.0
_ROUNDING = 1e-9


# ---- what the experiment says


def hypothesis(subject: Subject) -> Finding:
    """A sentence of ours, or Chaos Toolkit's title with probes behind it."""
    outline, item = subject.outline, "hypothesis"
    if subject.block is None and not subject.rules.plain_files:
        said = f"{subject.policy} runs no file without a chaosdrill block"
        beside = subject.asked.source.with_suffix("").name + ".chaosdrill.yaml"
        return Finding(item, "failed", said, f"add one, or write it to {beside} beside the file")
    if subject.block is not None and subject.block.hypothesis:
        return Finding(item, "proved", subject.block.hypothesis)
    if outline.title and outline.probes:
        return Finding(item, "proved", f"{outline.title} ({_count(outline.probes, 'probe')})")
    return waived(subject, item) or Finding(
        item, "failed", "there is none", "write `hypothesis:`, the sentence that should stay true"
    )


def expected_outcome(subject: Subject) -> Finding:
    """What should happen, in the block."""
    item = "expected-outcome"
    if subject.block is not None and subject.block.expected_outcome:
        return Finding(item, "proved", subject.block.expected_outcome)
    if subject.block is None and subject.rules.plain_files and subject.rules.strict:
        return Finding(item, "not needed", f"{subject.policy} lets files without a block run")
    return waived(subject, item) or Finding(
        item, "failed", "nobody wrote what should happen", "write `expected-outcome:`"
    )


def success_criteria(subject: Subject) -> Finding:
    """Criteria that were read, on signals that are there; or probes, where plain files may run."""
    item, block = "success-criteria", subject.block
    if block is not None and block.criteria:
        checks = tuple(Check(c.signal, True, c.sentence()) for c in block.criteria)
        number = len(checks)
        return Finding(
            item,
            "proved",
            f"{number} criteri{'on' if number == 1 else 'a'} on {_sources(subject)}",
            checks=checks,
        )
    if block is None and subject.rules.plain_files and subject.outline.probes:
        probes = _count(subject.outline.probes, "probe")
        return Finding(item, "proved", f"{probes} of the steady-state hypothesis, with a tolerance each")
    return waived(subject, item) or Finding(
        item, "failed", "nothing says what holds and what does not", "write `criteria:` on `signals:`"
    )


def _sources(subject: Subject) -> str:
    names = dict.fromkeys(c.source for c in subject.block.criteria) if subject.block else {}
    return ", ".join(names)


# ---- blast radius


def blast_radius(subject: Subject) -> Finding:
    """How many of how many, against the stricter of the experiment's and the environment's limits."""
    item = "blast-radius"
    checks = tuple(_reaches(subject))
    said = "; ".join(check.said for check in checks) or "nothing is injected"
    for check in checks:
        if not check.ok:
            return Finding(item, "failed", check.said, check.next_step, checks=checks)
    if subject.outline.foreign and subject.rules.strict:
        word = attested(subject, item)
        return word or Finding(
            item,
            "failed",
            f"how far actions reach that are not chaosdrill's can't be known:"
            f" {', '.join(subject.outline.foreign[:3])}",
            "use faults of chaosdrill, or have somebody attest `blast-radius`",
            checks=checks,
        )
    if subject.outline.foreign and not checks:
        actions = _count(len(subject.outline.foreign), "action")
        said = f"{actions} of the file's own, and {subject.policy} sets no limit"
        return Finding(item, "not needed", said)
    if subject.rules.strict and checks and not _limited(subject):
        hint = "write blast-radius: {max-targets: 1} into the experiment or the policy"
        return Finding(item, "failed", f"{said}, and nothing limits it", hint, checks=checks)
    return Finding(item, "proved", said, checks=checks)


def _reaches(subject: Subject) -> Iterator[Check]:
    """Yield one check for each service: everything in it that any fault of the run hits."""
    for target in dict.fromkeys(fault.target for fault in subject.planned):
        faults = [fault for fault in subject.planned if fault.target == target]
        hit = tuple(dict.fromkeys(name for fault in faults for name in fault.chosen))
        there = min(fault.candidates for fault in faults)
        share = len(hit) / there if there else 1.0
        said = f"{len(hit)} of {there} ({format_share(round(share, 3))}) of {target}: {', '.join(hit)}"
        allowed, ok = _allowed(subject, len(hit), share)
        facts = {"target": target, "hit": list(hit), "candidates": there, "share": share}
        kinds = ", ".join(dict.fromkeys(fault.kind for fault in faults))
        if not ok:
            said = f"{kinds}: {len(hit)} of {there} {target} match, blast radius allows {allowed}"
        hint = "" if ok else "lower `count` or `share`, or raise the limit"
        yield Check(
            target, ok, f"{said}; allowed: {allowed}" if ok and allowed else said, next_step=hint, facts=facts
        )


def _allowed(subject: Subject, number: int, share: float) -> tuple[str, bool]:
    """Return the stricter limits in words, each with whose it is, and whether they are kept."""
    own = subject.block.blast_radius if subject.block is not None else None
    counts = [
        (own.max_targets if own else None, "the experiment"),
        (subject.rules.max_targets, subject.policy),
    ]
    shares = [(own.max_share if own else None, "the experiment"), (subject.rules.max_share, subject.policy)]
    words, ok = [], True
    for most, whose in sorted((n, w) for n, w in counts if n is not None)[:1]:
        words.append(f"{most} ({whose})")
        ok = ok and number <= most
    for part, whose in sorted((s, w) for s, w in shares if s is not None)[:1]:
        words.append(f"{format_share(part)} ({whose})")
        ok = ok and share <= part + _ROUNDING
    return " and ".join(words), ok


def _limited(subject: Subject) -> bool:
    own = subject.block.blast_radius if subject.block is not None else None
    given = (subject.rules.max_targets, subject.rules.max_share)
    return any(limit is not None for limit in (*given, *((own.max_targets, own.max_share) if own else ())))


# ---- what people say


def off_peak(subject: Subject) -> Finding:
    """Inside the windows of the policy, and outside its freezes and holidays."""
    item, given = "off-peak", subject.rules.windows
    if given is None:
        return waived(subject, item) or Finding(item, "not needed", f"{subject.policy} names no windows")
    # Imported here: time zones are for policies that have windows.
    from chaosdrill.preflight import windows

    check, quiet_hours = windows.check(given, subject.around.clock.now(), subject.seconds)
    if not check.ok:
        return Finding(item, "failed", check.said, check.next_step, checks=(check,))
    if quiet_hours or not given.off_peak:
        return Finding(item, "proved", check.said, checks=(check,))
    word = waived(subject, item) or attested(subject, item)
    if word is not None:
        return word
    hours = ", ".join(span.text for span in given.off_peak)
    said = f"it may run now, but off-peak is {hours} ({given.timezone})"
    return Finding(item, "failed", said, how_to_attest(item), checks=(check,))


def customer_communication(subject: Subject) -> Finding:
    """Somebody's word that customers are told, or why they need not be."""
    item = "customer-communication"
    return (
        waived(subject, item)
        or attested(subject, item)
        or Finding(item, "failed", "nobody says what customers are told", _either(subject, item))
    )


def waived(subject: Subject, item: str) -> Finding | None:
    """Return that the item is not needed: by the policy, or by the file where the policy takes its word."""
    why = subject.rules.waived.get(item)
    if why is not None:
        return Finding(item, "not needed", f"{why} ({subject.policy})")
    answer = subject.answers.get(item)
    if answer is None or answer.kind != "not needed":
        return None
    if item in subject.rules.refuses_waiver:
        said = f"the file says that it is not needed, which {subject.policy} does not accept"
        return Finding(item, "failed", said, how_to_attest(item))
    return Finding(item, "not needed", f"{answer.words} ({answer.where})")


def attested(subject: Subject, item: str, fresh: float | None = None) -> Finding | None:
    """Return what somebody attested about an item, None when nobody did.

    It fails when it is dated in the future, or older than `fresh` seconds.
    """
    answer = subject.answers.get(item)
    if answer is None or answer.kind != "attested":
        return None
    now = subject.around.clock.now()
    said = f"{answer.words} ({answer.where})"
    read = datetime.fromisoformat(answer.at)
    # A date without a zone lasts two days, from its first moment anywhere on earth to its last.
    slack = 0.0 if read.tzinfo else 86_400.0
    moment = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    if moment > now + slack:
        why = f"{answer.by} attests it at {answer.at}, which is in the future"
        return Finding(item, "failed", why, how_to_attest(item), by=answer.by, at=answer.at)
    if fresh is not None and moment < now - fresh - slack:
        why = f"{answer.by} attested it at {answer.at}, more than {format_duration(fresh)} ago"
        return Finding(item, "failed", why, how_to_attest(item), by=answer.by, at=answer.at)
    return Finding(item, "attested", said, by=answer.by, at=answer.at)


def how_to_attest(item: str) -> str:
    """Return what to write for an item to be attested."""
    return f"write checklist: {{{item}: {{attested-by: NAME, at: DATE, words: ...}}}}"


def _either(subject: Subject, item: str) -> str:
    if item in subject.rules.refuses_waiver:
        return how_to_attest(item)
    return f"{how_to_attest(item)}, or {{not-needed: REASON}}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
