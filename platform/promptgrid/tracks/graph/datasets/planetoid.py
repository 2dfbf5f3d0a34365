"""``planetoid:/data/Cora``: Cora, CiteSeer and PubMed as the raw Planetoid files (Yang et al., ICML 2016)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch

from promptgrid.contract import Dataset, DatasetFamily
from promptgrid.spec import DatasetCard, Refused
from promptgrid.tracks.graph.datasets.addresses import address, required
from promptgrid.tracks.graph.datasets.graph import Graph, Source, both_ways
from promptgrid.tracks.graph.datasets.unpickling import unpickled

PREFIX = "planetoid:"
CLASSES = {
    "cora": ("Theory", "Reinforcement_Learning", "Genetic_Algorithms", "Neural_Networks", "Probabilistic_Methods",
             "Case_Based", "Rule_Learning"),
    "citeseer": ("Agents", "AI", "DB", "IR", "ML", "HCI"),
    "pubmed": ("Experimental", "Type_1", "Type_2"),
}  # fmt: skip
"""In the order of the files' one-hot labels, as commonly told of them."""
VALIDATION = 500


class Planetoid(DatasetFamily):
    """A folder with ``raw/ind.NAME.x`` and its seven companions, or the folder ``raw`` itself.

    The splits are the public ones: train is the first labelled nodes, val the next 500, test the listed 1,000. Test
    nodes that the list skips (15 of CiteSeer) are isolated nodes without features. Pickles are read by names that only
    build arrays, never by running what is in them.
    """

    name = "planetoid"

    def listing(self) -> list[DatasetCard]:
        return []

    def knows(self, dataset: str) -> bool:
        return dataset.startswith(PREFIX)

    def open(self, dataset: str) -> Dataset:
        path, _ = address(dataset, PREFIX)
        folder = path / "raw" if (path / "raw").is_dir() else path
        found = sorted(folder.glob("ind.*.graph"))
        if len(found) != 1:
            raise Refused("no raw Planetoid files", where=str(folder), got=[file.name for file in found],
                          expected="one ind.NAME.graph")  # fmt: skip
        return read(folder, found[0].name.split(".")[1]).dataset()


def read(folder: Path, name: str) -> Source:
    """The graph in ``folder``.

    Raises:
        Refused: a file is missing or damaged, or they do not fit each other.
    """
    file = {part: required(folder / f"ind.{name}.{part}", "a raw Planetoid file")
            for part in ("x", "y", "tx", "ty", "allx", "ally", "graph", "test.index")}  # fmt: skip
    tx, ty, allx, ally, y, links = (unpickled(file[part]) for part in ("tx", "ty", "allx", "ally", "y", "graph"))
    try:
        listed = [int(line) for line in file["test.index"].read_text("ascii").split()]
        count = len(ally)
        total = max(count, max(listed) + 1, *(max([int(at), *map(int, to)]) + 1 for at, to in links.items()))
        features = np.zeros((total, allx.shape[1]), dtype=np.float32)
        labels = np.full((total, ally.shape[1]), 0.0)
        features[:count], labels[:count] = _dense(allx), ally
        features[listed], labels[listed] = _dense(tx), ty
        edges = [(int(one), int(to)) for one, many in links.items() for to in many]
        told = np.where(labels.any(1), labels.argmax(1), -1)
        splits = {"train": list(range(len(y))), "val": list(range(len(y), min(len(y) + VALIDATION, count))),
                  "test": sorted(listed)}  # fmt: skip
    except (AttributeError, TypeError, ValueError, IndexError) as error:
        raise Refused(f"the files do not fit each other: {error}", where=str(folder)) from error
    classes = CLASSES.get(name.lower(), ())
    if len(classes) != labels.shape[1]:
        classes = tuple(f"class_{label}" for label in range(labels.shape[1]))
    gaps = total - count - len(listed)
    notes = [f"{gaps} nodes have neither features nor a label"] if gaps > 0 else []
    graph = Graph(torch.from_numpy(features), both_ways(edges))
    return Source(str(folder), name, graph, told.tolist(), classes, splits, notes=notes)


def _dense(matrix: Any) -> Any:
    return matrix.toarray() if hasattr(matrix, "toarray") else np.asarray(matrix)
