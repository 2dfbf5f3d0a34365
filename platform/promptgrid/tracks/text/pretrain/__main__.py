"""`python -m promptgrid.tracks.text.pretrain FOLDER`: from Debian's archives to the weights that ship."""

from __future__ import annotations

import argparse
import logging
from pathlib import Path

import torch

from promptgrid.tracks.text.backbones.minilm import PLAIN, build
from promptgrid.tracks.text.pretrain.recipe import Recipe
from promptgrid.tracks.text.pretrain.tables import tables_in
from promptgrid.tracks.text.pretrain.train import train


def main() -> None:
    """Read the corpus, train, and write the weights and their figures into FOLDER."""
    parser = argparse.ArgumentParser(prog="python -m promptgrid.tracks.text.pretrain", description=__doc__)
    parser.add_argument("folder", type=Path, help="where sources, tables, checkpoint and weights are kept")
    parser.add_argument("--minutes", type=float, default=Recipe.minutes, help="of training, by the wall clock")
    parser.add_argument(
        "--apart", type=Path, nargs="*", default=[], help="files of texts, one a line, to keep away from"
    )
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(given.threads)
    given.folder.mkdir(parents=True, exist_ok=True)
    recipe, tower = Recipe(minutes=given.minutes), build(PLAIN, "", "cpu")
    tasks = (line for path in given.apart for line in path.read_text(encoding="utf-8").splitlines())
    tables = tables_in(given.folder, tower, recipe, tasks)
    train(tower, tables, recipe, given.folder)


if __name__ == "__main__":
    main()
