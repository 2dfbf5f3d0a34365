"""LaFTer: a classifier of noisy sentence features, then a student taught by it (Mirza et al., NeurIPS 2023).

The classifier stays; the tower that it looks through is the student's own, whose LayerNorms move, without the tokens.
"""

from __future__ import annotations

from typing import Any

import torch
from tests.reference import student
from tests.reference.pseudo import first_unseen, unit
from tests.reference.student import logits
from tests.reference.task import Params, Pooled
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["logits", "start", "train"]


def start(plain: Pooled, drawn: Params, text_steps: int, noise: float, text_rate: float, **settings: Any) -> Params:
    said = student.sentences(plain)
    units = F.normalize(plain.clip.text([sentence for _, sentence in said]), dim=-1).detach()
    labels = torch.tensor([label for label, _ in said])
    rng = plain.rng()
    classes, width = len(plain.classes), units.shape[1]
    head = nn.Linear(width, classes, bias=False)
    head.weight.data = (torch.rand(classes, width, generator=rng) * 2 - 1) / width**0.5
    optimizer = torch.optim.AdamW(head.parameters(), lr=text_rate, weight_decay=0.01)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.1)
    for _ in range(text_steps):
        optimizer.zero_grad()
        loss_of(head(units + torch.randn(units.shape, generator=rng) * noise), labels).backward()
        optimizer.step()
    weight = head.weight.detach()
    return drawn | student.check_start(plain, drawn) | {"teacher": weight, "head": weight}


def train(
    plain: Pooled,
    begin: Params,
    learning_rate: float,
    weight_decay: float,
    guesses_by: str = "learning",
    **settings: Any,
) -> Params:
    unseen = first_unseen(plain)

    def guess(params: Params, pixels: Tensor) -> Tensor:
        own = F.normalize(student.moved(plain, params, pixels), dim=-1)
        seen = own if guesses_by == "learning" else unit(plain.clip, pixels)
        return unseen + (seen @ begin["teacher"].T)[:, unseen:].argmax(1)

    return student.train(plain, begin, guess, learning_rate, weight_decay)
