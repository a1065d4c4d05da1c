"""A run from a file to its verdict, on a real sandbox: every way in which it can come out."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from commandline import BIN, Answer, CommandLine

PROBE = {
    "type": "probe",
    "name": "checkout-answers",
    "tolerance": 200,
    "provider": {"type": "http", "url": "${shop_url}/checkout", "timeout": 2},
}
BLOCK: dict[str, Any] = {
    "name": "chaosdrill",
    "version": "1",
    "hypothesis": "Nobody notices.",
    "signals": {"pay": {"http": {"url": "${shop_url}/checkout", "rate": "50"}}},
    "criteria": [
        {"signal": "pay.error_rate", "below": "1 %", "over": "phase"},
        {"signal": "pay.p95_latency", "below": "500 ms", "over": "phase"},
    ],
    "phases": {"baseline": "1 s", "recovery": "1 s"},
}


def _fault(func: str, **arguments: Any) -> dict[str, Any]:
    provider = {"type": "python", "module": "chaosdrill.actions", "func": func, "arguments": arguments}
    return {"type": "action", "name": func.replace("_", "-"), "provider": provider}


def _experiment(place: Path, *method: dict[str, Any], **block: Any) -> str:
    experiment = {
        "title": "A test",
        "description": "A test.",
        "configuration": {
            "shop_url": {"type": "env", "key": "CHAOSDRILL_SHOP_URL", "default": "http://127.0.0.1:9"}
        },
        "steady-state-hypothesis": {"title": "It answers", "probes": [PROBE]},
        "method": list(method),
        "rollbacks": [],
        "extensions": [{**copy.deepcopy(BLOCK), **block}],
    }
    path = place / "experiment.json"
    path.write_text(json.dumps(experiment))
    return str(path)


def _folder(answer: Answer) -> Path:
    return Path(answer.json["folder"])


def _events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def _nothing_is_on(line: CommandLine) -> bool:
    return not line("sandbox", "status", "--json").json["faults"]


def test_a_fault_that_nobody_notices_is_held_and_leaves_a_whole_folder(on_sandbox: CommandLine) -> None:
    file = _experiment(on_sandbox.place, _fault("network_latency", delay="20 ms", duration="4 s"))
    answer = on_sandbox("run", "--json", file)
    assert (answer.code, answer.err) == (0, "")
    folder = _folder(answer)
    assert {
        "run.json",
        "journal.jsonl",
        "ledger.jsonl",
        "samples.csv",
        "experiment.json",
        "engine.json",
        "report.html",
        "report.md",
        "report.json",
        "junit.xml",
    } <= {path.name for path in folder.iterdir()}
    facts = json.loads((folder / "run.json").read_text())
    assert facts["state"] == "sealed"
    assert facts["verdict"]["cleanup"]["state"] == "verified"
    assert _nothing_is_on(on_sandbox)


def test_the_same_folder_gives_the_same_verdict_again(on_sandbox: CommandLine) -> None:
    file = _experiment(on_sandbox.place, _fault("network_latency", delay="20 ms", duration="3 s"))
    first = on_sandbox("run", "--json", file)
    again = on_sandbox("judge", "--json", str(_folder(first)))
    assert again.code == first.code
    assert again.json["verdict"] == first.json["verdict"]


def test_a_broken_criterion_deviates_with_7_and_one_line_that_says_why(on_sandbox: CommandLine) -> None:
    criteria = [{"signal": "pay.p95_latency", "below": "400 ms", "over": "phase"}]
    file = _experiment(
        on_sandbox.place,
        _fault("network_latency", delay="500 ms", duration="4 s"),
        criteria=criteria,
    )
    answer = on_sandbox("run", "--json", file)
    assert answer.code == 7
    assert len(answer.err.splitlines()) == 1
    assert "pay.p95_latency" in answer.err
    assert answer.json["verdict"]["hypothesis"]["state"] == "deviated"


def test_too_few_samples_are_inconclusive_and_it_says_how_many_were_missing(on_sandbox: CommandLine) -> None:
    criteria = [{"signal": "pay.availability", "above": "99.9 %", "over": "phase"}]
    file = _experiment(
        on_sandbox.place,
        _fault("network_latency", delay="20 ms", duration="2 s"),
        criteria=criteria,
    )
    answer = on_sandbox("run", "--json", file)
    assert answer.code == 5
    (result,) = answer.json["verdict"]["criteria"]
    assert result["needed"] == 1000
    assert 0 < result["samples"] < 1000
    assert str(result["needed"] - result["samples"]) in result["text"].replace(",", "")


def test_a_stop_condition_aborts_and_undoes_with_4(on_sandbox: CommandLine) -> None:
    file = _experiment(
        on_sandbox.place,
        _fault("network_latency", delay="150 ms", duration="60 s"),
        **{"abort-when": [{"signal": "pay.p95_latency", "above": "100 ms", "for": "1 s"}]},
    )
    answer = on_sandbox("run", "--json", file)
    assert answer.code == 4
    assert "pay.p95_latency above 100 ms" in answer.err
    events = _events(_folder(answer))
    assert [e["how"] for e in events if e["event"] == "fault.undone"] == ["abort"]
    assert _nothing_is_on(on_sandbox)


def test_the_time_limit_aborts_and_undoes(on_sandbox: CommandLine) -> None:
    pauses = {**_fault("network_latency", delay="20 ms", duration="3 s"), "pauses": {"after": 60}}
    answer = on_sandbox("run", "--json", _experiment(on_sandbox.place, pauses, **{"time-limit": "5 s"}))
    assert answer.code == 4
    assert "time limit" in answer.err
    assert _nothing_is_on(on_sandbox)


def test_two_faults_at_once_are_both_undone_on_an_abort(on_sandbox: CommandLine) -> None:
    background = {**_fault("network_latency", delay="20 ms", duration="60 s"), "background": True}
    file = _experiment(
        on_sandbox.place,
        background,
        _fault("instance_failure", target="payment-api", count=1, duration="60 s"),
        **{"time-limit": "61 s"},
    )
    with on_sandbox.start("run", "--json", file) as process:
        _until_active(on_sandbox, 2)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 4, err
    events = _events(Path(json.loads(out)["folder"]))
    assert sorted(e["kind"] for e in events if e["event"] == "fault.undone") == [
        "instance_failure",
        "network_latency",
    ]
    assert _nothing_is_on(on_sandbox)


def test_a_killed_engine_leaves_nothing_on(on_sandbox: CommandLine) -> None:
    file = _experiment(on_sandbox.place, _fault("network_latency", delay="20 ms", duration="60 s"))
    with on_sandbox.start("run", "--json", file) as process:
        _until_active(on_sandbox, 1)
        (folder,) = (on_sandbox.place / "runs").iterdir()
        engine = next(e["pid"] for e in _events(folder) if e["event"] == "engine.started")
        os.kill(engine, signal.SIGKILL)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 4, err
    assert "the engine died (signal 9)" in err
    undone = [e for e in _events(folder) if e["event"] == "fault.undone"]
    assert [(e["how"], e["residue"]) for e in undone] == [("unwind", [])]
    assert _nothing_is_on(on_sandbox)


def test_a_killed_runner_takes_its_fault_along(on_sandbox: CommandLine) -> None:
    file = _experiment(on_sandbox.place, _fault("network_latency", delay="20 ms", duration="60 s"))
    with on_sandbox.start("run", "--json", file) as process:
        _until_active(on_sandbox, 1)
        process.kill()
        process.communicate(timeout=30)
    _until_active(on_sandbox, 0)
    assert "lost" in on_sandbox("status").out


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (_fault("instance_failure", target="payment-ap", duration="1 s"), "payment-api"),
        (_fault("instance_failure", target="payment-api", count=2, duration="1 s"), "blast radius allows 1"),
        (_fault("instance_failure", target="payment-api", count=9, duration="1 s"), "9"),
    ],
)
def test_what_cannot_be_cleared_is_refused_with_3(
    fault: dict[str, Any], said: str, on_sandbox: CommandLine
) -> None:
    file = _experiment(on_sandbox.place, fault, **{"blast-radius": {"max-targets": "1"}})
    answer = on_sandbox("run", file)
    assert answer.code == 3
    assert said in " ".join((answer.out + answer.err).split())
    (folder,) = (on_sandbox.place / "runs").iterdir()
    assert "run.refused" in (folder / "journal.jsonl").read_text()
    assert "fault.active" not in (folder / "journal.jsonl").read_text()


def test_a_signal_that_does_not_answer_refuses_with_3(on_sandbox: CommandLine) -> None:
    signals = {"pay": {"http": {"url": "http://127.0.0.1:9/checkout"}}}
    file = _experiment(on_sandbox.place, _fault("network_cut", duration="1 s"), signals=signals)
    answer = on_sandbox("run", file)
    assert (answer.code, len(answer.err.splitlines())) == (3, 1)
    assert "127.0.0.1:9" in answer.err


def test_without_a_sandbox_a_fault_on_it_is_refused_with_the_next_step(chaosdrill: CommandLine) -> None:
    answer = chaosdrill("run", _experiment(chaosdrill.place, _fault("network_cut", duration="1 s")))
    assert answer.code == 3
    assert "chaosdrill sandbox up" in answer.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["run"], 2, "Missing argument"),
        (["run", "nowhere.yaml"], 2, "nowhere.yaml"),
        (["rum"], 2, "Did you mean 'run'?"),
        (["run", "--environment", "prod", "experiment.json"], 2, "prod"),
        (["--home", "/proc/nowhere", "run", "plain.json"], 2, "/proc/nowhere"),
        (["show", "last"], 2, "chaosdrill run"),
        (["abort", "nothing"], 2, "nothing"),
    ],
)
def test_bad_usage_is_one_line_with_the_next_step(
    arguments: list[str], code: int, said: str, chaosdrill: CommandLine
) -> None:
    _experiment(chaosdrill.place, _fault("network_cut", duration="1 s"))
    plain = {"title": "t", "description": "d", "method": []}
    (chaosdrill.place / "plain.json").write_text(json.dumps(plain))
    answer = chaosdrill(*arguments)
    assert (answer.code, len(answer.err.splitlines())) == (code, 1), answer.err
    assert said in answer.err


def test_chaos_run_plays_our_file_on_the_sandbox(on_sandbox: CommandLine, sandbox_directory: Path) -> None:
    file = _experiment(on_sandbox.place, _fault("network_latency", delay="20 ms", duration="1 s"))
    url = on_sandbox("sandbox", "status", "--json").json["shop_url"]
    done = subprocess.run(
        [str(BIN / "chaos"), "--no-version-check", "--no-log-file", "run", file],
        cwd=on_sandbox.place,
        env={**on_sandbox.environment, "CHAOSDRILL_SHOP_URL": url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    journal = json.loads((on_sandbox.place / "journal.json").read_text())
    assert journal["run"][0]["output"]["hit"]
    assert _nothing_is_on(on_sandbox)


def _until_active(line: CommandLine, count: int) -> None:
    """Wait until exactly `count` faults are on in the sandbox; the commands themselves take their time."""
    for _ in range(100):
        if len(line("sandbox", "status", "--json").json["faults"]) == count:
            return
    raise AssertionError(f"never saw {count} faults")


@pytest.mark.parametrize(
    ("variable", "said"),
    [("shop_ulr=x", "did you mean 'shop_url'"), ("shop_url", "is not KEY=VALUE")],
)
def test_a_variable_that_is_not_there_is_no_silent_default(
    variable: str, said: str, chaosdrill: CommandLine
) -> None:
    file = _experiment(chaosdrill.place, _fault("network_cut", duration="1 s"))
    answer = chaosdrill("run", "--var", variable, file)
    assert (answer.code, len(answer.err.splitlines())) == (2, 1), answer.err
    assert said in answer.err
