"""``wds:/data/NAME``: webdataset tars as CLIP_benchmark writes them, read in place."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path

from promptgrid.contract.split_names import folders_by_split
from promptgrid.engine.datasets.files import Row, existing_folder
from promptgrid.engine.datasets.folder_tree import Kind
from promptgrid.engine.datasets.published.archives import content_of, sizes_in
from promptgrid.engine.datasets.published.listed import Listed, ListedFamily, names_of, twin_notes
from promptgrid.engine.datasets.published.name_lists import CLASSNAMES, read_lines
from promptgrid.spec import Refused

TEMPLATES = "zeroshot_classification_templates.txt"
PLAIN = "a photo of a {}."


class Shards(ListedFamily):
    """``{train,test}/{nshards.txt,0.tar,1.tar,...}`` with an example and its ``cls`` (a number) under one name.

    Shards are read in the order of their numbers, examples in the order of each tar. Classes are the lines of
    ``classnames.txt``, the template is the first of ``zeroshot_classification_templates.txt``. Other kinds than
    classification (``dataset_type.txt``) are refused.
    """

    def listed(self, path: Path, options: Mapping[str, str]) -> Listed:
        root = existing_folder(str(path), f"{self.prefix}{path}")
        kind = _first_line(root / "dataset_type.txt", "classification")
        if kind != "classification":
            raise Refused("not a classification task", where=str(root / "dataset_type.txt"), got=kind)
        classes = [line for _, line in read_lines(root / CLASSNAMES)]
        folders = folders_by_split((entry.name for entry in root.iterdir() if entry.is_dir()), str(root))
        splits: dict[str, list[Row]] = {"train": [], "val": [], "test": []}
        for split, folder in folders.items():
            for shard in _shards(root / folder):
                splits[split] += _rows(root, f"{folder}/{shard}", len(classes), self.kind)
        template = _first_line(root / TEMPLATES, PLAIN).replace("{c}", "{}")
        facts = {"name": root.name, "template": template, **names_of(classes)}
        return Listed(str(root), root, splits, facts, twin_notes(classes))


def _shards(folder: Path) -> Sequence[str]:
    """Names of the tars of a split in the order of their numbers, as many as ``nshards.txt`` says."""
    found = sorted((entry.name for entry in folder.glob("*.tar") if entry.stem.isdecimal()), key=lambda n: int(n[:-4]))
    said = _first_line(folder / "nshards.txt", str(len(found)))
    if not found or said != str(len(found)) or [int(name[:-4]) for name in found] != list(range(len(found))):
        raise Refused("shards are missing", where=str(folder), got=found[:12], expected=f"0.tar to {said} in all")
    return found


def _rows(root: Path, shard: str, classes: int, kind: Kind) -> list[Row]:
    try:
        names = list(sizes_in(root / shard))
        examples = {posixpath.splitext(name)[0]: name for name in names if kind.named_so(posixpath.basename(name))}
        labels = {name.removesuffix(".cls"): content_of(root / f"{shard}@{name}").decode("ascii").strip()
                  for name in names if name.endswith(".cls")}  # fmt: skip
    except (OSError, ValueError) as error:
        raise Refused(f"cannot be read: {error}", where=str(root / shard)) from error
    if bare := sorted(examples.keys() ^ labels.keys()):
        raise Refused(f"{len(bare)} names have no {kind.noun} or no cls", where=str(root / shard), got=bare[0])
    for key, label in labels.items():
        if not label.isdecimal() or int(label) >= classes:
            raise Refused(f"{key}.cls: no label", where=str(root / shard), got=label, expected=f"0 to {classes - 1}")
    return [Row(f"{shard}@{name}", int(labels[key])) for key, name in examples.items()]


def _first_line(file: Path, otherwise: str) -> str:
    return next((line for _, line in read_lines(file)), otherwise) if file.is_file() else otherwise
