"""VP's frame: four strips of learned pixels around every image."""

from __future__ import annotations

import torch
from torch import Tensor

from promptgrid.contract.clip import Batch, Params, Task
from promptgrid.tracks.image.methods.parts.sizes import scaled


def frame(task: Task, rng: torch.Generator, border: int) -> Params:
    """Four strips (3, high, wide) from N(0, 1) around an image, ``border`` wide where it is 224 pixels wide."""
    size = task.backbone.image_size
    wide = min(scaled(border, size), size // 2)
    inner = size - 2 * wide
    shapes = {"up": (wide, size), "down": (wide, size), "left": (inner, wide), "right": (inner, wide)}
    return {name: torch.randn(3, *shape, generator=rng) for name, shape in shapes.items()}


def framed(params: Params, batch: Batch) -> Tensor:
    """The images of ``batch`` (B, 3, size, size) with the frame added."""
    hole = params["left"].new_zeros(3, params["left"].shape[1], params["up"].shape[2] - 2 * params["left"].shape[2])
    middle = torch.cat([params["left"], hole, params["right"]], dim=2)
    return batch.pixels + torch.cat([params["up"], middle, params["down"]], dim=1)
