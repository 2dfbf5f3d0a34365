"""Commands that the image track adds to ``promptgrid``. Imported at every start of it, so nothing heavy at the top."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from promptgrid.spec.paths import user_path


def pretrain(
    pool: Annotated[Path, typer.Option("--pool", help="Folder for the rasterised sources.")] = Path(".promptgrid/pool"),
    out: Annotated[Path, typer.Option("--out", help="Folder for the weights.")] = Path(".promptgrid/backbones"),
    backbone: Annotated[str, typer.Option("--backbone", help="bundled-vit or bundled-conv.")] = "bundled-vit",
    minutes: Annotated[float, typer.Option("--minutes", min=0.01, help="How long to train, by the wall clock.")] = 90.0,
    guide_minutes: Annotated[
        float,
        typer.Option("--guide-minutes", min=0, help="Train bundled-conv first for so long; the ViT learns from it."),
    ] = 0.0,
    threads: Annotated[int, typer.Option("--threads", min=1)] = 1,
    device: Annotated[str, typer.Option("--device", help="cpu or cuda.")] = "cpu",
    corpus: Annotated[
        Path | None, typer.Option("--corpus", help="A packed corpus: nothing is fetched, no teacher is needed.")
    ] = None,
    pack_corpus: Annotated[
        Path | None, typer.Option("--pack-corpus", help="Only write the packed corpus to this file.")
    ] = None,
) -> None:
    """Train a bundled backbone again, from a packed corpus, or from pinned public sources (the `pretrain` extra)."""
    from promptgrid.spec.devices import refuse_no_gpu
    from promptgrid.tracks.image.pretrain.from_sources import (
        PACKED,
        pack_from_sources,
        pretrain_from,
        refuse_unknown,
    )

    if device.startswith("cuda"):
        refuse_no_gpu("--device")
    refuse_unknown(backbone)
    if corpus is None:
        corpus = user_path(pack_corpus or pool / PACKED)
        if pack_corpus or not corpus.is_file():
            sizes = pack_from_sources(user_path(pool), corpus)
            typer.echo(f"corpus: {corpus}, " + ", ".join(f"{kind} {size / 1e6:.1f} MB" for kind, size in sizes.items()))
    if pack_corpus is None:
        lengths = {"minutes": minutes, "guide_minutes": guide_minutes}
        packed, folder = user_path(corpus), user_path(out)
        folder = pretrain_from(packed, folder, backbone=backbone, **lengths, threads=threads, device=device)
        typer.echo(f"weights: {folder}")


COMMANDS: dict[str, Callable[..., None]] = {"pretrain": pretrain}
