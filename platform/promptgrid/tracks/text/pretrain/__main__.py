"""`python -m promptgrid.tracks.text.pretrain`: from Debian's archives to the weights that ship, and their figures."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch

from promptgrid.tracks.text.backbones.mask_delta import FILE
from promptgrid.tracks.text.backbones.minilm import PLAIN, build
from promptgrid.tracks.text.pretrain.evaluate import cloze
from promptgrid.tracks.text.pretrain.publish import figures, loaded, publish
from promptgrid.tracks.text.pretrain.recipe import Recipe
from promptgrid.tracks.text.pretrain.tables import tables_in
from promptgrid.tracks.text.pretrain.train import train

HELP = """train: read the corpus, train, or go on where a checkpoint stops. publish: write the checkpoint's weights and
card. evaluate: print the figures of the weights that ship. cloze: print what they say, without a corpus."""


def main() -> None:
    """Run one of the steps."""
    parser = argparse.ArgumentParser(prog="python -m promptgrid.tracks.text.pretrain", description=HELP)
    parser.add_argument("what", choices=("train", "publish", "evaluate", "cloze"))
    parser.add_argument(
        "folder", type=Path, nargs="?", default=Path("pretrain-text"), help="sources, checkpoint, corpus"
    )
    parser.add_argument("--steps", type=int, default=Recipe.steps, help="of training, in all")
    parser.add_argument(
        "--apart", type=Path, nargs="*", default=[], help="files of texts, one a line, to keep away from"
    )
    parser.add_argument("--texts", type=int, default=800, help="held-out texts that figures are taken over")
    parser.add_argument("--to", type=Path, default=FILE.parent, help="where weights are published or read")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(given.threads)
    recipe, tower = Recipe(steps=given.steps), build(PLAIN, "", "cpu")
    if given.what == "cloze":
        for sentence, words in cloze(loaded(tower, given.to))[3]:
            print(f"{sentence:60} {', '.join(words)}")
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    tasks = (line for path in given.apart for line in path.read_text(encoding="utf-8").splitlines())
    tables = tables_in(given.folder, tower, recipe, tasks)
    if given.what == "train":
        train(tower, tables, recipe, given.folder)
    elif given.what == "publish":
        publish(tower, tables, given.folder / "checkpoint.pt", recipe, given.to, given.texts)
    else:
        print(figures(loaded(tower, given.to), tables, given.texts))


if __name__ == "__main__":
    main()
