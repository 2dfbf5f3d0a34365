"""``coop-split:/path/split_zhou_X.json``: the splits that CoOp published, class order and all."""

from __future__ import annotations

from promptgrid.engine.datasets.split_files import SplitFiles
from promptgrid.tracks.image.datasets.beside import FolderDataset
from promptgrid.tracks.image.datasets.files import IMAGES

PREFIX = "coop-split:"


class CoopSplit(SplitFiles):
    """Images by a split file, see :class:`promptgrid.engine.datasets.split_files.SplitFiles`."""

    name = "coop-split"
    prefix = PREFIX
    kind = IMAGES
    built = FolderDataset
