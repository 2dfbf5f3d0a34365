"""What a name or a path would become as a dataset, with the names of what is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from promptgrid.contract import Dataset
from promptgrid.engine.datasets.files import FilesDataset
from promptgrid.engine.datasets.preview import facts_of
from promptgrid.spec.paths import user_path
from promptgrid.spec.sizes import shown
from promptgrid.tracks.image.datasets import coop_split, imagefolder, layouts
from promptgrid.tracks.image.datasets.decoding import DamagedImage

LOOKED_AT = 400
"""Images that are read for their sizes: all of a small dataset, evenly spread ones of a large one."""


def address_of(written: str) -> str:
    """``written`` as a suite names it: a bare path is a folder of images, or a split file where it ends in .json."""
    if written.startswith((imagefolder.PREFIX, coop_split.PREFIX, *layouts.PREFIXES)):
        return written
    if written.split("?")[0].endswith(".json"):
        return coop_split.PREFIX + written
    looks_like_a_path = written.startswith(("~", ".", "/")) or "/" in written or user_path(written).is_dir()
    return imagefolder.PREFIX + written if looks_like_a_path else written


def preview(dataset: Dataset, address: str) -> dict[str, Any]:
    """The facts of an opened dataset: classes with counts by split, sizes of images, what is left out and why."""
    sizes, unread = _sizes(dataset) if isinstance(dataset, FilesDataset) else (None, [])
    return facts_of(dataset, address, {"pixels": sizes, "lines": _lines(sizes)}, unread)


def _sizes(dataset: FilesDataset) -> tuple[Mapping[str, Any], Sequence[tuple[str, str]]]:
    """Width and height (smallest, median, largest) of the images looked at, bytes of all, and what cannot be read."""
    step = max(1, -(-len(dataset.paths) // LOOKED_AT))
    shapes, unread = [], []
    for index in range(0, len(dataset.paths), step):
        try:
            shapes.append(dataset.read(index).size)
        except DamagedImage as error:
            unread.append((dataset.paths[index], error.reason))
    spread = {side: _spread([shape[place] for shape in shapes]) for place, side in enumerate(("width", "height"))}
    return {
        "looked_at": len(shapes) + len(unread),
        "images": len(dataset.paths),
        "bytes": dataset.weight,
        **spread,
    }, unread


def _lines(sizes: Mapping[str, Any] | None) -> list[str]:
    """The sizes in one line for people; none where no image could be read."""
    if sizes is None or sizes["width"] is None:
        return []
    low, middle, high = zip(sizes["width"], sizes["height"], strict=True)
    some = "" if sizes["looked_at"] == sizes["images"] else f" (of {sizes['looked_at']:,} images looked at)"
    spread = f"{low[0]} to {high[0]} wide, {low[1]} to {high[1]} high, {middle[0]}x{middle[1]} at the median"
    return [f"sizes: {spread}{some}; {shown(sizes['bytes'])} in all"]


def _spread(values: Sequence[int]) -> list[int] | None:
    return [min(values), round(median(values)), max(values)] if values else None
