"""What a run proved: five independent lines, an exit code, and the numbers behind them.

Pure: the same evidence and samples give the same verdict, now or in ten years. It reads no file and knows
no clock; `judge RUN` on an old folder is this same function.
"""

from __future__ import annotations

from chaosdrill.errors import PRECEDENCE, Exit
from chaosdrill.model.run import Evidence, Line, Verdict
from chaosdrill.record.samples import Samples
from chaosdrill.verdict.criteria import Observation, result
from chaosdrill.verdict.hypothesis import hypothesis
from chaosdrill.verdict.lines import cleanup, coverage, execution, not_proved_undone
from chaosdrill.verdict.wording import describe

_WORDS = {
    Exit.RESIDUE: "RESIDUE LEFT",
    Exit.REFUSED: "REFUSED",
    Exit.ABORTED: "ABORTED",
    Exit.DEVIATED: "DEVIATED",
    Exit.HELD: "HELD",
}


def judge(evidence: Evidence, samples: Samples) -> Verdict:
    """Return the verdict on a run.

    The exit code is the first true one of chaosdrill.errors.PRECEDENCE. It is 0 only when the hypothesis held
    over a run that was played to its end and hit everything that it was to hit; a file without any hypothesis
    ends in 5, for nothing was shown.
    """
    block = evidence.block
    seen = Observation(evidence.phases, samples, block.signals if block else {})
    # Of a run that was refused there is nothing to hold against them.
    asked = block.criteria if block and not evidence.refused else ()
    criteria = tuple(result(criterion, seen) for criterion in asked)
    lines = {
        "execution": execution(evidence),
        "hypothesis": hypothesis(evidence, criteria),
        "response": Line(state="not exercised", text=""),
        "cleanup": cleanup(evidence),
        "coverage": coverage(evidence),
    }
    code = _exit_code(evidence, lines)
    word, why = _word(code, lines)
    return Verdict(
        **lines, criteria=criteria, probes=evidence.engine.probes, exit_code=code, word=word, why=why
    )


def _exit_code(evidence: Evidence, lines: dict[str, Line]) -> Exit:
    true = {Exit.HELD if lines["hypothesis"].state == "held" else Exit.INCONCLUSIVE}
    if not_proved_undone(evidence.faults) or evidence.unplayed:
        true.add(Exit.RESIDUE)
    if lines["execution"].state == "refused":
        true.add(Exit.REFUSED)
    elif lines["execution"].state == "aborted":
        true.add(Exit.ABORTED)
    elif evidence.engine.status is None:
        # Whatever ended it, it did end early; 1 would be no answer.
        true.add(Exit.ABORTED)
    if lines["hypothesis"].state == "deviated":
        true.add(Exit.DEVIATED)
    if lines["execution"].state == "errored" or lines["coverage"].state in ("partial", "none"):
        true.add(Exit.INCONCLUSIVE)
    return next(code for code in PRECEDENCE if code in true)


def _word(code: Exit, lines: dict[str, Line]) -> tuple[str, str]:
    """Return the word for the whole, and the line that decided it."""
    if code is Exit.RESIDUE:
        return _WORDS[code], lines["cleanup"].text
    if code is Exit.REFUSED:
        return _WORDS[code], lines["execution"].text
    if code is Exit.ABORTED:
        word = _WORDS[code] if lines["execution"].state == "aborted" else "ERRORED"
        return word, lines["execution"].text
    if code in (Exit.DEVIATED, Exit.HELD):
        return _WORDS[code], lines["hypothesis"].text
    if lines["execution"].state == "errored":
        return "ERRORED", lines["execution"].text
    if lines["hypothesis"].state == "not evaluated":
        return "NOT EVALUATED", lines["hypothesis"].text
    if lines["hypothesis"].state == "held":
        return "INCONCLUSIVE", lines["coverage"].text
    return "INCONCLUSIVE", lines["hypothesis"].text


__all__ = ["describe", "judge"]
