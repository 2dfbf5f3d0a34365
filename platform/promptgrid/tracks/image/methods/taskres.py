"""TaskRes: a learned residual on each class text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import torch
from torch import Tensor

from promptgrid.contract.clip import Adam, Axes, Backbone, Batches, Number, Params, Recipe, Task, Trained, knob
from promptgrid.contract.clip.task import spoken
from promptgrid.tracks.image.methods.parts.published import paper_name, published
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.templates import SEVEN

ALPHAS = {"OxfordFlowers": 1.0}
RATES = {"ImageNet": 2e-4}


@dataclass(frozen=True)
class TaskRes(Trained):
    """TaskRes: class texts plus a learned residual that starts at zero.

    Source: Yu et al., method section; geekyutao/TaskRes 5195359.
    w_c = t_c + alpha * R_c, t_c the text feature of the dataset's template before normalisation (on ImageNet the mean
    with CLIP's 7), with class names as they are written, underscores and all, as the code has it (``underscores:
    spaces`` says spaces instead, as all other methods do). alpha .5 (Flowers 1); Adam .002 (ImageNet .0002), weight
    decay 5e-4, batch 256, 100 epochs up to 4 shots, 200 beyond. Learns C x D numbers; cannot score unseen classes.
    Deviations: the regular base only; the "enhanced base" (a tuned text projection) is not here.
    """

    name: ClassVar[str] = "taskres"
    kind: ClassVar = "head"
    paper: ClassVar[str] = "Yu et al., CVPR 2023, arXiv:2211.10277"
    axes: ClassVar = Axes("class_offsets", "head", access="features")
    frozen: ClassVar[frozenset[str]] = frozenset({"base"})

    alpha: Number = knob(0.5, low=0.0, high=2.0)
    as_published: bool = True
    batch_size: int = 256
    underscores: Literal["kept", "spaces"] = "kept"

    def __post_init__(self) -> None:
        check(self, underscores=("kept", "spaces"))

    @property
    def open_vocabulary(self) -> bool:
        return False

    def init(self, task: Task, rng: torch.Generator) -> Params:
        more = SEVEN if paper_name(task.dataset) == "ImageNet" else ()
        names = task.classes if self.underscores == "kept" else tuple(spoken(task.classes))
        base = _raw_text(task.backbone, names, (*more, task.template))
        return {"base": base, "residual": torch.zeros_like(base)}

    def recipe(self, task: Task) -> Recipe:
        optimizer = Adam(published(self, "learning_rate", RATES, task.dataset), self.weight_decay)
        return Recipe(optimizer, self.epochs or (100 if task.shots <= 4 else 200), Batches(self.batch_size))

    def text(self, params: Params, task: Task) -> Tensor:
        return params["base"] + published(self, "alpha", ALPHAS, task.dataset) * params["residual"]


@lru_cache(maxsize=64)
def _raw_text(backbone: Backbone, names: tuple[str, ...], templates: tuple[str, ...]) -> Tensor:
    """(C, width): the mean over ``templates`` of text features that are not normalised, of ``names`` as they are."""
    return torch.stack([backbone.encode_prompts([each.format(name) for name in names]) for each in templates]).mean(0)
