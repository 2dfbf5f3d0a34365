"""TFUP-T: TFUP's guesses, then a model's own, teach a text residual and an image adapter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Axes, Chosen, Classifier, Number, Outputs, Params, Task, knob
from promptgrid.contract.recipe import AdamW, Batches, Cosine, Recipe
from promptgrid.tracks.image.methods.parts.benchmarks import set_for
from promptgrid.tracks.image.methods.parts.described import raw_mean
from promptgrid.tracks.image.methods.parts.own_guesses import agreement, one_sidedness
from promptgrid.tracks.image.methods.parts.pseudo import guessed, pool, unaugmented, unseen_from, whole
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import linear
from promptgrid.tracks.image.methods.parts.typical import images_each, likely_classes, typical
from promptgrid.tracks.image.methods.tables.tfup_t import RATES, SHARES
from promptgrid.tracks.image.methods.tfup import TFUP


@dataclass(frozen=True)
class TFUPT(TFUP):
    """TFUP-T: a text residual and an image adapter, taught by TFUP's guesses, then by their own on plain views.

    Source: section "training-based unsupervised prompt" of the paper; wlb12345/TFUP d95d4d3 (``main.py``).
    W' = .5 W + .5 R, R = 0 at first; f' = .8 f + .2 A(f), A(f) = ReLU(ReLU(f D₁) D₂) of width D/4;
    logits = s f̂' Ŵ'. A sixth of the epochs (5 of 30) trains on ``share`` |U| / C images a class (at least 9), chosen
    as TFUP's keys and labelled by TFUP, share .75 (Office31 and VisDA17 .5). The others train on the whole pool: where
    TFUP on f', W' of the image without augmentation is surer than ``threshold`` = .9, its guess is the label of the
    augmented view; and 0.3 sum_c m log m, m the mean softmax of the batch. AdamW .012 (Office31 .05), epsilon 3e-3,
    decay .1, cosine per iteration over both, batch 256. Learns C x D + D²/2 numbers. Where the pool is of unseen
    classes, guesses and m are among those alone.
    Deviations: those of TFUP; the last step is kept (the original keeps the best epoch on the TEST set); the cosine
    ends at 0 with the last step (the original's, too short, climbs again); the optimizer starts anew with the second
    phase; views as the suite says, the centre crop for both without; as in the original's best model, the cache does
    not vote at the end; batches are whole.
    """

    name: ClassVar[str] = "tfup_t"
    kind: ClassVar = "head"
    axes: ClassVar = Axes("adapter", "head", supervision="unlabelled", access="features")

    threshold: Number = knob(0.9, low=0.0, high=1.0)
    spread: Number = knob(0.3, low=0.0, high=10.0)
    learning_rate: Number = knob(0.012, low=1e-5, high=1.0, log=True)
    weight_decay: Number = knob(0.1, low=0.0, high=1.0)
    batch_size: int = 256
    epochs: int = 30
    share: float = 0.75
    as_published: bool = True

    def __post_init__(self) -> None:
        check(self, epochs=2, threshold=1.0, share=1.0)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        width, inner = task.backbone.width, max(1, task.backbone.width // 4)
        adapter = {"down": linear(rng, width, inner)[0], "up": linear(rng, inner, width)[0]}
        return super().init(task, rng) | {"residual": torch.zeros(len(task.classes), width)} | adapter

    def recipe(self, task: Task) -> Recipe:
        first = max(1, self.epochs // 6)
        own, walked = first, (0.0, first / self.epochs)
        if task.turn:
            own, walked = self.epochs - first, (first / self.epochs, 1.0)
        optimizer = AdamW(set_for(self, "learning_rate", RATES, task.dataset), self.weight_decay, epsilon=3e-3)
        return Recipe(optimizer, own, Batches(self.batch_size), Cosine(span=walked, per="iteration"))

    def draws(self, task: Task, pool: int) -> tuple[int, ...]:
        return (len(task.classes) - unseen_from(task)) * min(pool, self._each(task, pool)), pool

    def relabel(self, task: Task, logits: Tensor | None) -> Chosen:
        if task.turn:
            return whole(task)
        images, text = pool(task), raw_mean(task)
        rows, _ = typical(likely_classes(images, text), self._each(task, len(images)), unseen_from(task))
        cache = TFUP.init(self, task, torch.Generator())
        return Chosen(rows, guessed(TFUP.head(self, cache, images[rows], text, task), task))

    def text(self, params: Params, task: Task) -> Tensor:
        return 0.5 * raw_mean(task) + 0.5 * params["residual"]

    def head(self, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
        return Classifier.head(self, params, _adapted(params, image), text, task)

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        if not task.turn:
            return {"cross_entropy": F.cross_entropy(out.logits, labels)}
        guess = TFUP.head(self, params, _adapted(params, unaugmented(out)), out.text, task)
        first = unseen_from(task)
        agreed = agreement(out.logits, guess, self.threshold, first)
        return {"consistency": agreed, "spread": self.spread * one_sidedness(out.logits, first)}

    def _each(self, task: Task, images: int) -> int:
        """How many of ``images`` of the pool a class is given in the first phase."""
        return images_each(task, float(set_for(self, "share", SHARES, task.dataset)), images)


def _adapted(params: Params, image: Tensor) -> Tensor:
    return 0.8 * image + 0.2 * F.relu(F.relu(image @ params["down"].mT) @ params["up"].mT)
