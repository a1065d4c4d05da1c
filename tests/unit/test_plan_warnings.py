"""What Chaos Toolkit accepts and nobody means is a warning with its place, and never stops a run.

In the texts below `§` marks the place where the warning belongs.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from chaosdrill.plan.experiment import read_experiment

HEAD = "title: t\ndescription: d\n"
EMPTY = HEAD + "method: []\n"
HTTP = "provider: {type: http, url: u}"
CUT = "provider: {type: python, module: chaosdrill.actions, func: network_cut, arguments: {duration: 1 s}}"
SIGNALS = (
    EMPTY + "extensions:\n- name: chaosdrill\n"
    "  signals: {pay: {http: {url: 'http://h', rate: 5}}, api: {target: payment-api}}\n"
)


def warnings_in(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "x.yaml"
    file.write_text(text.replace("§", ""))
    return [str(warning) for warning in read_experiment(file).warnings]


def place_in(text: str) -> str:
    before = text.partition("§")[0]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            EMPTY + "§rollback: []",
            "Chaos Toolkit ignores 'rollback' in an experiment (did you mean 'rollbacks'?)",
        ),
        (EMPTY + "§owner: me", "Chaos Toolkit ignores 'owner' in an experiment"),
        (
            EMPTY + "runtime: {rollbacks: {strategy: §allways}}",
            "'allways' is no strategy: rollbacks would never be played (did you mean 'always'?)",
        ),
        (
            EMPTY + "runtime: {hypothesis: {strategy: §continuosly}}",
            "'continuosly' is no strategy: Chaos Toolkit would crash (did you mean 'continuously'?)",
        ),
        (
            EMPTY + "extensions: [{name: §chaosdril}]",
            "nobody reads the extension 'chaosdril' (did you mean 'chaosdrill'?)",
        ),
        (
            EMPTY + "controls: [{name: c, provider: {type: python, module: §no_such.module}}]",
            "the module 'no_such.module' is not installed here: Chaos Toolkit runs on without it "
            "(install it, or remove the control)",
        ),
        (
            EMPTY + "configuration: {a: {type: env, key: A, default: §x, env_var_type: int}}",
            "the default 'x' is no int (Chaos Toolkit crashes on it unless the variable is set)",
        ),
        (
            EMPTY + "steady-state-hypothesis: {title: h, §probe: []}",
            "Chaos Toolkit ignores 'probe' in a hypothesis (did you mean 'probes'?)",
        ),
        (
            EMPTY
            + "steady-state-hypothesis: {title: h, probes: ["
            + f"{{type: §action, name: n, tolerance: 1, {HTTP}}}]}}",
            "an action among the probes of a hypothesis is carried out each time it is checked",
        ),
        (
            HEAD + f"method:\n- {{type: action, name: n, §pause: {{after: 1}}, {HTTP}}}",
            "Chaos Toolkit ignores 'pause' in an activity (did you mean 'pauses'?)",
        ),
        (
            HEAD + f"method:\n- {{type: action, name: n, §timeout: 5, {HTTP}}}",
            "Chaos Toolkit reads `timeout` of an activity and never uses it (set it in the provider)",
        ),
        (
            HEAD + f"method:\n- {{type: action, name: n, §dry: true, {HTTP}}}",
            "Chaos Toolkit reads `dry` of an activity and never uses it (use --dry-run)",
        ),
        (
            HEAD + f"method:\n- {{type: action, name: n, pauses: {{before: §-1}}, {HTTP}}}",
            "a pause of '-1' s: Chaos Toolkit ends the run when it gets here",
        ),
        (
            HEAD + f"method:\n- {{type: action, name: n, {HTTP}}}\n- {{type: action, name: §n, {HTTP}}}",
            "a second activity called 'n' (the first is on line 4)",
        ),
        (
            HEAD + "method:\n- {type: action, name: n, provider: {type: http, url: u, §header: {}}}",
            "Chaos Toolkit ignores 'header' in a provider (did you mean 'headers'?)",
        ),
        (
            HEAD + "configuration: {host: h}\nmethod:\n"
            "- {type: action, name: n, provider: {type: http, url: §'${hots}/x'}}",
            "no configuration or secret is called 'hots': it is passed on as it is (did you mean 'host'?)",
        ),
        (
            EMPTY + f"rollbacks:\n- §{{type: action, name: n, {CUT}}}",
            "a fault among the rollbacks is injected after the method "
            "(chaosdrill undoes its faults by itself)",
        ),
        (
            SIGNALS + "  abort-when: [§{signal: pay.availability, above: 95 %}]",
            "aborts while pay.availability is above 95 %, which is good (for availability, higher is better)",
        ),
        (
            SIGNALS + "  criteria: [{signal: pay.p95_latency, below: 1 s, over: §10 s}]",
            "a window of 10 s holds 50 samples, pay.p95_latency needs 59: always inconclusive "
            "(widen the window, or raise the rate)",
        ),
        (
            SIGNALS + "  criteria: [{signal: pay.availability, above: 99.9 %, over: §10 s}]",
            "a window of 10 s holds 50 samples, pay.availability needs 1000: always inconclusive "
            "(widen the window, or raise the rate)",
        ),
    ],
)
def test_it_is_a_warning_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    assert warnings_in(tmp_path, text) == [f"{place_in(text)}: {expected}"]


@pytest.mark.parametrize(
    "text",
    [
        EMPTY + "x-team: payments\n.base: {a: 1}\n",
        EMPTY + "runtime: {rollbacks: {strategy: always}, hypothesis: {strategy: continuously}}",
        EMPTY + "controls: [{name: c, provider: {type: python, module: json.decoder}}]",
        EMPTY + "extensions: [{name: other}]",
        HEAD + f"method:\n- {{type: action, name: n, {HTTP}}}\n- {{ref: n}}",
        HEAD
        + "secrets: {g: {token: x}}\n"
        + "method:\n- {type: action, name: n, provider: {type: http, url: '${token}'}}",
        HEAD
        + "method:\n"
        + "- {type: action, name: n, provider: {type: process, path: 'true', arguments: '$HOME $$'}}",
        HEAD + "method:\n- {type: action, name: n, provider: {type: http, url: u, colour: 3}}",
        SIGNALS + "  criteria: [{signal: pay.p95_latency, below: 1 s, over: 12 s}]",
        SIGNALS + "  abort-when: [{signal: api.cpu, above: 95 %}]",
    ],
)
def test_what_is_meant_gives_no_warning(tmp_path: Path, text: str) -> None:
    assert warnings_in(tmp_path, text) == []
