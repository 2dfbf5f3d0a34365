"""TPT: min over the context of the entropy of the mean prediction of the confident views, one image (Shu et al., 2022).

``seen`` are the views (V, 3, s, s), uint8, the centre crop first. Choosing, descending and answering, image by image.
"""

from __future__ import annotations

from typing import Any

import torch
from tests.reference import coop
from tests.reference.task import Params, Plain
from torch import Tensor


def start(plain: Plain, drawn: Params, words: str = "a photo of a", **settings: Any) -> Params:
    return {"context": plain.clip.words(words)}


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    """Without adaptation."""
    return coop.logits(plain, params, pixels)


def entropies(scores: Tensor) -> Tensor:
    p = torch.softmax(scores, 1)
    return -(p * torch.log_softmax(scores, 1)).sum(1)


def choose(scores: Tensor, images: Tensor, kept: float = 0.1, **settings: Any) -> list[int]:
    """Rows of ``scores`` (V, C); ``images`` (V, width) are the frozen features of the same views."""
    order = sorted(range(len(scores)), key=lambda row: float(entropies(scores)[row]))
    return order[: max(1, int(len(scores) * kept))]


def of_the_mean(scores: Tensor) -> Tensor:
    mean = torch.softmax(scores, 1).mean(0)
    return -(mean * torch.log(mean)).sum()


def answer(plain: Plain, begin: Params, seen: Tensor, chooser: Any = choose, **settings: Any) -> Tensor:
    """(C,) logits of the centre crop with the context tuned on the image."""
    context = begin["context"].detach().clone().requires_grad_()
    rate, decay = settings.get("tuning_rate", 0.005), settings.get("tuning_decay", 0.01)
    optimizer = torch.optim.AdamW([context], lr=rate, weight_decay=decay)
    with torch.no_grad():
        images = plain.clip.image(seen)

    def scores_of(rows: Any) -> Tensor:
        return plain.clip.cosine_logits(images[rows], plain.clip.encode(*coop.prompts(plain, context)))

    chosen = None
    for _ in range(settings.get("tuning_steps", 1)):
        scores = scores_of(slice(None))
        chosen = chooser(scores.detach(), images, **settings) if chosen is None else chosen
        optimizer.zero_grad()
        of_the_mean(scores[chosen]).backward()
        optimizer.step()
    with torch.no_grad():
        return scores_of(slice(1))[0]
