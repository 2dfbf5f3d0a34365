"""DiffTPT: of the views those like the image, of these the confident ones, then as TPT (Feng et al., ICCV 2023)."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference import tpt
from tests.reference.task import Params, Plain
from torch import Tensor

start, logits = tpt.start, tpt.logits


def choose(
    scores: Tensor, images: Tensor, near: float = 0.8, kept: float = 0.3, space: str = "features", **settings: Any
) -> list[int]:
    compared = images if space == "features" else scores
    likeness = torch.nn.functional.cosine_similarity(compared[0], compared[1:], dim=1)
    alike = sorted(range(1, len(compared)), key=lambda row: -float(likeness[row - 1]))
    alike = [0, *alike[: int((len(compared) - 1) * near)]]
    least = sorted(alike, key=lambda row: float(tpt.entropies(scores)[row]))
    return least[: max(1, int(len(alike) * kept))]


def answer(plain: Plain, begin: Params, seen: Tensor, **settings: Any) -> Tensor:
    return tpt.answer(plain, begin, seen, chooser=choose, **settings)
