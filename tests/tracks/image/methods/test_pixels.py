"""Frames, programs and painted prompts: sizes, starts, published settings, and what the model is shown."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.assets import Second
from promptgrid.contract.clip import SGD, Backbone, Batch, Batches, Method, Params, Polynomial, Recipe, Task, Warmup
from promptgrid.tracks.image.cards.shapes import Shapes, task_on, vit_b16
from promptgrid.tracks.image.methods.bar import BAR
from promptgrid.tracks.image.methods.blackvip import BlackVIP
from promptgrid.tracks.image.methods.parts.sizes import resized, scaled
from promptgrid.tracks.image.methods.vp import VP
from promptgrid.tracks.image.methods.vp_spsa import VPSpsa


def small(size: int) -> Shapes:
    """ViT-B/16's shapes with images of another size."""
    found = vit_b16()
    found.image_size = size
    return found


def start(method: Method, backbone: Backbone, seen: int = 768) -> tuple[Task, Params]:
    task = task_on(backbone, 4, 2).but(second=Second(torch.zeros(8, seen), None))
    return task, method.init(task, torch.Generator().manual_seed(0))


def learned(method: Method, backbone: Backbone, seen: int = 768) -> int:
    _, params = start(method, backbone, seen)
    return sum(value.numel() for name, value in params.items() if name not in method.frozen)


@pytest.mark.parametrize(
    ("method", "count"),
    [
        (VP(), 69_840),
        (VPSpsa(), 69_840),
        (VP(border=112), 3 * 224 * 224),
        (BAR(), 150_528),
        (BAR(inner=64), 150_528),
        (BlackVIP(), 9_920),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_learned_numbers_on_vit_b16(method: Method, count: int) -> None:
    assert learned(method, vit_b16()) == count


def test_blackvips_parts_on_vit_b16() -> None:
    """A trigger of 800 and a decoder of 9,120, of which 288 are BatchNorm's; 288 more are kept and not learned."""
    _, params = start(BlackVIP(), vit_b16())
    assert params["trigger"].shape == (800,)
    norms = sum(value.numel() for name, value in params.items() if name.startswith(("scale", "shift")))
    running = sum(value.numel() for name, value in params.items() if name in BlackVIP.frozen)
    assert (norms, running) == (288, 288)
    assert params["grow0"].shape == (32, 2, 2, 2)


@pytest.mark.parametrize(("size", "seen", "trigger"), [(224, 768, 800), (48, 256, 256), (48, 3, 125), (336, 768, 3104)])
def test_the_cube_holds_what_is_seen_and_a_trigger(size: int, seen: int, trigger: int) -> None:
    _, params = start(BlackVIP(), small(size), seen)
    assert len(params["trigger"]) == trigger
    assert len(params["trigger"]) + seen == len(params["grow0"]) * (-(-size // 32)) ** 2


@pytest.mark.parametrize(("pixels", "size", "found"), [(30, 224, 30), (30, 48, 6), (194, 48, 42), (30, 4, 1)])
def test_sizes_follow_the_image(pixels: int, size: int, found: int) -> None:
    assert scaled(pixels, size) == found


@pytest.mark.parametrize(("before", "behind"), [(48, 42), (64, 48), (24, 48), (48, 48)])
def test_images_are_resized_as_torch_does(before: int, behind: int) -> None:
    images = torch.rand(2, 3, before, before, generator=torch.Generator().manual_seed(0))
    wanted = F.interpolate(images, (behind, behind), mode="bicubic", antialias=True)
    torch.testing.assert_close(resized(images, behind), wanted, atol=1e-5, rtol=0)
    many = torch.func.vmap(lambda one: resized(one, behind))(images.unsqueeze(0))
    torch.testing.assert_close(many[0], wanted, atol=1e-5, rtol=0)


def test_vp_adds_a_frame_and_leaves_the_middle_alone() -> None:
    task, params = start(VP(), small(48))
    pixels = torch.rand(2, 3, 48, 48)
    seen = VPSpsa().changed(params, Batch(features=torch.zeros(2, 0), pixels=pixels), task)
    added = seen - pixels
    torch.testing.assert_close(added[:, :, 6:-6, 6:-6], torch.zeros(2, 3, 36, 36))
    torch.testing.assert_close(added[0], added[1])
    border = torch.ones(48, 48, dtype=torch.bool)
    border[6:-6, 6:-6] = False
    assert bool((added[0][:, border].abs() > 1e-4).float().mean() > 0.99)


def test_bar_shows_the_shrunk_image_amid_a_program_within_the_range() -> None:
    task, params = start(BAR(), small(48))
    pixels = torch.rand(2, 3, 48, 48)
    seen = BAR().changed(params, Batch(features=torch.zeros(2, 0), pixels=pixels), task)
    assert 0.0 <= float(seen.min()) <= float(seen.max()) <= 1.0
    torch.testing.assert_close(seen[:, :, 3:-3, 3:-3], resized(pixels, 42).clamp(0, 1))
    torch.testing.assert_close(seen[0, :, :3], params["program"].sigmoid()[:, :3])


def blackvip(pixels: Tensor, second: Tensor, training: bool, **settings: float) -> tuple[Tensor, Params, Params]:
    """What BlackVIP shows, its start, and its running statistics."""
    method = BlackVIP(**settings)
    task, params = start(method, small(48), second.shape[1])
    task = replace(task, seed=torch.tensor(1) if training else None)
    batch = Batch(features=torch.zeros(len(pixels), 0), second=second, pixels=pixels)
    return method.changed(params, batch, task), params, method.track(params, batch, task)


def test_blackvip_paints_each_image_its_own_and_stays_within_the_range() -> None:
    rng = torch.Generator().manual_seed(0)
    pixels, second = torch.rand(4, 3, 48, 48, generator=rng), torch.randn(4, 256, generator=rng)
    seen, _, _ = blackvip(pixels, second, training=True)
    assert 0.0 <= float(seen.min()) <= float(seen.max()) <= 1.0
    assert not torch.allclose((seen - pixels)[0], (seen - pixels)[1], atol=1e-3)
    none, _, _ = blackvip(pixels, second, training=True, strength=0.0)
    torch.testing.assert_close(none, pixels)


def test_blackvip_scores_an_image_alike_in_any_company_and_trains_on_batches() -> None:
    rng = torch.Generator().manual_seed(0)
    pixels, second = torch.rand(4, 3, 48, 48, generator=rng), torch.randn(4, 256, generator=rng)
    whole, _, nothing = blackvip(pixels, second, training=False)
    part, _, _ = blackvip(pixels[:2], second[:2], training=False)
    torch.testing.assert_close(whole[:2], part, atol=1e-5, rtol=0)
    assert nothing == {}
    batch, params, moved = blackvip(pixels, second, training=True)
    half, _, _ = blackvip(pixels[:2], second[:2], training=True)
    assert not torch.allclose(batch[:2], half, atol=1e-4), "BatchNorm sees the batch"
    assert moved.keys() == BlackVIP.frozen
    for name, value in moved.items():
        assert not torch.equal(value, params[name])


def named(dataset: str) -> Task:
    return replace(task_on(vit_b16(), 4, 2), dataset=dataset)


def test_settings_are_the_papers_by_dataset() -> None:
    vip = BlackVIP()
    flowers, svhn, mine = named("OxfordFlowers"), named("svhn"), named("things")
    optimizer, policy = vip.recipe(flowers).optimizer, vip.step(flowers)
    assert isinstance(optimizer, SGD)
    assert (optimizer.momentum, policy.size, policy.decay, vip.own("strength", flowers)) == (0.5, 0.02, 0.2, 1.0)
    assert (vip.own("size", svhn), vip.own("size", mine), vip.own("momentum", mine)) == (0.005, 0.01, 0.9)
    assert BlackVIP(size=0.5).step(flowers).size == 0.5
    assert BlackVIP(as_published=False).step(flowers).size == 0.01
    epochs = [vip.recipe(named(name)).epochs for name in ("DTD", "StanfordCars", "SUN397", "ImageNet")]
    assert epochs == [5000, 2500, 1000, 500]
    spsa = VPSpsa()
    assert [spsa.own(name, named("Caltech101")) for name in ("momentum", "learning_rate", "size")] == [0.3, 20.0, 0.01]
    assert [spsa.own(name, named("Food101")) for name in ("momentum", "learning_rate", "size")] == [0.3, 10.0, 0.01]
    bar = BAR().recipe(named("SUN397"))
    assert (bar.optimizer, bar.schedule, bar.epochs) == (SGD(5.0, momentum=0.0), Polynomial(0.9, 0.9, 0.01), 1000)
    white = VP().recipe(named("StanfordCars"))
    assert white == Recipe(SGD(5.0), 1000, Batches(64), Warmup(100, 0.1, "linear"))


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (VP, {"border": 0}),
        (VPSpsa, {"estimates": 0}),
        (BAR, {"inner": 225}),
        (BAR, {"radius": -1.0}),
        (BlackVIP, {"second": 3}),
        (BlackVIP, {"momentum": float("nan")}),
    ],
)
def test_a_bad_setting_is_named(kind: type[Method], settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        kind(**settings)
