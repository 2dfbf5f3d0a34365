"""What the cells of a pack train on: stacked few-shot features, and the batches each draws from its own stream."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from promptgrid.contract import Backbone, Batch, stream
from promptgrid.spec import Cell


@dataclass(frozen=True)
class Support:
    """The training images of K cells, N each.

    Attributes:
        features: (K, N, width) frozen features.
        labels: (K, N) class positions.
        pixels: (K, N, 3, size, size) uint8, for methods inside the image tower.
    """

    features: Tensor
    labels: Tensor
    pixels: Tensor | None = None

    @property
    def cells(self) -> int:
        """K."""
        return int(self.features.shape[0])

    @property
    def images(self) -> int:
        """N."""
        return int(self.features.shape[1])

    def batch(self, chosen: Tensor, backbone: Backbone) -> tuple[Batch, Tensor]:
        """The batch and labels (K, B) of the positions ``chosen`` (K, B), one row a cell."""
        rows = torch.arange(self.cells, device=chosen.device).unsqueeze(1)
        patches = None
        if self.pixels is not None:
            with torch.no_grad():
                flat = backbone.patches(self.pixels[rows.cpu(), chosen.cpu()].flatten(0, 1))
            patches = flat.reshape(*chosen.shape, *flat.shape[1:])
        return Batch(self.features[rows, chosen], patches), self.labels[rows, chosen]


def streams(cells: tuple[Cell, ...], purpose: str) -> list[torch.Generator]:
    """One generator a cell, named by its task and seed and not by its method.

    All methods see the same batches and the same draws for one (dataset, shots, seed): differences between methods
    are then paired, and a cell's numbers never depend on who shares its pack.
    """
    return [
        stream(cell.track, cell.protocol, cell.identity.get("split", cell.dataset), cell.shots, cell.seed, purpose)
        for cell in cells
    ]


def steps_per_epoch(images: int, batch_size: int) -> int:
    """Whole batches only, or one short batch where there is less than one (Dassl's drop_last rule)."""
    return max(1, images // batch_size)


def epoch_batches(generators: list[torch.Generator], images: int, batch_size: int) -> Iterator[Tensor]:
    """The (K, B) positions of each step of one epoch, a fresh shuffle for every cell."""
    orders = torch.stack([torch.randperm(images, generator=generator) for generator in generators])
    size = min(batch_size, images)
    for step in range(steps_per_epoch(images, batch_size)):
        yield orders[:, step * size : (step + 1) * size]
