"""``coop-split:/path/split_zhou_X.json``: the splits that CoOp published, class order and all."""

from __future__ import annotations

import json
import posixpath
from pathlib import Path
from typing import Any

from promptgrid.contract.clip import Dataset, DatasetFamily
from promptgrid.contract.split_names import SPLITS
from promptgrid.spec import DatasetCard, Refused, digest, nearest
from promptgrid.spec.checked import make_card
from promptgrid.spec.paths import user_path
from promptgrid.tracks.image.datasets.beside import FolderDataset
from promptgrid.tracks.image.datasets.content import duplicate_notes
from promptgrid.tracks.image.datasets.files import Row, existing_folder, hashes_below, refuse_outside

PREFIX = "coop-split:"
MAX_BYTES = 256 * 2**20
OPTIONS = ("images", "sha256")
PLAIN = "a photo of a {}."

# By the X of split_zhou_X.json: CoOp's template (its `trainers/zsclip.py`) and where its `DATASETS.md` puts the
# images, relative to the folder of the JSON.
PUBLISHED: dict[str, tuple[str, str]] = {
    "ImageNet": (PLAIN, "images"),
    "Caltech101": (PLAIN, "101_ObjectCategories"),
    "OxfordPets": ("a photo of a {}, a type of pet.", "images"),
    "StanfordCars": (PLAIN, "."),
    "OxfordFlowers": ("a photo of a {}, a type of flower.", "jpg"),
    "Food101": ("a photo of {}, a type of food.", "images"),
    "FGVCAircraft": ("a photo of a {}, a type of aircraft.", "images"),
    "SUN397": (PLAIN, "SUN397"),
    "DescribableTextures": ("{} texture.", "images"),
    "EuroSAT": ("a centered satellite photo of {}.", "2750"),
    "UCF101": ("a photo of a person doing {}.", "UCF-101-midframes"),
}


class CoopSplit(DatasetFamily):
    """A JSON with ``train``, ``val`` and ``test`` lists of [relative path, label, class name].

    Images are sought in the folder of the JSON, in ``images/`` beside it and where CoOp puts them; or say where:
    ``coop-split:/path/x.json?images=/folder``. ``&sha256=`` pins the whole. The digest is taken over the parsed
    lists and the contents of the images, never over the bytes of the JSON: two copies that differ in spacing are
    the same dataset. Class names stay as written, in label order.
    """

    name = "coop-split"

    def listing(self) -> list[DatasetCard]:
        return []

    def knows(self, dataset: str) -> bool:
        return dataset.startswith(PREFIX)

    def open(self, dataset: str) -> Dataset:
        file, options = _address(dataset)
        where = str(file)
        splits, classes = _parse(_read_json(file), where)
        paths = [row.path for rows in splits.values() for row in rows]
        known = file.stem.removeprefix("split_zhou_")
        template, usual = PUBLISHED.get(known, (PLAIN, "images"))
        root = _images_root(file, options, usual, paths)
        refuse_outside(root, paths, where)
        hashes = hashes_below(root, paths, where)
        sha = digest(
            {
                "splits": {name: [[row.path, row.label] for row in rows] for name, rows in splits.items()},
                "classes": classes,
                "template": template,
                "images": sorted([path, *fact] for path, fact in hashes.items()),
            }
        )
        if options.get("sha256", sha) != sha:
            raise Refused(
                "sha256: the split or its images are not those pinned", where=where, got=sha, expected=options["sha256"]
            )
        kept = {name: rows for name, rows in splits.items() if rows}
        counts = {name: len(rows) for name, rows in kept.items()}
        facts = {"name": known, "template": template, "classes": classes, "splits": counts, "sha256": sha}
        notes = duplicate_notes(hashes, {name: [row.path for row in rows] for name, rows in kept.items()})
        return FolderDataset(make_card(where, facts), root, kept, notes, hashes)


def _address(dataset: str) -> tuple[Path, dict[str, str]]:
    text, _, query = dataset.removeprefix(PREFIX).partition("?")
    options = {}
    for part in filter(None, query.split("&")):
        key, _, value = part.partition("=")
        if key not in OPTIONS:
            raise Refused(f"unknown option {key!r}", where=dataset, hint=nearest(key, OPTIONS))
        options[key] = value
    file = user_path(text, dataset[:120])
    if not file.is_file():
        beside = sorted(path.name for path in file.parent.glob("*.json"))[:8] if file.parent.is_dir() else []
        hint = f"in that folder: {', '.join(beside)}" if beside else "expected a file split_zhou_X.json"
        raise Refused("no such file", where=str(file), hint=hint)
    return file.resolve(), options


def _read_json(file: Path) -> Any:
    size = file.stat().st_size
    if size > MAX_BYTES:
        raise Refused("file is too large", where=str(file), got=size, expected=f"at most {MAX_BYTES} bytes")
    try:
        return json.loads(file.read_bytes().decode("utf-8"), object_pairs_hook=_no_repeats)
    except (ValueError, RecursionError) as error:
        raise Refused(f"not valid JSON: {error}", where=str(file)) from error


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a key is written twice among {[key for key, _ in pairs][:6]}")
    return found


def _parse(value: Any, where: str) -> tuple[dict[str, list[Row]], list[str]]:
    """Rows of each split in the order written, and class names by label."""
    if not isinstance(value, dict):
        raise Refused("not a split file", where=where, got=type(value).__name__, expected="train, val and test lists")
    for key in value:
        if key not in SPLITS:
            raise Refused(f"unknown key {key!r}", where=where, hint=nearest(key, SPLITS))
    names: dict[int, str] = {}
    homes: dict[str, str] = {}
    splits = {}
    for split in SPLITS:
        if split not in value:
            raise Refused(
                f"the key {split!r} is missing", where=where, got=sorted(value), expected="train, val and test"
            )
        if not isinstance(value[split], list):
            raise Refused(f"{split}: not a list", where=where, got=value[split], expected="[[path, label, name], ...]")
        splits[split] = [_row(item, f"{split}[{i}]", where, names, homes) for i, item in enumerate(value[split])]
    if not splits["test"]:
        raise Refused("test: there are no test images", where=where)
    return splits, _names_in_order(names, splits, where)


def _row(item: Any, place: str, where: str, names: dict[int, str], homes: dict[str, str]) -> Row:
    if not isinstance(item, list) or len(item) != 3:
        raise Refused(f"{place}: not a triple", where=where, got=item, expected="[path, label, class name]")
    path, label, name = item
    if not isinstance(label, int) or isinstance(label, bool) or label < 0:
        raise Refused(
            f"{place}: the label is not an integer from 0 up", where=where, got=label, expected="0, 1, 2, ..."
        )
    if not isinstance(name, str):
        raise Refused(f"{place}: the class name is not text", where=where, got=name)
    if names.setdefault(label, name) != name:
        raise Refused(f"{place}: label {label} has two names", where=where, got=name, expected=repr(names[label]))
    path = _plain_path(path, place, where)
    if path in homes:
        raise Refused(f"{place}: {path!r} is listed twice, first as {homes[path]}", where=where)
    homes[path] = place
    return Row(path, label)


def _plain_path(path: Any, place: str, where: str) -> str:
    if not isinstance(path, str) or not path.strip() or "\0" in path:
        raise Refused(f"{place}: the path is not text", where=where, got=path, expected="a path below the images")
    plain = posixpath.normpath(path)
    if posixpath.isabs(path) or plain.split("/")[0] == ".." or "\\" in path:
        raise Refused(
            f"{place}: the path leads out of the dataset", where=where, got=path, expected="a path below the images"
        )
    return plain


def _names_in_order(names: dict[int, str], splits: dict[str, list[Row]], where: str) -> list[str]:
    gap = next((label for label in range(len(names)) if label not in names), None)
    if gap is not None:
        raise Refused(
            f"label {gap} is missing", where=where, got=f"labels up to {max(names)}", expected=f"0 to {max(names)}"
        )
    taught = {row.label for row in splits["train"]}
    for label in range(len(names)):
        if taught and label not in taught:
            raise Refused(f"train: class {names[label]!r} (label {label}) has no images", where=where)
    return [names[label] for label in range(len(names))]


def _images_root(file: Path, options: dict[str, str], usual: str, paths: list[str]) -> Path:
    """The folder that holds most of the first few images."""
    if "images" in options:
        return existing_folder(options["images"], f"{file}?images=")
    candidates = list(dict.fromkeys((file.parent / place).resolve() for place in (usual, "images", ".")))
    found = {root: sum((root / path).is_file() for path in paths[:32]) for root in candidates}
    best = max(candidates, key=lambda root: found[root])
    if not found[best]:
        tried = ", ".join(str(root) for root in candidates)
        raise Refused(
            f"images not found; {paths[0]!r} is in none of {tried}", where=str(file), hint="add ?images=/folder"
        )
    return best
