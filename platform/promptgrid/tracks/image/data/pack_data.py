"""The images of a pack's cells: features, pixels and training sets of one dataset, each looked up once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, cast

import torch
from pydantic import JsonValue
from torch import Tensor

from promptgrid.contract.clip import Backbone, Chosen, Classifier, Dataset, Labelled, Method, Params, Split, Task
from promptgrid.contract.clip.black_box import face_of
from promptgrid.contract.clip.method import adaptation_of
from promptgrid.contract.columns import Table
from promptgrid.contract.task import Task as AnyTask
from promptgrid.engine.data import Opened, Prepared, Progress, scoring_columns, training_columns
from promptgrid.engine.training.sampling import TrainingSet
from promptgrid.spec import Cell
from promptgrid.towers.clip.kept import about
from promptgrid.tracks.image.data.adapting import adapted_logits
from promptgrid.tracks.image.data.assets import assets_of
from promptgrid.tracks.image.data.features import VIEWS_A_BLOCK
from promptgrid.tracks.image.data.pixels import read_pixels
from promptgrid.tracks.image.data.tables import Drawn, ImageTables, Looking
from promptgrid.tracks.image.data.test_views import looks_of
from promptgrid.tracks.image.data.views import ImageViews


class ImageData(ImageTables):
    """Tasks and training sets of one dataset."""

    def __init__(self, opened: Opened, looking: Looking) -> None:
        super().__init__(opened, looking)
        self._training = lru_cache(maxsize=256)(self._training_set)

    def clear(self) -> None:
        super().clear()
        self._training.cache_clear()

    def task(self, cell: Cell) -> Task:
        return task_of(self.opened.dataset, self.split(cell), self.backbone, cell.shots, self.build(cell))

    def task_with_examples(self, cell: Cell) -> Task:
        split, views = self.split(cell), self._views(cell)
        labels, dataset, how = self.labels(split.train, split.classes), self.opened.dataset, self.backbone.preprocessing
        train = Labelled(
            self.features("train", split.train),
            labels,
            augmented=(lambda: self._augmented(split.train, views)) if views.count else None,
            pixels=(lambda: read_pixels(dataset, split.train, how)) if self.inside_image_tower else None,
        )
        val = None
        if split.val:
            held = self.labelled("val", split.val, split.classes)
            val = replace(held, whole=lambda: self._whole_validation(split))
        own = assets_of(self.build(cell), split, self)
        return self.task(cell).but(support=train if split.train else None, validation=val, **own)

    def training_set(self, cell: Cell) -> TrainingSet:
        split = self.split(cell)
        return self._training(split.train, split.classes, self._views(cell))

    def pooled(self, ready: Prepared, chosen: Chosen) -> TrainingSet:
        task, split, pool = ready.task, ready.split, chosen.positions.tolist()
        shots = split.train if ready.method.with_labelled else ()
        if task.unlabelled is None:
            raise ValueError(f"method {ready.method.name!r} trains on a pool that it does not name in `needs`")
        indices = shots + tuple(split.unlabelled[position] for position in pool)
        labels = torch.cat([self.labels(shots, split.classes), chosen.labels.to(self.device)])
        views, pixels, held = self._views(ready.cell), None, task.given.get("unlabelled_pixels")
        if held is not None:
            own = [self.pixels("train", shots)] if shots else []
            pixels = torch.cat([*own, held[pool]])
        drawn = Drawn(indices, views, len(shots), pixels)
        columns = training_columns(self, drawn, self.looking.columns, self.method)
        return TrainingSet(labels, columns, views.drawn_from, mixture=(len(shots), len(pool)))

    def rebound(self, ready: Prepared, classes: Sequence[int]) -> Task:
        return cast(Task, ready.task).without_examples().but(**_spoken(self.opened.dataset, classes))

    def columns(self, split: str, indices: tuple[int, ...]) -> Mapping[str, Table]:
        return scoring_columns(self, split, indices, self.looking.columns, self.method)

    def answers(
        self, ready: Prepared, params: Params, task: AnyTask, split: str, indices: tuple[int, ...], progress: Progress
    ) -> Tensor:
        plan = adaptation_of(ready.method)
        if plan is None:
            return super().answers(ready, params, task, split, indices, progress)
        looks = looks_of(self, plan, indices, self.features(split, indices))
        return adapted_logits(cast(Classifier, ready.method), params, cast(Task, task), looks, progress)

    def about(self, ready: Prepared) -> Mapping[str, JsonValue]:
        return about(self.task(ready.cell), self.opened.dataset.card, self.looking.model)

    def _training_set(self, indices: tuple[int, ...], classes: tuple[int, ...], views: ImageViews) -> TrainingSet:
        dataset = self.opened.dataset
        tasks = torch.tensor([dataset.tasks[dataset.labels[index]] for index in indices]) if dataset.tasks else None
        columns = training_columns(self, Drawn(indices, views), self.looking.columns, self.method)
        return TrainingSet(self.labels(indices, classes), columns, views.drawn_from, tasks)

    def _whole_validation(self, split: Split) -> Labelled:
        """Every image that the dataset keeps to validate, of the classes of ``split``."""
        dataset, known = self.opened.dataset, set(split.classes)
        kept = dataset.splits["val"] if self.home_of("val") == "val" else split.val
        own = tuple(index for index in kept if dataset.labels[index] in known)
        return self.labelled("val", own, split.classes)

    def _augmented(self, indices: tuple[int, ...], views: ImageViews) -> Tensor:
        """(V, N, width) features of the views of ``indices``; of ``online`` those of the first epochs."""
        return self.given(self._seen_views(indices, views, 0, views.drawn_from or VIEWS_A_BLOCK))

    def _views(self, cell: Cell) -> ImageViews:
        return ImageViews.of(cell, self.opened.dataset)


def task_of(dataset: Dataset, split: Split, backbone: Backbone, shots: int, method: Method | None = None) -> Task:
    """The task of learning the classes of ``split``, without its images, with the words that ``method`` needs."""
    card = dataset.card
    own: dict[str, Any] = {}
    if method and "descriptions" in method.assets:
        own["descriptions"] = dataset.descriptions
    if method and "unlabelled" in method.assets:
        own["seen"] = len(split.classes)
    spoken = _spoken(dataset, split.known_to(method) if method else split.classes)
    face = face_of(method, backbone) if method else backbone
    return Task.of(card.name, spoken.pop("classes"), card.template, face, shots=shots, **spoken, **own)


def _spoken(dataset: Dataset, classes: Sequence[int]) -> dict[str, Any]:
    """Names of ``classes``, and in datasets of several tasks whose they are and how each is spoken of."""
    return {
        "classes": tuple(dataset.card.classes[label] for label in classes),
        "task_of_class": tuple(dataset.tasks[label] for label in classes) if dataset.tasks else (),
        "templates": tuple(dataset.templates[label] for label in classes) if dataset.templates else (),
    }
