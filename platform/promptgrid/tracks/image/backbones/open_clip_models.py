"""Any open_clip model by its own spellings, with weights from a tag, a hub, a folder or a checkpoint file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import torch

from promptgrid.contract import Backbone, BackboneFamily
from promptgrid.contract.backbone import PromptRoom
from promptgrid.spec import Refused, digest, nearest
from promptgrid.spec.paths import user_path
from promptgrid.tracks.image.backbones import torchvision_cure
from promptgrid.tracks.image.backbones.checkpoints import admit, readable, without_warnings
from promptgrid.tracks.image.backbones.dual_encoder import DualEncoder, offers
from promptgrid.tracks.image.backbones.prompt_room import clip_room

HUB, FOLDER = "hf-hub:", "local-dir:"


@dataclass(frozen=True)
class Spelling:
    """``model``, ``model@weights`` or ``model@weights#sha256`` taken apart."""

    model: str
    weights: str
    sha256: str

    @classmethod
    def of(cls, backbone: str) -> Spelling:
        """The parts of an id; absent ones are empty."""
        rest, _, pinned = backbone.partition("#")
        model, _, weights = rest.partition("@")
        return cls(model, weights, pinned)

    @property
    def file(self) -> Path | None:
        """The checkpoint file, where the weights are one."""
        looks_like_path = "/" in self.weights or self.weights.endswith((".safetensors", ".pt", ".pth", ".bin"))
        return user_path(self.weights, "backbones") if looks_like_path else None

    @property
    def folder(self) -> Path | None:
        """The folder of ``local-dir:``, where the model is one."""
        written = self.model.removeprefix(FOLDER)
        return user_path(written, "backbones") if self.model.startswith(FOLDER) else None

    @property
    def built_by(self) -> str:
        """The name by which open_clip builds it."""
        return f"{FOLDER}{self.folder}" if self.folder else self.model


class OpenClipModels(BackboneFamily):
    """``{model: ViT-B-16-quickgelu, pretrained: openai}``, ``hf-hub:org/name``, ``local-dir:/path`` or a checkpoint.

    ``pretrained: random`` gives seeded random weights: for timing and tests, never for results.
    """

    name: ClassVar[str] = "open_clip"

    def listing(self) -> list[dict[str, object]]:
        about = "any open_clip model with a `pretrained` tag or checkpoint; hf-hub:org/name; local-dir:/path"
        return [{"name": "{model: NAME, pretrained: TAG}", "about": about, "bundled": False}]

    def knows(self, backbone: str) -> bool:
        spelling = Spelling.of(backbone)
        return bool(spelling.weights) or spelling.model.startswith((HUB, FOLDER)) or _is_model(spelling.model)

    def facts(self, backbone: str) -> dict[str, object]:
        spelling = Spelling.of(backbone)
        config = _config(spelling.built_by)
        text, image = reachable(config)
        digest = _weights_digest(spelling)
        if (file := _checkpoint(spelling)) is not None:
            admit(file, spelling.model, bool(config.get("quick_gelu")), _bare(spelling.built_by))
        return {
            "digest": digest,
            "offers": sorted(offers(text, image)),
            "image_size": config.get("vision_cfg", {}).get("image_size", 224),
            "sizes": sizes(config),
        }

    def prompt_room(self, backbone: str) -> PromptRoom | None:
        return clip_room(_config(Spelling.of(backbone).built_by))

    def load(self, backbone: str, device: str) -> Backbone:
        spelling = Spelling.of(backbone)
        model, preprocess = _create(spelling, device)
        _refuse_broken(model, backbone)
        tokenizer = _open_clip().get_tokenizer(spelling.built_by)
        digest = str(self.facts(backbone)["digest"])
        return DualEncoder(backbone, digest, model, tokenizer, preprocess["mean"], preprocess["std"])


def _open_clip() -> Any:
    torchvision_cure.apply()
    import open_clip

    return open_clip


def _is_model(name: str) -> bool:
    return name in _open_clip().list_models()


@lru_cache(maxsize=32)
def _config(model: str) -> dict[str, Any]:
    """open_clip's config of ``model``.

    Raises:
        Refused: an unknown model, a folder without a config, a hub that cannot be reached.
    """
    clip = _open_clip()
    if model.startswith(FOLDER):
        path = Path(model.removeprefix(FOLDER)) / "open_clip_config.json"
        if not path.is_file():
            raise Refused("no open_clip_config.json there", where=model, expected="a folder written by open_clip")
        try:
            config = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise Refused(f"not valid JSON: {error}", where=str(path)) from error
        return config.get("model_cfg", config)  # type: ignore[no-any-return]
    try:
        config = clip.get_model_config(model)
    except Exception as error:
        raise Refused(f"the hub did not give this model's config: {error}", where=model) from error
    if config is None:
        raise Refused("unknown model", where="backbones", got=model, hint=nearest(model, clip.list_models()))
    return config  # type: ignore[no-any-return]


def reachable(config: dict[str, Any]) -> tuple[bool, bool]:
    """Whether the text and the image tower are of the kind :mod:`towers` reaches into, judged by the config."""
    vision, text = config.get("vision_cfg", {}), config.get("text_cfg", {})
    odd_text = {"hf_model_name", "hf_tokenizer_name"} & set(text) or text.get("no_causal_mask")
    pooled = text.get("pool_type", "argmax")
    vit = isinstance(vision.get("layers"), int) and not vision.get("timm_model_name")
    odd_vit = vision.get("attentional_pool") or vision.get("pool_type", "tok") != "tok" or vision.get("block_type")
    return not odd_text and pooled == "argmax", bool(vit and not odd_vit)


def sizes(config: dict[str, Any]) -> dict[str, int]:
    """Widths and depths of the towers that the config tells, for estimates of time and memory."""
    vision, text = config.get("vision_cfg", {}), config.get("text_cfg", {})
    size, patch = vision.get("image_size", 224), vision.get("patch_size") or 16
    found = {
        "text_width": text.get("width"),
        "text_layers": text.get("layers"),
        "vision_width": vision.get("width"),
        "vision_layers": vision.get("layers"),
        "image_size": size,
        "patches": (size // patch) ** 2 if isinstance(size, int) else None,
    }
    return {name: value for name, value in found.items() if isinstance(value, int)}


def _weights_digest(spelling: Spelling) -> str:
    """A digest of the weights: of the file where there is one, else of what open_clip pins about the tag."""
    if spelling.model.startswith(FOLDER):
        return _folder_digest(spelling)
    if (file := spelling.file) is not None:
        return _file_digest(file, spelling.sha256)
    if spelling.model.startswith(HUB):
        return digest(["hub", spelling.model])
    if spelling.weights == "random":
        return digest(["random", spelling.model])
    clip = _open_clip()
    tags = clip.list_pretrained_tags_by_model(spelling.model)
    if not spelling.weights:
        raise Refused("names no weights", where=spelling.model, expected="a `pretrained` tag", hint=nearest("", tags))
    pinned = clip.get_pretrained_cfg(spelling.model, spelling.weights)
    if not pinned:
        near = nearest(spelling.weights, tags)
        raise Refused("unknown weights", where=spelling.model, got=spelling.weights, hint=near)
    if pinned.get("quick_gelu") and not _quick_gelu(spelling.model):
        raise Refused(
            f"the weights {spelling.weights!r} were trained with QuickGELU",
            where=spelling.model,
            hint=f"name the model {spelling.model}-quickgelu, or its numbers will be off",
        )
    return digest([spelling.model, spelling.weights, {key: str(value) for key, value in sorted(pinned.items())}])


def _quick_gelu(model: str) -> bool:
    return bool(_config(model).get("quick_gelu")) or model.endswith("-quickgelu")


def _folder_digest(spelling: Spelling) -> str:
    file = _checkpoint(spelling)
    if file is None:
        raise Refused("no weights there", where=spelling.model, expected="open_clip_model.safetensors")
    return _file_digest(file, spelling.sha256)


def _checkpoint(spelling: Spelling) -> Path | None:
    """The checkpoint of a folder or a path; None where the weights come from a tag, a hub or nowhere."""
    if (folder := spelling.folder) is None:
        return spelling.file
    files = sorted(folder.glob("open_clip_*.safetensors")) or sorted(folder.glob("open_clip_*.bin"))
    return files[0] if files else None


@lru_cache(maxsize=32)
def _bare(model: str) -> Callable[[], Any]:
    """Builds the model ``model`` without memory, to be compared with a checkpoint."""

    def build() -> Any:
        with torch.device("meta"), without_warnings():
            return _open_clip().create_model(model, load_weights=False, device="meta")

    return build


def _file_digest(file: Path, pinned: str) -> str:
    if not file.is_file():
        raise Refused("no such checkpoint", where=str(file))
    return _hash(file, file.stat().st_mtime_ns, pinned)


@lru_cache(maxsize=32)
def _hash(file: Path, changed: int, pinned: str) -> str:
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if pinned and found != pinned:
        raise Refused("the checkpoint is not the one pinned", where=str(file), got=found, expected=f"sha256 {pinned}")
    return found


def _create(spelling: Spelling, device: str) -> tuple[Any, dict[str, Any]]:
    """The model and its preprocessing, through open_clip's own factory, unpickling nothing."""
    clip = _open_clip()
    file = _checkpoint(spelling)
    weights = None if spelling.weights in {"", "random"} or file else spelling.weights
    if spelling.weights == "random":
        torch.manual_seed(0)  # open_clip draws its initial weights from the global stream
    try:
        with without_warnings():
            model = clip.create_model(
                spelling.built_by,
                pretrained=weights,
                device=device,
                weights_only=True,
                load_weights=spelling.weights != "random" and file is None,
            )
        if file is not None:
            with readable(file) as path:
                clip.load_checkpoint(model, str(path), weights_only=True)
    except Refused:
        raise
    except Exception as error:
        raise Refused(f"the weights cannot be loaded: {error}", where=f"{spelling.model} {spelling.weights}") from error
    return model, clip.get_model_preprocess_cfg(model)


def _refuse_broken(model: Any, backbone: str) -> None:
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            hidden_mask = name.endswith("attn_mask")
            if not hidden_mask:
                raise Refused(f"the weights hold NaN or infinity in {name}", where=backbone)
