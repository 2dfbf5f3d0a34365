"""CLS fine-tuning: the whole model moves, and a head reads its first token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from promptgrid.contract.method import Params
from promptgrid.contract.task import Batch
from promptgrid.towers.methods.full_finetune import FullFinetune, own_weights
from promptgrid.tracks.text.reading import bare, sequence
from promptgrid.tracks.text.task import TextTask


@dataclass(frozen=True)
class ClsFinetune(FullFinetune):
    """CLS fine-tuning: ``full_finetune`` with a linear head on the last hidden state of the first token.

    Source: Devlin et al., section 3.2.
    Recipe and parameters as ``full_finetune``, which reads the tower's own pooling instead.
    Deviations: no pooling layer between the token and the head; those of ``full_finetune``.
    """

    name: ClassVar[str] = "cls_finetune"

    def features(self, params: Params, batch: Batch, task: TextTask) -> Tensor:
        weights, backbone = own_weights(params), task.backbone
        given = sequence(backbone, bare(batch), weights=weights)
        return backbone.encode(given.embeddings, given.mask, segments=given.segments, weights=weights)[:, 0]
