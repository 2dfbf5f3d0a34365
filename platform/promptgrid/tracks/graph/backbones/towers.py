"""The towers that ship, folders of the same layout, and each of them before it was trained."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from promptgrid.contract import BackboneFamily
from promptgrid.spec import Refused, digest
from promptgrid.spec.paths import user_path
from promptgrid.tracks.graph.backbone import GraphBackbone
from promptgrid.tracks.graph.backbones.files import read

TOWERS = Path(__file__).parent.parent / "bundled" / "backbones"
RANDOM, FOLDER = "random:", "gnn:"


class Towers(BackboneFamily):
    """``NAME`` of a tower that ships, ``gnn:/path`` of one of your own, ``random:NAME`` with weights nobody trained.

    Random weights are drawn as training draws its start, from the name alone: the control of what pretraining gives.
    """

    name: ClassVar[str] = "bundled"

    def listing(self) -> list[dict[str, object]]:
        names = sorted(path.parent.name for path in TOWERS.glob("*/config.json"))
        trained: list[dict[str, object]] = [{"name": name, **_told(name), "bundled": True} for name in names]
        untrained: list[dict[str, object]] = [
            {"name": RANDOM + name, "about": f"{name}, not trained"} for name in names
        ]
        return [*trained, *untrained]

    def knows(self, backbone: str) -> bool:
        plain = backbone.removeprefix(RANDOM)
        return plain.startswith(FOLDER) or (TOWERS / plain / "config.json").is_file()

    def facts(self, backbone: str) -> dict[str, object]:
        found = self.load(backbone, "cpu")
        return {"digest": found.digest, "model": found.model(), "offers": sorted(found.offers), "raw": found.raw,
                "sizes": {"inputs": found.inputs, "width": found.shape.width, "layers": found.shape.layers,
                          "numbers": sum(value.numel() for value in found.tensors.values())},
                "text": found.shape.text}  # fmt: skip

    def load(self, backbone: str, device: str) -> GraphBackbone:
        plain = backbone.removeprefix(RANDOM)
        folder = user_path(plain.removeprefix(FOLDER)) if plain.startswith(FOLDER) else TOWERS / plain
        if not self.knows(backbone):
            raise Refused("unknown backbone", where="backbones", got=backbone, expected="a tower that ships, or gnn:")
        trained = read(folder, backbone, device)
        if plain == backbone:
            return trained
        drawn = {name: value.to(device) for name, value in trained.shape.drawn("random", plain).items()}
        return GraphBackbone(backbone, digest([trained.model(), "random", plain]), trained.shape, drawn)


@lru_cache(maxsize=64)
def _told(name: str) -> dict[str, object]:
    """What the file of a tower that ships says of it beside its shape."""
    said = json.loads((TOWERS / name / "config.json").read_text("utf-8"))
    return {"about": said["about"], "trained_on": said["trained_on"]}
