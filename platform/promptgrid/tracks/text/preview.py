"""What a name or a path becomes as a dataset of texts, before anything runs on it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from promptgrid.tracks.text.data.encoded import template_of
from promptgrid.tracks.text.datasets.text import TextDataset


def preview(dataset: TextDataset, address: str) -> dict[str, Any]:
    """``address``, ``title``, ``splits``, ``classes`` with counts by split and label words, ``template``, ``notes``."""
    card = dataset.card
    counts = {name: Counter(dataset.labels[index] for index in rows) for name, rows in dataset.splits.items()}
    classes = [
        {"class": name, **{split: own[label] for split, own in counts.items()}, "words": list(card.words.get(name, ()))}
        for label, name in enumerate(card.classes)
    ]
    return {
        "address": address,
        "title": card.title or card.name,
        "splits": dict(card.splits),
        "classes": classes,
        "template": template_of(card),
        "left_out": [],
        "unreadable": [],
        "notes": list(dataset.notes),
    }
