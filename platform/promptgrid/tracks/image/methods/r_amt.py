"""R-AMT: which attention weights of the image tower are kept, near zero-shot CLIP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Agree, Axes, Batch, Edits, Number, Outputs, Params, Task, Trained, knob
from promptgrid.contract.recipe import Adam, Batches, Cosine, Recipe
from promptgrid.tracks.image.methods.parts.masks import mask_shapes, masks
from promptgrid.tracks.image.methods.parts.published import paper_name, published
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.tables.r_amt import EPOCHS, LEVELS, RATES


@dataclass(frozen=True)
class RAMT(Trained):
    """R-AMT: learned masks on the attention weights of the image tower, with gradients that agree with zero-shot CLIP.

    Source: Zheng et al., section 3, equation 7; R-AMT 07f8d2c (``trainers/masktuning.py``, ``modules/masklayers.py``).
    W' = W ⊙ 1[m > threshold], m real and like W, from ``start``; the gradient passes through unchanged. ``masked``:
    attention's input and output projections, the MLP's, or all. ``objective`` = CE + size_strength sum over weights
    ‖m‖₂ is descended, each number of its gradient dropped by chance where that of ``knowledge`` (cross-entropy to
    zero-shot CLIP, T = 1) opposes it (``Agree``, ``level`` l; ``regularised = false``: plain). m from .01, threshold
    .005, l 1 (.3 on most of the paper's datasets at 16 shots: ``LEVELS``); Adam 8e-5, no decay, batch 32, 30 epochs,
    cosine by epoch, no warm-up (ImageNet 3e-5, 10 epochs). Learns 12 x 4 x 768² = 28,311,552 numbers on ViT-B/16.
    Deviations: the patch embedding (``conv1``) is not masked, the original's code masks it; its views are crops of at
    least half the image, ours are the suite's; the real numbers are kept, the original keeps the bits; class names are
    not put in lower case as in the original, which CLIP's tokenizer does to every text anyway.
    """

    name: ClassVar[str] = "r_amt"
    kind: ClassVar = "weights"
    paper: ClassVar[str] = "Zheng et al., ICCV 2023, arXiv:2307.15049"
    axes: ClassVar = Axes("weight_mask", "weights", design="objective")
    needs: ClassVar[frozenset[str]] = frozenset({"vision_blocks"})
    zero_shot_at_start: ClassVar[bool] = True

    masked: Literal["attention", "mlp", "all"] = "attention"
    regularised: bool = True
    start: float = 0.01
    threshold: float = 0.005
    size_strength: Number = knob(1e-4, low=0.0, high=1.0)
    level: Number = knob(1.0, low=0.0, high=1.0)
    learning_rate: Number = knob(8e-5, low=1e-7, high=1.0, log=True)
    weight_decay: Number = knob(0.0, low=0.0, high=0.1)
    as_published: bool = True

    def __post_init__(self) -> None:
        check(self, masked=("attention", "mlp", "all"))
        if self.start <= self.threshold:
            raise ValueError(f"start: got {self.start}, expected more than threshold, {self.threshold}: all masks on")

    def init(self, task: Task, rng: torch.Generator) -> Params:
        tower = task.backbone.vision
        shapes = mask_shapes(self.masked, tower.width)
        return {name: torch.full((tower.layers, *shape), self.start) for name, shape in shapes.items()}

    def recipe(self, task: Task) -> Recipe:
        optimizer = Adam(published(self, "learning_rate", RATES, task.dataset), self.weight_decay)
        epochs = self.epochs or EPOCHS.get(paper_name(task.dataset), 30)
        return Recipe(optimizer, epochs, Batches(self.batch_size), Cosine())

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        return task.backbone.encode_patches(batch.patches, Edits(weights=masks(params, self.threshold)))

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        assert out.batch is not None, "the engine passes what it looked at"
        size = torch.stack([real.flatten(1).norm(dim=1).sum() for real in params.values()]).sum()
        objective = F.cross_entropy(out.logits, labels) + self.size_strength * size
        if not self.regularised:
            return {"objective": objective}
        wanted = (task.scale * out.batch.normalised @ task.text.mT).softmax(-1)
        return {"objective": objective, "knowledge": -(wanted * out.logits.log_softmax(-1)).sum(-1).mean()}

    def step(self, task: Task) -> Agree | None:
        if not self.regularised:
            return None
        levels = LEVELS if task.shots == 16 else {}
        return Agree("objective", "knowledge", published(self, "level", levels, task.dataset))
