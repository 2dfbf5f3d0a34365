"""A way to adapt a frozen backbone to a task, written for ONE cell; the engine runs the many."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.adaptation import Adaptation
from promptgrid.contract.assets import ASSETS
from promptgrid.contract.policies import Policy
from promptgrid.contract.recipe import SGD, Batches, Number, Recipe
from promptgrid.contract.task import Batch, Chosen, Labelled, Task
from promptgrid.contract.taxonomy import Axes

Params = dict[str, Tensor]
Kind = Literal["zero-shot", "text", "vision", "multimodal", "weights", "head", "cache"]
View = Literal["moco", "augmix", "centre"]
"""Of a training image: anew at every step, as MoCo v3 or AugMix changes it; or its centre crop, as it is tested."""


@dataclass(frozen=True)
class Knob:
    """Range and scale of a setting that changes numbers only."""

    low: float
    high: float
    log: bool = False


def knob(default: float, *, low: float, high: float, log: bool = False) -> Any:
    """A field that changes numbers, never shapes: cells that differ in it share a pack, and a search may vary it."""
    return field(default=default, metadata={"knob": Knob(low, high, log)})


class Outputs(NamedTuple):
    """One forward pass: image (B, width) and text (C, width) features as the method made them, logits (B, C).

    ``batch`` is what was looked at: its ``features`` are what the frozen tower makes of the same views.
    """

    image: Tensor
    text: Tensor
    logits: Tensor
    batch: Batch | None = None


@dataclass(frozen=True)
class Method(ABC):
    """The contract of a method. Override what differs from "cosine similarity of frozen features".

    Fields are settings: a plain field changes shapes or control flow, a :func:`knob` only numbers. All hooks are
    pure functions of their arguments, written for one cell; inside them a knob may be a scalar tensor. ``needs`` names
    what the backbone must offer, and assets (:mod:`promptgrid.contract.assets`).

    A method that trains on the unlabelled pool says by ``draws`` in how many rounds and on how many images, and by
    ``relabel`` on which; ``with_labelled``: labelled images, where there are any, stand beside them; ``afresh``:
    parameters are drawn anew for every round instead of trained on. One that learns from labelled images in several
    ``stages`` has a recipe, a step policy and losses for each, by ``task.turn``; what a stage learned the next starts
    from. ``beside`` names views of each training image that stand in a batch beside the one it is learned from, for
    methods that need ``vision_blocks``. ``texts_per_image``: every image is scored against class texts of its own,
    which is what such a method costs. ``joint``: an image's scores depend on those that are scored with it, so that
    only a protocol takes the method that is ``joint`` too.
    """

    name: ClassVar[str]
    kind: ClassVar[Kind]
    paper: ClassVar[str] = ""
    axes: ClassVar[Axes | None] = None
    needs: ClassVar[frozenset[str]] = frozenset()
    packs: ClassVar[bool] = True
    frozen: ClassVar[frozenset[str]] = frozenset()
    zero_shot_at_start: ClassVar[bool] = False
    with_labelled: ClassVar[bool] = False
    afresh: ClassVar[bool] = False
    stages: ClassVar[int] = 1
    beside: ClassVar[tuple[View, ...]] = ()
    texts_per_image: ClassVar[bool] = False
    joint: ClassVar[bool] = False

    @property
    def open_vocabulary(self) -> bool:
        """Whether what was learned applies to classes it was not trained on."""
        return True

    @property
    def needs_labels(self) -> bool:
        """Whether it cannot do without labelled images; override where it can learn with and without."""
        if self.axes is None:
            return self.kind != "zero-shot"
        return self.axes.supervision not in ("none", "unlabelled")

    @property
    def assets(self) -> frozenset[str]:
        """The assets among ``needs``. Override where a setting puts something in the place of one."""
        return self.needs & ASSETS.keys()

    @abstractmethod
    def init(self, task: Task, rng: torch.Generator) -> Params:
        """Parameters of one cell, float32, drawn from ``rng`` only. Those named in ``frozen`` are kept, not trained."""

    def recipe(self, task: Task) -> Recipe | None:
        """How to fit the parameters; None when there is nothing to fit by descent.

        Read from the settings and from the task's names, classes and shots only: the planner asks too, before any
        backbone is loaded.
        """
        return None

    def text(self, params: Params, task: Task) -> Tensor:
        """(C, width) text features, not necessarily normalised. Called once per step, once per evaluation."""
        return task.text

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        """(B, width) image features, not necessarily normalised, each of its own image alone."""
        return batch.features

    def head(self, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
        """(B, C) logits from image and text features: scaled cosine similarity."""
        return task.scale * F.normalize(image, dim=-1) @ F.normalize(text, dim=-1).mT

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        """Named scalar losses of one batch; the step policy says what is done with them."""
        return {"cross_entropy": F.cross_entropy(out.logits, labels)}

    def step(self, task: Task) -> Policy | None:
        """The step policy: None descends the sum of the losses.

        Of methods that need ``logits`` the planner asks too, before any backbone or task is known.
        """
        return None

    def regulate(self, params: Params, grads: Params, task: Task) -> Params:
        """What is descended in the place of ``grads``, the gradients of what is trained, after the step policy."""
        return grads

    def track(self, params: Params, batch: Batch, task: Task) -> Params:
        """New values of those ``frozen`` parameters that follow the batches (running statistics), before each step.

        Where the step policy asks for losses around the parameters, behind each of them instead, with its parameters.
        """
        return {}

    def draws(self, task: Task, pool: int) -> tuple[int, ...]:
        """On how many of ``pool`` unlabelled images each round trains; no rounds: on labelled images alone.

        Read from what :meth:`recipe` is read from. Only a method that does not pack may then choose fewer images.
        """
        return ()

    def relabel(self, task: Task, logits: Tensor | None) -> Chosen:
        """The images of the pool that round ``task.turn`` trains on, with labels.

        Args:
            task: with ``unlabelled``.
            logits: (M, C) what the round before has learned to say of the pool; None in the first round.
        """
        raise NotImplementedError(f"{self.name} draws from the pool and does not say which images")

    def finish(self, params: Params, task: Task) -> Params:
        """What is kept when training ends (closed forms, a search on validation images). Never packed."""
        return params

    @property
    def adaptation(self) -> Adaptation | None:
        """How it is fitted to each test image by itself; None where it answers as it is. Read from the settings."""
        return None

    def select_views(self, logits: Tensor, views: Batch, task: Task) -> Tensor:
        """(K,) positions of the views to adapt on, chosen once for each test image, before the first step.

        Args:
            logits: (V, C) of the views, by the parameters that adaptation starts from.
            views: all V of one image, the centre crop first.
            task: with the classes to choose between.
        """
        return torch.arange(len(logits), device=logits.device)

    def adapt_loss(self, params: Params, views: Batch, task: Task) -> Tensor:
        """The scalar loss of one test image, from the chosen ``views`` of it. Nobody knows its label."""
        raise NotImplementedError(f"{self.name} adapts to test images and does not say by which loss")

    # Beyond this line: used by the engine, the catalogue and the store; not for overriding.

    def forward(self, params: Params, batch: Batch, task: Task, text: Tensor | None = None) -> Outputs:
        """One pass over ``batch``; ``text`` may carry the text features of an earlier pass."""
        texts = self.text(params, task) if text is None else text
        images = self.image(params, batch, task)
        return Outputs(images, texts, self.head(params, images, texts, task), batch)

    @classmethod
    def knobs(cls) -> dict[str, Knob]:
        """The settings that change numbers only, by name."""
        return {item.name: item.metadata["knob"] for item in fields(cls) if "knob" in item.metadata}

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """Every setting with its default."""
        return {item.name: item.default for item in fields(cls) if item.default is not MISSING}


@dataclass(frozen=True)
class Trained(Method):
    """A method fitted by descent with CoOp's recipe: SGD, momentum 0.9, cosine by epoch after one warm-up epoch.

    ``epochs = 0`` means CoOp's own schedule: 50 epochs for 1 shot, 100 for 2 and 4, 200 for more.
    Source: Zhou et al., IJCV 2022, and Dassl's defaults.
    """

    learning_rate: Number = knob(0.002, low=1e-5, high=1.0, log=True)
    weight_decay: Number = knob(5e-4, low=0.0, high=0.1)
    batch_size: int = 32
    epochs: int = 0

    def recipe(self, task: Task) -> Recipe | None:
        optimizer = SGD(self.learning_rate, self.weight_decay)
        return Recipe(optimizer, self.epochs or coop_epochs(task.shots), Batches(self.batch_size))


def coop_epochs(shots: int) -> int:
    """CoOp's epochs by shots."""
    return 50 if shots <= 1 else 100 if shots <= 4 else 200


def required(examples: Labelled | None, what: str) -> Labelled:
    """``examples``, or a clear error when a task that was rebound to new classes is asked for them."""
    if examples is None:
        raise ValueError(f"this task has no {what}: it was rebound to new classes")
    return examples
