"""The loop that public code of the field runs: every text padded to 128 tokens, the whole tower at every step."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from promptgrid.contract import Edits
from promptgrid.contract.task import Batch
from promptgrid.engine.bench.plain_loop import PlainLoop
from promptgrid.tracks.text.backbone import TextBackbone, Weights, taken
from promptgrid.tracks.text.backbones.tokens.padding import Rows
from promptgrid.tracks.text.backbones.tower import Transformer
from promptgrid.tracks.text.bench.problem import TextProblem
from promptgrid.tracks.text.data.encoded import MOST
from promptgrid.tracks.text.reading import at_mask, sequence, templated


class PlainTower(Transformer):
    """A tower that computes what public code does: padding too, all tokens of all blocks, all words at a mask."""

    @classmethod
    def of(cls, tower: Transformer) -> PlainTower:
        """The same model as ``tower``."""
        return cls(tower.id, tower.digest, tower.shape, tower.weights(), tower.tokenizer, tower.preprocessing)

    def encode_at(
        self,
        embeddings: Tensor,
        mask: Tensor,
        at: Tensor,
        edits: Edits | None = None,
        *,
        segments: Tensor | None = None,
        weights: Weights | None = None,
    ) -> Tensor:
        return taken(self.encode(embeddings, mask, edits, segments=segments, weights=weights), at)

    def rows(self, mask: Tensor) -> Rows:
        return Rows(len(mask), mask.shape[1], None)

    def fill_words(self, hidden: Tensor, ids: Tensor, weights: Weights | None = None) -> Tensor:
        return self.fill(hidden, weights)[..., ids]


class ReferenceLoop(PlainLoop):
    """Trains the first cell of ``problem``.

    Args:
        problem: what is trained.
        tower: the plain one.
        padded: texts have 128 tokens; else as many as the longest of the batch, as collators with dynamic padding do.
        cached: keep frozen states instead of running the tower at every step, where the method reads nothing else.
    """

    problem: TextProblem

    def __init__(self, problem: TextProblem, tower: TextBackbone, *, padded: bool, cached: bool) -> None:
        self._tower, self._padded, self._cached = tower, padded, cached
        super().__init__(problem, replace(problem.task, backbone=tower), self._batch)

    def _batch(self, chosen: Tensor) -> Batch:
        if self._cached and not self.problem.inside_tower:
            return Batch({name: column.values[chosen] for name, column in self.problem.tables.items()})
        width = min(MOST, self._tower.most_tokens) if self._padded else None
        batch = Batch(self.problem.encoded.rows(chosen.tolist(), width, self._tower.special.pad).columns)
        if self.problem.inside_tower:
            return batch
        with torch.no_grad():
            return Batch(mask_state=at_mask(self._tower, sequence(self._tower, templated(batch)), None))
