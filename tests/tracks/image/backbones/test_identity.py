"""Which backbones are one model and which are two: by every field, by preprocessing, by the weights that are loaded."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from promptgrid.contract.clip import Preprocessing
from promptgrid.spec import Refused, digest
from promptgrid.towers.clip.models import model_files, torchvision_cure
from promptgrid.towers.clip.models.architecture import OF_LOADING, TEXT, VISION, resolved
from promptgrid.tracks.image.backbones.bundled_models import BundledModels
from promptgrid.tracks.image.backbones.open_clip_models import OpenClipModels

torchvision_cure.apply()
import open_clip  # noqa: E402 - only after the cure

TINY: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1},
}
PREPROCESS: dict[str, Any] = {"mean": [0.5] * 3, "std": [0.5] * 3}
FAMILY = OpenClipModels()


def weights(seed: int = 0) -> dict[str, torch.Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return {name: value.contiguous() for name, value in open_clip.model.CLIP(**TINY).state_dict().items()}


def configured(folder: Path, model: dict[str, Any] = TINY, preprocess: dict[str, Any] = PREPROCESS) -> None:
    written = {"model_cfg": model, "preprocess_cfg": preprocess}
    (folder / "open_clip_config.json").write_text(json.dumps(written), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    configured(tmp_path)
    save_file(weights(), tmp_path / "open_clip_model.safetensors")
    return tmp_path


def named(folder: Path) -> str:
    return str(FAMILY.facts(f"local-dir:{folder}")["digest"])


def test_the_fields_are_those_of_open_clip() -> None:
    """Its defaults are written down here, so that planning needs no import and no version of it moves a key."""
    for known, tower in ((VISION, open_clip.model.CLIPVisionCfg), (TEXT, open_clip.model.CLIPTextCfg)):
        theirs = {field.name: field.default for field in dataclasses.fields(tower) if field.name not in OF_LOADING}
        assert known == theirs


EDITS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("quick_gelu", {"quick_gelu": True}, {}),
    ("pooling", {"vision_cfg": TINY["vision_cfg"] | {"pool_type": "avg"}}, {}),
    ("head width", {"vision_cfg": TINY["vision_cfg"] | {"head_width": 16}}, {}),
    ("heads", {"text_cfg": TINY["text_cfg"] | {"heads": 2}}, {}),
    ("mask", {"text_cfg": TINY["text_cfg"] | {"no_causal_mask": True}}, {}),
    ("mean", {}, {"mean": [0.4, 0.5, 0.5]}),
    ("std", {}, {"std": [0.4, 0.5, 0.5]}),
    ("resize_mode", {}, {"resize_mode": "squash"}),
    ("interpolation", {}, {"interpolation": "bilinear"}),
    ("fill", {}, {"fill_color": 127}),
]


@pytest.mark.parametrize(("model", "preprocess"), [edit[1:] for edit in EDITS], ids=[edit[0] for edit in EDITS])
def test_an_edit_in_place_makes_another_model(folder: Path, model: dict[str, Any], preprocess: dict[str, Any]) -> None:
    before = named(folder)
    configured(folder, TINY | model, PREPROCESS | preprocess)
    assert named(folder) != before
    configured(folder)
    assert named(folder) == before


def test_another_spelling_is_the_same_model(folder: Path) -> None:
    """Defaults written out, fractions as whole numbers, a pair of equal sides, another order and layout of the file."""
    before = named(folder)
    vision = TINY["vision_cfg"] | {"mlp_ratio": 4, "pool_type": "tok", "image_size": [16, 16], "ls_init_value": None}
    text = dict(reversed((TINY["text_cfg"] | {"hf_tokenizer_name": None}).items()))
    configured(folder, {"text_cfg": text, "quick_gelu": False, "vision_cfg": vision, "embed_dim": 16},
               PREPROCESS | {"resize_mode": "shortest", "fill_color": 0, "size": 999})  # fmt: skip
    assert named(folder) == before
    configured(folder, TINY | {"vision_cfg": TINY["vision_cfg"] | {"timm_model_pretrained": True}})
    assert named(folder) == before, "what is loaded at first, and replaced by the checkpoint, is no part of a model"


def test_weights_count_by_content_alone(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    configured(elsewhere)
    save_file(weights(), elsewhere / "open_clip_pytorch_model.safetensors")
    assert named(elsewhere) == named(folder)
    save_file(weights(1), elsewhere / "open_clip_pytorch_model.safetensors")
    assert named(elsewhere) != named(folder)


def test_new_weights_are_seen_whatever_their_time_and_size(folder: Path) -> None:
    file = folder / "open_clip_model.safetensors"
    os.utime(file, (1_000_000, 1_000_000))
    before = named(folder)
    save_file(weights(1), folder / "new")
    os.utime(folder / "new", (1_000_000, 1_000_000))
    assert (folder / "new").stat().st_size == file.stat().st_size
    os.replace(folder / "new", file)
    assert named(folder) != before


def test_unchanged_weights_are_not_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from promptgrid.engine.datasets import content

    os.utime(folder / "open_clip_model.safetensors", (1_000_000, 1_000_000))
    before = named(folder)
    monkeypatch.setattr(content, "_hash_file", lambda path: pytest.fail(f"{path} was read again"))
    assert named(folder) == before


def test_what_is_named_is_what_is_loaded(folder: Path) -> None:
    """Several checkpoints in a folder, and a quick_gelu that shows in the features."""
    torch.save(weights(1), folder / "open_clip_pytorch_model.bin")
    pixels = torch.randint(0, 256, (2, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    found = FAMILY.load(f"local-dir:{folder}", "cpu")
    assert found.digest == named(folder)
    model = open_clip.model.CLIP(**TINY).eval()
    model.load_state_dict(weights())
    with torch.no_grad():
        assert torch.allclose(found.encode_pixels(pixels), model.encode_image((pixels / 255.0 - 0.5) / 0.5), atol=1e-6)
    configured(folder, TINY | {"quick_gelu": True})
    again = FAMILY.load(f"local-dir:{folder}", "cpu")
    assert again.digest != found.digest
    assert not torch.allclose(again.encode_pixels(pixels), found.encode_pixels(pixels), atol=1e-5)


def test_one_checkpoint_under_two_architectures_is_two_models(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ViT-B-32 and ViT-B-32-quickgelu are."""
    for name, gelu in (("tiny", False), ("tiny-quickgelu", True)):
        monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, name, TINY | {"quick_gelu": gelu})
    one, other = (FAMILY.facts(f"{name}@{folder}/open_clip_model.safetensors") for name in ("tiny", "tiny-quickgelu"))
    assert one["digest"] != other["digest"]


def test_a_field_that_only_a_later_open_clip_knows_counts() -> None:
    later = TINY | {"vision_cfg": TINY["vision_cfg"] | {"rotary": True}}
    assert resolved(later, "tiny")["vision_cfg"]["rotary"] is True
    assert "rotary" not in resolved(TINY, "tiny")["vision_cfg"]


def test_tags_have_their_own_preprocessing() -> None:
    """SigLIP squashes, MobileCLIP's S1 takes no mean off: of 196 tags 57 are not as CLIP's."""
    odd = 0
    for name, tag in open_clip.list_pretrained():
        written = open_clip.get_pretrained_cfg(name, tag)
        found = Preprocessing.of(written, 224, name)
        assert found.resize_mode == written.get("resize_mode", "shortest")
        assert list(found.mean) == list(written["mean"])
        odd += found.resize_mode != "shortest" or found.interpolation != "bicubic"
    assert odd > 40


def cached(home: Path, repo: str, revision: str, files: dict[str, bytes]) -> None:
    """``files`` as the hub's client keeps those of ``revision``, which is now its main one."""
    place = home / f"models--{repo.replace('/', '--')}"
    (place / "refs").mkdir(parents=True, exist_ok=True)
    (place / "refs" / "main").write_text(revision)
    (place / "blobs").mkdir(exist_ok=True)
    (place / "snapshots" / revision).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        blob = digest(content)
        (place / "blobs" / blob).write_bytes(content)
        link = place / "snapshots" / revision / name
        link.unlink(missing_ok=True)
        link.symlink_to(Path("../../blobs") / blob)


@pytest.fixture
def hub_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub's cache of our own, and no network."""
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))

    def unreachable(*args: object, **named: object) -> None:
        raise ConnectionError("no network in tests")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", unreachable)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", unreachable)
    return tmp_path / "hub"


def as_files(model: dict[str, Any], seed: int, where: Path) -> dict[str, bytes]:
    save_file(weights(seed), where / "saved")
    config = json.dumps({"model_cfg": model, "preprocess_cfg": PREPROCESS}).encode()
    return {"open_clip_config.json": config, "open_clip_model.safetensors": (where / "saved").read_bytes()}


def test_a_hub_revision_that_moves_makes_another_model(hub_home: Path, tmp_path: Path) -> None:
    spelling = "hf-hub:us/tiny"
    seen = []
    for revision, model, seed in (("a" * 40, TINY, 0), ("b" * 40, TINY, 1), ("c" * 40, TINY | {"quick_gelu": True}, 1)):
        cached(hub_home, "us/tiny", revision, as_files(model, seed, tmp_path))
        seen.append(FAMILY.facts(spelling)["digest"])
        assert FAMILY.load(spelling, "cpu").digest == seen[-1]
    assert len(set(seen)) == 3
    cached(hub_home, "us/tiny", "d" * 40, as_files(TINY, 0, tmp_path))
    assert FAMILY.facts(spelling)["digest"] == seen[0], "another revision of the same files is the same model"


def test_a_tag_is_named_by_the_file_behind_it(hub_home: Path) -> None:
    tag, repo = "ViT-B-16-quickgelu@openai", "timm/vit_base_patch16_clip_224.openai"
    with pytest.raises(Refused, match=r"not on this machine.*no network in tests"):
        FAMILY.facts(tag)
    cached(hub_home, repo, "a" * 40, {"open_clip_model.safetensors": b"first"})
    first = FAMILY.facts(tag)
    assert first["image_size"] == 224
    assert "vision_blocks" in first["offers"]  # type: ignore[operator]
    cached(hub_home, repo, "b" * 40, {"open_clip_model.safetensors": b"second"})
    assert FAMILY.facts(tag)["digest"] != first["digest"]
    with pytest.raises(Refused, match="not the one pinned"):
        FAMILY.facts(f"{tag}#{'0' * 64}")


def test_weights_that_are_not_here_are_named_by_what_the_hub_says(
    hub_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planning fetches nothing: the tag of a large file is the sha256 of its content."""
    import huggingface_hub

    tag, repo, content = "ViT-B-16-quickgelu@openai", "timm/vit_base_patch16_clip_224.openai", b"weights"

    def said(url: str, timeout: float) -> Any:
        if url.endswith(model_files.SAFE):
            raise huggingface_hub.errors.EntryNotFoundError("no such entry")
        return huggingface_hub.HfFileMetadata("a" * 40, digest(content), url, len(content), None)

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", said)
    told = FAMILY.facts(tag)["digest"]
    cached(hub_home, repo, "a" * 40, {model_files.PLAIN: content})
    assert FAMILY.facts(tag)["digest"] == told


def test_a_pin_names_weights_that_are_elsewhere(hub_home: Path) -> None:
    pinned = f"ViT-B-16-quickgelu@openai#{digest(b'weights')}"
    told = FAMILY.facts(pinned)["digest"]
    cached(hub_home, "timm/vit_base_patch16_clip_224.openai", "a" * 40, {model_files.SAFE: b"weights"})
    assert FAMILY.facts(pinned)["digest"] == told == FAMILY.facts(pinned.partition("#")[0])["digest"]


def test_bundled_backbones_are_named_by_the_same_rule() -> None:
    """By the content of the weights, not by what a card says of them."""
    for name in ("bundled", "bundled-conv"):
        model = BundledModels().facts(name)["model"]
        assert set(model) == {"architecture", "tokenizer", "preprocessing", "weights"}  # type: ignore[call-overload]
    assert BundledModels().facts("bundled") == BundledModels().facts("bundled-vit")


def test_images_that_are_not_square_are_read_and_not_reached_into(tmp_path: Path) -> None:
    model = TINY | {"vision_cfg": TINY["vision_cfg"] | {"image_size": [16, 24]}}
    configured(tmp_path, model)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        state = open_clip.model.CLIP(**model).state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, tmp_path / "open_clip_model.safetensors")
    found = FAMILY.load(f"local-dir:{tmp_path}", "cpu")
    assert found.preprocessing.size == (16, 24)
    assert found.offers == {"features", "text_tokens", "text_blocks"}
    assert sorted(found.offers) == FAMILY.facts(f"local-dir:{tmp_path}")["offers"]
    assert found.encode_pixels(torch.zeros(2, 3, 16, 24, dtype=torch.uint8)).shape == (2, 16)


def test_open_clips_factory_prepares_images_as_we_do(folder: Path) -> None:
    """The whole way: a folder through ``create_model_and_transforms``, and through ours."""
    from PIL import Image

    from promptgrid.tracks.image.data.pixels import prepared

    configured(folder, TINY, {"mean": [0.3, 0.4, 0.5], "std": [0.2, 0.3, 0.4], "resize_mode": "squash",
                              "interpolation": "bilinear"})  # fmt: skip
    _, _, transform = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    found = FAMILY.load(f"local-dir:{folder}", "cpu")
    image = Image.effect_noise((37, 21), 90).convert("RGB")
    ours = found.normalised(prepared(image, found.preprocessing)[None])[0]
    assert torch.allclose(ours, transform(image), atol=1e-5)
