"""Methods inside the blocks: what they leave alone, what they read, and what the frozen parts know of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from promptgrid.contract.clip import Agree
from promptgrid.tracks.image.methods.amt import AMT
from promptgrid.tracks.image.methods.apt import APT
from promptgrid.tracks.image.methods.dpl import DPL
from promptgrid.tracks.image.methods.mmt import MMT
from promptgrid.tracks.image.methods.parts.key_words import key_words
from promptgrid.tracks.image.methods.parts.names import named
from promptgrid.tracks.image.methods.pmt import PMT
from promptgrid.tracks.image.methods.r_amt import RAMT
from promptgrid.tracks.image.methods.restore import RESTORE
from promptgrid.tracks.image.methods.zero_shot import ZeroShot


@pytest.fixture
def own(make_task, batch_of, open_clip_backbone):
    """A task, a batch and its labels on open_clip's own towers."""
    return make_task(backbone=open_clip_backbone), *batch_of(backbone=open_clip_backbone)


def start(method, task):
    return method.init(task, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("kind", "masked"), [(AMT, {"qkv", "out"}), (MMT, {"fc", "proj"}), (PMT, None)])
def test_weights_whose_mask_is_at_or_below_the_threshold_are_off(own, kind, masked):
    task, batch, _ = own
    params = start(kind(), task)
    assert set(params) == (masked or {"qkv", "out", "fc", "proj"})
    rng = torch.Generator().manual_seed(1)
    params = {name: 0.01 * torch.rand(value.shape, generator=rng) for name, value in params.items()}
    next(iter(params.values()))[0, 0] = 0.005
    visual = task.backbone.model.visual
    names = {"qkv": "attn.in_proj_weight", "out": "attn.out_proj.weight", "fc": "mlp.c_fc.weight"}
    weights = dict(visual.named_parameters())
    off = {
        place: weights[place] * (real > 0.005)
        for name, reals in params.items()
        for layer, real in enumerate(reals)
        for place in [f"transformer.resblocks.{layer}.{names.get(name, 'mlp.c_proj.weight')}"]
    }
    handle = visual.ln_pre.register_forward_pre_hook(lambda module, args: (task_tokens(task, batch),))
    with torch.no_grad():
        seen = torch.func.functional_call(visual, off, (torch.zeros(len(batch.features), 3, 16, 16),))
    handle.remove()
    torch.testing.assert_close(kind().image(params, batch, task), seen, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(seen, batch.features, atol=1e-2)


def task_tokens(task, batch):
    """What enters the image tower's first norm."""
    visual = task.backbone.model.visual
    first = visual.class_embedding.expand(len(batch.patches), 1, -1)
    return torch.cat([first, batch.patches], 1) + visual.positional_embedding


def test_masks_pass_their_gradient_straight_through(own):
    task, batch, labels = own
    method = AMT(size_strength=0.0)
    params = {name: value.requires_grad_() for name, value in start(method, task).items()}
    out = method.forward(params, batch, task)
    (found,) = torch.autograd.grad(method.losses(params, out, labels, task)["objective"], [params["out"]])
    weights = dict(task.backbone.model.visual.named_parameters())
    place = "transformer.resblocks.1.attn.out_proj.weight"
    leaf = weights[place].detach().clone().requires_grad_()
    handle = task.backbone.model.visual.ln_pre.register_forward_pre_hook(lambda m, a: (task_tokens(task, batch),))
    nothing = torch.zeros(len(labels), 3, 16, 16)
    features = torch.func.functional_call(task.backbone.model.visual, {place: leaf}, (nothing,))
    handle.remove()
    loss = F.cross_entropy(ZeroShot().head({}, features, task.text, task), labels)
    (wanted,) = torch.autograd.grad(loss, [leaf])
    torch.testing.assert_close(found[1], wanted * leaf.detach(), atol=1e-6, rtol=1e-4)


def test_the_size_of_a_mask_is_its_length_summed_over_weights(own):
    task, batch, labels = own
    params = start(PMT(), task)
    out = PMT().forward(params, batch, task)
    with_size, without = (
        PMT(size_strength=strength).losses(params, out, labels, task)["objective"] for strength in (2.0, 0.0)
    )
    lengths = sum(0.01 * real.numel() ** 0.5 for reals in params.values() for real in reals)
    assert float(with_size - without) == pytest.approx(2.0 * lengths, rel=1e-5)


def test_zero_shot_at_the_start_has_nothing_to_agree_with_less(own):
    """The gradient of knowledge vanishes while all masks are on."""
    task, batch, labels = own
    params = {name: value.requires_grad_() for name, value in start(RAMT(), task).items()}
    losses = RAMT().losses(params, RAMT().forward(params, batch, task), labels, task)
    main, guide = (
        torch.autograd.grad(losses[name], list(params.values()), retain_graph=True)
        for name in ("objective", "knowledge")
    )
    assert max(float(grad.abs().max()) for grad in guide) < 1e-4 * max(float(grad.abs().max()) for grad in main)


@pytest.mark.parametrize(
    ("dataset", "shots", "level"),
    [("OxfordPets", 16, 0.3), ("OxfordPets", 8, 1.0), ("Food101", 16, 1.0), ("meadow", 16, 1.0)],
)
def test_the_level_follows_dataset_and_shots(make_task, dataset, shots, level):
    task = replace(make_task(dataset=dataset), shots=shots)
    assert RAMT().step(task) == Agree("objective", "knowledge", level)
    assert RAMT(level=0.5).step(task).level == 0.5
    assert AMT().step(task) is None


def test_masks_that_start_off_are_refused():
    with pytest.raises(ValueError, match="more than threshold"):
        RAMT(start=0.004)


def test_apt_adds_the_scored_tokens_to_attentions_answer(own):
    task, batch, _ = own
    params = start(APT(tokens=3), task)
    zero = params | {"vision_tokens": torch.zeros_like(params["vision_tokens"])}
    torch.testing.assert_close(APT(tokens=3).image(zero, batch, task), batch.features, atol=1e-5, rtol=1e-4)
    louder = zero | {"vision_gain": torch.full_like(params["vision_gain"], 0.5)}
    assert not torch.allclose(APT(tokens=3).image(louder, batch, task), batch.features, atol=1e-3)


def test_dpl_without_a_share_is_zero_shot(own):
    task, batch, _ = own
    params = start(DPL(), task)
    none = params | {name: torch.full_like(params[name], -1e4) for name in ("vision_share", "text_share")}
    found = DPL().forward(none, batch, task).logits
    torch.testing.assert_close(found, ZeroShot().forward({}, batch, task).logits, atol=1e-3, rtol=0)
    assert not torch.allclose(DPL().forward(params, batch, task).logits, found, atol=1e-2)


def test_dpls_classes_are_told_by_the_mean_of_their_names_tokens(own):
    task, _, _ = own
    found = named(task.backbone, ("red_fox", "owl"))
    for row, name in zip(found, ("red fox", "owl"), strict=True):
        torch.testing.assert_close(row, task.words(name).mean(0))


def test_restores_shifts_are_those_of_the_prompted_blocks(own):
    task, batch, labels = own
    method = RESTORE(depth=2, strength=3.0)
    params, width = start(method, task), task.backbone.width
    out = method.forward(params, batch, task)
    assert out.image.shape == (len(labels), width + 2)
    assert out.text.shape == (len(task.classes), width + 2)
    gap = (out.image[:, width:].mean(0) - out.text[:, width:].mean(0)).pow(2).mean()
    torch.testing.assert_close(method.losses(params, out, labels, task)["shifts"], 3.0 * gap)
    assert out.text[:, width].allclose(torch.tensor(0.1), atol=1e-3), "the first block's prompts are the words"


def test_restores_surgery_starts_closed_and_answers_to_the_shift(own):
    task, batch, _ = own
    method = RESTORE(depth=2)
    params = start(method, task)
    opened = params | {"image_up": torch.ones_like(params["image_up"])}
    wide = opened | {"image_gate": torch.tensor([5.0, 0.0])}
    plain, half, full = (method.image(own, batch, task)[:, : task.backbone.width] for own in (params, opened, wide))
    torch.testing.assert_close((full - plain).norm(), 2 * (half - plain).norm(), rtol=0.05, atol=0)


def test_key_words_are_neither_small_nor_in_the_name():
    said = ("a cat's face with pointed ears and whiskers, cat", "a sitting cat with a long tail, cat")
    assert key_words(said, "cat", 4) == "face pointed ears whiskers"
    assert key_words(said, "pointed_ears", 2) == "cat face"
    assert key_words(said, "cat", 0) == ""
