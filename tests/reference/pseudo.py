"""Pseudo-labels the slow way."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from tests.reference.clip import Clip, said
from tests.reference.descent import detached, leaves_of
from tests.reference.task import Params, Pooled
from torch import Tensor
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

from promptgrid.contract.clip import Method

Logits = Callable[[Pooled, Params, Tensor], Tensor]


def needs_pool(method: type[Method]) -> bool:
    """Whether ``method`` is compared in test_pool_fidelity."""
    return "unlabelled" in method.needs


def zero_shot(plain: Pooled, pixels: Tensor, braces: bool = False) -> Tensor:
    """(N, C) logits of frozen CLIP by the dataset's own template, or by the sentences of the code of Menghini et al.

    Those have a pair of braces that is never filled, and the name right behind it: ``a photo of a {}tench``.
    """
    texts = plain.clip.classes_in(plain.template, plain.classes)
    if braces:
        texts = F.normalize(plain.clip.text(["a photo of a {}" + said(name) for name in plain.classes]), dim=-1)
    return plain.clip.scale * unit(plain.clip, pixels) @ texts.T


def unit(clip: Clip, pixels: Tensor) -> Tensor:
    """(N, width) unit features of frozen CLIP."""
    return F.normalize(clip.image(pixels), dim=-1)


def confident(scores: Tensor, most: int) -> list[tuple[int, int]]:
    """(image, class): of the images taken for a class the ``most`` surest, in the order of the pool."""
    found = []
    sure = scores.softmax(-1)
    for label in range(scores.shape[1]):
        own = [i for i in range(len(scores)) if int(sure[i].argmax()) == label]
        own.sort(key=lambda i, label=label: -float(sure[i, label]))
        found += [(i, label) for i in own[:most]]
    return sorted(found)


def leaderboards(scores: Tensor, most: int) -> list[tuple[int, int]]:
    """(image, class), all images applying at once: whoever has no place asks the next class on its list."""
    sure = scores.softmax(-1)
    lists = [sorted(range(scores.shape[1]), key=lambda c, i=i: -float(sure[i, c])) for i in range(len(scores))]
    place: dict[int, int] = {}
    while any(lists[i] and i not in place for i in range(len(lists))):
        asked: dict[int, list[int]] = {}
        for i, wishes in enumerate(lists):
            if i in place:
                asked.setdefault(place[i], []).append(i)
            elif wishes:
                asked.setdefault(wishes.pop(0), []).append(i)
        place = {}
        for label, images in asked.items():
            images.sort(key=lambda i, label=label: -float(sure[i, label]))
            place |= dict.fromkeys(images[:most], label)
    return sorted(place.items())


def first_unseen(plain: Pooled) -> int:
    """0 where images of the pool may be of any class."""
    return plain.seen if plain.seen < len(plain.classes) else 0


def menghini(
    plain: Pooled,
    start_of: Callable[[int], Params],
    logits: Logits,
    strategy: str,
    learning_rate: float,
    weight_decay: float,
    epochs: int,
    confident: int,
    rounds: int,
    braces: bool = False,
) -> Params:
    """FPL, IFPL, GRIP: label the pool, learn from a fresh start, label it again with what was learned.

    Linear warm-up over five epochs and a cosine to 0, as LambdaLR of SGD with momentum .9.
    """
    first, params = first_unseen(plain), {}
    for turn in range(1 if strategy == "fpl" else rounds):
        with torch.no_grad():
            scores = zero_shot(plain, plain.pool, braces) if turn == 0 else logits(plain, params, plain.pool)
        classes = len(plain.classes) - first
        most = confident if strategy != "grip" else growing(len(plain.pool), classes, turn, rounds)
        chosen = leaderboards(scores[:, first:], most)
        pixels = torch.cat([plain.train.pixels, plain.pool[[i for i, _ in chosen]]])
        labels = torch.cat([plain.train.labels, torch.tensor([c + first for _, c in chosen])])
        few, many = len(plain.train.labels), len(chosen)

        def loss(own: Params, rows: Tensor, pixels=pixels, labels=labels, few=few, many=many) -> Tensor:
            scores, pool = logits(plain, own, pixels[rows]), rows >= few
            parts = [
                F.cross_entropy(scores[which], labels[rows][which]) if which.any() else scores.sum() * 0.0
                for which in (~pool, pool)
            ]
            if not few:
                return parts[1]
            return parts[0] + few / many * parts[1] if first else many / few * parts[0] + parts[1]

        params, leaves = leaves_of(start_of(turn), start_of(turn))
        optimizer = torch.optim.SGD(leaves, lr=learning_rate, momentum=0.9, weight_decay=weight_decay)
        scheduler = LambdaLR(optimizer, lambda epoch: warm_cosine(epoch, epochs))
        for steps in plain.draw(len(labels), turn):
            for rows, _ in steps:
                optimizer.zero_grad()
                loss(params, rows).backward()
                optimizer.step()
            scheduler.step()
        params = detached(params)
    return params


def warm_cosine(epoch: int, epochs: int, warm: int = 5) -> float:
    if epoch < warm:
        return epoch / warm
    return 0.5 * (1.0 + math.cos(math.pi * (epoch - warm) / max(1, epochs - warm)))


def growing(pool: int, classes: int, turn: int, rounds: int) -> int:
    """GRIP: an even share more in every round, all of the pool in the last."""
    if turn + 1 == rounds:
        return math.ceil(pool / classes)
    return max(1, math.floor((turn + 1) * pool / (rounds * classes)))
