"""PromptAlign: MaPLe's prompts, tuned on each test image until its tokens look like those of the source domain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Axes, Batch, Number, Params, Task, knob
from promptgrid.contract.task import required
from promptgrid.tracks.image.methods.maple import MaPLe
from promptgrid.tracks.image.methods.parts.confidence import ConfidentViews, entropy_of_mean
from promptgrid.tracks.image.methods.parts.entering import entering, moments
from promptgrid.tracks.image.methods.parts.settings import check

CHUNK = 64


@dataclass(frozen=True)
class PromptAlign(ConfidentViews, MaPLe):
    """PromptAlign: MaPLe's prompts, tuned on each test image by TPT's entropy and by the statistics of its tokens.

    Source: Abdul Samadh et al., section 3; jameelhassan/PromptAlign bfe32b9 (``prompt_align.py``).
    First MaPLe (depth 3, SGD .0026, 2 epochs) learns prompts from labelled images, the source domain, and of what
    enters each block l of the image tower the mean and variance over those images are kept, token by token, prompts
    included. Then, for each test image, one AdamW step (.0005, decay .01) on all of MaPLe's parameters lowers
    H(mean p) + alignment / layers x sum_l (mean|m_l - M_l| + mean|v_l - V_l|) / 2, where p are the predictions on the
    int(.1 x 64) = 6 most confident of 64 views, m_l and v_l the statistics over these, and l runs over the first
    ``layers`` - 1 = 2 blocks (``ALIGN_LAYER_TO`` is 3, and the code stops one before). alignment 100. For domain
    generalisation the code has ``tuning_rate: 0.04``. Learns 1,185,024 numbers on ViT-B/16.
    Deviations: the statistics are those of the few labelled images, in the original of all of ImageNet's training
    images; those of TPT.
    """

    name: ClassVar[str] = "prompt_align"
    paper: ClassVar[str] = "Abdul Samadh et al., NeurIPS 2023, arXiv:2311.01459"
    axes: ClassVar = Axes("coupled_tokens", "both", stage="test_time", prompt="soft_prefix", design="objective")
    frozen: ClassVar[frozenset[str]] = frozenset({"means", "variances"})

    depth: int = 3
    learning_rate: Number = knob(0.0026, low=1e-5, high=1.0, log=True)
    epochs: int = 2
    tuning_rate: Number = knob(5e-4, low=1e-6, high=1.0, log=True)
    alignment: Number = knob(100.0, low=0.0, high=1e4)
    layers: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, views=2, kept=1.0, tuning_steps=1, layers=2)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        tower = task.backbone
        tokens = 1 + (tower.image_size // tower.patch_size) ** 2 + self.context_length
        empty = torch.zeros(self._blocks(task), tokens, tower.vision.width)
        return super().init(task, rng) | {"means": empty, "variances": empty.clone()}

    def finish(self, params: Params, task: Task) -> Params:
        pixels = required(task.support, "training images").pixels
        assert pixels is not None, "declared by needs"
        chunks = torch.split(pixels(), CHUNK)
        means, variances = moments(self._entering(params, task.backbone.patches(chunk), task) for chunk in chunks)
        return params | {"means": means.to(params["means"]), "variances": variances.to(params["variances"])}

    def adapt_loss(self, params: Params, views: Batch, task: Task) -> Tensor:
        assert views.patches is not None, "declared by needs"
        seen = self._entering(params, views.patches, task)
        mean, variance = seen.mean(0), seen.var(0, unbiased=False)
        far = (mean - params["means"]).abs().mean((1, 2)) + (variance - params["variances"]).abs().mean((1, 2))
        uncertain = entropy_of_mean(self.forward(params, views, task).logits)
        return uncertain + self.alignment / self.layers * 0.5 * far.sum()

    def _blocks(self, task: Task) -> int:
        """How many blocks are aligned."""
        return min(self.layers - 1, task.backbone.vision.layers)

    def _entering(self, params: Params, patches: Tensor, task: Task) -> Tensor:
        """(B, blocks, tokens, vision width): what enters the blocks that are aligned, prompts last."""
        textual = (params["context"], *params["deeper"].unbind(0))
        maps = zip(textual, params["map_weight"], params["map_bias"], strict=True)
        return entering(task.backbone, patches, [F.linear(*each) for each in maps], self._blocks(task))
