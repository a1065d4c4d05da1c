"""Where the experiments lie that come with chaosdrill: in the wheel beside the code, in a checkout on top."""

from __future__ import annotations

from pathlib import Path

import chaosdrill
from chaosdrill.errors import UsageError

#: What `chaosdrill demo` plays.
DEMO = Path("sandbox") / "pod-failure.yaml"


def experiments() -> Path:
    """Return the folder of the shipped experiments. Raises UsageError for an installation without them."""
    package = Path(chaosdrill.__file__).parent
    # pyproject.toml puts experiments/ of the checkout to shipped/experiments of the wheel.
    for folder in (package / "shipped" / "experiments", package.parents[1] / "experiments"):
        if folder.is_dir():
            return folder
    raise UsageError("the shipped experiments are missing", next_step="install chaosdrill again")
