"""P-tuning v2: learned keys and values in every layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from promptgrid.contract.edits import Edits
from promptgrid.contract.method import Params
from promptgrid.contract.taxonomy import Axes
from promptgrid.towers.methods.parts.headed import normal
from promptgrid.tracks.text.edits import Prefix, TextEdits
from promptgrid.tracks.text.methods.parts.answers import ANSWERS, Answering
from promptgrid.tracks.text.task import TextTask


@dataclass(frozen=True)
class PTuningV2(Answering):
    """P-tuning v2: every query of every layer reads l learned keys and values beside the text.

    Source: Liu et al., section 3.
    ``prompt_length`` l is 20, keys and values start from N(0, .02²); a linear head answers. AdamW .005, batch 16, 200
    steps, cosine by step. Learns layers x 2 l d numbers and a head of C x (d + 1).
    Deviations: no network in front of keys and values, which the paper finds to help on some tasks and to hurt on
    others; the head reads the tower's own pooling; the recipe is ours.
    """

    name: ClassVar[str] = "p_tuning_v2"
    paper: ClassVar[str] = "Liu et al., ACL 2022, arXiv:2110.07602"
    axes: ClassVar = Axes("tokens", "weights", prompt="soft_prefix", family="single_tower")
    needs: ClassVar[frozenset[str]] = frozenset({"tokens", "blocks"})

    prompt_length: int = 20

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"answers": ANSWERS, "prompt_length": 1}

    def start(self, task: TextTask, rng: torch.Generator) -> Params:
        shape = task.backbone.layers, self.prompt_length, task.backbone.width
        return {"keys": normal(rng, *shape), "values": normal(rng, *shape)}

    def inside(self, params: Params, task: TextTask) -> Edits | None:
        pairs = enumerate(zip(params["keys"], params["values"], strict=True))
        return TextEdits(prefixes={layer: Prefix(keys, values) for layer, (keys, values) in pairs}, seed=task.seed)
