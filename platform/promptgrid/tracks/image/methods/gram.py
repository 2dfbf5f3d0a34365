"""GRAM: a prompt learner that starts from a meta-learned context and has its gradients regulated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from promptgrid.contract import Axes, Method, Number, Outputs, Params, Task, Trained, knob
from promptgrid.tracks.image.methods.coop import CoOp
from promptgrid.tracks.image.methods.kgcoop import KgCoOp
from promptgrid.tracks.image.methods.parts.gradient_map import Meta, identity, meta_learned, regulated
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import check_words, context

HOSTS: dict[str, Method] = {"coop": CoOp(context_length=4, words="a photo of a"), "kgcoop": KgCoOp()}


@dataclass(frozen=True)
class GRAM(Trained):
    """GRAM: the start of a prompt and a map of its gradients, meta-learned from captions, for another method to use.

    Source: Li et al., the abstract alone; this is our reading of it, no code is public.
    Meta-stage, in the cell, before training: captions are clustered as ``families`` of two sibling clusters, by their
    features and those of their images. Each of ``meta_steps`` draws a family, ``ways`` captions of each sibling and an
    image of each caption. One sibling supports, the other one asks: V' = V - ``inner_rate`` M(g), g the gradient of the
    support's cross-entropy between captions behind [V]; then V and M descend the other's cross-entropy at V', first
    order (SGD .002, momentum .9; M by Adam .001). M(g) = g (1 + tanh(U relu(D g/|g|))), token by token,
    D: d_t to d_t / 16, U = 0 at first, so that M starts as the identity. Then the ``host`` (CoOp with 4 tokens, or
    KgCoOp) learns from the few labelled images as ever, but from V, and descending M(g) with M held.
    Recipe: CoOp's. Learns 2,048 numbers on ViT-B/16; 32,768 of M are learned in the meta-stage and then frozen.
    Deviations: all that the abstract leaves open, listed in the card; fp32.
    """

    name: ClassVar[str] = "gram"
    kind: ClassVar = "text"
    paper: ClassVar[str] = "Li et al., ICCV 2023, arXiv:2303.06571"
    axes: ClassVar = Axes(
        "context", "text", supervision="pairs", stage="pre_training", prompt="soft_tuning", design="objective"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens", "image_text_pairs"})
    frozen: ClassVar[frozenset[str]] = frozenset({"down", "up"})

    host: Literal["coop", "kgcoop"] = "coop"
    context_length: int = 4
    words: str = "a photo of a"
    meta_steps: int = 100
    ways: int = 8
    reduction: int = 16
    inner_rate: Number = knob(0.1, low=0.0, high=10.0)
    meta_rate: Number = knob(0.002, low=0.0, high=1.0)

    def __post_init__(self) -> None:
        check(self, host=tuple(HOSTS), context_length=1, ways=2, reduction=1)
        check_words(self.words, self.context_length)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        start = {"context": context(task, rng, self.context_length, self.words)}
        start |= identity(rng, task.backbone.text.width, self.reduction)
        meta = Meta(self.meta_steps, self.ways, float(self.inner_rate), float(self.meta_rate))
        return meta_learned(start, task, rng, meta)

    def text(self, params: Params, task: Task) -> Tensor:
        return task.backbone.encode_context(task.prompts(self.context_length), params["context"])

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        return HOSTS[self.host].losses(params, out, labels, task)

    def regulate(self, params: Params, grads: Params, task: Task) -> Params:
        return {"context": regulated(params, grads["context"])}
