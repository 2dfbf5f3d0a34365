"""What autocast rounds is rounded once, comes near full precision, and is never kept for it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest
import torch
from tests.tracks.image.backbones.conftest import encoder
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Task
from promptgrid.contract.clip.backbone import Backbone
from promptgrid.engine.training.halves import asked, frozen, rounded, towers_in
from promptgrid.towers.attention import attention

NEAR = 2e-2
"""How far bf16, which has 8 bits, may lead from fp32 in a product or two, relative to the largest number."""


def in_bf16() -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16)


def far(found: Tensor, wanted: Tensor) -> float:
    return float((found.float() - wanted).detach().abs().max() / wanted.detach().abs().max())


def test_a_weight_is_rounded_once_and_only_under_autocast() -> None:
    weight, x = torch.randn(3, 2), torch.randn(4, 2)
    assert frozen(weight) is weight
    assert rounded(x) is x
    with in_bf16():
        half = frozen(weight)
        assert asked(weight.device) is half.dtype is rounded(x).dtype is torch.bfloat16
        assert frozen(weight) is half
        double = weight.double()
        assert frozen(double) is double
        assert rounded(double) is double
        with torch.autocast("cpu", enabled=False):
            assert frozen(weight) is weight
    assert torch.equal(half, weight.bfloat16())
    assert frozen(weight) is weight


def test_a_weight_that_changed_is_rounded_again() -> None:
    weight = torch.zeros(2, requires_grad=False)
    with in_bf16():
        assert torch.equal(frozen(weight), torch.zeros(2, dtype=torch.bfloat16))
        weight += 1.0
        assert torch.equal(frozen(weight), torch.ones(2, dtype=torch.bfloat16))


def test_a_copy_goes_with_its_weight() -> None:
    weight = torch.ones(2)
    with in_bf16():
        copy = weakref.ref(frozen(weight))
    del weight
    gc.collect()
    assert copy() is None


@pytest.mark.parametrize("how", ["plain", "causal", "mask"])
@pytest.mark.parametrize("cells", [0, 3])
def test_attention_in_half_precision_is_attention(how: str, cells: int) -> None:
    rng = torch.Generator().manual_seed(3)
    lead = (cells,) if cells else ()
    given = [torch.randn(*lead, 2, 4, 6, 8, generator=rng).bfloat16().float() for _ in range(3)]
    mask = torch.zeros(2, 1, 6, 6).masked_fill(torch.rand(2, 1, 6, 6, generator=rng) < 0.3, -torch.inf)
    mask[..., 0] = 0.0

    def mixed(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return attention(query, key, value, mask if how == "mask" else None, causal=how == "causal")

    program: Callable[..., Tensor] = torch.func.vmap(mixed) if cells else mixed
    exact, rough = ([x.clone().requires_grad_() for x in given] for _ in range(2))
    wanted = program(*exact)
    with in_bf16():
        found = program(*rough)
    assert found.dtype == torch.bfloat16
    assert far(found, wanted) < NEAR
    slope = torch.randn(wanted.shape, generator=rng)
    by_exact = torch.autograd.grad(wanted, exact, slope)
    by_rough = torch.autograd.grad(found, rough, slope.bfloat16())
    assert max(far(one, other) for one, other in zip(by_rough, by_exact, strict=True)) < NEAR


def test_frozen_features_asked_for_in_a_step_under_autocast_have_the_bits_of_full_precision() -> None:
    """The texts of a task are kept for evaluation, and for cells of full precision that come after."""
    backbone = encoder(3, torch.float32)
    pixels = torch.randint(0, 256, (2, 3, 24, 24), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    task = Task.of("pictures", ("cat", "dog"), "a photo of a {}.", backbone)
    with in_bf16():
        kept = task.text
        found = [backbone.encode_prompts(["a cat."]), backbone.encode_pixels(pixels)]
    wanted = [backbone.encode_prompts(["a cat."]), backbone.encode_pixels(pixels)]
    assert all(torch.equal(one, other) for one, other in zip(found, wanted, strict=True))
    exact = F.normalize(backbone.encode_prompts(["a photo of a cat.", "a photo of a dog."]), dim=-1)
    torch.testing.assert_close(kept, exact, rtol=0, atol=1e-6)


def test_changed_pixels_go_through_the_same_tower_in_half_precision() -> None:
    backbone: Backbone = encoder(3, torch.float32)
    pixels = torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(2))
    exact, rough = pixels.clone().requires_grad_(), pixels.clone().requires_grad_()
    wanted = backbone.encode_image(exact)
    with in_bf16():
        found = backbone.encode_image(rough)
    assert 0.0 < far(found, wanted) < NEAR
    slope = wanted.detach()
    (by_exact,), (by_rough,) = (
        torch.autograd.grad(wanted, exact, slope),
        torch.autograd.grad(found, rough, slope.to(found)),
    )
    assert far(by_rough, by_exact) < 2 * NEAR


def test_what_towers_compute_in_half_precision_leaves_them_in_full() -> None:
    backbone = encoder(3, torch.float32)
    task = Task.of("pictures", ("cat", "dog"), "a photo of a {}.", backbone)
    prompts, context = task.prompts(2), torch.randn(2, 24, generator=torch.Generator().manual_seed(4))
    patches = torch.randn(2, 9, 32, generator=torch.Generator().manual_seed(5))

    def features() -> list[Tensor]:
        return [backbone.encode_context(prompts, context), backbone.encode_patches(patches)]

    wanted = features()
    with towers_in(torch.bfloat16):
        found = features()
        assert asked(context.device) is None, "a head is exact"
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == torch.float32
        assert 0.0 < far(one, other) < NEAR
    assert all(torch.equal(one, other) for one, other in zip(features(), wanted, strict=True))
