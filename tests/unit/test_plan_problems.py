"""Each mistake in an experiment is named where it stands, with the word that was probably meant.

In the texts below `§` marks the place where the problem belongs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from chaosdrill.errors import InvalidFile, Problem
from chaosdrill.plan.experiment import ExperimentFile, read_experiment

HEAD = "title: t\ndescription: d\n"
EMPTY = HEAD + "method: []\n"
VARIABLES = (
    "configuration:\n"
    "  seconds: {type: env, key: S, default: 5}\n"
    "  asked: {type: probe, name: a, provider: {}}\n"
)
SECRETS = "secrets: {group: {token: x}}\n"
BLOCK = EMPTY + VARIABLES + SECRETS + "extensions:\n- name: chaosdrill\n"
SIGNALS = BLOCK + '  signals:\n    pay: {http: {url: "http://127.0.0.1/"}}\n    api: {target: payment-api}\n'


CUT = "provider: {type: python, module: chaosdrill.actions, func: network_cut, arguments: {duration: 1 s}}"


def fault(arguments: str, func: str = "instance_failure", more: str = "") -> str:
    provider = f"{{type: python, module: chaosdrill.actions, func: {func}, arguments: {arguments}}}"
    return f"{HEAD}{VARIABLES}{SECRETS}method:\n- {{type: action, name: f, {more}provider: {provider}}}\n"


def read(tmp_path: Path, text: str) -> ExperimentFile:
    file = tmp_path / "x.yaml"
    file.write_text(text.replace("§", ""))
    return read_experiment(file)


def problems_of(tmp_path: Path, text: str) -> list[Problem]:
    with pytest.raises(InvalidFile) as refused:
        read(tmp_path, text)
    return refused.value.problems


def places_in(text: str) -> list[tuple[int, int]]:
    places, line, column = [], 1, 1
    for character in text:
        if character == "§":
            places.append((line, column))
        elif character == "\n":
            line, column = line + 1, 1
        else:
            column += 1
    return places


def check(tmp_path: Path, text: str, *expected: str) -> None:
    found = problems_of(tmp_path, text)
    assert [(p.line, p.column) for p in found] == places_in(text), [str(p) for p in found]
    for problem, words in zip(found, expected, strict=True):
        assert words in f"{problem.message} ({problem.hint})"


# ---- Chaos Toolkit's own part


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("§", "the file is empty (it needs a title, a description and a method)"),
        ("§- a\n- b", "an experiment is a mapping"),
        ("§titel: t\ndescription: d\nmethod: []", "an experiment needs a `title` (line 1 says 'titel')"),
        ("title: t\n§description: ''\nmethod: []", "an experiment needs a `description`"),
        ("§" + HEAD, "an experiment needs a `method` ([] when it only checks its hypothesis)"),
        ("§" + HEAD + "methods: []", "an experiment needs a `method` (line 3 says 'methods')"),
        (HEAD + "method:§", "`method` is a list (write [] for an empty one)"),
        (HEAD + "method: §{a: b}", "`method` is a list"),
        (EMPTY + "tags: [a, §5]", "'5' is no tag"),
        (EMPTY + "configuration:§", "`configuration` is a mapping (remove the line, or give it a value)"),
        (EMPTY + "configuration: {a: §{type: env}}", "`type: env` needs the name of a variable"),
        (EMPTY + "configuration: {a: {type: env, key: A, env_var_type: §integr}}", "did you mean 'integer'?"),
        (EMPTY + "secrets: {token: §abc}", "secrets come in named groups"),
        (EMPTY + "steady-state-hypothesis:§", "`steady-state-hypothesis` is a mapping"),
        (EMPTY + "steady-state-hypothesis: §{probes: []}", "a hypothesis needs a `title`"),
        (EMPTY + "extensions: §{name: x}", "`extensions` is a list of mappings (write `- name: ...`"),
        (EMPTY + "extensions: [§chaosdrill]", "write `- name: chaosdrill`; on a text Chaos Toolkit crashes"),
        (EMPTY + "extensions: [§{x: 1}]", "an extension needs a `name`"),
        (
            EMPTY + "extensions:\n- name: chaosdrill\n- §name: chaosdrill\n",
            "a second block called 'chaosdrill' (the first is on line 5)",
        ),
        (EMPTY + "rollbacks: §5", "`rollbacks` is a list"),
        (
            EMPTY + "controls: [{name: a, scope: §befor, provider: {type: python, module: m}}]",
            "mean 'before'?",
        ),
        (EMPTY + "controls: [§{name: a}]", "a control needs a `provider`"),
        (EMPTY + "title: §x\n".replace("§title", "title"), "twice"),
    ],
)
def test_what_chaos_toolkit_would_refuse_or_crash_on(tmp_path: Path, text: str, expected: str) -> None:
    if expected == "twice":
        text = EMPTY + "§title: x\n"
    check(tmp_path, text, expected)


@pytest.mark.parametrize(
    ("activity", "expected"),
    [
        ("§{}", "an activity is a mapping"),
        ("§text", "an activity is a mapping"),
        ("§{name: n, provider: {type: http, url: u}}", "an activity needs a `type` (probe or action)"),
        ("{type: §proobe, name: n, provider: {type: http, url: u}}", "did you mean 'probe'?"),
        ("§{type: action, provider: {type: http, url: u}}", "an activity needs a `name`"),
        ("§{type: action, name: n}", "an activity needs a `provider`"),
        ("{type: action, name: n, provider: §{url: u}}", "a provider needs a `type`"),
        ("{type: action, name: n, provider: {type: §htp, url: u}}", "did you mean 'http'?"),
        ("{type: action, name: n, provider: §{type: http}}", "an HTTP provider needs a `url`"),
        ("{type: action, name: n, provider: {type: http, url: u, headers: §x}}", "`headers` is a mapping"),
        ("{type: action, name: n, provider: §{type: python, func: f}}", "names a Python module: `module`"),
        (
            "{type: action, name: n, provider: {type: python, module: m, func: f, arguments: §[a]}}",
            "a mapping",
        ),
        ("{type: action, name: n, provider: §{type: process}}", "names its program: `path`"),
        ("{type: action, name: n, provider: {type: process, path: §no-such-program}}", "can be run here"),
        ("{type: action, name: n, background: §'true', provider: {type: http, url: u}}", "without quotes"),
        ("{type: action, name: n, timeout: §5 s, provider: {type: http, url: u}}", "a number of seconds"),
        (
            "{type: action, name: n, pauses: {after: §5 s}, provider: {type: http, url: u}}",
            "takes no unit here",
        ),
        ("{type: action, name: n, pauses: §5, provider: {type: http, url: u}}", "`pauses` is a mapping"),
        ("{ref: §nothing}", "no activity is called 'nothing' (there is none)"),
        ("{ref: §''}", "`ref` is the name of an activity"),
    ],
)
def test_what_is_wrong_with_an_activity(tmp_path: Path, activity: str, expected: str) -> None:
    check(tmp_path, f"{HEAD}method:\n- {activity}\n", expected)


@pytest.mark.parametrize(
    ("tolerance", "expected"),
    [
        ("§1.5", "for a number with decimals write {type: range"),
        ("§", "'' is no tolerance"),
        ("{type: §rangee, range: [0, 1]}", "did you mean 'range'?"),
        ("{type: range, range: §[0]}", "`range` is a list of two numbers"),
        ("{type: range, range: [0, §1 s]}", "'1 s' is no number"),
        ("{type: regex, pattern: §'a('}", "'a(' is no regular expression"),
        ("§{type: jsonpath}", "a jsonpath tolerance needs a `path`"),
        ("§{type: probe, name: n}", "an activity needs a `provider`"),
    ],
)
def test_what_is_wrong_with_a_tolerance(tmp_path: Path, tolerance: str, expected: str) -> None:
    probe = f"{{type: probe, name: p, provider: {{type: http, url: u}}, tolerance: {tolerance}}}"
    check(tmp_path, f"{EMPTY}steady-state-hypothesis:\n  title: h\n  probes:\n  - {probe}\n", expected)


def test_a_probe_of_the_hypothesis_needs_a_tolerance(tmp_path: Path) -> None:
    probe = "§{type: probe, name: p, provider: {type: http, url: u}}"
    check(tmp_path, f"{EMPTY}steady-state-hypothesis: {{title: h, probes: [{probe}]}}", "needs a `tolerance`")


def test_a_pattern_that_python_can_not_parse_is_a_problem_and_not_a_crash(tmp_path: Path) -> None:
    tolerance = f"{{type: regex, pattern: §'{'(' * 20000}'}}"
    probe = f"{{type: probe, name: p, provider: {{type: http, url: u}}, tolerance: {tolerance}}}"
    check(
        tmp_path, f"{EMPTY}steady-state-hypothesis: {{title: h, probes: [{probe}]}}", "no regular expression"
    )


# ---- our block


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("§servce: x", "the chaosdrill block has no 'servce' (did you mean 'service'?)"),
        ("§time_limit: 5 min", "has no 'time_limit' (did you mean 'time-limit'?)"),
        ("version: §2", "`version`: '2' is not 1"),
        ("§environment:", "'environment' is empty (give it a value, or remove the line)"),
        ("§abort-when: ~", "'abort-when' is empty"),
        ("time-limit: §10", "'10' has no unit; write 10 s, 10 min or 10 ms"),
        ("time-limit: §10 x", "'x' is no unit of time; use ms, s, min, h or d"),
        ("time-limit: §0 s", "it must last longer than 0 s"),
        (
            "phases: {baselin§: 5 s}".replace("baselin§", "§baselin"),
            "phases has no 'baselin' (did you mean 'baseline'?)",
        ),
        ("phases: §5 s", "`phases`: a mapping belongs here, not '5 s'"),
        ("blast-radius: {max-share: §34}", "'34' is not a share; write 34 %"),
        ("blast-radius: {max-share: §0.34}", "'0.34' is not a share; write 34 %"),
        ("blast-radius: {max-targets: §0}", "'0' is less than 1"),
        ("blast-radius: {max-targets: §one}", "a whole number belongs here, not 'one'"),
        ("seed: §x", "a whole number belongs here, not 'x'"),
        ("criteria: §none", "a list belongs here, not 'none'"),
        ("signals: {§'a.b': {target: x}}", "'a.b' can't be the name of a signal"),
        ("signals: {a: §{}}", "give exactly one of http, tcp or target, not none"),
        ("signals: {a: §{target: x, tcp: {address: 'h:1'}}}", "not tcp and target"),
        ("signals: {a: {http: §{}}}", "signals.a.http needs a `url`"),
        ("signals: {a: {http: {url: §127.0.0.1/x}}}", "it begins with http:// or https://"),
        (
            "signals: {a: {http: {url: 'http://h', §rte: 50}}}",
            "signals.a.http has no 'rte' (did you mean 'rate'?)",
        ),
        ("signals: {a: {http: {url: 'http://h', rate: §50/h}}}", "'/h' is no unit of rate"),
        ("signals: {a: {http: {url: 'http://h', timeout: §2}}}", "'2' has no unit"),
        ("signals: {a: {http: {url: 'http://h', expect: §20}}}", "'20' is no range of status codes"),
        ("signals: {a: {tcp: {address: §localhost}}}", "'localhost' is not host:port"),
        ("signals: {a: {target: x, every: §0 s}}", "it must last longer than 0 s"),
        ("checklist: §[a]", "a mapping belongs here"),
        ('environment: §"${seconds}"', "the environment is needed before any variable is known"),
        ('service: §"${secondz}"', "no configuration is called 'secondz' (did you mean 'seconds'?)"),
        ('service: §"${token}"', "a secret can't stand here; it would be printed and recorded"),
        ('service: §"${asked}"', "known only once the run has started: its configuration is a probe"),
        (
            'service: §"${fault-seconds}"',
            "'${fault-seconds}' is no name of a variable (letters, digits and _)",
        ),
        ('service: §"${seconds"', "'${' without its '}'"),
    ],
)
def test_what_is_wrong_with_the_block(tmp_path: Path, line: str, expected: str) -> None:
    check(tmp_path, f"{BLOCK}  {line}\n", expected)


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        (
            "{signal: §pay.availabilty, above: 99 %}",
            "'availabilty' is nothing that is measured (did you mean 'availability'?)",
        ),
        ("{signal: §pax.availability, above: 99 %}", "no signal is called 'pax' (did you mean 'pay'?)"),
        ("{signal: §p95_latency, below: 1 s}", "'p95_latency' does not say whose (write pay.p95_latency)"),
        ("{signal: §pay, below: 1 s}", "'pay' is a source: say which of its series (pay.availability, "),
        ("{signal: §latency, below: 1 s}", "no signal is called 'latency' (did you mean "),
        (
            "{signal: §pay.ready, at-least: 3}",
            "'pay' measures requests, which have no ready (known: availability, ",
        ),
        (
            "{signal: §api.availability, above: 1 %}",
            "'api' measures a target, which have no availability (known: ready, ",
        ),
        (
            "{signal: pay.availability, above: §99}",
            "`above` of pay.availability: '99' is not a share; write 99 %",
        ),
        ("{signal: pay.p95_latency, below: §500}", "'500' has no unit; write 500 s, 500 min or 500 ms"),
        ("{signal: api.ready, at-least: §3 s}", "'3 s' has a unit; a bare number belongs here, such as 3"),
        (
            "{signal: api.breaker, equals: §close}",
            "no state of a circuit breaker; use closed, half-open or open",
        ),
        (
            "{signal: pay.availability, above: §100 %}",
            "pay.availability is never above 100 % (write at-least)",
        ),
        ("{signal: pay.error_rate, below: §0 %}", "pay.error_rate is never below 0 % (write at-most)"),
        ("{signal: api.ready, at-least: §-1}", "it can't be negative"),
        ("§{signal: pay.availability, above: 99 %, below: 99.5 %}", "give exactly one of above, below"),
        ("§{signal: pay.availability}", "give exactly one of above, below"),
        ("§{above: 99 %}", "criteria[0] needs a `signal`"),
        ("§text", "a mapping belongs here, not 'text'"),
        ("{signal: pay.availability, above: 99 %, over: §10}", "'10' has no unit"),
        ("{signal: pay.availability, above: 99 %, phase: §falt}", "did you mean 'fault'?"),
        ("{signal: pay.availability, above: 99 %, phase: [fault, §recovry]}", "did you mean 'recovery'?"),
        ("{signal: pay.availability, above: 99 %, after: §fault-stop}", "did you mean 'fault-start'?"),
        ("§{signal: pay.availability, above: 99 %, over: 10 s, within: 1 min}", "not both"),
        ("§{signal: pay.availability, above: 99 %, over: 0 s}", "a window lasts longer than 0 s"),
    ],
)
def test_what_is_wrong_with_a_criterion(tmp_path: Path, bound: str, expected: str) -> None:
    check(tmp_path, f"{SIGNALS}  criteria:\n  - {bound}\n", expected)


def test_a_misspelt_key_of_a_criterion_is_told_apart_from_a_missing_one(tmp_path: Path) -> None:
    found = problems_of(tmp_path, f"{SIGNALS}  criteria:\n  - {{signal: pay.availability, abov: 99 %}}\n")
    assert "criteria[0] has no 'abov' (did you mean 'above'?)" in [f"{p.message} ({p.hint})" for p in found]


def test_a_stop_condition_is_read_like_a_criterion(tmp_path: Path) -> None:
    bounds = "- {signal: §pay.ready, below: 1}\n  - {signal: pay.availability, below: 95 %, for: §5}\n"
    check(tmp_path, f"{SIGNALS}  abort-when:\n  {bounds}", "'pay' measures requests", "'5' has no unit")


def test_limits_that_exclude_each_other_are_refused(tmp_path: Path) -> None:
    criteria = (
        "  criteria:\n"
        "  - {signal: pay.error_rate, below: 1 %}\n"
        "  - §{signal: pay.error_rate, above: 5 %}\n"
        "  - {signal: api.ready, at-least: 3}\n"
        "  - {signal: api.ready, at-most: 3}\n"
        "  - §{signal: api.ready, below: 3}\n"
        "  - {signal: api.ready, equals: 2, over: 10 s}\n"
    )
    check(
        tmp_path,
        SIGNALS + criteria,
        "no pay.error_rate can be above 5 % and below 1 % (the other stands on line 14)",
        "no api.ready can be below 3 and at least 3",
    )


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    text = (
        "§titel: t\ndescription: d\nmethod:\n- {ref: §x}\n"
        "- {type: §act, name: n, provider: {type: http, url: u}}\n"
        "extensions:\n- name: chaosdrill\n  §srvice: x\n  time-limit: §5\n"
    )
    check(tmp_path, text, "`title`", "no activity", "'act'", "'srvice'", "has no unit")


def test_what_hangs_on_variables_waits_until_they_are_known(tmp_path: Path) -> None:
    line = '{signal: "pay.availability", above: "${seconds} %", over: "${seconds} s"}'
    more = '  time-limit: "${seconds}"\n  seed: "${seconds}"\n  blast-radius: {max-targets: "${seconds}"}\n'
    experiment = read(tmp_path, f"{SIGNALS}  criteria:\n  - {line}\n{more}")
    assert experiment.variables == {"seconds"}


# ---- faults


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (fault("{target: x, duration: 30 s}", func="§instance_failur"), "did you mean 'instance_failure'?"),
        (fault("{target: x, duration: §30}"), "`duration`: '30' has no unit; write 30 s, 30 min or 30 ms"),
        (fault("{target: x, duration: §0 s}"), "`duration`: '0 s' is nothing at all"),
        (fault("{target: x, duration: §' s'}"), "'s' is not a duration"),
        (fault("{target: x, duration: §''}"), "`duration` is empty; write it like '30 s'"),
        (fault("{target: x, duration: §[30 s]}"), "does not belong here"),
        (fault("§{target: x}"), "`duration` is missing; write it like '30 s'"),
        (
            fault("{target: x, duration: 30 s, §cuont: 1}"),
            "takes no argument 'cuont' (did you mean 'count'?)",
        ),
        (fault("{target: x, duration: 30 s, §5: 1}"), "'5' is no name of an argument"),
        (fault("{target: x, duration: 30 s, count: §0}"), "`count`: '0' is too little; the least is 1"),
        (fault("{target: x, duration: 30 s, count: §1.5}"), "'1.5' is not a whole number"),
        (fault("{target: x, duration: 30 s, count: §true}"), "True does not belong here"),
        (fault("{target: x, duration: 30 s, share: §101 %}"), "outside 0 % to 100 %"),
        (fault("{target: x, duration: 30 s, count: 1, share: §5 %}"), "give `count` or `share`, not both"),
        (fault("{delay: 10 ms, jitter: §1 s, duration: 1 s}", func="network_latency"), "more than the delay"),
        (fault("{target: x, workers: §65, duration: 1 s}", func="cpu_stress"), "the most is 64"),
        (fault('{target: x, duration: §"${second} s"}'), "did you mean 'seconds'?"),
        (fault('{target: x, duration: §"${asked} s"}'), "its configuration is a probe"),
        (
            fault("{target: x, duration: 1 s}").replace("type: action", "type: §probe"),
            "a fault is an action: a dry run plays probes",
        ),
    ],
)
def test_what_is_wrong_with_a_fault(tmp_path: Path, text: str, expected: str) -> None:
    check(tmp_path, text, expected)


def test_a_fault_longer_than_the_run_may_last_is_refused(tmp_path: Path) -> None:
    limited = "extensions: [{name: chaosdrill, time-limit: 10 min}]\n"
    check(
        tmp_path,
        fault("{target: x, duration: §20 min}") + limited,
        "the fault lasts 20 min, the run at most 10 min (raise time-limit, or shorten the fault)",
    )
    check(
        tmp_path, fault("{target: x, duration: §2 h}") + "extensions: [{name: chaosdrill}]\n", "at most 1 h"
    )
    assert read(tmp_path, fault("{target: x, duration: 20 min}")).faults


def test_a_fault_hides_neither_in_the_hypothesis_nor_in_the_configuration(tmp_path: Path) -> None:
    text = (
        f"{EMPTY}steady-state-hypothesis:\n  title: h\n  probes:\n"
        f"  - §{{type: action, name: a, tolerance: true, {CUT}}}\n"
        f"  - {{type: probe, name: b, tolerance: §{{type: probe, name: c, {CUT}}},"
        " provider: {type: http, url: u}}\n"
        f"configuration:\n  x: §{{type: probe, name: d, {CUT}}}\n"
    )
    check(tmp_path, text, "can't stand here", "can't stand here", "can't stand here")


def test_a_fault_with_an_empty_reference_is_found_too(tmp_path: Path) -> None:
    (found,) = read(tmp_path, f"{HEAD}method:\n- {{ref: ~, type: action, name: n, {CUT}}}\n").faults
    assert found.activity == "n"


def test_faults_are_found_in_their_order_and_through_references(tmp_path: Path) -> None:
    text = (
        f"{HEAD}method:\n- {{type: action, name: first, {CUT}}}\n- {{ref: first}}\n"
        "- {type: action, name: other, provider: {type: http, url: u}}\n"
        f"rollbacks:\n- {{type: action, name: last, {CUT}}}\n"
    )
    faults = read(tmp_path, text).faults
    assert [(f.activity, f.section, f.kind) for f in faults] == [
        ("first", "method", "network_cut"),
        ("first", "method", "network_cut"),
        ("last", "rollbacks", "network_cut"),
    ]
    assert faults[0].arguments == {"duration": "1 s"}


# ---- what a file gives


def test_json_is_read_like_yaml_with_its_own_places(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(
        '{"title": "t", "description": "d", "method": [],\n'
        ' "extensions": [{"name": "chaosdrill",\n'
        '  "version": 1, "time-limit": 30, "seed": null, "srvice": true}]}'
    )
    with pytest.raises(InvalidFile) as refused:
        read_experiment(file)
    assert [str(problem) for problem in refused.value.problems] == [
        "3:31: `time-limit`: '30' has no unit; write 30 s, 30 min or 30 ms",
        "3:35: 'seed' is empty (give it a value, or remove the line)",
        "3:49: the chaosdrill block has no 'srvice' (did you mean 'service'?)",
    ]


def test_a_plain_experiment_has_no_block_and_never_pays_for_pydantic(tmp_path: Path) -> None:
    file = tmp_path / "plain.yaml"
    file.write_text(EMPTY)
    code = (
        "import sys; from chaosdrill.plan.experiment import read_experiment; import chaosdrill.plan.resolve\n"
        f"assert read_experiment({str(file)!r}).block is None\n"
        "assert not {'pydantic', 'chaoslib', 'click', 'difflib'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_bytes_their_digest_and_the_raw_block_are_kept(tmp_path: Path) -> None:
    experiment = read(tmp_path, f"{BLOCK}  environment: staging\n  service: NO\n")
    assert experiment.content == experiment.path.read_bytes()
    assert len(experiment.digest) == 64
    assert experiment.environment == "staging"
    assert experiment.block == {"name": "chaosdrill", "environment": "staging", "service": "NO"}
    assert experiment.title == "t"
