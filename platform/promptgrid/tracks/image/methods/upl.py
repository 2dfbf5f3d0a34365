"""UPL: CoOp on zero-shot CLIP's most confident guesses, several times over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from promptgrid.contract.clip import Axes, Chosen, Outputs, Params, Task, Trained
from promptgrid.tracks.image.methods.parts.members import each_own, mean_vote, texts_of
from promptgrid.tracks.image.methods.parts.pseudo import confident, unseen_from, zero_shot
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import gaussian


@dataclass(frozen=True)
class UPL(Trained):
    """UPL: several contexts, learned from pseudo-labels without any label, that vote.

    Source: Huang et al., section 3; tonyhuang2022/UPL 8a8bf9c (``upltrainer.py``).
    Of the images that zero-shot CLIP takes for a class the ``confident`` = 16 of highest softmax are learned as that.
    Each of ``members`` = 16 contexts of 16 vectors, N(0, 0.02²), has its own cross-entropy; scores: the mean of their
    logits (``vote: probabilities``: log of the mean probability). SGD .002, batch 32, 50 epochs. Learns members x 16 x
    d_t. Deviations: members draw the same batches; the cell's own backbone labels the pool (UPL* asks 8 of them); fp32.
    """

    name: ClassVar[str] = "upl"
    kind: ClassVar = "text"
    paper: ClassVar[str] = "Huang et al., 2022, arXiv:2204.03649"
    axes: ClassVar = Axes("context", "text", supervision="unlabelled", prompt="soft_tuning", design="data")
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens", "unlabelled"})
    packs: ClassVar[bool] = False

    context_length: int = 16
    members: int = 16
    confident: int = 16
    epochs: int = 50
    vote: Literal["logits", "probabilities"] = "logits"

    def __post_init__(self) -> None:
        check(self, context_length=1, members=1, confident=1, vote=("logits", "probabilities"))

    def init(self, task: Task, rng: torch.Generator) -> Params:
        return {"context": gaussian(rng, self.members, self.context_length, task.backbone.text.width)}

    def draws(self, task: Task, pool: int) -> tuple[int, ...]:
        return (min(pool, self.confident * (len(task.classes) - unseen_from(task))),)

    def relabel(self, task: Task, logits: Tensor | None) -> Chosen:
        return confident(zero_shot(task), self.confident, unseen_from(task))

    def text(self, params: Params, task: Task) -> Tensor:
        return texts_of(task, params["context"])

    def head(self, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
        each = super().head(params, image, text, task)  # (members, B, C)
        return each.mean(0) if self.vote == "logits" else mean_vote(each)

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        return {"cross_entropy": each_own(super().head(params, out.image, out.text, task), labels)}
