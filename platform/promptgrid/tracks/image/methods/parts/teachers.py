"""Teachers that are fitted before a student is: a classifier of sentences, a head on the surest images."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Params
from promptgrid.tracks.image.methods.parts.starts import linear, uniform

HIDDEN, BATCH, EPOCHS = 256, 32, 50
"""Of NoLA's alignment head."""


def sentence_classifier(
    units: Tensor, labels: Tensor, classes: int, rng: torch.Generator, steps: int, rate: float, noise: float
) -> Tensor:
    """(classes, width): a linear map that names unit features (S, width) with N(0, noise²) added (LaFTer).

    Cross-entropy with 0.1 smoothing, ``steps`` full batches of AdamW at ``rate``, decay .01.
    """

    def loss(params: Params, step: int) -> Tensor:
        blur = torch.randn(units.shape, generator=rng) * noise
        return F.cross_entropy((units + blur.to(units)) @ params["w"].mT, labels, label_smoothing=0.1)

    width = units.shape[1]
    start = {"w": uniform(rng, width**-0.5, classes, width).to(units)}
    return taught(start, loss, steps, torch.optim.AdamW, lr=rate, weight_decay=0.01)["w"]


def alignment_head(seen: Tensor, labels: Tensor, classes: int, rng: torch.Generator) -> Params:
    """A head of 256 hidden units, taught ``labels`` (N,) on features (N, width) of a second backbone (NoLA).

    Cross-entropy, Adam 1e-3, batches of 32 with the last one smaller, 50 epochs.
    """
    each = -(-len(seen) // BATCH)
    order = torch.cat([_cut(torch.randperm(len(seen), generator=rng), each) for _ in range(EPOCHS)])

    def loss(params: Params, step: int) -> Tensor:
        own = order[step][order[step] >= 0].to(labels.device)
        return F.cross_entropy(align(params, seen[own]), labels[own])

    (up, up_bias), (out, out_bias) = linear(rng, seen.shape[1], HIDDEN), linear(rng, HIDDEN, classes)
    start = {"align_in": up, "align_in_bias": up_bias, "align_out": out, "align_out_bias": out_bias}
    return taught({name: value.to(seen) for name, value in start.items()}, loss, len(order), torch.optim.Adam, lr=1e-3)


def align(params: Params, seen: Tensor) -> Tensor:
    """(N, C) scores by the alignment head."""
    hidden = F.relu(F.linear(seen, params["align_in"], params["align_in_bias"]))
    return F.linear(hidden, params["align_out"], params["align_out_bias"])


def taught(
    start: Params, loss: Callable[[Params, int], Tensor], steps: int, optimizer: type, **settings: float
) -> Params:
    """``start`` after ``steps`` of a torch optimizer on ``loss`` (parameters, number of the step)."""
    params = {name: value.clone().requires_grad_() for name, value in start.items()}
    descent = optimizer(params.values(), **settings)
    with torch.enable_grad():
        for step in range(steps):
            descent.zero_grad()
            torch.autograd.backward(loss(params, step))
            descent.step()
    return {name: value.detach() for name, value in params.items()}


def _cut(order: Tensor, steps: int) -> Tensor:
    """(steps, BATCH): ``order`` in batches, the last one filled up with -1."""
    return F.pad(order, (0, steps * BATCH - len(order)), value=-1).view(steps, BATCH)
