"""ImageViews beside the one that is learned from: each image's own, anew at every step, the same for all cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from tests.contracts.small_world import Pictures

from promptgrid.contract.clip import Preprocessing
from promptgrid.tracks.image.data.pixels import prepared
from promptgrid.tracks.image.data.restyled import OPERATIONS, RESTYLED, VERSION, Beside, augmix, moco
from promptgrid.tracks.image.data.views import AUGMENTATION, cropped

of = Preprocessing.square


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def picture() -> Image.Image:
    """A colour that goes from left to right under a bright disc."""
    across, down = np.meshgrid(np.arange(64), np.arange(64))
    levels = np.stack([4 * across, 255 - 4 * down, 128 + 0 * down], axis=-1)
    levels[(across - 20) ** 2 + (down - 30) ** 2 < 100] = (250, 240, 30)
    return Image.fromarray(levels.astype(np.uint8))


@pytest.mark.parametrize("kind", RESTYLED)
def test_a_view_is_a_function_of_its_stream(kind: str, picture: Image.Image) -> None:
    make = RESTYLED[kind]
    one, again, other = (np.array(make(picture, of(32), rng(seed))) for seed in (1, 1, 2))
    assert one.shape == (32, 32, 3)
    assert one.dtype == np.uint8
    assert np.array_equal(one, again)
    assert np.array_equal(one, other) is (kind == "centre")


def test_augmix_mixes_changes_into_the_crop_itself(picture: Image.Image) -> None:
    """The crop is the first draw: between it and the mixture lies a change, and seldom a large one."""
    gaps = []
    for seed in range(30):
        crop = np.array(cropped(picture, of(48), rng(seed)), dtype=float)
        gaps.append(np.abs(np.array(augmix(picture, of(48), rng(seed)), dtype=float) - crop).mean())
    assert min(gaps) < 5
    assert 1 < float(np.median(gaps)) < 40


def test_moco_jitters_greys_and_blurs(picture: Image.Image) -> None:
    views = [np.array(moco(picture, of(64), rng(seed)), dtype=float) for seed in range(60)]
    grey = [bool((view == view[..., :1]).all()) for view in views]
    assert 4 <= sum(grey) <= 22
    colours = [view.mean((0, 1)) for view, plain in zip(views, grey, strict=True) if not plain]
    crops = [np.array(cropped(picture, of(64), rng(seed)), dtype=float) for seed in range(60)]
    assert np.std(colours, axis=0).min() > np.std([crop.mean((0, 1)) for crop in crops], axis=0).min()
    steps = [
        [np.abs(np.diff(np.array(make(picture, of(224), rng(seed)), dtype=float), axis=1)).max() for seed in range(12)]
        for make in (moco, cropped)
    ]
    assert np.median(steps[0]) < np.median(steps[1])


def test_every_operation_changes_something_and_keeps_the_size(picture: Image.Image) -> None:
    for place, change in enumerate(OPERATIONS):
        found = change(picture.resize((224, 224)), 1.0, -1.0)
        assert found.size == (224, 224)
        assert place == 2 or found != picture.resize((224, 224)), f"operation {place} changes nothing"


def test_views_stand_beside_each_image_of_a_batch() -> None:
    dataset = Pictures()
    indices = tuple(dataset.splits["train"][:5])
    look = Beside(dataset, indices, ("moco", "augmix"), of(32))
    found = look(torch.tensor([3, 0, 3]), 7)
    assert found.shape == (3, 2, 3, 32, 32)
    assert found.dtype == torch.uint8
    assert torch.equal(found[0], found[2]), "one image, one step, one view"
    assert not torch.equal(found[0], found[1]), "each image has its own views"
    assert not torch.equal(found[:, 0], found[:, 1])
    assert torch.equal(look(torch.tensor([0]), 7)[0], found[1]), "a view depends on who stands beside it"
    assert not torch.equal(look(torch.tensor([0]), 8)[0], found[1]), "the next step shows the same view"


def test_a_new_crop_makes_new_views() -> None:
    """Keys name ``VERSION``, not the crop that views start from: whoever changes one raises the other."""
    assert (AUGMENTATION.rpartition(", ")[2], VERSION.rpartition(", ")[2]) == ("version 1", "version 1")


def test_the_centre_is_the_image_as_it_is_tested(picture: Image.Image) -> None:
    found = torch.from_numpy(np.array(RESTYLED["centre"](picture, of(32), rng()))).permute(2, 0, 1)
    assert torch.equal(found, prepared(picture, of(32)))
