"""PromptSRC: IVLP, CE + 25 L1(text) + 10 L1(image) + KL to the frozen model, epochs averaged (Khattak et al., 2023)."""

from __future__ import annotations

import math
from typing import Any

import torch
from tests.reference import ivlp
from tests.reference.clip import said
from tests.reference.descent import coop_schedule, detached, leaves_of
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F

NAMES = ("context", "deeper", "tokens")
start = ivlp.start
logits = ivlp.logits


def teacher(plain: Plain, count: int) -> Tensor:
    """Unit texts (C, D): features as they are, averaged over the first templates of OpenAI's list, then normalised."""
    from open_clip import OPENAI_IMAGENET_TEMPLATES

    said_by = [template("{}") for template in OPENAI_IMAGENET_TEMPLATES[:count]]
    with torch.no_grad():
        each = [plain.clip.text([template.format(said(name)) for name in plain.classes]) for template in said_by]
    return F.normalize(torch.stack(each).mean(0), dim=-1)


def train(
    plain: Plain,
    begin: Params,
    learning_rate: float,
    weight_decay: float,
    text_strength: float,
    image_strength: float,
    logit_strength: float,
    gpa_mean: float,
    gpa_deviation: float,
    teacher_templates: int,
    **settings: Any,
) -> Params:
    fixed = teacher(plain, teacher_templates)

    def loss(params: Params, chosen: Tensor) -> Tensor:
        pixels, labels = plain.train.pixels[chosen], plain.train.labels[chosen]
        with torch.no_grad():
            frozen = F.normalize(plain.clip.image(pixels), dim=-1)
        images, texts = (F.normalize(x, dim=-1) for x in ivlp.features(plain, params, pixels))
        scores, frozen_scores = plain.clip.scale * images @ texts.T, plain.clip.scale * frozen @ fixed.T
        divergence = F.kl_div(
            F.log_softmax(scores, dim=1), F.log_softmax(frozen_scores, dim=1), reduction="sum", log_target=True
        )
        return (
            F.cross_entropy(scores, labels)
            + text_strength * F.l1_loss(texts, fixed)
            + image_strength * F.l1_loss(images, frozen)
            + logit_strength * divergence / scores.numel()
        )

    params, leaves = leaves_of(begin, NAMES)
    optimizer = torch.optim.SGD(leaves, lr=learning_rate, momentum=0.9, weight_decay=weight_decay)
    scheduler = coop_schedule(optimizer, len(plain.batches))
    epochs = range(1, len(plain.batches) + 1)
    heights = [math.exp(-(((e - gpa_mean) / gpa_deviation) ** 2) / 2) for e in epochs]
    average = {name: torch.zeros_like(params[name]) for name in NAMES}
    for steps, height in zip(plain.batches, heights, strict=True):
        for chosen, _ in steps:
            optimizer.zero_grad()
            loss(params, chosen).backward()
            optimizer.step()
        scheduler.step()
        for name in NAMES:
            average[name] += height / sum(heights) * params[name].detach()
    return detached(params) | average
