"""Encoding a context once for all classes is exact: against the plain way, forward and backward."""

from collections.abc import Callable
from itertools import product

import pytest
import torch
from tests.tracks.image.backbones.conftest import encoder, far, small_clip
from torch import Tensor

from promptgrid.contract.clip import Backbone, Edits, LowRank, PromptTokens, Task, TokenPlan
from promptgrid.towers.clip import shared_prefix
from promptgrid.towers.clip.models.dual_encoder import DualEncoder
from promptgrid.towers.clip.towers import TextTower

CELLS, CONTEXT = 3, 4
CLASSES = {
    "mixed lengths": (
        "ox",
        "hippopotamus amphibius",
        "red_panda",
        "a cat",
        "great white shark of the south sea",
        "elk",
    ),
    "one class": ("lone wolf",),
    "equal lengths": ("cat", "dog", "cow", "pig", "hen"),
    "many": tuple(
        f"{colour} {animal}" for colour in ("red", "dark", "old") for animal in ("cat", "hippopotamus", "elk")
    )
    * 4,
}
Encode = Callable[[DualEncoder, PromptTokens, Tensor, Edits | None], Tensor]


def plain(backbone: DualEncoder, prompts: PromptTokens, context: Tensor, edits: Edits | None) -> Tensor:
    return Backbone.encode_context(backbone, prompts, context, edits)


def shared(backbone: DualEncoder, prompts: PromptTokens, context: Tensor, edits: Edits | None) -> Tensor:
    return backbone.encode_context(prompts, context, edits)


def task(backbone: Backbone, classes: tuple[str, ...]) -> Task:
    return Task.of("d", classes, "a photo of a {}.", backbone)


def drawn(backbone: DualEncoder, *shape: int) -> Tensor:
    dtype = next(backbone.model.parameters()).dtype
    values = torch.randn(*shape, backbone.text.width, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return values.to(dtype).requires_grad_()


def deep(tokens: Tensor) -> Edits:
    return Edits(tokens=TokenPlan(tuple(tokens.unbind(0)), "text"))


def compare(backbone: DualEncoder, prompts: PromptTokens, contexts: Tensor, tokens: Tensor | None = None) -> None:
    """K contexts under vmap, and one by one, against the plain way one by one: features and gradients."""
    leaves = [contexts] if tokens is None else [contexts, tokens]

    def features(encode: Encode, *one: Tensor) -> Tensor:
        return encode(backbone, prompts, one[0], deep(one[1]) if len(one) > 1 else None)

    def looped(encode: Encode) -> Tensor:
        return torch.stack([features(encode, *one) for one in zip(*leaves, strict=True)])

    wanted = looped(plain)
    weights = torch.randn(wanted.shape, generator=torch.Generator().manual_seed(6)).to(wanted)
    gradients = torch.autograd.grad((wanted * weights).sum(), leaves)
    assert all(grad.abs().max() > 0 for grad in gradients)
    for found in (looped(shared), torch.func.vmap(lambda *one: features(shared, *one))(*leaves)):
        assert far(found, wanted) < 1
        for grad, expected in zip(torch.autograd.grad((found * weights).sum(), leaves), gradients, strict=True):
            assert far(grad, expected) < 1


@pytest.mark.parametrize(("classes", "position"), product(CLASSES, ("end", "middle", "front")))
def test_one_context_for_all_classes(small: DualEncoder, classes: str, position: str) -> None:
    prompts = task(small, CLASSES[classes]).prompts(CONTEXT, position)  # type: ignore[arg-type]
    compare(small, prompts, drawn(small, CELLS, CONTEXT))


@pytest.mark.parametrize(("classes", "position"), product(CLASSES, ("end", "middle", "front")))
def test_a_context_for_each_class(small: DualEncoder, classes: str, position: str) -> None:
    names = CLASSES[classes]
    prompts = task(small, names).prompts(CONTEXT, position)  # type: ignore[arg-type]
    compare(small, prompts, drawn(small, CELLS, len(names), CONTEXT))


@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize("behind", ["", "of a"])
def test_deep_prompts(small: DualEncoder, layers: int, behind: str) -> None:
    prompts = task(small, CLASSES["mixed lengths"]).prompts(2, behind=behind)
    compare(small, prompts, drawn(small, CELLS, 2), drawn(small, CELLS, layers, 2))


def test_deep_prompts_behind_the_prefix_run_the_plain_way(small: DualEncoder) -> None:
    prompts = task(small, CLASSES["mixed lengths"]).prompts(CONTEXT, "middle")
    compare(small, prompts, drawn(small, CELLS, CONTEXT), drawn(small, CELLS, 2, CONTEXT))


@pytest.mark.parametrize("layers", [1, 2])
def test_shallow_towers(layers: int) -> None:
    backbone = encoder(layers, torch.float64)
    compare(backbone, task(backbone, CLASSES["mixed lengths"]).prompts(CONTEXT), drawn(backbone, CELLS, CONTEXT))
    if layers > 1:
        tokens = drawn(backbone, 1, layers, 2)
        compare(backbone, task(backbone, CLASSES["many"]).prompts(2), drawn(backbone, 1, 2), tokens)


def test_a_context_for_each_image_of_each_cell(small: DualEncoder) -> None:
    prompts = task(small, CLASSES["mixed lengths"]).prompts(CONTEXT)
    contexts = drawn(small, CELLS, 2, CONTEXT)
    wanted = torch.stack([torch.stack([plain(small, prompts, one, None) for one in own]) for own in contexts])
    each = torch.func.vmap(lambda one: small.encode_context(prompts, one))
    found = torch.func.vmap(each)(contexts)
    assert far(found, wanted) < 1
    (gradient,) = torch.autograd.grad(found.pow(2).sum(), contexts)
    (expected,) = torch.autograd.grad(wanted.pow(2).sum(), contexts)
    assert far(gradient, expected) < 1


def test_images_share_their_cells_deep_prompts(small: DualEncoder) -> None:
    prompts, edits = task(small, CLASSES["mixed lengths"]).prompts(2), deep(drawn(small, 3, 2))
    contexts = drawn(small, CELLS, 2)
    found = torch.func.vmap(lambda one: small.encode_context(prompts, one, edits))(contexts)
    assert far(found, torch.stack([plain(small, prompts, one, edits) for one in contexts])) < 1


def test_weight_deltas_run_the_plain_way(small: DualEncoder) -> None:
    prompts, context = task(small, CLASSES["mixed lengths"]).prompts(CONTEXT), drawn(small, CONTEXT)
    edits = Edits(deltas={(0, "q"): LowRank(drawn(small, 2), drawn(small, 2).detach().mT)})
    assert torch.equal(shared(small, prompts, context, edits), plain(small, prompts, context, edits))
    assert far(shared(small, prompts, context, edits), plain(small, prompts, context, None)) > 1e3


def test_contexts_that_do_not_fit_together_give_the_same(small: DualEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    prompts, contexts = task(small, CLASSES["many"]).prompts(CONTEXT), drawn(small, CELLS, CONTEXT)
    monkeypatch.setattr(shared_prefix, "AT_ONCE", 1)
    compare(small, prompts, contexts)


def test_plain_prompts_are_open_clips_own(small: DualEncoder) -> None:
    texts = [f"a bad photo of the {name}." for name in CLASSES["many"]] + ["owl", "a bad photo of the sea: 1 2 3"]
    with torch.no_grad():
        wanted = small.model.encode_text(torch.nn.functional.pad(small.tokenize(texts), (0, 40))[:, :40])
    assert far(small.encode_prompts(texts), wanted) < 1
    assert far(small.encode_prompts(["owl"]), wanted[len(texts) - 2 : len(texts) - 1]) < 1


def test_a_nan_cell_leaves_the_others_as_they_are_to_the_bit(small: DualEncoder) -> None:
    prompts = task(small, CLASSES["mixed lengths"]).prompts(CONTEXT)
    good, bad = drawn(small, 5, CONTEXT).detach(), drawn(small, 5, CONTEXT).detach()
    bad[2] = torch.nan
    results = []
    for contexts in (good, bad):
        leaf = contexts.clone().requires_grad_()
        features = torch.func.vmap(lambda one: small.encode_context(prompts, one))(leaf)
        results.append((features.detach(), *torch.autograd.grad(features.pow(2).sum(), leaf)))
    others = torch.tensor([0, 1, 3, 4])
    for well, beside in zip(*results, strict=True):
        assert torch.equal(well[others], beside[others])
        assert beside[2].isnan().any()


def test_a_first_step_in_bf16_rounds_nothing_that_is_kept() -> None:
    """Training under autocast comes before evaluation in full precision, on the same prompts."""
    backbone = encoder(3, torch.float32)
    prompts, context = task(backbone, CLASSES["mixed lengths"]).prompts(CONTEXT), drawn(backbone, CONTEXT)
    with torch.autocast("cpu", torch.bfloat16):
        rough = backbone.encode_context(prompts, context)
    wanted = plain(backbone, prompts, context, None)
    assert far(rough.float(), wanted) > 10, "autocast did nothing"
    assert far(shared(backbone, prompts, context, None), wanted) < 1


@pytest.mark.parametrize("change", ["mask", "pooling"])
def test_a_tower_that_is_not_causal_or_not_pooled_at_eot_is_not_taken_for_one(change: str) -> None:
    model = small_clip(2, torch.float32)
    TextTower.of(model)
    if change == "mask":
        model.attn_mask[3, 5] = 0.0
    else:
        model.text_pool_type = "last"
    with pytest.raises(TypeError, match="not causal and pooled at EOT"):
        TextTower.of(model)


def test_a_backbone_that_says_nothing_else_encodes_the_plain_way() -> None:
    """Third parties' towers, causal or not, need only ``encode_text``."""
    from promptgrid.contract.clip.practice import PracticeBackbone

    backbone = PracticeBackbone()
    prompts = task(backbone, ("cat", "old dog")).prompts(2)
    context = torch.randn(2, backbone.text.width)
    found = backbone.encode_context(prompts, context)
    assert torch.equal(found, backbone.encode_text(prompts.fill(context), prompts.ends))
