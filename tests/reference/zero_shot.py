"""ZS-CLIP: s f̂ t̂_c; ensembles normalise each, take the mean and normalise again (Radford et al., 2021)."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F

SEVEN = (
    "itap of a {}.",
    "a bad photo of the {}.",
    "a origami {}.",
    "a photo of the large {}.",
    "a {} in a video game.",
    "art of the {}.",
    "a photo of the small {}.",
)


def start(plain: Plain, drawn: Params, **settings: Any) -> Params:
    return {}


def logits(plain: Plain, params: Params, pixels: Tensor, templates: str = "single", **settings: Any) -> Tensor:
    chosen = {"single": (plain.template,), "seven": (*SEVEN, plain.template), "eighty": _eighty()}[templates]
    texts = torch.stack([plain.clip.classes_in(template, plain.classes) for template in chosen])
    return plain.clip.cosine_logits(plain.clip.image(pixels), F.normalize(texts.mean(0), dim=-1))


def _eighty() -> tuple[str, ...]:
    """OpenAI's list as open_clip ships it."""
    from open_clip import OPENAI_IMAGENET_TEMPLATES

    return tuple(template("{}") for template in OPENAI_IMAGENET_TEMPLATES)
