"""TFUP: a cache of likely and typical unlabelled images votes beside zero-shot CLIP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from promptgrid.contract.clip import Axes, Classifier, Number, Params, Task, knob
from promptgrid.contract.clip.method import Kind
from promptgrid.tracks.image.methods.parts.described import raw_mean
from promptgrid.tracks.image.methods.parts.pseudo import pool, unseen_from
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.typical import cache_of, images_each, likely_classes, typical, votes


@dataclass(frozen=True)
class TFUP(Classifier):
    """TFUP: unlabelled images that are likely for a class and typical of its likely ones vote beside zero-shot CLIP.

    Source: section "training-free unsupervised prompt" of the paper; wlb12345/TFUP d95d4d3 (``utils.py``, ``main.py``).
    Texts W: the mean of the raw features of each class's descriptions. Of the 2 S images with the highest
    softmax(10 f̂ Ŵ) for a class, the S that are nearest to the others by Kullback-Leibler divergence of that softmax are
    its keys, S = 0.3 |U| / C, between 9 and 16. logits = s f̂ Ŵ + alpha exp(-beta (1 - (f̂ K̂) sim)) V,
    sim = 2 - 2 minmax over the keys of KL(image, key); alpha .3, beta 1. Learns nothing by descent.
    Deviations: the pool are training images and others are scored (the original's pool is the test set itself, or
    DomainNet's train split); the z-score in front of the original's minmax changes nothing and is left out; s is the
    backbone's; fp32.
    """

    name: ClassVar[str] = "tfup"
    kind: ClassVar[Kind] = "cache"
    paper: ClassVar[str] = "Training-Free Unsupervised Prompt, 2024, arXiv:2404.16339"
    axes: ClassVar = Axes("cache", "head", supervision="unlabelled", stage="training_free", access="features")
    needs: ClassVar[frozenset[str]] = frozenset({"descriptions", "unlabelled"})
    frozen: ClassVar[frozenset[str]] = frozenset({"keys", "values"})

    alpha: Number = knob(0.3, low=0.0, high=50.0)
    beta: Number = knob(1.0, low=0.1, high=50.0)

    def __post_init__(self) -> None:
        check(self)

    @property
    def open_vocabulary(self) -> bool:
        return False

    def init(self, task: Task, rng: torch.Generator) -> Params:
        images = pool(task)
        each = min(16, images_each(task, 0.3, len(images)))
        rows, labels = typical(likely_classes(images, raw_mean(task)), each, unseen_from(task))
        return cache_of(images, rows, labels, len(task.classes))

    def text(self, params: Params, task: Task) -> Tensor:
        return raw_mean(task)

    def head(self, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
        return super().head(params, image, text, task) + self.alpha * votes(params, image, text, self.beta)
