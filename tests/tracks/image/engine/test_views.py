"""Augmented views: drawn from streams that nothing but (dataset, seed, epoch, image) decides, encoded once for all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.contracts import small_world
from tests.contracts.small_world import MemoryCache, Pictures
from torch.nn import functional as F

from promptgrid.contract.clip import Outcome, Preprocessing, stream
from promptgrid.contract.track import Arrays
from promptgrid.spec import Pack, Request
from promptgrid.tracks.image.data import features
from promptgrid.tracks.image.data.features import feature_table, view_features
from promptgrid.tracks.image.data.views import AREA, RATIO, ImageViews, augmented, crop_box, read_views

SMALL = Preprocessing.square(16)
ONLINE, FEW = ImageViews("d", "online", 1), ImageViews("d", 4, 0)


class CountingCache(MemoryCache):
    """Counts what is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.computed: list[str] = []

    def get(self, name: str, compute: Any) -> Arrays:
        if name not in self.kept:
            self.computed.append(name)
        return super().get(name, compute)


def request(method: str, views: int | str, seed: int = 1, **settings: Any) -> Request:
    plain = Request("image", "few_shot", method, settings, "small", "pictures", 2, seed, "last", "fp32")
    return replace(plain, views=views)  # type: ignore[arg-type]


def outcomes(requests: list[Request], cache: MemoryCache) -> list[Outcome]:
    track = small_world.track()
    found = []
    for pack in track.pack(track.resolve(requests)):
        wanted = frozenset(cell.key for cell in pack.cells)
        found += list(track.run(replace(pack, wanted=wanted), cache, "cpu"))
    for outcome in found:
        assert outcome.record.status == "done", outcome.record.log_tail
    return found


def test_boxes_lie_inside_and_have_the_declared_areas_and_ratios() -> None:
    boxes = [crop_box(90, 60, stream("boxes", number)) for number in range(300)]
    sizes = [(right - left, lower - upper) for left, upper, right, lower in boxes]
    for (left, upper, right, lower), (wide, tall) in zip(boxes, sizes, strict=True):
        assert 0 <= left < right <= 90
        assert 0 <= upper < lower <= 60
        assert AREA[0] * 5400 * 0.9 <= wide * tall <= 5400
        assert RATIO[0] * 0.9 <= wide / tall <= RATIO[1] * 1.1
    assert min(wide * tall for wide, tall in sizes) < 0.2 * 5400
    assert max(wide * tall for wide, tall in sizes) > 0.8 * 5400


def test_an_image_that_no_box_fits_is_cut_in_the_middle() -> None:
    assert crop_box(1000, 10, stream("long")) == (493, 0, 506, 10)
    assert crop_box(10, 1000, stream("tall")) == (0, 493, 10, 506)


def test_half_of_the_views_are_mirrored() -> None:
    ramp = Image.fromarray(np.tile(np.arange(64, dtype=np.uint8)[None, :, None] * 4, (64, 1, 3)))
    views = [augmented(ramp, SMALL, stream("mirror", number)).float() for number in range(100)]
    mirrored = sum(bool(view[0, :, 0].mean() > view[0, :, -1].mean()) for view in views)
    assert 30 <= mirrored <= 70


@pytest.mark.parametrize("views", [ONLINE, FEW])
def test_a_view_depends_on_its_name_alone(views: ImageViews) -> None:
    dataset = Pictures()
    whole = read_views(dataset, [0, 5, 9], views, 0, 4, SMALL)
    assert torch.equal(read_views(dataset, [9, 0], views, 2, 3, SMALL)[0], whole[2, [2, 0]])
    assert not torch.equal(whole[0], whole[1])
    other = [replace(views, dataset="e"), replace(views, count=4 if views.count == "online" else "online")]
    for changed in other:
        assert not torch.equal(read_views(dataset, [0], changed, 0, 1, SMALL)[0, 0], whole[0, 0])


def test_only_online_views_differ_between_seeds() -> None:
    cells = [
        small_world.track().resolve([request("taskres", views, seed)])[0] for views in (4, "online") for seed in (1, 2)
    ]
    few, online = cells[:2], cells[2:]
    assert ImageViews.of(few[0], Pictures()) == ImageViews.of(few[1], Pictures())
    assert ImageViews.of(online[0], Pictures()) != ImageViews.of(online[1], Pictures())


def test_views_are_encoded_in_blocks_and_cut_out_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "VIEWS_A_BLOCK", 3)
    dataset, backbone, cache = Pictures(), small_world.backbone(), CountingCache()
    indices = (3, 1, 17)
    found = view_features(dataset, indices, ONLINE, 2, 5, backbone, cache)
    pixels = read_views(dataset, indices, ONLINE, 2, 5, backbone.preprocessing)
    assert found.shape == (3, 3, backbone.width)
    torch.testing.assert_close(found, backbone.encode_pixels(pixels.flatten(0, 1)).view(3, 3, -1), rtol=0, atol=1e-5)
    assert len(cache.computed) == 2
    again = view_features(dataset, indices, ONLINE, 0, 6, backbone, cache)
    assert torch.equal(again[2:5], found)
    assert len(cache.computed) == 2


@pytest.mark.parametrize("views", [3, "online"])
def test_all_methods_and_settings_share_the_augmented_features(views: int | str) -> None:
    cache = CountingCache()
    outcomes([request("taskres", views, epochs=4, learning_rate=0.01)], cache)
    first = list(cache.computed)
    assert len([name for name in first if "augmentation" in name]) == 1
    outcomes([request("taskres", views, epochs=4, learning_rate=rate) for rate in (0.02, 0.03)], cache)
    outcomes([request("clip_adapter", views, epochs=4), request("vpt", views, epochs=2, tokens=2)], cache)
    outcomes([request("tip_adapter_f", views, epochs=2)], cache)
    assert cache.computed == first


@pytest.mark.parametrize("method", ["clip_adapter", "vpt"])
def test_training_sees_the_declared_views_and_scoring_the_centre(method: str) -> None:
    settings = {"epochs": 4, "learning_rate": 0.05}
    cache = MemoryCache()
    plain, few, online = (outcomes([request(method, views, **settings)], cache)[0] for views in (0, 3, "online"))
    losses = [tuple(found.record.curves["train_loss"]) for found in (plain, few, online)]
    assert len(set(losses)) == 3
    assert len({found.record.cell.key for found in (plain, few, online)}) == 3
    zero_shot = [outcomes([request("zero_shot", views)], cache)[0] for views in (0, 3, "online")]
    assert len({found.predictions[0].scores.tobytes() for found in zero_shot}) == 1


@pytest.mark.parametrize("views", [3, "online"])
def test_cells_alone_and_packed_see_the_same_views(views: int | str) -> None:
    asked = [
        replace(request("clip_adapter", views, seed, epochs=epochs, learning_rate=0.05), shots=shots)
        for seed, shots, epochs in ((1, 2, 5), (2, 2, 5), (1, 8, 5), (2, 8, 5))
    ]
    cache = MemoryCache()
    together = {found.record.cell.key: found for found in outcomes(asked, cache)}
    for one in asked:
        (alone,) = outcomes([one], cache)
        for name, value in alone.state.items():
            np.testing.assert_allclose(together[alone.record.cell.key].state[name], value, rtol=0, atol=1e-6)


def test_the_keys_of_tip_adapter_are_the_mean_of_the_views() -> None:
    cache = MemoryCache()
    (found,) = outcomes([request("tip_adapter", 3, search=False)], cache)
    track, dataset, backbone = small_world.track(), Pictures(), small_world.backbone()
    (cell,) = track.resolve([request("tip_adapter", 3, search=False)])
    train = track.resolver.split(cell).train
    seen = view_features(dataset, train, ImageViews.of(cell, dataset), 0, 3, backbone, cache)
    keys = F.normalize(seen.mean(0), dim=-1)
    assert np.array_equal(found.state["keys"], keys.numpy())
    (plain,) = outcomes([request("tip_adapter", 0, search=False)], cache)
    centre = feature_table(dataset, "train", train, backbone, cache).take(train)
    assert np.array_equal(plain.state["keys"], F.normalize(centre, dim=-1).numpy())


def test_a_pack_never_mixes_views() -> None:
    track = small_world.track()
    packs: list[Pack] = track.pack(track.resolve([request("taskres", views) for views in (0, 3, "online")]))
    assert [len(pack.cells) for pack in packs] == [1, 1, 1]
