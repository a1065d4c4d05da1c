"""chaosdrill.yaml: where it is found, and the rules that it makes for an environment."""

from __future__ import annotations

from collections.abc import Mapping
from os import environ as process_environment
from pathlib import Path

from chaosdrill.errors import InvalidFile, UsageError
from chaosdrill.model.policy import POLICY_FILE, SANDBOX, Rules
from chaosdrill.plan.checks.findings import Findings, nearest

#: Nobody writes so many bytes of comment before the first line that says what a file is.
_HEAD = 65_536


def find_policy(source: Path, config: Path | None = None) -> Path | None:
    """Return the policy that an experiment is under, None where there is none.

    It is `config`, else the chaosdrill.yaml in the experiment's folder or the nearest one above it, else the
    one in the working directory or in its experiments/, where `chaosdrill init` puts it.
    """
    if config is not None:
        return config
    for folder in (*source.absolute().parents, Path.cwd(), Path.cwd() / "experiments"):
        if (folder / POLICY_FILE).is_file():
            return folder / POLICY_FILE
    return None


def read_rules(
    path: Path | None, environment: str, variables: Mapping[str, str] = process_environment
) -> Rules:
    """Return the rules of `environment`; the sandbox's are built in where no policy speaks of it.

    `variables` are what ${NAME} in an address means. Raises InvalidFile for a policy with problems, and
    UsageError for an environment that nobody has defined.
    """
    if path is None:
        if environment == "sandbox":
            return SANDBOX
        hint = "define it in chaosdrill.yaml beside the experiments; `chaosdrill init` writes one"
        raise UsageError(f"there is no environment {environment!r}", next_step=hint)
    if not path.is_file():
        raise UsageError(f"there is no policy {path}", next_step="--config names a chaosdrill.yaml")
    # Imported here: a run without a policy pays for no reader.
    from chaosdrill.plan.checks.rules import check_policy, rules_of
    from chaosdrill.plan.reader import read

    found = Findings()
    document = read(path)
    policy = check_policy(document, found)
    if policy is None or found.errors:
        raise InvalidFile(str(path), found.errors)
    if environment not in policy.environments:
        if environment == "sandbox":
            return SANDBOX
        hint = nearest(environment, ["sandbox", *policy.environments])
        raise UsageError(f"{path} has no environment {environment!r}", next_step=hint)
    rules = rules_of(policy, environment, document, variables, found)
    if found.errors:
        raise InvalidFile(str(path), found.errors)
    return rules


def is_policy(path: Path) -> bool:
    """Return whether a file is meant as a policy: by its name, or because it defines environments."""
    if path.name == POLICY_FILE:
        return True
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except (OSError, ValueError):
        return False
    return any(line.startswith((b"environments:", b'  "environments":')) for line in head.splitlines())


def check(path: Path) -> None:
    """Raise InvalidFile with everything that is wrong with the policy at `path`, UsageError without it."""
    from chaosdrill.plan.checks.rules import check_policy
    from chaosdrill.plan.reader import read

    found = Findings()
    if check_policy(read(path), found) is None or found.errors:
        raise InvalidFile(str(path), found.errors)
