"""``vpt-fgvc:/data/NAME``: the five fine-grained datasets of VPT, with the splits that it published as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from promptgrid.engine.datasets.files import Row, existing_folder
from promptgrid.engine.datasets.published.checking import LayoutFamily, Published
from promptgrid.engine.datasets.published.listed import Listed, names_of
from promptgrid.engine.datasets.published.name_lists import class_names
from promptgrid.engine.datasets.split_lists import plain_path, read_json
from promptgrid.spec import Refused, nearest

FGVC: dict[str, tuple[int, str]] = {
    "CUB_200_2011": (200, "images"),
    "nabirds": (555, "images"),
    "OxfordFlower": (102, "."),
    "StanfordDogs": (120, "Images"),
    "StanfordCars": (196, "."),
}
"""By the folder: how many classes, and where the images lie in it."""
SPLITS = ("train", "val", "test")


class VptFgvc(LayoutFamily):
    """``{train,val,test}.json``: a mapping from a path to the number of a class.

    Numbers need not be contiguous (those of nabirds are not): labels follow the sorted numbers, over all splits. Names
    stand in ``classnames.txt``, one a line in label order, or else classes are called by number.
    """

    def layouts(self) -> Sequence[str]:
        return list(FGVC)

    def folders(self, layout: str) -> Sequence[str]:
        return (layout,)

    def facts(self, layout: str) -> dict[str, Any]:
        return {"name": f"vpt-{layout}", "title": layout, "template": "a photo of a {}."}

    def sizes(self, layout: str, options: Mapping[str, str]) -> Published:
        return Published(FGVC[layout][0])

    def needed(self, layout: str, folder: Path) -> Sequence[str]:
        return (*(f"{split}.json" for split in SPLITS), FGVC[layout][1])

    def listed(self, path: Path, options: Mapping[str, str]) -> Listed:
        if path.name not in FGVC:
            raise Refused("none of VPT's five is called so", where=str(path), got=path.name,
                          hint=nearest(path.name, FGVC))  # fmt: skip
        folder = existing_folder(str(path), f"{self.prefix}{path}")
        root = existing_folder(str(folder / FGVC[path.name][1]), str(folder))
        numbers = {split: _numbers(folder / f"{split}.json") for split in SPLITS}
        _refuse_repeats(numbers, folder)
        order = sorted({number for some in numbers.values() for number in some.values()})
        labels = {number: label for label, number in enumerate(order)}
        splits = {
            split: [Row(path, labels[number]) for path, number in some.items()] for split, some in numbers.items()
        }
        classes, notes = class_names(folder, len(order))
        return Listed(str(folder), root, splits, self.facts(path.name) | names_of(classes), notes)


def _numbers(file: Path) -> dict[str, int]:
    """{path: number of its class} in the order of the file."""
    if not file.is_file():
        raise Refused("no such file", where=str(file))
    found = read_json(file)
    if not isinstance(found, dict) or not found:
        raise Refused("not a mapping from paths to numbers", where=str(file), got=type(found).__name__)
    for path, number in found.items():
        if not isinstance(number, int) or isinstance(number, bool):
            raise Refused(f"{path!r}: the class is not a number", where=str(file), got=number)
    return {plain_path(path, repr(path), str(file)): number for path, number in found.items()}


def _refuse_repeats(numbers: Mapping[str, Mapping[str, int]], folder: Path) -> None:
    seen: dict[str, str] = {}
    for split, some in numbers.items():
        for path in some:
            if seen.setdefault(path, split) != split:
                raise Refused(f"{path!r} stands in {seen[path]}.json and in {split}.json", where=str(folder))
