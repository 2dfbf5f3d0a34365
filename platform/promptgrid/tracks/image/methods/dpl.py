"""DPL: prompts that attention reads apart from the sequence, with a learned share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Apart, Axes, Batch, Edits, Number, Params, Task, Trained, knob
from promptgrid.tracks.image.methods.parts.names import named
from promptgrid.tracks.image.methods.parts.sentences import sentences
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import gaussian, linear


@dataclass(frozen=True)
class DPL(Trained):
    """DPL, reading 1: attention to the sequence and attention to prompts, decoupled and mixed by a learned share.

    Source: the abstract of arXiv:2308.10061; there is no public code. (DePT and DPLCLIP are other methods.)
    Of [P; I] a query gathers λ Attn(q, P) + (1 - λ) Attn(q, I). Instance to instance stays as it is frozen; λ(q)
    becomes λ_l = sigmoid(s_l), one learned number a block; prompts do not ask, they are fresh at each of the first
    ``depth`` blocks. Image: P_l (``tokens``, d_v). Text, language-conditioned: P_l,c = base_l + W e_c + b, e_c the
    mean token embedding of the name of class c, W as torch's Linear starts; the sequence is the dataset's template.
    Prompts start from N(0, 0.02²), λ_l at .1. 4 tokens, depth 9, SGD .0025, batch 4, 20 epochs, as IVLP.
    Learns 9 x 4 x (768 + 512) + 18 + 512 x 512 + 512 = 308,754 numbers on ViT-B/16.
    Deviations: the whole form is our reading of the abstract; see the card's open choices.
    """

    name: ClassVar[str] = "dpl"
    kind: ClassVar = "multimodal"
    paper: ClassVar[str] = "DPL, 2023, arXiv:2308.10061"
    axes: ClassVar = Axes("side_path", "both", prompt="soft_prefix")
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens", "text_blocks", "vision_blocks"})

    tokens: int = 4
    depth: int = 9
    share: float = 0.1
    learning_rate: Number = knob(0.0025, low=1e-5, high=1.0, log=True)
    batch_size: int = 4
    epochs: int = 20

    def __post_init__(self) -> None:
        check(self, tokens=1, depth=1, share=0.99)
        if self.share == 0:
            raise ValueError("share: got 0, expected more: at 0 nothing is learned")

    def init(self, task: Task, rng: torch.Generator) -> Params:
        params: Params = {}
        for name, tower in (("vision", task.backbone.vision), ("text", task.backbone.text)):
            depth = min(self.depth, tower.layers)
            params[f"{name}_tokens"] = gaussian(rng, depth, self.tokens, tower.width)
            params[f"{name}_share"] = torch.full((depth,), self.share).logit()
        width = task.backbone.text.width
        params["map_weight"], params["map_bias"] = linear(rng, width, width)
        return params

    def text(self, params: Params, task: Task) -> Tensor:
        told = F.linear(named(task.backbone, task.classes), params["map_weight"], params["map_bias"])
        tokens = params["text_tokens"][:, None] + told[:, None]  # (depth, C, n, d_t)
        return task.backbone.encode_text(*sentences(task, task.template), _edits(tokens, params["text_share"]))

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        edits = _edits(params["vision_tokens"], params["vision_share"])
        return task.backbone.encode_patches(batch.patches, edits)


def _edits(tokens: Tensor, shares: Tensor) -> Edits:
    own = zip(tokens.unbind(0), shares.sigmoid().unbind(0), strict=True)
    return Edits(apart={layer: Apart(*one) for layer, one in enumerate(own)})
