"""What a user may put beside images in files: ``descriptions.yaml``, and ``variations/`` that a generator made."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from promptgrid.contract.assets import NO_DESCRIPTIONS, Descriptions, Variations
from promptgrid.spec import Refused, digest
from promptgrid.tracks.image.datasets.decoding import SUFFIXES
from promptgrid.tracks.image.datasets.descriptions import FILE, read_descriptions
from promptgrid.tracks.image.datasets.files import FilesDataset, hashes_below, read_image, refuse_outside

if TYPE_CHECKING:
    from PIL.Image import Image

FOLDER = "variations"


class FolderDataset(FilesDataset):
    """Images in files with what stands beside them, read when it is first asked for.

    Neither is part of the dataset's digest: a cell that uses one names its digest apart.
    """

    @cached_property
    def descriptions(self) -> Descriptions:
        path = self.root / FILE
        return read_descriptions(path, self.card.classes) if path.exists() else NO_DESCRIPTIONS

    @cached_property
    def variations(self) -> Variations | None:
        return read_variations(self.root, self.paths)


def read_variations(root: Path, paths: Sequence[str]) -> Variations | None:
    """What ``root/variations`` holds of the images ``paths``: those of ``test/cat/1.png`` lie in ``test/cat/1/``.

    Args:
        root: the resolved folder of the dataset.
        paths: of its images relative to ``root``, by dataset index.

    Raises:
        Refused: a file leads out of the folder, cannot be read, or belongs to no image.
    """
    home = root / FOLDER
    if not home.is_dir():
        return None
    if home.is_symlink():
        raise Refused(f"{FOLDER}/ is a link", where=str(root), got=str(home.resolve()), expected="a real folder")
    index_of = {os.path.splitext(path)[0]: index for index, path in enumerate(paths)}
    found: dict[int, list[str]] = {}
    for name in _images(home):
        owner = os.path.dirname(name)
        if owner not in index_of:
            raise Refused("a variation of no image of this dataset", where=str(home), got=name,
                          expected="<path of the image without its ending>/<any name>.png")  # fmt: skip
        found.setdefault(index_of[owner], []).append(name)
    names = {index: tuple(sorted(found[index])) for index in sorted(found)}
    listed = [name for some in names.values() for name in some]
    refuse_outside(home, listed, str(home))
    hashes = hashes_below(home, listed, str(home))

    def read(name: str) -> Image:
        return read_image(home / name, bytes.fromhex(hashes[name][1]))

    return Variations(names, digest(sorted([name, *fact] for name, fact in hashes.items())), read)


def _images(home: Path) -> list[str]:
    """Paths of the images below ``home``, relative to it; links to folders are not followed."""
    return sorted(
        (Path(place) / name).relative_to(home).as_posix()
        for place, _, files in os.walk(home)
        for name in files
        if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
    )
