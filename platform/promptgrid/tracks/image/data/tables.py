"""What is looked up of the images of a pack, once each: features, pixels, views."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from promptgrid.contract.clip import Backbone, Cache, Dataset, Labelled
from promptgrid.contract.clip.black_box import INSIDE_IMAGES
from promptgrid.contract.columns import ColumnSource, Show, Views
from promptgrid.engine.data import Opened, PackData
from promptgrid.engine.feature_tables import Alive, quietly
from promptgrid.tracks.image.data.features import feature_table, view_features
from promptgrid.tracks.image.data.pixels import read_pixels
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


class ImageTables(PackData):
    """Features, pixels and views of the images of one dataset, each looked up once."""

    def __init__(self, opened: Opened, looking: Looking) -> None:
        super().__init__(opened)
        self.looking, self.backbone = looking, looking.backbone
        self.inside_image_tower = bool(INSIDE_IMAGES & opened.method.needs)
        self.asked_plainly = self.black_box = "logits" in opened.method.needs
        self.chunk = CHUNK_INSIDE_TOWER if self.inside_image_tower else PackData.chunk
        self.features = lru_cache(maxsize=256)(self._features)
        self.pixels = lru_cache(maxsize=1)(self._pixels)
        self._pools: dict[tuple[int, ...], Tensor] = {}

    def clear(self) -> None:
        super().clear()
        for looked_up in (self.features, self.pixels):
            looked_up.cache_clear()
        self._pools.clear()

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
        table = feature_table(own, self.home_of(split), indices, backbone, self.looking.cache, self.looking.alive)
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

    def _seen_views(self, indices: Sequence[int], views: ImageViews, first: int, last: int) -> Tensor:
        own, looking = self.opened.dataset, self.looking
        found = view_features(own, indices, views, first, last, looking.backbone, looking.cache, looking.alive)
        return found.to(self.device)


def _distinct(drawn: Drawn) -> tuple[tuple[int, ...], list[int] | None]:
    """The images to look at, each once, and where each drawn one stands among them; None: they stand as drawn.

    Images of a pool come in any order and number: whoever asks for the same set looks at the same views.
    """
    if not drawn.pooled:
        return drawn.indices, None
    wanted = tuple(sorted(set(drawn.indices)))
    place = {index: row for row, index in enumerate(wanted)}
    return wanted, [place[index] for index in drawn.indices]
