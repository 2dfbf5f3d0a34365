"""Datasets that are a folder of files per class, with or without split folders."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from promptgrid.contract.dataset import Dataset, DatasetFamily
from promptgrid.contract.split_names import SPLITS
from promptgrid.engine.datasets.content import duplicate_notes
from promptgrid.engine.datasets.files import FilesDataset, Row, existing_folder, hashes_below, refuse_outside
from promptgrid.engine.datasets.folder_tree import CARD, Found, Kind, Tree, read_tree
from promptgrid.spec import DatasetCard, Refused, SourceCard, digest, nearest
from promptgrid.spec.checked import checked, make_card
from promptgrid.spec.reading import read_yaml


class FolderCard(BaseModel):
    """What an optional ``dataset.yaml`` beside class folders may say; ``classes`` maps a folder to a name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str | None = None
    title: str = ""
    description: str = ""
    sources: tuple[SourceCard, ...] = ()
    licence: str = "unknown"
    template: str = "{}"
    classes: dict[str, str] = {}
    family: str | None = None
    seen_in_pretraining: bool = False
    merged: bool = False
    sha256: str | None = None


class ClassFolders(DatasetFamily):
    """A wing says which files are examples, and what its dataset of them is.

    Either ``train/``, ``test/`` and perhaps ``val/`` with a folder per class in each, or just a folder per class.

    Split folders count in any case and by their usual synonyms (``Training``, ``valid``, ``dev``, ``Testing``). A
    folder of nothing but splits is refused, not taken for a task whose classes are called so.

    Without split folders every class is divided by content: its files in order of sha256, the first half (rounded
    down) to train, the next fifth (rounded down) to val, the rest to test, which is CoOp's 50/20/30 for datasets
    without official splits. Files equal in content stay on one side. The order does not depend on file names, so
    renaming moves nothing; examples that are near copies (frames of one film) may still fall on two sides: give split
    folders where that matters. Labels follow the sorted folder names.

    Attributes:
        prefix: of the names of its datasets, with the colon.
        kind: which files are examples.
        written: what ``dataset.yaml`` may say.
        built: the dataset of files that are known by their content.
    """

    prefix: ClassVar[str]
    kind: ClassVar[Kind]
    written: ClassVar[type[FolderCard]] = FolderCard
    built: ClassVar[type[FilesDataset]]

    def listing(self) -> list[DatasetCard]:
        return []

    def knows(self, dataset: str) -> bool:
        return dataset.startswith(self.prefix)

    def open(self, dataset: str) -> Dataset:
        root = existing_folder(dataset.removeprefix(self.prefix), dataset)
        given = read_yaml(root / CARD) if (root / CARD).exists() else {}
        written, noun = checked(self.written, str(root / CARD), given), self.kind.noun
        tree = read_tree(root, self.kind)
        found = tree.found
        paths = [path for classes in found.values() for files in classes.values() for path in files]
        refuse_outside(root, paths, str(root))
        hashes = hashes_below(root, paths, str(root), noun)
        folders = _class_folders(tree, root)
        split = found if "" not in found else _divide(found[""], hashes, root, noun)
        rows = {
            name: [Row(path, label) for label, folder in enumerate(folders) for path in split[name].get(folder, [])]
            for name in SPLITS
            if any(split.get(name, {}).values())
        }
        card = _card(written, root, folders, rows, hashes, noun)
        notes = tree.notes()
        notes += [f"class {f!r} has no test {noun}s" for f in folders if not split["test"].get(f)]
        notes += duplicate_notes(hashes, {name: [row.path for row in some] for name, some in rows.items()}, noun)
        return self.built(card, root, rows, notes, hashes, tree.left_out)


def _class_folders(tree: Tree, root: Path) -> list[str]:
    """Class folders in label order.

    Raises:
        Refused: fewer than two, one without training examples, or one that only another split has.
    """
    first = tree.found.get("", tree.found.get("train", {}))
    if len(first) < 2:
        raise Refused(
            "a classification task needs at least 2 class folders",
            where=str(root),
            got=sorted(first),
            hint=_one_below(root, list(tree.found.get("", ()))),
        )
    for name, paths in sorted(first.items()):
        if not paths:
            held = [path for path, _ in tree.left_out if f"/{name}/" in f"/{path}"][:3]
            raise Refused(
                f"class folder {name!r} holds no {tree.kind.noun}s",
                where=str(root),
                got=held or None,
                expected=", ".join(sorted(tree.kind.suffixes)),
            )
    for split, classes in tree.found.items():
        for name in sorted(classes.keys() - first.keys()):
            raise Refused(
                f"class {name!r} of {split}/ is missing in train/", where=str(root), hint=nearest(name, first)
            )
    return sorted(first)


def _one_below(root: Path, folders: list[str]) -> str:
    """Where the dataset is the one folder inside ``root``, as archives unpack it."""
    inner = root / folders[0] if len(folders) == 1 else None
    return f"did you mean {str(inner)!r}?" if inner and any(entry.is_dir() for entry in inner.iterdir()) else ""


def _divide(
    classes: dict[str, list[str]], hashes: dict[str, tuple[int, str]], root: Path, noun: str = "image"
) -> Found:
    """The split by content that :class:`ClassFolders` describes."""
    split: Found = {name: {} for name in SPLITS}
    for folder, paths in classes.items():
        order = sorted({hashes[path][1] for path in paths})
        if len(order) < 2:
            raise Refused(
                f"class folder {folder!r} has 1 {noun}", where=str(root), expected="2: one to train, one to test"
            )
        cuts = (len(order) // 2, len(order) // 2 + len(order) // 5)
        side = {sha: SPLITS[(i >= cuts[0]) + (i >= cuts[1])] for i, sha in enumerate(order)}
        for name in SPLITS:
            split[name][folder] = [path for path in paths if side[hashes[path][1]] == name]
    return split


def _card(
    written: FolderCard,
    root: Path,
    folders: list[str],
    rows: dict[str, list[Row]],
    hashes: dict[str, tuple[int, str]],
    noun: str,
) -> DatasetCard:
    unknown = sorted(written.classes.keys() - set(folders))
    if unknown:
        raise Refused(
            "classes: no such class folder", where=str(root / CARD), got=unknown[0], expected=", ".join(folders[:12])
        )
    classes = [written.classes.get(folder, folder) for folder in folders]
    repeated = [name for name, count in Counter(classes).items() if count > 1]
    if repeated and not written.merged:
        raise Refused(f"classes: two folders have one name: {sorted(repeated)}", where=str(root / CARD))
    sha = digest(
        {
            "files": sorted([path, *fact] for path, fact in hashes.items()),
            "splits": {name: [[row.path, row.label] for row in some] for name, some in rows.items()},
            "classes": classes,
            "template": written.template,
        }
    )
    if written.sha256 is not None and written.sha256 != sha:
        raise Refused(
            f"sha256: the {noun}s are not those the card was written for",
            where=str(root / CARD),
            got=sha,
            expected=written.sha256,
        )
    facts = written.model_dump(exclude={"sha256", "classes", "name"})
    counts = {name: len(some) for name, some in rows.items()}
    return make_card(
        str(root), {**facts, "name": written.name or root.name, "classes": classes, "splits": counts, "sha256": sha}
    )
