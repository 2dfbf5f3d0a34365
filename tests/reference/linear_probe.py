"""Linear probe: scikit-learn's logistic regression on features as they are, C searched (CoOp's lpclip)."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from tests.reference.task import Params, Pictures, Plain
from torch import Tensor


def start(plain: Plain, drawn: Params, **settings: Any) -> Params:
    return {name: torch.zeros_like(value) for name, value in drawn.items()}


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    return plain.clip.image(pixels) @ params["weight"].T + params["bias"]


def train(plain: Plain, begin: Params, search: bool = True, c: float = 1.0, **settings: Any) -> Params:
    x, y = _arrays(plain, plain.train)
    if search and len(plain.val.labels):
        c = _searched(x, y, *_arrays(plain, plain.val))
    model = _fitted(x, y, c)
    fitted = {"weight": torch.from_numpy(model.coef_), "bias": torch.from_numpy(model.intercept_)}
    return {name: value.to(plain.clip.dtype) for name, value in fitted.items()}


def _fitted(x: Any, y: Any, c: float) -> LogisticRegression:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a weak C may end at the iteration limit, as in the original
        return LogisticRegression(C=c, max_iter=1000).fit(x, y)


def _searched(x: Any, y: Any, held_x: Any, held_y: Any) -> float:
    """Coarse list first, then eight steps that halve, in log10, the interval of a decade to both sides."""

    @cache
    def score(c: float) -> float:
        return _fitted(x, y, c).score(held_x, held_y)

    coarse = [1e6, 1e4, 1e2, 1.0, 1e-2, 1e-4, 1e-6]
    peak = coarse[int(np.argmax([score(c) for c in coarse]))]
    left, right, best = np.log10(peak) - 1, np.log10(peak) + 1, peak
    for _ in range(8):
        left_score, right_score = score(10**left), score(10**right)
        if left_score < right_score:
            best, left = 10**right, (left + right) / 2
        else:
            best, right = 10**left, (left + right) / 2
    return float(best)


def _arrays(plain: Plain, pictures: Pictures) -> tuple[Any, Any]:
    with torch.no_grad():
        features = plain.clip.image(pictures.pixels)
    return features.double().numpy(), pictures.labels.numpy()
