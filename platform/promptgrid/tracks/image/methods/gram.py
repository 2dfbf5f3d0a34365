"""GRAM: a prompt learner that starts from a meta-learned context and has its gradients regulated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract import Axes, Method, Number, Outputs, Params, Task, Trained, knob
from promptgrid.contract.assets import Pairs
from promptgrid.tracks.image.methods.coop import CoOp
from promptgrid.tracks.image.methods.kgcoop import KgCoOp
from promptgrid.tracks.image.methods.parts.families import families, joint
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import check_words, context, uniform

HOSTS: dict[str, Method] = {"coop": CoOp(context_length=4, words="a photo of a"), "kgcoop": KgCoOp()}
MAP_RATE = 1e-3


@dataclass(frozen=True)
class GRAM(Trained):
    """GRAM: the start of a prompt and a map of its gradients, meta-learned from captions, for another method to use.

    Source: Li et al., the abstract alone; this is our reading of it, no code is public.
    Meta-stage, in the cell, before training: captions are clustered as ``families`` of two sibling clusters, by their
    features and those of their images. Each of ``meta_steps`` draws a family, ``ways`` captions of each sibling and an
    image of each caption. One sibling supports, the other one asks: V' = V - ``inner_rate`` M(g), g the gradient of the
    support's cross-entropy between captions behind [V]; then V and M descend the other's cross-entropy at V', first
    order (SGD .002, momentum .9; M by Adam .001). M(g) = g (1 + tanh(U relu(D g/|g|))), token by token,
    D: d_t to d_t / 16, U = 0 at first, so that M starts as the identity. Then the ``host`` (CoOp with 4 tokens, or
    KgCoOp) learns from the few labelled images as ever, but from V, and descending M(g) with M held.
    Recipe: CoOp's. Learns 2,048 numbers on ViT-B/16; 32,768 of M are learned in the meta-stage and then frozen.
    Deviations: all that the abstract leaves open, listed in the card; fp32.
    """

    name: ClassVar[str] = "gram"
    kind: ClassVar = "text"
    paper: ClassVar[str] = "Li et al., ICCV 2023, arXiv:2303.06571"
    axes: ClassVar = Axes(
        "context", "text", supervision="pairs", stage="pre_training", prompt="soft_tuning", design="objective"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens", "image_text_pairs"})
    frozen: ClassVar[frozenset[str]] = frozenset({"down", "up"})

    host: Literal["coop", "kgcoop"] = "coop"
    context_length: int = 4
    words: str = "a photo of a"
    meta_steps: int = 100
    ways: int = 8
    reduction: int = 16
    inner_rate: Number = knob(0.1, low=0.0, high=10.0)
    meta_rate: Number = knob(0.002, low=0.0, high=1.0)

    def __post_init__(self) -> None:
        check(self, host=tuple(HOSTS), context_length=1, ways=2, reduction=1)
        check_words(self.words, self.context_length)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        width = task.backbone.text.width
        hidden = max(1, width // self.reduction)
        params = {"context": context(task, rng, self.context_length, self.words)}
        params |= {"down": uniform(rng, width**-0.5, hidden, width), "up": torch.zeros(width, hidden)}
        return self._meta_learned(params, task, rng)

    def text(self, params: Params, task: Task) -> Tensor:
        return task.backbone.encode_context(task.prompts(self.context_length), params["context"])

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        return HOSTS[self.host].losses(params, out, labels, task)

    def regulate(self, params: Params, grads: Params, task: Task) -> Params:
        return {"context": _regulated(params, grads["context"])}

    def _meta_learned(self, start: Params, task: Task, rng: torch.Generator) -> Params:
        """``start`` after the meta-stage."""
        if task.pairs is None:
            raise ValueError("this task has no image-text pairs: it was rebound to new classes")
        pairs = task.pairs
        ways = min(self.ways, len(pairs.captions) // 2)
        forks = families(joint(pairs, task.backbone), ways)
        loss = self._loss(pairs, task)
        params = {name: value.to(pairs.features.device).requires_grad_() for name, value in start.items()}
        prompt = torch.optim.SGD([params["context"]], lr=float(self.meta_rate), momentum=0.9)
        gradient_map = torch.optim.Adam([params["down"], params["up"]], lr=MAP_RATE)
        with torch.enable_grad():
            for _ in range(self.meta_steps):
                fork = forks[int(torch.randint(len(forks), (), generator=rng))]
                first = int(torch.randint(2, (), generator=rng))
                support, asked = (_drawn(fork[side], pairs, ways, rng) for side in (first, 1 - first))
                (grad,) = torch.autograd.grad(loss(params["context"], *support), params["context"])
                stepped = params["context"] - float(self.inner_rate) * _regulated(params, grad)
                prompt.zero_grad()
                gradient_map.zero_grad()
                torch.autograd.backward(loss(stepped, *asked))
                prompt.step()
                gradient_map.step()
        return {name: value.detach() for name, value in params.items()}

    def _loss(self, pairs: Pairs, task: Task) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """(context, captions, an image of each) to their cross-entropy."""
        named = tuple(caption.rstrip(".") for caption in pairs.captions)
        prompts = replace(task.without_images(), classes=named).prompts(self.context_length)
        units = F.normalize(pairs.features, dim=-1)

        def loss(own: Tensor, captions: Tensor, images: Tensor) -> Tensor:
            texts = task.backbone.encode_text(prompts.fill(own)[captions], prompts.ends[captions])
            logits = task.scale * units[images] @ F.normalize(texts, dim=-1).mT
            return F.cross_entropy(logits, torch.arange(len(captions), device=logits.device))

        return loss


def _regulated(params: Params, grad: Tensor) -> Tensor:
    """M: (n, d_t) gradients to as many."""
    seen = F.relu(F.normalize(grad, dim=-1) @ params["down"].mT)
    return grad * (1.0 + (seen @ params["up"].mT).tanh())


def _drawn(cluster: Tensor, pairs: Pairs, ways: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """``ways`` captions of ``cluster``, and an image of each."""
    captions = cluster[torch.randperm(len(cluster), generator=rng)[:ways]]
    images = []
    for caption in captions.tolist():
        own = (pairs.caption_of == caption).nonzero().squeeze(1)
        images.append(own[int(torch.randint(len(own), (), generator=rng))])
    return captions.to(pairs.features.device), torch.stack(images)
