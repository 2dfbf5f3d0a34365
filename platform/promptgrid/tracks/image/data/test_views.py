"""What a method that adapts at test time sees of an image: views that depend on that image and nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from PIL import ImageEnhance
from PIL.Image import Image
from torch import Tensor

from promptgrid.contract.assets import Variations
from promptgrid.contract.clip import Adaptation, Backbone, Preprocessing, stream
from promptgrid.tracks.image.data.features import view_features
from promptgrid.tracks.image.data.pixels import prepared, read_pixels
from promptgrid.tracks.image.data.tables import ImageTables
from promptgrid.tracks.image.data.views import AUGMENTATION, ImageViews, augmented, read_views

KEYED = "streams named by the content of the image, version 1"
STAND_IN = (
    "stand-in for generated variations: random crop (area 0.5 to 1), flip, brightness, contrast and colour within 40 %"
    ", version 1"
)
"""What stands in the records of cells that used it."""
LARGE, SPREAD = (0.5, 1.0), 0.4


@dataclass(frozen=True)
class Crops(ImageViews):
    """Random resized crops of test images with flips; the same picture has the same crops wherever it stands."""

    def named(self, number: int) -> list[object]:
        return ["test time", number]

    def key(self, image: Image, index: int) -> int | str:
        return content(image)

    def stream(self, number: int, key: int | str) -> torch.Generator:
        return stream(*self.named(number), key)


@dataclass(frozen=True)
class StandIns(Crops):
    """A strong augmentation in place of variations that a generator made."""

    def named(self, number: int) -> list[object]:
        return [STAND_IN, number]

    def look(self, image: Image, key: int | str, number: int, how: Preprocessing) -> Tensor:
        rng = self.stream(number, key)
        for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            image = enhance(image).enhance(1.0 + SPREAD * (2.0 * float(torch.rand((), generator=rng)) - 1.0))
        return augmented(image, how, rng, LARGE)


@dataclass(frozen=True)
class Generated(ImageViews):
    """What a generator made of each image, as test images are seen; ``count`` of them, in the order of their names."""

    variations: Variations

    def named(self, number: int) -> list[object]:
        return ["generated", self.variations.digest, number]

    def look(self, image: Image, key: int | str, number: int, how: Preprocessing) -> Tensor:
        assert isinstance(key, int), "an index of the dataset"
        return prepared(self.variations.read(self.variations.names[key][number]), how)


@dataclass(frozen=True)
class Looks:
    """N test images with V views each, the centre crop first.

    Attributes:
        features: (N, V, width), by the frozen tower.
        pixels: images ``first`` to ``last`` (not included) as (n, V, 3, size, size) uint8; None for methods that do not
            work inside the image tower.
    """

    features: Tensor
    pixels: Callable[[int, int], Tensor] | None = None


def looks_of(data: ImageTables, plan: Adaptation, indices: Sequence[int], centre: Tensor) -> Looks:
    """Looks at dataset images ``indices``; their features are cached like all others.

    Args:
        data: with the dataset, the backbone and the cache.
        plan: says which views.
        indices: of the images.
        centre: (N, width) features of their centre crops.

    Raises:
        OSError: an image or a variation cannot be read.
    """
    dataset, backbone, looking = data.opened.dataset, data.backbone, data.looking
    kinds = views_of(plan, dataset.variations if from_a_generator(plan) else None)
    seen = [centre.unsqueeze(1)]
    for kind, count in kinds:
        found = view_features(dataset, indices, kind, 0, count, backbone, looking.cache, looking.alive)
        seen.append(found.transpose(0, 1).to(data.device))

    def pixels(first: int, last: int) -> Tensor:
        part = indices[first:last]
        own = [read_views(dataset, part, kind, 0, count, backbone.preprocessing) for kind, count in kinds]
        whole = read_pixels(dataset, part, backbone.preprocessing)
        return torch.cat([whole.unsqueeze(0), *own]).transpose(0, 1)

    return Looks(torch.cat(seen, dim=1), pixels if data.inside_image_tower else None)


def looks_at(images: Sequence[Image], plan: Adaptation, backbone: Backbone, inside: bool) -> Looks:
    """Looks at images of no dataset, with pixels for a method ``inside`` the image tower.

    Raises:
        ValueError: the method needs variations that a generator made.
    """
    if from_a_generator(plan):
        raise ValueError("images of no dataset have no generated variations: set `variations: stand_in`")
    how = backbone.preprocessing
    kinds = views_of(plan, None)
    rows = []
    for image in images:
        own = [kind.look(image, kind.key(image, -1), number, how) for kind, count in kinds for number in range(count)]
        rows.append(torch.stack([prepared(image, how), *own]))
    pixels = torch.stack(rows)
    features = torch.stack([backbone.encode_pixels(row) for row in rows])
    return Looks(features, (lambda first, last: pixels[first:last]) if inside else None)


def views_of(plan: Adaptation, variations: Variations | None) -> list[tuple[ImageViews, int]]:
    """The kinds of views behind the centre crop, and how many of each.

    Of generated variations every image has as many as the image with the fewest, at most as many as are planned.
    """
    kinds: list[tuple[ImageViews, int]] = [(Crops("", plan.views - 1, 0), plan.views - 1)]
    if plan.generated and plan.stand_in:
        kinds.append((StandIns("", plan.generated, 0), plan.generated))
    if variations is not None:
        count = min(plan.generated, *map(len, variations.names.values()))
        kinds.append((Generated("", count, 0, variations), count))
    return [(kind, count) for kind, count in kinds if count]


def from_a_generator(plan: Adaptation) -> bool:
    """Whether ``plan`` looks at variations that stand beside the images of a dataset."""
    return plan.generated > 0 and not plan.stand_in


def named(plan: Adaptation) -> list[str]:
    """What a cell's identity says of its views, beside the settings of its method."""
    return [AUGMENTATION, KEYED, *([STAND_IN] if plan.generated and plan.stand_in else [])]


def content(image: Image) -> str:
    """64 hex digits that name the picture by its pixels."""
    return hashlib.sha256(f"{image.mode} {image.size} ".encode() + image.tobytes()).hexdigest()
