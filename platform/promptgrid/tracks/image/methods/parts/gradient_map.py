"""A map of gradients, and its meta-stage: a start and a map from which one step on some captions helps with others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract import Params, Task
from promptgrid.contract.assets import Pairs
from promptgrid.tracks.image.methods.parts.families import families, joint
from promptgrid.tracks.image.methods.parts.starts import uniform

MAP_RATE = 1e-3
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(context, captions, an image of each) to their cross-entropy."""


@dataclass(frozen=True)
class Meta:
    """``steps`` of the meta-stage, on ``ways`` captions of each of two siblings; rates of the inner and outer step."""

    steps: int
    ways: int
    inner_rate: float
    rate: float


def identity(rng: torch.Generator, width: int, reduction: int) -> Params:
    """The map M as it starts: it changes nothing, since ``up`` is zero."""
    hidden = max(1, width // reduction)
    return {"down": uniform(rng, width**-0.5, hidden, width), "up": torch.zeros(width, hidden)}


def regulated(params: Params, grad: Tensor) -> Tensor:
    """M: (n, d_t) gradients to as many."""
    seen = F.relu(F.normalize(grad, dim=-1) @ params["down"].mT)
    return grad * (1.0 + (seen @ params["up"].mT).tanh())


def meta_learned(start: Params, task: Task, rng: torch.Generator, meta: Meta) -> Params:
    """``start`` (``context``, ``down``, ``up``) after the meta-stage.

    Raises:
        ValueError: the task has no image-text pairs.
    """
    if task.pairs is None:
        raise ValueError("this task has no image-text pairs: it was rebound to new classes")
    pairs, params = task.pairs, {name: value.to(task.pairs.features.device) for name, value in start.items()}
    ways = min(meta.ways, len(pairs.captions) // 2)
    forks = families(joint(pairs, task.backbone), ways)
    loss = _loss(pairs, task, len(start["context"]))
    params = {name: value.requires_grad_() for name, value in params.items()}
    prompt = torch.optim.SGD([params["context"]], lr=meta.rate, momentum=0.9)
    gradient_map = torch.optim.Adam([params["down"], params["up"]], lr=MAP_RATE)
    with torch.enable_grad():
        for _ in range(meta.steps):
            fork = forks[int(torch.randint(len(forks), (), generator=rng))]
            first = int(torch.randint(2, (), generator=rng))
            support, asked = (_drawn(fork[side], pairs, ways, rng) for side in (first, 1 - first))
            (grad,) = torch.autograd.grad(loss(params["context"], *support), params["context"])
            stepped = params["context"] - meta.inner_rate * regulated(params, grad)
            prompt.zero_grad()
            gradient_map.zero_grad()
            torch.autograd.backward(loss(stepped, *asked))
            prompt.step()
            gradient_map.step()
    return {name: value.detach() for name, value in params.items()}


def _loss(pairs: Pairs, task: Task, length: int) -> Loss:
    named = tuple(caption.rstrip(".") for caption in pairs.captions)
    prompts = replace(task.without_images(), classes=named).prompts(length)
    units = F.normalize(pairs.features, dim=-1)

    def loss(own: Tensor, captions: Tensor, images: Tensor) -> Tensor:
        texts = task.backbone.encode_text(prompts.fill(own)[captions], prompts.ends[captions])
        logits = task.scale * units[images] @ F.normalize(texts, dim=-1).mT
        return F.cross_entropy(logits, torch.arange(len(captions), device=logits.device))

    return loss


def _drawn(cluster: Tensor, pairs: Pairs, ways: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """``ways`` captions of ``cluster``, and an image of each."""
    captions = cluster[torch.randperm(len(cluster), generator=rng)[:ways]]
    images = []
    for caption in captions.tolist():
        own = (pairs.caption_of == caption).nonzero().squeeze(1)
        images.append(own[int(torch.randint(len(own), (), generator=rng))])
    return captions.to(pairs.features.device), torch.stack(images)
