"""The images below a folder, by split and class, and what is left out of them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from promptgrid.contract.split_names import folders_by_split, sounds_like_a_split, split_of
from promptgrid.spec import Refused
from promptgrid.tracks.image.datasets.beside import FOLDER
from promptgrid.tracks.image.datasets.decoding import SUFFIXES
from promptgrid.tracks.image.datasets.descriptions import FILE

CARD = "dataset.yaml"
NO_CLASSES = frozenset({"__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN", "System Volume Information"})
"""Folders that systems leave beside what people put there."""
NO_SUFFIX, LOOSE, HIDDEN, SYSTEM, NO_SPLIT = (
    "no image by its name",
    "in no class folder",
    "hidden",
    "left by the system",
    "neither a split nor images",
)
Found = dict[str, dict[str, list[str]]]  # split -> class folder -> paths; one split "" where none was given


@dataclass
class Tree:
    """What a folder holds.

    Attributes:
        found: image paths by split and class, relative to the root.
        left_out: (path relative to the root, why) of everything else.
    """

    found: Found = field(default_factory=dict)
    left_out: list[tuple[str, str]] = field(default_factory=list)

    def notes(self) -> list[str]:
        """A sentence for each reason to leave out what may have been meant, with the first names.

        Beside the folders of a dataset lie readmes and the like: only images and whole folders are worth a word there.
        """
        return [
            f"{len(paths)} left out ({why}): {', '.join(paths[:3])}{', ...' if len(paths) > 3 else ''}"
            for why, paths in self._by_reason().items()
        ]

    def _by_reason(self) -> dict[str, list[str]]:
        reasons: dict[str, list[str]] = {}
        for path, why in sorted(self.left_out):
            if "/" not in path.rstrip("/") and why in (NO_SUFFIX, HIDDEN):
                continue
            reasons.setdefault(why, []).append(path)
        return reasons


def read_tree(root: Path) -> Tree:
    """The images below the resolved ``root``.

    Split folders are known in any case and by their usual synonyms, once a train or test folder holds class folders.

    Raises:
        Refused: links to folders, split folders without classes, two folders for one split, one that is no split.
    """
    tree = Tree()
    folders = _subfolders(root, root, tree)
    nested = {split_of(name) for name in folders if split_of(name) and _subfolders(root / name, root)}
    if not nested & {"train", "test"}:
        _refuse_splits_alone(root, folders, bool(nested))
        tree.found = {"": {name: _images(root, root / name, tree) for name in folders}}
        return tree
    splits = folders_by_split(folders, str(root))
    _refuse_strangers(root, [name for name in folders if split_of(name) is None], tree)
    for split in ("train", "test"):
        if split not in nested:
            raise Refused(
                f"there are no {split} images: no class folders in {splits.get(split, split)}/",
                where=str(root),
                got=folders,
                hint="a val folder that is scored on is called test" if split == "test" and "val" in splits else "",
            )
    for split, folder in splits.items():
        _loose(root, root / folder, tree)
        names = _subfolders(root / folder, root, tree)
        tree.found[split] = {name: _images(root, root / folder / name, tree) for name in names}
    return tree


def _refuse_splits_alone(root: Path, folders: list[str], nested: bool) -> None:
    """A folder of nothing but splits is no task whose classes are called train and test."""
    if folders and all(map(sounds_like_a_split, folders)):
        raise Refused(
            "the folders are splits, not classes" + ("" if nested else ", and none holds a folder per class"),
            where=str(root),
            got=folders,
            expected="train/<class>/<image> and test/<class>/<image>, perhaps val/<class>/<image>",
        )


def _refuse_strangers(root: Path, folders: list[str], tree: Tree) -> None:
    """Beside split folders only those without images are passed over; one with images is meant as something."""
    for name in folders:
        if _images(root, root / name, Tree()):
            raise Refused(
                "unknown split folder",
                where=str(root),
                got=name,
                expected="train, val and test",
                hint="rename it, or move it out of the dataset",
            )
        tree.left_out.append((f"{name}/", NO_SPLIT))


def _subfolders(folder: Path, root: Path, tree: Tree | None = None) -> list[str]:
    """Names of the folders in ``folder`` that may be classes or splits; what is passed over goes to ``tree``."""
    names = []
    for entry in os.scandir(folder):
        if not entry.is_dir():
            if tree is not None and folder == root:
                _leave_file(Path(entry.path), root, tree)
            continue
        why = HIDDEN if entry.name.startswith(".") else SYSTEM if entry.name in NO_CLASSES else ""
        if why:
            if tree is not None:
                tree.left_out.append((f"{Path(entry.path).relative_to(root).as_posix()}/", why))
            continue
        if folder == root and entry.name == FOLDER:
            continue
        _refuse_linked_folder(Path(entry.path), root)
        names.append(entry.name)
    return sorted(names)


def _loose(root: Path, folder: Path, tree: Tree) -> None:
    for entry in os.scandir(folder):
        if not entry.is_dir():
            _leave_file(Path(entry.path), root, tree)


def _leave_file(path: Path, root: Path, tree: Tree) -> None:
    name = path.relative_to(root).as_posix()
    if name not in (CARD, FILE):
        tree.left_out.append((name, LOOSE if _is_image(path.name) else NO_SUFFIX))


def _refuse_linked_folder(folder: Path, root: Path) -> None:
    if not folder.is_symlink():
        return
    target = folder.resolve()
    leads = "leads out of the dataset" if not target.is_relative_to(root) else "is a link to another folder"
    raise Refused(
        f"{str(folder.relative_to(root))!r} {leads}", where=str(root), got=str(target), expected="a real folder"
    )


def _images(root: Path, folder: Path, tree: Tree) -> list[str]:
    """Sorted paths of images anywhere below ``folder``, relative to ``root``; hidden folders are not entered."""
    paths = []
    for place, inner, files in os.walk(folder):
        for name in inner:
            _refuse_linked_folder(Path(place) / name, root)
        hidden = [name for name in inner if name.startswith(".")]
        tree.left_out += [(f"{(Path(place) / name).relative_to(root).as_posix()}/", HIDDEN) for name in hidden]
        inner[:] = [name for name in inner if not name.startswith(".")]
        for name in files:
            path = (Path(place) / name).relative_to(root).as_posix()
            if _is_image(name):
                paths.append(path)
            else:
                tree.left_out.append((path, NO_SUFFIX))
    return sorted(paths)


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
