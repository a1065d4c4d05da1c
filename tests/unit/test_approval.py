"""Approvals count for exactly what was signed, by whom it says, for as long as it says: with real keys."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import time
from pathlib import Path

import pytest

from chaosdrill.errors import Refused, UsageError
from chaosdrill.model.checklist import Binding, digest
from chaosdrill.model.policy import Approvals, Rules, Span, Windows
from chaosdrill.preflight import approval, issuing, signature
from chaosdrill.preflight.approval import Question, Verified
from chaosdrill.preflight.issuing import Terms
from chaosdrill.preflight.statement import Limits, Statement, parse
from chaosdrill.record import approvals
from chaosdrill.record.approvals import Book

NOW = 1_800_000_000.0  # Friday, 2027-01-15, 08:00 UTC
DAY = 86_400.0
ALICE, BOB, CARLA = "alice@example.com", "bob@example.com", "carla@example.com"
REQUESTER = "dora@laptop"


@dataclass(frozen=True)
class Planned:
    kind: str = "instance_failure"
    target: str = "payment-api"
    chosen: tuple[str, ...] = ("payment-api-1",)
    candidates: int = 3
    duration: float = 30.0


@dataclass
class World:
    """A healthy world in which Alice may approve what Dora asks for; each test breaks one thing of it."""

    place: Path
    keys: Path
    need: int = 1
    valid_for: float = DAY
    environment: str = "production"
    options: dict[str, str] = field(default_factory=dict)
    configuration: dict[str, str] = field(default_factory=lambda: {"shop_url": "http://shop"})
    secrets: dict[str, str] = field(default_factory=lambda: {"token": "s3cr3t"})
    faults: tuple[Planned, ...] = (Planned(),)
    requester: str = REQUESTER
    now: float = NOW
    overrides: tuple[str, ...] = ()
    account: str = "dora"

    def __post_init__(self) -> None:
        for name in ("experiment.yaml", "experiment.chaosdrill.yaml", "chaosdrill.yaml", "control.py"):
            (self.place / name).write_text(f"# {name}\nsome: text\n")
        self.sign_in(ALICE, BOB, CARLA)

    def sign_in(self, *names: str, options: str = "") -> None:
        lines = [f"{name} {options} {self.public(name)}".replace("  ", " ") for name in names]
        (self.place / "approvers").write_text("\n".join(lines) + "\n")

    def key(self, name: str) -> Path:
        return self.keys / name.partition("@")[0]

    def public(self, name: str) -> str:
        return self.key(name).with_suffix(".pub").read_text().strip()

    def sum(self, name: str) -> str:
        return hashlib.sha256((self.place / name).read_bytes()).hexdigest()

    def bind(self, salt: str) -> Binding:
        def salted(values: dict[str, str]) -> str:
            return hmac.new(salt.encode(), json.dumps(values, sort_keys=True).encode(), "sha256").hexdigest()

        scope = [(f.kind, f.target, f.chosen, f.candidates, f.duration) for f in self.faults]
        parts = {
            "experiment": self.sum("experiment.yaml"),
            "answers": self.sum("experiment.chaosdrill.yaml"),
            "policy": self.sum("chaosdrill.yaml"),
            "environment": self.environment,
            "configuration": salted(self.configuration),
            "secrets": salted(self.secrets),
            "options": digest(self.options),
            "files": self.sum("control.py"),
            "scope": digest(scope),
        }
        return Binding(salt, parts)

    def question(self) -> Question:
        signers = str(self.place / "approvers")
        return Question(
            rules=Rules(self.environment, approvals=Approvals(self.need, signers, self.valid_for)),
            requester=self.requester,
            faults=self.faults,
            bind=self.bind,
            now=self.now,
            seconds=60.0,
            folder=self.place / "approvals",
            source=self.place / "experiment.yaml",
            overrides=self.overrides,
            account=self.account,
        )

    def ask(self) -> Verified:
        return approval.verified(self.question())

    def statement(self, approver: str = ALICE, **terms: object) -> Statement:
        chosen = Terms(**{"approver": approver, "lasts": 3600.0, **terms})  # type: ignore[arg-type]
        return issuing.draw_up(self.question(), "Payments survive", chosen, random.randbytes(16).hex())

    def approve(self, approver: str = ALICE, **terms: object) -> Path:
        return issuing.issue(self.statement(approver, **terms), self.question(), self.key(approver))

    def forge(self, statement: Statement, by: str = ALICE, namespace: str = signature.NAMESPACE) -> Path:
        """Have a real key sign whatever it is given, past everything that would refuse to."""
        return self.put(statement.text(), self.key(by), statement.approver, namespace)

    def put(self, text: str, key: Path, name: str = ALICE, namespace: str = signature.NAMESPACE) -> Path:
        with tempfile.TemporaryDirectory() as folder:
            message = Path(folder) / "m"
            message.write_text(text)
            command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", namespace, str(message)]
            subprocess.run(command, check=True, capture_output=True)
            return approvals.write(
                self.place / "approvals", text, message.with_suffix(".sig").read_text(), name
            )

    def why(self) -> str:
        """Why nobody may start: no approval counts, and this is what is said of the one there is."""
        answer = self.ask()
        assert not answer.check.ok
        assert answer.uses == ()
        return answer.rejected[-1].why


@pytest.fixture(scope="session")
def keys() -> Iterator[Path]:
    """Keys of the kinds that people have."""
    with tempfile.TemporaryDirectory(prefix="cd-keys-") as folder:
        for name, kind in {
            "alice": "ed25519",
            "bob": "ecdsa",
            "carla": "rsa",
            "dora": "ed25519",
            "mallory": "ed25519",
        }.items():
            path = str(Path(folder) / name)
            subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path, "-C", name], check=True)
        yield Path(folder)


@pytest.fixture
def world(tmp_path: Path, keys: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return World(tmp_path, keys)


# ---- what counts


@pytest.mark.parametrize("approver", [ALICE, BOB, CARLA])
def test_a_signature_of_any_kind_of_key_counts(world: World, approver: str) -> None:
    path = world.approve(approver, words="go ahead")

    answer = world.ask()

    assert answer.check.ok
    assert answer.check.said.startswith(f"approved by {approver} until 2027-01-15T09:00Z")
    [use] = answer.uses
    assert (use.approver, use.requester, use.kind, use.use) == (approver, REQUESTER, "once", 1)
    assert use.words == "go ahead"
    assert use.key.startswith("SHA256:")
    assert path.name == f"{use.id}-{approver}.json"


def test_a_key_in_the_agent_signs_by_its_public_half(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with tempfile.TemporaryDirectory(prefix="cd-") as folder:
        socket = f"{folder}/agent"
        agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.PIPE)
        try:
            assert agent.stdout is not None
            agent.stdout.readline()  # It says where it listens once it does.
            monkeypatch.setenv("SSH_AUTH_SOCK", socket)
            subprocess.run(["ssh-add", "-q", str(world.key(ALICE))], check=True, capture_output=True)
            public = tmp_path / "alice.pub"
            public.write_text(world.public(ALICE) + "\n")
            issuing.issue(world.statement(), world.question(), public)
        finally:
            agent.terminate()
            agent.communicate()

    assert world.ask().check.ok


def test_without_an_approval_the_very_command_is_named(world: World) -> None:
    question = replace(
        world.question(),
        options={"var": ["a=b c"], "fail_fast": True, "settings": None},
        source=Path("x.yaml"),
        config=Path("strict.yaml"),
    )

    check = approval.verified(question).check

    assert check.said == "0 of 1 approvals"
    assert check.next_step.endswith(
        "chaosdrill --config strict.yaml approve x.yaml -e production --var 'a=b c' --fail-fast"
        " --for dora@laptop --key YOUR-KEY"
    )


def test_two_people_are_two_people(world: World) -> None:
    world.need = 2
    world.approve(ALICE)
    assert world.ask().check.said == "1 of 2 approvals"
    world.approve(ALICE, words="again")
    assert world.ask().check.said == "1 of 2 approvals"

    world.approve(BOB)

    assert {use.approver for use in world.ask().uses} == {ALICE, BOB}
    assert world.ask().check.ok


def test_two_names_with_one_key_are_one_person(world: World) -> None:
    world.need = 2
    both = f"{ALICE},eve@example.com {world.public(ALICE)}\n"
    (world.place / "approvers").write_text(both)
    world.approve(ALICE)
    world.forge(replace(world.statement(), approver="eve@example.com"))

    assert world.ask().check.said == "1 of 2 approvals"


def test_an_override_is_allowed_only_by_an_approval_that_names_it(world: World) -> None:
    world.overrides = ("off-peak", "monitoring")
    world.approve(ALICE, overrides=("off-peak",))

    answer = world.ask()

    assert answer.overrides == {"off-peak": ALICE}


def test_an_override_is_carried_by_a_second_approval(world: World) -> None:
    world.overrides = ("off-peak",)
    world.approve(ALICE)
    world.approve(BOB, overrides=("off-peak",))

    assert world.ask().overrides == {"off-peak": BOB}


def test_nobody_can_sign_away_that_somebody_has_to_sign(world: World) -> None:
    with pytest.raises(UsageError, match="can't be overridden"):
        world.approve(overrides=("executive-approval",))


# ---- once, and never again


def test_an_approval_is_used_once(world: World) -> None:
    world.approve()
    uses = approval.spend(world.question(), world.ask().uses, "run-1")
    assert [use.use for use in uses] == [1]

    assert world.why() == "it was used already"
    with pytest.raises(Refused, match="no longer counts: it was used already"):
        approval.spend(world.question(), uses, "run-2")


def test_a_refused_start_does_not_use_an_approval_up(world: World) -> None:
    world.approve()
    for _ in range(3):
        assert world.ask().check.ok


def test_of_many_starts_at_once_one_gets_the_approval(world: World) -> None:
    world.approve()
    uses = world.ask().uses
    ready, started = threading.Barrier(8), []

    def start(number: int) -> None:
        ready.wait()
        try:
            approval.spend(world.question(), uses, f"run-{number}")
            started.append(number)
        except Refused:
            pass

    threads = [threading.Thread(target=start, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(started) == 1


def test_a_fresh_copy_of_the_folder_is_no_fresh_approval(world: World) -> None:
    world.approve()
    approval.spend(world.question(), world.ask().uses, "run-1")
    (world.place / "approvals" / "uses.jsonl").unlink()

    assert world.why() == "it was used already"


def test_a_use_that_cant_be_written_down_starts_nothing(world: World) -> None:
    world.approve()
    uses = world.ask().uses
    (world.place / "approvals" / "uses.jsonl").mkdir()

    with pytest.raises(Refused, match=r"uses\.jsonl can't be"):
        approval.spend(world.question(), uses, "run-1")


def test_a_broken_book_of_uses_lets_nothing_start(world: World) -> None:
    world.approve()
    (world.place / "approvals" / "uses.jsonl").write_text('{"approval": "ab\n')

    assert "is broken in line 1" in world.why()


def test_an_approval_that_is_taken_away_before_the_start_counts_no_more(world: World) -> None:
    path = world.approve()
    uses = world.ask().uses
    path.unlink()

    with pytest.raises(Refused, match="is gone"):
        approval.spend(world.question(), uses, "run-1")


def test_revoking_works_at_once(world: World) -> None:
    world.approve()
    uses = world.ask().uses
    facts = {"by": BOB, "why": "the release is today", "at": "2027-01-15"}
    approvals.revoke(world.place / "approvals", uses[0].id, facts)

    assert world.why() == f"it was revoked by {BOB}: the release is today"
    with pytest.raises(Refused, match="the release is today"):
        approval.spend(world.question(), uses, "run-1")


def test_a_revocation_that_cant_be_read_still_revokes(world: World) -> None:
    world.approve()
    [use] = world.ask().uses
    (world.place / "approvals" / f"{use.id}.revoked.json").write_text("{")

    assert world.why().startswith("it was revoked")


# ---- standing approvals

LIMITS = Limits(count=3, max_targets=2, max_share=0.5)


def test_a_standing_approval_outlives_the_targets_it_was_given_for(world: World) -> None:
    world.approve(limits=LIMITS, lasts=30 * DAY)
    world.now += 20 * DAY
    world.faults = (Planned(chosen=("payment-api-9",), duration=20.0),)

    [use] = world.ask().uses

    assert use.kind == "standing"


def test_a_standing_approval_lets_as_many_runs_start_as_it_says(world: World) -> None:
    world.approve(limits=LIMITS, lasts=30 * DAY)
    numbers = []
    for run in ("a", "b", "c"):
        numbers += [use.use for use in approval.spend(world.question(), world.ask().uses, run)]

    assert numbers == [1, 2, 3]
    assert world.why() == "all its 3 starts were used"
    lines = (world.place / "approvals" / "uses.jsonl").read_text().splitlines()
    assert [json.loads(line)["targets"] for line in lines] == [["payment-api-1"]] * 3


@pytest.mark.parametrize(
    ("faults", "why"),
    [
        ([Planned(kind="cpu_stress")], "cpu_stress of payment-api is not among what"),
        ([Planned(target="checkout-api")], "instance_failure of checkout-api is not among what"),
        ([Planned(duration=31.0)], "for 31 s, 30 s are allowed"),
        ([Planned(chosen=("1", "2", "3"), candidates=9)], "3 targets, 2 are allowed"),
        ([Planned(chosen=("1", "2")), Planned(chosen=("3",))], "3 targets, 2 are allowed"),
        ([Planned(chosen=("1", "2"), candidates=3)], "2 of 3 targets of payment-api are 66.6667 %, 50 %"),
        ([Planned(candidates=0)], "1 of 0 targets of payment-api are 100 %, 50 %"),
    ],
)
def test_a_standing_approval_reaches_no_further_than_its_limits(
    world: World, faults: list[Planned], why: str
) -> None:
    world.approve(limits=LIMITS, lasts=30 * DAY)
    world.faults = tuple(faults)

    assert why in world.why()


def test_a_standing_approval_holds_in_its_windows_only(world: World) -> None:
    span = Span(frozenset({1, 2, 3}), time(10), time(15), "Tue-Thu 10:00-15:00")
    windows = Windows("Europe/Berlin", (span,))
    world.now = NOW - 10 * DAY
    world.approve(limits=replace(LIMITS, windows=windows), lasts=30 * DAY)

    world.now = NOW - 3 * DAY + 3 * 3600  # Tuesday, 12:00 in Berlin
    assert world.ask().check.ok
    world.now = NOW - 3 * DAY + 6 * 3600 - 30  # half a minute before 15:00, and the run takes a minute
    assert not world.ask().check.ok
    world.now = NOW
    assert not world.ask().check.ok


@pytest.mark.parametrize(
    "part", ["configuration", "secrets", "policy", "experiment", "answers", "options", "files"]
)
def test_a_standing_approval_is_bound_to_everything_but_the_targets(world: World, part: str) -> None:
    world.approve(limits=LIMITS, lasts=30 * DAY)
    change(world, part)

    words = {"files": "a control, variable or settings file"}.get(part, part)
    assert world.why() == f"{words} changed since {ALICE} approved it"


def test_a_standing_approval_ends_within_a_quarter(world: World) -> None:
    with pytest.raises(UsageError, match="2208 h are allowed"):
        world.approve(limits=LIMITS, lasts=93 * DAY)


# ---- who, and when


@pytest.mark.parametrize(
    ("requester", "approver"),
    [
        (ALICE, ALICE),
        ("alice@laptop", ALICE),
        ("ALICE@EXAMPLE.COM", ALICE),
        ("alice", ALICE),
        ("Alice+drills@elsewhere.org", ALICE),
        ("ａｌｉｃｅ@laptop", ALICE),
    ],
)
def test_nobody_approves_their_own_run(world: World, requester: str, approver: str) -> None:
    statement = world.statement(approver)
    world.requester = requester
    with pytest.raises(UsageError, match="they may be one person"):
        world.approve(approver)
    world.forge(replace(statement, requester=requester), approver)

    assert "one person" in world.why()


def test_the_requester_may_not_be_another_than_was_approved(world: World) -> None:
    world.approve()
    world.requester = "mallory@laptop"

    assert world.why() == f"it is for {REQUESTER}, not for mallory@laptop"


def test_a_key_that_is_only_allowed_later_does_not_count_yet(world: World) -> None:
    world.approve()
    world.sign_in(ALICE, options='valid-after="20270116"')

    assert "may not sign now" in world.why()


def test_a_key_that_was_allowed_once_counts_no_more(world: World) -> None:
    world.approve()
    world.sign_in(ALICE, options='valid-before="20270114"')

    assert "may not sign now" in world.why()


def test_a_key_for_other_purposes_does_not_approve(world: World) -> None:
    world.approve()
    world.sign_in(ALICE, options='namespaces="git"')

    assert world.why() == "its signature does not fit what it says"


def test_a_pattern_in_the_list_of_approvers_names_nobody(world: World) -> None:
    world.approve()
    (world.place / "approvers").write_text(f"*@example.com {world.public(ALICE)}\n")

    assert f"it says {ALICE}, but its key belongs to *@example.com" in world.why()


def test_whoever_leaves_the_list_has_approved_nothing(world: World) -> None:
    world.approve()
    world.sign_in(BOB)

    assert "may not sign now" in world.why()


def test_without_ssh_keygen_nothing_counts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.approve()
    monkeypatch.setenv("PATH", str(world.place))

    why = world.why()

    assert "signatures can't be checked: ssh-keygen: No such file" in why
    assert "apt install openssh-client" in why


def test_without_a_list_of_approvers_nothing_counts(world: World) -> None:
    world.approve()
    (world.place / "approvers").unlink()

    assert "can't be read" in world.why()


def test_a_signature_that_would_not_count_is_not_written(world: World) -> None:
    with pytest.raises(Refused, match="may not sign now"):
        issuing.issue(world.statement(), world.question(), world.key("mallory"))

    assert approvals.stored(world.place / "approvals") == []


# ---- 100 ways to tamper


def change(world: World, part: str) -> None:
    """Change one thing that a run depends on."""
    files = {"experiment": "experiment.yaml", "answers": "experiment.chaosdrill.yaml"}
    files |= {"policy": "chaosdrill.yaml", "files": "control.py"}
    if part in files:
        path = world.place / files[part]
        path.write_bytes(path.read_bytes() + b" ")
    elif part == "environment":
        world.environment = "staging"
    elif part == "scope":
        world.faults = (replace(world.faults[0], chosen=("payment-api-2",)),)
    else:
        getattr(world, part)["new"] = "value"


Tampering = Callable[[World, Path, random.Random], None]


def flip(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]


def flip_in_file(name: str) -> Tampering:
    def tamper(world: World, path: Path, chance: random.Random) -> None:
        target = path if name == "approval" else world.place / name
        data = target.read_bytes()
        target.write_bytes(flip(data, chance.randrange(len(data)), chance.randrange(8)))

    return tamper


def flip_in(key: str) -> Tampering:
    """Flip a bit of one part, and write the file as properly as we do."""

    def tamper(world: World, path: Path, chance: random.Random) -> None:
        parts = json.loads(path.read_text())
        text = parts[key].encode()
        changed = flip(text, chance.randrange(len(text)), chance.randrange(7)).decode()
        path.write_text(json.dumps({**parts, key: changed}, indent=1, ensure_ascii=False) + "\n")

    return tamper


def restate(**changes: object) -> Tampering:
    """Change what was signed and keep the signature."""

    def tamper(world: World, path: Path, chance: random.Random) -> None:
        parts = json.loads(path.read_text())
        data = {**json.loads(parts["statement"]), **changes}
        text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        path.write_text(json.dumps({**parts, "statement": text}, indent=1, ensure_ascii=False) + "\n")

    return tamper


def resigned(by: str, namespace: str = signature.NAMESPACE, **changes: object) -> Tampering:
    """Change what was signed, and have somebody sign it."""

    def tamper(world: World, path: Path, chance: random.Random) -> None:
        read = parse(json.loads(path.read_text())["statement"])
        path.unlink()
        world.forge(replace(read, **changes), by, namespace)  # type: ignore[arg-type]

    return tamper


def changed(part: str) -> Tampering:
    return lambda world, path, chance: change(world, part)


def reasked(**changes: object) -> Tampering:
    """Ask for something else than was approved."""

    def tamper(world: World, path: Path, chance: random.Random) -> None:
        for name, value in changes.items():
            setattr(world, name, value)

    return tamper


def odd_text(text: Callable[[str], str]) -> Tampering:
    """Have the right person sign a text that is not quite ours."""

    def tamper(world: World, path: Path, chance: random.Random) -> None:
        statement = json.loads(path.read_text())["statement"]
        path.unlink()
        world.put(text(statement), world.key(ALICE))

    return tamper


def spent(world: World, path: Path, chance: random.Random) -> None:
    approval.spend(world.question(), world.ask().uses, "an-earlier-run")


def revoked(world: World, path: Path, chance: random.Random) -> None:
    approvals.revoke(path.parent, path.name.partition("-")[0], {"by": BOB, "why": "no"})


def cut(world: World, path: Path, chance: random.Random) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: chance.randrange(len(data))])


def other_signature(world: World, path: Path, chance: random.Random) -> None:
    """Put the signature of another approval of the same person under this one."""
    other = world.approve(words="something else")
    theirs = json.loads(other.read_text())["signature"]
    other.unlink()
    mine = {**json.loads(path.read_text()), "signature": theirs}
    path.write_text(json.dumps(mine, indent=1, ensure_ascii=False) + "\n")


def unsigned_version(world: World, path: Path, chance: random.Random) -> None:
    """Lower the version of the signature's format, which no signature covers and ssh-keygen accepts."""
    text = path.read_text()
    assert "U1NIU0lHAAAAAQ" in text
    path.write_text(text.replace("U1NIU0lHAAAAAQ", "U1NIU0lHAAAAAA"))


def more_in_file(world: World, path: Path, chance: random.Random) -> None:
    parts = {**json.loads(path.read_text()), "approver": BOB}
    path.write_text(json.dumps(parts, indent=1, ensure_ascii=False) + "\n")


LATER, SOON = "2027-03-01T00:00:00.000Z", "2027-01-15T08:00:00.001Z"
HIT = {"kind": "instance_failure", "target": "payment-api", "duration": 30.0, "candidates": 3}
TAMPERINGS: list[tuple[str, Tampering]] = [
    *[(f"a bit of the file {n}", flip_in_file("approval")) for n in range(30)],
    *[(f"a bit of the statement {n}", flip_in("statement")) for n in range(10)],
    *[(f"a bit of the signature {n}", flip_in("signature")) for n in range(10)],
    ("a bit of the experiment", flip_in_file("experiment.yaml")),
    ("a bit of the policy", flip_in_file("chaosdrill.yaml")),
    ("a bit of the sidecar", flip_in_file("experiment.chaosdrill.yaml")),
    ("a bit of a control file", flip_in_file("control.py")),
    *[(f"{name} changed", changed(name)) for name in ("configuration", "secrets", "options", "scope")],
    ("replayed for another environment", changed("environment")),
    ("the title", restate(title="Something else")),
    ("the words", restate(words="all of it, any time")),
    ("another environment in the statement", restate(parts={"environment": "staging"})),
    ("another requester in the statement", restate(requester="mallory@laptop")),
    ("another approver in the statement", restate(approver=BOB)),
    ("a later end in the statement", restate(expires=LATER)),
    ("an earlier beginning in the statement", restate(issued="2026-01-15T08:00:00.000Z")),
    ("more targets in the statement", restate(aims=[{**HIT, "chosen": ["payment-api-1", "payment-api-2"]}])),
    ("overrides in the statement", restate(overrides=["off-peak"])),
    ("once becomes standing", restate(kind="standing")),
    ("limits in the statement", restate(limits={"count": 9, "max-targets": 9, "max-share": 1.0})),
    ("another salt", restate(salt="scrypt:" + "0" * 32)),
    ("another version", restate(version=2)),
    ("one key more", restate(comment="harmless")),
    ("signed by a stranger", resigned("mallory")),
    ("signed by another approver", resigned(BOB)),
    ("signed by the requester", resigned("dora")),
    ("signed by a stranger under their own name", resigned("mallory", approver="mallory@example.com")),
    ("signed for git", resigned(ALICE, namespace="git")),
    ("signed for a file", resigned(ALICE, namespace="file")),
    ("signed for the next version", resigned(ALICE, namespace="chaosdrill-approval@v2")),
    ("the requester approves", resigned(ALICE, requester=ALICE)),
    ("the requester's other name approves", resigned(ALICE, requester="alice@laptop")),
    ("an approval for somebody else", resigned(ALICE, requester="eve@laptop")),
    ("longer than the policy allows", resigned(ALICE, expires=NOW + 2 * DAY)),
    ("from the future", resigned(ALICE, issued=NOW + 60.0)),
    ("bound to less", resigned(ALICE, parts={"environment": "production"})),
    ("overriding the approval itself", resigned(ALICE, overrides=("executive-approval",))),
    ("a pattern for a name", resigned(ALICE, approver="*@example.com")),
    ("two names for one", resigned(ALICE, approver=f"{ALICE},{BOB}")),
    ("a guessable salt", resigned(ALICE, salt="hmac:" + "0" * 32)),
    ("a space in the text", odd_text(lambda text: text.replace(":", ": ", 1))),
    ("a key twice", odd_text(lambda text: text.replace('"words":', '"words":"x","words":', 1))),
    ("a name written otherwise", odd_text(lambda text: text.replace("alice", "\\u0061lice", 1))),
    ("not an object", odd_text(lambda text: f"[{text}]")),
    ("another statement's signature", other_signature),
    ("a lower version in the signature", unsigned_version),
    ("one key more in the file", more_in_file),
    ("the file cut", cut),
    ("expired", reasked(now=NOW + 3600.0)),
    ("long expired", reasked(now=NOW + 400 * DAY)),
    ("not yet valid", reasked(now=NOW - 60.0)),
    ("started from the approver's account", reasked(account="alice")),
    ("asked for by somebody else", reasked(requester="mallory@laptop")),
    ("more targets", reasked(faults=(Planned(chosen=("payment-api-1", "payment-api-2")),))),
    ("another kind", reasked(faults=(Planned(kind="cpu_stress"),))),
    ("for longer", reasked(faults=(Planned(duration=300.0),))),
    ("two faults", reasked(faults=(Planned(), Planned(kind="cpu_stress")))),
    ("two people needed", reasked(need=2)),
    ("used up", spent),
    ("revoked", revoked),
]


def test_there_are_a_hundred_ways_to_tamper() -> None:
    assert len(TAMPERINGS) >= 100


@pytest.mark.parametrize(
    ("number", "tamper"),
    [pytest.param(n, tamper, id=name) for n, (name, tamper) in enumerate(TAMPERINGS)],
)
def test_a_tampered_approval_lets_nothing_start(world: World, number: int, tamper: Tampering) -> None:
    path = world.approve()
    before = path.read_bytes()
    files = {file: file.read_bytes() for file in world.place.iterdir() if file.is_file()}
    kept = {name: getattr(world, name) for name in world.__dataclass_fields__}
    kept = {name: dict(value) if isinstance(value, dict) else value for name, value in kept.items()}
    assert world.ask().check.ok

    tamper(world, path, random.Random(number))

    assert not world.ask().check.ok
    # And the very same approval counts again once everything is as it was.
    for file in [*(world.place / "approvals").iterdir(), *(world.place / "state").rglob("*.jsonl")]:
        file.unlink()
    for file, data in {**files, path: before}.items():
        file.write_bytes(data)
    for name, value in kept.items():
        setattr(world, name, value)
    assert world.ask().check.ok


def test_the_book_counts_whole_digests_only(world: World) -> None:
    path = world.approve()
    text = json.loads(path.read_text())["statement"]
    book = Book(path.parent)
    book.add(approvals.Use(approvals.digest(text)[:10], "run", NOW, ()))

    assert book.uses(text) == 0
