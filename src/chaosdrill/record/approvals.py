"""Where approvals lie: the signed files, what was revoked, and who used what when.

Files and locks only: whether an approval counts is decided in preflight.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = "approvals"


def folder(policy: Path | None, home: Path) -> Path:
    """Return where approvals lie: beside the policy file, and under `home` where there is none."""
    return (policy.absolute().parent if policy else home) / FOLDER
