"""``coop:/data/NAME``: CoOp's fifteen datasets in the folders of its ``DATASETS.md``, with the splits that it makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from promptgrid.engine.datasets.files import Row, existing_folder
from promptgrid.engine.datasets.folder_tree import Kind
from promptgrid.engine.datasets.published.checking import LayoutFamily, Published
from promptgrid.engine.datasets.published.coop_layouts import CLASSNAMES, COOP, CoopLayout
from promptgrid.engine.datasets.published.listed import Listed, names_of, twin_notes
from promptgrid.engine.datasets.published.name_lists import read_keyed_names, read_labelled, read_lines
from promptgrid.engine.datasets.split_files import listed_in
from promptgrid.spec import Refused, nearest

WHOLE = 1000
"""Classes of a dataset that has all of ImageNet's."""
ORDER = (
    "Images of a class stand in order of their names. CoOp takes them in the order of the machine's folder listing, so "
    "that its few-shot draws of this dataset are not the same on two machines."
)


class CoopFolders(LayoutFamily):
    """The last part of the path is the dataset: ``caltech-101``, ``fgvc_aircraft``, ``imagenet-rendition``, ...

    Nine have a split file, and are the dataset that ``coop-split:`` opens. FGVCAircraft has its makers' lists. ImageNet
    has a folder a class; what it calls validation is the test split, and no validation split is made: CoOp selects
    nothing there. A copy without ``train/`` opens too, to be scored. The four variants have test images only.
    ImageNet-A and -R are tasks of their own 200 classes, as in CoOp: scores among all 1,000 are other numbers.

    Names of ImageNet's classes are those of the user's own ``classnames.txt``, in the dataset's folder or in
    ``imagenet/`` beside it; labels follow the sorted folders, in ImageNetV2 the lines of that file. Caches that CoOp
    left in ``split_fewshot/`` are pickles and are not read.
    """

    above: ClassVar[tuple[str, ...]] = ("few-shot-datasets",)

    def layouts(self) -> Sequence[str]:
        return list(COOP)

    def folders(self, layout: str) -> Sequence[str]:
        return (layout,)

    def facts(self, layout: str) -> dict[str, Any]:
        return {"name": COOP[layout].title, "template": COOP[layout].template}

    def sizes(self, layout: str, options: Mapping[str, str]) -> Published:
        return Published(COOP[layout].classes, COOP[layout].splits)

    def needed(self, layout: str, folder: Path) -> Sequence[str]:
        return COOP[layout].needed

    def listed(self, path: Path, options: Mapping[str, str]) -> Listed:
        layout = COOP.get(path.name)
        if layout is None:
            raise Refused("no dataset of CoOp's is called so", where=str(path), got=path.name,
                          hint=nearest(path.name, COOP))  # fmt: skip
        below = self.below(path.name, path.parent)
        folder = existing_folder(str(below or path), f"{self.prefix}{path}")
        if layout.lists == "json":
            found = _by_split_file(folder, layout, self.kind.noun)
        elif layout.lists == "variants":
            found = _by_variants(folder, layout)
        else:
            found = _by_classnames(folder, layout, self.kind)
        return replace(found, notes=[*found.notes, *_counted(found, layout)])


def _by_split_file(folder: Path, layout: CoopLayout, noun: str) -> Listed:
    file = folder / layout.needed[0]
    if not file.is_file():
        raise Refused(f"no {file.name}", where=str(folder),
                      hint="CoOp would draw a split that nobody else has; its DATASETS.md links the file")  # fmt: skip
    return listed_in(file, None, noun)


def _by_variants(folder: Path, layout: CoopLayout) -> Listed:
    """FGVCAircraft's own lists: a number of an image and the name of a variant a line."""
    file = folder / "variants.txt"
    classes = [line for _, line in read_lines(file)]
    if len(set(classes)) < len(classes):
        raise Refused("a variant stands on two lines", where=str(file))
    splits = {
        split: [Row(*row) for row in read_labelled(folder / f"images_variant_{split}.txt", classes, ".jpg")]
        for split in ("train", "val", "test")
    }
    root = existing_folder(str(folder / layout.images), str(folder))
    return Listed(str(folder), root, splits, _facts(layout, classes))


def _by_classnames(folder: Path, layout: CoopLayout, kind: Kind) -> Listed:
    """A folder a class, called by a WordNet id, or in ImageNetV2 by the number of a line of ``classnames.txt``."""
    file = next((place for place in (folder / CLASSNAMES, folder.parent / "imagenet" / CLASSNAMES) if place.is_file()),
                None)  # fmt: skip
    if file is None:
        raise Refused(f"no {CLASSNAMES}, which says what the classes are called", where=str(folder),
                      hint="CoOp's DATASETS.md links it; it may lie in imagenet/ beside this folder too")  # fmt: skip
    names = read_keyed_names(file)
    root = existing_folder(str(folder / layout.images), str(folder))
    if layout.lists == "numbers":
        homes = _numbered(root, names, file)
        labels, parts = {home: int(home) for home in homes}, {"test": ""}
        classes = list(names.values())
    else:
        parts = {"train": "train/", "test": "val/"} if "train" in layout.splits else {"test": ""}
        parts = {split: part for split, part in parts.items() if split == "test" or (root / part).is_dir()}
        homes = _known_ids(root, parts, names, file, whole=layout.classes == WHOLE)
        labels = {home: label for label, home in enumerate(homes)}
        classes = [names[home] for home in homes]
    splits: dict[str, list[Row]] = {"train": [], "val": [], "test": []}
    left_out: list[tuple[str, str]] = []
    for split, part in parts.items():
        for home in homes:
            for name in _files(root / part / home):
                if kind.named_so(name):
                    splits[split].append(Row(f"{part}{home}/{name}", labels[home]))
                else:
                    left_out.append((f"{part}{home}/{name}", kind.no_suffix))
    return Listed(str(folder), root, splits, _facts(layout, classes) | {"description": ORDER}, twin_notes(classes),
                  left_out)  # fmt: skip


def _numbered(root: Path, names: Mapping[str, str], file: Path) -> list[str]:
    """Folders 0, 1, 2, ... in the order of the numbers, which is not the order of their names."""
    homes = _subfolders(root)
    odd = [home for home in homes if not home.isdecimal() or str(int(home)) != home or int(home) >= len(names)]
    if odd:
        raise Refused("no line of classnames.txt is meant by this folder", where=str(root), got=odd[0],
                      expected=f"0 to {len(names) - 1}, by the lines of {file}")  # fmt: skip
    return sorted(homes, key=int)


def _known_ids(root: Path, parts: Mapping[str, str], names: Mapping[str, str], file: Path, whole: bool) -> list[str]:
    """The class folders, sorted, which every part has alike; ``whole``: all that have a name."""
    homes = {part: _subfolders(root / part) for part in parts.values()}
    first = sorted({home for some in homes.values() for home in some})
    unnamed = [home for home in first if home not in names]
    if unnamed:
        raise Refused(f"{len(unnamed)} class folders have no line in {file}", where=str(root), got=unnamed[0],
                      expected="the WordNet id of a class")  # fmt: skip
    for part, some in homes.items():
        lost = sorted((set(names) if whole else set(first)) - set(some))
        if lost:
            raise Refused(f"{part or '.'}: {len(lost)} classes have no folder, and labels would shift", where=str(root),
                          got=lost[:3], hint="imagefolder: opens a part of a dataset as a task of its own")  # fmt: skip
    return first


def _subfolders(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise Refused("no such folder", where=str(folder))
    return sorted(entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith("."))


def _files(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith("."))


def _facts(layout: CoopLayout, classes: Sequence[str]) -> dict[str, object]:
    return {"name": layout.title, "template": layout.template, **names_of(classes)}


def _counted(found: Listed, layout: CoopLayout) -> list[str]:
    """A sentence where a split has another size than the published one: a home-made split file, a part of the data."""
    counts = {split: len(found.splits.get(split, ())) for split in layout.splits}
    odd = [f"{counts[split]:,} in {split} instead of {count:,}" for split, count in layout.splits.items()
           if counts[split] != count]  # fmt: skip
    return [f"not the split that papers use: {', '.join(odd)}"] if odd else []
