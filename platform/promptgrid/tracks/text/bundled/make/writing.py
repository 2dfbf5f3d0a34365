"""A task as it ships: ``NAME.jsonl.xz`` with a text a line, ``NAME.yaml`` with its card, ``DATASETS.md`` over all."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from promptgrid.spec import SourceCard
from promptgrid.tracks.text.bundled.make.rows import SPLITS, Chosen
from promptgrid.tracks.text.datasets.building import pinned
from promptgrid.tracks.text.datasets.text import TextCard

OPENING = """# The text tasks that ship

Every text is from a package of a public registry and keeps the licence of that package. The licences stand in the
folder `licences`; what may only be passed on alike has a folder of its own, with its terms. `python -m
promptgrid.tracks.text.bundled.make FOLDER` makes the files again from the packages, with the same content: splits
follow a hash of each text, no sentence stands in two splits, and no text has two labels. A label is what the source
files a text under, or follows from it by the rule that the task's reader states.

Not taken, though packages have them: BBC news (the articles are the BBC's, whatever the package says), the Brown corpus
(its terms permit to pass it on and do not speak of changed extracts), fortunes (quotations whose terms nobody states),
SpamAssassin (mail of private persons).
"""


def write_task(facts: dict[str, Any], rows: Sequence[Chosen], folder: Path) -> TextCard:
    """Write both files of a task and return its card."""
    folder.mkdir(parents=True, exist_ok=True)
    splits = {name: [i for i, row in enumerate(rows) if row.split == name] for name in SPLITS}
    counts = {name: len(some) for name, some in splits.items()}
    texts, labels = [row.found.text for row in rows], [row.label for row in rows]
    card = pinned(facts["name"], {**facts, "splits": counts}, texts, labels, splits)
    lines = "".join(json.dumps(_line(row), ensure_ascii=False) + "\n" for row in rows)
    (folder / f"{card.name}.jsonl.xz").write_bytes(lzma.compress(lines.encode(), preset=9 | lzma.PRESET_EXTREME))
    yaml = YAML()
    yaml.width = 110
    yaml.indent(mapping=2, sequence=4, offset=2)
    written = {**facts, "splits": counts, "sha256": card.sha256}
    with (folder / f"{card.name}.yaml").open("w") as file:
        yaml.dump({key: value for key, value in written.items() if value is not None}, file)
    return card


def _line(row: Chosen) -> dict[str, Any]:
    text = row.found.text
    line: dict[str, Any] = {"text": text.a, "label": row.label, "split": row.split, "item": row.found.item}
    if text.b:
        line["text_b"] = text.b
    if text.spans is not None:
        line["spans"] = text.spans
    return line


def overview(cards: Iterable[TextCard]) -> str:
    """``DATASETS.md``: the tasks with their sizes, then the sources with licence and attribution."""
    rows: list[str] = []
    sources: dict[str, SourceCard] = {}
    for card in cards:
        counts = " / ".join(f"{card.splits.get(name, 0):,}" for name in SPLITS)
        origins = ", ".join(origin.package for origin in card.sources)
        rows.append(f"| {card.name} | {card.title} | {len(card.classes)} | {counts} | {origins} | {card.licence} |")
        sources |= {origin.package: origin for origin in card.sources}
    lines = [
        OPENING,
        "| task | what | classes | train / val / test | from | licence |",
        "| --- | --- | --- | --- | --- | --- |",
        *rows,
        "",
        "| package | version | licence | by | sha256 |",
        "| --- | --- | --- | --- | --- |",
        *(f"| {origin.package} | {origin.version} | {origin.licence} | {origin.attribution} | {origin.sha256[:16]} |"
          for origin in sources.values()),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"
