"""POUF: transport and mutual information over unlabelled batches, torch's SGD with Nesterov momentum."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference import coop
from tests.reference.descent import detached, leaves_of
from tests.reference.pseudo import first_unseen
from tests.reference.task import Params, Pooled
from torch import Tensor
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR


def start(plain: Pooled, drawn: Params, **settings: Any) -> Params:
    return {"context": plain.clip.words("a photo of a"), "log_scale": plain.clip.model.logit_scale.detach()}


def logits(plain: Pooled, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    return params["log_scale"].exp() * cosines(plain, params, pixels)


def cosines(plain: Pooled, params: Params, pixels: Tensor) -> Tensor:
    texts = plain.clip.encode(*coop.prompts(plain, params["context"]))
    return F.normalize(plain.clip.image(pixels), dim=-1) @ F.normalize(texts, dim=-1).T


def train(
    plain: Pooled, begin: Params, learning_rate: float, weight_decay: float, information: float, iterations: int,
    **settings: Any,
) -> Params:  # fmt: skip
    params, _ = leaves_of(begin, begin)
    groups = [{"params": [params["context"]], "lr": 0.1}, {"params": [params["log_scale"]], "lr": 5e-5}]
    optimizer = torch.optim.SGD(groups, lr=1.0, momentum=0.9, weight_decay=weight_decay, nesterov=True)
    scheduler = LambdaLR(optimizer, lambda step: learning_rate * (1.0 + 2e-4 * step) ** -0.75)
    steps = [rows for epoch in plain.draw(len(plain.pool), 0) for rows, _ in epoch][:iterations]
    assert len(steps) == iterations
    unseen = first_unseen(plain)
    for rows in steps:
        near = cosines(plain, params, plain.pool[rows])[:, unseen:]
        scores = params["log_scale"].exp() * near
        by_image, by_class = F.softmax(scores, dim=1), F.softmax(scores, dim=0)
        there = sum(((1 - near[i]) * by_image[i]).sum() for i in range(len(rows))) / len(rows)
        back = sum(((1 - near[:, c]) * by_class[:, c]).sum() for c in range(near.shape[1])) / near.shape[1]
        entropy = -(by_image * torch.log(by_image + 1e-5)).sum(1).mean()
        spread = -(by_image.mean(0) * torch.log(by_image.mean(0) + 1e-6)).sum()
        optimizer.zero_grad()
        (there + back + information * (entropy - spread)).backward()
        optimizer.step()
        scheduler.step()
    return detached(params)
