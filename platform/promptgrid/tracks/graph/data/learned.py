"""What one cell learned, taken from the store to be used again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from promptgrid.contract.columns import Table
from promptgrid.contract.method import Method, Params
from promptgrid.engine.scoring import answers_of
from promptgrid.tracks.graph.data.pack_data import CHUNK, pooled_features, shown_batch
from promptgrid.tracks.graph.data.padding import padded
from promptgrid.tracks.graph.datasets.graph import GraphDataset
from promptgrid.tracks.graph.task import GraphTask


@dataclass(frozen=True, repr=False)
class LearnedMethod:
    """A method with what it learned, for examples of a dataset whose features are of the same kind."""

    method: Method
    params: Params
    task: GraphTask
    title: str

    @property
    def classes(self) -> tuple[str, ...]:
        """The names that it chooses between."""
        return self.task.classes

    def logits(self, dataset: GraphDataset, indices: Sequence[int]) -> Tensor:
        """(N, classes) logits of examples of ``dataset``."""
        table, needs, found = dataset.graph.features, self.method.needs, dict[str, Table]()
        if "graph" in needs:
            batch = shown_batch(padded([dataset.read(index) for index in indices], dataset.most), table)
            found = {name: Table(batch[name]) for name in batch}
        if "features" in needs:
            found["features"] = Table(pooled_features(self.task.backbone, dataset, indices, table))
        for name, own in (("own", table), ("smoothed", dataset.graph.smoothed() if "smoothed" in needs else table)):
            if name in needs:
                rows = [own[torch.from_numpy(dataset.rows(index))].mean(0) for index in indices]
                found[name] = Table(torch.stack(rows))
        return answers_of(self.method, self.params, self.task, found, CHUNK)

    def classify(self, dataset: GraphDataset, indices: Sequence[int]) -> list[str]:
        """The class that each example is taken for."""
        return [self.classes[at] for at in self.logits(dataset, indices).argmax(1).tolist()]
