"""EPT: a short prompt that reads the low-rank change of the embeddings, mapped into several spaces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from promptgrid.contract.method import Params
from promptgrid.contract.taxonomy import Axes
from promptgrid.towers.methods.parts.headed import normal
from promptgrid.tracks.text.methods.dept import DePT
from promptgrid.tracks.text.task import TextTask


@dataclass(frozen=True)
class EPT(DePT):
    """EPT: DePT's decomposition, with prompt fusion and a gated sum over several projections of the prompt.

    Source: Lan et al., sections on decomposition, fusion and multi-space projection.
    Fusion: P_f = P_s + softmax(P_s W_q (A B W_k)ᵀ / √d) A B W_v. Spaces: U_i = GELU(P_f D_i) E_i through b numbers,
    w = softmax(mean(P_f) W_g), P* = P_f + Σ w_i U_i. ``fusion: false`` and ``spaces: 0`` leave each out; without both
    it is DePT. W_q, W_k, W_v, D and W_g start from N(0, 1/d), E from zero, so that P* starts as P_f. Recipe, budget and
    starts else as DePT. Learns at most l d numbers, 3 d² more for the fusion, n (2 d b + d) more for the spaces,
    and a head.
    Deviations: no code is public, and the forms of fusion, projections and gate are our reading; the fusion's matrices
    are not counted in the budget, as in the paper's own arithmetic (d 768, l 100: s 40, r 45, m 256 is all of it).
    """

    name: ClassVar[str] = "ept"
    paper: ClassVar[str] = "Lan et al., AAAI 2025, arXiv:2405.11464"
    axes: ClassVar = Axes("prompt_network", "weights", prompt="soft_tuning", family="single_tower")

    fusion: bool = True
    spaces: int = 4
    bottleneck: int = 16

    @property
    def rules(self) -> Mapping[str, Any]:
        return {**super().rules, "bottleneck": 1}

    def start(self, task: TextTask, rng: torch.Generator) -> Params:
        width = task.backbone.width
        std, own = width**-0.5, super().start(task, rng)
        if self.fusion:
            own |= {f"fusion_{each}": normal(rng, width, width, std=std) for each in ("q", "k", "v")}
        if self.spaces:
            own |= {
                "space_down": normal(rng, self.spaces, width, self.bottleneck, std=std),
                "space_up": torch.zeros(self.spaces, self.bottleneck, width),
                "gate": normal(rng, width, self.spaces, std=std),
            }
        return own

    def prompt(self, params: Params, change: Tensor) -> Tensor:
        prompt = params["prompt"]
        if self.fusion:
            scores = prompt @ params["fusion_q"] @ (change @ params["fusion_k"]).mT / prompt.shape[-1] ** 0.5
            prompt = prompt + scores.softmax(-1) @ change @ params["fusion_v"]
        if self.spaces:
            share = (prompt.mean(-2) @ params["gate"]).softmax(-1)
            mapped = torch.nn.functional.gelu(prompt @ params["space_down"]) @ params["space_up"]
            prompt = prompt + (share[:, None, None] * mapped).sum(0)
        return prompt
