"""The corpus as rows of ids, made once and kept."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from promptgrid.tracks.text.backbones.tower import Transformer
from promptgrid.tracks.text.pretrain import batches
from promptgrid.tracks.text.pretrain.corpus import corpus
from promptgrid.tracks.text.pretrain.recipe import Recipe

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tables:
    """What is trained on and judged by.

    Attributes:
        rows: (rows, length) int32 of each length.
        counts: (V,) how often each token stands in the texts that are trained on.
        held_out: (package, text) pairs.
        words: of each package, how many words are trained on.
    """

    rows: list[Tensor]
    counts: Tensor
    held_out: list[tuple[str, str]]
    words: dict[str, int]


def tables_in(folder: Path, tower: Transformer, recipe: Recipe, tasks: Iterable[str]) -> Tables:
    """The tables in ``folder/tables.pt``; made of the sources below ``folder/sources`` where they are not there yet."""
    path = folder / "tables.pt"
    if not path.exists():
        torch.save(vars(_made(folder / "sources", tower, recipe, tasks)), path)
    return Tables(**torch.load(path, weights_only=True))


def _made(folder: Path, tower: Transformer, recipe: Recipe, tasks: Iterable[str]) -> Tables:
    special, every = tower.special, len(recipe.lengths)
    assert special.begin is not None
    assert special.end is not None
    found: list[list[list[int]]] = [[] for _ in recipe.lengths]
    made = Tables([], torch.zeros(tower.vocabulary), [], {})
    for source, train, held_out in corpus(folder, tasks):
        ids = tower.tokenizer.ids(train)
        made.held_out.extend((source.package, text) for text in held_out)
        made.words[source.package] = sum(len(text.split()) for text in train)
        logger.info("%s: %d words", source.package, made.words[source.package])
        for text in ids:
            made.counts.add_(torch.bincount(torch.tensor(text, dtype=torch.int64), minlength=tower.vocabulary))
        for number, (rows, length) in enumerate(zip(found, recipe.lengths, strict=True)):
            rows.extend(batches.rows(ids[number::every], length, special.begin, special.end))
    made.rows.extend(torch.tensor(rows, dtype=torch.int32) for rows in found)
    return made
