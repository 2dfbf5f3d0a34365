"""Where the text tower says what it read: EOT behind its blocks, as it is without prompts."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from promptgrid.contract.clip import Backbone


def prompted_layers(depth: int, layers: int) -> list[int]:
    """The first ``depth`` of ``layers`` blocks, and the last."""
    return [*range(depth), *([layers - 1] if depth < layers else [])]


def frozen_ends(backbone: Backbone, prompts: tuple[Tensor, Tensor], layers: list[int]) -> Tensor:
    """(C, layers, text width) EOT of ``prompts``, embeddings (C, L, text width) and ends (C,), by block. Cached."""
    return _kept_ends(backbone, *prompts, tuple(layers))


@lru_cache(maxsize=64)
def _kept_ends(backbone: Backbone, embeddings: Tensor, ends: Tensor, layers: tuple[int, ...]) -> Tensor:
    with torch.no_grad():
        return backbone.text_ends(embeddings, ends, None, layers)
