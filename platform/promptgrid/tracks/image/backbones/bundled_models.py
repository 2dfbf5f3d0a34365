"""The two backbones that ship with the package: `bundled` (a ViT) and `bundled-conv` (EfficientNet-Lite0)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from promptgrid.contract import Backbone, BackboneFamily
from promptgrid.contract.backbone import PromptRoom
from promptgrid.spec.reading import read_yaml
from promptgrid.tracks.image.backbones import torchvision_cure
from promptgrid.tracks.image.backbones.dual_encoder import DualEncoder, offers
from promptgrid.tracks.image.backbones.open_clip_models import reachable, sizes
from promptgrid.tracks.image.backbones.prompt_room import clip_room

FOLDER = Path(__file__).parents[1] / "bundled" / "backbones"
ALIASES = {"bundled": "bundled-vit"}


class BundledModels(BackboneFamily):
    """Real open_clip models pretrained by us; their cards stand beside their weights."""

    name: ClassVar[str] = "bundled"

    def listing(self) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = []
        for folder in sorted(FOLDER.glob("*/card.yaml")):
            name = folder.parent.name
            names = [alias for alias, target in ALIASES.items() if target == name]
            facts = self.facts(name)
            about = _card(name).get("about", "")
            rows.append({"name": name, "aliases": names, "about": about, "bundled": True, **facts})
        return rows

    def knows(self, backbone: str) -> bool:
        return ALIASES.get(backbone, backbone) in {path.parent.name for path in FOLDER.glob("*/card.yaml")}

    def facts(self, backbone: str) -> dict[str, object]:
        name = ALIASES.get(backbone, backbone)
        config = _config(name)
        text, image = reachable(config)
        return {
            "digest": str(_card(name)["sha256"]),
            "offers": sorted(offers(text, image)),
            "image_size": config["vision_cfg"]["image_size"],
            "sizes": sizes(config),
        }

    def prompt_room(self, backbone: str) -> PromptRoom | None:
        return clip_room(_config(ALIASES.get(backbone, backbone)))

    def load(self, backbone: str, device: str) -> Backbone:
        torchvision_cure.apply()
        from promptgrid.tracks.image.backbones.bundled_weights import load_bundled

        name = ALIASES.get(backbone, backbone)
        model, tokenizer, preprocess = load_bundled(name)
        digest = str(self.facts(name)["digest"])
        return DualEncoder(name, digest, model.to(device), tokenizer, preprocess["mean"], preprocess["std"])


@cache
def _config(name: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / name / "open_clip_config.json").read_text(encoding="utf-8"))["model_cfg"])


@cache
def _card(name: str) -> dict[str, Any]:
    return read_yaml(FOLDER / name / "card.yaml")
