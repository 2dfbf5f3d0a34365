"""The two backbones that ship with the package: `bundled` (a ViT) and `bundled-conv` (EfficientNet-Lite0)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from promptgrid.contract.backbone import PromptRoom
from promptgrid.contract.clip import Backbone, BackboneFamily, Preprocessing
from promptgrid.engine.datasets.content import content_hashes
from promptgrid.spec.reading import read_yaml
from promptgrid.towers.clip.models import torchvision_cure
from promptgrid.towers.clip.models.architecture import facts_of, identity, resolved
from promptgrid.towers.clip.models.dual_encoder import DualEncoder, offers
from promptgrid.towers.clip.models.prompt_room import clip_room
from promptgrid.tracks.image.backbones.open_clip_models import reachable, sizes

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
            shown = {key: facts[key] for key in ("digest", "offers", "image_size", "sizes")}
            about = read_yaml(folder).get("about", "")
            rows.append({"name": name, "aliases": names, "about": about, "bundled": True, **shown})
        return rows

    def knows(self, backbone: str) -> bool:
        return ALIASES.get(backbone, backbone) in {path.parent.name for path in FOLDER.glob("*/card.yaml")}

    def facts(self, backbone: str) -> dict[str, object]:
        home = FOLDER / ALIASES.get(backbone, backbone)
        written = _written(home.name)
        config = written["model_cfg"]
        architecture = resolved(config, backbone)
        preprocessing = Preprocessing.of(written["preprocess_cfg"], architecture["vision_cfg"]["image_size"], backbone)
        ((_, weights),) = content_hashes(home, ["weights.safetensors"]).values()
        text, image = reachable(architecture)
        return facts_of(identity(architecture, {"kind": "clip"}, preprocessing, weights), preprocessing) | {
            "offers": sorted(offers(text, image, preprocessing.is_square)),
            "sizes": sizes(config),
        }

    def prompt_room(self, backbone: str) -> PromptRoom | None:
        return clip_room(_written(ALIASES.get(backbone, backbone))["model_cfg"])

    def load(self, backbone: str, device: str) -> Backbone:
        torchvision_cure.apply()
        from promptgrid.tracks.image.backbones.bundled_weights import load_bundled

        name = ALIASES.get(backbone, backbone)
        model, tokenizer, _ = load_bundled(name)
        facts = self.facts(name)
        preprocessing = facts["preprocessing"]
        assert isinstance(preprocessing, Preprocessing)
        return DualEncoder(name, str(facts["digest"]), model.to(device), tokenizer, preprocessing)


def _written(name: str) -> dict[str, Any]:
    return dict(json.loads((FOLDER / name / "open_clip_config.json").read_text(encoding="utf-8")))
