"""LP++: w f̂ + b + alpha (f̂ t̂), full batch, step sizes from bounds (Huang et al., CVPR 2024)."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F


def start(plain: Plain, drawn: Params, **settings: Any) -> Params:
    features, texts = _unit(plain, plain.train.pixels), plain.clip.classes_in(plain.template, plain.classes)
    count, labels = len(features), plain.train.labels
    assert float(drawn["bias"].abs().max()) <= features.shape[1] ** -0.5
    of_class = [features[labels == k] for k in range(len(texts))]
    alpha = 250 * torch.stack([(own @ text).mean() for own, text in zip(of_class, texts, strict=True)]).mean()
    largest = torch.linalg.eigvalsh(features.T @ features).max()
    steepest = max(float(((features @ text) ** 2).sum()) for text in texts)
    return {
        "weight": torch.stack([own.sum(0) for own in of_class]),
        "bias": drawn["bias"],
        "alpha": torch.ones(len(texts)).to(features) * alpha,
        "weight_rate": 4 * count / largest,
        "alpha_rate": features.new_tensor(count / (4 * steepest)),
    }


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    features, texts = _unit(plain, pixels), plain.clip.classes_in(plain.template, plain.classes)
    return features @ params["weight"].T + params["bias"] + params["alpha"] * (features @ texts.T)


def train(
    plain: Plain,
    begin: Params,
    learning_rate: float,
    epochs: int,
    period: int,
    alpha_grad: str,
    **settings: Any,
) -> Params:
    probe = torch.nn.Linear(begin["weight"].shape[1], begin["weight"].shape[0]).to(begin["weight"].dtype)
    probe.weight.data, probe.bias.data = begin["weight"].clone(), begin["bias"].clone()
    alpha = begin["alpha"].clone().requires_grad_()
    optimizer = torch.optim.SGD(probe.parameters(), lr=learning_rate * float(begin["weight_rate"]), momentum=0.9)
    for epoch in range(epochs):
        params = begin | {"weight": probe.weight, "bias": probe.bias, "alpha": alpha}
        optimizer.zero_grad()
        if alpha_grad == "zeroed":
            alpha.grad = None
        F.cross_entropy(logits(plain, params, plain.train.pixels), plain.train.labels).backward()
        optimizer.step()
        if (epoch + 1) % period == 0:
            alpha.data -= learning_rate * begin["alpha_rate"] * alpha.grad
    return begin | {"weight": probe.weight.detach(), "bias": probe.bias.detach(), "alpha": alpha.detach()}


def _unit(plain: Plain, pixels: Tensor) -> Tensor:
    with torch.no_grad():
        return F.normalize(plain.clip.image(pixels), dim=-1)
