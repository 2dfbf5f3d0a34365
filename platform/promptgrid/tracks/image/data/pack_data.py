"""The images of a pack's cells: features, pixels and training sets of one dataset, each looked up once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Any, cast

import torch
from pydantic import JsonValue
from torch import Tensor

from promptgrid.contract.clip import Backbone, Cache, Chosen, Classifier, Dataset, Labelled, Method, Params, Split, Task
from promptgrid.contract.clip.black_box import INSIDE_IMAGES, face_of
from promptgrid.contract.clip.method import adaptation_of
from promptgrid.contract.columns import ColumnSource, Show, Table, Views
from promptgrid.contract.task import Task as AnyTask
from promptgrid.engine.data import Opened, PackData, Prepared, Progress, scoring_columns, training_columns
from promptgrid.engine.feature_tables import Alive, quietly
from promptgrid.engine.training.sampling import TrainingSet
from promptgrid.spec import Cell
from promptgrid.tracks.image.data.adapting import adapted_logits
from promptgrid.tracks.image.data.assets import assets_of
from promptgrid.tracks.image.data.features import VIEWS_A_BLOCK, feature_table, view_features
from promptgrid.tracks.image.data.kept import about
from promptgrid.tracks.image.data.pixels import read_pixels
from promptgrid.tracks.image.data.test_views import looks_of
from promptgrid.tracks.image.data.views import ImageViews, read_views
from promptgrid.tracks.image.pairs import PairPool

CHUNK_INSIDE_TOWER = 64


@dataclass(frozen=True)
class Drawn:
    """Which images are trained on, and how they are looked at.

    Attributes:
        indices: of the dataset, training images.
        views: that each has.
        labelled: how many of them, the first ones, are no images of the pool; None where there is no pool.
        pixels: (N, 3, size, size) uint8, where they are at hand.
    """

    indices: tuple[int, ...]
    views: ImageViews
    labelled: int | None = None
    pixels: Tensor | None = None

    @property
    def pooled(self) -> bool:
        """Whether some of the images are of an unlabelled pool."""
        return self.labelled is not None


@dataclass(frozen=True)
class Looking:
    """What looks at the images of a pack, and where what is seen is kept.

    Attributes:
        backbone: frozen.
        model: what its digest is of, to be kept beside what is learned on it.
        cache: of features.
        columns: what a batch can hold.
        second: a second backbone, for methods that need one.
        pairs: images with captions, for methods that need such.
        alive: hears of every few images encoded.
    """

    backbone: Backbone
    cache: Cache
    columns: Sequence[ColumnSource]
    model: Mapping[str, Any] = field(default_factory=dict)
    second: Backbone | None = None
    pairs: Callable[[], PairPool] | None = None
    alive: Alive = quietly


class ImageData(PackData):
    """Features, pixels and training sets of one dataset, each looked up once."""

    def __init__(self, opened: Opened, looking: Looking) -> None:
        super().__init__(opened)
        self.looking, self.backbone = looking, looking.backbone
        self.inside_image_tower = bool(INSIDE_IMAGES & opened.method.needs)
        self.asked_plainly = self.black_box = "logits" in opened.method.needs
        self.chunk = CHUNK_INSIDE_TOWER if self.inside_image_tower else PackData.chunk
        self.features = lru_cache(maxsize=256)(self._features)
        self.pixels = lru_cache(maxsize=1)(self._pixels)
        self._pools: dict[tuple[int, ...], Tensor] = {}
        self._training = lru_cache(maxsize=256)(self._training_set)

    def clear(self) -> None:
        super().clear()
        for looked_up in (self.features, self.pixels, self._training):
            looked_up.cache_clear()
        self._pools.clear()

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

    def labelled(self, split: str, indices: tuple[int, ...], classes: tuple[int, ...]) -> Labelled:
        """Frozen features and labels of ``indices``, as positions in ``classes``."""
        return Labelled(self.features(split, indices), self.labels(indices, classes))

    def given(self, features: Tensor) -> Tensor:
        """What the method is given of ``features`` (..., width) of the backbone: of a black box no column."""
        return features[..., :0] if self.black_box else features

    def table_of(
        self, backbone: Backbone, split: str, indices: Sequence[int], dataset: Dataset | None = None
    ) -> Tensor:
        """(N, width) features of images of one split through ``backbone``, on the device.

        Raises:
            DamagedData: an image cannot be read.
        """
        own = dataset if dataset is not None else self.opened.dataset
        table = feature_table(own, split, indices, backbone, self.looking.cache, self.looking.alive)
        return table.take(indices).to(self.device)

    def second_features(self, split: str, indices: Sequence[int]) -> Tensor | None:
        """(N, second width) features of the second backbone; None for methods that look through one."""
        second = self.looking.second
        return None if second is None or not indices else self.table_of(second, split, indices)

    def view_features(self, drawn: Drawn, first: int, last: int) -> Tensor:
        """(V, N, width) features of views ``first`` to ``last`` (not included) of the images that are trained on."""
        if self.black_box:
            return torch.zeros(last - first, len(drawn.indices), 0, device=self.device)
        wanted, rows = _distinct(drawn)
        found = self._seen_views(wanted, drawn.views, first, last)
        return found if rows is None else found[:, rows]

    def looked_at(self, drawn: Drawn, show: Show, *, kept: bool = False) -> Views:
        """The images that are trained on, as uint8 pixels of the views, and what ``show`` makes of them."""
        if drawn.views.count:
            return Views(partial(self._view_pixels, drawn), show, kept)
        pixels = drawn.pixels if drawn.pixels is not None else self.pixels("train", drawn.indices)
        return Views.still(pixels, show, kept=kept)

    def _view_pixels(self, drawn: Drawn, first: int, last: int) -> Tensor:
        wanted, rows = _distinct(drawn)
        found = read_views(self.opened.dataset, wanted, drawn.views, first, last, self.backbone.preprocessing)
        return found if rows is None else found[:, rows]

    def _features(self, split: str, indices: tuple[int, ...]) -> Tensor:
        if not indices:
            return torch.zeros(0, self.backbone.width, device=self.device)
        return self.given(self.table_of(self.backbone, split, indices))

    def pool_pixels(self, indices: tuple[int, ...]) -> Tensor:
        """(M, 3, size, size) uint8 images of an unlabelled pool, which rounds look at again: read once a pack."""
        if indices not in self._pools:
            self._pools[indices] = read_pixels(self.opened.dataset, indices, self.backbone.preprocessing)
        return self._pools[indices]

    def _pixels(self, split: str, indices: tuple[int, ...]) -> Tensor:
        """(N, 3, size, size) uint8."""
        if indices in self._pools:
            return self._pools[indices]
        return read_pixels(self.opened.dataset, indices, self.backbone.preprocessing)

    def _training_set(self, indices: tuple[int, ...], classes: tuple[int, ...], views: ImageViews) -> TrainingSet:
        dataset = self.opened.dataset
        tasks = torch.tensor([dataset.tasks[dataset.labels[index]] for index in indices]) if dataset.tasks else None
        columns = training_columns(self, Drawn(indices, views), self.looking.columns, self.method)
        return TrainingSet(self.labels(indices, classes), columns, views.drawn_from, tasks)

    def _whole_validation(self, split: Split) -> Labelled:
        """Every validation image that the dataset has of the classes of ``split``."""
        dataset, known = self.opened.dataset, set(split.classes)
        own = tuple(index for index in dataset.splits["val"] if dataset.labels[index] in known)
        return self.labelled("val", own, split.classes)

    def _augmented(self, indices: tuple[int, ...], views: ImageViews) -> Tensor:
        """(V, N, width) features of the views of ``indices``; of ``online`` those of the first epochs."""
        return self.given(self._seen_views(indices, views, 0, views.drawn_from or VIEWS_A_BLOCK))

    def _seen_views(self, indices: Sequence[int], views: ImageViews, first: int, last: int) -> Tensor:
        own, looking = self.opened.dataset, self.looking
        found = view_features(own, indices, views, first, last, looking.backbone, looking.cache, looking.alive)
        return found.to(self.device)

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


def _distinct(drawn: Drawn) -> tuple[tuple[int, ...], list[int] | None]:
    """The images to look at, each once, and where each drawn one stands among them; None: they stand as drawn.

    Images of a pool come in any order and number: whoever asks for the same set looks at the same views.
    """
    if not drawn.pooled:
        return drawn.indices, None
    wanted = tuple(sorted(set(drawn.indices)))
    place = {index: row for row, index in enumerate(wanted)}
    return wanted, [place[index] for index in drawn.indices]
