"""Image towers alone: ViTs of timm by name or from a folder, and the image tower of any dual encoder."""

from __future__ import annotations

from typing import ClassVar

from promptgrid.contract.clip import Backbone, BackboneFamily, Preprocessing
from promptgrid.spec import Refused, digest
from promptgrid.spec.paths import user_path
from promptgrid.towers.clip.models import torchvision_cure
from promptgrid.towers.clip.models.dual_encoder import DualEncoder
from promptgrid.towers.clip.models.model_files import RANDOM, Spelling
from promptgrid.towers.vision.backbone import ALONE, OFFERS, VisionTower
from promptgrid.towers.vision.timm_models import TimmModel, described
from promptgrid.tracks.image.backbones.bundled_models import BundledModels
from promptgrid.tracks.image.backbones.open_clip_models import OpenClipModels

TIMM, LOCAL, TOWER = "timm:", "local:", "tower:"
READ_AT = "class token behind the last norm"


class ImageTowers(BackboneFamily):
    """``{model: "timm:NAME", pretrained: FILE}`` (or ``random``), ``local:/folder`` that timm wrote, ``tower:NAME``.

    ``tower:bundled`` is the image tower of the dual encoder ``bundled``, ahead of its projection into the joint space.
    ``random`` gives seeded random weights: for tests, never for results.
    """

    name: ClassVar[str] = "image_towers"

    def listing(self) -> list[dict[str, object]]:
        own = self.facts(f"{TOWER}bundled")
        about = "the image tower of a dual encoder, without its projection and its texts"
        shown = {key: own[key] for key in ("digest", "offers", "image_size", "sizes")}
        return [
            {"name": f"{TOWER}bundled", "about": f"{about}; `tower:` goes before any", "bundled": True, **shown},
            {
                "name": '{model: "timm:NAME", pretrained: FILE}',
                "about": "a ViT of timm; local:/folder",
                "bundled": False,
            },
        ]

    def knows(self, backbone: str) -> bool:
        return backbone.startswith((TIMM, LOCAL, TOWER))

    def facts(self, backbone: str) -> dict[str, object]:
        if backbone.startswith(TOWER):
            return _of_tower(_family(backbone).facts(backbone.removeprefix(TOWER)), backbone)
        torchvision_cure.apply()
        model = _model(backbone)
        weights = model.weights()
        _refuse_other(weights, backbone)
        model.admit()
        tower, preprocessing = model.bare(), model.preprocessing()
        named = {"architecture": described(tower), "preprocessing": preprocessing.plain(), "weights": weights}
        patch = tower.source.patch_embed
        sizes = {"vision_width": tower.width, "vision_layers": len(tower.blocks), "patches": patch.num_patches}
        return {
            "digest": digest(named),
            "model": named,
            "preprocessing": preprocessing,
            "image_size": preprocessing.side,
            "offers": sorted(OFFERS),
            "sizes": sizes | {"image_size": preprocessing.side},
            ALONE: True,
        }

    def load(self, backbone: str, device: str) -> Backbone:
        facts = self.facts(backbone)
        known, preprocessing = str(facts["digest"]), facts["preprocessing"]
        assert isinstance(preprocessing, Preprocessing)
        if backbone.startswith(TOWER):
            whole = _family(backbone).load(backbone.removeprefix(TOWER), device)
            assert isinstance(whole, DualEncoder)
            return VisionTower(backbone, known, whole.image_tower, preprocessing, whole.patch_size)
        tower = _model(backbone).loaded(device)
        if self.facts(backbone)["digest"] != known:
            raise Refused("the files of this model changed while they were read", where=backbone)
        return VisionTower(backbone, known, tower, preprocessing, int(tower.source.patch_embed.patch_size[0]))


def _family(backbone: str) -> BackboneFamily:
    name = backbone.removeprefix(TOWER)
    families: tuple[BackboneFamily, ...] = (BundledModels(), OpenClipModels())
    found = next((one for one in families if one.knows(name)), None)
    if found is None or name.startswith((TIMM, LOCAL, TOWER)):
        raise Refused("no dual encoder of that name", where="backbones", got=backbone, expected=f"{TOWER}bundled")
    return found


def _of_tower(whole: dict[str, object], backbone: str) -> dict[str, object]:
    """The facts of the image tower of a model with these facts."""
    offers = whole["offers"]
    if not isinstance(offers, list) or "tokens" not in offers:
        raise Refused("its image tower is no ViT pooled at its class token", where="backbones", got=backbone)
    named = {"image_tower_of": whole["model"], "read_at": READ_AT}
    sizes = whole.get("sizes")
    own = {key: size for key, size in sizes.items() if not key.startswith("text")} if isinstance(sizes, dict) else {}
    return {**whole, "digest": digest(named), "model": named, "offers": sorted(OFFERS), "sizes": own, ALONE: True}


def _model(backbone: str) -> TimmModel:
    """The model of timm that ``backbone`` names."""
    if backbone.startswith(LOCAL):
        folder = user_path(backbone.removeprefix(LOCAL).partition("#")[0], "backbones")
        return TimmModel.in_folder(folder, backbone)
    spelling = Spelling.of(backbone)
    name = spelling.model.removeprefix(TIMM)
    if not spelling.weights:
        raise Refused("names no weights", where=backbone, expected="pretrained: a checkpoint file, or random",
                      hint="nothing is fetched from a hub: name a file, or local:FOLDER")  # fmt: skip
    if spelling.weights == RANDOM:
        return TimmModel(name, backbone)
    return TimmModel(name, backbone, file=user_path(spelling.weights, "backbones"))


def _refuse_other(weights: str, backbone: str) -> None:
    pinned = Spelling.of(backbone).sha256
    if pinned and pinned != weights:
        raise Refused("the checkpoint is not the one pinned", where=backbone, got=weights, expected=f"sha256 {pinned}")
