"""What a generator made of the examples of a dataset in files, kept in a folder beside them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from promptgrid.contract.assets import Variations
from promptgrid.engine.datasets.files import hashes_below, refuse_outside
from promptgrid.engine.datasets.folder_tree import Kind
from promptgrid.spec import Refused, digest

FOLDER = "variations"


def read_variations(
    root: Path, paths: Sequence[str], kind: Kind, read_file: Callable[[Path, bytes], Any]
) -> Variations | None:
    """What ``root/variations`` holds of the examples ``paths``: those of ``test/cat/1.png`` lie in ``test/cat/1/``.

    Args:
        root: the resolved folder of the dataset.
        paths: of its examples relative to ``root``, by dataset index.
        kind: which files are variations.
        read_file: reads one, whose content must have this sha256.

    Raises:
        Refused: a file leads out of the folder, cannot be read, or belongs to no example.
    """
    home = root / FOLDER
    if not home.is_dir():
        return None
    if home.is_symlink():
        raise Refused(f"{FOLDER}/ is a link", where=str(root), got=str(home.resolve()), expected="a real folder")
    index_of = {os.path.splitext(path)[0]: index for index, path in enumerate(paths)}
    found: dict[int, list[str]] = {}
    for name in _below(home, kind):
        owner = os.path.dirname(name)
        if owner not in index_of:
            raise Refused(f"a variation of no {kind.noun} of this dataset", where=str(home), got=name,
                          expected=f"<path of the {kind.noun} without its ending>/<any name>.png")  # fmt: skip
        found.setdefault(index_of[owner], []).append(name)
    names = {index: tuple(sorted(found[index])) for index in sorted(found)}
    listed = [name for some in names.values() for name in some]
    refuse_outside(home, listed, str(home))
    hashes = hashes_below(home, listed, str(home), kind.noun)

    def read(name: str) -> Any:
        return read_file(home / name, bytes.fromhex(hashes[name][1]))

    return Variations(names, digest(sorted([name, *fact] for name, fact in hashes.items())), read)


def _below(home: Path, kind: Kind) -> list[str]:
    """Paths of the variations below ``home``, relative to it; links to folders are not followed."""
    return sorted(
        (Path(place) / name).relative_to(home).as_posix()
        for place, _, files in os.walk(home)
        for name in files
        if kind.named_so(name)
    )
