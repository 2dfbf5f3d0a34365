"""TPT: tune the prompt on the test image itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from promptgrid.contract.clip import Axes, Batch, Params, Recipe, Task
from promptgrid.tracks.image.methods.coop import CoOp
from promptgrid.tracks.image.methods.parts.confidence import ConfidentViews, entropy_of_mean
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import check_words, context


@dataclass(frozen=True)
class TPT(ConfidentViews):
    """TPT: for each test image a context tuned until its confident views agree, then forgotten.

    Source: Shu et al., section 3; azshue/TPT 63ecbac (``tpt_classification.py``).
    Of ``views`` = 64 (the centre crop, 63 random resized crops with flips) the int(``kept`` x 64) = 6 surest count: one
    step of AdamW (.005, decay .01) lowers the entropy of their mean probability, and the centre crop is answered. All
    images start from ``words`` before the class name, or with ``start: coop`` from what CoOp learns of them by its own
    recipe, in ``epochs`` if that is not 0 (TPT + CoOp). Tunes 4 x d_t numbers. Deviations: fp32 without a gradient
    scaler; bicubic crops, not bilinear; no AugMix, which the code adds on ten fine-grained sets; one view always stays.
    """

    name: ClassVar[str] = "tpt"
    kind: ClassVar = "text"
    paper: ClassVar[str] = "Shu et al., NeurIPS 2022, arXiv:2209.07511"
    axes: ClassVar = Axes("context", "text", "none", "test_time", prompt="soft_tuning", design="objective")
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens"})

    context_length: int = 4
    words: str = "a photo of a"
    start: Literal["words", "coop"] = "words"
    epochs: int = 0

    def __post_init__(self) -> None:
        check(self, context_length=1, start=("words", "coop"), views=2, kept=1.0, tuning_steps=1)
        check_words(self.words, self.context_length)

    @property
    def needs_labels(self) -> bool:
        return self.start == "coop"

    def init(self, task: Task, rng: torch.Generator) -> Params:
        return {"context": context(task, rng, self.context_length, self.words)}

    def recipe(self, task: Task) -> Recipe | None:
        coop = CoOp(context_length=self.context_length, words=self.words, epochs=self.epochs)
        return coop.recipe(task) if self.start == "coop" else None

    def text(self, params: Params, task: Task) -> Tensor:
        return task.backbone.encode_context(task.prompts(self.context_length), params["context"])

    def adapt_loss(self, params: Params, views: Batch, task: Task) -> Tensor:
        return entropy_of_mean(self.forward(params, views, task).logits)
