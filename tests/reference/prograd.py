"""ProGrad: descend CE, with what opposes the teacher's gradient projected away (Zhu et al., ICCV 2023)."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference import coop
from tests.reference.descent import by_epoch, coop_schedule, leaves_of
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F


def start(plain: Plain, drawn: Params, context_length: int = 16, from_template: bool = True, **settings: Any) -> Params:
    """The template's words in the LAST slots, zero vectors in front of them."""
    words = plain.template.split("{}")[0].strip()
    if not from_template or not words:
        return drawn
    context = torch.zeros_like(drawn["context"])
    spoken = plain.clip.words(words)[-context_length:]
    context[context_length - len(spoken) :] = spoken
    return {"context": context}


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    return coop.logits(plain, params, pixels)


def train(
    plain: Plain,
    begin: Params,
    learning_rate: float,
    weight_decay: float,
    strength: float,
    temperature: float,
    **settings: Any,
) -> Params:
    teacher = plain.clip.classes_in(plain.template, plain.classes).detach()

    def backward(leaves: list[Tensor], params: Params, chosen: Tensor, seed: int) -> None:
        images = plain.train.pixels[chosen]
        scores = logits(plain, params, images)
        wanted = plain.clip.cosine_logits(plain.clip.image(images), teacher)
        wanted = torch.softmax(wanted / temperature, dim=-1)
        learned = torch.log_softmax(scores / temperature, dim=-1)
        a = F.cross_entropy(scores, plain.train.labels[chosen])
        b = -(wanted * learned).sum(-1).mean() * temperature**2
        grads_a = torch.autograd.grad(a, leaves, retain_graph=True)
        grads_b = torch.autograd.grad(b, leaves)
        for leaf, ga, gb in zip(leaves, grads_a, grads_b, strict=True):
            unit = gb / gb.norm()
            dot = (ga * unit).sum()
            leaf.grad = ga - strength * dot * unit if dot < 0 else ga

    params, leaves = leaves_of(begin, ["context"])
    optimizer = torch.optim.SGD(leaves, lr=learning_rate, momentum=0.9, weight_decay=weight_decay)
    return by_epoch(plain, params, leaves, optimizer, coop_schedule(optimizer, len(plain.batches)), backward)
