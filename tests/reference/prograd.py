"""ProGrad: descend CE, with what opposes the teacher's gradient projected away (Zhu et al., ICCV 2023).

Of the template's head, n words by spaces, the first n tokens are learned and stand last in the context of 16; the
placeholder sentence is 16 - n fillers, the whole head, the name and a full stop, and what of it lies behind the first
16 tokens is frozen: where a comma makes the head n + 1 tokens long, its last token.
"""

from __future__ import annotations

from typing import Any

import torch
from tests.reference.clip import said
from tests.reference.descent import by_epoch, coop_schedule, leaves_of
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F


def start(plain: Plain, drawn: Params, context_length: int = 16, from_template: bool = True, **settings: Any) -> Params:
    """Tokens of the template's head in the LAST slots, as many as it has words; zero vectors in front of them."""
    words = head(plain, from_template)
    if not words:
        return drawn
    context = torch.zeros_like(drawn["context"])
    counted = words.count(" ") + 1
    context[context_length - counted :] = plain.clip.words(words)[:counted]
    return {"context": context}


def head(plain: Plain, from_template: bool) -> str:
    return plain.template.split("{}")[0].strip() if from_template else ""


def prompts(plain: Plain, context: Tensor, from_template: bool = True) -> tuple[Tensor, Tensor]:
    """Embeddings (C, 77, d) with the context in place of the first tokens, and EOT positions."""
    words, length = head(plain, from_template), len(context)
    fillers = length - (words.count(" ") + 1 if words else 0)
    lead = " ".join(["X"] * fillers + ([words] if words else []))
    embeddings, ends = plain.clip.embedded([f"{lead} {said(name)}." for name in plain.classes])
    rows = [torch.cat([row[:1], context, row[1 + length :]]) for row in embeddings]
    return torch.stack(rows), ends


def logits(plain: Plain, params: Params, pixels: Tensor, from_template: bool = True, **settings: Any) -> Tensor:
    texts = plain.clip.encode(*prompts(plain, params["context"], from_template))
    return plain.clip.cosine_logits(plain.clip.image(pixels), texts)


def train(
    plain: Plain,
    begin: Params,
    learning_rate: float,
    weight_decay: float,
    strength: float,
    temperature: float,
    from_template: bool = True,
    **settings: Any,
) -> Params:
    teacher = plain.clip.classes_in(plain.template, plain.classes).detach()

    def backward(leaves: list[Tensor], params: Params, chosen: Tensor, seed: int) -> None:
        images = plain.train.pixels[chosen]
        scores = logits(plain, params, images, from_template)
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
