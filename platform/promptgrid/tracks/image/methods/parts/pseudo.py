"""Pseudo-labels: which images of an unlabelled pool are trained on, and as what."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Chosen, Classifier, Outputs, Task


def pool(task: Task) -> Tensor:
    """(M, width) features of the unlabelled pool.

    Raises:
        ValueError: the task has none.
    """
    if task.unlabelled is None:
        raise ValueError("this task has no unlabelled pool: it was rebound to new classes")
    return task.unlabelled


def unseen_from(task: Task) -> int:
    """The position of the first class that images of the pool may be of: where some are seen, none of those."""
    return task.seen if 0 < task.seen < len(task.classes) else 0


def guessed(logits: Tensor, task: Task) -> Tensor:
    """(M,) the classes that images of the pool are taken for by ``logits`` (M, C), of those that they may be of."""
    first = unseen_from(task)
    return logits[..., first:].argmax(-1) + first


def zero_shot(task: Task, text: Tensor | None = None) -> Tensor:
    """(M, C) logits of frozen CLIP on the pool, by ``text`` (C, width) or the dataset's own template."""
    texts = task.text if text is None else F.normalize(text, dim=-1)
    return task.scale * F.normalize(pool(task), dim=-1) @ texts.mT


def marked(out: Outputs) -> Tensor:
    """(B,) 1 for images of the pool, 0 for labelled ones, as numbers.

    Raises:
        ValueError: the images are not of a round of training on a pool.
    """
    if out.batch is None or "pseudo" not in out.batch:
        raise ValueError("these losses are of training on a pool")
    return out.batch.pseudo.to(out.logits)


def unaugmented(out: Outputs) -> Tensor:
    """(B, width) frozen features of the images as they are, whatever view of them was looked at.

    Raises:
        ValueError: nobody looked at images.
    """
    if out.batch is None:
        raise ValueError("the images without augmentation are missing")
    return out.batch.weak


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean of ``values`` where ``mask`` is 1, 0 where it never is."""
    return (values * mask).sum() / mask.sum().clamp_min(1.0)


def whole(task: Task) -> Chosen:
    """Every image of the pool, without a label."""
    count = len(pool(task))
    return Chosen(torch.arange(count), torch.full((count,), -1))


@dataclass(frozen=True)
class WholePool(Classifier):
    """A method that trains once, on every image of the pool, and asks nobody for labels."""

    def draws(self, task: Task, pool: int) -> tuple[int, ...]:
        return (pool,)

    def relabel(self, task: Task, logits: Tensor | None) -> Chosen:
        return whole(task)


def confident(logits: Tensor, most: int, first: int = 0) -> Chosen:
    """Of the images that are taken for a class from ``first`` on, the ``most`` likely, for every class (UPL).

    Args:
        logits: (M, C). A class for which no image is taken gets none.
        most: images a class.
        first: the position of the first class to choose from.
    """
    top, labels = logits[:, first:].softmax(-1).max(1)
    kept = []
    for label in sorted(set(labels.tolist())):
        own = (labels == label).nonzero().squeeze(1)
        kept.append(own[top[own].argsort(descending=True, stable=True)[:most]])
    positions = torch.cat(kept).sort().values
    return Chosen(positions, labels[positions] + first)


def leaderboards(logits: Tensor, most: int, first: int = 0) -> Chosen:
    """Each image at most once, each class at most ``most`` images, and no pair that would rather have each other.

    Every class keeps the ``most`` likely of the images that apply to it; an image applies to its likeliest class first
    and, whenever it loses its place, to its next one. min(M, ``most`` x C) images find a place, in whatever order they
    come (Gale and Shapley, 1962).

    Args:
        logits: (M, C).
        most: images a class.
        first: the position of the first class to choose from.
    """
    numbers = logits[:, first:].softmax(-1).nan_to_num(0.0).double().cpu()
    wishes = numbers.argsort(dim=1, descending=True, stable=True).tolist()
    rows = numbers.tolist()
    boards: list[list[tuple[float, int]]] = [[] for _ in range(numbers.shape[1])]
    tried = [0] * len(rows)
    waiting = list(range(len(rows)))
    while waiting:
        image = waiting.pop()
        if tried[image] == len(boards):
            continue
        label = wishes[image][tried[image]]
        tried[image] += 1
        heapq.heappush(boards[label], (rows[image][label], -image))
        if len(boards[label]) > most:
            waiting.append(-heapq.heappop(boards[label])[1])
    placed = sorted((-entry[1], label) for label, board in enumerate(boards) for entry in board)
    return Chosen(torch.tensor([image for image, _ in placed]), torch.tensor([label + first for _, label in placed]))


def surest(logits: Tensor, most: int, first: int = 0) -> tuple[Tensor, Tensor]:
    """Rows and labels: for every class the ``most`` surest images that rank it first; if none does, second, third.

    Only classes from ``first`` on are asked for and ranked. An image that two classes would have goes to the earlier
    one (NoLA).

    Args:
        logits: (M, C).
        most: images a class.
        first: the position of the first class to choose from.
    """
    likely = logits[:, first:].softmax(-1)
    top, ranked = likely.topk(min(3, likely.shape[1]), dim=1)
    taken: dict[int, int] = {}
    for label in range(likely.shape[1]):
        for place in range(ranked.shape[1]):
            own = (ranked[:, place] == label).nonzero().squeeze(1)
            if len(own):
                best = own[top[own, place].argsort(descending=True, stable=True)[:most]]
                taken = dict.fromkeys(best.tolist(), label) | taken
                break
    rows = sorted(taken)
    labels = torch.tensor([taken[row] + first for row in rows], device=likely.device)
    return torch.tensor(rows, device=likely.device), labels
