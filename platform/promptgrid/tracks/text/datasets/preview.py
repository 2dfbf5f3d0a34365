"""What a name or a path would become as a dataset: its address in a suite, classes with counts, lengths, notes."""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from promptgrid.engine.datasets.preview import facts_of
from promptgrid.spec.paths import user_path
from promptgrid.tracks.text.datasets import fewrel, hf_disk, intents, lm_bff, semeval, table
from promptgrid.tracks.text.datasets.draws import draw_folders
from promptgrid.tracks.text.datasets.text import TextDataset

PREFIXES = (lm_bff.PREFIX, semeval.PREFIX, intents.PREFIX, fewrel.PREFIX, table.PREFIX, hf_disk.PREFIX)


def address_of(written: str) -> str:
    """``written`` as a suite names it: a bare path gets the prefix of the layout that lies there."""
    if written.startswith(PREFIXES):
        return written
    path = user_path(written.split("?")[0])
    if not path.exists() and not written.startswith(("~", ".", "/")) and "/" not in written:
        return written
    return _prefix(path) + written


def _prefix(path: Path) -> str:
    """The family whose layout a path has; a table where nothing else fits."""
    if path.suffix == ".json":
        return intents.PREFIX if path.stem.startswith("data_") else fewrel.PREFIX
    if not path.is_dir():
        return table.PREFIX
    if (path / "dataset_dict.json").is_file() or (path / "state.json").is_file():
        return hf_disk.PREFIX
    if draw_folders(path):
        return lm_bff.PREFIX if path.name in lm_bff.tasks() or path.parent.name in lm_bff.tasks() else semeval.PREFIX
    names = {entry.name.casefold() for depth in ("*", "*/*", "*/*/*") for entry in path.glob(depth)}
    if "train_file.txt" in names or (path / "train.txt").is_file():
        return semeval.PREFIX
    return intents.PREFIX if (path / "categories.json").is_file() else table.PREFIX


def preview(dataset: TextDataset, address: str) -> dict[str, Any]:
    """The facts of an opened dataset; ``words`` are the fewest, the median and the most words of a text."""
    card = dataset.card
    lengths = [len(f"{text.a} {text.b}".split()) for text in dataset.texts]
    low, middle, high = min(lengths), round(median(lengths)), max(lengths)
    own = {
        "mask_templates": list(card.mask_templates),
        "words": [low, middle, high],
        "label_words": {name: list(card.words.get(name, ())) for name in card.classes},
        "draws": [f"{shots}-{seed}" for shots, seed in dataset.draws],
        "lines": [f"words of a text: {low:,} at least, {middle:,} in the middle, {high:,} at most"],
    }
    return facts_of(dataset, address, own)
