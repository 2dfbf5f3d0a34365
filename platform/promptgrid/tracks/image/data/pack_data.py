"""From a cell to its data at hand. What the cells of a pack share is looked up once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from promptgrid.contract import Backbone, Cache, Chosen, Dataset, Labelled, Method, Params, Protocol, Split, Task
from promptgrid.contract.clip.black_box import INSIDE_IMAGES, face_of
from promptgrid.contract.track import Learned, unknown
from promptgrid.spec import Cell
from promptgrid.tracks.image.data.features import VIEWS_A_BLOCK, Alive, feature_table, quietly, view_features
from promptgrid.tracks.image.data.pixels import read_pixels
from promptgrid.tracks.image.data.beside import Beside
from promptgrid.engine.schedule import Schedule
from promptgrid.tracks.image.data.assets import second_features, stocked
from promptgrid.engine.sampling import Album
from promptgrid.tracks.image.data.views import Views, read_views
from promptgrid.tracks.image.pairs import PairPool


@dataclass(frozen=True)
class Bench:
    """What the cells of one pack share: the plug-ins, opened and loaded.

    ``second`` and ``pairs`` are there for methods that need such assets. ``alive`` hears of every few images encoded.
    ``model`` is what the backbone's digest is of, to be kept beside what is learned on it.
    """

    method: type[Method]
    dataset: Dataset
    backbone: Backbone
    protocol: Protocol
    cache: Cache
    device: str
    split_of: Callable[[Cell], Split]
    learned: Learned = unknown
    alive: Alive = quietly
    second: Backbone | None = None
    pairs: Callable[[], PairPool] | None = None
    model: Mapping[str, Any] = field(default_factory=dict)

    @property
    def inside_image_tower(self) -> bool:
        """Whether the image tower takes part in every step, so that images and not their features are looked at."""
        return bool(INSIDE_IMAGES & self.method.needs)

    @property
    def black_box(self) -> bool:
        """Whether the method is given answers alone, and no features."""
        return "logits" in self.method.needs

    def given(self, features: Tensor) -> Tensor:
        """What the method is given of ``features`` (..., width) of the backbone: of a black box no column."""
        return features[..., :0] if self.black_box else features

    @cached_property
    def desk(self) -> Desk:
        """Where the pack's data is looked up."""
        return Desk(self)

    def build(self, cell: Cell) -> Method:
        """The method with the settings of ``cell``."""
        return self.method(**cell.settings)

    def clear(self) -> None:
        """Let go of all that was looked up. Bench and desk know each other, and Python frees such circles late."""
        self.desk.clear()


class Desk:
    """Features, pixels and albums of one dataset, each looked up once."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.labelled = lru_cache(maxsize=256)(self._labelled)
        self.album = lru_cache(maxsize=256)(self._album)
        self.pixels = lru_cache(maxsize=1)(self._pixels)
        self._splits: dict[tuple[int, int, str], Split] = {}

    def clear(self) -> None:
        """Forget everything; the next look computes it again, or finds it in the cache of features."""
        for looked_up in (self.labelled, self.album, self.pixels):
            looked_up.cache_clear()
        self._splits.clear()

    def split(self, cell: Cell) -> Split:
        """What ``cell`` trains on, selects on and is scored on."""
        name = cell.shots, cell.seed, cell.source
        if name not in self._splits:
            self._splits[name] = self.bench.split_of(cell)
        return self._splits[name]

    def _pixels(self, split: str, indices: tuple[int, ...]) -> Tensor | None:
        """(N, 3, size, size) uint8 for methods inside the image tower, None for the others."""
        if not self.bench.inside_image_tower:
            return None
        return read_pixels(self.bench.dataset, indices, self.bench.backbone.preprocessing)

    def _labelled(self, split: str, indices: tuple[int, ...], classes: tuple[int, ...]) -> Labelled:
        position = {label: place for place, label in enumerate(classes)}
        bench = self.bench
        found = [position[bench.dataset.labels[index]] for index in indices]
        labels = torch.tensor(found, dtype=torch.int64, device=bench.device)
        if not indices:
            return Labelled(torch.zeros(0, bench.backbone.width, device=bench.device), labels)
        table = feature_table(bench.dataset, split, indices, bench.backbone, bench.cache, bench.alive)
        return Labelled(bench.given(table.take(indices).to(bench.device)), labels)

    def _album(self, indices: tuple[int, ...], classes: tuple[int, ...], views: Views) -> Album:
        seen = self.labelled("train", indices, classes)
        tasks = torch.tensor(_tasks(self.bench.dataset, indices)) if self.bench.dataset.tasks else None
        second = second_features(self.bench, "train", indices)
        domains, beside = self._domains(indices), self._beside(indices)
        if not views.count:
            pixels = self.pixels("train", indices)
            still = Album.still(seen.features, seen.labels, pixels, tasks, second, domains=domains)
            return replace(still, beside=beside)
        look = partial(self._look, indices, views)
        return Album(seen.labels, look, views.drawn_from, tasks, second, domains=domains, beside=beside)

    def _beside(self, indices: tuple[int, ...], pixels: Tensor | None = None) -> Callable[[Tensor, int], Tensor] | None:
        """The views that the method asks for beside each image; None where it asks for none.

        ``pixels`` (N, 3, height, width) are the images as test images are seen, where those are at hand.
        """
        kinds, how = self.bench.method.beside, self.bench.backbone.preprocessing
        if pixels is not None and kinds == ("centre",):
            return partial(_centred, pixels)
        return Beside(self.bench.dataset, indices, kinds, how) if kinds else None

    def _domains(self, indices: tuple[int, ...]) -> Tensor | None:
        """(N,) which of their domains, in order of name, each image is of; None for methods that do not ask."""
        if "domain_labels" not in self.bench.method.needs:
            return None
        named = [self.bench.dataset.domain_labels[index] for index in indices]
        place = {name: position for position, name in enumerate(sorted(set(named)))}
        return torch.tensor([place[name] for name in named], device=self.bench.device)

    def _look(self, indices: tuple[int, ...], views: Views, first: int, last: int) -> tuple[Tensor, Tensor | None]:
        bench = self.bench
        if bench.black_box:
            features = torch.zeros(last - first, len(indices), 0)
        else:
            features = view_features(
                bench.dataset, indices, views, first, last, bench.backbone, bench.cache, bench.alive
            )
        pixels = None
        if bench.inside_image_tower:
            pixels = read_views(bench.dataset, indices, views, first, last, bench.backbone.preprocessing)
        return features.to(bench.device), pixels

    def pooled(self, ready: Prepared, chosen: Chosen) -> Album:
        """What a method trains on for one round: images of the pool, and labelled ones where it takes them too."""
        task, split, pool = ready.task, ready.split, chosen.positions.tolist()
        shots = split.train if ready.method.with_labelled else ()
        labelled = self.labelled("train", shots, split.classes)
        indices = shots + tuple(split.unlabelled[position] for position in pool)
        if task.unlabelled is None:
            raise ValueError(f"method {ready.method.name!r} trains on a pool that it does not name in `needs`")
        features = torch.cat([labelled.features, task.unlabelled[pool]])
        labels = torch.cat([labelled.labels, chosen.labels.to(labelled.labels)])
        pseudo = torch.arange(len(indices), device=labels.device) >= len(shots)
        second = second_features(self.bench, "train", indices)
        pixels = None
        if task.unlabelled_pixels is not None:
            own = self.pixels("train", shots)
            pixels = torch.cat([task.unlabelled_pixels[:0] if own is None else own, task.unlabelled_pixels[pool]])
        views, beside = Views.of(ready.cell, self.bench.dataset), self._beside(indices, pixels)
        if views.count:
            look = partial(self._look_again, indices, views)
            album = Album(labels, look, views.drawn_from, second=second, pseudo=pseudo, plain=features)
            return replace(album, beside=beside)
        return replace(Album.still(features, labels, pixels, second=second, pseudo=pseudo), beside=beside)

    def _look_again(
        self, indices: tuple[int, ...], views: Views, first: int, last: int
    ) -> tuple[Tensor, Tensor | None]:
        """Views of ``indices`` in any order and number: each image is looked at once, whoever asks for the set."""
        wanted = tuple(sorted(set(indices)))
        place = {index: row for row, index in enumerate(wanted)}
        rows = [place[index] for index in indices]
        features, pixels = self._look(wanted, views, first, last)
        return features[:, rows], None if pixels is None else pixels[:, rows]

    def augmented(self, indices: tuple[int, ...], views: Views) -> Tensor:
        """(V, N, width) features of the views of ``indices``; of ``online`` those of the first epochs."""
        last = views.drawn_from or VIEWS_A_BLOCK
        bench = self.bench
        found = view_features(bench.dataset, indices, views, 0, last, bench.backbone, bench.cache, bench.alive)
        return bench.given(found.to(bench.device))


@dataclass(frozen=True)
class Prepared:
    """One cell with its data at hand; ``carried`` is what it starts from, learned on another dataset."""

    cell: Cell
    split: Split
    method: Method
    task: Task
    album: Album
    carried: Params | None = None

    def rebound(self, bench: Bench, classes: Sequence[int]) -> Task:
        """The task with other classes to choose between, and nothing to learn from."""
        return replace(self.task.without_examples(), **_spoken(bench.dataset, classes))


def prepare(cell: Cell, bench: Bench) -> Prepared:
    """``cell`` with its data.

    Raises:
        DamagedData: one of its training or validation images cannot be read.
        FileNotFoundError: one of them is gone.
    """
    split, carried = bench.desk.split(cell), _carried(cell, bench)
    if cell.reading == "evaluate":
        nothing = Album.still(torch.zeros(0, bench.backbone.width), torch.zeros(0, dtype=torch.int64))
        return Prepared(cell, split, bench.build(cell), bare_task(cell, split, bench), nothing, carried)
    train = bench.desk.labelled("train", split.train, split.classes)
    val = bench.desk.labelled("val", split.val, split.classes) if split.val else None
    if val is not None:
        val = replace(val, whole=lambda: _whole_validation(split, bench))
    views = Views.of(cell, bench.dataset)
    if views.count:
        train = replace(train, augmented=lambda: bench.desk.augmented(split.train, views))
    if bench.inside_image_tower:
        train = replace(train, pixels=lambda: read_pixels(bench.dataset, split.train, bench.backbone.preprocessing))
    method = bench.build(cell)
    own = stocked(method, split, bench)
    task = replace(bare_task(cell, split, bench), support=train if split.train else None, validation=val, **own)
    return Prepared(cell, split, method, task, bench.desk.album(split.train, split.classes, views), carried)


def _whole_validation(split: Split, bench: Bench) -> Labelled:
    """Every validation image that the dataset has of the classes of ``split``."""
    dataset, known = bench.dataset, set(split.classes)
    own = tuple(index for index in dataset.splits["val"] if dataset.labels[index] in known)
    return bench.desk.labelled("val", own, split.classes)


def _carried(cell: Cell, bench: Bench) -> Params | None:
    """What the cell that ``cell`` starts from learned, on the device; None where it starts afresh."""
    if not cell.source:
        return None
    (key,) = cell.needs
    return {name: torch.from_numpy(value.copy()).to(bench.device) for name, value in bench.learned(key).items()}


def bare_task(cell: Cell, split: Split, bench: Bench) -> Task:
    """The task of ``cell`` without its images."""
    return task_of(bench.dataset, split, bench.backbone, cell.shots, bench.build(cell))


def task_of(dataset: Dataset, split: Split, backbone: Backbone, shots: int, method: Method | None = None) -> Task:
    """The task of learning the classes of ``split``, without its images, with the words that ``method`` needs."""
    card = dataset.card
    return Task.of(
        card.name,
        template=card.template,
        backbone=face_of(method, backbone) if method else backbone,
        shots=shots,
        descriptions=dataset.descriptions if method and "descriptions" in method.assets else None,
        seen=len(split.classes) if method and "unlabelled" in method.assets else 0,
        **_spoken(dataset, split.known_to(method) if method else split.classes),
    )


def _spoken(dataset: Dataset, classes: Sequence[int]) -> dict[str, Any]:
    """Names of ``classes``, and in datasets of several tasks whose they are and how each is spoken of."""
    return {
        "classes": tuple(dataset.card.classes[label] for label in classes),
        "task_of_class": tuple(dataset.tasks[label] for label in classes) if dataset.tasks else (),
        "templates": tuple(dataset.templates[label] for label in classes) if dataset.templates else (),
    }


def _centred(pixels: Tensor, positions: Tensor, seed: int) -> Tensor:
    """(B, 1, 3, size, size) of the images at ``positions``: nothing is drawn."""
    return pixels[positions].unsqueeze(1)


def _tasks(dataset: Dataset, indices: Sequence[int]) -> list[int]:
    """Which of the joined tasks each image is of."""
    return [dataset.tasks[dataset.labels[index]] for index in indices]


def mixtures_of(cell: Cell, bench: Bench) -> tuple[tuple[int, int], ...]:
    """How many labelled images and how many of the pool each round of training ``cell`` takes, at most."""
    split, method = bench.desk.split(cell), bench.build(cell)
    drawn = method.draws(bare_task(cell, split, bench), len(split.unlabelled))
    if not drawn:
        return ((len(split.train), 0),) * method.stages
    return tuple((len(split.train) if method.with_labelled else 0, count) for count in drawn)


def schedules_of(cell: Cell, bench: Bench) -> tuple[Schedule, ...]:
    """How ``cell`` is trained, by round, found without looking at an image; empty where nothing is."""
    if cell.reading == "evaluate":
        return ()
    split, method = bench.desk.split(cell), bench.build(cell)
    by_task = list((Counter(_tasks(bench.dataset, split.train)) if bench.dataset.tasks else {}).values())
    task = bare_task(cell, split, bench)
    found = [
        Schedule.of(method, replace(task, turn=turn, mixture=mixture), sum(mixture), () if mixture[1] else by_task)
        for turn, mixture in enumerate(mixtures_of(cell, bench))
    ]
    return tuple(schedule for schedule in found if schedule is not None)
