"""What is left out of a prompted image tower is what nobody reads: against open_clip's own blocks."""

from itertools import product

import pytest
import torch
from tests.tracks.image.backbones.conftest import far
from torch import Tensor

from promptgrid.contract.clip import Edits, LowRank, TokenPlan
from promptgrid.towers.clip.models.dual_encoder import DualEncoder
from promptgrid.tracks.image.bench.plain_backbone import PlainBackbone

CELLS, IMAGES, COUNT = 3, 4, 5


@pytest.fixture
def patches(small: DualEncoder) -> Tensor:
    pixels = torch.randint(0, 256, (CELLS * IMAGES, 3, 24, 24), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        flat = small.patches(pixels.to(torch.uint8))
    return flat.view(CELLS, IMAGES, *flat.shape[1:])


@pytest.mark.parametrize(
    ("place", "before_norm", "layers"), product(("end", "after_class"), (False, True), (1, 2, 3, 4))
)
def test_tokens_in_the_first_blocks(
    small: DualEncoder, patches: Tensor, place: str, before_norm: bool, layers: int
) -> None:
    rng = torch.Generator().manual_seed(2)
    tokens = torch.randn(CELLS, layers, COUNT, small.vision.width, generator=rng).to(patches).requires_grad_()

    def features(backbone: DualEncoder | PlainBackbone, own: Tensor, images: Tensor) -> Tensor:
        plan = TokenPlan(tuple(own.unbind(0)), place, before_norm)  # type: ignore[arg-type]
        return backbone.encode_patches(images, Edits(tokens=plan))

    def looped(backbone: DualEncoder | PlainBackbone) -> Tensor:
        return torch.stack([features(backbone, *one) for one in zip(tokens, patches, strict=True)])

    wanted = looped(PlainBackbone(small))
    (expected,) = torch.autograd.grad(wanted.pow(2).sum(), tokens)
    for found in (looped(small), torch.func.vmap(lambda *one: features(small, *one))(tokens, patches)):
        assert far(found, wanted) < 1
        (gradient,) = torch.autograd.grad(found.pow(2).sum(), tokens)
        assert far(gradient, expected) < 1


def test_no_edits_are_open_clips_own_features(small: DualEncoder, patches: Tensor) -> None:
    wanted = PlainBackbone(small).encode_patches(patches[0])
    assert far(small.encode_patches(patches[0]), wanted) < 1
    found = torch.func.vmap(small.encode_patches)(patches)
    assert far(found[0], wanted) < 1


@pytest.mark.parametrize("part", ["q", "k", "v", "out", "fc", "proj"])
def test_a_delta_in_the_last_block_reaches_the_class_token(small: DualEncoder, patches: Tensor, part: str) -> None:
    width = small.vision.width
    inputs, outputs = (4 * width if part == "proj" else width), (4 * width if part == "fc" else width)
    rng = torch.Generator().manual_seed(3)
    delta = LowRank(*(torch.randn(*shape, generator=rng).to(patches) for shape in ((2, inputs), (outputs, 2))), 0.1)
    edits = Edits(deltas={(3, part): delta})  # type: ignore[dict-item]
    wanted = PlainBackbone(small).encode_patches(patches[0], edits)
    assert far(small.encode_patches(patches[0], edits), wanted) < 1
    assert far(small.encode_patches(patches[0]), wanted) > 1e3


def test_a_nan_cell_leaves_the_others_as_they_are_to_the_bit(small: DualEncoder, patches: Tensor) -> None:
    tokens = torch.randn(CELLS, 2, COUNT, small.vision.width, generator=torch.Generator().manual_seed(4)).to(patches)

    def features(own: Tensor, images: Tensor) -> Tensor:
        return small.encode_patches(images, Edits(tokens=TokenPlan(tuple(own.unbind(0)), "end")))

    well = torch.func.vmap(features)(tokens, patches)
    tokens[1] = torch.nan
    beside = torch.func.vmap(features)(tokens, patches)
    assert beside[1].isnan().all()
    assert torch.equal(well[[0, 2]], beside[[0, 2]])
