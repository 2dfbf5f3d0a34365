"""From rows of text and class name to a dataset: labels, notes, digest, card; what cannot be one is refused."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from promptgrid.contract.split_names import SPLITS
from promptgrid.spec import Refused, nearest
from promptgrid.spec.checked import checked
from promptgrid.tracks.text.datasets.text import Text, TextCard, TextDataset, content_digest

UNBALANCED = 10
"""From this many times as many training texts as the smallest class has, the largest is worth a note."""
NO_WORD = re.compile(r"[^\w ]|_")
Draws = Mapping[tuple[int, int], tuple[Sequence[int], Sequence[int]]]


@dataclass(frozen=True)
class Row:
    """A text with the name of its class; ``place`` says where it stands, such as ``train.tsv line 3``."""

    text: Text
    label: str
    place: str = ""


def build(
    where: str,
    facts: Mapping[str, Any],
    splits: Mapping[str, Sequence[Row]],
    notes: Sequence[str] = (),
    draws: Draws | None = None,
) -> TextDataset:
    """The dataset of ``splits``, indexed train, val, test, each in its source's order.

    ``facts`` are fields of :class:`TextCard`; where they name no ``classes``, these are the labels, sorted.

    Raises:
        Refused: no test texts, a label that is no class, a class without training texts, or a malformed card.
    """
    kept = {name: list(splits[name]) for name in SPLITS if splits.get(name)}
    if "test" not in kept:
        raise Refused("there are no test texts", where=where, got=sorted(kept) or None)
    rows = [row for some in kept.values() for row in some]
    classes = tuple(facts.get("classes") or sorted({row.label for row in rows}))
    places = {name: label for label, name in enumerate(classes)}
    for row in rows:
        if row.label not in places:
            place = f"{where}: {row.place}" if row.place else where
            raise Refused("a label is none of the classes", where=place, got=row.label, hint=nearest(row.label, places))
    _refuse_untaught(kept, classes, where)
    start, indices = 0, {}
    for name, some in kept.items():
        indices[name] = list(range(start, start + len(some)))
        start += len(some)
    texts, labels = [row.text for row in rows], [places[row.label] for row in rows]
    counts = {name: len(some) for name, some in kept.items()}
    said = {**facts, "classes": classes, "splits": counts}
    card = pinned(where, said, texts, labels, indices, draws)
    told = (*notes, *odd(kept))
    return TextDataset(card, texts, labels, indices, told, draws, [row.place for row in rows])


def pinned(
    where: str,
    facts: Mapping[str, Any],
    texts: Sequence[Text],
    labels: Sequence[int],
    splits: Mapping[str, Sequence[int]],
    draws: Draws | None = None,
) -> TextCard:
    """The card of ``facts`` with the digest of the content; a ``sha256`` in ``facts`` must be that digest.

    Raises:
        Refused: a malformed card, or another digest than the one written.
    """
    card = checked(TextCard, where, {**facts, "sha256": "0" * 64})
    sha = content_digest(texts, labels, splits, card.model_dump(), draws)
    if facts.get("sha256", sha) != sha:
        raise Refused("sha256 differs: the data were damaged or changed", where=where, got=sha,
                      expected=str(facts["sha256"]))  # fmt: skip
    return card.model_copy(update={"sha256": sha})


def divide(rows: Sequence[Row], where: str) -> dict[str, list[Row]]:
    """Rows without splits of their own, divided by content: half of each class to train, a fifth to val, the rest.

    Texts that are equal stay on one side; file order and names decide nothing.

    Raises:
        Refused: a class with a single text.
    """
    split: dict[str, list[Row]] = {name: [] for name in SPLITS}
    by_class: dict[str, list[Row]] = {}
    for row in rows:
        by_class.setdefault(row.label, []).append(row)
    for label, some in sorted(by_class.items()):
        order = sorted({fingerprint(row.text) for row in some})
        if len(order) < 2:
            raise Refused(f"class {label!r} has 1 text", where=where, expected="2: one to train, one to test")
        cuts = (len(order) // 2, len(order) // 2 + len(order) // 5)
        side = {sha: SPLITS[(i >= cuts[0]) + (i >= cuts[1])] for i, sha in enumerate(order)}
        for row in some:
            split[side[fingerprint(row.text)]].append(row)
    return split


def fingerprint(text: Text) -> str:
    """sha256 of the letters and digits of a text in small letters: equal texts in other spacing have one."""
    plain = "\0".join(NO_WORD.sub("", part.casefold()) for part in (text.a, text.b))
    spans = "" if text.spans is None else f"\0{text.spans}"
    return hashlib.sha256((" ".join(plain.split()) + spans).encode()).hexdigest()


def odd(splits: Mapping[str, Sequence[Row]]) -> list[str]:
    """Sentences on empty texts, on equal ones across splits or under two labels, and on unbalanced classes."""
    notes = []
    if empty := [row.place for some in splits.values() for row in some if not row.text.a.strip()]:
        notes.append(f"{len(empty)} texts are empty, first {empty[0]}")
    labels: dict[str, set[str]] = {}
    homes: dict[str, set[str]] = {}
    for name, some in splits.items():
        for row in some:
            key = fingerprint(row.text)
            labels.setdefault(key, set()).add(row.label)
            homes.setdefault(key, set()).add(name)
    if crossing := sum("test" in names and len(names) > 1 for names in homes.values()):
        notes.append(f"{crossing} test texts stand in train or val too")
    if two := sum(len(some) > 1 for some in labels.values()):
        notes.append(f"{two} texts have more than one label")
    counts = Counter(row.label for row in splits.get("train", ()))
    if counts and max(counts.values()) >= UNBALANCED * min(counts.values()):
        (most, many), (least, few) = max(counts.items(), key=_count), min(counts.items(), key=_count)
        notes.append(f"unbalanced: {many:,} training texts of {most!r}, {few:,} of {least!r}")
    return notes


def _count(item: tuple[str, int]) -> int:
    return item[1]


def _refuse_untaught(splits: Mapping[str, Sequence[Row]], classes: Sequence[str], where: str) -> None:
    taught = {row.label for row in splits.get("train", ())}
    missing = [name for name in classes if name not in taught] if taught else []
    if missing:
        raise Refused(f"train: class {missing[0]!r} has no texts", where=where)
