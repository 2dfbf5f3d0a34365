"""Trains a graph tower of ``towers.yaml``: ``python -m promptgrid.tracks.graph.bundled.pretrain NAME FOLDER``.

``--graph ADDRESS`` trains the same recipe on a graph of your own, such as ``planetoid:/data/Cora``, whose features may
be of any width; the folder is then a backbone ``gnn:FOLDER/NAME``. A run that is cut off goes on from FOLDER.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import cast

import torch

from promptgrid import catalog
from promptgrid.engine.wing import Wing
from promptgrid.tracks.graph.backbones.files import write
from promptgrid.tracks.graph.bundled.pretrain.recipe import recipes
from promptgrid.tracks.graph.bundled.pretrain.train import trained
from promptgrid.tracks.graph.datasets.graph import GraphDataset


def main() -> None:
    """Train one tower."""
    parser = argparse.ArgumentParser(prog="python -m promptgrid.tracks.graph.bundled.pretrain", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("name", choices=sorted(recipes()))
    parser.add_argument("folder", type=Path, help="where checkpoints and the tower are written")
    parser.add_argument("--graph", action="append", help="in the place of the recipe's graphs; may be repeated")
    given = parser.parse_args()
    torch.set_num_threads(1)
    recipe, resolver = recipes()[given.name], cast(Wing, catalog.track("graph")).resolver
    graphs = [cast(GraphDataset, resolver.dataset(address)) for address in given.graph or recipe.graphs]
    given.folder.mkdir(parents=True, exist_ok=True)
    began = time.process_time()
    weights = trained(recipe, given.name, graphs, given.folder)
    print(f"{given.name}: {time.process_time() - began:.0f} seconds of a core")
    shape = recipe.shape(graphs[0].graph.features.shape[1])
    write(given.folder / given.name, shape, weights, recipe.about, given.graph or recipe.graphs)


if __name__ == "__main__":
    main()
