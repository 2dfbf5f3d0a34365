"""Rows of token ids without padding, and the masks of a step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from promptgrid.tracks.text.pretrain.recipe import Recipe


@dataclass(frozen=True)
class Step:
    """Rows (B, L), the places of their masks (B, n), and what stood there (B, n)."""

    ids: Tensor
    places: Tensor
    wanted: Tensor


def rows(texts: Sequence[Sequence[int]], length: int, begin: int, end: int) -> list[list[int]]:
    """Texts one behind the other in rows of ``length`` ids: begin, texts, end.

    What hangs over the end of a row is dropped, and so is a last row that is not full.
    """
    found: list[list[int]] = []
    row: list[int] = []
    for text in texts:
        for start in range(0, len(text), length - 2):
            row.extend(text[start : start + length - 2])
            if len(row) >= length - 2:
                found.append([begin, *row[: length - 2], end])
                row = []
    return found


def steps(tables: Sequence[Tensor], recipe: Recipe, mask: int, skip: int) -> Iterator[Step]:
    """Steps without end, each of one table of rows (rows, length), drawn by the table's tokens.

    Step n is a function of the seed and n alone, so that a run goes on where it stopped.

    Args:
        tables: rows of one length each.
        recipe: tokens, masked and seed.
        mask: the mask token's id.
        skip: the number of the first step.
    """
    shares = torch.tensor([float(table.numel()) for table in tables])
    number = skip
    while True:
        generator = torch.Generator().manual_seed(recipe.seed + 7919 * number)
        table = tables[int(torch.multinomial(shares, 1, generator=generator))]
        count, length = max(1, recipe.tokens // table.shape[1]), table.shape[1]
        chosen = table[torch.randint(len(table), (count,), generator=generator)].long()
        yield masked(chosen, max(1, round(recipe.masked * (length - 2))), mask, generator)
        number += 1


def masked(ids: Tensor, count: int, mask: int, generator: torch.Generator) -> Step:
    """(B, L) rows with ``count`` tokens of each replaced by the mask; the first and the last never."""
    inner = ids.shape[1] - 2
    places = torch.rand(len(ids), inner, generator=generator).topk(count, dim=1).indices.sort(dim=1).values + 1
    return Step(ids.scatter(1, places, mask), places, ids.gather(1, places))
