"""Where the tokens of class prompts stand when the classes share their beginning."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import torch
from torch import Tensor

from promptgrid.contract.clip import PromptTokens

LEAST, MOST = 12, 128
"""Tokens a row may have: shorter rows waste kernels, longer ones waste attention between strangers."""
CHOICES = 24


@dataclass(frozen=True)
class ClassRows:
    """R rows of m tokens; each row holds what c classes add to the shared prefix of p tokens.

    A row begins with the EOT of its classes, so that pooled tokens are a slice; their other tokens follow in any
    order, since the mask alone says who sees whom: a token sees the prefix, itself and earlier tokens of its class.

    Attributes:
        prefix: p, at least 1 (SOS).
        asking: c, classes a row.
        classes: (R, m) which prompt a token is of.
        columns: (R, m) its position in that prompt.
        mask: (R, m, p + m) what is added to attention scores: 0 where the token may look, else -inf.
        order: (C,) where the EOT of each class is among the R * c.
    """

    prefix: int
    asking: int
    classes: Tensor
    columns: Tensor
    mask: Tensor
    order: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """R, m."""
        return self.classes.shape[0], self.classes.shape[1]

    @classmethod
    def of(cls, prompts: PromptTokens, shared: bool, width: int) -> ClassRows:
        """Rows for ``prompts``.

        Args:
            prompts: of C classes.
            shared: whether all classes have the same context; else their prompts part at its first token.
            width: of the tower: attention weighs less beside wide projections.
        """
        prefix = common_prefix(prompts, shared)
        ends = prompts.ends.tolist()
        lengths = [end + 1 - prefix for end in ends]
        members = _binned(lengths, prefix, width)
        asking, size = _extent(members, lengths)
        classes, columns, owner = (torch.zeros(len(members), size, dtype=torch.long) for _ in range(3))
        columns += prefix
        owner -= torch.arange(1, size + 1)  # a padding token belongs to nobody else and is never read
        order = torch.zeros(len(ends), dtype=torch.long)
        for row, own in enumerate(members):
            place = asking
            for slot, label in enumerate(own):
                rest = slice(place, place := place + lengths[label] - 1)
                columns[row, slot], columns[row, rest] = ends[label], torch.arange(prefix, ends[label])
                order[label] = row * asking + slot
                for part in (slot, rest):
                    classes[row, part] = owner[row, part] = label
        sees = (owner[:, :, None] == owner[:, None]) & (columns[:, :, None] >= columns[:, None])
        sees = torch.cat([torch.ones(*classes.shape, prefix, dtype=torch.bool), sees], dim=-1)
        mask = torch.zeros(sees.shape, dtype=prompts.embeddings.dtype).masked_fill(~sees, -torch.inf)
        device = prompts.embeddings.device
        return cls(prefix, asking, *(x.to(device) for x in (classes, columns, mask, order)))


def common_prefix(prompts: PromptTokens, shared: bool) -> int:
    """How many leading tokens all prompts have in common; every prompt keeps its EOT, at least, to itself."""
    slots, frozen = prompts.slots, prompts.slots < 0
    same = (slots == slots[:1]).all(0)
    same &= (prompts.embeddings == prompts.embeddings[:1]).all(-1).all(0) | ~frozen.any(0)
    if not shared:
        same &= frozen.all(0)
    return min(int(same.long().cumprod(0).sum()), int(prompts.ends.min()))


def _binned(lengths: list[int], prefix: int, width: int) -> list[list[int]]:
    """The classes of each row: as many rows as cost least, by counted operations."""
    total = sum(lengths)
    fewest, most = max(1, total // MOST), max(1, min(len(lengths), total // LEAST))
    counts = sorted({round(fewest * (most / fewest) ** (i / (CHOICES - 1))) for i in range(CHOICES)})
    return min((_levelled(lengths, rows) for rows in counts), key=lambda bins: _cost(bins, lengths, prefix, width))


def _levelled(lengths: list[int], rows: int) -> list[list[int]]:
    """``rows`` bins of equally many classes and nearly equal length: the longest first, each to the emptiest bin."""
    room = -(-len(lengths) // rows)
    bins: list[list[int]] = [[] for _ in range(rows)]
    emptiest = [(0, row) for row in range(rows)]
    for label in sorted(range(len(lengths)), key=lambda label: -lengths[label]):
        filled, row = heapq.heappop(emptiest)
        bins[row].append(label)
        if len(bins[row]) < room:
            heapq.heappush(emptiest, (filled + lengths[label], row))
    return [own for own in bins if own]


def _extent(members: list[list[int]], lengths: list[int]) -> tuple[int, int]:
    """Classes and tokens of a row."""
    asking = max(map(len, members))
    return asking, asking + max(sum(lengths[label] - 1 for label in own) for own in members)


def _cost(members: list[list[int]], lengths: list[int], prefix: int, width: int) -> float:
    """Of a block over all rows, in multiplications: a small attention runs at about a sixth of a matmul's rate."""
    _, size = _extent(members, lengths)
    return len(members) * (size * (12.0 * width**2 + 12.0 * width * (prefix + size)) + 4000.0 * width)
