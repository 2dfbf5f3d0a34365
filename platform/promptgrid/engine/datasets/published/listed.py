"""Datasets whose examples are named by lists or by folders of a fixed layout: addresses, digests, cards."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from promptgrid.contract.dataset import Dataset, DatasetFamily
from promptgrid.engine.datasets.content import duplicate_notes
from promptgrid.engine.datasets.files import FilesDataset, Row, hashes_below, refuse_outside
from promptgrid.engine.datasets.folder_tree import Kind
from promptgrid.spec import DatasetCard, Refused, digest, nearest
from promptgrid.spec.checked import make_card
from promptgrid.spec.dataset import alike
from promptgrid.spec.paths import user_path


@dataclass(frozen=True)
class Listed:
    """What lists and folder names say of a dataset, before any example is read.

    Attributes:
        where: the file or folder that says it, for errors.
        root: the resolved folder that paths are relative to.
        splits: rows in the source's own order; a split may be empty.
        facts: of the card: ``name``, ``template``, ``classes``, and what else is known.
        notes: sentences for people.
        left_out: (path, why) of what lies there and is no part of it.
        domains: the domain of each example by its path; empty where there are none.
    """

    where: str
    root: Path
    splits: Mapping[str, Sequence[Row]]
    facts: Mapping[str, Any]
    notes: Sequence[str] = ()
    left_out: Sequence[tuple[str, str]] = ()
    domains: Mapping[str, str] = field(default_factory=dict)

    @property
    def paths(self) -> list[str]:
        """Of all examples, split by split."""
        return [row.path for rows in self.splits.values() for row in rows]


class ListedFamily(DatasetFamily):
    """``prefix:/path?option=value``: a wing says what its files are, a layout what they are called.

    ``sha256`` pins the content: the digest is taken over the parsed lists, the class names, the template and the
    contents of the examples, never over the bytes of a list.

    Attributes:
        prefix: of its addresses, with the colon.
        options: that an address may have.
        kind: which files are examples.
        built: the dataset of files that are known by their content.
    """

    prefix: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ("sha256",)
    kind: ClassVar[Kind]
    built: ClassVar[type[FilesDataset]]

    @abstractmethod
    def listed(self, path: Path, options: Mapping[str, str]) -> Listed:
        """What is at ``path``, as written in an address; it need not be there.

        Raises:
            Refused: it is not there, or not of this layout.
        """

    def listing(self) -> list[DatasetCard]:
        return []

    def knows(self, dataset: str) -> bool:
        return dataset.startswith(self.prefix)

    def open(self, dataset: str) -> Dataset:
        path, options = self._address(dataset)
        found, noun = self.listed(path, options), self.kind.noun
        refuse_outside(found.root, found.paths, found.where)
        hashes = hashes_below(found.root, found.paths, found.where, noun)
        classes = list(found.facts["classes"])
        sha = digest(
            {
                "splits": {name: [[row.path, row.label] for row in rows] for name, rows in found.splits.items()},
                "classes": classes,
                "template": found.facts["template"],
                "images": sorted([path, *fact] for path, fact in hashes.items()),
            }
        )
        if options.get("sha256", sha) != sha:
            raise Refused(f"sha256: the split or its {noun}s are not those pinned", where=found.where, got=sha,
                          expected=options["sha256"])  # fmt: skip
        kept = {name: list(rows) for name, rows in found.splits.items() if rows}
        counts = {name: len(rows) for name, rows in kept.items()}
        card = make_card(found.where, {**found.facts, "classes": classes, "splits": counts, "sha256": sha})
        paths = {name: [row.path for row in rows] for name, rows in kept.items()}
        notes = [*found.notes, *duplicate_notes(hashes, paths, noun)]
        return self.built(card, found.root, kept, notes, hashes, found.left_out, found.domains)

    def _address(self, dataset: str) -> tuple[Path, dict[str, str]]:
        text, options = self.parts_of(dataset)
        return user_path(text, dataset[:120]), options

    def parts_of(self, dataset: str) -> tuple[str, dict[str, str]]:
        """The path of an address as written, and its options.

        Raises:
            Refused: there is no such option.
        """
        text, _, query = dataset.removeprefix(self.prefix).partition("?")
        found = {}
        for part in filter(None, query.split("&")):
            key, _, value = part.partition("=")
            if key not in self.options:
                raise Refused(f"unknown option {key!r}", where=dataset, hint=nearest(key, self.options))
            found[key] = value
        return text, found


def names_of(classes: Sequence[str]) -> dict[str, Any]:
    """Facts of a card whose names are a published list's own: two of its classes may read the same."""
    return {"classes": list(classes), "merged": bool(alike(classes))}


def twin_notes(classes: Sequence[str]) -> list[str]:
    """A sentence where names of classes read the same: no prompt tells these classes apart."""
    twins = alike(classes)
    return [f"{len(twins)} class names stand twice, first {twins[0][0]!r}: no prompt tells them apart"] if twins else []
