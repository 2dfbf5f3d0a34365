"""Images of published datasets, in the folders in which people have them; one family an address."""

from __future__ import annotations

from promptgrid.engine.datasets.coop_folders import CoopFolders
from promptgrid.tracks.image.datasets.beside import FolderDataset
from promptgrid.tracks.image.datasets.files import IMAGES


class Coop(CoopFolders):
    """``coop:/data/NAME``: CoOp's eleven and the four variants of ImageNet."""

    name, prefix, kind, built = "coop", "coop:", IMAGES, FolderDataset


PREFIXES = (Coop.prefix,)
