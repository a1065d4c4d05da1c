"""Every way in which Chaos Toolkit was seen to leave a fault on, or to call a broken run green.

Each row is played twice: under `chaos run` as found, so that a newer Chaos Toolkit that closes a gap is
noticed here; and under chaosdrill, where nothing may stay on and no exit code may claim more than was seen.
The counterparts of the safeguard rows, which the addon opens, are in tests/contracts/test_safeguard_gaps.py.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from gap_players import Bench

from chaosdrill.errors import Exit
from commandline import CommandLine

CANARY = "canary-5be2f1a07c"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.close()


class _Busy(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def busy() -> Iterator[str]:
    """A server that refuses everything with 503."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Busy) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def process(path: str, *arguments: str) -> dict[str, Any]:
    provider = {"type": "process", "path": path, "arguments": list(arguments)}
    return {"type": "action", "name": path, "provider": provider}


# ---- SIGKILL, SIGHUP, SIGQUIT

DEADLY = [signal.SIGKILL, signal.SIGHUP, signal.SIGQUIT]


@pytest.mark.parametrize("number", DEADLY)
def test_a_killed_chaos_run_leaves_its_fault_on_and_no_journal(bench: Bench, number: signal.Signals) -> None:
    run = bench.start_chaos(bench.file(bench.on, bench.stay))
    bench.strike(run, number)
    ending = bench.end(run)
    assert ending.left_on
    assert not ending.journal


@pytest.mark.parametrize("number", DEADLY)
def test_a_killed_run_is_undone_and_recorded(bench: Bench, number: signal.Signals) -> None:
    run = bench.start_drill(bench.file(bench.on, bench.stay))
    bench.strike(run, number)
    bench.hear("off")
    facts = bench.sealed()
    bench.end(run)
    assert not bench.fault.exists()
    assert facts["verdict"]["exit_code"] == Exit.ABORTED
    # A terminal that is closed leaves the runner its time; the other two leave it none.
    by = "the system" if number == signal.SIGHUP else "watchdog: runner lost"
    assert facts["verdict"]["execution"]["text"].startswith(f"by {by}")


# ---- SIGTERM, SIGINT

POLITE = [signal.SIGTERM, signal.SIGINT]


@pytest.mark.parametrize("number", POLITE)
def test_an_interrupted_chaos_run_leaves_its_fault_on(bench: Bench, number: signal.Signals) -> None:
    run = bench.start_chaos(bench.file(bench.on, bench.stay))
    bench.strike(run, number)
    ending = bench.end(run)
    assert ending.left_on
    assert ending.journal["status"] == "interrupted"


@pytest.mark.parametrize("number", POLITE)
def test_an_interrupted_run_is_undone(bench: Bench, number: signal.Signals) -> None:
    run = bench.start_drill(bench.file(bench.on, bench.stay))
    bench.strike(run, number)
    ending = bench.end(run)
    assert not ending.left_on
    assert ending.code == Exit.ABORTED


# ---- second Ctrl-C during rollbacks


def _slow_undo(bench: Bench) -> list[dict[str, Any]]:
    return [bench.python("wait_for", path=str(bench.place / "go")), bench.off]


def test_a_second_ctrl_c_drops_the_rest_of_the_rollbacks_of_chaos_run(bench: Bench) -> None:
    file = bench.file(bench.on, bench.stay, rollbacks=_slow_undo(bench))
    run = bench.start_chaos(file, "--rollback-strategy", "always")
    bench.strike(run, signal.SIGINT)
    bench.strike(run, signal.SIGINT, "waiting")
    (bench.place / "go").touch()
    assert bench.end(run).left_on


def test_a_second_ctrl_c_drops_no_rollback(bench: Bench) -> None:
    run = bench.start_drill(bench.file(bench.on, bench.stay, rollbacks=_slow_undo(bench)))
    bench.strike(run, signal.SIGINT)
    bench.strike(run, signal.SIGINT, "waiting")
    (bench.place / "go").touch()
    ending = bench.end(run)
    assert not ending.left_on
    assert ending.code == Exit.ABORTED


# ---- control raises, or its module is missing


def _gate(module: str) -> list[dict[str, Any]]:
    return [{"name": "gate", "provider": {"type": "python", "module": module}}]


BROKEN_GATES = ["gap_control", "gap_no_such_module"]


@pytest.mark.parametrize("module", BROKEN_GATES)
def test_chaos_run_goes_past_a_gate_that_is_broken(bench: Bench, module: str) -> None:
    ending = bench.chaos(bench.file(bench.on, rollbacks=[], controls=_gate(module)))
    assert ending.left_on
    assert ending.code == 0


def test_a_control_that_raises_stops_the_run_before_anything_is_done(bench: Bench) -> None:
    ending = bench.drill(bench.file(bench.on, rollbacks=[], controls=_gate("gap_control")))
    assert not ending.left_on
    assert ending.code == Exit.ABORTED
    assert "the control gate failed: RuntimeError: the gate is broken" in ending.err


def test_a_control_whose_module_is_missing_is_refused_before_anything_is_done(bench: Bench) -> None:
    ending = bench.drill(bench.file(bench.on, rollbacks=[], controls=_gate("gap_no_such_module")))
    assert not ending.left_on
    assert ending.code == Exit.USAGE
    assert "gap_no_such_module" in ending.err


def test_a_control_for_every_experiment_is_a_gate_too(bench: Bench) -> None:
    given = {"gate": {"provider": {"type": "python", "module": "gap_no_such_module"}}}
    (bench.place / "controls.json").write_text(json.dumps(given))
    options = ("--control-file", str(bench.place / "controls.json"))
    file = bench.file(bench.on, rollbacks=[])
    missing = bench.drill(file, *options)
    assert (missing.code, missing.left_on) == (Exit.USAGE, False)
    given["gate"]["provider"]["module"] = "gap_control"
    (bench.place / "controls.json").write_text(json.dumps(given))
    broken = bench.drill(file, *options)
    assert (broken.code, broken.left_on) == (Exit.ABORTED, False)


# ---- process exits 1 or is killed; HTTP 503

REFUSALS = {
    "exits 1": process("false"),
    "is killed": process("sh", "-c", "kill -9 $$"),
    "HTTP 503": {"type": "action", "name": "http", "provider": {"type": "http", "method": "POST"}},
}


def _refused(how: str, busy: str) -> dict[str, Any]:
    action = json.loads(json.dumps(REFUSALS[how]))
    if how == "HTTP 503":
        action["provider"]["url"] = busy
    assert isinstance(action, dict)
    return action


@pytest.mark.parametrize("how", REFUSALS)
def test_for_chaos_run_an_action_that_was_refused_succeeded(bench: Bench, busy: str, how: str) -> None:
    ending = bench.chaos(bench.file(_refused(how, busy)))
    assert ending.code == 0
    assert [run["status"] for run in ending.journal["run"]] == ["succeeded"]


@pytest.mark.parametrize("how", REFUSALS)
def test_an_action_that_was_refused_has_failed(bench: Bench, busy: str, how: str) -> None:
    well = bench.python("well", "probe", path=str(bench.fault))
    ending = bench.drill(bench.file(_refused(how, busy), probes=[{**well, "tolerance": True}]))
    assert ending.code == Exit.INCONCLUSIVE
    assert ending.answer["verdict"]["execution"]["state"] == "errored"


# ---- action raises


def test_chaos_run_goes_on_after_an_action_that_raised_and_calls_it_completed(bench: Bench) -> None:
    ending = bench.chaos(bench.file(bench.python("fail"), bench.on, rollbacks=[]))
    assert (ending.code, ending.journal["status"]) == (0, "completed")
    assert ending.left_on


def test_an_action_that_raised_is_never_held_and_all_is_undone(bench: Bench) -> None:
    ending = bench.drill(bench.file(bench.python("fail"), bench.on))
    assert ending.code == Exit.INCONCLUSIVE
    assert ending.answer["why"] == "the action fail failed"
    assert not ending.left_on


# ---- rollback raises


def test_for_chaos_run_a_rollback_that_raised_is_completed(bench: Bench) -> None:
    ending = bench.chaos(bench.file(bench.on, rollbacks=[bench.python("fail")]))
    assert (ending.code, ending.journal["status"]) == (0, "completed")
    assert ending.left_on


def test_a_rollback_that_raised_is_residue_with_its_name(bench: Bench) -> None:
    ending = bench.drill(bench.file(bench.on, rollbacks=[bench.python("fail"), bench.off]))
    assert ending.code == Exit.RESIDUE
    assert "rollback fail" in ending.answer["why"]
    assert not ending.left_on, "a rollback that fails keeps no other from being played"


# ---- gate (before-hypothesis) not met


def _shut_gate(bench: Bench) -> Path:
    # Broken before we begin: by somebody else, whose business it is to repair it.
    bench.fault.touch()
    well = bench.python("well", "probe", path=str(bench.fault))
    return bench.file(probes=[{**well, "tolerance": True}])


def test_chaos_run_rolls_back_behind_a_gate_that_was_shut_and_ends_with_0(bench: Bench) -> None:
    ending = bench.chaos(_shut_gate(bench))
    assert ending.code == 0
    assert not ending.left_on, "it has rolled back what it never did"


def test_behind_a_gate_that_was_shut_nothing_is_touched_and_nothing_held(bench: Bench) -> None:
    ending = bench.drill(_shut_gate(bench))
    assert ending.code == Exit.INCONCLUSIVE
    assert ending.answer["word"] == "NOT EVALUATED"
    assert ending.left_on, "what somebody else broke is theirs"


# ---- after-hypothesis probe raises


def _raising(bench: Bench) -> Path:
    probe = bench.python("fails_when_on", "probe", path=str(bench.fault))
    return bench.file(bench.on, probes=[{**probe, "tolerance": True}])


def test_chaos_run_leaves_its_fault_on_when_the_probe_afterwards_raises(bench: Bench) -> None:
    ending = bench.chaos(_raising(bench))
    assert ending.journal["status"] == "failed"
    assert ending.left_on


def test_a_probe_that_raises_afterwards_keeps_nothing_from_being_undone(bench: Bench) -> None:
    ending = bench.drill(_raising(bench))
    assert not ending.left_on
    assert ending.code in (Exit.INCONCLUSIVE, Exit.DEVIATED)


# ---- `range` tolerance gets `None`


def _blind(bench: Bench) -> Path:
    probe = bench.python("blind_when_on", "probe", path=str(bench.fault))
    return bench.file(bench.on, probes=[{**probe, "tolerance": {"type": "range", "range": [0, 1]}}])


def test_chaos_run_crashes_on_a_range_without_a_value_and_leaves_its_fault_on(bench: Bench) -> None:
    ending = bench.chaos(_blind(bench))
    assert "TypeError" in ending.out + ending.err
    assert ending.left_on
    assert not ending.journal


def test_a_range_without_a_value_is_recorded_and_undone(bench: Bench) -> None:
    ending = bench.drill(_blind(bench))
    assert not ending.left_on
    assert ending.code in (Exit.ABORTED, Exit.INCONCLUSIVE)
    assert json.loads((bench.folder / "engine.json").read_text())


# ---- output not JSON-able


def test_chaos_run_cuts_its_journal_at_an_output_without_a_form(bench: Bench) -> None:
    bench.chaos(bench.file(bench.on, bench.python("unprintable")))
    with pytest.raises(json.JSONDecodeError):
        json.loads(bench.journal.read_text())


def test_an_output_without_a_form_costs_no_record(bench: Bench) -> None:
    ending = bench.drill(bench.file(bench.on, bench.python("unprintable")))
    assert len(json.loads((bench.folder / "engine.json").read_text())["run"]) == 2
    assert ending.answer["verdict"]["execution"]["state"] == "completed"
    assert not ending.left_on


# ---- journal path missing or disk full


@pytest.mark.parametrize("journal", ["/dev/full", "nowhere/journal.json"])
def test_chaos_run_plays_everything_before_it_finds_that_it_cannot_write(bench: Bench, journal: str) -> None:
    ending = bench.chaos(bench.file(bench.on, rollbacks=[]), journal=journal)
    assert ending.left_on
    assert "Traceback" in ending.out + ending.err


def test_a_run_that_cannot_be_recorded_is_not_begun(bench: Bench) -> None:
    (bench.place / "no-folder").touch()
    ending = bench.drill(bench.file(bench.on, rollbacks=[]), home=bench.place / "no-folder")
    assert not ending.left_on
    assert ending.code == Exit.USAGE
    assert "cannot be made" in ending.err


# ---- continuous hypothesis deviates only during the method


def _during(bench: Bench) -> Path:
    well = bench.python("well", "probe", path=str(bench.fault))
    seen = bench.python("wait_for", path=f"{bench.fault}.seen")
    return bench.file(bench.on, seen, bench.off, probes=[{**well, "tolerance": True}])


CONTINUOUSLY = ("--hypothesis-strategy", "continuously", "--hypothesis-frequency", "0.1")


def test_for_chaos_run_a_deviation_during_the_method_is_none(bench: Bench) -> None:
    ending = bench.chaos(_during(bench), *CONTINUOUSLY)
    assert ending.code == 0
    assert (ending.journal["status"], ending.journal["deviated"]) == ("completed", False)
    met = [state["steady_state_met"] for state in ending.journal["steady_states"]["during"]]
    assert False in met


def test_a_deviation_during_the_method_is_one(bench: Bench) -> None:
    ending = bench.drill(_during(bench), *CONTINUOUSLY)
    assert ending.code == Exit.DEVIATED
    assert not ending.left_on


# ---- two runs, one target


def test_one_chaos_run_heals_the_fault_of_another_and_takes_its_journal(bench: Bench) -> None:
    first = bench.start_chaos(bench.file(bench.on, bench.stay, bench.off))
    bench.hear("staying")
    second = bench.chaos(bench.file(bench.on))
    assert second.code == 0
    assert not second.left_on, "the first run's fault is off, and it does not know"
    first.kill()
    assert len(bench.end(first).journal["run"]) == 1, "and the journal is the second run's"


def test_a_second_run_on_one_target_is_refused_and_names_the_first(bench: Bench) -> None:
    file = bench.file(bench.on, bench.stay)
    first = bench.start_drill(file)
    bench.hear("staying")
    second = bench.drill(file)
    assert second.code == Exit.REFUSED
    assert second.left_on, "the first run's fault is still on"
    owner = next(p for p in (bench.place / "runs").iterdir() if p.name != second.answer["run"])
    assert owner.name in second.err
    first.send_signal(signal.SIGINT)
    assert not bench.end(first).left_on


# ---- `terminate_pods` matches nothing


def test_for_chaos_run_an_action_that_hit_nothing_succeeded(bench: Bench) -> None:
    ending = bench.chaos(bench.file(bench.python("match", names=["payment-api-1"])))
    assert ending.code == 0
    assert [(run["status"], run["output"]) for run in ending.journal["run"]] == [("succeeded", [])]


def test_a_fault_that_would_hit_nothing_is_refused(bench: Bench, on_sandbox: CommandLine) -> None:
    provider = {
        "type": "python",
        "module": "chaosdrill.actions",
        "func": "instance_failure",
        "arguments": {"target": "no-such-service", "duration": "1 s"},
    }
    file = bench.file({"type": "action", "name": "none", "provider": provider}, rollbacks=[])
    answer = on_sandbox("run", str(file))
    assert answer.code == Exit.REFUSED
    assert "no-such-service" in answer.err


# ---- secrets


def _leaking(bench: Bench) -> Path:
    bench.environment["GAP_TOKEN"] = CANARY
    leak = bench.python("leak")
    leak["provider"] |= {"secrets": ["server"], "arguments": {"token": "${token}"}}
    secrets = {"server": {"token": {"type": "env", "key": "GAP_TOKEN"}}}
    return bench.file(leak, rollbacks=[], secrets=secrets)


def test_chaos_run_writes_a_secret_into_a_journal_that_everybody_may_read(bench: Bench) -> None:
    bench.chaos(_leaking(bench))
    assert CANARY in bench.journal.read_text()
    assert CANARY in (bench.place / "chaos.log").read_text()
    assert bench.journal.stat().st_mode & 0o004


def test_a_secret_is_in_nothing_that_a_run_leaves(bench: Bench) -> None:
    ending = bench.drill(_leaking(bench))
    left = [path for path in bench.folder.rglob("*") if path.is_file()]
    assert left
    assert not [path.name for path in left if CANARY in path.read_text(errors="replace")]
    assert CANARY not in ending.out + ending.err
