"""Corrupted copies of datasets: fifteen kinds at five severities, the same whenever they are read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.contracts.small_world import MemoryCache, Pictures, brief, request, track

from promptgrid.contract.clip import stream
from promptgrid.spec import Pack, Refused
from promptgrid.tracks.image.data.corruptions import KINDS, SEVERITIES, SIDE, corrupted
from promptgrid.tracks.image.datasets.corrupted import Corrupted

every_kind = pytest.mark.parametrize("kind", KINDS)
CLEAN = Image.fromarray(
    np.stack(
        [
            np.tile(np.linspace(20, 230, SIDE), (SIDE, 1)),
            np.tile(np.linspace(230, 20, SIDE)[:, None], (1, SIDE)),
            127 + 90 * np.sign(np.sin(np.indices((SIDE, SIDE)).sum(0) / 9.0)),
        ],
        -1,
    ).astype(np.uint8)
)


def pixels(image: Image.Image) -> Any:
    return np.asarray(image, dtype=np.float64)


def apart(kind: str, severity: int) -> float:
    """The mean distance from the clean image, in grey levels."""
    found = corrupted(CLEAN, kind, severity, stream("test", kind))
    assert found.size == (SIDE, SIDE)
    assert found.mode == "RGB"
    return float(np.abs(pixels(found) - pixels(CLEAN)).mean())


def test_they_are_the_fifteen_of_imagenet_c() -> None:
    assert len(KINDS) == 15
    assert {"gaussian_noise", "glass_blur", "elastic_transform", "jpeg_compression", "frost"} <= KINDS.keys()


@every_kind
def test_severity_5_is_further_from_clean_than_severity_1(kind: str) -> None:
    if kind == "elastic_transform":  # its severities differ in the size of what is bent
        assert min(apart(kind, severity) for severity in SEVERITIES) > 0.3
        return
    assert apart(kind, 5) > apart(kind, 1) > 0.3


@every_kind
def test_what_is_drawn_comes_from_the_stream_alone(kind: str) -> None:
    torch.manual_seed(0)
    np.random.seed(0)
    once = pixels(corrupted(CLEAN, kind, 3, stream("one")))
    torch.manual_seed(1)
    np.random.seed(1)
    np.testing.assert_array_equal(once, pixels(corrupted(CLEAN, kind, 3, stream("one"))))


def test_noise_has_the_published_spread() -> None:
    grey = Image.new("RGB", (SIDE, SIDE), (128, 128, 128))
    found = pixels(corrupted(grey, "gaussian_noise", 2, stream("spread"))) / 255
    assert float(found.std()) == pytest.approx(0.12, abs=0.002)
    hit = pixels(corrupted(grey, "impulse_noise", 5, stream("hit")))
    assert float(np.isin(hit, (0, 255)).mean()) == pytest.approx(0.27, abs=0.01)


def test_brightness_raises_the_value_and_keeps_the_hue() -> None:
    found = corrupted(Image.new("RGB", (SIDE, SIDE), (100, 50, 0)), "brightness", 2, stream("bright"))
    assert found.getpixel((0, 0)) == (151, 76, 0)  # value .392 + .2; red to green stays 2 to 1


def test_contrast_by_hand() -> None:
    image = Image.new("RGB", (SIDE, SIDE), (200, 200, 200))
    image.paste((100, 100, 100), (0, 0, SIDE // 2, SIDE))
    found = corrupted(image, "contrast", 1, stream("contrast"))
    assert (found.getpixel((0, 0)), found.getpixel((SIDE - 1, 0))) == ((130,) * 3, (170,) * 3)


def test_a_corrupted_dataset_has_test_images_alone_and_another_digest() -> None:
    clean, fog = Pictures(), Corrupted(Pictures(), ("fog",), 3, "fog-3")
    assert fog.splits == {"test": clean.splits["test"]}
    assert fog.card.classes == clean.card.classes
    digests = {Corrupted(clean, (kind,), severity, "x").card.sha256 for kind in ("fog", "snow") for severity in (1, 2)}
    assert len(digests | {clean.card.sha256}) == 5
    np.testing.assert_array_equal(pixels(fog.read(60)), pixels(Corrupted(Pictures(), ("fog",), 3, "fog-3").read(60)))


def test_all_kinds_stand_one_behind_the_other() -> None:
    clean = Pictures()
    every = Corrupted(clean, tuple(KINDS), 2, "all-2")
    assert len(every.splits["test"]) == 15 * len(clean.splits["test"])
    index = every.splits["test"][len(clean.splits["test"])]  # the first of the second kind
    own = Corrupted(clean, ("shot_noise",), 2, "shot_noise-2")
    np.testing.assert_array_equal(pixels(every.read(index)), pixels(own.read(clean.splits["test"][0])))
    assert every.labels[index] == clean.labels[clean.splits["test"][0]]
    assert every.example_name(index).startswith("shot_noise/")


@pytest.mark.parametrize("name", ["corrupt:fog-6:pictures", "corrupt:frog-3:pictures", "corrupt:fog-3"])
def test_what_is_no_corruption_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="a corruption"):
        track().resolver.dataset(name)


@pytest.mark.parametrize("method", ["zero_shot", "nearest_mean", "coop"])
def test_what_was_learned_clean_is_scored_corrupted(method: str) -> None:
    """Methods of their own classes too, and one that learns nothing."""
    asked = request(method, protocol="corruptions", **brief(method))
    asked = type(asked)(**vars(asked) | {"dataset": "corrupt:contrast-5:pictures", "source": "pictures",
                                         "reading": "evaluate"})  # fmt: skip
    (cell,) = track().resolve([asked])
    source = type(asked)(**vars(asked) | {"dataset": "pictures", "source": "", "reading": "", "protocol": "few_shot"})
    (clean,) = track().resolve([source])
    assert cell.needs == (clean.key,)
    cache = MemoryCache()
    (first,) = track().run(Pack((clean,), wanted=frozenset({clean.key})), cache, "cpu")
    (found,) = track().run(
        Pack((cell,), wanted=frozenset({cell.key})), cache, "cpu", learned=lambda key: {clean.key: first.state}[key]
    )
    assert found.record.status == "done", found.record.log_tail
    assert len(found.predictions[0].example) == 30


def test_other_classes_than_the_sources_are_refused() -> None:
    asked = request("zero_shot", protocol="corruptions")
    with pytest.raises(Refused, match="both source and target"):
        track().resolve([type(asked)(**vars(asked) | {"source": "pictures", "reading": "evaluate"})])
