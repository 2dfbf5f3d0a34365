"""open_clip models by their own spellings, on weights made here; ViT-B/16 shapes included."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from promptgrid.contract.clip import Edits, Task, TokenPlan
from promptgrid.spec import Refused
from promptgrid.towers.clip.models import torchvision_cure
from promptgrid.tracks.image.backbones.open_clip_models import OpenClipModels

torchvision_cure.apply()
import open_clip  # noqa: E402 - only after the cure

SMALL = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
}

IMAGES = {"features", "vision_blocks", "unprojected", "tokens", "blocks", "weights", "pixels", "logits"}
"""What a ViT offers of square images, whatever its text tower is."""


def small_model(config: dict[str, Any] = SMALL) -> Any:
    torch.manual_seed(3)
    return open_clip.model.CLIP(**config).eval()


def written(folder: Path, model: dict[str, Any] = SMALL) -> Path:
    """``folder`` with a model of this config, as open_clip writes it."""
    config = {"model_cfg": model, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(config), encoding="utf-8")
    state = {name: value.contiguous() for name, value in small_model(model).state_dict().items()}
    save_file(state, folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path)


def test_a_local_folder_gives_open_clips_own_features(folder: Path) -> None:
    backbone = OpenClipModels().load(f"local-dir:{folder}", "cpu")
    model = small_model()
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    texts = ["a photo of a cat.", "a very long name of a dog."]
    with torch.no_grad():
        images = model.encode_image((pixels / 255.0 - 0.5) / 0.5)
        full = model.encode_text(open_clip.get_tokenizer("ViT-B-32")(texts))
    assert torch.allclose(backbone.encode_patches(backbone.patches(pixels)), images, atol=1e-5)
    assert torch.allclose(backbone.encode_pixels(pixels), images, atol=1e-5)
    assert torch.allclose(backbone.encode_prompts(texts), full, atol=1e-5)
    assert backbone.offers == {"text_tokens", "text_blocks"} | IMAGES


def test_a_text_tower_that_is_not_causal_still_gives_open_clips_features(tmp_path: Path) -> None:
    """As SigLIP's: no learned prompts, every method on frozen features."""
    config = SMALL | {"text_cfg": SMALL["text_cfg"] | {"no_causal_mask": True, "pool_type": "last"}}
    spelling, texts = f"local-dir:{written(tmp_path, config)}", ["a photo of a cat.", "a very long name of a dog."]
    backbone = OpenClipModels().load(spelling, "cpu")
    with torch.no_grad():
        wanted = small_model(config).encode_text(open_clip.get_tokenizer("ViT-B-32")(texts))
    assert torch.allclose(backbone.encode_prompts(texts), wanted, atol=1e-5)
    assert backbone.offers == IMAGES
    assert sorted(backbone.offers) == OpenClipModels().facts(spelling)["offers"]
    with pytest.raises(Refused, match="offers no prompt tokens"):
        backbone.tokenize(texts)


def test_the_digest_is_that_of_the_weights_file(folder: Path) -> None:
    family = OpenClipModels()
    before = family.facts(f"local-dir:{folder}")["digest"]
    state = small_model().state_dict()
    state["logit_scale"] += 1.0
    save_file({name: value.contiguous() for name, value in state.items()}, folder / "open_clip_model.safetensors")
    assert family.facts(f"local-dir:{folder}")["digest"] != before


def test_vit_b_16_shapes_and_deep_prompts() -> None:
    backbone = OpenClipModels().load("ViT-B-16@random", "cpu")
    assert (backbone.vision.width, backbone.vision.layers, backbone.text.width, backbone.width) == (768, 12, 512, 512)
    pixels = torch.randint(0, 256, (1, 3, 224, 224), dtype=torch.uint8)
    patches = backbone.patches(pixels)
    assert patches.shape == (1, 196, 768)
    assert torch.allclose(backbone.encode_patches(patches), backbone.encode_pixels(pixels), atol=1e-5)
    plan = TokenPlan(tuple(torch.zeros(4, 768) for _ in range(12)), "after_class")
    assert backbone.encode_patches(patches, Edits(tokens=plan)).shape == (1, 512)


def test_facts_need_no_tower() -> None:
    facts = OpenClipModels().facts("ViT-B-16-quickgelu@random")
    assert facts["image_size"] == 224
    assert "vision_blocks" in facts["offers"]  # type: ignore[operator]
    assert "vision_blocks" not in OpenClipModels().facts("RN50-quickgelu@random")["offers"]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("spelling", "words"),
    [
        ("ViT-B-17@openai", "did you mean 'ViT-B-16'"),
        ("ViT-B-16-quickgelu@opnai", "did you mean 'openai'"),
        ("ViT-B-16@openai", "ViT-B-16-quickgelu"),
        ("ViT-B-16", "names no weights"),
        ("local-dir:/nowhere/at/all", "no open_clip_config.json"),
        ("ViT-B-16@/nowhere/weights.pt", "no such checkpoint"),
    ],
)
def test_what_cannot_be_loaded_is_refused_at_plan(spelling: str, words: str) -> None:
    with pytest.raises(Refused, match=words):
        OpenClipModels().facts(spelling)


def test_a_pinned_checkpoint_that_differs_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    save_file({"a": torch.zeros(1)}, file)
    with pytest.raises(Refused, match="not the one pinned"):
        OpenClipModels().facts(f"ViT-B-32@{file}#{'0' * 64}")


class _Payload:
    def __reduce__(self) -> Any:
        return (Path("/tmp/promptgrid-was-here").touch, ())


@pytest.mark.parametrize("damage", ["pickle", "header", "shapes", "nan"])
def test_broken_or_hostile_weights_are_refused(folder: Path, damage: str) -> None:
    file = folder / "open_clip_model.safetensors"
    state = {name: value.contiguous() for name, value in small_model().state_dict().items()}
    spelling = f"local-dir:{folder}"
    if damage == "pickle":
        file.unlink()
        (folder / "open_clip_pytorch_model.bin").write_bytes(pickle.dumps({"x": _Payload()}))
    elif damage == "header":
        file.write_bytes(b"\xff" * 64)
    elif damage == "shapes":
        save_file(state | {"visual.proj": torch.zeros(3, 3)}, file)
    else:
        save_file(state | {"visual.proj": torch.full_like(state["visual.proj"], float("nan"))}, file)
    with pytest.raises(Refused):
        OpenClipModels().load(spelling, "cpu")
    assert not Path("/tmp/promptgrid-was-here").exists()


def test_a_prompt_that_does_not_fit_is_refused_not_cut(folder: Path) -> None:
    backbone = OpenClipModels().load(f"local-dir:{folder}", "cpu")
    with pytest.raises(Refused, match="reads 77"):
        backbone.tokenize(["word " * 90])


def test_attention_under_vmap_equals_one_cell_at_a_time(folder: Path) -> None:
    backbone = OpenClipModels().load(f"local-dir:{folder}", "cpu")
    task = Task.of("d", ("cat", "dog house"), "a photo of a {}.", backbone)
    prompts = task.prompts(4)
    contexts = torch.randn(3, 4, 64, requires_grad=True)

    def features(context: torch.Tensor) -> torch.Tensor:
        return backbone.encode_text(prompts.fill(context), prompts.ends)

    packed = torch.func.vmap(features)(contexts)
    alone = torch.stack([features(context) for context in contexts])
    assert torch.allclose(packed, alone, atol=1e-5)
    (together,) = torch.autograd.grad(packed.pow(2).sum(), contexts)
    (apart,) = torch.autograd.grad(alone.pow(2).sum(), contexts)
    assert torch.allclose(together, apart, atol=1e-4)
