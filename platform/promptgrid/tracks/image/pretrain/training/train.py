"""`promptgrid pretrain`: makes the bundled backbones from a packed corpus of captioned pictures.

The image tower learns to pick a picture's phrase among thousands (phrases placed by MiniLM), to agree with the text
tower, and (the ViT) to tell what Lite0 and the finished `bundled-conv` make of the same view. The text tower learns to
place captions where their phrases are, and plain words of no picture besides. A run lasts a given time by the wall
clock, and is resumed from its last checkpoint with its clock.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from promptgrid.tracks.image.backbones.bundled_weights import load_bundled
from promptgrid.tracks.image.pretrain.release.publish import publish
from promptgrid.tracks.image.pretrain.release.weights import CARD
from promptgrid.tracks.image.pretrain.training.checkpoints import CHECKPOINT, START, load, save, save_start
from promptgrid.tracks.image.pretrain.training.material import Material, targets_of
from promptgrid.tracks.image.pretrain.training.recipe import Recipe
from promptgrid.tracks.image.pretrain.training.run import Run

WARM_STEPS = 100  # after a start without the optimiser's moments


def pretrain(material: Material, out_dir: Path, *, backbone: str, minutes: float) -> Path:
    """Train a bundled backbone where the material lies and write its files; returns their folder.

    The ViT also learns from `bundled-conv` where that lies finished in `out_dir`: train it first. A run goes on from
    its checkpoint in `out_dir`, or from the smaller file that a run on another machine left.

    Args:
        material: the corpus on its device.
        out_dir: takes the checkpoints and, in a folder named after the backbone, config, weights and card.
        backbone: `bundled-vit` or `bundled-conv`.
        minutes: how long to train by the wall clock, all its sittings together.
    """
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    targets = targets_of(material, _guide(out_dir)) if backbone == "bundled-vit" else None
    run = Run(Recipe.on(material.device, backbone, minutes), material, targets)
    out_dir.mkdir(parents=True, exist_ok=True)
    for name in (CHECKPOINT, START):
        if (path := out_dir / f"{backbone}.{name}").exists():
            load(run, path)
            break
    train(run, out_dir)
    return out_dir / backbone


def _guide(out_dir: Path) -> Any | None:
    """The finished `bundled-conv` of a folder."""
    return load_bundled("bundled-conv", out_dir)[0] if (out_dir / "bundled-conv" / CARD).is_file() else None


def train(run: Run, out_dir: Path, every: float = 60.0, tell: Callable[[str], None] = print) -> None:
    """Step until the recipe's minutes are over; checkpoint and publish every so many seconds and at the end.

    Raises:
        FloatingPointError: the loss is no number any more.
    """
    whole, began, sitting = run.recipe.minutes * 60, time.monotonic(), run.clock.sittings[-1]
    saved, told = began, began
    while run.clock.seconds < whole:
        parts = run.step()
        now = time.monotonic()
        sitting.seconds = now - began
        if now - told > 5:
            told, losses = now, _finite(parts)
            tell(
                f"{run.recipe.backbone} {run.clock.seconds:.0f} of {whole:.0f} s, step {run.clock.steps}, "
                f"{run.clock.samples / 1e6:.2f}M samples, {sitting.samples / sitting.seconds:.0f}/s, {losses}"
            )
        if now - saved > every:
            _finite(parts)
            _keep(run, out_dir)
            saved = time.monotonic()
    _keep(run, out_dir)


def _finite(parts: dict[str, Tensor]) -> str:
    """The parts of a loss in words; a run that has come apart stops, and its last good files stay."""
    values = {name: float(value) for name, value in parts.items()}
    if not all(map(math.isfinite, values.values())):
        raise FloatingPointError(f"the loss is no number any more: {values}")
    return " ".join(f"{name} {value:.3f}" for name, value in values.items())


def _keep(run: Run, out_dir: Path) -> None:
    backbone = run.recipe.backbone
    save_start(run, out_dir / f"{backbone}.{START}")
    publish(run, out_dir / backbone)
    save(run, out_dir / f"{backbone}.{CHECKPOINT}")
