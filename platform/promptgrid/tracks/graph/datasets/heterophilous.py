"""``heterophilous:/data/actor.npz?draw=0``: graphs as Platonov et al. publish them (ICLR 2023)."""

from __future__ import annotations

import numpy as np
import torch

from promptgrid.contract import Dataset, DatasetFamily
from promptgrid.spec import DatasetCard, Refused
from promptgrid.tracks.graph.datasets.addresses import address
from promptgrid.tracks.graph.datasets.graph import Graph, Source, both_ways

PREFIX = "heterophilous:"
KEYS = ("node_features", "node_labels", "edges", "train_masks", "val_masks", "test_masks")


class Heterophilous(DatasetFamily):
    """An npz with features, labels, edges and ten draws of splits; ``?draw=`` names one, 0 by default."""

    name = "heterophilous"

    def listing(self) -> list[DatasetCard]:
        return []

    def knows(self, dataset: str) -> bool:
        return dataset.startswith(PREFIX)

    def open(self, dataset: str) -> Dataset:
        path, options = address(dataset, PREFIX, ("draw",))
        try:
            with np.load(path, allow_pickle=False) as found:
                arrays = {name: found[name] for name in KEYS}
        except (OSError, ValueError, KeyError) as error:
            raise Refused(f"not such a graph: {error}", where=str(path), expected=", ".join(KEYS)) from error
        draws = len(arrays["train_masks"])
        said = options.get("draw", "0")
        if not said.isdigit() or int(said) >= draws:
            raise Refused("no such draw of the splits", where=dataset, got=said, expected=f"0 to {draws - 1}")
        labels = arrays["node_labels"].astype(int)
        classes = tuple(f"class_{label}" for label in range(int(labels.max()) + 1))
        splits = {
            name: np.flatnonzero(arrays[f"{name}_masks"][int(said)]).tolist() for name in ("train", "val", "test")
        }
        graph = Graph(torch.from_numpy(arrays["node_features"].astype(np.float32)), both_ways(arrays["edges"]))
        return Source(str(path), path.stem, graph, labels.tolist(), classes, splits).dataset()
