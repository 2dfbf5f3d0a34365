"""A map of gradients, and its meta-stage: a start and a map from which one step on some captions helps with others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.assets import Pairs
from promptgrid.contract.clip import Backbone, Params, Task, stream
from promptgrid.tracks.image.methods.parts.families import families, joint
from promptgrid.tracks.image.methods.parts.starts import context, uniform

MAP_RATE = 1e-3
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(context, captions, an image of each) to their cross-entropy."""


@dataclass(frozen=True)
class Meta:
    """``steps`` of the meta-stage, on ``ways`` captions of each of two siblings; rates of the inner and outer step.

    A context of ``length`` tokens starts from ``words``, the map's hidden layer is a ``reduction``-th of the text
    width, and all that is drawn comes from the stream of ``seed``.
    """

    steps: int
    ways: int
    inner_rate: float
    rate: float
    length: int
    words: str
    reduction: int
    seed: int


@dataclass(frozen=True)
class _Captioned:
    """Image-text pairs called by what they hold, so that equal ones are looked up as one."""

    digest: str
    pairs: Pairs = field(compare=False)

    @classmethod
    def of(cls, pairs: Pairs) -> _Captioned:
        found = hashlib.sha256("\x1f".join(pairs.captions).encode())
        for part in (pairs.features, pairs.caption_of):
            found.update(part.detach().cpu().contiguous().numpy().tobytes())
        return cls(found.hexdigest(), pairs)


def identity(rng: torch.Generator, width: int, reduction: int) -> Params:
    """The map M as it starts: it changes nothing, since ``up`` is zero."""
    hidden = max(1, width // reduction)
    return {"down": uniform(rng, width**-0.5, hidden, width), "up": torch.zeros(width, hidden)}


def regulated(params: Params, grad: Tensor) -> Tensor:
    """M: (n, d_t) gradients to as many."""
    seen = F.relu(F.normalize(grad, dim=-1) @ params["down"].mT)
    return grad * (1.0 + (seen @ params["up"].mT).tanh())


def meta_learned(task: Task, meta: Meta) -> Params:
    """``context``, ``down`` and ``up`` behind the meta-stage, which a process runs once for equal pairs and ``meta``.

    Nothing of ``task`` is looked at but its backbone and its pairs. Each caller gets tensors of its own.

    Raises:
        ValueError: the task has no image-text pairs, or the words are not as many tokens as the context.
    """
    if task.pairs is None:
        raise ValueError("this task has no image-text pairs: it was rebound to new classes")
    found = _learned(task.backbone, _Captioned.of(task.pairs), meta)
    return {name: value.clone() for name, value in found.items()}


@lru_cache(maxsize=16)
def _learned(backbone: Backbone, captioned: _Captioned, meta: Meta) -> Params:
    pairs, rng = captioned.pairs, stream("gram", meta.seed)
    task = Task.of("", tuple(caption.rstrip(".") for caption in pairs.captions), "{}", backbone)
    start = {"context": context(task, rng, meta.length, meta.words)}
    start |= identity(rng, backbone.text.width, meta.reduction)
    params = {name: value.to(pairs.features.device).requires_grad_() for name, value in start.items()}
    ways = min(meta.ways, len(pairs.captions) // 2)
    forks = families(joint(pairs, backbone), ways)
    loss = _loss(pairs, task, meta.length)
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


def _loss(pairs: Pairs, captions: Task, length: int) -> Loss:
    prompts = captions.prompts(length)
    units = F.normalize(pairs.features, dim=-1)

    def loss(own: Tensor, chosen: Tensor, images: Tensor) -> Tensor:
        texts = captions.backbone.encode_text(prompts.fill(own)[chosen], prompts.ends[chosen])
        logits = captions.scale * units[images] @ F.normalize(texts, dim=-1).mT
        return F.cross_entropy(logits, torch.arange(len(chosen), device=logits.device))

    return loss


def _drawn(cluster: Tensor, pairs: Pairs, ways: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """``ways`` captions of ``cluster``, and an image of each."""
    captions = cluster[torch.randperm(len(cluster), generator=rng)[:ways]]
    images = []
    for caption in captions.tolist():
        own = (pairs.caption_of == caption).nonzero().squeeze(1)
        images.append(own[int(torch.randint(len(own), (), generator=rng))])
    return captions.to(pairs.features.device), torch.stack(images)
