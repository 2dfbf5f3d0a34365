"""A learned prompt, adapter or cache, taken from the store to be used again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from PIL import Image
from torch import Tensor

from promptgrid.contract.clip import Backbone, Classifier, LogitsOnly, Params, Task
from promptgrid.contract.clip.black_box import INSIDE_IMAGES
from promptgrid.contract.columns import Table
from promptgrid.engine.data import PackData
from promptgrid.engine.scoring import answers_of
from promptgrid.tracks.image.data.adapting import adapted_logits
from promptgrid.tracks.image.data.given import Images, given_images
from promptgrid.tracks.image.data.pack_data import CHUNK_INSIDE_TOWER
from promptgrid.tracks.image.data.pixels import prepared
from promptgrid.tracks.image.data.test_views import looks_at

TOGETHER = 256
"""Images that are in memory at once."""


@dataclass(frozen=True, repr=False)
class Answer:
    """What one image is taken for.

    Attributes:
        image: its path, or its place among those given.
        name: the most likely class.
        score: its probability, by softmax of the logits.
        ranked: every class with its probability, the likeliest first.
    """

    image: str
    name: str
    score: float
    ranked: tuple[tuple[str, float], ...]

    def __repr__(self) -> str:
        return f"Answer({self.image!r}: {self.name!r}, {self.score:.3f})"


@dataclass(frozen=True, repr=False)
class LearnedMethod:
    """What one cell learned, ready to classify images.

    >>> learned = promptgrid.load_method(record)          # doctest: +SKIP
    >>> learned.classify("cat.png")                       # doctest: +SKIP
    Answer('cat.png': 'cat', 0.973)
    >>> learned.classify(["cat.png", "dog.png"])[1].name  # doctest: +SKIP
    'dog'
    """

    method: Classifier
    params: Params
    task: Task
    second: Backbone | None = None
    title: str = ""

    def __repr__(self) -> str:
        return f"LearnedMethod({self.title or self.method.name}: {len(self.classes)} classes)"

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names it chooses between, by column of :meth:`logits`."""
        return self.task.classes

    def rebind(self, classes: Sequence[str]) -> LearnedMethod:
        """The same learned parameters on other classes.

        Raises:
            ValueError: the method learned something about its own classes only.
        """
        if not self.method.open_vocabulary:
            raise ValueError(f"{self.method.name} cannot be used on classes it was not trained on")
        return replace(self, task=replace(self.task, classes=tuple(classes)))

    def logits(self, images: Images) -> Tensor:
        """(N, classes) logits of ``images``, which may be given as to :meth:`classify`."""
        found, _ = given_images(images)
        parts = [found[start : start + TOGETHER] for start in range(0, len(found), TOGETHER)]
        rows = [self._logits([one.read() for one in part]) for part in parts]
        return torch.cat(rows) if rows else torch.zeros(0, len(self.classes))

    def classify(self, images: Images) -> Answer | list[Answer]:
        """What each image is taken for, read as the engine reads it: transparency on white, 16 bits scaled.

        Args:
            images: a path, a PIL image, an array (height, width, channels) or a tensor (channels, height, width): one
                answer. A folder, an array or tensor of many images, or a list of any of these: a list of answers.

        Raises:
            FileNotFoundError, ValueError, TypeError: something given is no image.
            DamagedImage: a file that holds none.
        """
        found, alone = given_images(images)
        answers = []
        for start in range(0, len(found), TOGETHER):
            part = found[start : start + TOGETHER]
            chances = self._logits([one.read() for one in part]).double().softmax(1)
            answers += [self._answer(one.name, row) for one, row in zip(part, chances, strict=True)]
        return answers[0] if alone else answers

    def _answer(self, image: str, chances: Tensor) -> Answer:
        order = chances.argsort(descending=True, stable=True).tolist()
        ranked = tuple((self.classes[place], float(chances[place])) for place in order)
        return Answer(image, *ranked[0], ranked)

    def _logits(self, images: Sequence[Image.Image]) -> Tensor:
        plan, inside = self.method.adaptation, bool(INSIDE_IMAGES & self.method.needs)
        backbone = self.task.backbone
        if plan is not None:
            return adapted_logits(self.method, self.params, self.task, looks_at(images, plan, backbone, inside))
        pixels = torch.stack([prepared(image, backbone.preprocessing) for image in images])
        closed = isinstance(backbone, LogitsOnly)
        features, second = torch.zeros(len(pixels), 0) if closed else backbone.encode_pixels(pixels), None
        if self.second is not None:
            own = [prepared(image, self.second.preprocessing) for image in images]
            second = self.second.encode_pixels(torch.stack(own))
        columns = {"features": Table(features)} | ({} if second is None else {"second": Table(second)})
        if inside and "vision_blocks" in self.method.needs:
            columns["patches"] = Table(pixels, backbone.patches)
        if {"pixels", "logits"} & self.method.needs:
            columns["pixels"] = Table(pixels, backbone.normalised)
        chunk = CHUNK_INSIDE_TOWER if inside else PackData.chunk
        return answers_of(self.method, self.params, self.task, columns, chunk)
