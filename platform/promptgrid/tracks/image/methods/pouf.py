"""POUF: prompts that bring texts and unlabelled images together, both ways."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from promptgrid.contract.clip import SGD, Axes, Batches, Inverse, Number, Outputs, Params, Recipe, Rule, Task, knob
from promptgrid.tracks.image.methods.parts.pseudo import WholePool, unseen_from
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import check_words, context
from promptgrid.tracks.image.methods.parts.transport import cosines, information, transport


@dataclass(frozen=True)
class POUF(WholePool):
    """POUF: a context learned from images alone, by transport between images and texts and by mutual information.

    Source: Tanwisuth et al., section 3, language prompt tuning; korawat-tanwisuth/POUF 5d92a72 (``pouf.py``).
    With cosines c (B, C) and logits exp(s) c: transport = mean over images of sum_c p(c | x) (1 - c) + mean over
    classes of sum_x p(x | c) (1 - c), p a softmax over classes and over the batch; information = mean entropy of
    p(c | x) - entropy of its mean, times ``information`` = 0.3. Learns "a photo of a", 4 x 512 = 2,048 numbers on
    ViT-B/16, and the logarithm s of the logit scale. SGD with Nesterov momentum .9, decay 1e-3, batch 96,
    5,000 iterations at .01 (1 + 2e-4 t)^-.75 times .1 for the context, 5e-5 for s. Labels are not looked at. Where the
    pool is of unseen classes, both losses are over those.
    Deviations: the last step is kept (the original keeps the best epoch by labels); views as the suite says (the
    original: random crops and flips); fp32.
    """

    name: ClassVar[str] = "pouf"
    kind: ClassVar = "text"
    paper: ClassVar[str] = "Tanwisuth et al., ICML 2023, arXiv:2305.00350"
    axes: ClassVar = Axes("context", "text", supervision="unlabelled", prompt="soft_tuning", design="objective")
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens", "unlabelled"})
    zero_shot_at_start: ClassVar[bool] = True

    context_length: int = 4
    words: str = "a photo of a"
    information: Number = knob(0.3, low=0.0, high=10.0)
    learning_rate: Number = knob(0.01, low=1e-5, high=1.0, log=True)
    weight_decay: Number = knob(1e-3, low=0.0, high=0.1)
    batch_size: int = 96
    iterations: int = 5000

    def __post_init__(self) -> None:
        check(self, context_length=1, iterations=1)
        check_words(self.words, self.context_length)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        scale = torch.tensor(math.log(task.scale))
        return {"context": context(task, rng, self.context_length, self.words), "log_scale": scale}

    def recipe(self, task: Task) -> Recipe:
        rules = {"context": Rule(rate=0.1), "log_scale": Rule(rate=5e-5)}
        return Recipe(SGD(self.learning_rate, self.weight_decay, nesterov=True), batches=Batches(self.batch_size),
                      schedule=Inverse(2e-4, 0.75), rules=rules, iterations=self.iterations)  # fmt: skip

    def text(self, params: Params, task: Task) -> Tensor:
        return task.backbone.encode_context(task.prompts(self.context_length), params["context"])

    def head(self, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
        return params["log_scale"].exp() * cosines(image, text)

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        first = unseen_from(task)
        near, logits = cosines(out.image, out.text)[..., first:], out.logits[..., first:]
        return {"transport": transport(near, logits), "information": self.information * information(logits)}
