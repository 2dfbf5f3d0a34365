"""Pixels are those of open_clip's own evaluation transform, for every form of preprocessing."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from tests.contracts import small_world

from promptgrid.contract.clip import Preprocessing
from promptgrid.spec import Refused
from promptgrid.towers.clip.models import torchvision_cure
from promptgrid.tracks.image.data.features import feature_table
from promptgrid.tracks.image.data.pixels import prepared

SIZES = [
    (500, 375), (640, 480), (375, 500), (224, 224), (225, 224), (224, 226), (32, 32), (33, 32), (31, 47), (300, 200),
    (200, 301), (64, 64), (97, 96), (1000, 40), (41, 640), (320, 321), (5, 7), (256, 257), (449, 447), (800, 600),
]  # fmt: skip
FORMS = [
    *product(
        ["shortest", "longest", "squash"], ["bicubic", "bilinear"], [(224, 224), (32, 32), (24, 40), (41, 23)], [0]
    ),
    ("longest", "bilinear", (48, 48), 127),
    ("longest", "bicubic", (24, 40), (10, 200, 30)),
]


def picture(width: int, height: int) -> Image.Image:
    """Colours and edges, so that a row too many shows."""
    rng = np.random.default_rng(width * 10_000 + height)
    noise = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    return noise.filter(ImageFilter.GaussianBlur(1.0))


def theirs(image: Image.Image, how: Preprocessing) -> torch.Tensor:
    """(3, height, width) grey levels as open_clip gives them, its normalisation taken back."""
    torchvision_cure.apply()
    from open_clip.transform import PreprocessCfg, image_transform_v2

    written = {name: value for name, value in how.plain().items() if name not in ("size", "fill")}
    fill = how.fill if isinstance(how.fill, int) else tuple(how.fill)
    transform = image_transform_v2(PreprocessCfg(size=how.size, fill_color=fill, **written), is_train=False)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (how.mean, how.std))
    return (transform(image) * std + mean) * 255.0


@pytest.mark.parametrize(("mode", "interpolation", "size", "fill"), FORMS, ids=str)
def test_pixels_are_open_clips(mode: str, interpolation: str, size: tuple[int, int], fill: int) -> None:
    written = {"resize_mode": mode, "interpolation": interpolation, "fill_color": fill, "mean": [0.5, 0.4, 0.3]}
    how = Preprocessing.of(written, size, "here")
    for width, height in SIZES:
        image = picture(width, height)
        ours = prepared(image, how)
        assert ours.dtype == torch.uint8
        assert ours.shape == (3, *size)
        off = float((ours.float() - theirs(image, how)).abs().max())
        assert off <= 1.0, f"{width}x{height}: {off:.1f} grey levels"


def test_the_long_side_is_truncated() -> None:
    """500x375 and 640x480 at 224 are 298.67 wide: torchvision says 298, and which columns are cut out depends on it."""
    seen = []
    image = picture(500, 375)
    image.resize = lambda size, kind: seen.append(size) or picture(*size)  # type: ignore[method-assign,func-returns-value]
    prepared(image, Preprocessing.square(224))
    assert seen == [(298, 224)]


def test_bundled_tasks_keep_their_pixels() -> None:
    """Squares of 64 pixels, at 48 and 112: a plain bicubic resize."""
    image = picture(64, 64)
    for side in (48, 112):
        plain = np.array(image.resize((side, side), Image.Resampling.BICUBIC))
        assert np.array_equal(prepared(image, Preprocessing.square(side)).permute(1, 2, 0).numpy(), plain)


def test_random_interpolation_is_of_training() -> None:
    assert Preprocessing.of({"interpolation": "random"}, 32, "here").interpolation == "bicubic"


@pytest.mark.parametrize(
    "written",
    [
        {"resize_mode": "stretch"},
        {"interpolation": "nearest"},
        {"mean": [0.5, 0.5]},
        {"std": "wide"},
        {"fill_color": []},
    ],
    ids=str,
)
def test_what_open_clip_does_not_know_is_refused(written: dict[str, object]) -> None:
    with pytest.raises(Refused, match="preprocessing"):
        Preprocessing.of(written, 32, "here")


def test_features_are_kept_under_their_preprocessing(monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, backbone, cache = small_world.Pictures(), small_world.backbone(), small_world.MemoryCache()
    for how in (small_world.PREPROCESSING, Preprocessing((32, 32), resize_mode="squash")):
        monkeypatch.setattr(backbone, "preprocessing", how)
        feature_table(dataset, "test", dataset.splits["test"], backbone, cache)
    assert len(cache.kept) == 2
