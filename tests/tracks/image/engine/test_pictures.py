"""Images that are shown at many steps: their patch embeddings are computed once, to the same bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tests.contracts import small_world
from torch import Tensor

from promptgrid.contract.clip import Backbone
from promptgrid.tracks.image.data import pixels
from promptgrid.tracks.image.data.pixels import Pictures, shown

IMAGES, ROWS = 70, torch.tensor([3, 69, 3, 0])
NEEDS = frozenset({"vision_blocks", "pixels"})


class Counting:
    """A backbone that counts the images whose patches it is asked for."""

    def __init__(self, backbone: Backbone) -> None:
        self.backbone, self.images = backbone, 0

    def patches(self, given: Tensor) -> Tensor:
        self.images += len(given)
        return self.backbone.patches(given)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backbone, name)


@pytest.fixture
def backbone() -> Any:
    return Counting(small_world.backbone())


@pytest.fixture
def images(backbone: Any) -> Tensor:
    shape = IMAGES, 3, backbone.image_size, backbone.image_size
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.mark.parametrize(("room", "computed"), [(2**28, IMAGES), (1000, 64 + 3 * len(ROWS))])
def test_patches_are_computed_once_where_there_is_room(
    monkeypatch: pytest.MonkeyPatch, backbone: Any, images: Tensor, room: int, computed: int
) -> None:
    monkeypatch.setattr(pixels, "KEPT_BYTES", room)
    pictures = Pictures(images)
    found = [pictures.shown(backbone, NEEDS, ROWS) for _ in range(3)]
    assert backbone.images == computed
    wanted = shown(backbone, NEEDS, images[ROWS])
    for sight in found:
        assert sight.keys() == wanted.keys() == {"patches", "pixels"}
        assert all(torch.equal(sight[name], value) for name, value in wanted.items())


def test_who_looks_at_pixels_alone_has_no_patches(backbone: Any, images: Tensor) -> None:
    found = Pictures(images).shown(backbone, frozenset({"pixels"}), ROWS)
    assert found.keys() == {"pixels"}
    assert backbone.images == 0
