"""CLAP: a linear probe that starts at the class texts, and is held to each as far as zero-shot trusts that class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import SGD, Axes, Batches, Number, Outputs, Params, Recipe, Task, Trained, knob
from promptgrid.contract.clip.task import spoken
from promptgrid.contract.task import required
from promptgrid.tracks.image.methods.parts.as_written import as_written
from promptgrid.tracks.image.methods.parts.published import paper_name
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.templates import SEVEN


@dataclass(frozen=True)
class CLAP(Trained):
    """CLAP: class-adaptive linear probing; a prototype a class, from its text, with a penalty of each class's own.

    Source: Silva-Rodríguez et al., sections 4.2 and 4.3; jusiro/CLAP 2b18ea4 (``ZS`` with ``l2``).
    Logits are s cos(f, w_c). w_c starts at t_c, the text feature of the dataset's template before normalisation (on
    ImageNet the mean with CLIP's 7), of class names as they are written (``underscores: spaces`` says spaces). What is
    descended is CE + mean_c lambda_c |w_c - t_c|². lambda_c, the multiplier of the augmented Lagrangian, is the mean
    probability that zero-shot gives c on its shots, and stays. ``penalty: none`` is ZS-LP, the same
    probe without it. SGD .1, momentum .9, no weight decay, batch 256, 300 epochs, cosine behind an epoch at 1e-5; no
    validation images. Learns C x D numbers; cannot score unseen classes.
    Deviations: none in the formulas; the original's 20 augmented views of each shot are ``views: 20`` in a suite.
    """

    name: ClassVar[str] = "clap"
    kind: ClassVar = "head"
    paper: ClassVar[str] = "Silva-Rodríguez et al., CVPR 2024, arXiv:2312.12730"
    axes: ClassVar = Axes("classifier", "head", access="features", design="objective")
    frozen: ClassVar[frozenset[str]] = frozenset({"base", "multipliers"})

    learning_rate: Number = knob(0.1, low=1e-5, high=10.0, log=True)
    weight_decay: Number = knob(0.0, low=0.0, high=0.1)
    batch_size: int = 256
    epochs: int = 300
    penalty: Literal["class", "none"] = "class"
    underscores: Literal["kept", "spaces"] = "kept"

    def __post_init__(self) -> None:
        check(self, epochs=1, penalty=("class", "none"), underscores=("kept", "spaces"))

    @property
    def open_vocabulary(self) -> bool:
        return False

    def init(self, task: Task, rng: torch.Generator) -> Params:
        support = required(task.support, "support images")
        more = SEVEN if paper_name(task.dataset) == "ImageNet" else ()
        names = task.classes if self.underscores == "kept" else tuple(spoken(task.classes))
        base = as_written(task.backbone, names, (*more, task.template))
        seen = support.features[None] if support.augmented is None else support.augmented()
        told = self.head({}, seen, base, task).softmax(-1).mean(0)  # (N, C), over the views
        own = F.one_hot(support.labels, len(task.classes)).to(told)
        trust = (told * own).sum(0) / own.sum(0).clamp_min(1.0)
        return {"prototypes": base.clone(), "base": base.clone(), "multipliers": trust}

    def recipe(self, task: Task) -> Recipe:
        return Recipe(SGD(self.learning_rate, self.weight_decay), self.epochs, Batches(self.batch_size))

    def text(self, params: Params, task: Task) -> Tensor:
        return params["prototypes"]

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        found = super().losses(params, out, labels, task)
        if self.penalty == "none":
            return found
        apart = (params["prototypes"] - params["base"]).square().sum(-1)  # (C,)
        return found | {"penalty": (params["multipliers"] * apart).mean()}
