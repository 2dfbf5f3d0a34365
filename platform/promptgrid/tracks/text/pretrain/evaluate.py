"""What the masked language model can do, on texts that it has not seen: perplexity, masked accuracy, cloze."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.spec.reading import read_yaml
from promptgrid.tracks.text.backbone import Piece
from promptgrid.tracks.text.backbones.tower import Transformer
from promptgrid.tracks.text.pretrain.batches import masked

CLOZE = Path(__file__).with_name("cloze.yaml")
BLANK = "[MASK]"


@dataclass(frozen=True)
class Told:
    """Of masked tokens: how many, the share told first and among the first five, and exp of the mean loss in nats."""

    tokens: int
    first: float
    among_five: float
    perplexity: float


@torch.no_grad()
def held_out(tower: Transformer, texts: Sequence[str], share: float = 0.15, seed: int = 5) -> Told:
    """How well the tower tells the masked tokens of single texts, cut to 64 tokens; ``share`` of each is masked."""
    generator = torch.Generator().manual_seed(seed)
    losses, ranks = [], []
    assert tower.special.mask is not None
    for text in texts:
        ids = tower.tokenize([text], most=_longest(tower)).ids
        if ids.shape[1] < 5:
            continue
        step = masked(ids, max(1, round(share * (ids.shape[1] - 2))), tower.special.mask, generator)
        hidden = tower.encode_at(tower.embed(step.ids), torch.ones_like(ids, dtype=torch.bool), step.places)
        logits = tower.fill(hidden)[0]
        losses.append(F.cross_entropy(logits, step.wanted[0], reduction="none"))
        ranks.append(_ranks(logits, step.wanted[0]))
    return _told(torch.cat(losses), torch.cat(ranks))


def by_frequency(counts: Tensor, tower: Transformer, texts: Sequence[str]) -> float:
    """The share of tokens told by always saying the most frequent one: what any head must beat."""
    ids = torch.cat([tower.tokenize([text], most=_longest(tower)).ids[0, 1:-1] for text in texts])
    return float((ids == counts.argmax()).float().mean())


@torch.no_grad()
def cloze(tower: Transformer, path: Path = CLOZE) -> tuple[int, int, int, list[tuple[str, list[str]]]]:
    """How many sentences there are, of how many the first word fits, one of the first five, and what was said."""
    said, first, among_five = [], 0, 0
    rows = read_yaml(path)
    for sentence, fitting in rows.items():
        before, after = sentence.split(BLANK)
        tokens = tower.tokenize_template([Piece(before), Piece(masks=1), Piece(after)])
        logits = tower.fill(tower.encode_at(tower.embed(tokens.ids), tokens.mask, tokens.places["mask"]))[0, 0]
        known = {ids[0]: word for word, ids in zip(fitting, tower.words(fitting), strict=True) if len(ids) == 1}
        best = [int(token) for token in logits.topk(5).indices]
        first += best[0] in known
        among_five += any(token in known for token in best)
        said.append((sentence, [tower.tokenizer.spelled(token) for token in best]))
    return len(rows), first, among_five, said


def _longest(tower: Transformer) -> int:
    return min(64, tower.most_tokens)


def _ranks(logits: Tensor, wanted: Tensor) -> Tensor:
    return (logits > logits.gather(1, wanted[:, None])).sum(1)


def _told(losses: Tensor, ranks: Tensor) -> Told:
    first, five = float((ranks == 0).float().mean()), float((ranks < 5).float().mean())
    return Told(len(losses), first, five, math.exp(float(losses.mean())))
