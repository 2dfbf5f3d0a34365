"""TFUP's cache: which images of the pool are typical of a class, and how they vote."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Number, Params, Task
from promptgrid.tracks.image.methods.parts.pseudo import unseen_from


def images_each(task: Task, share: float, images: int) -> int:
    """How many images a class ``share`` of the pool is, at least 9."""
    return max(9, int(share * images / (len(task.classes) - unseen_from(task))))


def likely_classes(image: Tensor, text: Tensor) -> Tensor:
    """(N, C): softmax of ten times the cosines."""
    return (10.0 * F.normalize(image, dim=-1) @ F.normalize(text, dim=-1).mT).softmax(-1)


def typical(likely: Tensor, each: int, first: int = 0) -> tuple[Tensor, Tensor]:
    """Rows and labels: for every class from ``first`` on the ``each`` most typical of twice as many likely images.

    Typical are those with the smallest sum of Kullback-Leibler divergences from the others.

    Args:
        likely: (M, C) probabilities; an image may stand for several classes.
        each: images a class, fewer where there are fewer.
        first: the position of the first class.
    """
    rows, labels = [], range(first, likely.shape[1])
    for label in labels:
        best = likely[:, label].argsort(descending=True, stable=True)[: 2 * each]
        own = likely[best].double()
        far = (own * own.log()).sum(1) * len(own) - own @ own.log().sum(0)
        rows.append(best[far.argsort(stable=True)[:each]])
    found = torch.stack(rows)
    return found.flatten(), torch.tensor(labels, device=found.device).repeat_interleave(found.shape[1])


def cache_of(images: Tensor, rows: Tensor, labels: Tensor, classes: int) -> Params:
    """Unit features of ``rows`` as ``keys`` (K, width) and their labels as ``values`` (K, C), one-hot."""
    return {"keys": F.normalize(images[rows], dim=-1), "values": F.one_hot(labels, classes).to(images)}


def votes(cache: Params, image: Tensor, text: Tensor, beta: Number) -> Tensor:
    """(B, C): exp(-beta (1 - (f̂ K̂) sim)) V, sim = 2 - 2 minmax over the keys of KL(image, key)."""
    far = -likely_classes(image, text) @ likely_classes(cache["keys"], text).log().mT
    low, high = far.amin(-1, keepdim=True), far.amax(-1, keepdim=True)
    similar = 2.0 - 2.0 * (far - low) / (high - low).clamp_min(1e-12)
    near = F.normalize(image, dim=-1) @ cache["keys"].mT * similar
    return torch.exp(-beta * (1.0 - near)) @ cache["values"]
