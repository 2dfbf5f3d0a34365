"""Linear probe: logistic regression on frozen features."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Axes, Classifier, Labelled, Number, Params, Task, knob
from promptgrid.contract.task import required
from promptgrid.tracks.image.methods.parts.settings import check

COARSE = (1e6, 1e4, 1e2, 1.0, 1e-2, 1e-4, 1e-6)
STEPS = 8


@dataclass(frozen=True)
class LinearProbe(Classifier):
    """Linear probe: logistic regression on frozen features that are not normalised.

    Source: Radford et al., section 3.2; for few shots KaiyangZhou/CoOp ff61507 (``lpclip``).
    L2 penalty, L-BFGS, at most 1,000 iterations. With ``search``, C is chosen on the few-shot validation images: seven
    coarse values, then 8 halvings in log10 around the best; ``c`` holds where there are none, or without search.
    Learns C x (D + 1) numbers; cannot score unseen classes. Deviations: fits in float64; a fit that both ends of a
    halving share is made once. A class without a training image is never predicted.
    """

    name: ClassVar[str] = "linear_probe"
    kind: ClassVar = "head"
    paper: ClassVar[str] = "Radford et al., ICML 2021, arXiv:2103.00020; Zhou et al., IJCV 2022, arXiv:2109.01134"
    axes: ClassVar = Axes("classifier", "head", access="features")

    search: bool = True
    c: Number = knob(1.0, low=1e-6, high=1e6, log=True)

    def __post_init__(self) -> None:
        check(self)
        if not isinstance(self.c, Tensor) and self.c <= 0:
            raise ValueError(f"c: got {self.c!r}, expected a number above 0")

    @property
    def open_vocabulary(self) -> bool:
        return False

    def init(self, task: Task, rng: torch.Generator) -> Params:
        return {"weight": torch.zeros(len(task.classes), task.backbone.width), "bias": torch.zeros(len(task.classes))}

    def head(self, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
        return F.linear(image, params["weight"], params["bias"])

    def finish(self, params: Params, task: Task) -> Params:
        from sklearn.linear_model import LogisticRegression  # a second to import, and only this method's
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # publishes no types

        images, labels = _arrays(required(task.support, "support images"))

        @cache
        def fit(c: float) -> Any:
            with threadpool_limits(1):  # the same sums on every machine, and 8 to 20 times faster on small problems
                return LogisticRegression(C=c, max_iter=1000).fit(images, labels)

        c = float(self.c)
        if self.search and task.validation is not None and len(task.validation.labels):
            held_images, held_labels = _arrays(task.validation)
            c = best_c(cache(lambda c: float(fit(c).score(held_images, held_labels))))
        return _rows(fit(c), params)


def best_c(accuracy: Callable[[float], float]) -> float:
    """CoOp's search: the best of ``COARSE`` (the largest of equals), then ``STEPS`` halvings of ±1 decade around it."""
    peak = math.log10(max(COARSE, key=accuracy))
    left, right, best = peak - 1.0, peak + 1.0, peak
    for _ in range(STEPS):
        middle = (left + right) / 2
        if accuracy(10**left) < accuracy(10**right):
            left, best = middle, right
        else:
            right, best = middle, left
    return float(10**best)


def _arrays(examples: Labelled) -> tuple[Any, Any]:
    return examples.features.double().cpu().numpy(), examples.labels.cpu().numpy()


def _rows(fitted: Any, params: Params) -> Params:
    """Weight (C, D) and bias (C,) of a fitted regression; two classes share one row of opposite signs."""
    coefficients, intercepts = torch.from_numpy(fitted.coef_), torch.from_numpy(fitted.intercept_)
    if len(fitted.classes_) == 2:
        coefficients, intercepts = (
            torch.cat([-coefficients, coefficients]) / 2,
            torch.cat([-intercepts, intercepts]) / 2,
        )
    weight, bias = torch.zeros_like(params["weight"]), torch.full_like(params["bias"], -1e4)
    seen = torch.from_numpy(fitted.classes_).long()
    weight[seen], bias[seen] = coefficients.to(weight), intercepts.to(bias)
    return {"weight": weight, "bias": bias}
