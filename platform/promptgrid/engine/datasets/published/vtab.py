"""``vtab:/data/vtab-1k/NAME``: VTAB-1k as lists of images and labels, one folder a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from promptgrid.engine.datasets.files import Row, existing_folder
from promptgrid.engine.datasets.published.checking import LayoutFamily, Published
from promptgrid.engine.datasets.published.listed import Listed, names_of
from promptgrid.engine.datasets.published.name_lists import class_names, read_numbered
from promptgrid.spec import Refused, nearest

LISTS = {"train": "train800.txt", "val": "val200.txt", "test": "test.txt"}
BOTH = "train800val200.txt"


@dataclass(frozen=True)
class VtabLayout:
    """A dataset of VTAB-1k: classes, test images, group, and other names of its folder."""

    classes: int
    test: int
    group: Literal["natural", "specialised", "structured"]
    aliases: tuple[str, ...] = ()


VTAB: dict[str, VtabLayout] = {
    "caltech101": VtabLayout(102, 6084, "natural"),
    "cifar": VtabLayout(100, 10000, "natural", ("cifar100",)),
    "dtd": VtabLayout(47, 1880, "natural"),
    "oxford_flowers102": VtabLayout(102, 6149, "natural", ("flowers102",)),
    "oxford_iiit_pet": VtabLayout(37, 3669, "natural", ("pets",)),
    "svhn": VtabLayout(10, 26032, "natural"),
    "sun397": VtabLayout(397, 21750, "natural"),
    "patch_camelyon": VtabLayout(2, 32768, "specialised"),
    "eurosat": VtabLayout(10, 5400, "specialised"),
    "resisc45": VtabLayout(45, 6300, "specialised"),
    "diabetic_retinopathy": VtabLayout(5, 42670, "specialised", ("retinopathy",)),
    "clevr_count": VtabLayout(8, 15000, "structured"),
    "clevr_dist": VtabLayout(6, 15000, "structured"),
    "dmlab": VtabLayout(6, 22735, "structured"),
    "kitti": VtabLayout(4, 711, "structured"),
    "dsprites_loc": VtabLayout(16, 73728, "structured"),
    "dsprites_ori": VtabLayout(16, 73728, "structured"),
    "smallnorb_azi": VtabLayout(18, 12150, "structured"),
    "smallnorb_ele": VtabLayout(9, 12150, "structured"),
}
"""By the usual name of the folder (Puigcerver's splits as NOAH's and V-PETL Bench's scripts write them)."""


class Vtab(LayoutFamily):
    """``train800.txt`` trains, ``val200.txt`` selects, ``test.txt`` is scored; lines are ``path label``, labels from 0.

    Papers tune on these and report what was trained on both: ``?train=1000`` trains on ``train800val200.txt``, and
    nothing selects.

    There are no class names on disk: ``classnames.txt`` beside the lists gives them, one a line in label order. Without
    it, classes are called ``class 0``, ``class 1``, ..., which says nothing to a text tower, and a note says so. How
    many classes there are is taken from the labels. Exports differ in the bytes of their JPEGs: two machines have one
    digest only where the files are the same.
    """

    above: ClassVar[tuple[str, ...]] = ("vtab-1k",)
    options: ClassVar[tuple[str, ...]] = ("train", "sha256")

    def layouts(self) -> Sequence[str]:
        return list(VTAB)

    def folders(self, layout: str) -> Sequence[str]:
        return (layout, *VTAB[layout].aliases)

    def facts(self, layout: str) -> dict[str, Any]:
        return {"name": f"vtab-{layout}", "title": f"VTAB-1k {layout}", "template": "a photo of a {}."}

    def sizes(self, layout: str, options: Mapping[str, str]) -> Published:
        known = VTAB[layout]
        drawn = {"train": 1000} if options.get("train") == "1000" else {"train": 800, "val": 200}
        return Published(known.classes, drawn | {"test": known.test})

    def needed(self, layout: str, folder: Path) -> Sequence[str]:
        return (*LISTS.values(), BOTH)

    def listed(self, path: Path, options: Mapping[str, str]) -> Listed:
        layout = self.layout_of(path.name)
        if layout is None:
            raise Refused("no dataset of VTAB-1k is called so", where=str(path), got=path.name,
                          hint=nearest(path.name, VTAB))  # fmt: skip
        folder = existing_folder(str(self.below(layout, path.parent) or path), f"{self.prefix}{path}")
        splits = {split: [Row(*row) for row in read_numbered(folder / name)] for split, name in LISTS.items()}
        if options.get("train", "800") not in ("800", "1000"):
            raise Refused("train", where=str(folder), got=options["train"], expected="800 or 1000")
        if options.get("train") == "1000":
            splits |= {"train": _both(folder, splits), "val": []}
        count = 1 + max(row.label for rows in splits.values() for row in rows)
        classes, notes = class_names(folder, count)
        return Listed(str(folder), folder, splits, self.facts(layout) | names_of(classes), notes)


def _both(folder: Path, splits: Mapping[str, Sequence[Row]]) -> list[Row]:
    """The list of 1,000, which holds the images of both others; some exports name them below another folder."""
    rows = [Row(*row) for row in read_numbered(folder / BOTH)]
    apart = [row.label for split in ("train", "val") for row in splits[split]]
    if sorted(row.label for row in rows) != sorted(apart):
        raise Refused(f"not the images of {LISTS['train']} and {LISTS['val']}", where=str(folder / BOTH),
                      got=f"{len(rows)} lines", expected=f"{len(apart)}, of the same labels")  # fmt: skip
    return rows
