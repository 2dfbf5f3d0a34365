"""``elevater:/data/NAME``: ELEVATER's datasets, in both of its formats, images read from their zips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from promptgrid.engine.datasets.files import Row
from promptgrid.engine.datasets.published.archives import content_of, present
from promptgrid.engine.datasets.published.checking import LayoutFamily, Published
from promptgrid.engine.datasets.published.elevater_layouts import ELEVATER, ElevaterLayout
from promptgrid.engine.datasets.published.listed import Listed, names_of, twin_notes
from promptgrid.engine.datasets.published.name_lists import CLASSNAMES, read_lines, read_numbered
from promptgrid.engine.datasets.split_lists import parse_json, plain_path
from promptgrid.spec import Refused, nearest
from promptgrid.spec.reading import read_yaml

NAMES = Path(__file__).parent / "elevater_names.yaml"
NOTES_IN = "annotations.zip"
"""Where an index may lie instead of beside the zips."""


class Elevater(LayoutFamily):
    """``NAME`` is what its configurations call the dataset, or its folder; it is found down to three levels.

    Index files have a line an image, ``train.zip@path/in/zip.jpg 3`` with labels from 0, or are JSON with ``images``,
    ``annotations`` and ``categories`` (labels are places in ``categories``, whose numbers begin with 1).

    Classes are called as in the toolkit's prompts (:data:`NAMES`), not as in ``labels.txt``; ``classnames.txt``
    beside the index, a name a line, overrides them. Where the toolkit's list is not in the order of the labels
    (fer-2013), and for ImageNet-1k, the names on disk are taken and a note says so. The official validation split is
    read as it is; the protocol ``elevater`` selects on a part of its few-shot sample instead, as the toolkit does.
    Scores here are accuracies; a note names another metric of the benchmark. Images with several labels are refused.
    """

    def layouts(self) -> Sequence[str]:
        return list(ELEVATER)

    def folders(self, layout: str) -> Sequence[str]:
        return (ELEVATER[layout].folder, layout)

    def below(self, layout: str, root: Path) -> Path | None:
        names, index = self.folders(layout), ELEVATER[layout].indices["test"]
        depths = ("", "classification/", "*/", "*/classification/")
        places = [place for name in names for depth in depths for place in sorted(root.glob(f"{depth}{name}"))]
        inner = [found for place in places for found in (place, *sorted(place.glob("classification/*")))]
        return next((place for place in inner if _index(place, index) is not None), None)

    def facts(self, layout: str) -> dict[str, Any]:
        return {"name": f"elevater-{layout}", "title": f"ELEVATER {layout}", "template": ELEVATER[layout].template}

    def sizes(self, layout: str, options: Mapping[str, str]) -> Published:
        return Published(ELEVATER[layout].classes, ELEVATER[layout].splits)

    def needed(self, layout: str, folder: Path) -> Sequence[str]:
        known = ELEVATER[layout]
        lost = [file for file in known.indices.values() if _index(folder, file) is None]
        return (*lost, *filter(None, [known.labels]))

    def listed(self, path: Path, options: Mapping[str, str]) -> Listed:
        layout = self.layout_of(path.name)
        if layout is None:
            raise Refused("no dataset of ELEVATER is called so", where=str(path), got=path.name,
                          hint=nearest(path.name, ELEVATER))  # fmt: skip
        known = ELEVATER[layout]
        folder = path if _index(path, known.indices["test"]) else self.below(layout, path.parent)
        if folder is None:
            raise Refused(f"no folder with {known.indices['test']}", where=str(path),
                          expected=f"{known.folder}/ at most three levels below {path.parent}")  # fmt: skip
        folder = folder.resolve()
        splits: dict[str, list[Row]] = {"train": [], "val": [], "test": []}
        names: list[str] = []
        for split, file in known.indices.items():
            index = _index(folder, file)
            if index is None:
                raise Refused(f"no {file}", where=str(folder))
            splits[split], found = _by_json(index) if file.endswith(".json") else (_by_lines(index), names)
            if names and found != names:
                raise Refused("its categories are not those of the other splits", where=str(index))
            names = found
        classes, notes = _names(folder, known, names, layout)
        top = max(row.label for rows in splits.values() for row in rows)
        if top >= len(classes):
            raise Refused(f"label {top} has no name", where=str(folder), got=f"{len(classes)} names")
        if known.metric != "accuracy":
            notes.append(f"ELEVATER reports {known.metric} of this dataset")
        if known.squashed:
            notes.append("ELEVATER squashes this dataset's examples to a square; here a backbone's own transform holds")
        facts = self.facts(layout) | names_of(classes)
        return Listed(str(folder), folder, splits, facts, [*notes, *twin_notes(classes)])


def _index(folder: Path, file: str) -> Path | None:
    """The index ``file`` of a dataset: beside its zips, or in ``annotations.zip``."""
    return next((folder / name for name in (file, f"{NOTES_IN}@{file}") if present(folder, name)), None)


def _by_lines(index: Path) -> list[Row]:
    if any("," in line.rpartition(" ")[2] for _, line in read_lines(index)):
        raise Refused("images with several labels", where=str(index), expected="one label an image")
    return [Row(*row) for row in read_numbered(index)]


def _by_json(index: Path) -> tuple[list[Row], list[str]]:
    """Rows in the order of ``images``, and names in the order of ``categories``."""
    where = str(index)
    value = parse_json(content_of(index), where)
    try:
        places = {item["id"]: place for place, item in enumerate(value["categories"])}
        names = [str(item["name"]) for item in value["categories"]]
        labels = _labels(value["annotations"], places, where)
        rows = [Row(_path(item, where), labels[item["id"]]) for item in value["images"]]
    except (KeyError, TypeError) as error:
        raise Refused(f"not images, annotations and categories: {error!r}", where=where) from error
    return rows, names


def _labels(annotations: Sequence[Mapping[str, Any]], places: Mapping[int, int], where: str) -> dict[int, int]:
    labels: dict[int, int] = {}
    for item in annotations:
        if labels.setdefault(item["image_id"], places[item["category_id"]]) != places[item["category_id"]]:
            raise Refused(
                "images with several labels", where=where, got=item["image_id"], expected="one label an image"
            )
    return labels


def _path(item: Mapping[str, Any], where: str) -> str:
    name = plain_path(item["file_name"], f"image {item['id']}", where)
    return plain_path(f"{item['zip_file']}@{name}", f"image {item['id']}", where) if item.get("zip_file") else name


def _names(folder: Path, known: ElevaterLayout, categories: list[str], layout: str) -> tuple[list[str], list[str]]:
    own = folder / CLASSNAMES
    if own.is_file():
        return [line for _, line in read_lines(own)], []
    found = [line for _, line in read_lines(folder / known.labels)] if known.labels else categories
    spoken = spoken_names().get(layout, [])
    if len(spoken) != len(found):
        return found, [
            f"names of classes are those on disk, which ELEVATER's prompts do not use ({CLASSNAMES} sets them)"
        ]
    plain = {_plain(name): name for name in spoken}
    if {_plain(name) for name in found} == plain.keys():
        return [plain[_plain(name)] for name in found], []  # whatever the order of the toolkit's list
    return spoken, []


def _plain(name: str) -> str:
    return name.casefold().replace("_", " ").replace("-", " ")


@cache
def spoken_names() -> dict[str, list[str]]:
    """What ELEVATER's prompts call the classes of its datasets, in label order."""
    return {layout: str(names).split("; ") for layout, names in read_yaml(NAMES).items()}
