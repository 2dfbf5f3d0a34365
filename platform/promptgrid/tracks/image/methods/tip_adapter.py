"""Tip-Adapter: a cache of the few shots votes beside zero-shot CLIP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Axes, Classifier, Number, Params, Task, knob
from promptgrid.contract.task import required
from promptgrid.tracks.image.methods.parts.published import paper_name, published
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.templates import SEVEN
from promptgrid.tracks.image.methods.parts.votes import best_on, votes
from promptgrid.tracks.image.methods.tables.tip_adapter import ALPHAS, REACH, REACHES


@dataclass(frozen=True)
class TipAdapter(Classifier):
    """Tip-Adapter: the few shots vote by their similarity, beside zero-shot CLIP.

    Source: Zhang et al., method section; gaopengcuhk/Tip-Adapter d0e2d6f.
    logits = 100 f̂ Ŵᵀ + alpha exp(-beta (1 - f̂ Kᵀ)) V.
    K: unit features of the shots, with ``views`` in the suite the normalised mean over the raw features of their
    augmented views (the paper: 10; ``online``: those of the first 10 epochs); V: their one-hot labels, Ŵ: texts of the
    dataset's template (ImageNet: CLIP's 7).
    beta 1, alpha 1.17 (``ALPHAS`` elsewhere). With ``search``, both are then chosen from the original's grid of 200 x
    20 on the dataset's whole validation split, as the code does (``search_on: few``: on the min(shots, 4) images a
    class that other methods choose by); the first of equals wins. Learns nothing by descent; cannot score unseen
    classes.
    Deviations: without ``views`` keys come from the centre crop of each shot; with them crops are CoOp's (8 to 100 % of
    the area), where the original's are larger (50 to 100 %); nothing is chosen on test images (the original does so on
    ImageNet).
    """

    name: ClassVar[str] = "tip_adapter"
    kind: ClassVar = "cache"
    paper: ClassVar[str] = "Zhang et al., ECCV 2022, arXiv:2207.09519"
    axes: ClassVar = Axes("cache", "head", stage="training_free", access="features")
    frozen: ClassVar[frozenset[str]] = frozenset({"keys", "values", "alpha", "beta"})

    alpha: Number = knob(1.17, low=0.0, high=50.0)
    beta: Number = knob(1.0, low=0.1, high=50.0)
    search: bool = True
    search_on: Literal["whole", "few"] = "whole"
    as_published: bool = True

    def __post_init__(self) -> None:
        check(self, search_on=("whole", "few"))

    @property
    def open_vocabulary(self) -> bool:
        return False

    def init(self, task: Task, rng: torch.Generator) -> Params:
        support = required(task.support, "support images")
        keys = F.normalize(support.features.float(), dim=-1)
        if support.augmented is not None:
            keys = F.normalize(support.augmented().float().mean(0), dim=-1)
        values = F.one_hot(support.labels, len(task.classes)).to(keys)
        alpha = torch.as_tensor(published(self, "alpha", ALPHAS, task.dataset)).to(keys)
        return {"keys": keys, "values": values, "alpha": alpha, "beta": torch.as_tensor(self.beta).to(keys)}

    def text(self, params: Params, task: Task) -> Tensor:
        return task.text_of(SEVEN) if paper_name(task.dataset) == "ImageNet" else task.text

    def head(self, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
        zero_shot = super().head(params, image, text, task)
        return zero_shot + params["alpha"] * votes(params, F.normalize(image, dim=-1), params["beta"])

    def finish(self, params: Params, task: Task) -> Params:
        held = task.validation
        if not self.search or held is None or not len(held.labels):
            return params
        if self.search_on == "whole" and held.whole is not None:
            held = held.whole()
        zero_shot = super().head(params, held.features, self.text(params, task), task)
        reach = REACHES.get(paper_name(task.dataset) if self.as_published else "", REACH)
        return params | best_on(held, zero_shot, params, reach)
