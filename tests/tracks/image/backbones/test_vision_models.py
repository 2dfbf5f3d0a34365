"""Image towers alone: timm's ViTs, folders of such, and the image tower of a dual encoder, against the models' own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from promptgrid import catalog
from promptgrid.contract.clip import Batch, Edits, TokenPlan
from promptgrid.contract.clip.conformance import check_method
from promptgrid.contract.clip.conformance.backbones import check_backbone
from promptgrid.spec import Refused
from promptgrid.towers.clip.models import torchvision_cure
from promptgrid.towers.vision.timm_models import TimmModel, described
from promptgrid.towers.vision.timm_tower import TimmTower
from promptgrid.tracks.image.backbones.bundled_models import BundledModels
from promptgrid.tracks.image.backbones.vision_models import ImageTowers

TINY = {"img_size": 28, "embed_dim": 24, "depth": 2, "num_heads": 3}
SHAPES = {
    "vit_small_patch16_224": TINY | {"img_size": 32},  # ViT-IN21k
    "vit_small_patch14_dinov2": TINY,
    "vit_small_patch14_reg4_dinov2": TINY,
    "deit3_small_patch16_224": TINY | {"img_size": 32},
}
every_shape = pytest.mark.parametrize("name", SHAPES)


def vit(name: str) -> Any:
    """A tiny model of timm in the shape of ``name``, its weights far from where they start."""
    torchvision_cure.apply()
    import timm

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model(name, num_classes=0, **SHAPES[name])
        for value in model.parameters():
            value.data.add_(0.3 * torch.randn(value.shape))
    return model.eval().requires_grad_(False)


def saved(folder: Path, name: str, model: Any, **config: Any) -> str:
    """The address of ``model`` in ``folder`` as timm writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    said = {"architecture": name, "model_args": SHAPES[name], **config}
    (folder / "config.json").write_text(json.dumps(said), encoding="utf-8")
    save_file({key: value.contiguous() for key, value in model.state_dict().items()}, folder / "model.safetensors")
    return f"local:{folder}"


def pixels(side: int) -> Tensor:
    return torch.randint(0, 256, (3, 3, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


@every_shape
def test_features_are_those_of_the_model_itself(name: str, tmp_path: Path) -> None:
    model = vit(name)
    address = saved(tmp_path, name, model)
    own = ImageTowers().load(address, "cpu")
    side = own.image_size
    mean, std = (torch.tensor(own.preprocessing.plain()[part]).view(1, 3, 1, 1) for part in ("mean", "std"))
    wanted = model(((pixels(side) / 255.0) - mean) / std)
    torch.testing.assert_close(own.encode_pixels(pixels(side)), wanted, rtol=0, atol=2e-5)
    batch = Batch(patches=own.patches(pixels(side)))
    torch.testing.assert_close(own.image_tokens_tower.features(batch), wanted, rtol=0, atol=2e-5)


@every_shape
def test_every_weight_behind_the_patches_is_read_and_listed(name: str) -> None:
    tower = TimmTower.of(vit(name))
    named = {own for own, _ in tower.source.named_parameters() if not own.startswith("patch_embed.")}
    from promptgrid.towers.clip.image_tokens import ImageTokens

    tokens = ImageTokens(tower)
    assert set(tokens.weights()) == named
    assert "pre" not in tokens.norms
    leaves = {key: (value + 0.01).requires_grad_() for key, value in tokens.weights().items()}
    side = tower.source.patch_embed.img_size[0]
    patches = tower.patches(torch.randn(2, 3, side, side))
    tokens.features(Batch(patches=patches), weights=leaves).square().sum().backward()  # type: ignore[no-untyped-call]
    blind = {key for key, leaf in leaves.items() if leaf.grad is None or not bool(leaf.grad.abs().sum() > 0)}
    assert blind == set()


def test_pooled_prompts_are_averaged_with_the_class_token() -> None:
    tower = TimmTower.of(vit("vit_small_patch16_224"))
    prompt = torch.randn(2, tower.width, generator=torch.Generator().manual_seed(2))
    patches = tower.patches(torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(3)))
    own = tower.source
    x = torch.cat([tower.tokens(patches), prompt.expand(2, -1, -1)], 1)
    wanted = own.norm(own.blocks(x))[:, [0, -2, -1]].mean(1)
    for place in ("end", "after_class"):
        edits = Edits(tokens=TokenPlan((prompt,), place, pooled=True))  # type: ignore[arg-type]
        torch.testing.assert_close(tower.unprojected(patches, edits), wanted, rtol=0, atol=2e-5)


def test_the_tower_of_a_dual_encoder_is_what_its_projection_reads() -> None:
    whole, alone = BundledModels().load("bundled", "cpu"), ImageTowers().load("tower:bundled", "cpu")
    seen = pixels(whole.image_size)
    torch.testing.assert_close(alone.encode_pixels(seen), whole.unprojected(seen), rtol=0, atol=1e-5)
    assert alone.digest != whole.digest
    assert alone.width == whole.vision.width
    with pytest.raises(Refused, match="reads no texts"):
        alone.encode_prompts(["a"])


def test_the_digest_names_the_whole_model(tmp_path: Path) -> None:
    name, towers = "vit_small_patch16_224", ImageTowers()
    model = vit(name)
    first = towers.facts(saved(tmp_path / "a", name, model))
    assert towers.facts(saved(tmp_path / "b", name, model))["digest"] == first["digest"], "a folder is no part of it"
    other = saved(tmp_path / "c", name, model, pretrained_cfg={"mean": [0.1, 0.2, 0.3]})
    assert towers.facts(other)["digest"] != first["digest"], "the preprocessing is"
    model.cls_token.data.add_(1.0)
    assert towers.facts(saved(tmp_path / "d", name, model))["digest"] != first["digest"], "so are the weights"
    assert towers.load(other, "cpu").digest == towers.facts(other)["digest"]


@pytest.mark.parametrize("setting", ["num_heads", "init_values", "no_embed_class", "reg_tokens"])
def test_an_option_that_changes_features_changes_the_description(setting: str) -> None:
    torchvision_cure.apply()
    other = {"num_heads": 4, "init_values": 0.1, "no_embed_class": True, "reg_tokens": 2}[setting]
    name = "vit_small_patch16_224"
    said = [
        described(TimmModel(name, "", options).bare()) for options in (SHAPES[name], SHAPES[name] | {setting: other})
    ]
    assert said[0] != said[1]


def test_random_weights_are_the_same_twice_and_named_as_such() -> None:
    towers, address = ImageTowers(), "timm:vit_tiny_patch16_224@random"
    facts = towers.facts(address)
    assert facts["model"]["weights"] == "random, seed 0"  # type: ignore[index]
    one, two = (towers.load(address, "cpu") for _ in range(2))
    assert torch.equal(one.encode_pixels(pixels(one.image_size)), two.encode_pixels(pixels(two.image_size)))


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("timm:vit_small_patch16_224", "names no weights"),
        ("timm:vit_smal_patch16_224@random", "unknown model of timm"),
        ("timm:resnet18@random", "no VisionTransformer"),
        ("timm:vit_base_patch16_siglip_224@random", "not read at its class token"),
        ("timm:vit_giant_patch14_dinov2@random", "cannot reach into"),
        ("tower:bundled-conv", "no ViT pooled at its class token"),
        ("tower:nothing", "no dual encoder"),
        ("local:/nowhere", "no readable config.json"),
    ],
)
def test_what_is_no_tower_is_refused_by_name(address: str, told: str) -> None:
    with pytest.raises(Refused, match=told):
        ImageTowers().facts(address)


def test_a_checkpoint_of_another_model_is_refused_before_any_work(tmp_path: Path) -> None:
    address = saved(tmp_path, "vit_small_patch16_224", vit("vit_small_patch14_dinov2"))
    with pytest.raises(Refused, match="of another model"):
        ImageTowers().facts(address)
    model = vit("vit_small_patch16_224")
    model.cls_token.data[..., 0] = float("nan")
    with pytest.raises(Refused, match="NaN or infinity in cls_token"):
        ImageTowers().facts(saved(tmp_path, "vit_small_patch16_224", model))


ON_TOWERS = (
    "adapter", "adaptformer", "deep_prompts", "dvpt", "full_finetune", "lora", "mapped_head", "prompt_tuning", "pvp",
    "tower_bitfit", "tower_probe",
)  # fmt: skip


@pytest.mark.parametrize("method", ON_TOWERS)
def test_methods_keep_the_contract_on_a_vit_of_timm(method: str, tmp_path: Path) -> None:
    address = saved(tmp_path, "vit_small_patch14_reg4_dinov2", vit("vit_small_patch14_reg4_dinov2"))
    own = ImageTowers().load(address, "cpu")
    check_backbone(own)
    check_method(catalog.track("image").resolver.method(method), own)  # type: ignore[attr-defined]
