"""New towers beside the ones that ship, on the validation splits: what adoption is decided on.

    python -m promptgrid.tracks.image.pretrain.release.judge NEW [--names bundled-vit,bundled-conv] [--json FILE]

NEW holds folders as `promptgrid pretrain --out` writes them. The test splits are not looked at.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from promptgrid.tracks.image.backbones.bundled_weights import FOLDER
from promptgrid.tracks.image.pretrain.release.evaluate import TASKS, Figures, evaluate, summary
from promptgrid.tracks.image.pretrain.release.weights import CARD, read_card

NAMES = ("bundled-vit", "bundled-conv")
SPLIT = "val"


def compare(
    new: Path, names: Sequence[str] = NAMES, old: Path = FOLDER, tasks: Path = TASKS, split: str = SPLIT
) -> dict[str, dict[str, list[Figures]]]:
    """{backbone: {"old": figures, "new": figures}} of the backbones that `new` holds."""
    there = [name for name in names if (new / name / CARD).is_file()]
    if not there:
        raise SystemExit(f"{new} holds none of {', '.join(names)}")
    sides = {"old": old, "new": new}
    return {name: {side: evaluate(name, sides[side], tasks, split=split) for side in sides} for name in there}


def show(found: dict[str, dict[str, list[Figures]]], new: Path, old: Path, console: Console) -> None:
    """Print task by task, and the means."""
    for name, sides in found.items():
        table = Table("task", "chance", "zero-shot old", "new", "probe old", "new", "pixels", title=name)
        for before, after in zip(sides["old"], sides["new"], strict=True):
            pairs = (before.chance, before.zero_shot, after.zero_shot, before.probe, after.probe, before.pixels)
            table.add_row(before.task, *(f"{value:.1f}" for value in pairs))
        console.print(table)
        for side, folder in (("old", old), ("new", new)):
            card = read_card(folder / name)
            console.print(f"{name} {side}: {card['samples_seen']:,} samples, {summary(sides[side])}", soft_wrap=True)


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("new", type=Path)
    parser.add_argument("--old", type=Path, default=FOLDER)
    parser.add_argument("--names", default=",".join(NAMES))
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = compare(given.new, given.names.split(","), given.old)
    show(found, given.new, given.old, Console(highlight=False))
    if given.json:
        plain = {
            name: {side: [asdict(f) for f in rows] for side, rows in sides.items()} for name, sides in found.items()
        }
        given.json.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
