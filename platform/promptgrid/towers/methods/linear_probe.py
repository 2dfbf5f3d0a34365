"""Linear probe: logistic regression on frozen features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.method import Method, Params, knob
from promptgrid.contract.recipe import Number
from promptgrid.contract.settings import check
from promptgrid.contract.task import Batch, required
from promptgrid.contract.taxonomy import Axes

STRENGTHS = tuple(10.0 ** (k / 2) for k in range(-6, 9))
"""C that the search tries: 1e-3 .. 1e4, two a decade."""


@dataclass(frozen=True)
class LinearProbe(Method):
    """Linear probe: logistic regression on frozen pooled features that are not normalised.

    Source: Radford et al., section 3.2, which is about image towers.
    L2 penalty, L-BFGS, at most 1,000 iterations. With ``search``, C is the one of ``STRENGTHS`` that is best on the
    few-shot validation examples, the smallest of equals; ``c`` holds where there are none, or without search.
    Learns C x (d + 1) numbers.
    Deviations: fifteen values of C instead of 96; fits in float64. A class without an example is never predicted.
    """

    name: ClassVar[str] = "linear_probe"
    kind: ClassVar[str] = "head"
    paper: ClassVar[str] = "Radford et al., ICML 2021, arXiv:2103.00020"
    axes: ClassVar = Axes("classifier", "head", access="features", family="single_tower")
    needs: ClassVar[frozenset[str]] = frozenset({"features"})

    search: bool = True
    c: Number = knob(1.0, low=1e-6, high=1e6, log=True)

    def __post_init__(self) -> None:
        check(self)
        if not isinstance(self.c, Tensor) and self.c <= 0:
            raise ValueError(f"c: got {self.c!r}, expected a number above 0")

    @property
    def open_vocabulary(self) -> bool:
        return False

    def init(self, task: Any, rng: torch.Generator) -> Params:
        return {"weight": torch.zeros(len(task.classes), task.tower.width), "bias": torch.zeros(len(task.classes))}

    def predict(self, params: Params, batch: Batch, task: Any, once: Any = None) -> Tensor:
        return F.linear(batch.features, params["weight"], params["bias"])

    def finish(self, params: Params, task: Any) -> Params:
        support, held = required(task.support, "support examples"), task.validation
        c = float(self.c)
        if self.search and held is not None and len(held.labels):
            right = {
                each: float((_answers(support, each, params)(held.features).argmax(1) == held.labels).sum())
                for each in STRENGTHS
            }
            c = max(STRENGTHS, key=right.__getitem__)
        return _fitted(support.features, support.labels, c, params)


def _answers(support: Any, c: float, params: Params) -> Any:
    own = _fitted(support.features, support.labels, c, params)
    return lambda features: F.linear(features.to(own["weight"]), own["weight"], own["bias"])


def _fitted(features: Tensor, labels: Tensor, c: float, params: Params) -> Params:
    """Weight (C, d) and bias (C,) of the regression; two classes share one row of opposite signs."""
    from sklearn.linear_model import LogisticRegression  # a second to import, and only this method's
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # publishes no types

    with threadpool_limits(1):  # the same sums on every machine, and faster on small problems
        found = LogisticRegression(C=c, max_iter=1000).fit(features.double().cpu().numpy(), labels.cpu().numpy())
    rows, offsets = torch.from_numpy(found.coef_), torch.from_numpy(found.intercept_)
    if len(found.classes_) == 2:
        rows, offsets = torch.cat([-rows, rows]) / 2, torch.cat([-offsets, offsets]) / 2
    weight, bias = torch.zeros_like(params["weight"]), torch.full_like(params["bias"], -1e4)
    seen = torch.from_numpy(found.classes_).long()
    weight[seen], bias[seen] = rows.to(weight), offsets.to(bias)
    return {"weight": weight, "bias": bias}
