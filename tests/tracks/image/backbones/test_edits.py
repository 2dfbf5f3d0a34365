"""Edits inside the blocks: alone as under vmap, never on the fast paths, and what stands behind single blocks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tests.tracks.image.backbones.conftest import far
from torch import Tensor

from promptgrid.contract.clip import Apart, Backbone, Edits, NormShift, SidePath, Task, TokenPlan
from promptgrid.towers.clip.models.dual_encoder import DualEncoder
from promptgrid.tracks.image.bench.plain_backbone import PlainBackbone

CELLS, IMAGES, COUNT = 3, 2, 2
Draw = Callable[..., Tensor]
LAST = {"vision": 3, "text": 2}


def norms(draw: Draw, width: int, last: int) -> Edits:
    shift = NormShift(draw(width), draw(width))
    return Edits(
        norms={(0, "first"): shift, (last, "second"): shift, "pre": shift, "post": NormShift(bias=draw(width))}
    )


def biases(draw: Draw, width: int, last: int) -> Edits:
    own = {(layer, part): draw(width) for layer in (0, last) for part in ("q", "k", "v", "out", "proj")}
    return Edits(biases=own | {(last, "fc"): draw(4 * width)})


def weights(draw: Draw, width: int, last: int) -> Edits:
    own = {(layer, part): draw(width, width) for layer in (0, last) for part in ("q", "v", "out")}
    return Edits(weights=own | {(last, "fc"): draw(4 * width, width), (0, "proj"): draw(width, 4 * width)})


def sides(draw: Draw, width: int, last: int) -> Edits:
    return Edits(sides={layer: SidePath(draw(5, width), draw(5, width), draw()) for layer in (0, last)})


def apart(draw: Draw, width: int, last: int) -> Edits:
    return Edits(apart={layer: Apart(draw(5, width), draw().sigmoid()) for layer in (0, last)})


every_kind = pytest.mark.parametrize("kind", [norms, biases, weights, sides, apart])


@pytest.fixture
def numbers(small: DualEncoder) -> Tensor:
    """What the edits of each cell are cut from."""
    rng = torch.Generator().manual_seed(8)
    return torch.randn(CELLS, 100_000, generator=rng).to(small.model.positional_embedding).requires_grad_()


def cut(numbers: Tensor) -> Draw:
    """Takes tensors off ``numbers``, one behind the other."""
    place = 0

    def draw(*shape: int) -> Tensor:
        nonlocal place
        size = torch.Size(shape).numel()
        place += size
        return numbers[place - size : place].view(shape) if shape else numbers[place - 1]

    return draw


def edits(kind: Callable[..., Edits], backbone: DualEncoder, tower: str, numbers: Tensor) -> Edits:
    width = backbone.vision.width if tower == "vision" else backbone.text.width
    return kind(cut(numbers), width, LAST[tower])


def pictures(backbone: DualEncoder) -> Tensor:
    pixels = torch.randint(0, 256, (CELLS * IMAGES, 3, 24, 24), generator=torch.Generator().manual_seed(1))
    flat = backbone.patches(pixels.to(torch.uint8))
    return flat.view(CELLS, IMAGES, *flat.shape[1:])


def task(backbone: Backbone) -> Task:
    return Task.of("d", ("red_panda", "ox", "great white shark"), "a photo of a {}.", backbone)


@every_kind
def test_images_alone_and_under_vmap(small: DualEncoder, numbers: Tensor, kind: Callable[..., Edits]) -> None:
    patches = pictures(small)

    def features(own: Tensor, images: Tensor) -> Tensor:
        return small.encode_patches(images, edits(kind, small, "vision", own))

    same(torch.stack([features(*one) for one in zip(numbers, patches, strict=True)]),
         torch.func.vmap(features)(numbers, patches), numbers)  # fmt: skip
    frozen = torch.stack([small.encode_patches(one) for one in patches])
    assert far(features(numbers[0], patches[0]), frozen[0]) > 100


@every_kind
def test_texts_alone_and_under_vmap_and_never_on_the_shared_path(
    small: DualEncoder, numbers: Tensor, kind: Callable[..., Edits]
) -> None:
    prompts = task(small).prompts(COUNT)
    context = torch.randn(COUNT, small.text.width, generator=torch.Generator().manual_seed(9)).to(numbers).detach()

    def features(own: Tensor) -> Tensor:
        return small.encode_context(prompts, context, edits(kind, small, "text", own))

    alone = torch.stack([features(own) for own in numbers])
    plain = [small.encode_text(prompts.fill(context), prompts.ends, edits(kind, small, "text", own)) for own in numbers]
    assert torch.equal(alone, torch.stack(plain))
    same(alone, torch.func.vmap(features)(numbers), numbers)
    assert far(alone[0], small.encode_context(prompts, context)) > 100


def same(alone: Tensor, together: Tensor, numbers: Tensor) -> None:
    """Features and gradients."""
    assert far(together, alone) < 1
    wanted, found = (torch.autograd.grad(each.pow(2).sum(), numbers)[0] for each in (alone, together))
    assert wanted.abs().max() > 0
    assert far(found, wanted) < 1


def test_tokens_of_each_row_its_own_stand_apart(small: DualEncoder, numbers: Tensor) -> None:
    prompts, width = task(small).prompts(0), small.text.width
    own, share = cut(numbers[0])(3, 4, width), torch.tensor(0.3)
    each = [
        small.encode_text(
            prompts.embeddings[i : i + 1], prompts.ends[i : i + 1], Edits(apart={1: Apart(own[i], share)})
        )
        for i in range(3)
    ]
    together = small.encode_text(prompts.embeddings, prompts.ends, Edits(apart={1: Apart(own, share)}))
    assert far(together, torch.cat(each)) < 1


def test_a_share_of_nothing_changes_nothing(small: DualEncoder, numbers: Tensor) -> None:
    patches = pictures(small)[0]
    none = Edits(apart={1: Apart(cut(numbers[0])(4, small.vision.width), torch.tensor(0.0))})
    assert far(small.encode_patches(patches, none), small.encode_patches(patches)) < 1


def test_prompts_and_norms_together_run_the_plain_way(small: DualEncoder, numbers: Tensor) -> None:
    """The fast path for prompted images knows no norms."""
    patches, draw = pictures(small)[0], cut(numbers[0])
    plan = TokenPlan((draw(COUNT, small.vision.width),), "end", before_norm=True)
    zero = Edits(tokens=plan, norms={(1, "second"): NormShift(torch.zeros(small.vision.width).to(numbers))})
    fast = small.encode_patches(patches, Edits(tokens=plan))
    assert far(small.encode_patches(patches, zero), fast) < 1
    shifted = Edits(tokens=plan, norms={(1, "second"): NormShift(draw(small.vision.width))})
    assert far(small.encode_patches(patches, shifted), fast) > 100


@pytest.mark.parametrize("place", ["end", "after_class"])
def test_tokens_behind_blocks(small: DualEncoder, numbers: Tensor, place: str) -> None:
    patches, draw = pictures(small)[0], cut(numbers[0])
    plan = TokenPlan((draw(COUNT, small.vision.width), draw(COUNT, small.vision.width)), place)  # type: ignore[arg-type]
    edited = Edits(tokens=plan)
    seen: list[Tensor] = []
    blocks = small.model.visual.transformer.resblocks
    handles = [block.register_forward_hook(lambda module, args, output: seen.append(output)) for block in blocks]
    features = PlainBackbone(small).encode_patches(patches, edited)
    for handle in handles:
        handle.remove()
    found = small.image_tokens(patches, edited, [3, 0, 2])
    assert far(found, torch.stack([seen[layer] for layer in (3, 0, 2)], dim=1)) < 1
    assert far(small.project_image(found[:, 0, 0]), features) < 1


def test_ends_behind_blocks(small: DualEncoder, numbers: Tensor) -> None:
    prompts, draw = task(small).prompts(COUNT), cut(numbers[0])
    context, later = draw(COUNT, small.text.width), draw(COUNT, small.text.width)
    edited = Edits(tokens=TokenPlan((context, later), "text"))
    seen: list[Tensor] = []
    blocks = small.model.transformer.resblocks
    handles = [block.register_forward_hook(lambda module, args, output: seen.append(output)) for block in blocks]
    features = PlainBackbone(small).encode_text(prompts.fill(context), prompts.ends, edited)
    for handle in handles:
        handle.remove()
    found = small.text_ends(prompts.fill(context), prompts.ends, edited, [0, 2])
    rows = torch.arange(len(prompts.ends))
    assert far(found, torch.stack([seen[layer][rows, prompts.ends] for layer in (0, 2)], dim=1)) < 1
    assert far(small.project_text(found[:, 1]), features) < 1


def test_the_plain_backbone_refuses_what_it_does_not_know(small: DualEncoder) -> None:
    edited = Edits(norms={"post": NormShift()})
    with pytest.raises(NotImplementedError, match="tokens and deltas only"):
        PlainBackbone(small).encode_patches(pictures(small)[0], edited)
