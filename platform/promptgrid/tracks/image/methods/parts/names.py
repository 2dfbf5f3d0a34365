"""Class names as the text tower first sees them."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from promptgrid.contract.clip import Backbone
from promptgrid.contract.clip.task import spoken


@lru_cache(maxsize=256)
def named(backbone: Backbone, classes: tuple[str, ...]) -> Tensor:
    """(C, text width) mean token embedding of each class name, frozen. Cached."""
    tokens = backbone.tokenize(spoken(classes))
    places = torch.arange(tokens.shape[1], device=tokens.device)
    inside = (places > 0) & (places < tokens.argmax(-1, keepdim=True))
    with torch.no_grad():
        kept = backbone.embed_tokens(tokens) * inside.unsqueeze(-1)
    return kept.sum(1) / inside.sum(1, keepdim=True)
