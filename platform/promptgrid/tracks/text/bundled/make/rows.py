"""What readers find, and how it is divided: no text twice, no group parted, the same splits on every machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from promptgrid.tracks.text.datasets.building import fingerprint
from promptgrid.tracks.text.datasets.text import Text

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Found:
    """A text of a source, what the source files it under, and its name there.

    What has one ``group`` stays on one side of the split; by default a text is a group of its own.
    """

    text: Text
    key: str
    item: str
    group: str = ""


@dataclass(frozen=True)
class Chosen:
    """A text of a task with its class and split."""

    found: Found
    label: int
    split: str


def choose(
    name: str, found: Iterable[Found], classes: Mapping[str, Iterable[str]], sizes: Mapping[str, int]
) -> list[Chosen]:
    """The texts of task ``name``, by split and then in the order of a hash that depends on the task and the text.

    ``classes`` maps each class to the keys that count as it; ``sizes`` are the most texts a class and split. A text
    under two classes is left out, of equal ones the first stays, and no sentence stands in two splits.
    """
    labels = {key: label for label, keys in enumerate(classes.values()) for key in keys}
    known: dict[str, tuple[int, Found]] = {}
    torn: set[str] = set()
    for one in found:
        if one.key not in labels:
            continue
        mark = fingerprint(Text(one.text.a, one.text.b))
        if mark in known and known[mark][0] != labels[one.key]:
            torn.add(mark)
        known.setdefault(mark, (labels[one.key], one))
    rows = sorted(
        ((_hash(name, mark), label, one) for mark, (label, one) in known.items() if mark not in torn),
        key=lambda row: row[0],
    )
    counts: dict[tuple[int, str], int] = {}
    homes: dict[str, str] = {}
    chosen = []
    for _, label, one in rows:
        split = _side(name, one.group or fingerprint(one.text), sizes)
        sentences = [fingerprint(Text(part)) for part in (one.text.a, one.text.b) if part]
        full = counts.get((label, split), 0) >= sizes[split]
        if full or any(homes.get(sentence, split) != split for sentence in sentences):
            continue
        counts[label, split] = counts.get((label, split), 0) + 1
        homes |= dict.fromkeys(sentences, split)
        chosen.append(Chosen(one, label, split))
    return sorted(chosen, key=lambda row: SPLITS.index(row.split))


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _side(name: str, group: str, sizes: Mapping[str, int]) -> str:
    """The split of a group: each is drawn as often as its share of ``sizes``."""
    place = int(_hash(name, "side", group)[:12], 16) % sum(sizes.values())
    for split in SPLITS:
        place -= sizes[split]
        if place < 0:
            return split
    raise AssertionError("the shares of the splits do not add up")
