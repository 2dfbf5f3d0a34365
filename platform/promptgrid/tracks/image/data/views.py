"""Augmented views of images, drawn from streams that every method, cell and source shares."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL.Image import Image, Transpose
from torch import Tensor

from promptgrid.contract.clip import Dataset, Preprocessing, stream
from promptgrid.engine.training.sampling import ONLINE
from promptgrid.spec import Cell
from promptgrid.tracks.image.data.pixels import RESAMPLING

AUGMENTATION = (
    "random resized crop (area 0.08 to 1, ratio 3/4 to 4/3) by the model's interpolation, horizontal flip, version 1"
)
AREA, RATIO = (0.08, 1.0), (3 / 4, 4 / 3)
ATTEMPTS = 10
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class ImageViews:
    """Which views the images of one dataset have in training.

    Attributes:
        dataset: sha256 of the dataset's content.
        count: 0, the centre crop alone; K, as many views of each image as that, the same for every seed; ``online``, a
            fresh view of each image in every epoch of every seed.
        seed: of the run; only ``online`` looks at it.
    """

    dataset: str
    count: int | str
    seed: int

    @classmethod
    def of(cls, cell: Cell, dataset: Dataset) -> ImageViews:
        """The views that the suite declares for ``cell``."""
        return cls(dataset.card.sha256, cell.views, cell.seed if cell.views == "online" else 0)

    @property
    def drawn_from(self) -> int:
        """How many views each step draws from, as an album says it."""
        return ONLINE if self.count == "online" else max(1, int(self.count))

    def named(self, number: int) -> list[object]:
        """What view ``number`` of an image is named by, beside its dataset and index: all that it depends on."""
        return ["online", self.seed, number] if self.count == "online" else ["view", number]

    def key(self, image: Image, index: int) -> int | str:
        """What names ``image`` in its streams: its index in the dataset."""
        return index

    def stream(self, number: int, key: int | str) -> torch.Generator:
        """The random stream of view ``number`` (of ``online``: of epoch ``number``) of the image called ``key``."""
        return stream("augmentation", self.dataset, *self.named(number), key)

    def look(self, image: Image, key: int | str, number: int, how: Preprocessing) -> Tensor:
        """(3, height, width) uint8: view ``number`` of ``image``."""
        return augmented(image, how, self.stream(number, key))


def read_views(
    dataset: Dataset, indices: Sequence[int], views: ImageViews, first: int, last: int, how: Preprocessing
) -> Tensor:
    """Views ``first`` to ``last`` (not included) of ``indices``: (V, N, 3, height, width) uint8.

    Raises:
        OSError: an image cannot be read.
    """
    pixels = torch.zeros(last - first, len(indices), 3, *how.size, dtype=torch.uint8)
    for row, index in enumerate(indices):
        image = dataset.read(index)
        key = views.key(image, index)
        for number in range(first, last):
            pixels[number - first, row] = views.look(image, key, number, how)
    return pixels


def augmented(image: Image, how: Preprocessing, rng: torch.Generator, areas: tuple[float, float] = AREA) -> Tensor:
    """(3, height, width) uint8: CoOp's training transform without the normalisation, drawn from ``rng``."""
    return torch.from_numpy(np.array(cropped(image, how, rng, areas), dtype=np.uint8)).permute(2, 0, 1)


def cropped(image: Image, how: Preprocessing, rng: torch.Generator, areas: tuple[float, float] = AREA) -> Image:
    """A random crop of ``image`` of the size that the model reads, flipped one time in two."""
    box = crop_box(image.width, image.height, rng, areas)
    view = image.crop(box).resize(how.size[::-1], RESAMPLING[how.interpolation])
    if float(torch.rand((), generator=rng)) < 0.5:
        view = view.transpose(Transpose.FLIP_LEFT_RIGHT)
    return view


def crop_box(width: int, height: int, rng: torch.Generator, areas: tuple[float, float] = AREA) -> Box:
    """Left, upper, right and lower edge of a random crop (Inception's rule, as torchvision's RandomResizedCrop).

    An area and, on a logarithmic scale, an aspect ratio are drawn until the box fits; after ten attempts it is the
    largest box in the middle whose ratio is allowed.
    """
    draws = torch.rand(ATTEMPTS, 4, generator=rng, dtype=torch.float64).tolist()
    low, high = math.log(RATIO[0]), math.log(RATIO[1])
    for area, ratio, across, down in draws:
        surface = width * height * (areas[0] + (areas[1] - areas[0]) * area)
        aspect = math.exp(low + (high - low) * ratio)
        wide, tall = round(math.sqrt(surface * aspect)), round(math.sqrt(surface / aspect))
        if 0 < wide <= width and 0 < tall <= height:
            left, upper = int(across * (width - wide + 1)), int(down * (height - tall + 1))
            return left, upper, left + wide, upper + tall
    wide = min(width, round(height * RATIO[1]))
    tall = min(height, round(width / RATIO[0]))
    left, upper = (width - wide) // 2, (height - tall) // 2
    return left, upper, left + wide, upper + tall
