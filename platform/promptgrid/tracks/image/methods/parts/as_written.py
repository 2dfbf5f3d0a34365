"""Class texts whose names are left as they are written, underscores and all."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from promptgrid.contract.clip import Backbone


@lru_cache(maxsize=64)
def as_written(backbone: Backbone, names: tuple[str, ...], templates: tuple[str, ...]) -> Tensor:
    """(C, width): the mean over ``templates`` of text features that are not normalised. Frozen; cached."""
    return torch.stack([backbone.encode_prompts([each.format(name) for name in names]) for each in templates]).mean(0)
