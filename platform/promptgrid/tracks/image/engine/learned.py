"""A learned prompt, adapter or cache, taken from the store to be used again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from promptgrid.contract import Backbone, LogitsOnly, Method, Params, Task
from promptgrid.contract.black_box import INSIDE_IMAGES
from promptgrid.tracks.image.engine.adapting import adapted_logits
from promptgrid.tracks.image.engine.looks import looks_at
from promptgrid.tracks.image.engine.pixels import centre_crop
from promptgrid.tracks.image.engine.scoring import logits_of


@dataclass(frozen=True)
class LearnedMethod:
    """What one cell learned, ready to classify images.

    >>> learned = promptgrid.load_method(record)          # doctest: +SKIP
    >>> learned.classify(["cat.png", "dog.png"])          # doctest: +SKIP
    ['cat', 'dog']
    """

    method: Method
    params: Params
    task: Task
    second: Backbone | None = None

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

    def logits(self, images: Sequence[Image.Image | str | Path]) -> Tensor:
        """(N, classes) logits of ``images`` (PIL images or paths)."""
        plan, inside = self.method.adaptation, bool(INSIDE_IMAGES & self.method.needs)
        if plan is not None:
            looks = looks_at([_open(image) for image in images], plan, self.task.backbone, inside)
            return adapted_logits(self.method, self.params, self.task, looks)
        size = self.task.backbone.image_size
        pixels = torch.stack([centre_crop(_open(image), size) for image in images])
        closed = isinstance(self.task.backbone, LogitsOnly)
        features, second = torch.zeros(len(pixels), 0) if closed else self.task.backbone.encode_pixels(pixels), None
        if self.second is not None:
            own = [centre_crop(_open(image), self.second.image_size) for image in images]
            second = self.second.encode_pixels(torch.stack(own))
        return logits_of(self.method, self.params, self.task, features, pixels if inside else None, second)

    def classify(self, images: Sequence[Image.Image | str | Path]) -> list[str]:
        """The most likely class name of each image."""
        return [self.classes[int(best)] for best in self.logits(images).argmax(1)]


def _open(image: Image.Image | str | Path) -> Image.Image:
    return image.convert("RGB") if isinstance(image, Image.Image) else Image.open(image).convert("RGB")
