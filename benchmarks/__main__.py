"""`make bench`: every figure beside its goal, as a table and as JSON; a missed goal is shown as missed."""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import sys
import time
from pathlib import Path
from typing import Any

PARTS = ("start", "report", "signals", "guard", "watchdog")


def main() -> int:
    """Measure the parts that were asked for; return 1 when a figure misses its goal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, help=f"some of {', '.join(PARTS)}")
    chosen = parser.parse_args().parts
    rows: list[dict[str, Any]] = []
    for part in chosen:
        print(f"measuring {part} ...", file=sys.stderr)
        rows += importlib.import_module(f"benchmarks.{part}").measure()
    place = Path(__file__).parent / "results"
    place.mkdir(exist_ok=True)
    stamp = time.strftime("%Y-%m-%dT%H-%M-%SZ", time.gmtime())
    facts = {"python": platform.python_version(), "machine": platform.machine(), "rows": rows}
    (place / f"{stamp}.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    print(table(rows))
    print(f"\nwritten: benchmarks/results/{stamp}.json")
    return 0 if all(row["met"] is not False for row in rows) else 1


def table(rows: list[dict[str, Any]]) -> str:
    """Return the rows as a table in Markdown."""
    lines = ["| figure | chaosdrill | Chaos Toolkit | ratio | goal | |", "|---|--:|--:|--:|--:|---|"]
    for row in rows:
        peer = "" if row.get("peer") is None else f"{row['peer']:g} {row['unit']}"
        ratio = "" if row.get("ratio") is None else f"{row['ratio']:.3g}x"
        # A row without a goal is there to compare with, such as what the machine itself could do.
        met = {True: "met", False: "**missed**", None: ""}[row["met"]]
        goal = "" if row["goal"] is None else row["goal"]
        if isinstance(goal, float):
            goal = f"<= {goal:g} {row['unit']}"
        cells = (row["name"], f"{row['value']:g} {row['unit']}", peer, ratio, goal, met)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
