"""Methods on a frozen dual encoder: class texts and images meet in one space, and a head compares them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip.adaptation import Adaptation
from promptgrid.contract.clip.task import Task
from promptgrid.contract.method import Method, Params, knob, rarely
from promptgrid.contract.recipe import SGD, Batches, Number, Recipe
from promptgrid.contract.task import Batch

Kind = Literal["zero-shot", "text", "vision", "multimodal", "weights", "head", "cache"]
View = Literal["moco", "augmix", "centre"]
"""Of a training image: anew at every step, as MoCo v3 or AugMix changes it; or its centre crop, as it is tested."""


class Outputs(NamedTuple):
    """One forward pass: image (B, width) and text (C, width) features as the method made them, logits (B, C).

    ``batch`` is what was looked at: its ``features`` are what the frozen tower makes of the same views.
    """

    image: Tensor
    text: Tensor
    logits: Tensor
    batch: Batch | None = None


@dataclass(frozen=True)
class Classifier(Method):
    """A method on a dual encoder. Override what differs from "cosine similarity of frozen features".

    Hooks and settings are those of :class:`promptgrid.contract.method.Method`; what is answered is split into
    ``text``, ``image`` and ``head``. ``beside`` names views of each training image that stand in a batch beside the one
    it is learned from, for methods that need ``vision_blocks``. ``texts_per_image``: every image is scored against
    class texts of its own, which is what such a method costs. ``zero_shot_at_start``: untrained it answers as the
    frozen model does.
    """

    kind: ClassVar[Kind]
    zero_shot_at_start: ClassVar[bool] = False
    beside: ClassVar[tuple[View, ...]] = ()
    texts_per_image: ClassVar[bool] = False

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

    def objective(self, params: Params, batch: Batch, task: Task) -> dict[str, Tensor]:
        return self.losses(params, self.forward(params, batch, task), batch.labels, task)

    def once(self, params: Params, task: Task) -> Tensor:
        return self.text(params, task)

    def predict(self, params: Params, batch: Batch, task: Task, once: Tensor | None = None) -> Tensor:
        return self.forward(params, batch, task, once).logits


def adaptation_of(method: Method) -> Adaptation | None:
    """How ``method`` is fitted to each test image; None of one that is not written for dual encoders."""
    return method.adaptation if isinstance(method, Classifier) else None


def beside_of(method: Method | type[Method]) -> tuple[str, ...]:
    """The further views that a step looks at; none of a method that is not written for dual encoders."""
    kind = method if isinstance(method, type) else type(method)
    return kind.beside if issubclass(kind, Classifier) else ()


@dataclass(frozen=True)
class Trained(Classifier):
    """A method fitted by descent with CoOp's recipe: SGD, momentum 0.9, cosine by epoch after one warm-up epoch.

    ``epochs = 0`` means CoOp's own schedule: 50 epochs for 1 shot, 100 for 2 and 4, 200 for more.
    ``loss: sigmoid`` is the loss that SigLIP is pretrained with, in the place of cross-entropy (:func:`sigmoid_loss`).
    Source: Zhou et al., IJCV 2022, and Dassl's defaults.
    """

    learning_rate: Number = knob(0.002, low=1e-5, high=1.0, log=True)
    weight_decay: Number = knob(5e-4, low=0.0, high=0.1)
    batch_size: int = 32
    epochs: int = 0
    loss: Literal["softmax", "sigmoid"] = rarely("softmax")

    def recipe(self, task: Task) -> Recipe | None:
        optimizer = SGD(self.learning_rate, self.weight_decay)
        return Recipe(optimizer, self.epochs or coop_epochs(task.shots), Batches(self.batch_size))

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        if self.loss == "sigmoid":
            return {"sigmoid": sigmoid_loss(out.logits + task.backbone.logit_bias, labels)}
        return super().losses(params, out, labels, task)


def sigmoid_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Every pair of image and class by itself: -log sigmoid(y_ij logit_ij), summed over classes, mean over images.

    Source: SigLIP (Zhai et al., ICCV 2023), equation 1, with the classes as the texts of every image.

    Args:
        logits: (B, C) scaled cosines with the backbone's bias.
        labels: (B,) positions in the classes; y_ij is 1 for the class of an image and -1 for all others.
    """
    own = labels.unsqueeze(-1) == torch.arange(logits.shape[-1], device=logits.device)
    return -F.logsigmoid(torch.where(own, logits, -logits)).sum(-1).mean()


def loss_of(method: Method) -> str:
    """``softmax``, or the loss that a suite chose in its place."""
    return method.loss if isinstance(method, Trained) else "softmax"


def has_own_losses(method: Method) -> bool:
    """Whether ``method`` says itself what is descended, so that no other loss can be chosen."""
    return not isinstance(method, Trained) or type(method).losses is not Trained.losses


def coop_epochs(shots: int) -> int:
    """CoOp's epochs by shots."""
    return 50 if shots <= 1 else 100 if shots <= 4 else 200
