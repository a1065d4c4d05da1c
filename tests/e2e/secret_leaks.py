"""Activities of an experiment that are careless with what they know."""

from __future__ import annotations

import sys
from typing import Any


def leak(**known: Any) -> Any:
    """Print and return everything, as a client library in debug mode does."""
    sys.stdout.write(f"{known}\n")
    return {"answer": known}


def explode(**known: Any) -> None:
    """Fail with everything in the text of the exception."""
    raise RuntimeError(f"can't log in with {known}")
