"""A learned prompt, adapter or cache, taken from the store to be used again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from PIL import Image
from torch import Tensor

from promptgrid.contract.clip import Backbone, Classifier, LogitsOnly, Method, Params, Task
from promptgrid.contract.clip.black_box import INSIDE_IMAGES, PATCHES, face_of
from promptgrid.contract.clip.method import adaptation_of
from promptgrid.contract.columns import Table
from promptgrid.engine import learned
from promptgrid.engine.data import PackData
from promptgrid.engine.scoring import answers_of
from promptgrid.towers.clip.kept import task_from
from promptgrid.tracks.image.data.adapting import adapted_logits
from promptgrid.tracks.image.data.given import Images, given_images
from promptgrid.tracks.image.data.pixels import prepared
from promptgrid.tracks.image.data.tables import CHUNK_INSIDE_TOWER
from promptgrid.tracks.image.data.test_views import looks_at


class Answer(learned.Answer):
    """What one image is taken for; ``example`` is its path, or its place among those given."""

    @property
    def image(self) -> str:
        """Its path, or its place among those given."""
        return self.example


@dataclass(frozen=True, repr=False)
class LearnedMethod(learned.Learned):
    """What one cell learned, ready to classify images.

    >>> learned = promptgrid.load_method(record)          # doctest: +SKIP
    >>> learned.classify("cat.png")                       # doctest: +SKIP
    Answer('cat.png': 'cat', 0.973)
    >>> learned.classify(["cat.png", "dog.png"])[1].name  # doctest: +SKIP
    'dog'
    """

    answer_type = Answer

    method: Method
    task: Task
    second: Backbone | None = None

    @classmethod
    def kept(
        cls,
        method: Method,
        params: Params,
        about: Mapping[str, Any],
        backbone: Backbone,
        title: str,
        second: Backbone | None,
    ) -> LearnedMethod:
        """What a record learned: ``params`` of the task that ``about`` tells, on the backbone it was learned on."""
        return cls(method, params, task_from(about, face_of(method, backbone)), title, second)

    def logits(self, images: Images) -> Tensor:
        """(N, classes) logits of ``images``, which may be given as to :meth:`classify`."""
        found, _ = given_images(images)
        return self.rows(found)

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
        answers: list[Answer] = self.answers(found)
        return answers[0] if alone else answers

    def logits_of(self, examples: Sequence[Image.Image]) -> Tensor:
        plan, inside = adaptation_of(self.method), bool(INSIDE_IMAGES & self.method.needs)
        backbone = self.task.backbone
        if plan is not None:
            looks = looks_at(examples, plan, backbone, inside)
            return adapted_logits(cast(Classifier, self.method), self.params, self.task, looks)
        pixels = torch.stack([prepared(image, backbone.preprocessing) for image in examples])
        closed = isinstance(backbone, LogitsOnly)
        features, second = torch.zeros(len(pixels), 0) if closed else backbone.encode_pixels(pixels), None
        if self.second is not None:
            own = [prepared(image, self.second.preprocessing) for image in examples]
            second = self.second.encode_pixels(torch.stack(own))
        columns = {"features": Table(features)} | ({} if second is None else {"second": Table(second)})
        if PATCHES & self.method.needs:
            columns["patches"] = Table(pixels, backbone.patches)
        if {"pixels", "logits"} & self.method.needs:
            columns["pixels"] = Table(pixels, backbone.normalised)
        if "unprojected" in self.method.needs:
            columns["unprojected"] = Table(pixels, backbone.unprojected)
        chunk = CHUNK_INSIDE_TOWER if inside else PackData.chunk
        return answers_of(self.method, self.params, self.task, columns, chunk)
