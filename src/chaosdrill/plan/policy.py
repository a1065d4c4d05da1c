"""chaosdrill.yaml: where it is found, and the rules that it makes for an environment."""

from __future__ import annotations

from pathlib import Path

from chaosdrill.errors import UsageError
from chaosdrill.model.policy import POLICY_FILE, SANDBOX, Rules


def find_policy(source: Path, config: Path | None = None) -> Path | None:
    """Return the policy that an experiment is under, None where there is none.

    It is `config`, else the chaosdrill.yaml in the experiment's folder or the nearest one above it, else the
    one in the working directory.
    """
    if config is not None:
        return config
    for folder in (*source.absolute().parents, Path.cwd()):
        if (folder / POLICY_FILE).is_file():
            return folder / POLICY_FILE
    return None


def read_rules(path: Path | None, environment: str) -> Rules:
    """Return the rules of `environment`; the sandbox's are built in where no policy speaks of it.

    Raises InvalidFile for a policy with problems, and UsageError for an environment that nobody has defined.
    """
    if path is None and environment == "sandbox":
        return SANDBOX
    raise UsageError(f"there is no environment {environment!r}", next_step="define it in chaosdrill.yaml")
