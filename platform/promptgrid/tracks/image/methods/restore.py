"""RESTORE: prompts whose shifts of both modalities' features stay alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Axes, Batch, Edits, Number, Outputs, Params, Task, TokenPlan, knob
from promptgrid.tracks.image.methods.ivlp import IVLP
from promptgrid.tracks.image.methods.parts.ends import frozen_ends, prompted_layers
from promptgrid.tracks.image.methods.parts.sentences import sentences
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import linear

ROUND = 0.1
"""How long a shift of nothing is taken to be."""


@dataclass(frozen=True)
class RESTORE(IVLP):
    """RESTORE, reading 1: IVLP whose prompts shift the features of both towers by as much, block by block.

    Source: the abstract of arXiv:2403.06136; there is no public code.
    Shift: Δ_m^l = mean ‖h̃ - h‖ of the class token (EOT) behind block l < ``depth``, with prompts and without, over
    images (classes), ‖x‖ taken as √(‖x‖² + .1²). Loss: CE + strength mean_l (Δ_v^l - Δ_t^l)². Surgery, one in each
    modality, on features: f' = f̃ + sigmoid(w ‖f̃ - f‖ + b) MLP(f̃), f without prompts; MLP: D to D / ``reduction`` to
    D, ReLU between, no biases; its last layer, w and b start from zero. Without prompts the text is ``words`` in front
    of the name. Strength .1, chosen of .1, 1 and 10 on validation images (the card's finding); reduction 4; prompts
    and recipe as IVLP, 4 + 4 tokens, depth 9.
    Learns 46,080 + 2 x (2 x 512 x 128 + 2) = 308,228 numbers on ViT-B/16.
    Deviations: the whole form is our reading of the abstract; see the card's open choices.
    """

    name: ClassVar[str] = "restore"
    paper: ClassVar[str] = "RESTORE, 2024, arXiv:2403.06136"
    axes: ClassVar = Axes("tokens", "both", prompt="soft_prefix", design="objective")

    strength: Number = knob(0.1, low=0.0, high=1000.0)
    reduction: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, reduction=1)
        if not self.words:
            raise ValueError("words: got '', expected what the text without prompts says in front of the name")

    def init(self, task: Task, rng: torch.Generator) -> Params:
        width, params = task.backbone.width, super().init(task, rng)
        for tower in ("image", "text"):
            params[f"{tower}_down"] = linear(rng, width, max(1, width // self.reduction))[0]
            params[f"{tower}_up"] = torch.zeros(width, len(params[f"{tower}_down"]))
            params[f"{tower}_gate"] = torch.zeros(2)
        return params

    def text(self, params: Params, task: Task) -> Tensor:
        """(C, width + depth): features, and behind them the size of their shift behind each prompted block."""
        backbone, layers = task.backbone, prompted_layers(len(params["deeper"]) + 1, task.backbone.text.layers)
        prompts = task.prompts(self.context_length, behind=" ".join(self.words.split()[self.context_length :]))
        plan = TokenPlan((params["context"], *params["deeper"].unbind(0)), "text")
        ends = backbone.text_ends(prompts.fill(params["context"]), prompts.ends, Edits(tokens=plan), layers)
        frozen = frozen_ends(backbone, sentences(task, f"{self.words} {{}}."), layers)
        features, plain = backbone.project_text(ends[:, -1]), backbone.project_text(frozen[:, -1])
        return _beside(_operated("text", params, features, plain), ends, frozen, len(params["deeper"]) + 1)

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        """(B, width + depth): likewise."""
        backbone, depth = task.backbone, len(params["tokens"])
        layers = prompted_layers(depth, backbone.vision.layers)
        edits = Edits(tokens=TokenPlan(params["tokens"].unbind(0), "end", before_norm=True))
        tokens, frozen = (backbone.image_tokens(batch.patches, own, layers)[:, :, 0] for own in (edits, None))
        features = backbone.project_image(tokens[:, -1])
        return _beside(_operated("image", params, features, batch.features), tokens, frozen, depth)

    def head(self, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
        width = task.backbone.width
        return super().head(params, image[:, :width], text[:, :width], task)

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        width = task.backbone.width
        seen, said = out.image[:, width:].mean(0), out.text[:, width:].mean(0)
        depth = min(len(seen), len(said))
        gap = (seen[:depth] - said[:depth]).pow(2).mean()
        return {"cross_entropy": F.cross_entropy(out.logits, labels), "shifts": self.strength * gap}


def _operated(tower: str, params: Params, features: Tensor, plain: Tensor) -> Tensor:
    """``features`` behind the surgery that answers to how far they are from ``plain``, those without prompts."""
    weight, bias = params[f"{tower}_gate"].unbind(0)
    open_by = (weight * _size(features - plain) + bias).sigmoid()
    hidden = F.linear(features, params[f"{tower}_down"]).relu()
    return features + open_by[:, None] * F.linear(hidden, params[f"{tower}_up"])


def _beside(features: Tensor, tokens: Tensor, frozen: Tensor, depth: int) -> Tensor:
    return torch.cat([features, _size((tokens - frozen)[:, :depth])], dim=-1)


def _size(shift: Tensor) -> Tensor:
    """Its length, (...), rounded off near zero: there rounding alone would say where it points."""
    return (shift.pow(2).sum(-1) + ROUND**2).sqrt()
