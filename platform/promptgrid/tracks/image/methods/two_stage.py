"""2SFS: first the norms of both towers learn the task, then a classifier on top of them learns the classes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import AdamW, Axes, Batch, Batches, Cosine, Number, Params, Recipe, Rule, Task, knob
from promptgrid.contract.clip.method import Kind
from promptgrid.tracks.image.methods.ln_tuning import LNTuning
from promptgrid.tracks.image.methods.parts.sentences import sentences
from promptgrid.tracks.image.methods.parts.settings import check

PHOTO = "a photo of a {}."
NORMS = ("vision_weights", "vision_biases", "text_weights", "text_biases")


@dataclass(frozen=True)
class TwoStage(LNTuning):
    """2SFS: two-stage few-shot adaptation, LayerNorms of both towers and then a linear classifier.

    Source: Farina et al., section 4; a copy of their code, KilianLP/CoOpLoraSquared- 2b56480 (``fs/twostage.py``).
    Of M = ``steps_per_shot`` x shots steps the first ``share`` (.6) train what is added to the LayerNorms of both
    towers by CE on s cos(f, t_c). Then a row w_c a class starts at the unit text feature of the tuned tower, and the
    rest of the steps train these alone, on the tuned images. A class that was learned is scored by its row, a new
    one by the tuned text tower, class by class. Each stage: AdamW 2e-4, weight decay .01, batch 32, cosine by step to
    1e-6; an epoch's last batch may be smaller (``keep_last``). Texts are "a photo of a {}." (``texts: dataset``: the
    dataset's template). ``epochs`` trains so many in each stage in place of M. Learns 65,536 + C x D on ViT-B/16.
    Deviations: the weight decay of norms pulls at what is added, not at the norm's own weight (2e-6 of it a step);
    fp32 where the original scales fp16 gradients.
    """

    name: ClassVar[str] = "two_stage"
    kind: ClassVar[Kind] = "weights"
    paper: ClassVar[str] = "Farina et al., CVPR 2025, arXiv:2503.11609"
    axes: ClassVar = Axes("norms_biases", "weights", design="objective")
    frozen: ClassVar[frozenset[str]] = frozenset({"names", "stage"})
    stages: ClassVar[int] = 2

    towers: Literal["vision", "both"] = "both"
    learning_rate: Number = knob(2e-4, low=1e-6, high=1.0, log=True)
    weight_decay: Number = knob(0.01, low=0.0, high=0.1)
    epochs: int = 0
    steps_per_shot: int = 300
    share: float = 0.6
    keep_last: bool = True
    texts: Literal["photo", "dataset"] = "photo"

    def __post_init__(self) -> None:
        check(self, towers=("both",), steps_per_shot=1, share=0.99, texts=("photo", "dataset"))

    def init(self, task: Task, rng: torch.Generator) -> Params:
        with torch.no_grad():
            texts = F.normalize(task.backbone.encode_text(*sentences(task, self._said(task))), dim=-1)
        own = {"classifier": texts.clone(), "names": _named(task.classes), "stage": torch.zeros(())}
        return super().init(task, rng) | own

    def recipe(self, task: Task) -> Recipe:
        total = self.steps_per_shot * max(1, task.shots)
        first = max(1, int(total * self.share))
        still = NORMS if task.turn else ("classifier",)
        return Recipe(
            AdamW(self.learning_rate, self.weight_decay),
            self.epochs,
            Batches(self.batch_size, self.keep_last),
            Cosine(1e-6, per="iteration"),
            {name: Rule(rate=0.0) for name in still},
            iterations=None if self.epochs else max(1, total - first) if task.turn else first,
        )

    def resume(self, learned: Params, fresh: Params, task: Task) -> Params:
        with torch.no_grad():
            return learned | {"classifier": self._tuned(learned, task), "stage": torch.ones_like(learned["stage"])}

    def text(self, params: Params, task: Task) -> Tensor:
        if task.turn:
            return params["classifier"]
        tuned = self._tuned(params, task)
        if task.seed is not None:
            return tuned
        own = _named(task.classes).to(params["names"])  # a class that was learned has its row
        same = (own.unsqueeze(1) == params["names"]).all(-1).to(tuned) * params["stage"]
        return same @ params["classifier"] + (1.0 - same.sum(1, keepdim=True)) * tuned

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        held = {name: params[name].detach() for name in NORMS} if task.turn else params
        return super().image(held, batch, task)

    def _tuned(self, params: Params, task: Task) -> Tensor:
        """(C, D) unit text features of the tuned tower."""
        edits = self.edits("text", params, task)
        return F.normalize(task.backbone.encode_text(*sentences(task, self._said(task)), edits), dim=-1)

    def _said(self, task: Task) -> str:
        return task.template if self.texts == "dataset" else PHOTO


def _named(classes: Sequence[str]) -> Tensor:
    """(C, 2): what tells class names apart, whole numbers below 2^24 of a hash, which float32 holds exactly."""
    hashes = [hashlib.sha256(name.encode()).digest() for name in classes]
    return torch.tensor([[float(int.from_bytes(each[i : i + 3], "big")) for i in (0, 3)] for each in hashes])
