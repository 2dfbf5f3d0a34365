"""How many values of a committed report differ from those it had at an earlier revision, and by how much.

`python -m tests.bench.moved 639a750 reports/quickstart`: the metrics of `results.parquet` as `git show` has them at
the revision beside those of the file now, square by square. Nothing is run.
"""

from __future__ import annotations

import argparse
import subprocess
from dataclasses import dataclass
from pathlib import Path

from promptgrid.spec.parquet import read_parquet

Square = tuple[str, ...]
PLACE = ("protocol", "label", "backbone", "dataset", "shots", "seed", "source", "reading", "metric")
"""What a value stands for; cell keys change with the engine, these do not."""


@dataclass(frozen=True)
class Moved:
    """A value that differs."""

    square: Square
    before: float
    now: float

    @property
    def by(self) -> float:
        """The absolute difference."""
        return abs(self.now - self.before)


def values(file: Path | bytes) -> dict[Square, float]:
    """Square to value, of the finished rows of a `results.parquet` or of the bytes of one.

    Raises:
        ValueError: two rows stand for one square.
    """
    found: dict[Square, float] = {}
    for row in read_parquet(file).to_pylist():
        if row["status"] != "done":
            continue
        square = tuple(str(row.get(name) or "") for name in PLACE)
        if square in found:
            raise ValueError(f"two rows stand for {square}")
        found[square] = row["value"]
    return found


def moved(before: dict[Square, float], now: dict[Square, float]) -> list[Moved]:
    """Values of squares in both that differ at all, the largest difference first."""
    pairs = [Moved(square, before[square], now[square]) for square in before.keys() & now.keys()]
    return sorted((one for one in pairs if one.by > 0), key=lambda one: (-one.by, one.square))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("revision")
    parser.add_argument("report", type=Path, help="a folder of `promptgrid report`, relative to the repository")
    asked = parser.parse_args()
    place = asked.report / "results.parquet"
    shown = subprocess.run(["git", "show", f"{asked.revision}:./{place}"], check=True, capture_output=True)
    before, now = values(shown.stdout), values(place)
    both = len(before.keys() & now.keys())
    found = moved(before, now)
    only = f"; {len(before) - both} only then, {len(now) - both} only now" if len(before) + len(now) > 2 * both else ""
    largest = f", the largest by {found[0].by:.4f}" if found else ""
    print(f"{place} since {asked.revision}: {len(found)} of {both} values differ{largest}{only}")
    for one in found:
        print(f"  {' '.join(filter(None, one.square))}: {one.before:.4f} -> {one.now:.4f}")


if __name__ == "__main__":
    main()
