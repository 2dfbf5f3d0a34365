"""GRAM: a prompt learner that starts from a meta-learned context and has its gradients regulated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from promptgrid.contract.clip import Axes, Classifier, Number, Outputs, Params, Recipe, Task, Trained, knob
from promptgrid.contract.policies import Policy
from promptgrid.tracks.image.methods.coop import CoOp
from promptgrid.tracks.image.methods.kgcoop import KgCoOp
from promptgrid.tracks.image.methods.mvlpt_coop import MultitaskCoOp
from promptgrid.tracks.image.methods.parts.gradient_map import Meta, meta_learned, regulated
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import check_words
from promptgrid.tracks.image.methods.parts.told import told
from promptgrid.tracks.image.methods.prograd import ProGrad

HOSTS: dict[str, type[Trained]] = {"coop": CoOp, "kgcoop": KgCoOp, "prograd": ProGrad, "mvlpt_coop": MultitaskCoOp}
OWN = ("context_length", "words", "epochs", "learning_rate", "weight_decay", "class_specific", "from_template")
"""What GRAM says in the host's place: its own settings, and where the context starts."""


@dataclass(frozen=True)
class GRAM(Classifier):
    """GRAM: where a context starts and a map of its gradients, meta-learned from captions, for a ``host`` to use. A
    host is a built-in method that learns one text context from labelled images and nothing else: CoOp, KgCoOp, ProGrad,
    MVLPT-CoOp; its text, losses, step policy, batch and epochs are its own. Not one: with other parameters beside the
    context (CoCoOp, PRE, MaPLe) the meta-learned words would enter the tower changed by what is random, and methods of
    a pool or of test time have no labelled step to regulate. The meta-stage sees captions and no dataset, so it is no
    cell, which would be of one, but a computation that hosts, rates, shots and seeds share: once a process for each
    backbone, pairs, its settings and ``meta_seed``, its only source of chance.

    Source: Li et al., the abstract alone; this is our reading of it, no code is public.
    Meta-stage: captions are clustered as ``families`` of two sibling clusters, by their features and those of their
    images. Each of ``meta_steps`` draws a family, ``ways`` captions of each sibling and an image of each caption. One
    sibling supports, the other one asks: V' = V - ``inner_rate`` M(g), g the gradient of the support's cross-entropy
    between captions behind [V]; then V and M descend the other's cross-entropy at V', first order (SGD .002, momentum
    .9; M by Adam .001). M(g) = g (1 + tanh(U relu(D g/|g|))), token by token, D: d_t to d_t / 16, U = 0 at first, so
    that M starts as the identity. Then the host learns from the few labelled images as ever, but from V, and descending
    M(g), g what its step policy leaves, with M held. Its other settings are told it by ``host_settings``, as
    ``strength=4; position=middle``; ``epochs = 0`` are its own. Learns 2,048 numbers on ViT-B/16; 32,768 of M are
    learned in the meta-stage and then frozen.
    Deviations: all that the abstract leaves open, listed in the card; fp32.
    """

    name: ClassVar[str] = "gram"
    kind: ClassVar = "text"
    paper: ClassVar[str] = "Li et al., ICCV 2023, arXiv:2303.06571"
    axes: ClassVar = Axes(
        "context", "text", supervision="pairs", stage="pre_training", prompt="soft_tuning", design="objective"
    )
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens", "image_text_pairs"})
    frozen: ClassVar[frozenset[str]] = frozenset({"down", "up"})

    host: str = "coop"
    host_settings: str = ""
    context_length: int = 4
    words: str = "a photo of a"
    meta_steps: int = 100
    ways: int = 8
    reduction: int = 16
    meta_seed: int = 1
    inner_rate: Number = knob(0.1, low=0.0, high=10.0)
    meta_rate: Number = knob(0.002, low=0.0, high=1.0)
    learning_rate: Number = knob(0.002, low=1e-5, high=1.0, log=True)
    weight_decay: Number = knob(5e-4, low=0.0, high=0.1)
    epochs: int = 0

    def __post_init__(self) -> None:
        check(self, context_length=1, ways=2, reduction=1)
        check_words(self.words, self.context_length)
        _ = self._hosted

    @property
    def _hosted(self) -> Trained:
        own = self.context_length, self.words, self.epochs
        return _host(self.host, self.host_settings, *own)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        rates = float(self.inner_rate), float(self.meta_rate)
        return meta_learned(task, Meta(self.meta_steps, self.ways, *rates, self.context_length, self.words,
                                       self.reduction, self.meta_seed))  # fmt: skip

    def recipe(self, task: Task) -> Recipe | None:
        host = replace(self._hosted, learning_rate=self.learning_rate, weight_decay=self.weight_decay)
        return host.recipe(task)

    def text(self, params: Params, task: Task) -> Tensor:
        return self._hosted.text(params, task)

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        return self._hosted.losses(params, out, labels, task)

    def step(self, task: Task) -> Policy | None:
        return self._hosted.step(task)

    def regulate(self, params: Params, grads: Params, task: Task) -> Params:
        return {"context": regulated(params, grads["context"])}


@lru_cache(maxsize=64)
def _host(name: str, more: str, context_length: int, words: str, epochs: int) -> Trained:
    if name not in HOSTS:
        raise ValueError(f"host: got {name!r}, expected one of {', '.join(HOSTS)}: methods that learn one text context "
                         "from labelled images and nothing else")  # fmt: skip
    kind = HOSTS[name]
    own: dict[str, int | str] = {"context_length": context_length, "words": words, "from_template": False}
    if epochs:
        own["epochs"] = epochs
    settings = told(kind, more, "host_settings", OWN)
    return kind(**settings | {key: value for key, value in own.items() if key in kind.defaults()})
