"""Images in files with what a user may put beside them: ``descriptions.yaml``, and ``variations/`` of a generator."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from promptgrid.contract.assets import NO_DESCRIPTIONS, Descriptions, Variations
from promptgrid.engine.datasets.descriptions import FILE, read_descriptions
from promptgrid.engine.datasets.files import FilesDataset
from promptgrid.engine.datasets.variations import read_variations
from promptgrid.tracks.image.datasets.files import IMAGES, read_image

if TYPE_CHECKING:
    from PIL.Image import Image


class FolderDataset(FilesDataset):
    """Images in files with what stands beside them, read when it is first asked for.

    Neither is part of the dataset's digest: a cell that uses one names its digest apart.
    """

    def read_file(self, path: Path, known: bytes) -> Image:
        return read_image(path, known)

    @cached_property
    def descriptions(self) -> Descriptions:
        path = self.root / FILE
        return read_descriptions(path, self.card.classes) if path.exists() else NO_DESCRIPTIONS

    @cached_property
    def variations(self) -> Variations | None:
        return read_variations(self.root, self.paths, IMAGES, read_image)
