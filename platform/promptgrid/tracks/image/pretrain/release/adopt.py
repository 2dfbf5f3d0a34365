"""Puts new towers in the place of those that ship: files, figures on the test splits, model card.

    python -m promptgrid.tracks.image.pretrain.release.adopt NEW bundled-vit [bundled-conv]

Decide with `judge` first: this command looks at the test splits. All committed reports are to be run again afterwards.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from promptgrid.tracks.image.backbones.bundled_weights import FOLDER, TOKENS
from promptgrid.tracks.image.pretrain.release import evaluate
from promptgrid.tracks.image.pretrain.release.model_card import MODEL_CARD, render
from promptgrid.tracks.image.pretrain.release.weights import CARD, CONFIG, WEIGHTS


def adopt(new: Path, names: Sequence[str], folder: Path = FOLDER, tasks: Path = evaluate.TASKS) -> None:
    """Copy the towers of `new` into `folder`, measure them there, and write figures and model card."""
    shutil.copyfile(new / TOKENS, folder / TOKENS)
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for file in (CONFIG, WEIGHTS, CARD):
            shutil.copyfile(new / name / file, folder / name / file)
        rows = evaluate.evaluate(name, folder, tasks)
        evaluate.show(rows, Console())
        evaluate.write(name, rows, folder)
    (folder / MODEL_CARD).write_text(render(folder), encoding="utf-8")


def main() -> None:
    """Adopt what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("new", type=Path)
    parser.add_argument("names", nargs="+")
    given = parser.parse_args()
    adopt(given.new, given.names)


if __name__ == "__main__":
    main()
