"""Published datasets against what lies on a disk: what is missing, wrong or extra before a grid starts."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import Any, ClassVar

from promptgrid.contract.dataset import Dataset, DatasetFamily
from promptgrid.contract.findings import Findings
from promptgrid.engine.datasets.files import existing_folder
from promptgrid.engine.datasets.folder_tree import Kind
from promptgrid.engine.datasets.published.archives import present
from promptgrid.engine.datasets.published.listed import Listed, ListedFamily
from promptgrid.engine.datasets.unseen import UnseenDataset, facts_of_size
from promptgrid.spec import Refused, digest, nearest
from promptgrid.spec.checked import make_card

NAMED = 3
"""Paths that a sentence names."""


@dataclass(frozen=True)
class Published:
    """How large papers say that a dataset is.

    Attributes:
        classes: how many; 0 where nobody says.
        splits: examples by split; empty where nobody says.
        total: examples in all; 0 where nobody says.
    """

    classes: int = 0
    splits: Mapping[str, int] = field(default_factory=dict)
    total: int = 0


class LayoutFamily(ListedFamily):
    """Published datasets in folders of known names."""

    above: ClassVar[tuple[str, ...]] = ()
    """Folders below a root that may hold the datasets instead of the root."""

    @abstractmethod
    def folders(self, layout: str) -> Sequence[str]:
        """What the folder of the dataset ``layout`` may be called, the usual name first."""

    @abstractmethod
    def facts(self, layout: str) -> dict[str, Any]:
        """``name``, ``title`` and ``template`` of the card of ``layout``, whatever lies on a disk."""

    @abstractmethod
    def sizes(self, layout: str, options: Mapping[str, str]) -> Published:
        """What papers say of how large ``layout`` is, read with ``options``; it names no files."""

    @abstractmethod
    def needed(self, layout: str, folder: Path) -> Sequence[str]:
        """Files and folders that readers of ``layout`` need, relative to ``folder``, which is its own."""

    def layout_of(self, name: str) -> str | None:
        """The dataset whose folder may be called ``name``."""
        return next((layout for layout in self.layouts() if name in self.folders(layout)), None)

    def unseen(self, dataset: str) -> Dataset:
        text, options = self.parts_of(dataset)
        layout = self.layout_of(PurePath(text).name)
        if layout is None:
            raise Refused("no published dataset is called so", where=dataset, got=PurePath(text).name,
                          hint=nearest(PurePath(text).name, self.layouts()))  # fmt: skip
        known = self.sizes(layout, options)
        if not known.classes or not known.splits:
            return super().unseen(dataset)
        facts = self.facts(layout) | facts_of_size(known.classes, dict(known.splits))
        return UnseenDataset(make_card(dataset, facts | {"sha256": digest({"unseen": dataset})}))

    def below(self, layout: str, root: Path) -> Path | None:
        """The folder of ``layout`` below ``root``; None where it is not there."""
        places = [root / above / name for above in ("", *self.above) for name in self.folders(layout)]
        return next((place for place in places if place.is_dir()), None)

    def check(self, layout: str, root: Path) -> Findings:
        place = self.below(layout, root) or (root if root.name in self.folders(layout) else None)
        name = f"{self.name}:{layout}"
        usual = f"{self.prefix}{root / self.folders(layout)[0]}"
        if place is None:
            return Findings(name, usual, missing=(f"{self.folders(layout)[0]}/: no such folder in {root}",))
        found = Findings(name, f"{self.prefix}{place}")
        published = self.sizes(layout, {})
        lost = tuple(f"{path}: not in {place}" for path in self.needed(layout, place) if not (place / path).exists())
        try:
            listed = self.listed(place, {})
        except Refused as error:
            return replace(found, missing=lost, wrong=() if lost else (str(error),))
        gone = _gone(listed)
        return replace(
            found,
            splits={split: len(rows) for split, rows in listed.splits.items() if rows},
            missing=(*lost, *gone),
            wrong=tuple(_differences(listed, published)),
            extra=tuple(_extra(listed, self.kind)),
        )


def check_named(families: Sequence[DatasetFamily], name: str, root: str) -> list[Findings]:
    """Findings on ``name``: ``family:dataset``, a dataset that one family alone knows, or a family: all of its.

    Raises:
        Refused: nobody knows ``name``, or several do; ``root`` is no folder.
    """
    known = {f"{family.name}:{layout}": (family, layout) for family in families for layout in family.layouts()}
    wanted = [full for full in known if name in (full, full.partition(":")[0])]
    if not wanted:
        wanted = [full for full in known if name == full.partition(":")[2]]
        if len(wanted) > 1:
            raise Refused("several families know a dataset of that name", got=name, expected=" or ".join(wanted))
    if not wanted:
        plain = {full.partition(":")[2] for full in known}
        raise Refused("no published dataset is called so", got=name, hint=nearest(name, {*known, *plain}))
    folder = existing_folder(root, "--root")
    return [family.check(layout, folder) for family, layout in map(known.__getitem__, wanted)]


def _gone(listed: Listed) -> Iterator[str]:
    """A sentence for each split some of whose files are not there."""
    for split, rows in listed.splits.items():
        lost = [row.path for row in rows if not present(listed.root, row.path)]
        if lost:
            yield f"{_first(lost)}: {len(lost):,} of the {len(rows):,} files of {split} are not in {listed.root}"


def _differences(listed: Listed, published: Published) -> Iterator[str]:
    """What a reader of the paper would not expect."""
    classes, where = listed.facts["classes"], listed.where
    if published.classes and len(classes) != published.classes:
        yield f"{where}: {len(classes):,} classes, the paper has {published.classes:,}"
    if published.total and len(listed.paths) != published.total:
        yield f"{where}: {len(listed.paths):,} examples, the paper has {published.total:,}"
    for split, count in published.splits.items():
        found = len(listed.splits.get(split, ()))
        if found != count:
            yield f"{where}: {found:,} examples in {split}, the paper has {count:,}"
    for split in [split for split in ("train", "test") if listed.splits.get(split)]:
        counts = Counter(row.label for row in listed.splits[split])
        bare = [name for label, name in enumerate(classes) if not counts[label]]
        if bare:
            yield f"{where}: {len(bare):,} classes have nothing in {split}, first {_first(bare)}"


def _extra(listed: Listed, kind: Kind) -> Iterator[str]:
    """A sentence for each folder with examples that no list names, and for what the layout leaves out."""
    known, found = set(listed.paths), dict[str, list[str]]()
    for place, inner, files in os.walk(listed.root):
        inner.sort()
        folder = Path(place).relative_to(listed.root).as_posix()
        paths = [name if folder == "." else f"{folder}/{name}" for name in sorted(files) if kind.named_so(name)]
        found.setdefault(folder.split("/")[0], []).extend(path for path in paths if path not in known)
    for folder, paths in found.items():
        if paths:
            yield f"{folder}/: {len(paths):,} {kind.noun}s in no list, first {_first(paths)}"
    for path, why in listed.left_out:
        yield f"{path}: {why}"


def _first(paths: Sequence[str]) -> str:
    return ", ".join(paths[:NAMED]) + (", ..." if len(paths) > NAMED else "")
