"""The pool: every picture of every source, drawn once, one Parquet file a source."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
from PIL import Image
from rich.progress import track

from promptgrid.contract.packages import unpacked
from promptgrid.spec.parquet import read_frame
from promptgrid.tracks.image.pretrain.pictures import items, raster
from promptgrid.tracks.image.pretrain.pictures.glyphs import glyphs
from promptgrid.tracks.image.pretrain.pictures.sources import Source, fetch_all, helper_packages, load_sources

Row = dict[str, Any]
READERS: dict[str, items.Reader] = {
    **{reader.__name__: reader for reader in (items.emoji, items.icons, items.flags, items.clip_art, items.garments)},
    **{reader.__name__: reader for reader in (items.digits_csv, items.stamps, glyphs)},
}


def build(sources_dir: Path, pool_dir: Path, only: Iterable[str] = (), processes: int | None = None) -> None:
    """Fetch, draw and write the sources that have no file in `pool_dir` yet (all, or those named in `only`)."""
    pool_dir.mkdir(parents=True, exist_ok=True)
    chosen = [source for source in load_sources() if not only or source.name in set(only)]
    groups = names(sources_dir)
    with multiprocessing.get_context("spawn").Pool(processes or os.cpu_count()) as workers:
        for source, folders in fetch_all(sources_dir, chosen):
            path = pool_dir / f"{source.name}.parquet"
            if path.exists():
                continue
            drawings = list(READERS[source.reader](source, folders, groups))
            drawn = workers.imap(row, ((source.name, item) for item in drawings), chunksize=32)
            seen = track(drawn, source.name, len(drawings), transient=True)
            rows = [found for found in seen if found is not None]
            write(rows, path)
            print(f"{source.name}: {len(rows)} of {len(drawings)} drawn", flush=True)


def names(sources_dir: Path) -> dict[str, str]:
    """Unicode's subgroup of each emoji name, and the names of countries."""
    (helper,) = (unpacked(package, sources_dir) for package in helper_packages())
    twemoji = next(source for source in load_sources() if source.name == "twemoji")
    return items.emoji_groups(helper, unpacked(twemoji.packages[0], sources_dir) / "package/chars.json")


def write(rows: list[Row], path: Path) -> None:
    """The rows as a Parquet file that appears whole; of equal pictures within a source the first stays."""
    table = pandas.DataFrame(rows).drop_duplicates("sha256")
    partial = path.with_suffix(".partial")
    table.to_parquet(partial, index=False)
    partial.rename(path)


def row(job: tuple[str, items.Item]) -> Row | None:
    """The pool's row of one item, or None when it does not draw, or draws blank."""
    source, item = job
    try:
        picture, background = _picture(item)
    except (ValueError, OSError):
        return None
    if raster.is_blank(picture):
        return None
    image = raster.encode(picture)
    return {
        "image": image,
        "sha256": raster.content_hash(image),
        "source": source,
        "item": item.id,
        "name": item.name,
        "keywords": list(item.keywords),
        "category": item.category,
        "style": item.style,
        "shippable": item.shippable,
        "background": background,
    }


def _picture(item: items.Item) -> tuple[Image.Image, str]:
    if item.array is not None:
        return raster.from_array(item.array), item.background
    art = Image.open(item.path).convert("RGBA") if item.path else raster.draw(raster.clean(item.svg or ""))
    if item.background == "black":
        return raster.fit(_inverted(art), raster.BLACK, item.crop), "black"
    picture = raster.fit(art, raster.WHITE, item.crop)
    if raster.is_blank(picture):
        return raster.fit(art, raster.BLACK, item.crop), "black"
    return picture, "white"


def _inverted(art: Image.Image) -> Image.Image:
    values = np.array(art)
    values[..., :3] = 255 - values[..., :3]
    return Image.fromarray(values)


def read(pool_dir: Path) -> pandas.DataFrame:
    """The whole pool, sources in the order of `sources.yaml`."""
    paths = [pool_dir / f"{source.name}.parquet" for source in load_sources()]
    return pandas.concat([read_frame(path) for path in paths if path.exists()], ignore_index=True)


def held_out() -> list[Source]:
    """The sources whose pictures no bundled tower was trained on."""
    return [source for source in load_sources() if source.held_out]
