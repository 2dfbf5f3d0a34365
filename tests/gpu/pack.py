"""What a run on a GPU machine needs of this checkout, and what that weighs: `make gpu-pack`.

It needs the code, the tests, the suites, the image wing's bundle, the rows of the one committed report that a run is
compared with, and what `.gpu/` holds (wheels and the like: git ignores that folder, and it travels along). It needs no
other report, and no other wing's data and weights.

`python -m tests.gpu.pack` prints the size of each part and fails above 60 MiB; `--out DIR` lays the files out in DIR,
which is emptied first. Where a checkout travels as it is, leave the rest out of it before, and bring it back after:

    git sparse-checkout set --no-cone PATTERNS     # `python -m tests.gpu.pack` prints the line with the patterns
    git sparse-checkout disable

Both touch only files that are committed and unchanged; git names those that it leaves because they are not.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from tests.bench.weight import MB, ROOT, parts, sizes, table, tracked

MIB = 1024 * 1024
MOST = 60 * MIB
"""What may travel; 64 MiB is where the transfer ends."""
CARRIED = ".gpu"
"""The ignored folder that travels along."""
RULES = (
    ("reports/*", False),
    ("reports/quickstart/results.parquet", True),
    ("platform/promptgrid/tracks/*/bundled/*", False),
    ("platform/promptgrid/tracks/image/bundled/*", True),
)
"""Patterns and whether what they match travels; the last that matches decides, and what none matches travels."""
MARKER = ".promptgrid-gpu-pack"
"""What is in a folder that `--out` made, and may therefore empty."""


def travels(path: str) -> bool:
    """Whether a tracked file is needed there."""
    return next((needed for pattern, needed in reversed(RULES) if fnmatchcase(path, pattern)), True)


def sparse_command() -> str:
    """The command that leaves out of a checkout what does not travel."""
    patterns = [f"{'' if needed else '!'}/{pattern.removesuffix('*')}" for pattern, needed in RULES]
    return f"git sparse-checkout set --no-cone {shlex.join(['/*', *patterns])}"


def packed(root: Path = ROOT) -> dict[str, dict[str, int]]:
    """{part: {path: bytes}} of everything that travels; untracked files do, unless git ignores them."""
    needed = {path: size for path, size in tracked(root).items() if travels(path)}
    found: dict[str, dict[str, int]] = {"tracked": needed}
    if untracked := sizes(root, "--others", "--exclude-standard"):
        found["untracked, not ignored"] = untracked
    for path in sorted((root / CARRIED).rglob("*")):
        if path.is_file():
            name = path.relative_to(root)
            part = "/".join(name.parts[:2]) if len(name.parts) > 2 else CARRIED
            found.setdefault(part, {})[name.as_posix()] = path.stat().st_size
    return found


def lay_out(root: Path, out: Path, files: Iterable[str]) -> None:
    """Copy ``files`` of ``root`` into ``out``, which holds nothing else afterwards.

    Raises:
        SystemExit: ``out`` holds something that this command did not make.
    """
    if out.exists() and any(out.iterdir()) and not (out / MARKER).is_file():
        raise SystemExit(f"{out} was not made by this command: name an empty folder")
    shutil.rmtree(out, ignore_errors=True)
    for name in files:
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(root / name, out / name, follow_symlinks=False)
    (out / MARKER).touch()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, metavar="DIR", help="lay the files out there")
    asked = parser.parse_args()
    found = packed()
    files = {path: size for part in found.values() for path, size in part.items()}
    total = sum(files.values())
    rows = parts(found.pop("tracked")) | {part: sum(sized.values()) for part, sized in found.items()}
    print(table([*rows.items(), ("what travels", total)]))
    print(f"{total / MIB:.1f} of at most {MOST // MIB} MiB\n")
    print(f"leave the rest out:  {sparse_command()}\nbring it back:       git sparse-checkout disable")
    if total > MOST:
        sys.exit(f"{(total - MOST) / MB:.1f} MB too much")
    if asked.out:
        lay_out(ROOT, asked.out, files)
        print(f"laid out in {asked.out}")


if __name__ == "__main__":
    main()
