"""Tasks whose classes stand in order: ``ordered:NAME`` says so of any, ``severity:KIND:NAME`` makes one of pictures.

``severity:gaussian_noise:things`` shows each picture of ``things`` once, damaged by one of five severities of a kind
of ImageNet-C; which severity it was is to be told. The pictures' own classes play no part.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from PIL.Image import Image

from promptgrid.contract.clip import Dataset, stream
from promptgrid.spec import Refused, digest, nearest
from promptgrid.tracks.image.data.corruptions import KINDS, SEVERITIES, VERSION, corrupted

ORDERED, SEVERITY = "ordered:", "severity:"


class Severity(Dataset):
    """The pictures of ``clean``, each damaged once; in every split as many of each severity as it has pictures for.

    Which severity a picture has, and what is random in it, depends on kind, dataset and index.
    """

    ordered = True

    def __init__(self, clean: Dataset, kind: str) -> None:
        self.clean, self.kind = clean, kind
        self.notes, self.splits = clean.notes, clean.splits
        grades = [0] * len(clean.labels)
        for split, indices in sorted(clean.splits.items()):
            rng = stream("severity", VERSION, kind, clean.card.sha256, split)
            for place, at in enumerate(torch.randperm(len(indices), generator=rng).tolist()):
                grades[indices[at]] = place % len(SEVERITIES)
        self.labels = grades
        said = kind.replace("_", " ")
        own = {
            "name": f"severity of {kind}, {clean.card.name}",
            "title": f"Severity of {said} ({clean.card.title or clean.card.name})",
            "classes": tuple(f"{said} of severity {severity}" for severity in SEVERITIES),
            "template": "{}",
            "sha256": digest([VERSION, "severity", kind, clean.card.sha256]),
            "bundled": False,
        }
        self.card = clean.card.model_copy(update=own)

    def read(self, index: int) -> Image:
        rng = stream("severity", VERSION, self.kind, self.clean.card.sha256, index)
        return corrupted(self.clean.read(index), self.kind, SEVERITIES[self.labels[index]], rng)

    def example_name(self, index: int) -> str:
        return self.clean.example_name(index)


def open_ordered(name: str, read: Callable[[str], Dataset]) -> Dataset | None:
    """The task that ``name`` spells, or None where it spells none of these; ``read`` opens the one inside.

    Raises:
        Refused: no such kind, or tasks side by side.
    """
    if name.startswith(ORDERED):
        found = copy.copy(_alone(read(name.removeprefix(ORDERED)), name))
        found.ordered = True
        return found
    if not name.startswith(SEVERITY):
        return None
    kind, _, clean = name.removeprefix(SEVERITY).partition(":")
    if not clean or kind not in KINDS:
        raise Refused("a kind of damage", where="datasets", got=name, hint=nearest(kind, KINDS),
                      expected=f"{SEVERITY}KIND:NAME, as {SEVERITY}gaussian_noise:things")  # fmt: skip
    return Severity(_alone(read(clean), name), kind)


def _alone(dataset: Dataset, name: str) -> Dataset:
    if dataset.tasks:
        raise Refused("tasks side by side have no order of classes", where="datasets", got=name)
    return dataset
