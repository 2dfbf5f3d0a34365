"""Tip-Adapter and Tip-Adapter-F: a cache of the few shots votes beside zero-shot CLIP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract import Axes, Labelled, Method, Number, Params, Recipe, Task, knob
from promptgrid.contract.method import required
from promptgrid.tracks.image.methods.parts.published import paper_name, published
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.templates import SEVEN

ALPHAS = {
    "Caltech101": 3.0,
    "DTD": 2.0,
    "EuroSAT": 2.0,
    "FGVCAircraft": 5.0,
    "OxfordFlowers": 10.0,
    "StanfordCars": 3.0,
    "UCF101": 3.0,
}
"""alpha before the search; 1.17 on the others."""
REACHES = {
    "Caltech101": (12.0, 5.0),
    "DTD": (13.0, 13.0),
    "EuroSAT": (12.0, 10.0),
    "FGVCAircraft": (30.0, 30.0),
    "Food101": (10.0, 10.0),
    "OxfordFlowers": (50.0, 50.0),
    "StanfordCars": (20.0, 10.0),
    "SUN397": (12.0, 10.0),
}
"""How far the grid of beta, and that of alpha, reaches; (7, 3) on the others."""
STEPS = (200, 20)
EPOCHS = {"EuroSAT": 100}


@dataclass(frozen=True)
class TipAdapter(Method):
    """Tip-Adapter: the few shots vote by their similarity, beside zero-shot CLIP.

    Source: Zhang et al., method section; gaopengcuhk/Tip-Adapter d0e2d6f.
    logits = 100 f̂ Ŵᵀ + alpha exp(-beta (1 - f̂ Kᵀ)) V.
    K: unit features of the shots, with ``views`` in the suite the normalised mean over the unit features of their
    augmented views (the paper: 10; ``online``: those of the first 10 epochs); V: their one-hot labels, Ŵ: texts of the
    dataset's template (ImageNet: CLIP's 7).
    beta 1, alpha 1.17 (``ALPHAS`` elsewhere). With ``search``, both are then chosen on the validation images from the
    original's grid of 200 x 20; the first of equals wins. Learns nothing by descent; cannot score unseen classes.
    Deviations: without ``views`` keys come from the centre crop of each shot; with them crops are CoOp's (8 to 100 % of
    the area), where the original's are larger (50 to 100 %); nothing is chosen on test images (the original does so on
    ImageNet).
    """

    name: ClassVar[str] = "tip_adapter"
    kind: ClassVar = "cache"
    paper: ClassVar[str] = "Zhang et al., ECCV 2022, arXiv:2207.09519"
    axes: ClassVar = Axes("cache", "head", stage="training_free", access="features")
    frozen: ClassVar[frozenset[str]] = frozenset({"keys", "values", "alpha", "beta"})

    alpha: Number = knob(1.17, low=0.0, high=50.0)
    beta: Number = knob(1.0, low=0.1, high=50.0)
    search: bool = True
    as_published: bool = True

    def __post_init__(self) -> None:
        check(self)

    @property
    def open_vocabulary(self) -> bool:
        return False

    def init(self, task: Task, rng: torch.Generator) -> Params:
        support = required(task.support, "support images")
        keys = F.normalize(support.features.float(), dim=-1)
        if support.augmented is not None:
            keys = F.normalize(F.normalize(support.augmented().float(), dim=-1).mean(0), dim=-1)
        alpha = published(self, "alpha", ALPHAS, task.dataset)
        return {
            "keys": keys,
            "values": F.one_hot(support.labels, len(task.classes)).to(keys),
            "alpha": torch.as_tensor(alpha).to(keys),
            "beta": torch.as_tensor(self.beta).to(keys),
        }

    def text(self, params: Params, task: Task) -> Tensor:
        return task.text_of(SEVEN) if paper_name(task.dataset) == "ImageNet" else task.text

    def head(self, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
        zero_shot = super().head(params, image, text, task)
        return zero_shot + params["alpha"] * _votes(params, F.normalize(image, dim=-1), params["beta"])

    def finish(self, params: Params, task: Task) -> Params:
        if not self.search or task.validation is None or not len(task.validation.labels):
            return params
        reach = REACHES.get(paper_name(task.dataset) if self.as_published else "", (7.0, 3.0))
        betas, alphas = (_ladder(*pair).to(params["keys"]) for pair in zip(reach, STEPS, strict=True))
        return params | self._best(params, task, task.validation, betas, alphas)

    def _best(self, params: Params, task: Task, held: Labelled, betas: Tensor, alphas: Tensor) -> Params:
        """The alpha and beta of the grid that score best on ``held``."""
        zero_shot = super().head(params, held.features, self.text(params, task), task)
        unit, best, right = F.normalize(held.features, dim=-1), params, -1
        for beta in betas:
            logits = zero_shot + alphas[:, None, None] * _votes(params, unit, beta)  # (alphas, N, C)
            scores = (logits.argmax(-1) == held.labels).sum(-1).tolist()
            if max(scores) > right:
                right = max(scores)
                best = {"alpha": alphas[scores.index(right)].clone(), "beta": beta.clone()}
        return best


@dataclass(frozen=True)
class TipAdapterF(TipAdapter):
    """Tip-Adapter-F: Tip-Adapter whose keys are then trained by cross-entropy.

    Source: as Tip-Adapter.
    AdamW .001, epsilon 1e-4, weight decay .01, cosine per iteration, batch 256, 20 epochs (EuroSAT 100), with alpha and
    beta as before the search; then the search. Learns N x D numbers.
    Deviations: those of Tip-Adapter; the last epoch is kept (the original reports the best on the TEST set, so expect
    lower figures); without ``views`` each image meets its own key in training, which overfits sooner.
    """

    name: ClassVar[str] = "tip_adapter_f"
    axes: ClassVar = Axes("cache", "head", access="features")
    frozen: ClassVar[frozenset[str]] = frozenset({"values", "alpha", "beta"})

    learning_rate: Number = knob(1e-3, low=1e-6, high=1e-1, log=True)
    weight_decay: Number = knob(0.01, low=0.0, high=0.1)
    batch_size: int = 256
    epochs: int = 0

    def recipe(self, task: Task) -> Recipe | None:
        return Recipe(
            learning_rate=self.learning_rate,
            optimizer="adamw",
            weight_decay=self.weight_decay,
            epsilon=1e-4,
            batch_size=self.batch_size,
            epochs=self.epochs or EPOCHS.get(paper_name(task.dataset), 20),
            per="iteration",
            warmup_epochs=0,
        )


def _votes(params: Params, unit: Tensor, beta: Tensor) -> Tensor:
    """(B, D) unit features to the cache's (B, C) votes."""
    return torch.exp(-beta * (1.0 - unit @ params["keys"].mT)) @ params["values"]


def _ladder(reach: float, steps: int) -> Tensor:
    """The original's grid: ``steps`` values from 0.1 up to, not including, ``reach``."""
    return torch.tensor([0.1 + i * (reach - 0.1) / steps for i in range(steps)])
