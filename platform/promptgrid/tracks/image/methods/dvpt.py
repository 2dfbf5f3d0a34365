"""DVPT: prompts that gather from the image, layer by layer, through one shared bottleneck."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Axes, Edits, Params, TokenPlan
from promptgrid.contract.edits import Parallel
from promptgrid.towers.methods.parts.headed import Headed, normal


@dataclass(frozen=True)
class DVPT(Headed):
    """DVPT: m prompts stand beside the patches and in every block gather from all tokens; a head reads their mean.

    Source: He et al., the abstract (section 3 of the paper was not to be had); NKUhealong/DVPT 180a4a4.
    ``form: paper``: at a block with tokens X, T = GELU(X W_d) (n, r), Z = softmax(P Tᵀ / √r) T with queries P (m, r),
    and g Z W_u is added to the m prompts beside the MLP; one (W_d, P, W_u, g) for all blocks. Where Z W_u is added the
    abstract leaves open: at the prompts, as the released Swin file has it.
    ``form: as_released``: the released ViT file, which computes such an attention and never uses it:
    g W_u QuickGELU(W_d x) beside the MLP for every token, one (W_d, W_u, g) for each ``shared`` blocks in a row.
    Both: ``prompts`` m (50) with positions of their own, r (``bottleneck``) 20, g from 0; the feature is the mean of
    class token and prompts behind the last norm. Learns 2 m d, 2 r d + 1 a module, m r in the paper's form, and a head
    of C x (d + 1).
    Deviations: AdamW 1e-3, batch 16, 200 steps, cosine by step, where the original has 5e-4 for 60 epochs, 5 of them
    warm-up; W_d and W_u from N(0, .02²) without biases.
    """

    name: ClassVar[str] = "dvpt"
    paper: ClassVar[str] = "He et al., Neural Networks 2025, arXiv:2307.09787"
    axes: ClassVar = Axes("tokens", "weights", prompt="soft_prefix", family="single_tower", task="medical")
    needs: ClassVar[frozenset[str]] = frozenset({"tokens", "blocks"})

    form: Literal["paper", "as_released"] = "paper"
    prompts: int = 50
    bottleneck: int = 20
    shared: int = 3

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"form": ("paper", "as_released"), "prompts": 1, "bottleneck": 1, "shared": 1}

    def start(self, task: Any, rng: torch.Generator) -> Params:
        width, paper = task.tower.width, self.form == "paper"
        modules = 1 if paper else -(-task.tower.layers // self.shared)
        own = {
            "prompt": normal(rng, self.prompts, width),
            "positions": normal(rng, self.prompts, width),
            "down": normal(rng, modules, self.bottleneck, width),
            "up": normal(rng, modules, width, self.bottleneck),
            "gate": torch.zeros(modules),
        }
        return own | ({"queries": normal(rng, self.prompts, self.bottleneck)} if paper else {})

    def edits(self, params: Params, task: Any) -> Edits | None:
        tokens, paper = params["prompt"] + params["positions"], self.form == "paper"
        found = {}
        for layer in range(task.tower.layers):
            at = 0 if paper else layer // self.shared
            down, up, gate = (params[name][at] for name in ("down", "up", "gate"))
            act = F.gelu if paper else quick_gelu
            found[layer] = Parallel(down, up, gain=gate, act=act, queries=params.get("queries"))
        return Edits(tokens=TokenPlan((tokens,), "after_class", pooled=True), parallel=found)


def quick_gelu(x: Tensor) -> Tensor:
    """x sigmoid(1.702 x)."""
    return x * torch.sigmoid(1.702 * x)
