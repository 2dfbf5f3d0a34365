"""What each part of the checkout weighs and may weigh: `python -m tests.bench.weight`, with `--largest 20` its files.

Needs git and nothing else. A megabyte is 1,000,000 bytes.
"""

from __future__ import annotations

import argparse
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
MB = 1_000_000
ALL = "all tracked files"
TREE = 110 * MB
"""What all tracked files together may take."""
WING, WEIGHTS = 15 * MB, 6 * MB
"""What a wing's data and weights may take together, and its weights alone."""
LARGER = {"image": (42 * MB, 28 * MB)}
"""Wings with limits of their own: the first one has 25 tasks and two backbones of 13 and 15 MB."""


def tracked(root: Path = ROOT) -> dict[str, int]:
    """{path: bytes} of the tracked files of a checkout that are there: a sparse checkout leaves some out.

    Raises:
        subprocess.CalledProcessError: ``root`` is no git checkout.
    """
    return sizes(root, "--cached")


def sizes(root: Path, *which: str) -> dict[str, int]:
    """{path: bytes} of the files that ``git ls-files`` lists with these options and that are there."""
    shown = subprocess.run(["git", "ls-files", "-z", *which], cwd=root, check=True, capture_output=True, text=True)
    there = {name: root / name for name in shown.stdout.split("\0") if name}
    return {name: path.lstat().st_size for name, path in there.items() if path.is_symlink() or path.is_file()}


def wing_of(path: str) -> str:
    """The wing whose data or weights ``path`` is a part of: what lies in its ``bundled`` folder; else ``""``."""
    match Path(path).parts:
        case ("platform", "promptgrid", "tracks", wing, "bundled", _, *_):
            return wing
    return ""


def is_weights(path: str) -> bool:
    """Whether ``path`` is what a backbone of a wing needs."""
    return bool(wing_of(path)) and Path(path).parts[5] == "backbones"


def part_of(path: str) -> str:
    """The part of the checkout that ``path`` belongs to, in words."""
    if wing := wing_of(path):
        return f"{wing} wing, {'weights' if is_weights(path) else 'data'}"
    first, *below = Path(path).parts
    return {"platform": "code"}.get(first, first) if below else "files of the root"


def parts(files: Mapping[str, int]) -> dict[str, int]:
    """{part: bytes}, the heaviest first."""
    found: Counter[str] = Counter()
    for path, size in files.items():
        found[part_of(path)] += size
    return dict(found.most_common())


def limits(files: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """{what is held to a limit: (bytes, limit)}: the tree, and each wing's data and weights, and its weights alone."""
    held = {ALL: (sum(files.values()), TREE)}
    for wing in sorted({wing_of(path) for path in files} - {""}):
        together, weights = LARGER.get(wing, (WING, WEIGHTS))
        mine = {path: size for path, size in files.items() if wing_of(path) == wing}
        held[f"{wing} wing, data and weights"] = sum(mine.values()), together
        held[f"{wing} wing, weights"] = sum(size for path, size in mine.items() if is_weights(path)), weights
    return held


def table(rows: Mapping[str, int] | Iterable[tuple[str, int]]) -> str:
    """Lines of a name and its megabytes."""
    pairs = list(rows.items() if isinstance(rows, Mapping) else rows)
    wide = max(len(name) for name, _ in pairs)
    return "\n".join(f"{name:<{wide}}  {size / MB:8.2f} MB" for name, size in pairs)


def told(files: Mapping[str, int]) -> str:
    """The parts, and what is held to a limit, as the command prints them."""
    held = limits(files)
    wide = max(map(len, held))
    lines = [f"{name:<{wide}}  {size / MB:8.2f} of {most / MB:g} MB" for name, (size, most) in held.items()]
    return "\n".join([table(parts(files)), "", *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--largest", type=int, default=0, metavar="N", help="also the N largest files")
    asked = parser.parse_args()
    files = tracked()
    print(told(files))
    if asked.largest:
        print(f"\n{table(sorted(files.items(), key=lambda file: -file[1])[: asked.largest])}")


if __name__ == "__main__":
    main()
