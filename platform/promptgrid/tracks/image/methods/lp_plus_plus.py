"""LP++: a linear probe that mixes in the class texts, with step sizes computed from the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import SGD, Axes, Batches, Classifier, Constant, Number, Params, Recipe, Rule, Task, knob
from promptgrid.contract.task import required
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import uniform

ALL_IMAGES = 1_000_000
"""The batch: as many images as there are."""
GRADS = ("cumulative", "zeroed")


@dataclass(frozen=True)
class LPPlusPlus(Classifier):
    """LP++: a linear classifier plus the class texts, each class weighing its own text.

    Source: Huang et al., method section; FewShot-CLIP-Strong-Baseline f81054f.
    logits_k = w_k f̂ + b_k + alpha_k (f̂ t̂_k) on unit features, without the logit scale. W starts at the SUM of each
    class's shots, b as torch's Linear, every alpha at 250 mean_k mean_{n in k} f̂_n t̂_k. Full batch, 300 epochs at fixed
    steps: W and b by SGD with momentum .9 and 4 N / lambda_max(FᵀF); alpha at every ``period``-th (10th) epoch by
    gradient descent with N / (4 max_k sum_n (f̂_n t̂_k)²). ``alpha_grad: cumulative``: that step takes the sum of all
    gradients since the start, which the original's code never zeroes; ``zeroed``: that epoch's alone. ``learning_rate``
    multiplies both steps. With ``views`` in the suite F is the first view of each shot (the original: ``views: 1``).
    Learns C x (D + 2) numbers; cannot score unseen classes.
    Deviations: the last epoch is kept, where the original keeps the best of all on validation images (``selection:
    val`` looks at 20 of them); views are CoOp's crops (8 to 100 % of the area, not 50 to 100 %); texts come from the
    dataset's own template everywhere.
    """

    name: ClassVar[str] = "lp_plus_plus"
    kind: ClassVar = "head"
    paper: ClassVar[str] = "Huang et al., CVPR 2024, arXiv:2404.02285"
    axes: ClassVar = Axes("classifier", "head", access="features")
    frozen: ClassVar[frozenset[str]] = frozenset({"weight_rate", "alpha_rate"})

    learning_rate: Number = knob(1.0, low=0.01, high=10.0, log=True)
    epochs: int = 300
    period: int = 10
    alpha_grad: Literal["cumulative", "zeroed"] = "cumulative"

    def __post_init__(self) -> None:
        check(self, epochs=1, period=1, alpha_grad=GRADS)

    @property
    def open_vocabulary(self) -> bool:
        return False

    def init(self, task: Task, rng: torch.Generator) -> Params:
        support = required(task.support, "support images")
        seen = support.features if support.augmented is None else support.augmented()[0]
        unit = F.normalize(seen.float(), dim=-1)  # (N, D)
        own = F.one_hot(support.labels, len(task.classes)).to(unit)  # (N, C)
        near = unit @ task.text.to(unit).mT  # (N, C)
        largest = torch.linalg.matrix_norm(unit.nan_to_num(), 2)  # a NaN shall be this cell's loss, not svd's error
        start = 250.0 * ((near * own).sum(0) / own.sum(0).clamp_min(1.0)).mean()
        return {
            "weight": own.mT @ unit,
            "bias": uniform(rng, unit.shape[1] ** -0.5, len(task.classes)).to(unit),
            "alpha": start.expand(len(task.classes)).clone(),
            "weight_rate": 4.0 * len(unit) / largest**2,
            "alpha_rate": len(unit) / (4.0 * (near**2).sum(0).max()),
        }

    def recipe(self, task: Task) -> Recipe:
        weight = Rule(rate="weight_rate")
        alpha = Rule(rate="alpha_rate", momentum=1.0 if self.alpha_grad == "cumulative" else 0.0, every=self.period)
        rules = {"weight": weight, "bias": weight, "alpha": alpha}
        return Recipe(SGD(self.learning_rate), self.epochs, Batches(ALL_IMAGES), Constant(), rules)

    def head(self, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
        unit = F.normalize(image, dim=-1)
        return F.linear(unit, params["weight"], params["bias"]) + params["alpha"] * (unit @ text.mT)
