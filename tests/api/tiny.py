"""A model and a dataset in folders, small enough that a grid on them takes a second or two."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from promptgrid.towers.clip.models import torchvision_cure

MODEL: dict[str, Any] = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
    "text_cfg": {"context_length": 24, "vocab_size": 49408, "width": 8, "heads": 1, "layers": 1},
}
COLOURS = {"apple": (220, 30, 40), "blueberry": (40, 50, 200), "cherry": (150, 0, 60), "damson": (80, 20, 120)}


def write_config(folder: Path, model: dict[str, Any] | None = None, **preprocess: Any) -> None:
    """The configuration of the model, with changes."""
    written = {
        "model_cfg": MODEL | (model or {}),
        "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3} | preprocess,
    }
    (folder / "open_clip_config.json").write_text(json.dumps(written), encoding="utf-8")


def write_weights(folder: Path, seed: int = 0) -> None:
    """Random weights of the model."""
    torchvision_cure.apply()
    from open_clip.model import CLIP

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        state = CLIP(**MODEL).state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, folder / "open_clip_model.safetensors")


def write_model(folder: Path) -> str:
    """A model in ``folder``; its name in a suite."""
    folder.mkdir(parents=True, exist_ok=True)
    write_config(folder)
    write_weights(folder)
    return f"local-dir:{folder}"


def write_class(root: Path, name: str, count: int = 8) -> None:
    """A folder of images of one class: its colour under noise."""
    (root / name).mkdir(parents=True)
    rng = np.random.default_rng(len(name))
    for number in range(count):
        pixels = np.clip(np.array(COLOURS[name]) + rng.normal(0, 25, (20, 24, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(root / name / f"{number}.png")


def write_dataset(root: Path, classes: tuple[str, ...] = ("blueberry", "cherry")) -> str:
    """A folder of images a class in ``root``; its name in a suite."""
    for name in classes:
        write_class(root, name)
    return f"imagefolder:{root}"


def suite(model: str, dataset: str, **changes: Any) -> dict[str, Any]:
    """Few-shot CoOp for two epochs and zero-shot."""
    return {
        "name": "tiny",
        "protocol": "few_shot",
        "methods": ["zero_shot", {"name": "coop", "context_length": 2, "epochs": 2}],
        "backbones": [model],
        "datasets": [dataset],
        "shots": [2],
        "seeds": [1],
    } | changes
