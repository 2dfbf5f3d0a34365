"""A task as it ships: a Parquet file of WebP pictures and the card that describes it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas
import pyarrow
import pyarrow.parquet
from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from promptgrid.tracks.image.pretrain.pictures import raster
from promptgrid.tracks.image.pretrain.pictures.sources import Source, load_sources

if TYPE_CHECKING:
    from promptgrid.tracks.image.pretrain.tasks.recipes import Recipe

SPLITS = ("train", "val", "test")
SCHEMA = pyarrow.schema(
    [
        ("image", pyarrow.binary()),
        ("label", pyarrow.int32()),
        ("split", pyarrow.string()),
        ("domain", pyarrow.string()),
        ("item", pyarrow.string()),
    ]
)


def write_task(recipe: Recipe, chosen: pandas.DataFrame, out_dir: Path) -> tuple[pandas.DataFrame, dict[str, Any]]:
    """Write the pictures and the card of a task; return the rows written, with `stored` hashes, and a row of counts."""
    classes = [name for label, name in enumerate(recipe.classes) if label in set(chosen.label)]
    labels = {list(recipe.classes).index(name): label for label, name in enumerate(classes)}
    table = _stored(chosen.assign(label=chosen.label.map(labels)), recipe.quality)
    path = out_dir / f"{recipe.name}.parquet"
    rows = pyarrow.Table.from_pandas(table[list(SCHEMA.names)], schema=SCHEMA, preserve_index=False)
    pyarrow.parquet.write_table(rows, path, compression="zstd", use_dictionary=["split", "domain"])
    card = _card(recipe, classes, table, path)
    with path.with_suffix(".yaml").open("w") as file:
        yaml = YAML()
        yaml.width = 110
        yaml.indent(mapping=2, sequence=4, offset=2)
        yaml.dump(card, file)
    least = table[table.split == "train"].label.value_counts().min()
    counts = {**card["splits"], "least_train": int(least), "kilobytes": path.stat().st_size // 1024}
    return table, {"name": recipe.name, "classes": len(classes), **counts, "seen": card["seen_in_pretraining"]}


def _stored(chosen: pandas.DataFrame, quality: int) -> pandas.DataFrame:
    """The pictures as they ship, equal ones (within a task) once."""
    with ThreadPoolExecutor(2) as threads:
        images = list(threads.map(lambda webp: raster.encode(raster.decode(webp), quality), chosen.image))
        hashes = list(threads.map(raster.content_hash, images))
    return chosen.assign(image=images, stored=hashes).drop_duplicates("stored")


def _card(recipe: Recipe, classes: list[str], table: pandas.DataFrame, path: Path) -> dict[str, Any]:
    sources = [source for source in load_sources() if source.name in set(table.source)]
    credits = [credit for source in sources for credit in _credits(source, table)]
    return {
        "name": recipe.name,
        "title": recipe.title,
        "description": recipe.description,
        "sources": credits,
        "licence": recipe.licence or " and ".join(sorted({credit["licence"] for credit in credits})),
        "template": recipe.template,
        "classes": classes,
        "splits": {split: int((table.split == split).sum()) for split in SPLITS},
        "image_size": raster.SIZE,
        "domains": sorted(set(table.domain)),
        "family": recipe.family,
        "seen_in_pretraining": not all(source.held_out for source in sources),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def _credits(source: Source, table: pandas.DataFrame) -> list[dict[str, Any]]:
    """The packages of a source that the table draws on (for glyphs, the font packages of its letters)."""
    used = set(table[table.source == source.name]["item"].str.split("/").str[0])
    return [
        {
            "package": package.package,
            "version": DoubleQuotedScalarString(package.version),
            "sha256": DoubleQuotedScalarString(package.sha256),
            "licence": package.licence,
            "attribution": package.attribution,
        }
        for package in source.packages
        if len(source.packages) == 1 or package.package in used
    ]


def attribution(in_tasks: Collection[str]) -> str:
    """The text of `ATTRIBUTION.md`: every package, its version, licence, author and use (`in_tasks` names sources)."""
    lines = [
        "# Where the bundled pictures come from",
        "",
        "Every picture was redrawn or resized to 64 by 64 pixels on a plain background and stored as WebP. A source of",
        "*tasks* lends pictures to the tasks in this folder, and each card names the ones it uses. What is *held out*",
        "was never shown to the bundled towers; of *pretraining* alone, no picture is passed on.",
        "",
        "| source | package | version | licence | by | use |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for source in load_sources():
        for package in source.packages:
            said = (source.title, package.package, package.version, package.licence, package.attribution)
            lines.append(f"| {' | '.join(word.replace('|', '/') for word in said)} | {_use(source, in_tasks)} |")
    return "\n".join([*lines, ""])


def _use(source: Source, in_tasks: Collection[str]) -> str:
    uses = ["tasks"] if source.name in in_tasks else []
    return ", ".join([*uses, "held out" if source.held_out else "pretraining"])
