"""The image tower of a dual encoder as a tower of tokens: frozen, edited, and with weights of its own."""

from __future__ import annotations

import pytest
import torch
from tests.contracts.small_world import backbone, request, track
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Batch, Edits, TokenPlan
from promptgrid.contract.clip.conformance import check_method
from promptgrid.contract.edits import Adapter
from promptgrid.engine.training.halves import towers_in
from promptgrid.spec import Refused

METHODS = ("adapter", "deep_prompts", "full_finetune", "lora", "prompt_tuning")
CELLS = 3


@pytest.fixture
def patches() -> Tensor:
    own = backbone()
    pixels = torch.randint(0, 256, (5, 3, own.image_size, own.image_size), dtype=torch.uint8)
    return own.patches(pixels)


def features(patches: Tensor, edits: Edits | None = None, weights: dict[str, Tensor] | None = None) -> Tensor:
    found: Tensor = backbone().image_tokens_tower.features(Batch(patches=patches), edits, weights)
    return found


def own_cells(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(1)
    return {name: value + 0.02 * torch.randn(CELLS, *value.shape, generator=rng) for name, value in weights.items()}


def test_frozen_it_is_what_the_joint_space_is_projected_from(patches: Tensor) -> None:
    own = backbone()
    assert torch.allclose(features(patches) @ own._image.source.proj, own.encode_patches(patches), atol=1e-5)  # type: ignore[attr-defined]


def test_every_weight_is_read_and_its_own_changes_nothing(patches: Tensor) -> None:
    weights = backbone().image_tokens_tower.weights()
    assert torch.equal(features(patches, weights=weights), features(patches))
    leaves = {name: value.clone().requires_grad_() for name, value in weights.items()}
    features(patches, weights=leaves).square().sum().backward()  # type: ignore[no-untyped-call]
    blind = {name for name, leaf in leaves.items() if leaf.grad is None or not bool(leaf.grad.abs().sum() > 0)}
    assert blind == set()


def test_cells_with_weights_of_their_own_are_what_they_are_alone(patches: Tensor) -> None:
    cells = own_cells(backbone().image_tokens_tower.weights())
    together = torch.func.vmap(lambda own: features(patches, weights=own))(cells)
    for cell in range(CELLS):
        alone = features(patches, weights={name: value[cell] for name, value in cells.items()})
        assert torch.allclose(together[cell], alone, atol=1e-5)
        assert not torch.allclose(alone, features(patches), atol=1e-2)


def test_learned_weights_have_gradients_in_half_precision(patches: Tensor) -> None:
    """A rounded copy that is kept would have none, and nothing would say so."""
    weights = {name: value.clone().requires_grad_() for name, value in backbone().image_tokens_tower.weights().items()}
    with towers_in(torch.bfloat16):
        features(patches, weights=weights).square().sum().backward()  # type: ignore[no-untyped-call]
    assert all(value.grad is not None for value in weights.values())


def test_an_adapter_stands_behind_its_sublayer(patches: Tensor) -> None:
    """One that does nothing changes nothing; the last MLP's moves the class token by what it adds there."""
    width, layers = backbone().image_tokens_tower.width, backbone().image_tokens_tower.layers
    idle = Adapter(torch.zeros(2, width), torch.zeros(width, 2))
    assert torch.equal(features(patches, Edits(adapters={(0, "attention"): idle})), features(patches))
    shift = torch.randn(width, generator=torch.Generator().manual_seed(2))
    last = Edits(adapters={(layers - 1, "mlp"): Adapter(idle.down, idle.up, up_bias=shift)})
    source = backbone()._image  # type: ignore[attr-defined]
    before = source._class_tokens(patches, None)
    wanted = F.layer_norm(before + shift, (width,), source.source.ln_post.weight, source.source.ln_post.bias)
    assert torch.allclose(features(patches, last), wanted, atol=1e-5)


def test_prompts_stand_among_its_tokens(patches: Tensor) -> None:
    width = backbone().image_tokens_tower.width
    prompt = torch.randn(2, width, generator=torch.Generator().manual_seed(3))
    plan = TokenPlan((prompt, prompt), backbone().image_tokens_tower.prompt_place)
    assert not torch.allclose(features(patches, Edits(tokens=plan)), features(patches), atol=1e-3)


@pytest.mark.parametrize("name", METHODS)
def test_methods_of_all_wings_are_methods_of_this_one(name: str) -> None:
    assert track().resolver.method(name).__module__ == f"promptgrid.towers.methods.{name}"
    (cell,) = track().resolve([request(name)])
    assert cell.method == name


@pytest.mark.parametrize("name", ["linear_probe", "bitfit", "ln_tuning"])
def test_the_wings_own_methods_keep_their_names(name: str) -> None:
    assert track().resolver.method(name).__module__ == f"promptgrid.tracks.image.methods.{name}"


def test_a_tower_that_cannot_be_reached_is_refused() -> None:
    from promptgrid import catalog

    wing = catalog.track("image")
    asked = request("full_finetune")
    conv = type(asked)(**{**vars(asked), "backbone": "bundled-conv", "dataset": "weather"})
    with pytest.raises(Refused, match="a ViT pooled at its class token"):
        wing.resolve([conv])


@pytest.mark.parametrize("name", METHODS)
def test_they_keep_the_contract_on_the_practice_backbone(name: str) -> None:
    check_method(track().resolver.method(name))
