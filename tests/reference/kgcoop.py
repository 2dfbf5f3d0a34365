"""KgCoOp: CE + lambda (1 - mean_c cos(t_c, t_c^ZS)) (Yao et al., CVPR 2023)."""

from __future__ import annotations

from typing import Any

from tests.reference import coop
from tests.reference.descent import sgd
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F

start = coop.start


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    return coop.logits(plain, params, pixels)


def train(
    plain: Plain, begin: Params, learning_rate: float, weight_decay: float, strength: float, **settings: Any
) -> Params:
    teacher = plain.clip.classes_in(plain.template, plain.classes).detach()

    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        texts = plain.clip.encode(*coop.prompts(plain, params["context"]))
        scores = plain.clip.cosine_logits(plain.clip.image(plain.train.pixels[chosen]), texts)
        distance = 1.0 - F.cosine_similarity(texts, teacher, dim=-1).mean()
        return F.cross_entropy(scores, plain.train.labels[chosen]) + strength * distance

    return sgd(plain, begin, ["context"], loss, learning_rate, weight_decay)
