"""Towers as files: ``config.json`` says the shape, ``model.safetensors`` holds the weights (any float type)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, PositiveInt
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from promptgrid.spec import Refused, digest
from promptgrid.spec.checked import checked
from promptgrid.tracks.graph.backbone import GraphBackbone, Kind, Shape


class Config(BaseModel):
    """What ``config.json`` says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    inputs: PositiveInt
    width: PositiveInt
    layers: PositiveInt
    text: int = 0
    about: str = ""
    trained_on: tuple[str, ...] = ()


def read(folder: Path, name: str, device: str = "cpu") -> GraphBackbone:
    """The tower in ``folder``.

    Raises:
        Refused: a file is missing or damaged, or weights do not fit the shape.
    """
    config, weights = folder / "config.json", folder / "model.safetensors"
    try:
        said, content = json.loads(config.read_text("utf-8")), weights.read_bytes()
        tensors = {key: value.float() for key, value in load(content).items()}
    except (OSError, ValueError, SafetensorError) as error:
        raise Refused(f"no graph tower: {error}", where=str(folder.absolute()),
                      expected="config.json and model.safetensors") from error  # fmt: skip
    facts = checked(Config, str(config), said)
    shape = Shape(facts.kind, facts.inputs, facts.width, facts.layers, facts.text)
    sizes = {key: tuple(value.shape) for key, value in tensors.items()}
    if sizes != shape.sizes():
        odd = sorted(sizes.items() ^ shape.sizes().items())[:3]
        raise Refused("the weights do not fit the shape", where=str(weights), got=odd)
    made = GraphBackbone(name, "", shape, tensors)
    found = digest([made.model(), digest(content)])
    here = {key: value.to(torch.device(device)) for key, value in tensors.items()}
    return GraphBackbone(name, found, shape, here)


def write(folder: Path, shape: Shape, tensors: dict[str, Tensor], about: str, trained_on: Sequence[str] = ()) -> None:
    """The tower as files in float16, which all use; ``trained_on`` names its graphs, as suites do."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {**vars(shape), "about": about, "trained_on": list(trained_on)}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    halves = {name: value.detach().half().contiguous() for name, value in sorted(tensors.items())}
    (folder / "model.safetensors").write_bytes(save(halves))
