"""ViTs of timm by name or from a folder: what they are, whether a checkpoint fits them, and the tower itself.

Whoever calls sees to it that timm can be imported (it imports torchvision).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from promptgrid.contract.clip import Preprocessing
from promptgrid.engine.checkpoints.reading import State, content_of, difference, not_finite, unprefixed, unwrapped
from promptgrid.engine.datasets.content import content_hashes
from promptgrid.spec import Refused, canonical_json, digest, nearest
from promptgrid.towers.vision.timm_tower import TimmTower

NO_WEIGHTS = "random, seed 0"
CHECKPOINTS = ("model.safetensors", "pytorch_model.bin")
HEADS = ("head.", "head_dist.", "pre_logits.", "mask_token")
"""Beginnings of names of weights that stand outside of the tower."""


@dataclass(frozen=True)
class TimmModel:
    """A model of timm.

    Attributes:
        architecture: its name in timm.
        where: names it in errors.
        options: of timm's factory, such as ``img_size``.
        prepared: timm's ``pretrained_cfg``, as far as a folder says other things than timm.
        file: the checkpoint; None for random weights.
    """

    architecture: str
    where: str
    options: Mapping[str, Any] = field(default_factory=dict)
    prepared: Mapping[str, Any] = field(default_factory=dict)
    file: Path | None = None

    @classmethod
    def in_folder(cls, folder: Path, where: str) -> TimmModel:
        """The model in a folder as timm's ``save_for_hf`` writes it: config.json beside model.safetensors.

        Raises:
            Refused: no config, one that is none, or no weights.
        """
        try:
            said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise Refused(f"no readable config.json there: {error}", where=where,
                          expected="a folder that timm wrote (save_for_hf)") from error  # fmt: skip
        if not isinstance(said, dict) or not isinstance(said.get("architecture"), str):
            raise Refused("config.json names no `architecture`", where=where, got=str(folder))
        file = next((folder / name for name in CHECKPOINTS if (folder / name).is_file()), None)
        if file is None:
            raise Refused("no weights there", where=where, got=str(folder), expected=" or ".join(CHECKPOINTS))
        return cls(said["architecture"], where, said.get("model_args") or {}, said.get("pretrained_cfg") or {}, file)

    def bare(self) -> TimmTower:
        """The tower without memory for its weights.

        Raises:
            Refused: unknown, or no tower that we reach into.
        """
        return _bare(self.architecture, canonical_json(dict(self.options)), self.where)

    def preprocessing(self) -> Preprocessing:
        """timm's evaluation transform, but the whole shorter side is looked at: its ``crop_pct`` counts as 1."""
        vit = self.bare().source
        said = {**dict(vit.pretrained_cfg), **self.prepared}
        known = {name: said.get(name) for name in ("mean", "std", "interpolation")}
        return Preprocessing.of(known, tuple(vit.patch_embed.img_size), self.where)

    def weights(self) -> str:
        """sha256 of the checkpoint's content, by which a key names them."""
        if self.file is None:
            return NO_WEIGHTS
        if not self.file.is_file():
            raise Refused("no such checkpoint", where=self.where, got=str(self.file))
        ((_, found),) = content_hashes(self.file.parent.resolve(), [self.file.name]).values()
        return found

    def admit(self) -> None:
        """Refuse a checkpoint that does not fit, before anything is run."""
        if self.file is not None:
            status = self.file.stat()
            _admit(self, (status.st_size, status.st_mtime_ns, status.st_ino))

    def loaded(self, device: str) -> TimmTower:
        """The tower with its weights."""
        import timm

        with torch.random.fork_rng():
            torch.manual_seed(0)
            vit = timm.create_model(self.architecture, pretrained=False, num_classes=0, **self.options)
        if self.file is not None:
            _fill(vit, _state(self.file), self.where)
        return TimmTower.of(vit.to(device).eval())

    def __hash__(self) -> int:
        return hash((self.architecture, self.where, self.file))


def described(tower: TimmTower) -> dict[str, Any]:
    """The architecture as it was resolved: equal where equal weights give equal features."""
    vit, block = tower.source, tower.source.blocks[0]
    shapes = {name: list(value.shape) for name, value in vit.state_dict().items()}
    return {
        "kind": "timm VisionTransformer, class token behind the last norm",
        "width": tower.width,
        "layers": len(tower.blocks),
        "heads": tower.blocks[0].heads,
        "mlp_width": block.mlp.fc1.out_features,
        "patch_size": list(vit.patch_embed.patch_size),
        "image_size": list(vit.patch_embed.img_size),
        "registers": vit.num_reg_tokens,
        "positions": "patches" if vit.no_embed_class else "all",
        "activation": repr(block.mlp.act),
        "patch_norm": repr(vit.patch_embed.norm),
        "norms": [repr(vit.norm_pre), repr(block.norm1), repr(vit.norm)],
        "layer_scale": type(block.ls1).__name__,
        "shapes": digest(shapes),
    }


@lru_cache(maxsize=16)
def _bare(architecture: str, options: str, where: str) -> TimmTower:
    import timm

    if not timm.is_model(architecture):
        known = timm.list_models("*vit*")
        raise Refused("unknown model of timm", where=where, got=architecture, hint=nearest(architecture, known))
    try:
        with torch.device("meta"):
            vit = timm.create_model(architecture, pretrained=False, num_classes=0, **json.loads(options))
        return TimmTower.of(vit)
    except (TypeError, ValueError, AssertionError) as error:
        raise Refused(f"this model is no tower that we reach into: {error}", where=where, got=architecture,
                      expected="a VisionTransformer of timm that is read at its class token") from error  # fmt: skip


@lru_cache(maxsize=16)
def _admit(model: TimmModel, stamp: tuple[int, int, int]) -> None:
    assert model.file is not None
    state = _state(model.file)
    for name, value in state.items():
        if not_finite(value):
            raise Refused(f"the weights hold NaN or infinity in {name}", where=model.where, got=str(model.file))
    with torch.device("meta"):
        _fill(model.bare().source, {name: torch.empty_like(value, device="meta") for name, value in state.items()},
              model.where)  # fmt: skip


def _state(file: Path) -> State:
    state = unprefixed(unwrapped(content_of(file), file))
    return {name: value for name, value in state.items() if not name.startswith(HEADS)}


def _fill(vit: Any, state: State, where: str) -> None:
    try:
        vit.load_state_dict(state)
    except RuntimeError as error:
        raise Refused(f"the checkpoint is of another model: {difference(error)}", where=where) from error
