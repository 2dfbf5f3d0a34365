"""Any open_clip model by its own spellings, with weights from a tag, a hub, a folder or a checkpoint file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from promptgrid.contract.backbone import PromptRoom
from promptgrid.contract.clip import Backbone, BackboneFamily, Preprocessing
from promptgrid.engine.checkpoints.hub import FOLDER, PREFIX
from promptgrid.spec import Refused, canonical_json
from promptgrid.towers.clip.models.architecture import built_from, facts_of, identity, resolved
from promptgrid.towers.clip.models.checkpoints import admit, readable, without_warnings
from promptgrid.towers.clip.models.dual_encoder import BY_SIGMOIDS, DualEncoder, offers
from promptgrid.towers.clip.models.model_files import (
    Source,
    Spelling,
    config_of,
    open_clip,
    source_of,
    text_reader,
    tokenizer_of,
    unlooked,
)
from promptgrid.towers.clip.models.prompt_room import clip_room
from promptgrid.towers.clip.whole_text import reads_whole


class OpenClipModels(BackboneFamily):
    """``{model: ViT-B-16-quickgelu, pretrained: openai}``, ``hf-hub:org/name``, ``local-dir:/path`` or a checkpoint.

    ``pretrained: random`` gives seeded random weights: for timing and tests, never for results. Files are looked at
    whenever facts are asked for, so that one that changed makes another model.
    """

    name: ClassVar[str] = "open_clip"

    def listing(self) -> list[dict[str, object]]:
        about = "any open_clip model with a `pretrained` tag or checkpoint; hf-hub:org/name; local-dir:/path"
        return [{"name": "{model: NAME, pretrained: TAG}", "about": about, "bundled": False}]

    def knows(self, backbone: str) -> bool:
        spelling = Spelling.of(backbone)
        return bool(spelling.weights) or spelling.model.startswith((PREFIX, FOLDER)) or _is_model(spelling.model)

    def facts(self, backbone: str) -> dict[str, object]:
        source = source_of(Spelling.of(backbone))
        facts = _facts(source, backbone)
        if source.given is not None:
            gelu = bool(source.config.get("quick_gelu"))
            admit(source.given, Spelling.of(backbone).model, gelu, Bare.of(source, backbone))
        return facts

    def unseen(self, backbone: str) -> dict[str, object]:
        spelling = Spelling.of(backbone)
        if spelling.model.startswith((PREFIX, FOLDER)):
            raise Refused("what this model is stands in its files", where="--no-data", got=backbone,
                          expected="a model that open_clip knows by name")  # fmt: skip
        return _facts(unlooked(spelling), backbone)

    def prompt_room(self, backbone: str) -> PromptRoom | None:
        return clip_room(dict(config_of(Spelling.of(backbone))))

    def load(self, backbone: str, device: str) -> Backbone:
        source = source_of(Spelling.of(backbone))
        facts = _facts(source, backbone)
        model = _create(source, backbone, device)
        _refuse_broken(model, backbone)
        preprocessing = facts["preprocessing"]
        assert isinstance(preprocessing, Preprocessing)
        _refuse_other_size(model, preprocessing, backbone)
        if _facts(source_of(Spelling.of(backbone)), backbone)["digest"] != facts["digest"]:
            raise Refused("the files of this model changed while they were read", where=backbone)
        return DualEncoder(backbone, str(facts["digest"]), model, tokenizer_of(source), preprocessing)


@dataclass(frozen=True)
class Bare:
    """Builds a model without memory, to be compared with a checkpoint. Equal ones build the same."""

    built_by: str
    towers: str

    @classmethod
    def of(cls, source: Source, backbone: str) -> Bare:
        """Of the fields of a model's key."""
        return cls(source.built_by, canonical_json(built_from(resolved(source.config, backbone))))

    def __call__(self) -> Any:
        with torch.device("meta"), without_warnings():
            return open_clip().create_model(
                self.built_by, load_weights=False, pretrained_text=False, device="meta", **json.loads(self.towers)
            )


def _facts(source: Source, backbone: str) -> dict[str, object]:
    architecture = resolved(source.config, backbone)
    preprocessing = Preprocessing.of(source.preprocess, architecture["vision_cfg"]["image_size"], backbone)
    model = identity(architecture, text_reader(source), preprocessing, source.weights.sha256)
    text, image = reachable(architecture)
    inside = offers(text, image, preprocessing.is_square, reads_whole(architecture["text_cfg"]))
    return facts_of(model, preprocessing) | {
        "offers": sorted(inside if architecture.get("init_logit_bias") is None else inside | BY_SIGMOIDS),
        "sizes": sizes(source.config),
    }


def _is_model(name: str) -> bool:
    return name in open_clip().list_models()


def reachable(architecture: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether the text and the image tower are of the kind :mod:`towers` reaches into, judged by all their fields."""
    vision, text = architecture["vision_cfg"], architecture["text_cfg"]
    odd_text = text["hf_model_name"] or text["hf_tokenizer_name"] or text["no_causal_mask"]
    vit = isinstance(vision["layers"], int) and not vision["timm_model_name"]
    odd_vit = vision["attentional_pool"] or vision["pool_type"] != "tok" or vision["block_type"]
    return not odd_text and text["pool_type"] == "argmax", bool(vit and not odd_vit)


def sizes(config: Mapping[str, Any]) -> dict[str, int]:
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


def _create(source: Source, backbone: str, device: str) -> Any:
    """The model by open_clip's own factory, from the fields of its key and the checkpoint named there."""
    clip, file = open_clip(), source.weights.file()
    torch.manual_seed(0)  # open_clip draws its initial weights from the global stream
    try:
        with without_warnings():
            model = clip.create_model(
                source.built_by,
                load_weights=False,
                pretrained_text=False,
                device="cpu",
                **built_from(resolved(source.config, backbone)),
            )
        if file is not None:
            with readable(file) as path:
                clip.load_checkpoint(model, str(path), weights_only=True)
    except Refused:
        raise
    except Exception as error:
        raise Refused(f"the weights cannot be loaded: {error}", where=backbone) from error
    return model.to(device)


def _refuse_other_size(model: Any, preprocessing: Preprocessing, backbone: str) -> None:
    """Refuse a tower that reads images of another size than its configuration says."""
    size = model.visual.image_size
    found = (size, size) if isinstance(size, int) else tuple(size)
    if found != preprocessing.size:
        raise Refused("the image tower reads another size than its configuration says", where=backbone, got=found,
                      expected=str(preprocessing.size))  # fmt: skip


def _refuse_broken(model: Any, backbone: str) -> None:
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            hidden_mask = name.endswith("attn_mask")
            if not hidden_mask:
                raise Refused(f"the weights hold NaN or infinity in {name}", where=backbone)
